/* tests/integration/test_pressure.c - pressure from outside and to the outside: a fake cgroup, a
 * program that knows only the pressure socket, PSI against a hand count, and memory that goes back.
 */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

extern CU_TestInfo test_pressure[];

static const char config[] = "[segment]\nsize = 32M\n[pcp]\nbatch = 16\n"
			     "[reclaim]\ngive_back_after = 200ms\n";

/* --- a cgroup of the test's own --- */

static void put(const struct fixture *f, const char *name, const char *text)
{
	char path[160];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/cgroup/%s", f->directory, name);
	file = fopen(path, "we"); /* in place: the daemon has it open */
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

/* MEMORY_PRESSURE_WATCH is not what counts here. */
static void unset_watch(struct fixture *f)
{
	(void)f;
	(void)setenv("MEMORY_PRESSURE_WATCH", "", 1);
}

static void open_in_cgroup(struct fixture *f)
{
	char text[256], path[128];

	fixture_make(f, config);
	(void)snprintf(path, sizeof(path), "%s/cgroup", f->directory);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	put(f, "memory.max", "max\n");
	put(f, "memory.high", "max\n");
	put(f, "memory.current", "1048576\n");
	put(f, "memory.stat", "inactive_file 0\n");
	(void)snprintf(text, sizeof(text), "%scgroup_root = %s\n", config, path);
	fixture_configure(f, text);
	f->before_exec = unset_watch;
	CU_ASSERT_TRUE_FATAL(fixture_start(f));
}

static void close_in_cgroup(struct fixture *f)
{
	static const char *const names[] = {"memory.max", "memory.high", "memory.current",
					    "memory.stat"};
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/cgroup/%s", f->directory, names[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/cgroup", f->directory);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	fixture_close(f);
}

/* --- a client that listens --- */

struct listener {
	pageclient *client;
	int level; /* that on_pressure told last; -1: none */
};

static void on_pressure(void *arg, enum pageclient_level level)
{
	struct listener *listener = arg;

	__atomic_store_n(&listener->level, (int)level, __ATOMIC_RELEASE); /* pairs with hears() */
}

static void listener_open(struct listener *listener, const struct fixture *f)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.name = "listener";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	options.on_pressure = on_pressure;
	options.arg = listener;
	listener->level = -1;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &listener->client), 0);
}

/* Dispatches (or lets the library's thread do it) until it heard of the level. */
static bool hears(struct listener *listener, bool dispatches, int level)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     __atomic_load_n(&listener->level, __ATOMIC_ACQUIRE) != level;) {
		if (dispatches)
			(void)pageclient_dispatch(listener->client);
		if (!clock_pause(until))
			return false;
	}
	return true;
}

static void simulate(const struct fixture *f, const char *level)
{
	struct program ctl;

	fixture_ctl(f, &ctl, "pressure", "--simulate", level, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "machine"));
	program_done(&ctl);
}

static void clients_are_told_in_dispatch_and_in_the_thread(void)
{
	struct pageclient_status status;
	struct listener a, b;
	struct fixture f;
	json_t *root;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	listener_open(&a, &f);
	listener_open(&b, &f);
	CU_ASSERT_EQUAL(pageclient_start_thread(b.client), 0);
	simulate(&f, "medium");
	CU_ASSERT_TRUE(hears(&a, true, PAGECLIENT_LEVEL_MEDIUM));
	CU_ASSERT_TRUE(hears(&b, false, PAGECLIENT_LEVEL_MEDIUM));
	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(a.client, &status), 0);
	CU_ASSERT_EQUAL(status.level, PAGECLIENT_LEVEL_MEDIUM);
	root = fixture_ctl_json(&f, "pressure");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "machine")), "medium");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "own")), "none");
	json_decref(root);
	simulate(&f, "off");
	CU_ASSERT_TRUE(hears(&a, true, PAGECLIENT_LEVEL_NONE));
	CU_ASSERT_TRUE(hears(&b, false, PAGECLIENT_LEVEL_NONE));
	pageclient_close(a.client);
	pageclient_close(b.client);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void a_level_of_another_name_is_a_usage_error(void)
{
	struct program ctl;
	struct fixture f;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	fixture_ctl(&f, &ctl, "pressure", "--simulate", "severe", NULL);
	CU_ASSERT_EQUAL(ctl.status, 2);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	fixture_close(&f);
}

/* --- the machine --- */

static uint64_t counter(const struct fixture *f, const char *name)
{
	json_t *root = fixture_ctl_json(f, "vmstat");
	uint64_t n = fixture_json_number(root, name);

	json_decref(root);
	return n;
}

static void a_cgroup_near_its_limit_gets_memory_back(void)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct listener a;
	struct fixture f;
	void *frames;

	open_in_cgroup(&f);
	listener_open(&a, &f);
	frames = pageclient_alloc(a.client, 12, 0); /* 16 MiB that get memory, and are free then */
	CU_ASSERT_PTR_NOT_NULL(frames);
	pageclient_free(a.client, frames, 12);
	put(&f, "memory.max", "1073741824\n");
	put(&f, "memory.current", "1000000000\n");
	CU_ASSERT_TRUE(hears(&a, true, PAGECLIENT_LEVEL_MEDIUM));
	while (counter(&f, "pgpunch") < 8 && clock_pause(until))
		;
	CU_ASSERT_TRUE(counter(&f, "pgpunch") >= 8);
	put(&f, "memory.current", "1048576\n");
	CU_ASSERT_TRUE(hears(&a, true, PAGECLIENT_LEVEL_NONE));
	frames = pageclient_alloc(a.client, 12, 0); /* and it grows again */
	CU_ASSERT_PTR_NOT_NULL(frames);
	if (frames)
		memset(frames, 0x5A, 4096 << 12);
	pageclient_free(a.client, frames, 12);
	pageclient_close(a.client);
	CU_ASSERT_TRUE(fixture_check(&f));
	close_in_cgroup(&f);
}

