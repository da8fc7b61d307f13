/* tests/unit/test_park.c - daemon/session/park: requests that wait for frames, and who is told
 * what.
 */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u

/* Nothing is left above min: whoever asks now waits. */
static uint64_t fill(struct shell *s, struct shell_client client)
{
	return shell_fill(s, client, pool_watermark_min(s->pool.pool));
}

static uint32_t nr_parked(const struct shell *s)
{
	uint32_t n = 0;

	for (uint32_t i = s->session->parked_first; i != PARKED_NONE;
	     i = s->session->parked[i].next)
		n++;
	return n;
}

/* Gives back the block of order 0 that heads client's list. */
static void free_one(struct shell *s, struct shell_client client)
{
	CU_ASSERT_EQUAL(shell_free(s, client, s->pool.pool->client[client.id].owned, 0)->status, 0);
}

static void a_request_waits_until_another_client_frees(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t id;

	(void)fill(s, a);
	id = shell_alloc_on(s, b, 0, 0, 1000);
	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, id));
	CU_ASSERT_EQUAL(nr_parked(s), 1);
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, 0);
	CU_ASSERT_EQUAL(nr_parked(s), 0);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_stall, 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_allocstall), 1);
	shell_close(s);
}

static void first_come_is_first_served(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct shell_client c = shell_attach(s, "c", 0);
	uint64_t first, second, third;

	(void)fill(s, a);
	first = shell_alloc_on(s, b, 0, 0, 5000);
	second = shell_alloc_on(s, c, 0, 0, 5000);
	third = shell_alloc_on(s, b, 1, 0, 5000);
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, first));
	CU_ASSERT_PTR_NULL(shell_reply(s, c.conn, second));
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, c.conn, second));
	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, third));
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, third));
	shell_close(s);
}

static void a_newcomer_does_not_pass_those_who_wait(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message two = {.kind = MESSAGE_ALLOC,
			      .alloc = {.lane = 5, .seq = 1, .order = 1, .timeout_ms = 5000}};
	uint64_t large, small;

	(void)fill(s, a);
	large = shell_say(s, b.conn, &two);
	/* A smaller one may pass it. */
	small = shell_alloc_on(s, b, 1, 0, 5000);
	free_one(s, a);
	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, large));
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, small));
	small = shell_alloc_on(s, b, 2, 0, 5000);
	large = shell_alloc_on(s, b, 3, 0, 5000);
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, small));
	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, large));
	shell_close(s);
}

static void a_deadline_ends_in_enomem_with_a_report(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "glutton", 0), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;
	uint64_t id, n = fill(s, a);

	id = shell_alloc_on(s, b, 0, 0, 300);
	shell_advance(s, 250 * MS);
	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, id));
	shell_advance(s, 100 * MS);
	reply = shell_reply(s, b.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "no block of order 0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "of 4096 frames are free"));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "glutton"));
	CU_ASSERT_EQUAL(n, NR_FRAMES - pool_watermark_min(s->pool.pool));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "4088 frames"));
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_oom, 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_oom), 1);
	CU_ASSERT_EQUAL(nr_parked(s), 0);
	shell_close(s);
}

static void no_client_waits_longer_than_the_daemon_allows(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t id;

	(void)fill(s, a);
	id = shell_alloc_on(s, b, 0, 0, UINT32_MAX);
	shell_advance(s, 11 * SECOND); /* alloc_timeout_max is 10 s */
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, id));
	shell_close(s);
}

static void nowait_is_answered_at_once(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;

	(void)fill(s, a);
	reply = shell_alloc(s, b, 0, REQUEST_NOWAIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EAGAIN);
	CU_ASSERT_EQUAL(reply->shrink_self, 0);
	CU_ASSERT_EQUAL(shell_refill(s, b, MAGAZINE_HOT, REQUEST_NOWAIT)->status, -EAGAIN);
	CU_ASSERT_EQUAL(nr_parked(s), 0);
	shell_close(s);
}

static void a_request_takes_what_lies_in_the_magazines_of_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	(void)fill(s, a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_alloc(s, b, 0, 0));
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, b.id), 1);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT), 0);
	CU_ASSERT(s->n_barriers >= 1);
	shell_close(s);
}

static void who_could_only_help_himself_is_told_so_at_once(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	const struct message_reply *reply;

	(void)shell_attach(s, "idle", 0);
	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)fill(s, a);
	reply = shell_alloc(s, a, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EAGAIN);
	CU_ASSERT(reply->shrink_self > 0);
	CU_ASSERT_EQUAL(nr_parked(s), 0);
	shell_close(s);
}

