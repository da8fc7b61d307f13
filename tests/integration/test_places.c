/* tests/integration/test_places.c - the segment's names and memory, and the socket's path: taken by
 * others, damaged, too small, too long. Nothing that is found there is ever destroyed. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_places[];

static const char config[] = "[segment]\nsize = 64M\nbacking = posix\n";

/* --- names ---------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	(void)close(fd);
}

static bool file_has(const char *path, const char *text)
{
	char buffer[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer) - 1);

	if (fd >= 0)
		(void)close(fd);
	return n == (ssize_t)strlen(text) && strcmp(buffer, text) == 0;
}

/* A daemon meets a file in the place of a part: it names it, ends, and leaves it alone. */
static void squat(const char *part, mode_t mode, uid_t uid, bool linked)
{
	struct fixture f;
	char path[96], link_path[112];

	fixture_make(&f, config);
	fixture_segment_path(&f, part, path);
	(void)snprintf(link_path, sizeof(link_path), "%s-link", path);
	put_file(path, "not yours", mode);
	if (uid)
		CU_ASSERT_EQUAL(chown(path, uid, (gid_t)-1), 0);
	if (linked)
		CU_ASSERT_EQUAL(link(path, link_path), 0);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, path));
	CU_ASSERT_TRUE(fixture_log_has(&f, "is not ours"));
	CU_ASSERT_TRUE(file_has(path, "not yours"));
	CU_ASSERT_EQUAL(access(f.socket, F_OK), -1);
	fixture_close(&f);
}

static void squatted_name_is_named_and_left_alone(void)
{
	squat("meta", 0644, 0, false);
	squat("meta", 0600, 0, true);
	squat("data", 0666, 0, false);
	if (geteuid() == 0)
		squat("meta", 0600, 65534, false);
	else
		fixture_skip("a name of another user", "only root can make one");
}

static void symbolic_link_in_place_of_a_name_is_not_followed(void)
{
	struct fixture f;
	char path[96], target[112];

	fixture_make(&f, config);
	fixture_segment_path(&f, "meta", path);
	(void)snprintf(target, sizeof(target), "%s/target", f.directory);
	put_file(target, "a treasure", 0600);
	CU_ASSERT_EQUAL(symlink(target, path), 0);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, path));
	CU_ASSERT_TRUE(file_has(target, "a treasure"));
	fixture_close(&f);
}

/* Starts once, so that there is a whole segment; then spoils META's header at that place. */
static void spoil(struct fixture *f, off_t offset, uint32_t value)
{
	char path[96];
	int fd;

	(void)fixture_open(f, config);
	fixture_stop(f);
	CU_ASSERT_EQUAL(fixture_count_segments(f), 3);
	fixture_segment_path(f, "meta", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, &value, sizeof(value), offset), (ssize_t)sizeof(value));
	(void)close(fd);
}

static void segment_that_does_not_match_is_kept_aside(void)
{
	static const struct {
		off_t offset;
		uint32_t value;
	} spoils[] = {{0, 0xDEAD}, {8, 99}, {12, 14}, {32, 4096}};

	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		struct fixture f;

		spoil(&f, spoils[i].offset, spoils[i].value);
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_EQUAL(fixture_count_segments(&f), 6);
		CU_ASSERT_TRUE(
			fixture_log_has(&f, "started a new segment; the old one is /dev/shm/"));
		CU_ASSERT_TRUE(fixture_check(&f));
		fixture_close(&f);
	}
}

static void truncated_part_is_kept_aside(void)
{
	static const char *const parts[] = {"meta", "state", "data"};

	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		char path[96];

		(void)fixture_open(&f, config);
		fixture_stop(&f);
		fixture_segment_path(&f, parts[i], path);
		CU_ASSERT_EQUAL(truncate(path, 4096), 0);
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_EQUAL(fixture_count_segments(&f), 6);
		CU_ASSERT_TRUE(fixture_check(&f));
		fixture_close(&f);
	}
}