static void memory_high_is_pressure_too(void)
{
	struct listener a;
	struct fixture f;

	open_in_cgroup(&f);
	listener_open(&a, &f);
	put(&f, "memory.high", "1048576\n");
	CU_ASSERT_TRUE(hears(&a, true, PAGECLIENT_LEVEL_MEDIUM));
	CU_ASSERT_TRUE(fixture_log_gets(&f, "memory.high"));
	pageclient_close(a.client);
	close_in_cgroup(&f);
}

/* --- who waits --- */

static int subscribe(const struct fixture *f, const char *trigger)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/pressure.sock",
		       f->directory);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(send(fd, trigger, strlen(trigger) + 1, MSG_NOSIGNAL),
			(ssize_t)strlen(trigger) + 1);
	return fd;
}

static bool is_readable(int fd)
{
	struct pollfd item = {.fd = fd, .events = POLLIN};

	return poll(&item, 1, CLOCK_PATIENCE_MS) == 1;
}

#define NEEDY_MS 1500u

struct needy {
	pageclient *client;
	uint64_t waited_ms;
	void *frame;
	int error;
};

static void *wait_for_a_frame(void *arg)
{
	struct needy *needy = arg;
	uint64_t from = clock_now_ms();

	needy->frame = pageclient_alloc(needy->client, 0, 0);
	needy->error = errno;
	needy->waited_ms = clock_now_ms() - from;
	return NULL;
}

static uint64_t some_us(const struct fixture *f)
{
	json_t *root = fixture_ctl_json(f, "psi");
	uint64_t us = fixture_json_number(root, "some.total_us");

	json_decref(root);
	return us;
}

/* Takes all that there is, and not what comes in time alone. Returns how many that are. */
static uint32_t take_all(const struct fixture *f, pageclient *client, void **frames)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS), min, free;
	uint32_t n = 0;

	do {
		json_t *root;

		while (n < 8192 && (frames[n] = pageclient_alloc(client, 0, 0)))
			n++;
		root = fixture_ctl_json(f, "status");
		free = fixture_json_number(root, "free");
		min = fixture_json_number(root, "watermarks.min");
		json_decref(root);
	} while (free > min && clock_pause(until));
	return n;
}

static void who_waits_is_counted_and_told_to_subscribers(void)
{
	char bytes[8];
	uint64_t total, before;
	struct fixture f;
	int fd, slow;
	pthread_t thread;
	struct needy needy = {NULL};
	struct pageclient_options options;
	pageclient *hog;
	void **frames = calloc(8192, sizeof(*frames));
	uint32_t n;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.name = "hog";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = 100;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &hog), 0);
	options.name = "needy";
	options.alloc_timeout_ms = NEEDY_MS;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &needy.client), 0);
	n = take_all(&f, hog, frames);
	fd = subscribe(&f, "some 100000 500000");
	slow = subscribe(&f, "full 9000000 10000000");
	before = some_us(&f);
	CU_ASSERT_EQUAL(pthread_create(&thread, NULL, wait_for_a_frame, &needy), 0);
	CU_ASSERT_TRUE(is_readable(fd));
	CU_ASSERT_EQUAL(recv(fd, bytes, sizeof(bytes), 0), 1);
	(void)pthread_join(thread, NULL);
	total = some_us(&f) - before;
	/* Who was refused has waited for as long as it said, and its own count holds the daemon's.
	 * Who gave up knows nothing of what the daemon counts. */
	CU_ASSERT_PTR_NULL(needy.frame);
	CU_ASSERT_TRUE(total / 1000 <= needy.waited_ms + 1 || needy.error == ETIMEDOUT);
	CU_ASSERT_TRUE(total / 1000 + 1 >= NEEDY_MS || needy.error == ETIMEDOUT);
	CU_ASSERT_EQUAL(recv(slow, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
	(void)kill(fixture_server(&f),
		   SIGKILL); /* a crash is EOF, and the next server has its own */
	CU_ASSERT_TRUE(is_readable(slow));
	CU_ASSERT_TRUE(recv(slow, bytes, sizeof(bytes), 0) <= 0);
	(void)close(fd);
	(void)close(slow);
	for (uint32_t i = 0; i < n; i++)
		pageclient_free(hog, frames[i], 0);
	if (needy.frame)
		pageclient_free(needy.client, needy.frame, 0);
	free(frames);
	CU_ASSERT_TRUE(fixture_check(&f));
	fd = subscribe(&f, "some 100000 500000");
	(void)close(fd);
	pageclient_close(hog);
	pageclient_close(needy.client);
	fixture_close(&f);
}

CU_TestInfo test_pressure[] = {
	{"clients are told in dispatch and in the thread",
	 clients_are_told_in_dispatch_and_in_the_thread},
	{"a level of another name is a usage error", a_level_of_another_name_is_a_usage_error},
	{"a cgroup near its limit gets memory back", a_cgroup_near_its_limit_gets_memory_back},
	{"memory high is pressure too", memory_high_is_pressure_too},
	{"who waits is counted and told to subscribers",
	 who_waits_is_counted_and_told_to_subscribers},
	CU_TEST_INFO_NULL,
};
