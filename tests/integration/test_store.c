/* tests/integration/test_store.c - the service manager's fd store: what is told to it, and what a
 * daemon makes of what it is handed at its start. The manager is the test. */
#include "paged/message.h"
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"
#include "tests/support/received.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_store[];

static const char memfd[] = "[segment]\nsize = 64M\nbacking = memfd\n[pcp]\nbatch = 16\n";
static const char posix[] = "[segment]\nsize = 64M\nbacking = posix\n[pcp]\nbatch = 16\n";

#define STORED_MAX 8u
#define FD_FIRST 3
#define FD_ASIDE 200 /* where none of ours is */

struct stored {
	char name[32];
	int fd;
};

/* A thread of its own listens, as nobody may keep the daemon waiting; what it heard is under the
 * lock. */
struct manager {
	char path[96];
	int notify_fd, listen_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	uint32_t n;
	struct stored stored[STORED_MAX]; /* in the order of their coming */
	char status[128];
	uint32_t n_alive; /* WATCHDOG=1 */
};

/* --- what it hears -------------------------------------------------------------------------- */

/* With the lock. */
static void forget(struct manager *manager, const char *name)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < manager->n; i++)
		if (strcmp(manager->stored[i].name, name) == 0)
			(void)close(manager->stored[i].fd);
		else
			manager->stored[kept++] = manager->stored[i];
	manager->n = kept;
}

static void take_message(struct manager *manager, char *text, int fd)
{
	struct stored stored = {.fd = fd};
	bool store = false, remove = false, poll_off = false;

	for (char *rest, *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		store |= strcmp(line, "FDSTORE=1") == 0;
		remove |= strcmp(line, "FDSTOREREMOVE=1") == 0;
		poll_off |= strcmp(line, "FDPOLL=0") == 0;
		manager->n_alive += strcmp(line, "WATCHDOG=1") == 0;
		if (strncmp(line, "FDNAME=", 7) == 0)
			(void)snprintf(stored.name, sizeof(stored.name), "%s", line + 7);
		if (strncmp(line, "STATUS=", 7) == 0)
			(void)snprintf(manager->status, sizeof(manager->status), "%s", line + 7);
	}
	CU_ASSERT_EQUAL(store, fd >= 0);
	if (remove)
		forget(manager, stored.name);
	if (!store)
		return;
	CU_ASSERT_TRUE(poll_off);
	CU_ASSERT_TRUE(manager->n < STORED_MAX && stored.name[0]);
	if (manager->n < STORED_MAX)
		manager->stored[manager->n++] = stored;
}

/* Until the end is told: an empty message. */
static void *listen_on(void *arg)
{
	struct manager *manager = arg;

	for (;;) {
		_Alignas(struct cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))];
		char text[1024] = "";
		struct iovec bytes = {.iov_base = text, .iov_len = sizeof(text) - 1};
		struct msghdr message = {.msg_iov = &bytes,
					 .msg_iovlen = 1,
					 .msg_control = space,
					 .msg_controllen = sizeof(space)};
		int fds[MESSAGE_FDS_MAX] = {-1, -1};

		if (recvmsg(manager->notify_fd, &message, MSG_CMSG_CLOEXEC) <= 0)
			return NULL;
		received_fds(&message, fds);
		(void)pthread_mutex_lock(&manager->lock);
		take_message(manager, text, fds[0]);
		(void)pthread_mutex_unlock(&manager->lock);
	}
}

static bool has(struct manager *manager, const char *name)
{
	bool found = false;

	(void)pthread_mutex_lock(&manager->lock);
	for (uint32_t i = 0; i < manager->n; i++)
		found |= strcmp(manager->stored[i].name, name) == 0;
	(void)pthread_mutex_unlock(&manager->lock);
	return found;
}

static uint64_t stored_bytes(struct manager *manager, const char *name)
{
	struct stat st = {0};

	(void)pthread_mutex_lock(&manager->lock);
	for (uint32_t i = 0; i < manager->n; i++)
		if (strcmp(manager->stored[i].name, name) == 0)
			CU_ASSERT_EQUAL(fstat(manager->stored[i].fd, &st), 0);
	(void)pthread_mutex_unlock(&manager->lock);
	return (uint64_t)st.st_size;
}

static uint32_t n_stored(struct manager *manager)
{
	uint32_t n;

	(void)pthread_mutex_lock(&manager->lock);
	n = manager->n;
	(void)pthread_mutex_unlock(&manager->lock);
	return n;
}

static bool hears_n_stored(struct manager *manager, uint32_t n)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     n_stored(manager) != n && clock_pause(until);)
		;
	return n_stored(manager) == n;
}

