/* tests/unit/test_ladder.c - daemon/session/reclaim: in which order, how much, and what is said of
 * it. */
#include "tests/unit/ladder_fixture.h"

/* --- purge --- */

static void what_can_be_purged_serves_a_request_in_its_own_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t barriers;

	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	make_purgeable(s, a, 500);
	barriers = s->n_barriers;
	s->hold_again = true; /* nothing but this step */
	CU_ASSERT_PTR_NOT_NULL(shell_refill(s, b, MAGAZINE_HOT, 0));
	CU_ASSERT(fixture_pool_count(&s->pool, b.id, 0, MAGAZINE_HOT) >= 8);
	CU_ASSERT_EQUAL(s->n_barriers, barriers);
	s->hold_again = false;
	shell_again(s);
	nudge(s);
	/* The goal and no more. */
	CU_ASSERT(nr_free(s) >= pool_watermark_low(s->pool.pool));
	CU_ASSERT(pool_client(s->pool.pool, a.id)->nr_purged <= 40);
	shell_close(s);
}

static void background_purges_up_to_high_and_no_further(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_fill(s, a, pool_watermark_low(s->pool.pool) - 1);
	make_purgeable(s, a, 500);
	shell_advance(s, 2 * SECOND); /* the run before found nothing, and rests */
	CU_ASSERT_EQUAL(nr_free(s), pool_watermark_high(s->pool.pool));
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_purged, 5);
	CU_ASSERT_FALSE(s->session->reclaim.running);
	shell_close(s);
}

/* Nobody answers: all are stopped. */
static void with_all_clients_stopped_the_target_is_reached_all_the_same(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 1000}};
	uint32_t root = shell_observe(s, 0);
	uint64_t id;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, b, 1)->status, 0);
	(void)shell_refill(s, b, MAGAZINE_HOT, 0);
	(void)shell_fill(s, a, 100);
	make_purgeable(s, a, 1500);
	id = shell_say(s, root, &reclaim);
	shell_advance(s, 2 * SECOND);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, root, id));
	CU_ASSERT(shell_reply(s, root, id)->count >= 1000);
	CU_ASSERT(shell_reply(s, root, id)->count <= 1000 + 128);
	CU_ASSERT_PTR_NOT_NULL(strstr(shell_reply(s, root, id)->text, "purged"));
	shell_close(s);
}

static void a_client_at_its_max_pays_with_its_own_oldest(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 100), b = shell_attach(s, "b", 0);
	const struct message_reply *reply;

	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(shell_alloc(s, a, 0, 0)->status, 0);
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(shell_alloc(s, b, 0, 0)->status, 0);
	make_purgeable(s, a, 60);
	make_purgeable(s, b, 50);
	reply = shell_alloc(s, a, 3, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_purged, 8);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_purged, 0);
	/* More than it has of those: it is told, and its own shrinkers are its own affair. */
	reply = shell_alloc(s, a, 6, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_purged, 0);
	shell_close(s);
}

/* --- shares and hysteresis --- */

static struct shell_client cache_client(struct shell *s, const char *name, uint64_t left,
					uint64_t rebuild_ns)
{
	struct shell_client c = shell_attach(s, name, 0);
	struct message message = {.kind = MESSAGE_CACHE_REGISTER,
				  .cache_register = {.cache = 1, .rebuild_ns = rebuild_ns}};

	strcpy(message.cache_register.name, name);
	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &message)->status, 0);
	(void)shell_fill(s, c, left);
	return c;
}

static void what_is_cheap_to_rebuild_goes_first(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client dear = cache_client(s, "dear", NR_FRAMES / 2, 1000000);
	struct shell_client cheap = cache_client(s, "cheap", 100, 10000);
	uint64_t n_dear = fixture_pool_owned(&s->pool, dear.id);
	uint64_t n_cheap = fixture_pool_owned(&s->pool, cheap.id), before = n_dear;
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 600}};
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;

	(void)shell_say(s, root, &reclaim);
	for (uint32_t i = 0; i < 1000 && s->session->reclaim.running; i++) {
		upcall = next_shrink(s, dear.id);
		if (upcall)
			n_dear -= scan_frames(s, dear, upcall, n_dear);
		upcall = next_shrink(s, cheap.id);
		if (upcall)
			n_cheap -= scan_frames(s, cheap, upcall, n_cheap);
	}
	CU_ASSERT(n_cheap < 2000 - 400);
	CU_ASSERT(before - n_dear <= 128);
	shell_close(s);
}