static void restart_takes_the_segment_over(void)
{
	struct fixture f;
	char path[96];
	struct stat before, after;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fixture_segment_path(&f, "data", path);
	CU_ASSERT_EQUAL(stat(path, &before), 0);
	fixture_stop(&f);
	CU_ASSERT_TRUE(fixture_log_has(&f, "remain for the next start"));
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "as the last daemon left it"));
	CU_ASSERT_EQUAL(stat(path, &after), 0);
	CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 3);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

/* The daemon dies at whatever it did; the next one recovers and serves. */
static void killed_daemon_is_followed_by_one_that_recovers(void)
{
	struct worker_board *board = worker_board_new();
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (uint32_t i = 0; i < 5; i++) {
		struct worker_plan plan = {&f, board, 4711 + i, i + 1, 3, 500 * i};
		struct child child;
		struct observer observer;

		CU_ASSERT_TRUE(worker_start(&child, &plan));
		CU_ASSERT_TRUE(child_expect(child.fd, 1));
		fixture_kill(&f);
		child_kill(&child);
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_TRUE(fixture_check(&f));
		CU_ASSERT_TRUE(observer_open(&observer, &f));
		CU_ASSERT_TRUE(observer_all_free(&observer));
		observer_close(&observer);
	}
	CU_ASSERT_FALSE(fixture_log_has(&f, "new segment"));
	worker_board_free(board);
	fixture_close(&f);
}

static void same_instance_twice_is_refused(void)
{
	struct fixture f, g;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fixture_make(&g, config);
	(void)snprintf(g.instance, sizeof(g.instance), "%s", f.instance);
	CU_ASSERT_EQUAL(fixture_fail(&g), 1); /* after the 5 s that it waits for the lock */
	CU_ASSERT_TRUE(fixture_log_has(&g, "is already running (pid"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 3);
	CU_ASSERT_TRUE(fixture_check(&f));
	g.instance[0] = '-'; /* its names are the other's */
	fixture_close(&g);
	fixture_close(&f);
}

/* --- memory --------------------------------------------------------------------------------- */

static const char *small_shm = "size=8m";

static void in_a_small_shm(struct fixture *fixture)
{
	(void)fixture;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, small_shm) < 0)
		_exit(77);
}

static int try_small_shm(int fd, void *arg)
{
	(void)fd;
	in_a_small_shm(arg);
	return 0;
}

static bool may_mount(const char *test)
{
	struct child child;
	bool good = child_start(&child, try_small_shm, NULL) && child_end(&child) == 0;

	if (!good)
		fixture_skip(test, "no mount namespace here");
	return good;
}

/* A segment of 6 MiB of which not all has room: clients get ENOMEM with the reason, nobody SIGBUS,
 * and what was had before is good. */
static void full_shm_is_enomem_with_a_reason(void)
{
	struct fixture f;
	pageclient *client;
	size_t n = 0;
	void *frame;

	if (!may_mount("full /dev/shm"))
		return;
	fixture_make(&f, "[segment]\nsize = 64M\nbacking = posix\nhugepages = never\n");
	f.before_exec = in_a_small_shm;
	CU_ASSERT_TRUE(fixture_start(&f));
	client = fixture_client(&f, "hungry");
	while (n < 16384 && (frame = pageclient_alloc(client, 0, 0))) {
		memset(frame, 0x5A, 4096);
		n++;
	}
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_TRUE(n < 16384);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "no room for"));
	if (!strstr(pageclient_error(), "no room for"))
		(void)fprintf(stderr, "after %zu: %s\n", n, pageclient_error());
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 10, 0));
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

static void shm_that_is_too_small_from_the_start_is_told(void)
{
	struct fixture f;

	if (!may_mount("/dev/shm without room"))
		return;
	small_shm = "size=64k";
	fixture_make(&f, config);
	f.before_exec = in_a_small_shm;
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "no room for"));
	fixture_configure(&f, "[segment]\nsize = 64M\n"); /* backing = auto */
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "backing = auto: memfd, because /dev/shm"));
	small_shm = "size=8m";
	fixture_close(&f);
}

/* --- the socket ----------------------------------------------------------------------------- */

