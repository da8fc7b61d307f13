/* tests/scale/test_clients.c - a thousand clients at once, and what is said where they do not fit.
 *
 * Four processes have 250 clients each. Each client holds frames with its own mark in them; then
 * the server is killed, and all go on. What they cost in descriptors and memory is printed. */
#include "paged/files.h"
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PROCESSES 4u
#define CLIENTS 250u /* of a process */
#define FRAMES 8u    /* of a client */
#define ASKED 10u    /* order of a block that no magazine has: a request */

enum word { SAY_ATTACHED = 1, DO_CHECK, SAY_CHECKED, DO_END, SAY_ENDED };

/* --- looking ------------------------------------------------------------------------------------
 */

static uint32_t count_files(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return 0;
	while (readdir(directory))
		n++;
	(void)closedir(directory);
	return n - 2;
}

static uint64_t resident_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %llu kB", &kib) == 1)
			break;
	if (file)
		(void)fclose(file);
	return kib;
}

/* --- a process with clients ---------------------------------------------------------------------
 */

struct crowd {
	const struct fixture *fixture;
	uint32_t number;
	pageclient *client[CLIENTS];
	uint64_t *frame[CLIENTS][FRAMES];
};

static uint64_t mark_of(const struct crowd *crowd, uint32_t i, uint32_t frame)
{
	return (uint64_t)crowd->number << 32 | i << 8 | frame;
}

static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void crowd_attach(struct crowd *crowd)
{
	struct pageclient_options options;
	char name[32];

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = crowd->fixture->socket;
	options.name = name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		(void)snprintf(name, sizeof(name), "crowd %u.%u", crowd->number, i);
		CHILD_CHECK(pageclient_open(&options, &crowd->client[i]) == 0);
		for (uint32_t k = 0; k < FRAMES; k++) {
			crowd->frame[i][k] = pageclient_alloc(crowd->client[i], 0, 0);
			CHILD_CHECK(crowd->frame[i][k]);
			*crowd->frame[i][k] = mark_of(crowd, i, k);
		}
	}
}

/* All marks are there, and each client gets a block and gives it back. */
static void crowd_check(struct crowd *crowd)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		void *block;

		for (uint32_t k = 0; k < FRAMES; k++)
			CHILD_CHECK(*crowd->frame[i][k] == mark_of(crowd, i, k));
		while (!(block = pageclient_alloc(crowd->client[i], ASKED, 0)))
			CHILD_CHECK(errno == ENOTCONN); /* the next server is on its way */
		pageclient_free(crowd->client[i], block, ASKED);
	}
}

static void crowd_end(struct crowd *crowd)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		for (uint32_t k = 0; k < FRAMES; k++)
			pageclient_free(crowd->client[i], crowd->frame[i][k], 0);
		pageclient_close(crowd->client[i]);
	}
}

static int crowd_body(int fd, void *arg)
{
	struct crowd *crowd = arg;
	uint64_t word;

	raise_descriptors();
	crowd_attach(crowd);
	CHILD_CHECK(child_say(fd, SAY_ATTACHED));
	while (child_hear(fd, &word) && word == DO_CHECK) {
		crowd_check(crowd);
		CHILD_CHECK(child_say(fd, SAY_CHECKED));
	}
	crowd_end(crowd);
	CHILD_CHECK(child_say(fd, SAY_ENDED));
	return child_expect(fd, DO_END) ? 0 : 1;
}

/* --- a thousand ---------------------------------------------------------------------------------
 */

static void all(const struct child *child, enum word word, enum word answer)
{
	for (uint32_t p = 0; p < PROCESSES; p++)
		CU_ASSERT_TRUE(child_say(child[p].fd, word));
	for (uint32_t p = 0; p < PROCESSES; p++)
		CU_ASSERT_TRUE(child_expect(child[p].fd, answer));
}

static void look_at_a_thousand(const struct fixture *f)
{
	uint32_t n = PROCESSES * CLIENTS, server = count_files(fixture_server(f));
	json_t *root = fixture_ctl_json(f, "status");
	uint64_t ctl;

	CU_ASSERT_EQUAL(fixture_json_number(root, "clients"), n);
	CU_ASSERT_EQUAL(fixture_json_number(root, "page_tables.processes"), PROCESSES);
	CU_ASSERT_TRUE(fixture_json_number(root, "owned") >= (uint64_t)n * FRAMES);
	CU_ASSERT_TRUE(fixture_json_number(root, "descriptors.clients") >= n);
	ctl = fixture_json_number(root, "metadata.ctl_bytes");
	json_decref(root);
	root = fixture_ctl_json(f, "clients");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "clients")), n);
	json_decref(root);
	CU_ASSERT_TRUE(server <= n * FILES_PER_CLIENT + FILES_OF_SERVER);
	CU_ASSERT_TRUE(count_files(f->pid) <= n + FILES_OF_SERVER);
	CU_ASSERT_TRUE(fixture_check(f));
	(void)printf(
		" %u clients: %u descriptors of the server, %u of the supervisor; the server has "
		"%llu KiB resident, CTLs %llu KiB ",
		n, server, count_files(f->pid), (unsigned long long)resident_kib(fixture_server(f)),
		(unsigned long long)(ctl >> 10));
}

