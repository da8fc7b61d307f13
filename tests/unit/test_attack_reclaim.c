/* tests/unit/test_attack_reclaim.c - what a client's caches and answers once could do to the
 * others.
 *
 * Each test is an attack that worked: the answer that nobody asked for, the crowd that hid somebody
 * else's cache, the one that is always late. */
#include "tests/support/fixture_session.h"

#define NR_FRAMES 4096u

/* A full pool, a request of `victim` that waits for frames, and nothing else under way. */
static uint64_t wait_for_frames(struct shell *s, struct shell_client owner,
				struct shell_client victim, uint32_t timeout_ms)
{
	(void)shell_fill(s, owner, pool_watermark_min(s->pool.pool));
	return shell_alloc_on(s, victim, 7, 0, timeout_ms);
}

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

/* The owner is in the middle of a pop from an empty magazine (or says so) when the answer comes:
 * what is claimed then must be settled, before the client dies. */
static void an_answer_during_a_pop_leaves_no_claim_behind(void)
{
	static const uint64_t frames[] = {5, UINT64_MAX};
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint32_t root = shell_observe(s, 0);

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	*fixture_pool_bottom(&s->pool, a.id, 0, MAGAZINE_HOT) -= 1;
	for (uint32_t i = 0; i < 2; i++) {
		struct message done = {
			.kind = MESSAGE_SHRINK_DONE,
			.shrink_done = {.cache = 1, .nr_objects = 1000000, .nr_frames = frames[i]}};

		for (uint32_t n = 0; n < 40 && !s->session->upcall[0].active; n++)
			shell_advance(s, 50 * MS);
		done.id = s->session->upcall[0].id;
		CU_ASSERT(s->session->upcall[0].active);
		shell_event(s, &(struct session_event){.kind = EVENT_UPCALL_DONE,
						       .client = a.id,
						       .message = &done});
		CU_ASSERT_EQUAL(pool_nr_claims(s->pool.pool), 0);
	}
	shell_kill(s, a);
	(void)shell_refill(s, b, MAGAZINE_HOT, 0);
	CU_ASSERT_EQUAL(shell_ask(s, root, &(struct message){.kind = MESSAGE_DRAIN})->status, 0);
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

static void a_reclaim_of_everything_asks_for_no_more_than_there_is(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, NR_FRAMES / 2);
	(void)shell_say(
		s, root,
		&(struct message){.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = UINT64_MAX}});
	upcall = shell_next_upcall(s, a.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	shell_shrink_done(s, a.id, upcall, 1000000, 0, 0);
	upcall = shell_next_upcall(s, a.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	CU_ASSERT(upcall->shrink.nr_frames > 0);
	CU_ASSERT(upcall->shrink.nr_frames <= NR_FRAMES);
	shell_close(s);
}

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

/* Somebody waits in the middle of a scan, and all magazines are taken with what it freed so far. A
 * cache that is given no credit for it looks like one that lies. */
static void what_a_steal_takes_of_a_scan_is_to_its_credit(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = shell_attach(s, "cache", 0), b = shell_attach(s, "b", 0);
	const struct shm_cache *cache = &pool_caches(s->pool.pool)[0];
	const struct message *upcall;
	pfn_t pfn;

	CU_ASSERT_EQUAL(shell_register(s, c, 1)->status, 0);
	(void)shell_fill(s, c, pool_watermark_low(s->pool.pool) - 1);
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	upcall = shell_next_upcall(s, c.id);
	shell_shrink_done(s, c.id, upcall, 3000, 0, 0);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	pfn = s->pool.pool->client[c.id].owned;
	for (uint32_t i = 0; i < 24; i++) {
		fixture_pool_push(&s->pool, c.id, 0, MAGAZINE_HOT, pfn);
		pfn = s->pool.pool->buddy.map[pfn].next;
	}
	(void)shell_alloc_on(s, b, 0, 5, 5000);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, c.id, 0, MAGAZINE_HOT), 0);
	CU_ASSERT_EQUAL(cache->nr_returned, 0);
	shell_shrink_done(s, c.id, upcall, 2976, upcall->shrink.nr_to_scan, 24);
	CU_ASSERT_EQUAL(cache->nr_returned, 24);
	shell_close(s);
}

/* A wave is waited for 50 ms, and a cache may take its deadline. Its answer is part of the run. */
static void an_administrator_waits_for_a_slow_cache(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = shell_attach(s, "slow", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 40}};
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;
	uint64_t id, nr_free;

	CU_ASSERT_EQUAL(shell_register(s, c, 1)->status, 0);
	(void)shell_fill(s, c, 1000);
	nr_free = pool_nr_free(s->pool.pool);
	id = shell_say(s, root, &reclaim);
	shell_shrink_done(s, c.id, shell_next_upcall(s, c.id), 3000, 0, 0);
	for (uint32_t n = 0; n < 40 && !shell_reply(s, root, id); n++) {
		pfn_t pfn = s->pool.pool->client[c.id].owned;

		upcall = shell_next_upcall(s, c.id);
		CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
		s->now_ns += 80 * MS;
		shell_event(s, &(struct session_event){.kind = EVENT_TICK});
		CU_ASSERT_PTR_NULL(shell_reply(s, root, id));
		CU_ASSERT_EQUAL(shell_free(s, c, pfn, 0)->status, 0);
		shell_shrink_done(s, c.id, upcall, 3000, upcall->shrink.nr_to_scan, 1);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, root, id));
	CU_ASSERT_EQUAL(shell_reply(s, root, id)->count, 40);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), nr_free + 40);
	shell_close(s);
}

CU_TestInfo test_attack_reclaim[] = {
	{"an answer without a question is ignored", an_answer_without_a_question_is_ignored},
	{"a crowd of caches hides nobody", a_crowd_of_caches_hides_nobody},
	{"a full step does not end a run", a_full_step_does_not_end_a_run},
	{"who is always late is left alone too", who_is_always_late_is_left_alone_too},
	{"an answer during a pop leaves no claim behind",
	 an_answer_during_a_pop_leaves_no_claim_behind},
	{"the number of caches is counted again after a crash",
	 the_number_of_caches_is_counted_again_after_a_crash},
	{"a Reclaim of everything asks for no more than there is",
	 a_reclaim_of_everything_asks_for_no_more_than_there_is},
	{"a hung cache does not hold the wave", a_hung_cache_does_not_hold_the_wave},
	{"an administrator waits for a slow cache", an_administrator_waits_for_a_slow_cache},
	{"what a steal takes of a scan is to its credit",
	 what_a_steal_takes_of_a_scan_is_to_its_credit},
	CU_TEST_INFO_NULL,
};
