/* tests/unit/test_attack_session.c - what a hostile or unlucky client once could do to the others.
 *
 * Each test is an attack that worked: the number in a message that became a shift, the answer that
 * nobody asked for, the crowd that hid somebody else's cache. */
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

/* --- upcalls -------------------------------------------------------------------------------------
 */

static void an_answer_without_a_question_is_ignored(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message done = {.kind = MESSAGE_SHRINK_DONE,
			       .shrink_done = {.cache = 1, .nr_objects = 7, .nr_frames = 9}};
	struct shm_cache *cache = &pool_caches(s->pool.pool)[0];
	uint64_t before;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	before = s->n_barriers;
	shell_event(s, &(struct session_event){
			       .kind = EVENT_UPCALL_DONE, .client = a.id, .message = &done});
	CU_ASSERT_EQUAL(cache->nr_objects, 0);
	CU_ASSERT_EQUAL(cache->latency_max_ns, 0);
	CU_ASSERT_EQUAL(s->n_barriers, before);
	shell_close(s);
}

/* Answers every upcall to the client as a cache that always has more and never frees. */
static void answer_in_vain(struct shell *s, client_id client)
{
	const struct message *upcall;

	while ((upcall = shell_next_upcall(s, client)))
		shell_shrink_done(s, client, upcall, 1000000, upcall->shrink.nr_to_scan, 0);
}

static void a_crowd_of_caches_hides_nobody(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client crowd[4], honest, victim;

	for (uint32_t i = 0; i < 4; i++) {
		crowd[i] = shell_attach(s, "crowd", 0);
		for (uint32_t n = 1; n <= SHRINK_CLIENT_MAX; n++)
			CU_ASSERT_EQUAL(shell_register(s, crowd[i], n)->status, 0);
	}
	honest = shell_attach(s, "honest", 0);
	victim = shell_attach(s, "victim", 0);
	CU_ASSERT_EQUAL(shell_register(s, honest, 1)->status, 0);
	(void)wait_for_frames(s, honest, victim, 10000);
	for (uint32_t i = 0; i < 4; i++)
		answer_in_vain(s, crowd[i].id);
	CU_ASSERT(shell_count_upcalls(s, honest.id) > 0);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, honest.id), 1);
	shell_close(s);
}

/* Strangers whose time is up fill the step in which a run begins. */
static void a_full_step_does_not_end_a_run(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint32_t before;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)wait_for_frames(s, a, b, 10000);
	for (uint32_t i = 0; i < 40; i++) { /* until a run ended in vain */
		const struct message *upcall = shell_next_upcall(s, a.id);

		if (!upcall)
			break;
		shell_shrink_done(s, a.id, upcall, 0, 0, 0);
	}
	CU_ASSERT_FALSE(s->session->reclaim.running);
	s->limits.handshakes = 0;
	s->limits.handshake_ns = 50 * MS;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 150; i++)
		(void)shell_connect(s, SHELL_UID, 5000 + i);
	before = shell_count_upcalls(s, a.id);
	pool_caches(s->pool.pool)[0].nr_objects = 100000;
	s->now_ns += 150 * MS;
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT(shell_count_upcalls(s, a.id) > before);
	shell_close(s);
}

/* A cache that answers after each deadline holds every wave up as one that never answers does. */
static void who_is_always_late_is_left_alone_too(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct shm_cache *cache = &pool_caches(s->pool.pool)[0];
	struct upcall *asked = &s->session->upcall[0];
	uint32_t n_late = 0;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)wait_for_frames(s, a, b, 10000);
	for (uint32_t i = 0; i < 100 && cache->state != SHM_CACHE_OPEN; i++) {
		struct message late = {.id = asked->id, .shrink = {.cache = 1}};
		uint64_t missed = cache->nr_timeouts;

		if (!asked->active) {
			shell_advance(s, 10 * MS);
			continue;
		}
		/* Its deadline passes in a step that asks nobody: the answer still fits. */
		s->session->reclaim.retry_ns = asked->deadline_ns + 20 * MS;
		s->session->reclaim.running = false;
		shell_advance(s, asked->deadline_ns + MS - s->now_ns);
		CU_ASSERT_EQUAL(cache->nr_timeouts, missed + 1);
		shell_shrink_done(s, a.id, &late, 1000000, 0, 0);
		CU_ASSERT_EQUAL(cache->nr_objects, 1000000);
		n_late++;
	}
	CU_ASSERT_EQUAL(n_late, 3);
	CU_ASSERT_EQUAL(cache->state, SHM_CACHE_OPEN);
	shell_close(s);
}

/* A server that died between the row of a cache and its count leaves them apart. */
static void the_number_of_caches_is_counted_again_after_a_crash(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct shm_client *shown = pool_client(s->pool.pool, a.id);

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, a, 2)->status, 0);
	shown->nr_caches = 1;
	shell_restart(s, true);
	CU_ASSERT_EQUAL(shown->nr_caches, 2);
	shell_kill(s, a);
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		CU_ASSERT_EQUAL(pool_caches(s->pool.pool)[i].state, SHM_CACHE_FREE);
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

/* --- the hung ------------------------------------------------------------------------------------
 */

/* A hung client's cache costs nobody a deadline: the others are asked on. */
static void a_hung_cache_does_not_hold_the_wave(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client hung = shell_attach(s, "hung", 0), victim = shell_attach(s, "v", 0);
	struct shell_client honest = shell_attach(s, "honest", 0);
	uint64_t id, began;
	pfn_t pfn = (pfn_t)(shell_alloc(s, honest, 0, 0)->result >> 32);

	s->limits.shrink_deadline_ns = SECOND;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	CU_ASSERT_EQUAL(shell_register(s, hung, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, honest, 1)->status, 0);
	id = wait_for_frames(s, honest, victim, 900);
	began = s->now_ns;
	while (!shell_reply(s, victim.conn, id) && s->now_ns < began + 2 * SECOND) {
		const struct message *upcall = shell_next_upcall(s, honest.id);

		if (!upcall) {
			shell_advance(s, MS);
			continue;
		}
		if (upcall->shrink.nr_to_scan)
			CU_ASSERT_EQUAL(shell_free(s, honest, pfn, 0)->status, 0);
		shell_shrink_done(s, honest.id, upcall, 1000000, upcall->shrink.nr_to_scan,
				  upcall->shrink.nr_to_scan ? 1 : 0);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, victim.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, victim.conn, id)->status, 0);
	CU_ASSERT(s->now_ns - began < 200 * MS);
	shell_close(s);
}

CU_TestInfo test_attack_session[] = {
	{"what can never be granted is refused though others wait",
	 what_can_never_be_granted_is_refused_though_others_wait},
	{"a repeated Alloc is answered though others wait",
	 a_repeated_alloc_is_answered_though_others_wait},
	{"a repeated Free brings nothing back", a_repeated_free_brings_nothing_back},
	{"a request beyond the own max is no demand", a_request_beyond_the_own_max_is_no_demand},
	{"an answer without a question is ignored", an_answer_without_a_question_is_ignored},
	{"a crowd of caches hides nobody", a_crowd_of_caches_hides_nobody},
	{"a full step does not end a run", a_full_step_does_not_end_a_run},
	{"who is always late is left alone too", who_is_always_late_is_left_alone_too},
	{"the number of caches is counted again after a crash",
	 the_number_of_caches_is_counted_again_after_a_crash},
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
	{"a hung cache does not hold the wave", a_hung_cache_does_not_hold_the_wave},
	CU_TEST_INFO_NULL,
};