/* b takes and gives back, again and again; the cache fills what is left, as caches do. */
static void a_sawtooth_does_not_empty_a_cache(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, "cache", 60, 0), b = shell_attach(s, "b", 0);
	uint64_t n = fixture_pool_owned(&s->pool, c.id), least = n, most_lost = 0;
	const struct message *upcall;
	pfn_t pfn[60];

	for (uint32_t second = 0; second < 60; second++) {
		uint64_t before = n;
		uint32_t taken = 0;

		for (; taken < 60; taken++) {
			const struct message_reply *reply = shell_alloc(s, b, 0, 0);

			for (uint32_t i = 0; !reply && i < 50 && (upcall = next_shrink(s, c.id));
			     i++)
				n -= scan_frames(s, c, upcall, n);
			if (!reply)
				reply = shell_reply(s, b.conn, s->next_id - 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
			CU_ASSERT_EQUAL(reply->status, 0);
			pfn[taken] = (pfn_t)(reply->result >> 32);
			while ((upcall = next_shrink(s, c.id)))
				n -= scan_frames(s, c, upcall, n);
		}
		least = n < least ? n : least;
		most_lost = before - n > most_lost ? before - n : most_lost;
		while (taken)
			CU_ASSERT_EQUAL(shell_free(s, b, pfn[--taken], 0)->status, 0);
		for (; nr_free(s) > 60; n++)
			CU_ASSERT_EQUAL(shell_alloc(s, c, 0, 0)->status, 0);
		shell_advance(s, SECOND);
		while ((upcall = next_shrink(s, c.id)))
			n -= scan_frames(s, c, upcall, n);
	}
	CU_ASSERT(least > 3500);
	CU_ASSERT(most_lost <= 60 + 128);
	shell_close(s);
}

/* What was asked for and has not come yet is not asked for again of others. */
static void what_is_on_its_way_counts(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = cache_client(s, "a", NR_FRAMES / 2, 0);
	struct shell_client b = cache_client(s, "b", 100, 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 100}};
	uint32_t root = shell_observe(s, 0);
	const struct message *one, *two;
	uint64_t asked = 0;

	(void)shell_say(s, root, &reclaim);
	one = next_shrink(s, a.id);
	two = next_shrink(s, b.id);
	CU_ASSERT(one && two);
	if (one && two) {
		shell_shrink_done(s, a.id, one, 2000, 0, 0);
		shell_shrink_done(s, b.id, two, 2000, 0, 0);
	}
	for (uint32_t i = 0; i < 10; i++) {
		one = next_shrink(s, a.id);
		asked += one ? one->shrink.nr_to_scan : 0;
		two = next_shrink(s, b.id);
		asked += two ? two->shrink.nr_to_scan : 0;
		nudge(s);
	}
	CU_ASSERT(asked >= 100);
	CU_ASSERT(asked <= 100 + 128);
	shell_close(s);
}

static void an_empty_cache_is_counted_again(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, "c", pool_watermark_low(s->pool.pool) - 1, 0);
	const struct message *upcall;

	nudge(s);
	upcall = next_shrink(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	shell_shrink_done(s, c.id, upcall, 0, 0, 0);
	CU_ASSERT_PTR_NULL(next_shrink(s, c.id));
	shell_advance(s, 3 * SECOND);
	upcall = next_shrink(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	CU_ASSERT_EQUAL(upcall->shrink.nr_to_scan, 0);
	shell_close(s);
}

/* --- the administrator --- */

static void reclaim_of_one_client_leaves_the_others_alone(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM,
				  .reclaim = {.nr_frames = 300, .client = b.id}};
	uint32_t root = shell_observe(s, 0);
	const struct message_reply *reply;

	(void)shell_fill(s, a, 2000);
	(void)shell_fill(s, b, 1000);
	make_purgeable(s, a, 500);
	make_purgeable(s, b, 200);
	reply = shell_ask(s, root, &reclaim);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->count, 200);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_purged, 0);
	reclaim.reclaim.client = 77;
	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->status, -ESRCH);
	reclaim.reclaim.client = UINT32_MAX;
	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->status, -ESRCH);
	reclaim.reclaim.client = b.id;
	reclaim.reclaim.cache = 3;
	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->status, -ESRCH);
	shell_close(s);
}

static void reclaim_of_one_cache_asks_that_cache_alone(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = cache_client(s, "a", 2000, 0), b = cache_client(s, "b", 1000, 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM,
				  .reclaim = {.nr_frames = 150, .client = b.id, .cache = 1}};
	uint32_t root = shell_observe(s, 0);
	uint64_t n = fixture_pool_owned(&s->pool, b.id), id;
	const struct message *upcall;

	make_purgeable(s, b, 100);
	id = shell_say(s, root, &reclaim);
	while ((upcall = next_shrink(s, b.id)))
		n -= scan_frames(s, b, upcall, n);
	CU_ASSERT_PTR_NULL(next_shrink(s, a.id));
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, root, id));
	CU_ASSERT(shell_reply(s, root, id)->count >= 150);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_purged, 0);
	/* It is gone while it is asked: the Reclaim ends. */
	id = shell_say(s, root, &reclaim);
	CU_ASSERT_PTR_NULL(shell_reply(s, root, id));
	shell_kill(s, b);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, root, id));
	shell_close(s);
}

static void a_dry_run_takes_nothing_and_says_from_whom(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "redis", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM,
				  .reclaim = {.nr_frames = 100, .dry_run = 1}};
	uint32_t root = shell_observe(s, 0);
	const struct message_reply *reply;
	uint64_t free;

	(void)shell_fill(s, a, 1000);
	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->count, 0);
	make_purgeable(s, a, 60);
	shell_advance(s, 2 * SECOND); /* counted */
	free = nr_free(s);
	reply = shell_ask(s, root, &reclaim);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->count, 60);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "60 purged of 1 (redis)"));
	CU_ASSERT_EQUAL(nr_free(s), free);
	shell_close(s);
}