static void path_of_the_socket_that_is_too_long_is_told(void)
{
	struct fixture f;
	char text[256];

	fixture_make(&f, "");
	(void)snprintf(text, sizeof(text), "[segment]\nsize = 64M\n[socket]\npath = /tmp/%0110d\n",
		       0);
	fixture_configure(&f, text);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "107"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

/* Where the socket cannot be made nothing else is: a segment would stay. */
static void start_that_fails_at_the_socket_leaves_nothing(void)
{
	struct fixture f;

	fixture_make(&f, "[segment]\nsize = 64M\nbacking = posix\n"
			 "[socket]\npath = /nonexistent/x.sock\n");
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "the socket /nonexistent/x.sock cannot be made"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void directory_that_is_too_long_for_a_socket_is_told(void)
{
	struct fixture f;
	char longer[192];

	fixture_make(&f, config);
	(void)snprintf(longer, sizeof(longer), "%s/%0100d", f.directory, 0);
	{
		const char *argv[] = {fixture_paged(), "--config",   f.config,   "--runtime-dir",
				      longer,          "--instance", f.instance, NULL};
		struct program paged;

		program_run(&paged, argv);
		CU_ASSERT_EQUAL(paged.status, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(paged.err, "at most 107 would be right"));
		program_done(&paged);
	}
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void socket_of_a_live_daemon_is_left_alone(void)
{
	struct fixture f;
	char log[96];
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	{
		const char *argv[] = {fixture_paged(), "--config",   f.config,  "--runtime-dir",
				      f.directory,     "--instance", "another", NULL};
		struct program paged;

		(void)snprintf(log, sizeof(log), "already running (pid %d)", f.pid);
		program_run(&paged, argv);
		CU_ASSERT_EQUAL(paged.status, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(paged.err, log));
		program_done(&paged);
	}
	fd = raw_hello(&f, 0, NULL);
	CU_ASSERT_TRUE(fd >= 0);
	(void)close(fd);
	fixture_close(&f);
}

static void stale_socket_is_replaced(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fixture_kill(&f);
	CU_ASSERT_EQUAL(access(f.socket, F_OK), 0);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_stop(&f);
	CU_ASSERT_EQUAL(access(f.socket, F_OK), -1);
	fixture_close(&f);
}

static void file_that_is_no_socket_is_left_alone(void)
{
	struct fixture f;

	fixture_make(&f, config);
	put_file(f.socket, "a letter", 0600);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "exists and is not a socket"));
	CU_ASSERT_TRUE(file_has(f.socket, "a letter"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void socket_of_another_program_is_left_alone(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fixture f;

	fixture_make(&f, config);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", f.socket);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "another program listens"));
	CU_ASSERT_EQUAL(access(f.socket, F_OK), 0);
	(void)close(fd);
	fixture_close(&f);
}

CU_TestInfo test_places[] = {
	{"squatted name is named and left alone", squatted_name_is_named_and_left_alone},
	{"symbolic link in place of a name is not followed",
	 symbolic_link_in_place_of_a_name_is_not_followed},
	{"segment that does not match is kept aside", segment_that_does_not_match_is_kept_aside},
	{"truncated part is kept aside", truncated_part_is_kept_aside},
	{"restart takes the segment over", restart_takes_the_segment_over},
	{"killed daemon is followed by one that recovers",
	 killed_daemon_is_followed_by_one_that_recovers},
	{"same instance twice is refused", same_instance_twice_is_refused},
	{"full /dev/shm is ENOMEM with a reason", full_shm_is_enomem_with_a_reason},
	{"/dev/shm that is too small from the start is told",
	 shm_that_is_too_small_from_the_start_is_told},
	{"path of the socket that is too long is told",
	 path_of_the_socket_that_is_too_long_is_told},
	{"start that fails at the socket leaves nothing",
	 start_that_fails_at_the_socket_leaves_nothing},
	{"directory that is too long for a socket is told",
	 directory_that_is_too_long_for_a_socket_is_told},
	{"socket of a live daemon is left alone", socket_of_a_live_daemon_is_left_alone},
	{"stale socket is replaced", stale_socket_is_replaced},
	{"file that is no socket is left alone", file_that_is_no_socket_is_left_alone},
	{"socket of another program is left alone", socket_of_another_program_is_left_alone},
	CU_TEST_INFO_NULL,
};
