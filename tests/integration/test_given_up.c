/* tests/integration/test_given_up.c - requests that one thread has given up, while others go on
 * with the same frame. The server is stopped, so that a request is on its way and its answer late.
 */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

extern CU_TestInfo test_given_up[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\nbusy_poll = 0\n";
#define SHORT_MS 300u
#define MAX_FRAMES 64u
#define LARGE_ORDER 9u /* more than that, and of a magazine */

/* The client's own time is short; with the server back, it is asked again until that is enough. */
struct given_up {
	struct fixture fixture;
	pageclient *holder, *client;
	pid_t server; /* asked for while it answers */
	uint64_t handle;
	void *seen; /* by client */
	uint64_t until;
};

static void setup(struct given_up *g)
{
	struct pageclient_options options;
	void *frame;

	*g = (struct given_up){.until = clock_until(CLOCK_PATIENCE_MS)};
	CU_ASSERT_TRUE_FATAL(fixture_open(&g->fixture, config));
	g->server = fixture_server(&g->fixture);
	g->holder = fixture_client(&g->fixture, "holder");
	frame = pageclient_alloc(g->holder, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(g->holder, frame, &g->handle), 0);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = g->fixture.socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = SHORT_MS;
	options.alloc_timeout_ms = SHORT_MS;
	options.max_frames = MAX_FRAMES;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &g->client), 0);
}

static void teardown(struct given_up *g)
{
	CU_ASSERT_TRUE(fixture_check(&g->fixture));
	pageclient_close(g->client);
	pageclient_close(g->holder);
	fixture_close(&g->fixture);
}

static void stop(const struct given_up *g)
{
	CU_ASSERT_EQUAL(kill(g->server, SIGSTOP), 0);
}

static void go_on(const struct given_up *g)
{
	CU_ASSERT_EQUAL(kill(g->server, SIGCONT), 0);
}

static bool is_late(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN;
}

static void *gets(struct given_up *g)
{
	void *frame;

	do
		frame = pageclient_alloc(g->client, 0, 0);
	while (!frame && clock_pause(g->until));
	return frame;
}

static int imports(struct given_up *g)
{
	int r;

	do
		r = pageclient_import(g->client, g->handle, &g->seen, NULL);
	while (is_late(r) && clock_pause(g->until));
	return r;
}

static int puts_it(struct given_up *g)
{
	int r;

	do
		r = pageclient_put(g->client, g->seen);
	while (is_late(r) && clock_pause(g->until));
	return r;
}

static void *import_thread(void *arg)
{
	CU_ASSERT_EQUAL(imports(arg), 0);
	return NULL;
}

static void *import_and_put_thread(void *arg)
{
	CU_ASSERT_EQUAL(imports(arg), 0);
	CU_ASSERT_EQUAL(puts_it(arg), 0);
	return NULL;
}

static void in_another_thread(struct given_up *g, void *(*function)(void *))
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, function, g), 0);
	(void)pthread_join(thread, NULL);
}

/* Frames that the daemon says this client has a reference of; -1: not in time. */
static int64_t nr_held(struct given_up *g)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	while (pageclient_read_status(g->client, &status) < 0)
		if (!clock_pause(g->until))
			return -1;
	return (int64_t)status.nr_shared;
}

/* The answer that comes late is not that of the second import: what it brought has been put. */
static void import_again_is_a_reference(void)
{
	struct given_up g;
	void *frame;

	setup(&g);
	stop(&g);
	CU_ASSERT_EQUAL(pageclient_import(g.client, g.handle, &frame, NULL), -ETIMEDOUT);
	go_on(&g);
	in_another_thread(&g, import_and_put_thread);
	CU_ASSERT_EQUAL(nr_held(&g), 0);
	CU_ASSERT_EQUAL(imports(&g), 0);
	CU_ASSERT_EQUAL(nr_held(&g), 1);
	CU_ASSERT_EQUAL(puts_it(&g), 0);
	teardown(&g);
}

/* Nor is a put done because an earlier one of the same frame was. */
static void put_again_ends_the_reference(void)
{
	struct given_up g;

	setup(&g);
	CU_ASSERT_EQUAL(imports(&g), 0);
	stop(&g);
	CU_ASSERT_EQUAL(pageclient_put(g.client, g.seen), 0); /* it is on its way */
	go_on(&g);
	in_another_thread(&g, import_thread);
	CU_ASSERT_EQUAL(nr_held(&g), 1);
	CU_ASSERT_EQUAL(puts_it(&g), 0);
	while (nr_held(&g) > 0 && clock_pause(g.until)) /* a put that was late is done soon */
		continue;
	CU_ASSERT_EQUAL(nr_held(&g), 0);
	teardown(&g);
}

/* The daemon that answered dies before what came late is given back. */
static void import_of_nobody_is_put_in_the_end(void)
{
	struct given_up g;
	uint64_t handle;
	void *frame, *other;

	setup(&g);
	CU_ASSERT_PTR_NOT_NULL((other = gets(&g)));
	stop(&g);
	CU_ASSERT_EQUAL(pageclient_import(g.client, g.handle, &frame, NULL), -ETIMEDOUT);
	go_on(&g);
	CU_ASSERT_EQUAL(nr_held(&g), 1); /* the answer is there, too */
	fixture_kill(&g.fixture);
	CU_ASSERT_EQUAL(pageclient_share(g.client, other, &handle), -EAGAIN);
	CU_ASSERT_TRUE(fixture_start(&g.fixture));
	while (is_late(pageclient_share(g.client, other, &handle)) && clock_pause(g.until))
		continue;
	CU_ASSERT_EQUAL(nr_held(&g), 1);
	g.seen = other;
	CU_ASSERT_EQUAL(puts_it(&g), 0);
	teardown(&g);
}

/* What becomes of a refill that was given up says nothing of another. */
static void refusal_that_came_late_is_not_of_another_order(void)
{
	struct given_up g;
	void *frame;

	setup(&g);
	CU_ASSERT_PTR_NOT_NULL(gets(&g)); /* there are magazines */
	stop(&g);
	CU_ASSERT_PTR_NULL(pageclient_alloc(g.client, LARGE_ORDER, 0));
	CU_ASSERT_EQUAL(errno, ETIMEDOUT);
	go_on(&g);
	CU_ASSERT_EQUAL(nr_held(&g), 0); /* the answer is there, too */
	do
		frame = pageclient_alloc(g.client, 1, 0);
	while (!frame && errno == ETIMEDOUT && clock_pause(g.until));
	CU_ASSERT_PTR_NOT_NULL(frame);
	teardown(&g);
}

CU_TestInfo test_given_up[] = {
	{"import again is a reference", import_again_is_a_reference},
	{"put again ends the reference", put_again_ends_the_reference},
	{"import of nobody is put in the end", import_of_nobody_is_put_in_the_end},
	{"refusal that came late is not of another order",
	 refusal_that_came_late_is_not_of_another_order},
	CU_TEST_INFO_NULL,
};
