/* tests/integration/test_late.c - processes that had no processor for a while: what came for them
 * meanwhile came in time.
 *
 * The server is stopped by the very callback that it waits for, so before its deadline; it goes on
 * when that has passed and the answer lies in its socket. */
#include "tests/integration/background.h"
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <poll.h>
#include <signal.h>

extern CU_TestInfo test_late[];

#define DEADLINE_MS 500u
#define STOPS_MS 200u /* to come to where it waits */
#define CACHES 16u
static const char config[] = "[segment]\nsize = 32M\n[reclaim]\ndeadline = 500ms\n";

struct late {
	const struct fixture *fixture;
	pageclient *client;
	pid_t server;
	uint64_t asked_ms;   /* not before then was the upcall sent */
	uint64_t stopped_ms; /* 0: the server was not, yet */
	uint32_t n_caches;   /* of the client; all are asked at once */
	uint32_t n_counted;
	uint32_t n_answered; /* before the server went on */
};

static uint64_t count(void *arg)
{
	struct late *late = arg;

	if (late->stopped_ms == 0) {
		CU_ASSERT_EQUAL(kill(late->server, SIGSTOP), 0);
		late->stopped_ms = clock_now_ms();
	}
	late->n_counted++;
	return 1;
}

static int scan(void *arg, struct pageclient_scan *asked)
{
	(void)arg;
	asked->nr_freed = 0;
	return 0;
}

static int reclaim(int fd, void *arg)
{
	const struct late *late = arg;
	struct program ctl;

	fixture_ctl(late->fixture, &ctl, "reclaim", "--frames", "1000",
		    late->n_caches == 1 ? "--cache" : NULL, "late", NULL);
	CHILD_CHECK(ctl.status == 0 && child_say(fd, 1));
	program_done(&ctl);
	return 0;
}

/* For so long that the deadline passes. */
static void keep_stopped(struct late *late)
{
	for (uint64_t end = late->stopped_ms + DEADLINE_MS + 10; clock_pause(end);)
		if (late->n_counted < late->n_caches)
			CU_ASSERT_TRUE(pageclient_dispatch(late->client) >= 0);
	late->n_answered = late->n_counted;
	CU_ASSERT_EQUAL(kill(late->server, SIGCONT), 0);
}

/* Answers until the reclaim is over; stops the server at the first upcall for longer than that
 * one's deadline. */
static bool answer_late(struct late *late, struct child *child)
{
	struct pollfd over = {.fd = child->fd, .events = POLLIN};
	bool is_stopped = false;

	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); poll(&over, 1, 0) == 0;) {
		CU_ASSERT_TRUE(pageclient_dispatch(late->client) >= 0);
		if (late->stopped_ms && !is_stopped) {
			is_stopped = true;
			keep_stopped(late);
		}
		if (!clock_pause(until))
			return false;
	}
	return true;
}

static pageclient_cache *open_cache(struct late *late)
{
	struct pageclient_cache_options options;
	pageclient_cache *cache = NULL;

	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "late";
	options.count = count;
	options.scan = scan;
	options.arg = late;
	CU_ASSERT_EQUAL(pageclient_cache_register(late->client, &options, &cache), 0);
	return cache;
}

/* False: nobody can tell whether the server was stopped in time, or it had not asked all. */
static bool try_answer_late(struct late *late)
{
	pageclient_cache *cache[CACHES]; /* those that were never counted are asked */
	struct child child;

	for (uint32_t i = 0; i < late->n_caches; i++)
		cache[i] = open_cache(late);
	late->stopped_ms = late->n_counted = 0;
	late->asked_ms = clock_now_ms();
	CU_ASSERT_TRUE_FATAL(child_start(&child, reclaim, late));
	CU_ASSERT_TRUE(answer_late(late, &child));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	CU_ASSERT_TRUE(late->stopped_ms > 0);
	for (uint32_t i = 0; i < late->n_caches; i++)
		CU_ASSERT_EQUAL(pageclient_cache_unregister(cache[i]), 0);
	return late->stopped_ms - late->asked_ms < DEADLINE_MS &&
	       late->n_answered >= late->n_caches;
}

static void check_late(uint32_t n_caches)
{
	struct observer observer;
	struct fixture f;
	struct late late = {.fixture = &f, .n_caches = n_caches};
	uint64_t before, until = clock_until(CLOCK_PATIENCE_MS);
	bool in_time;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	CU_ASSERT_TRUE_FATAL(observer_open(&observer, &f));
	late.client = fixture_client(&f, "late");
	late.server = fixture_server(&f);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(late.client, 0, 0)); /* somebody holds something */
	do {
		before = shm_view_counter(&observer.view, COUNTER_shrink_timeouts);
		in_time = try_answer_late(&late);
	} while (!in_time && clock_left_ms(until) > 0);
	CU_ASSERT_TRUE(in_time);
	CU_ASSERT_EQUAL(shm_view_counter(&observer.view, COUNTER_shrink_timeouts), before);
	pageclient_close(late.client);
	observer_close(&observer);
	fixture_close(&f);
}

static void an_answer_that_lies_there_is_no_deadline_missed(void)
{
	check_late(1);
}

/* A turn of the server's loop reads one of a socket. */
static void answers_that_lie_in_one_socket_are_all_in_time(void)
{
	check_late(CACHES);
}

/* Of a call with a timeout the kernel only says that it was interrupted. */
static void pagectl_that_was_stopped_waits_on(void)
{
	struct background pagectl;
	struct fixture f;
	pid_t server;
	char log[96];

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	server = fixture_server(&f);
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	(void)snprintf(log, sizeof(log), "%s/pagectl", f.directory);
	CU_ASSERT_TRUE(background_start(
		&pagectl, log,
		(const char *const[]){fixture_pagectl(), "--socket", f.socket, "check", NULL}));
	for (uint64_t end = clock_until(STOPS_MS); clock_pause(end);) {
		CU_ASSERT_EQUAL(kill(pagectl.pid, SIGSTOP), 0);
		CU_ASSERT_EQUAL(kill(pagectl.pid, SIGCONT), 0);
	}
	CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
	CU_ASSERT_TRUE(background_says(&pagectl, "ok"));
	CU_ASSERT_TRUE(background_ends(&pagectl));
	CU_ASSERT_EQUAL(background_end(&pagectl, 0), 0);
	fixture_close(&f);
}

CU_TestInfo test_late[] = {
	{"an answer that lies there is no deadline missed",
	 an_answer_that_lies_there_is_no_deadline_missed},
	{"answers that lie in one socket are all in time",
	 answers_that_lie_in_one_socket_are_all_in_time},
	{"pagectl that was stopped waits on", pagectl_that_was_stopped_waits_on},
	CU_TEST_INFO_NULL,
};
