/* tests/unit/test_attack_session.c - what a hostile or unlucky client once could do to the others.
 *
 * Each test is an attack that worked: the number in a message that became a shift, the table that
 * one user could fill, the wait that could not end well. */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NR_FRAMES 4096u

/* A full pool, a request of `victim` that waits for frames, and nothing else under way. */
static uint64_t wait_for_frames(struct shell *s, struct shell_client owner,
				struct shell_client victim, uint32_t timeout_ms)
{
	(void)shell_fill(s, owner, pool_watermark_min(s->pool.pool));
	return shell_alloc_on(s, victim, 7, 0, timeout_ms);
}

static const struct message_reply *refill_of(struct shell *s, struct shell_client client,
					     uint32_t thread, uint32_t magazine)
{
	uint64_t id = shell_say(s, client.conn,
				&(struct message){.kind = MESSAGE_PCP_REFILL,
						  .pcp_refill = {.thread = thread,
								 .magazine = magazine,
								 .timeout_ms = 1000}});

	return shell_reply(s, client.conn, id);
}

/* --- numbers -------------------------------------------------------------------------------------
 */

static void what_can_never_be_granted_is_refused_though_others_wait(void)
{
	static const uint32_t magazines[] = {MAGAZINE_COUNT, 19, 20, 42, UINT32_MAX};
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;

	(void)wait_for_frames(s, a, b, 1000);
	CU_ASSERT_EQUAL(park_demand(s->session), 1);
	for (uint32_t i = 0; i < sizeof magazines / sizeof *magazines; i++) {
		reply = refill_of(s, b, 0, magazines[i]);
		CU_ASSERT_PTR_NOT_NULL(reply);
		CU_ASSERT(reply && reply->status == -EINVAL);
	}
	reply = refill_of(s, b, 63, MAGAZINE_HOT);
	CU_ASSERT(reply && reply->status == -EINVAL);
	reply = shell_reply(s, b.conn, shell_alloc_on(s, b, 1, ORDER_MAX + 1, 1000));
	CU_ASSERT(reply && reply->status == -EINVAL);
	reply = shell_reply(s, b.conn, shell_alloc_on(s, b, SHM_MAX_LANES, 0, 1000));
	CU_ASSERT(reply && reply->status == -EINVAL);
	CU_ASSERT_EQUAL(park_demand(s->session), 1);
	shell_close(s);
}

/* After a resume the client repeats what it had not read the answer of. */
static void a_repeated_alloc_is_answered_though_others_wait(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message alloc = {.kind = MESSAGE_ALLOC,
				.alloc = {.lane = 3, .seq = 9, .timeout_ms = 1000}};
	const struct message_reply *reply;
	uint64_t result = shell_ask(s, b.conn, &alloc)->result;

	(void)wait_for_frames(s, a, a, 1000);
	reply = shell_reply(s, b.conn, shell_say(s, b.conn, &alloc));
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->result, result);
	shell_close(s);
}

/* An answer from the lane frees nothing, so nothing came back; its order is anything. */
static void a_repeated_free_brings_nothing_back(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint32_t root = shell_observe(s, 0);
	struct message repeated = {.kind = MESSAGE_FREE};
	pfn_t pfn = (pfn_t)(shell_alloc(s, b, 0, 0)->result >> 32);
	uint64_t id;

	CU_ASSERT_EQUAL(shell_register(s, b, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_free(s, b, pfn, 0)->status, 0);
	(void)shell_fill(s, a, 100);
	id = shell_say(s, root,
		       &(struct message){.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 50}});
	CU_ASSERT_EQUAL(shell_count_upcalls(s, b.id), 1);
	repeated.free.seq = s->pool.seq[b.id];
	repeated.free.order = 9;
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &repeated)->status, 0);
	repeated.free.order = 200;
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &repeated)->status, 0);
	CU_ASSERT_EQUAL(s->session->reclaim.nr_returned, 0);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT_EQUAL(shell_reply(s, root, id)->count, 0);
	shell_close(s);
}

/* Who has its max already is not worth the caches of others. */
static void a_request_beyond_the_own_max_is_no_demand(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct shell_client small = shell_attach(s, "small", 4);

	(void)wait_for_frames(s, a, b, 1000);
	for (uint32_t lane = 0; lane < 8; lane++)
		(void)shell_alloc_on(s, small, lane, 11, 1000);
	CU_ASSERT_EQUAL(park_demand(s->session), 1);
	shell_close(s);
}

/* --- connections ---------------------------------------------------------------------------------
 */

static void who_hangs_up_and_comes_again_does_not_fill_the_client_table(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = {.kind = MESSAGE_HELLO,
				.hello = {.version_min = PROTOCOL_VERSION,
					  .version_max = PROTOCOL_VERSION,
					  .max_threads = 1,
					  .name = "again"}};
	uint32_t n_attached = 0, other;

	s->limits.connections = 4;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 10; i++) {
		uint32_t conn = shell_connect(s, SHELL_UID, 77);
		const struct message_reply *reply = shell_ask(s, conn, &hello);

		n_attached += reply->status == 0;
		CU_ASSERT(reply->status == 0 || reply->status == -EUSERS);
		if (reply->status == 0)
			shell_hang_up(s, conn);
	}
	CU_ASSERT_EQUAL(n_attached, 4);
	other = shell_connect(s, SHELL_UID + 1, 78);
	CU_ASSERT_EQUAL(shell_ask(s, other, &hello)->status, 0);
	shell_close(s);
}

