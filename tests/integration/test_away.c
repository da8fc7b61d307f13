/* tests/integration/test_away.c - the library where there is no daemon: from the start, hung, or
 * gone. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

extern CU_TestInfo test_away[];

static const char config[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\n";

static int open_with(const struct fixture *f, uint32_t flags, pageclient **ret_client)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.flags = flags;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	return pageclient_open(&options, ret_client);
}

/* --- no daemon ------------------------------------------------------------------------------ */

static void no_daemon_is_noticed_at_once(void)
{
	struct fixture f;
	pageclient *client = NULL;
	uint64_t before = clock_now_ms();

	fixture_make(&f, "");
	CU_ASSERT_EQUAL(open_with(&f, 0, &client), -ENOTCONN);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), f.socket));
	CU_ASSERT_TRUE(fixture_start(&f));
	fixture_kill(&f); /* a stale socket */
	CU_ASSERT_EQUAL(open_with(&f, 0, &client), -ENOTCONN);
	CU_ASSERT_PTR_NULL(client);
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	fixture_close(&f);
}

static void daemon_that_does_not_answer_is_a_timeout(void)
{
	struct fixture f;
	struct pageclient_options options;
	pageclient *client = NULL;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	server = fixture_server(&f);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.connect_timeout_ms = 100;
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -ETIMEDOUT);
	CU_ASSERT_PTR_NULL(client);
	CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
	fixture_close(&f);
}

/* All of these Hellos are read in one go, before any of their connections is seen to have ended. */
static void opens_that_were_given_up_leave_no_clients_behind(void)
{
	struct fixture f;
	struct observer observer;
	struct pageclient_options options;
	pageclient *client = NULL;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	server = fixture_server(&f);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.connect_timeout_ms = 20;
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(pageclient_open(&options, &client), -ETIMEDOUT);
	CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	CU_ASSERT_TRUE_FATAL(observer_open(&observer, &f));
	CU_ASSERT_EQUAL(observer_count_clients(&observer), 1);
	observer_close(&observer);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0)); /* and it is this one */
	pageclient_close(client);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

#define TICK_US 10000
#define TICKS_MAX 4000 /* 40 s: far more than the call's own time */

static struct {
	volatile sig_atomic_t n;
	pid_t server;
} ticks;

/* Who waits for too long is helped, so that the test ends. */
static void tick(int signal)
{
	(void)signal;
	if (++ticks.n == TICKS_MAX)
		(void)kill(ticks.server, SIGCONT);
}

/* A profiler's timer, say: each signal ends the wait in the kernel, and none begins it anew. */
static void signals_put_no_timeout_off(void)
{
	const struct itimerval often = {{0, TICK_US}, {0, TICK_US}}, never = {{0, 0}, {0, 0}};
	struct sigaction before, action = {.sa_handler = tick, .sa_flags = SA_RESTART};
	struct pageclient_options options;
	struct pageclient_status status;
	pageclient *client;
	struct fixture f;
	int r;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	PAGECLIENT_INIT(struct pageclient_status, &status);
	options.socket = f.socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = 800;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	ticks.n = 0;
	ticks.server = fixture_server(&f);
	CU_ASSERT_EQUAL(kill(ticks.server, SIGSTOP), 0);
	CU_ASSERT_EQUAL(sigaction(SIGALRM, &action, &before), 0);
	CU_ASSERT_EQUAL(setitimer(ITIMER_REAL, &often, NULL), 0);
	r = pageclient_read_status(client, &status);
	CU_ASSERT_EQUAL(setitimer(ITIMER_REAL, &never, NULL), 0);
	CU_ASSERT_EQUAL(sigaction(SIGALRM, &before, NULL), 0);
	CU_ASSERT_EQUAL(r, -ETIMEDOUT);
	CU_ASSERT_TRUE(ticks.n > 0 && ticks.n < TICKS_MAX);
	CU_ASSERT_EQUAL(kill(ticks.server, SIGCONT), 0);
	pageclient_close(client);
	fixture_close(&f);
}