/* --- what is said --- */

static void enomem_says_who_was_asked_and_did_not_answer(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, "hung", pool_watermark_min(s->pool.pool), 0);
	struct shell_client b = shell_attach(s, "b", 0);
	const struct message_reply *reply;
	const struct message *upcall;
	uint64_t id = shell_alloc_on(s, b, 0, 0, 400);

	upcall = next_shrink(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	shell_shrink_done(s, c.id, upcall, 3000, 0, 0);
	shell_advance(s, SECOND);
	reply = shell_reply(s, b.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "hung of client 1: asked for"));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "no answer"));
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "largest owners: 1 (hung"));
	shell_close(s);
}

static void a_scan_that_stops_is_no_failure(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, "c", pool_watermark_low(s->pool.pool) - 1, 0);
	struct message done = {.kind = MESSAGE_SHRINK_DONE,
			       .shrink_done = {.cache = 1, .stopped = 1, .nr_objects = 3000}};
	const struct shm_cache *cache = &pool_caches(s->pool.pool)[0];
	const struct message *upcall;

	nudge(s);
	for (uint32_t i = 0; i < 3 && (upcall = next_shrink(s, c.id)); i++) {
		done.id = upcall->id;
		shell_event(s, &(struct session_event){.kind = EVENT_UPCALL_DONE,
						       .client = c.id,
						       .message = &done});
	}
	CU_ASSERT(cache->nr_stopped >= 2);
	CU_ASSERT_EQUAL(cache->nr_missed, 0);
	CU_ASSERT(cache->nr_deferred > 0);
	CU_ASSERT_EQUAL(cache->nr_timeouts, 0);
	shell_close(s);
}

/* --- a daemon that is late --- */

/* The cache of a is asked for what b made short. */
static const struct message *wave_is_out(struct shell *s, struct shell_client a,
					 struct shell_client b)
{
	const struct message *upcall;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, 1000);
	(void)shell_fill(s, b, pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	upcall = next_shrink(s, a.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	shell_shrink_done(s, a.id, upcall, 3000, 0, 0); /* it is counted */
	upcall = next_shrink(s, a.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	return upcall;
}

/* Its processor was another's for longer than a wave waits. What it looks at first is no answer. */
static void a_wave_is_not_given_up_before_its_answers_are_read(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message status = {.kind = MESSAGE_STATUS};
	const struct message *upcall;
	uint64_t lost;

	upcall = wave_is_out(s, a, b);
	CU_ASSERT(upcall->shrink.nr_frames > 0);
	make_purgeable(s, b, 500); /* a dear way out: nothing of it was needed */
	s->now_ns += 60 * MS;
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &status)->status, 0);
	(void)scan_frames(s, a, upcall, 3000);
	nudge(s);
	lost = pool_client(s->pool.pool, b.id)->nr_purged;
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	shell_close(s);
}

/* An answer that is not there when it is the daemon's turn is one that takes long. */
static void a_wave_whose_answers_do_not_come_is_given_up(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);

	(void)wave_is_out(s, a, b);
	make_purgeable(s, b, 500);
	shell_advance(s, 49 * MS);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, b.id)->nr_purged, 0);
	shell_advance(s, 2 * MS); /* its own timer, in time */
	CU_ASSERT(pool_client(s->pool.pool, b.id)->nr_purged > 0);
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	shell_close(s);
}

CU_TestInfo test_ladder[] = {
	{"what can be purged serves a request in its own step",
	 what_can_be_purged_serves_a_request_in_its_own_step},
	{"background purges up to high and no further",
	 background_purges_up_to_high_and_no_further},
	{"with all clients stopped the target is reached all the same",
	 with_all_clients_stopped_the_target_is_reached_all_the_same},
	{"a client at its max pays with its own oldest",
	 a_client_at_its_max_pays_with_its_own_oldest},
	{"what is cheap to rebuild goes first", what_is_cheap_to_rebuild_goes_first},
	{"a sawtooth does not empty a cache", a_sawtooth_does_not_empty_a_cache},
	{"what is on its way counts", what_is_on_its_way_counts},
	{"an empty cache is counted again", an_empty_cache_is_counted_again},
	{"reclaim of one client leaves the others alone",
	 reclaim_of_one_client_leaves_the_others_alone},
	{"reclaim of one cache asks that cache alone", reclaim_of_one_cache_asks_that_cache_alone},
	{"a dry run takes nothing and says from whom", a_dry_run_takes_nothing_and_says_from_whom},
	{"ENOMEM says who was asked and did not answer",
	 enomem_says_who_was_asked_and_did_not_answer},
	{"a scan that stops is no failure", a_scan_that_stops_is_no_failure},
	{"a wave is not given up before its answers are read",
	 a_wave_is_not_given_up_before_its_answers_are_read},
	{"a wave whose answers do not come is given up",
	 a_wave_whose_answers_do_not_come_is_given_up},
	CU_TEST_INFO_NULL,
};