/* The lie is found while requests are served, after the liars of this step were ended. */
static void a_liar_found_while_it_waits_ends_in_the_same_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), liar = shell_attach(s, "liar", 0);
	pfn_t pfn = (pfn_t)(shell_alloc(s, a, 0, 0)->result >> 32);

	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	CU_ASSERT_PTR_NULL(shell_refill(s, liar, MAGAZINE_HOT, 0));
	*fixture_pool_bottom(&s->pool, liar.id, 0, MAGAZINE_HOT) = 17;
	CU_ASSERT_EQUAL(shell_free(s, a, pfn, 0)->status, 0);
	CU_ASSERT_FALSE(pool_client_is_attached(s->pool.pool, liar.id));
	shell_close(s);
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static void all_who_could_only_help_themselves_are_told_at_once(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint64_t id[3];

	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	s->hold_again = true;
	for (uint32_t i = 0; i < 3; i++)
		id[i] = shell_alloc_on(s, a, i, 0, 1000);
	s->hold_again = false;
	shell_again(s);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_NOT_NULL(shell_reply(s, a.conn, id[i]));
	shell_close(s);
}

/* Half of the pool is free, no two frames side by side, and the other half lies in a magazine. */
static void frames_in_magazines_that_keep_blocks_apart_are_stolen(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;
	uint64_t id;

	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	for (pfn_t pfn = 0; pfn < NR_FRAMES; pfn++) {
		struct page_word word = fixture_pool_word(&s->pool, pfn);

		if (word.state != PAGE_OWNED || word.owner != a.id)
			continue;
		if (pfn % 2) {
			CU_ASSERT_EQUAL(fixture_pool_free(&s->pool, a.id, pfn, 0), 0);
			continue;
		}
		if (fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT) < 300)
			fixture_pool_push(&s->pool, a.id, 0, MAGAZINE_HOT, pfn);
	}
	CU_ASSERT(pool_nr_free(s->pool.pool) > NR_FRAMES / 4);
	id = shell_alloc_on(s, b, 1, 4, 1000);
	reply = shell_reply(s, b.conn, id);
	CU_ASSERT_PTR_NOT_NULL(reply);
	CU_ASSERT(reply && reply->status == 0);
	shell_close(s);
}

/* The same with nobody who could give anything: no reason to wait. */
static void a_block_that_cannot_be_made_is_refused_at_once(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	const struct message_reply *reply;

	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	for (pfn_t pfn = 1; pfn < NR_FRAMES; pfn += 2)
		if (fixture_pool_word(&s->pool, pfn).state == PAGE_OWNED)
			CU_ASSERT_EQUAL(fixture_pool_free(&s->pool, a.id, pfn, 0), 0);
	reply = shell_reply(s, a.conn, shell_alloc_on(s, a, 1, 4, 1000));
	CU_ASSERT_PTR_NOT_NULL(reply);
	CU_ASSERT(reply && reply->status == -ENOMEM);
	shell_close(s);
}

/* Holes are free, and more than enough frames, but in each run of that order lies a block of
 * somebody: no commit can make one. */
static void a_run_that_no_commit_can_make_is_not_waited_for(void)
{
	struct shell *s = shell_open_empty(2 * NR_FRAMES, COMMITS_AT_ONCE);
	struct shell_client a = shell_attach(s, "a", 0);
	const struct message_reply *reply;
	pfn_t pfn[13];

	for (uint32_t i = 0; i < 13; i++) {
		reply = shell_alloc(s, a, PAGEBLOCK_ORDER, 0);
		CU_ASSERT_FATAL(reply && reply->status == 0);
		pfn[i] = (pfn_t)(reply->result >> 32);
	}
	for (uint32_t i = 0; i < 13; i++)
		if (pfn[i] == 512 || pfn[i] == 1024 || pfn[i] == 1536)
			CU_ASSERT_EQUAL(shell_free(s, a, pfn[i], PAGEBLOCK_ORDER)->status, 0);
	CU_ASSERT(s->pool.pool->buddy.zones[0].nr_hole > 0);
	CU_ASSERT(pool_available(s->pool.pool, 0) >= 2048);
	reply = shell_reply(s, a.conn, shell_alloc_on(s, a, 1, 11, 5000));
	CU_ASSERT(reply && reply->status == -ENOMEM);
	shell_close(s);
}

CU_TestInfo test_attack_session[] = {
	{"what can never be granted is refused though others wait",
	 what_can_never_be_granted_is_refused_though_others_wait},
	{"a repeated Alloc is answered though others wait",
	 a_repeated_alloc_is_answered_though_others_wait},
	{"a repeated Free brings nothing back", a_repeated_free_brings_nothing_back},
	{"a request beyond the own max is no demand", a_request_beyond_the_own_max_is_no_demand},
	{"who hangs up and comes again does not fill the client table",
	 who_hangs_up_and_comes_again_does_not_fill_the_client_table},
	{"a liar found while it waits ends in the same step",
	 a_liar_found_while_it_waits_ends_in_the_same_step},
	{"all who could only help themselves are told at once",
	 all_who_could_only_help_themselves_are_told_at_once},
	{"frames in magazines that keep blocks apart are stolen",
	 frames_in_magazines_that_keep_blocks_apart_are_stolen},
	{"a block that cannot be made is refused at once",
	 a_block_that_cannot_be_made_is_refused_at_once},
	{"a run that no commit can make is not waited for",
	 a_run_that_no_commit_can_make_is_not_waited_for},
	CU_TEST_INFO_NULL,
};