#define LATE_ORDER 10u
#define LATE_FRAMES 1024u

/* Gives a block up, which the daemon then grants. Where that has no processor for so long that the
 * request is at its own deadline when it is looked at, it does not: again then. */
static bool block_comes_late(pageclient *client, pid_t server)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS), soon; clock_pause(until);) {
		void *block;

		CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
		block = pageclient_alloc(client, LATE_ORDER, 0);
		CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
		if (block) { /* it was not stopped yet */
			pageclient_free(client, block, LATE_ORDER);
			continue;
		}
		CU_ASSERT_EQUAL(errno, ETIMEDOUT);
		for (soon = clock_until(1000); clock_pause(soon);) {
			if (fixture_status(client).nr_owned >= LATE_FRAMES)
				return true;
		}
	}
	return false;
}

/* At work: slow calls, each for one frame. */
static bool comes_to_own_less(pageclient *client, uint64_t frames)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		void *frame = pageclient_alloc(client, 0, PAGECLIENT_COLD);

		pageclient_free_bulk(client, 0, PAGECLIENT_COLD, &frame, 1);
		if (fixture_status(client).nr_owned < frames)
			return true;
	}
	return false;
}

/* It came too late for its caller, and nobody asks for such a one again. */
static void block_that_came_late_goes_back(void)
{
	struct fixture f;
	struct pageclient_options options;
	pageclient *client = NULL;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	server = fixture_server(&f);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.alloc_timeout_ms = 100;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	CU_ASSERT_TRUE(block_comes_late(client, server));
	CU_ASSERT_TRUE(comes_to_own_less(client, LATE_FRAMES));
	pageclient_close(client);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void fallback_serves_private_memory(void)
{
	struct fixture f;
	pageclient *client = NULL;
	char *frame[14];

	fixture_make(&f, "");
	CU_ASSERT_EQUAL(open_with(&f, PAGECLIENT_FALLBACK_PRIVATE, &client), 0);
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_PRIVATE);
	for (unsigned order = 0; order < 14; order++) {
		frame[order] = pageclient_alloc(client, order, PAGECLIENT_ZERO);
		CU_ASSERT_PTR_NOT_NULL(frame[order]);
		if (frame[order])
			frame[order][pageclient_page_size(client) << order >> 1] = 'p';
	}
	for (unsigned order = 0; order < 14; order++)
		pageclient_free(client, frame[order], order);
	pageclient_close(client);
	fixture_close(&f);
}

/* The daemon dies: frames stay, frees never block, allocations say so. */
static void daemon_that_dies_leaves_frames_and_says_so(void)
{
	struct fixture f;
	pageclient *client;
	struct pageclient_options options;
	char *frame[200];
	uint64_t before;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = 200;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), 0);
	CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, (void **)frame, 200), 200);
	for (int i = 0; i < 200; i++)
		memset(frame[i], i, 4096);
	fixture_kill(&f);
	before = clock_now_ms();
	while (pageclient_alloc(client, 0, 0))
		;
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 12, 0));
	for (int i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(frame[i][99], (char)i);
		pageclient_free(client, frame[i], 0);
	}
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0)); /* what was kept */
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_AWAY);
	pageclient_close(client);
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

CU_TestInfo test_away[] = {
	{"no daemon is noticed at once", no_daemon_is_noticed_at_once},
	{"daemon that does not answer is a timeout", daemon_that_does_not_answer_is_a_timeout},
	{"opens that were given up leave no clients behind",
	 opens_that_were_given_up_leave_no_clients_behind},
	{"signals put no timeout off", signals_put_no_timeout_off},
	{"block that came late goes back", block_that_came_late_goes_back},
	{"fallback serves private memory", fallback_serves_private_memory},
	{"daemon that dies leaves frames and says so", daemon_that_dies_leaves_frames_and_says_so},
	CU_TEST_INFO_NULL,
};
