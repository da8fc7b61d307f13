/* tests/integration/test_service.c - the daemon among the processes of a host: signals, the service
 * manager's sockets, where it keeps its memory, and whom it runs as. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_service[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n";

/* --- signals -------------------------------------------------------------------------------- */

static void hangup_reads_the_configuration_again(void)
{
	struct fixture f;
	struct pageclient_status status;
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "bounded");
	fixture_configure(&f, "[segment]\nsize = 128M\nbacking = memfd\n[pcp]\nbatch = 16\n"
			      "[limits]\nclient_max = 8M\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "limits.client_max: 8M, was none"));
	CU_ASSERT_TRUE(
		fixture_log_gets(&f, "segment.size: 128M, was 64M; takes effect at the next start, "
				     "with a new segment: clients lose theirs"));
	CU_ASSERT_TRUE(fixture_log_gets(
		&f, "segment.backing: memfd, was auto; takes effect at the next start, "
		    "with a new segment if it is not what is in force: clients lose theirs then"));
	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	CU_ASSERT_EQUAL(status.max, 2048);
	fixture_configure(&f, "[segment]\nsize = 64M\n[pcp]\nbatch = none of that\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "the configuration stays as it was"));
	CU_ASSERT_TRUE(fixture_log_has(&f, "paged.conf:4: pcp.batch"));
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	CU_ASSERT_EQUAL(status.max, 2048);
	pageclient_close(client);
	fixture_close(&f);
}

static void terminate_ends_in_order_with_clients_attached(void)
{
	static const int signals[] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		struct fixture f;
		pageclient *client;
		char *frame;

		CU_ASSERT_TRUE(fixture_open(&f, config));
		client = fixture_client(&f, "left behind");
		frame = pageclient_alloc(client, 0, 0);
		CU_ASSERT_PTR_NOT_NULL(frame);
		fixture_stop_by(&f, signals[i]);
		CU_ASSERT_EQUAL(access(f.socket, F_OK), -1);
		frame[0] = 1; /* what was mapped stays */
		pageclient_close(client);
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_TRUE(fixture_check(&f));
		fixture_close(&f);
	}
}

/* --- the service manager -------------------------------------------------------------------- */

static void with_a_passed_socket(struct fixture *fixture)
{
	char pid[16];

	(void)dup2(*(int *)fixture->arg, 3);
	(void)fcntl(3, F_SETFD, 0); /* it may have been 3 before */
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "1", 1);
}

static int listen_at(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type != SOCK_DGRAM)
		CU_ASSERT_EQUAL(listen(fd, 16), 0);
	return fd;
}

/* The connection waits in the backlog before there is a daemon. */
static void passed_socket_is_served_and_left_in_place(void)
{
	struct fixture f;
	int fd;

	fixture_make(&f, config);
	fd = listen_at(f.socket, SOCK_SEQPACKET);
	f.before_exec = with_a_passed_socket;
	f.arg = &fd;
	if (fixture_start(&f)) {
		pageclient *client = fixture_client(&f, "activated");

		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
		pageclient_close(client);
	}
	fixture_stop(&f);
	CU_ASSERT_EQUAL(access(f.socket, F_OK), 0);
	(void)close(fd);
	fixture_close(&f);
}

static void passed_socket_of_another_kind_is_refused(void)
{
	struct fixture f;
	int fd;

	fixture_make(&f, config);
	fd = listen_at(f.log, SOCK_DGRAM);
	(void)unlink(f.log);
	f.before_exec = with_a_passed_socket;
	f.arg = &fd;
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "ListenSequentialPacket="));
	(void)close(fd);
	fixture_close(&f);
}

static void with_a_notify_socket(struct fixture *fixture)
{
	(void)setenv("NOTIFY_SOCKET", fixture->arg, 1);
}

/* Waits until the daemon says so. */
static bool hears(int fd, const char *text)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	while (poll(&pollfd, 1, (int)CLOCK_PATIENCE_MS) == 1) {
		char state[1024] = "";

		if (recv(fd, state, sizeof(state) - 1, 0) > 0 && strstr(state, text))
			return true;
	}
	return false;
}

static void service_manager_is_told_of_each_state(void)
{
	struct fixture f;
	char path[96];
	int fd;

	fixture_make(&f, config);
	(void)snprintf(path, sizeof(path), "%s/notify", f.directory);
	fd = listen_at(path, SOCK_DGRAM);
	f.before_exec = with_a_notify_socket;
	f.arg = path;
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(hears(fd, "READY=1"));
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(hears(fd, "RELOADING=1"));
	CU_ASSERT_TRUE(hears(fd, "READY=1"));
	fixture_stop(&f);
	CU_ASSERT_TRUE(hears(fd, "STOPPING=1"));
	(void)close(fd);
	fixture_close(&f);
}