static void nobody_waits_for_nobody(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "alone", 0);
	const struct message_reply *reply;

	(void)fill(s, a);
	reply = shell_alloc(s, a, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	shell_close(s);
}

static void over_quota_takes_from_its_own_magazines_and_nobody_elses(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 20), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;

	(void)shell_refill(s, b, MAGAZINE_HOT, 0);
	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	CU_ASSERT_EQUAL(shell_alloc(s, a, 4, 0)->status, 0);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 16);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, b.id, 0, MAGAZINE_HOT), 16);
	reply = shell_alloc(s, a, 3, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "its max is 20"));
	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	reply = shell_alloc(s, a, 3, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EAGAIN);
	CU_ASSERT_EQUAL(reply->shrink_self, 64);
	shell_close(s);
}

static void a_client_may_have_so_many_requests_waiting(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t id;

	(void)fill(s, a);
	for (uint32_t i = 0; i < PARKED_PER_CLIENT; i++)
		(void)shell_alloc_on(s, b, i % SHM_MAX_LANES, 0, 5000);
	CU_ASSERT_EQUAL(nr_parked(s), PARKED_PER_CLIENT);
	id = shell_alloc_on(s, b, 0, 0, 5000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, -EAGAIN);
	shell_close(s);
}

static void thousands_are_answered_without_flooding_a_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t n = 0;

	(void)fill(s, a);
	for (uint32_t c = 0; c < 30; c++) {
		struct shell_client b = shell_attach(s, "b", 0);

		for (uint32_t lane = 0; lane < 60; lane++)
			(void)shell_alloc_on(s, b, lane, 0, 5000);
	}
	n = nr_parked(s);
	CU_ASSERT_EQUAL(n, 1800);
	shell_kill(s, a);
	CU_ASSERT_EQUAL(nr_parked(s), 0);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES - n);
	CU_ASSERT(s->most_actions <= SESSION_MAX_ACTIONS);
	shell_close(s);
}

static void who_goes_takes_its_waiting_requests_along(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct shell_client c = shell_attach(s, "c", 0), d = shell_attach(s, "d", 0);
	uint64_t id;

	(void)fill(s, a);
	(void)shell_alloc_on(s, b, 0, 0, 5000);
	(void)shell_alloc_on(s, c, 0, 0, 5000);
	id = shell_alloc_on(s, d, 0, 0, 5000);
	shell_hang_up(s, b.conn);
	shell_kill(s, c);
	CU_ASSERT_EQUAL(nr_parked(s), 1);
	free_one(s, a);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, d.conn, id));
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, b.id), 0);
	shell_close(s);
}

/* Every number of a request is a client's: none may wait as something that it cannot be. */
static void a_request_that_can_never_be_met_does_not_wait(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;

	(void)fill(s, a);
	(void)shell_alloc_on(s, b, 0, 0, 5000);
	reply = shell_alloc(s, b, 200, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EINVAL);
	reply = shell_alloc(s, b, UINT32_MAX, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EINVAL);
	reply = shell_refill(s, b, 4000000, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -EINVAL);
	CU_ASSERT_EQUAL(nr_parked(s), 1);
	CU_ASSERT_EQUAL(park_demand(s->session), 1);
	shell_close(s);
}

/* --- commits --- */

static void a_request_waits_for_the_commit_of_a_hole(void)
{
	struct shell *s = shell_open_empty(NR_FRAMES, COMMITS_LATER);
	struct shell_client a = shell_attach(s, "a", 0);
	uint64_t id = shell_alloc_on(s, a, 0, 0, 1000);

	CU_ASSERT_PTR_NULL(shell_reply(s, a.conn, id));
	CU_ASSERT(s->n_commits >= 1);
	CU_ASSERT(shell_commit_ends(s, true, NULL));
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, a.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, a.conn, id)->status, 0);
	shell_close(s);
}