static bool is_status(struct manager *manager, const char *text)
{
	bool same;

	(void)pthread_mutex_lock(&manager->lock);
	same = strstr(manager->status, text) != NULL;
	(void)pthread_mutex_unlock(&manager->lock);
	return same;
}

static bool hears_status(struct manager *manager, const char *text)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     !is_status(manager, text) && clock_pause(until);)
		;
	return is_status(manager, text);
}

static uint32_t n_alive(struct manager *manager)
{
	uint32_t n;

	(void)pthread_mutex_lock(&manager->lock);
	n = manager->n_alive;
	(void)pthread_mutex_unlock(&manager->lock);
	return n;
}

/* --- what it hands on ----------------------------------------------------------------------- */

/* The last that came first: what counts is the name. */
static void with_what_is_stored(struct fixture *fixture)
{
	const struct manager *manager = fixture->arg;
	char names[STORED_MAX * 33 + 16] = "", number[16];
	int n = (int)manager->n;

	for (int i = 0; i < n; i++)
		(void)fcntl(manager->stored[n - 1 - i].fd, F_DUPFD, FD_ASIDE + i);
	(void)fcntl(manager->listen_fd, F_DUPFD, FD_ASIDE + n);
	for (int i = 0; i <= n; i++)
		(void)dup2(FD_ASIDE + i, FD_FIRST + i);
	for (int i = 0; i < n; i++) {
		(void)strcat(names, manager->stored[n - 1 - i].name);
		(void)strcat(names, ":");
	}
	(void)strcat(names, "paged.socket");
	(void)setenv("LISTEN_FDNAMES", names, 1);
	(void)snprintf(number, sizeof(number), "%d", n + 1);
	(void)setenv("LISTEN_FDS", number, 1);
	(void)snprintf(number, sizeof(number), "%d", getpid());
	(void)setenv("LISTEN_PID", number, 1);
	(void)setenv("NOTIFY_SOCKET", manager->path, 1);
}

static int socket_at(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type != SOCK_DGRAM)
		CU_ASSERT_EQUAL(listen(fd, 16), 0);
	return fd;
}

static void manager_open(struct manager *manager, struct fixture *fixture, const char *config)
{
	*manager = (struct manager){0};
	fixture_make(fixture, config);
	(void)snprintf(manager->path, sizeof(manager->path), "%s/notify", fixture->directory);
	manager->notify_fd = socket_at(manager->path, SOCK_DGRAM);
	manager->listen_fd = socket_at(fixture->socket, SOCK_SEQPACKET);
	(void)pthread_mutex_init(&manager->lock, NULL);
	CU_ASSERT_EQUAL(pthread_create(&manager->thread, NULL, listen_on, manager), 0);
	fixture->before_exec = with_what_is_stored;
	fixture->arg = manager;
	CU_ASSERT_TRUE(fixture_start(fixture));
}

static void manager_close(struct manager *manager, struct fixture *fixture)
{
	fixture_close(fixture);
	(void)shutdown(manager->notify_fd, SHUT_RDWR);
	(void)pthread_join(manager->thread, NULL);
	(void)pthread_mutex_destroy(&manager->lock);
	for (uint32_t i = 0; i < manager->n; i++)
		(void)close(manager->stored[i].fd);
	(void)close(manager->notify_fd);
	(void)close(manager->listen_fd);
}

/* Looks for the daemon, as a program does that only dispatches. */
static bool becomes(pageclient *client, enum pageclient_state state)
{
	struct pageclient_status status;
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	PAGECLIENT_INIT(struct pageclient_status, &status);
	do {
		(void)pageclient_dispatch(client);
		if (pageclient_read_status(client, &status) == -ENOTCONN)
			status.state = PAGECLIENT_LOST;
	} while (status.state != state && clock_pause(until));
	return status.state == state;
}

/* --- tests ---------------------------------------------------------------------------------- */

/* Once as a crash ends it, once as `systemctl restart` does. */
static void memfd_segment_is_found_again_by_name(void)
{
	struct manager manager;
	struct fixture f;
	pageclient *client;
	char *frame;

	manager_open(&manager, &f, memfd);
	client = fixture_client(&f, "kept");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	(void)strcpy(frame, "still here");
	CU_ASSERT_TRUE(hears_n_stored(&manager, 4));
	CU_ASSERT_TRUE(has(&manager, "meta") && has(&manager, "state") && has(&manager, "data") &&
		       has(&manager, "ctl-1"));
	for (int i = 0; i < 2; i++) {
		if (i)
			fixture_stop(&f);
		else
			fixture_kill(&f);
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_TRUE(becomes(client, PAGECLIENT_CONNECTED));
		CU_ASSERT_STRING_EQUAL(frame, "still here");
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 3, 0));
		CU_ASSERT_TRUE(fixture_check(&f));
	}
	CU_ASSERT_TRUE(fixture_log_has(&f, "memfd, as the last daemon left it"));
	CU_ASSERT_EQUAL(n_stored(&manager), 4);
	pageclient_close(client);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	manager_close(&manager, &f);
}