static void a_thousand_clients_are_served_at_once(void)
{
	static struct crowd crowd[PROCESSES];
	struct child child[PROCESSES];
	struct observer observer;
	struct fixture f;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 1G\n[pcp]\nbatch = 16\n"));
	for (uint32_t p = 0; p < PROCESSES; p++) {
		crowd[p] = (struct crowd){.fixture = &f, .number = p};
		CU_ASSERT_TRUE(child_start(&child[p], crowd_body, &crowd[p]));
	}
	for (uint32_t p = 0; p < PROCESSES; p++)
		CU_ASSERT_TRUE(child_expect(child[p].fd, SAY_ATTACHED));
	look_at_a_thousand(&f);
	all(child, DO_CHECK, SAY_CHECKED);
	server = fixture_server(&f);
	CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
	all(child, DO_CHECK, SAY_CHECKED);
	CU_ASSERT_NOT_EQUAL(fixture_server(&f), server);
	look_at_a_thousand(&f);
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	all(child, DO_END, SAY_ENDED);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	for (uint32_t p = 0; p < PROCESSES; p++) {
		CU_ASSERT_TRUE(child_say(child[p].fd, DO_END));
		CU_ASSERT_EQUAL(child_end(&child[p]), 0);
	}
	observer_close(&observer);
	fixture_close(&f);
}

/* They all die at one moment. */
static void a_thousand_clients_that_are_killed_leave_nothing(void)
{
	static struct crowd crowd[PROCESSES];
	struct child child[PROCESSES];
	struct observer observer;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 1G\n[pcp]\nbatch = 16\n"));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	for (uint32_t p = 0; p < PROCESSES; p++) {
		crowd[p] = (struct crowd){.fixture = &f, .number = p};
		CU_ASSERT_TRUE(child_start(&child[p], crowd_body, &crowd[p]));
	}
	for (uint32_t p = 0; p < PROCESSES; p++)
		CU_ASSERT_TRUE(child_expect(child[p].fd, SAY_ATTACHED));
	for (uint32_t p = 0; p < PROCESSES; p++)
		child_kill(&child[p]);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_TRUE(count_files(fixture_server(&f)) <= FILES_OF_SERVER);
	observer_close(&observer);
	fixture_close(&f);
}

/* --- where they do not fit ----------------------------------------------------------------------
 */

#define FIT 6u

static void allow_few(struct fixture *fixture)
{
	const rlim_t most = FILES_OF_SERVER + FIT * FILES_PER_CLIENT;
	const struct rlimit limit = {most, most};

	(void)fixture;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void a_low_limit_of_descriptors_is_told_and_holds_what_it_promises(void)
{
	pageclient *client[FIT];
	struct fixture f;
	json_t *root;

	fixture_make(&f, "[segment]\nsize = 64M\n");
	f.before_exec = allow_few;
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "room for 6 clients of 1024"));
	for (uint32_t i = 0; i < FIT; i++) {
		client[i] = fixture_client(&f, "few");
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client[i], 0, 0));
	}
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_EQUAL(fixture_json_number(root, "descriptors.clients"), FIT);
	CU_ASSERT_EQUAL(fixture_json_number(root, "clients"), FIT);
	json_decref(root);
	for (uint32_t i = 0; i < FIT; i++)
		pageclient_close(client[i]);
	fixture_close(&f);
}

/* The soft limit is for programs that use select(). */
static void allow_few_softly(struct fixture *fixture)
{
	struct rlimit limit;

	(void)fixture;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 32;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void the_soft_limit_is_raised_for_every_server(void)
{
	struct rlimit limit;
	struct fixture f;
	json_t *root;
	pid_t server;

	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_make(&f, "[segment]\nsize = 64M\n");
	f.before_exec = allow_few_softly;
	CU_ASSERT_TRUE(fixture_start(&f));
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_EQUAL(fixture_json_number(root, "descriptors.limit"), limit.rlim_max);
	json_decref(root);
	server = fixture_server(&f);
	CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
	pageclient_close(fixture_client(&f, "after"));
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_EQUAL(fixture_json_number(root, "descriptors.limit"), limit.rlim_max);
	json_decref(root);
	fixture_close(&f);
}

CU_TestInfo test_clients[] = {
	{"a thousand clients are served at once, also by the next server",
	 a_thousand_clients_are_served_at_once},
	{"a thousand clients that are killed leave nothing",
	 a_thousand_clients_that_are_killed_leave_nothing},
	{"a low limit of descriptors is told, and holds what it promises",
	 a_low_limit_of_descriptors_is_told_and_holds_what_it_promises},
	{"the soft limit is raised, for every server", the_soft_limit_is_raised_for_every_server},
	CU_TEST_INFO_NULL,
};