/* --- memory --------------------------------------------------------------------------------- */

static void memfd_leaves_no_name(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *client;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	client = fixture_client(&f, "memfd");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 9, 0));
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "backing")), "memfd");
	json_decref(root);
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_EQUAL(ftruncate(observer.meta_fd, 4096), -1);
	CU_ASSERT_EQUAL(fcntl(observer.meta_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CU_ASSERT_TRUE(fixture_check(&f));
	observer_close(&observer);
	pageclient_close(client);
	fixture_close(&f);
}

static void pages_may_be_larger(void)
{
	static const struct {
		const char *text;
		size_t bytes;
	} sizes[] = {{"4K", 4096}, {"16K", 16384}, {"64K", 65536}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fixture f;
		pageclient *client;
		char text[96];
		char *frame[100];

		(void)snprintf(text, sizeof(text), "[segment]\nsize = 256M\npage_size = %s\n",
			       sizes[i].text);
		CU_ASSERT_TRUE(fixture_open(&f, text));
		client = fixture_client(&f, "pages");
		CU_ASSERT_EQUAL(pageclient_page_size(client), sizes[i].bytes);
		for (int n = 0; n < 100; n++) {
			frame[n] = pageclient_alloc(client, 0, PAGECLIENT_ZERO);
			CU_ASSERT_PTR_NOT_NULL(frame[n]);
			if (frame[n])
				memset(frame[n], n, sizes[i].bytes);
		}
		for (int n = 0; n < 100; n++) {
			CU_ASSERT_EQUAL(frame[n][0], n);
			CU_ASSERT_EQUAL(frame[n][sizes[i].bytes - 1], n);
			pageclient_free(client, frame[n], 0);
		}
		frame[0] = pageclient_alloc(client, 3, 0);
		memset(frame[0], 1, sizes[i].bytes << 3);
		CU_ASSERT_TRUE(fixture_check(&f));
		pageclient_close(client);
		fixture_close(&f);
	}
}

static uint64_t resident_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	if (file)
		(void)fclose(file);
	return kib;
}

/* Sparse: nothing of it is touched before it is used. */
static void tebibyte_starts_at_once_and_costs_little(void)
{
	uint64_t before;
	struct fixture f;
	pageclient *client;
	char *frame;

	fixture_make(&f, "[segment]\nsize = 1T\nbacking = memfd\n");
	before = clock_now_ms();
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2); /* it is some 10 ms */
	client = fixture_client(&f, "small");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	if (frame)
		memset(frame, 1, 4096);
	if (!fixture_is_sanitized())
		CU_ASSERT_TRUE(resident_kib(f.pid) < 16384);
	pageclient_close(client);
	fixture_close(&f);
}

static void committed_in_full_is_there_from_the_start(void)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct fixture f;
	struct observer observer;
	struct stat st;
	char path[96];

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 32M\ncommit = full\n"
					"backing = posix\n"));
	fixture_segment_path(&f, "data", path);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_blocks * 512, 32 << 20);
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	while (shm_load(&observer.view.header->committed_frames) != 8192 && clock_pause(until))
		;
	CU_ASSERT_EQUAL(shm_load(&observer.view.header->committed_frames), 8192);
	observer_close(&observer);
	fixture_close(&f);
}

/* --- other users ---------------------------------------------------------------------------- */

#define NOBODY 65534

static void as_nobody(struct fixture *fixture)
{
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		_exit(77);
	(void)setenv("XDG_RUNTIME_DIR", fixture->arg, 1);
}

static int finds_the_programs(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 1;
	return access(fixture_paged(), X_OK) < 0 || access(fixture_pagectl(), X_OK) < 0;
}

/* A tree may lie where its owner alone gets to, as root's home. */
static bool may_be_nobody(const char *test)
{
	struct child child;

	if (geteuid() != 0) {
		fixture_skip(test, "only root can become somebody else");
		return false;
	}
	CU_ASSERT_TRUE(child_start(&child, finds_the_programs, NULL));
	if (child_end(&child) != 0) {
		fixture_skip(test, "other users do not get to the programs of this tree");
		return false;
	}
	return true;
}