static void half_a_segment_is_given_up(void)
{
	struct manager manager;
	struct fixture f;
	pageclient *client;

	manager_open(&manager, &f, memfd);
	client = fixture_client(&f, "lost");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	CU_ASSERT_TRUE(hears_n_stored(&manager, 4));
	fixture_kill(&f);
	forget(&manager, "data");
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "that the service manager held is given up"));
	CU_ASSERT_TRUE(becomes(client, PAGECLIENT_LOST));
	pageclient_close(client);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3)); /* new ones, and no CTL */
	CU_ASSERT_TRUE(has(&manager, "data"));
	CU_ASSERT_TRUE(fixture_check(&f));
	manager_close(&manager, &f);
}

/* Another size is another segment: the old one is not to be held for ever. */
static void segment_of_another_size_is_replaced_in_the_store(void)
{
	struct manager manager;
	struct fixture f;

	manager_open(&manager, &f, memfd);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3));
	fixture_stop(&f);
	fixture_configure(&f, "[segment]\nsize = 32M\nbacking = memfd\n");
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(hears_status(&manager, "of 32M in use"));
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3));
	CU_ASSERT_TRUE(stored_bytes(&manager, "data") < 64 << 20);
	manager_close(&manager, &f);
}

static void ctls_are_held_with_any_backing(void)
{
	struct manager manager;
	struct fixture f;
	pageclient *one, *two;
	struct program ctl;

	manager_open(&manager, &f, posix);
	one = fixture_client(&f, "one");
	two = fixture_client(&f, "two");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(one, 0, 0));
	CU_ASSERT_TRUE(hears_n_stored(&manager, 2));
	fixture_kill(&f);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(hears_status(&manager, "serving 2 client(s)"));
	/* Nobody has resumed yet, and what lies in the magazines can be had. */
	fixture_ctl(&f, &ctl, "drain", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_TRUE(strstr(ctl.out, "frames") && !strstr(ctl.out, " 0 frames"));
	program_done(&ctl);
	pageclient_close(two);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 1));
	CU_ASSERT_TRUE(becomes(one, PAGECLIENT_CONNECTED));
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(one);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 0));
	manager_close(&manager, &f);
}

/* A newer daemon's, an administrator's, or one that was made to look like ours. */
static void strange_files_are_not_believed(void)
{
	static const char *const names[] = {"other", "ctl-0", "ctl-01", "ctl-99999", "meta"};
	struct manager manager;
	struct fixture f;

	manager_open(&manager, &f, memfd);
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3));
	fixture_stop(&f);
	while (manager.n)
		forget(&manager, manager.stored[0].name);
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stored *stored = &manager.stored[manager.n++];

		(void)snprintf(stored->name, sizeof(stored->name), "%s", names[i]);
		stored->fd = memfd_create("strange", MFD_CLOEXEC);
		CU_ASSERT_EQUAL(ftruncate(stored->fd, 4096), 0);
	}
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(hears_n_stored(&manager, 3));
	CU_ASSERT_TRUE(has(&manager, "meta") && has(&manager, "state") && has(&manager, "data"));
	CU_ASSERT_TRUE(fixture_check(&f));
	manager_close(&manager, &f);
}

static void status_and_watchdog_follow_the_loop(void)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct manager manager;
	struct fixture f;
	pageclient *client;
	uint32_t seen;

	manager_open(&manager, &f, posix);
	CU_ASSERT_TRUE(hears_status(&manager, "serving 0 client(s), 0% of 64M in use"));
	client = fixture_client(&f, "one");
	CU_ASSERT_TRUE(hears_status(&manager, "serving 1 client(s)"));
	seen = n_alive(&manager);
	while (n_alive(&manager) < seen + 2 && clock_pause(until))
		;
	CU_ASSERT_TRUE(n_alive(&manager) >= seen + 2);
	pageclient_close(client);
	manager_close(&manager, &f);
}

CU_TestInfo test_store[] = {
	{"memfd segment is found again by name", memfd_segment_is_found_again_by_name},
	{"half a segment is given up", half_a_segment_is_given_up},
	{"segment of another size is replaced in the store",
	 segment_of_another_size_is_replaced_in_the_store},
	{"ctls are held with any backing", ctls_are_held_with_any_backing},
	{"strange files are not believed", strange_files_are_not_believed},
	{"status and watchdog follow the loop", status_and_watchdog_follow_the_loop},
	CU_TEST_INFO_NULL,
};
