/* tests/integration/test_callbacks.c - the daemon goes, or comes back, while a callback of the
 * program runs in its dispatch. Whatever the end of that dispatch tells, the program that polls is
 * woken again for what is still to be done. */
#include "tests/integration/background.h"
#include "tests/integration/clock.h"
#include "tests/integration/outage.h"

#include <CUnit/CUnit.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

extern CU_TestInfo test_callbacks[];

struct asked {
	struct outage outage;
	struct outage_events events;
	pageclient *client;
	pageclient_cache *cache;
	void (*at_first)(struct asked *asked); /* what the first question is answered with */
	uint32_t n;                            /* questions so far */
	void *frame;                           /* to share */
	struct pollfd pollfd;
	uint64_t until;
	char log[96];
};

static uint64_t count(void *arg)
{
	struct asked *asked = arg;

	if (asked->n++ == 0)
		asked->at_first(asked);
	return PAGECLIENT_SHRINK_EMPTY;
}

static int scan(void *arg, struct pageclient_scan *scan)
{
	(void)arg;
	(void)scan;
	return 0;
}

static bool setup(struct asked *asked, void (*at_first)(struct asked *asked))
{
	struct pageclient_cache_options cache;

	*asked = (struct asked){.at_first = at_first};
	if (!outage_open(&asked->outage))
		return false;
	asked->client =
		outage_client(&asked->outage, &(struct outage_client){.call_timeout_ms = UINT32_MAX,
								      .events = &asked->events});
	asked->frame = pageclient_alloc(asked->client, 0, 0);
	PAGECLIENT_INIT(struct pageclient_cache_options, &cache);
	cache.name = "asked";
	cache.count = count;
	cache.scan = scan;
	cache.arg = asked;
	CU_ASSERT_EQUAL(pageclient_cache_register(asked->client, &cache, &asked->cache), 0);
	asked->pollfd = (struct pollfd){.fd = pageclient_fd(asked->client), .events = POLLIN};
	asked->until = clock_until(CLOCK_PATIENCE_MS);
	(void)snprintf(asked->log, sizeof(asked->log), "%s/reclaim.log",
		       asked->outage.fixture.directory);
	return true;
}

static void teardown(struct asked *asked)
{
	pageclient_close(asked->client);
	outage_close(&asked->outage);
}

/* Dispatches as a program that polls does; false: nothing wakes it any more. */
static bool dispatches(struct asked *asked)
{
	if (poll(&asked->pollfd, 1, clock_left_ms(asked->until)) != 1)
		return false;
	CU_ASSERT_TRUE(pageclient_dispatch(asked->client) >= 0);
	return true;
}

/* Reclaim asks the caches. Its end is not waited for: it may be the daemon's that dies. */
static void begin_reclaim(const struct asked *asked, struct background *ret_ctl)
{
	CU_ASSERT_TRUE(background_start(
		ret_ctl, asked->log,
		(const char *const[]){fixture_pagectl(), "--socket", asked->outage.fixture.socket,
				      "reclaim", "--frames", "1000", NULL}));
}

static void ask(struct asked *asked, uint32_t n)
{
	struct background ctl;

	begin_reclaim(asked, &ctl);
	while (asked->n < n && dispatches(asked))
		continue;
	CU_ASSERT_TRUE(asked->n >= n);
	(void)background_end(&ctl, SIGTERM);
}

static void takes_a_while(struct asked *asked)
{
	(void)asked;
	CU_ASSERT_EQUAL(poll(NULL, 0, 50), 0);
}

/* The daemon dies with a question on its way. It is answered in the same dispatch as the first try
 * to resume, and takes longer than the wait for the second. */
static void program_that_was_in_a_callback_comes_back(void)
{
	struct background ctl;
	struct asked asked;

	if (!setup(&asked, takes_a_while))
		return;
	begin_reclaim(&asked, &ctl);
	CU_ASSERT_EQUAL(poll(&asked.pollfd, 1, clock_left_ms(asked.until)), 1);
	fixture_kill(&asked.outage.fixture);
	CU_ASSERT_EQUAL(pageclient_dispatch(asked.client), 2); /* the event, the question */
	CU_ASSERT_TRUE(fixture_start(&asked.outage.fixture));
	while (asked.events.n < 2 && dispatches(&asked))
		continue;
	CU_ASSERT_TRUE(outage_events_are(&asked.events, PAGECLIENT_AWAY, PAGECLIENT_CONNECTED));
	(void)background_end(&ctl, SIGTERM); /* its request died with the daemon, as it may say */
	teardown(&asked);
}

static void daemon_dies(struct asked *asked)
{
	fixture_kill(&asked->outage.fixture);
}

static void program_whose_daemon_died_in_a_callback_comes_back(void)
{
	struct asked asked;

	if (!setup(&asked, daemon_dies))
		return;
	ask(&asked, 1);
	CU_ASSERT_TRUE(fixture_start(&asked.outage.fixture));
	while (asked.events.n < 2 && dispatches(&asked))
		continue;
	CU_ASSERT_TRUE(outage_events_are(&asked.events, PAGECLIENT_AWAY, PAGECLIENT_CONNECTED));
	teardown(&asked);
}

/* A call, of this thread or another, resumes. */
static void daemon_is_another(struct asked *asked)
{
	uint64_t handle;

	CU_ASSERT_TRUE(outage_restart_server(&asked->outage));
	CU_ASSERT_EQUAL(outage_share(asked->client, asked->frame, &handle), 0);
}

static void program_that_resumed_in_a_callback_is_asked_again(void)
{
	struct asked asked;

	if (!setup(&asked, daemon_is_another))
		return;
	ask(&asked, 1);
	CU_ASSERT_TRUE(outage_events_are(&asked.events, PAGECLIENT_AWAY, PAGECLIENT_CONNECTED));
	ask(&asked, asked.n + 1);
	CU_ASSERT_EQUAL(pageclient_put(asked.client, asked.frame), 0);
	teardown(&asked);
}

CU_TestInfo test_callbacks[] = {
	{"program that was in a callback comes back", program_that_was_in_a_callback_comes_back},
	{"program whose daemon died in a callback comes back",
	 program_whose_daemon_died_in_a_callback_comes_back},
	{"program that resumed in a callback is asked again",
	 program_that_resumed_in_a_callback_is_asked_again},
	CU_TEST_INFO_NULL,
};