/* Root makes the directory as a login would; all else is what anybody can do. */
static void user_without_privileges_runs_one(void)
{
	struct fixture f;
	char runtime[72];
	struct stat st;

	if (!may_be_nobody("run as nobody"))
		return;
	fixture_make(&f, "");
	CU_ASSERT_EQUAL(chmod(f.directory, 0755), 0);
	(void)snprintf(runtime, sizeof(runtime), "%s/run", f.directory);
	CU_ASSERT_EQUAL(mkdir(runtime, 0700), 0);
	CU_ASSERT_EQUAL(chown(runtime, NOBODY, NOBODY), 0);
	(void)snprintf(f.socket, sizeof(f.socket), "%s/paged/paged.sock", runtime);
	(void)snprintf(f.instance, sizeof(f.instance), "user-%d", NOBODY);
	f.before_exec = as_nobody;
	f.arg = runtime;
	f.by_default = true;
	if (fixture_count_segments(&f)) {
		fixture_skip("run as nobody", "nobody has an instance already");
		(void)snprintf(f.instance, sizeof(f.instance), "-");
	} else if (fixture_start(&f)) {
		pageclient *client = fixture_client(&f, "root");
		char path[96];

		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
		fixture_segment_path(&f, "data", path);
		CU_ASSERT_EQUAL(stat(path, &st), 0);
		CU_ASSERT_EQUAL(st.st_uid, NOBODY);
		CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
		CU_ASSERT_TRUE(fixture_check(&f));
		pageclient_close(client);
	}
	fixture_close(&f);
}

static int check_as_nobody(int fd, void *arg)
{
	const struct fixture *f = arg;
	struct program ctl;

	(void)fd;
	CHILD_CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	fixture_ctl(f, &ctl, "status", NULL); /* all that may connect may look */
	CHILD_CHECK(ctl.status == 0);
	fixture_ctl(f, &ctl, "drain", NULL); /* but not do */
	CHILD_CHECK(ctl.status == 1 && strstr(ctl.err, "only root"));
	return 0;
}

static int connect_as_nobody(int fd, void *arg)
{
	const struct fixture *f = arg;
	struct pageclient_options options;
	pageclient *client;

	(void)fd;
	CHILD_CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	CHILD_CHECK(pageclient_open(&options, &client) == -EACCES);
	return 0;
}

static void mode_of_the_socket_says_who_may_come(void)
{
	struct fixture f;
	struct child child;

	if (!may_be_nobody("mode of the socket"))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, config)); /* 0660 */
	CU_ASSERT_EQUAL(chmod(f.directory, 0755), 0);
	CU_ASSERT_TRUE(child_start(&child, connect_as_nobody, &f));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_stop(&f);
	fixture_configure(&f, "[segment]\nsize = 64M\n[socket]\nmode = 0666\n");
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(child_start(&child, check_as_nobody, &f));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* --- without a supervisor -------------------------------------------------------------------- */

static int be_alone(int fd, void *arg)
{
	struct fixture *f = arg;
	char *argv[] = {strdup(fixture_paged()),
			strdup("--no-supervisor"),
			strdup("--config"),
			f->config,
			strdup("--runtime-dir"),
			f->directory,
			strdup("--instance"),
			f->instance,
			NULL};
	int log = open(f->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	(void)fd;
	(void)dup2(log, STDERR_FILENO);
	execv(argv[0], argv);
	return 127;
}

static void without_a_supervisor_there_is_one_process(void)
{
	struct child child;
	struct fixture f;

	fixture_make(&f, "[segment]\nsize = 64M\nbacking = posix\n");
	CU_ASSERT_TRUE(child_start(&child, be_alone, &f));
	CU_ASSERT_TRUE(fixture_log_gets(&f, "serving instance"));
	CU_ASSERT_EQUAL(fixture_server(&f), child.pid);
	CU_ASSERT_EQUAL(kill(child.pid, SIGTERM), 0);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	CU_ASSERT_EQUAL(access(f.socket, F_OK), -1);
	CU_ASSERT_TRUE(fixture_start(&f)); /* what it left is taken over */
	CU_ASSERT_TRUE(fixture_log_has(&f, "as the last daemon left it"));
	fixture_close(&f);
}

CU_TestInfo test_service[] = {
	{"hangup reads the configuration again", hangup_reads_the_configuration_again},
	{"terminate ends in order with clients attached",
	 terminate_ends_in_order_with_clients_attached},
	{"passed socket is served and left in place", passed_socket_is_served_and_left_in_place},
	{"passed socket of another kind is refused", passed_socket_of_another_kind_is_refused},
	{"service manager is told of each state", service_manager_is_told_of_each_state},
	{"memfd leaves no name", memfd_leaves_no_name},
	{"pages may be larger", pages_may_be_larger},
	{"tebibyte starts at once and costs little", tebibyte_starts_at_once_and_costs_little},
	{"committed in full is there from the start", committed_in_full_is_there_from_the_start},
	{"user without privileges runs one", user_without_privileges_runs_one},
	{"mode of the socket says who may come", mode_of_the_socket_says_who_may_come},
	{"without a supervisor there is one process", without_a_supervisor_there_is_one_process},
	CU_TEST_INFO_NULL,
};