static void a_failed_commit_is_enomem_with_the_name_of_the_limit(void)
{
	struct shell *s = shell_open_empty(NR_FRAMES, COMMITS_LATER);
	struct shell_client a = shell_attach(s, "a", 0);
	uint64_t id = shell_alloc_on(s, a, 0, 0, 200);
	const struct message_reply *reply;

	while (shell_commit_ends(s, false, "memory.max of /system.slice/x"))
		;
	shell_advance(s, 300 * MS);
	reply = shell_reply(s, a.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "memory.max of /system.slice/x"));
	CU_ASSERT_STRING_EQUAL(pool_meta(s->pool.pool)->limit, "memory.max of /system.slice/x");
	CU_ASSERT_PTR_NOT_NULL(strstr(s->log, "memory.max"));
	shell_close(s);
}

static void after_a_failed_commit_the_tick_tries_again(void)
{
	struct shell *s = shell_open_empty(NR_FRAMES, COMMITS_FAIL);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t id = shell_alloc_on(s, a, 0, 0, 5000);

	(void)b;
	CU_ASSERT_PTR_NULL(shell_reply(s, a.conn, id));
	s->commits = COMMITS_AT_ONCE;
	shell_advance(s, 2 * SECOND);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, a.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, a.conn, id)->status, 0);
	shell_close(s);
}

static void a_stock_is_committed_ahead_of_need(void)
{
	struct shell *s = shell_open_empty(65536, COMMITS_AT_ONCE);
	struct shell_client a = shell_attach(s, "a", 0);

	CU_ASSERT(pool_meta(s->pool.pool)->committed_frames >= 2048);
	s->commits = COMMITS_LATER;
	CU_ASSERT_PTR_NOT_NULL(shell_alloc(s, a, 0, 0));
	shell_close(s);
}

/* 20 pageblocks in both halves, each with a half in use: there is no run of order 13, no committed
 * block of order 9, and the stock of small ones is not low. */
static void a_huge_request_that_nothing_can_be_committed_for_keeps_nobody_waiting(void)
{
	struct shell *s = shell_open_empty(16384, COMMITS_AT_ONCE);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t huge, id;
	pfn_t pfn[40];

	for (uint32_t i = 0; i < 40; i++)
		pfn[i] = (pfn_t)(shell_alloc(s, a, 8, 0)->result >> 32);
	for (uint32_t i = 1; i < 40; i += 2)
		CU_ASSERT_EQUAL(shell_free(s, a, pfn[i], 8)->status, 0);
	huge = shell_alloc_on(s, a, 1, 13, 5000);
	CU_ASSERT_PTR_NULL(shell_reply(s, a.conn, huge));
	for (uint32_t i = 0; i < 10; i++) {
		id = shell_alloc_on(s, b, i, 9, 1000);
		CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
		CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, 0);
	}
	shell_close(s);
}

CU_TestInfo test_park[] = {
	{"a request waits until another client frees", a_request_waits_until_another_client_frees},
	{"first come is first served", first_come_is_first_served},
	{"a newcomer does not pass those who wait", a_newcomer_does_not_pass_those_who_wait},
	{"a deadline ends in ENOMEM with a report", a_deadline_ends_in_enomem_with_a_report},
	{"no client waits longer than the daemon allows",
	 no_client_waits_longer_than_the_daemon_allows},
	{"NOWAIT is answered at once", nowait_is_answered_at_once},
	{"a request takes what lies in the magazines of others",
	 a_request_takes_what_lies_in_the_magazines_of_others},
	{"who could only help himself is told so at once",
	 who_could_only_help_himself_is_told_so_at_once},
	{"nobody waits for nobody", nobody_waits_for_nobody},
	{"over quota takes from its own magazines and nobody else's",
	 over_quota_takes_from_its_own_magazines_and_nobody_elses},
	{"a client may have so many requests waiting", a_client_may_have_so_many_requests_waiting},
	{"thousands are answered without flooding a step",
	 thousands_are_answered_without_flooding_a_step},
	{"who goes takes its waiting requests along", who_goes_takes_its_waiting_requests_along},
	{"a request that can never be met does not wait",
	 a_request_that_can_never_be_met_does_not_wait},
	{"a request waits for the commit of a hole", a_request_waits_for_the_commit_of_a_hole},
	{"a failed commit is ENOMEM with the name of the limit",
	 a_failed_commit_is_enomem_with_the_name_of_the_limit},
	{"after a failed commit the tick tries again", after_a_failed_commit_the_tick_tries_again},
	{"a stock is committed ahead of need", a_stock_is_committed_ahead_of_need},
	{"a huge request that nothing can be committed for keeps nobody waiting",
	 a_huge_request_that_nothing_can_be_committed_for_keeps_nobody_waiting},
	CU_TEST_INFO_NULL,
};
