/* tests/unit/test_reclaim.c - daemon/session/reclaim: magazines, shrinkers by upcalls, deadlines.
 *
 * 4096 frames with min_free 8: low is 12, high is 16. */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u
#define OBJECTS 3000u

static uint64_t nr_free(const struct shell *s)
{
	return pool_nr_free(s->pool.pool);
}

static const struct shm_cache *cache_of(struct shell *s, struct shell_client client)
{
	uint32_t index = 0;

	CU_ASSERT_FATAL(shrinker_find(s->pool.pool, client.id, 1, &index));
	return &pool_caches(s->pool.pool)[index];
}

/* What a library does in a scan: each object is a frame, pushed into the hot magazine. */
static void scan(struct shell *s, struct shell_client client, const struct message *upcall)
{
	uint64_t n = upcall->shrink.nr_to_scan, owned = fixture_pool_owned(&s->pool, client.id);
	pfn_t pfn = s->pool.pool->client[client.id].owned;

	n = n < owned ? n : owned;
	n = n < 96 ? n : 96; /* what high allows */
	for (uint64_t i = 0; i < n; i++) {
		fixture_pool_push(&s->pool, client.id, 0, MAGAZINE_HOT, pfn);
		pfn = s->pool.pool->buddy.map[pfn].next;
	}
	shell_shrink_done(s, client.id, upcall, owned - n, upcall->shrink.nr_to_scan, n);
}

/* Client c holds all but `left` frames, and its cache is registered. */
static struct shell_client cache_client(struct shell *s, uint64_t left)
{
	struct shell_client c = shell_attach(s, "cache", 0);

	CU_ASSERT_EQUAL(shell_register(s, c, 1)->status, 0);
	(void)shell_fill(s, c, left);
	return c;
}

static void nudge(struct shell *s)
{
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
}

/* Answers every upcall of client for a while. */
static uint32_t serve(struct shell *s, struct shell_client client, uint32_t most)
{
	const struct message *upcall;
	uint32_t n = 0;

	while (n < most && (upcall = shell_next_upcall(s, client.id))) {
		scan(s, client, upcall);
		n++;
	}
	return n;
}

/* --- background --- */

static void above_low_nobody_is_disturbed(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool));

	shell_advance(s, 5 * SECOND);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, c.id), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_kswapd_wake), 0);
	shell_close(s);
}

static void below_low_caches_are_shrunk_until_free_is_above_high(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);

	nudge(s);
	CU_ASSERT(serve(s, c, 1000) >= 2);
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_kswapd_wake), 1);
	CU_ASSERT(fixture_pool_counter(&s->pool, COUNTER_pgsteal_slab) > 0);
	CU_ASSERT_FALSE(s->session->reclaim.running);
	CU_ASSERT_PTR_NULL(shell_next_upcall(s, c.id));
	shell_close(s);
}

static void a_cache_is_counted_before_it_is_scanned(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	const struct message *upcall;

	nudge(s);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	CU_ASSERT_EQUAL(upcall->kind, MESSAGE_SHRINK);
	CU_ASSERT_EQUAL(upcall->shrink.cache, 1);
	CU_ASSERT_EQUAL(upcall->shrink.nr_to_scan, 0);
	CU_ASSERT_EQUAL(upcall->shrink.deadline_ns, s->now_ns + 100 * MS);
	CU_ASSERT_EQUAL(cache_of(s, c)->state, SHM_CACHE_BUSY);
	shell_shrink_done(s, c.id, upcall, OBJECTS, 0, 0);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_objects, OBJECTS);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	CU_ASSERT(upcall->shrink.nr_to_scan >= SHRINK_BATCH_DEFAULT);
	CU_ASSERT(upcall->shrink.nr_frames > 0);
	shell_close(s);
}

static void idle_magazines_come_before_any_shrinker(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "idle", 0), c;

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	shell_advance(s, 4 * SECOND);
	c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT), 0);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, c.id), 0);
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	shell_close(s);
}

static void magazines_in_use_are_left_to_their_threads(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "busy", 0), c;

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT), 16);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, c.id), 1);
	shell_close(s);
}

static void only_frames_that_came_back_count(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	const struct message *upcall;

	nudge(s);
	upcall = shell_next_upcall(s, c.id);
	shell_shrink_done(s, c.id, upcall, OBJECTS, 0, 0);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	/* It says that it freed a thousand, and has put nothing into its magazines. */
	shell_shrink_done(s, c.id, upcall, OBJECTS - 1000, 1000, 1000);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_returned, 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_pgsteal_slab), 0);
	CU_ASSERT(s->session->reclaim.running);
	shell_close(s);
}

/* A cache of pinned objects: it is asked at each priority and then left in peace for a while. */
static void a_cache_that_frees_nothing_is_not_asked_for_ever(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	const struct message *upcall;
	uint32_t n = 0;

	nudge(s);
	while (n < 1000 && (upcall = shell_next_upcall(s, c.id))) {
		shell_shrink_done(s, c.id, upcall, OBJECTS, upcall->shrink.nr_to_scan, 0);
		n++;
	}
	CU_ASSERT(n >= 2);
	CU_ASSERT(n <= 2 * (SHRINK_PRIORITY_EASY + 1));
	CU_ASSERT_FALSE(s->session->reclaim.running);
	shell_close(s);
}

static void a_run_without_success_rests_before_the_next(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	(void)shell_fill(s, shell_attach(s, "a", 0), pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	for (uint32_t i = 0; i < 100; i++)
		nudge(s);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_kswapd_wake), 1);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT(fixture_pool_counter(&s->pool, COUNTER_kswapd_wake) <= 102);
	shell_close(s);
}

/* --- those who do not answer --- */

static void a_callback_that_hangs_delays_nobody_else(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client hung = shell_attach(s, "hung", 0), c, b = shell_attach(s, "b", 0);
	uint64_t id;

	CU_ASSERT_EQUAL(shell_register(s, hung, 1)->status, 0);
	c = cache_client(s, pool_watermark_min(s->pool.pool));
	id = shell_alloc_on(s, b, 0, 0, 5000);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, hung.id), 1);
	(void)serve(s, c, 1000);
	/* The hung one costs at most its deadline a wave, and no more after the breaker. */
	for (uint32_t i = 0; i < 10 && !shell_reply(s, b.conn, id); i++) {
		shell_advance(s, 100 * MS);
		(void)serve(s, c, 1000);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, 0);
	CU_ASSERT_EQUAL(shell_alloc(s, b, 0, REQUEST_NOWAIT)->status, 0);
	shell_close(s);
}

static void three_missed_deadlines_leave_a_cache_alone(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	uint32_t before;

	nudge(s);
	for (uint32_t i = 0; i < 100 && cache_of(s, c)->state != SHM_CACHE_OPEN; i++)
		shell_advance(s, 50 * MS);
	CU_ASSERT_EQUAL(cache_of(s, c)->state, SHM_CACHE_OPEN);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_timeouts, 3);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_breaker_open), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->log, "missed 3 deadlines in a row"));
	before = shell_count_upcalls(s, c.id);
	shell_advance(s, 800 * MS);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, c.id), before);
	shell_advance(s, 3 * SECOND);
	CU_ASSERT(shell_count_upcalls(s, c.id) > before);
	shell_close(s);
}

static void an_answer_that_comes_late_is_taken(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	const struct message *upcall;

	nudge(s);
	upcall = shell_next_upcall(s, c.id);
	shell_shrink_done(s, c.id, upcall, OBJECTS, 0, 0);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	s->limits.shrink_deadline_ns = 3600 * SECOND; /* for the next, if there is one */
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	s->now_ns += 120 * MS;
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_timeouts, 1);
	if (!shell_next_upcall(s, c.id)) {
		scan(s, c, upcall);
		CU_ASSERT_EQUAL(cache_of(s, c)->nr_missed, 0);
		CU_ASSERT(cache_of(s, c)->nr_returned > 0);
	}
	shell_close(s);
}

static void answers_that_fit_no_upcall_are_ignored(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	struct shell_client other = shell_attach(s, "other", 0);
	struct message forged;

	nudge(s);
	forged = *shell_next_upcall(s, c.id);
	shell_shrink_done(s, other.id, &forged, 7, 0, 0);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_objects, 0);
	forged.id += 5;
	shell_shrink_done(s, c.id, &forged, 7, 0, 0);
	forged.shrink.cache = 99;
	shell_shrink_done(s, c.id, &forged, 7, 0, 0);
	forged.id = 0;
	forged.shrink.cache = 1;
	shell_shrink_done(s, c.id, &forged, 7, 0, 0);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_objects, 0);
	CU_ASSERT_EQUAL(cache_of(s, c)->state, SHM_CACHE_BUSY);
	shell_event(s,
		    &(struct session_event){.kind = EVENT_UPCALL_DONE,
					    .client = c.id,
					    .message = &(struct message){.kind = MESSAGE_ALLOC}});
	shell_close(s);
}

static void absurd_answers_do_no_harm(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	const struct message *upcall;

	nudge(s);
	for (uint32_t i = 0; i < 20 && (upcall = shell_next_upcall(s, c.id)); i++)
		shell_shrink_done(s, c.id, upcall, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_returned, 0);
	CU_ASSERT(cache_of(s, c)->nr_frames <= NR_FRAMES);
	shell_close(s);
}

/* --- those who go --- */

static void a_death_with_an_upcall_in_flight_lets_the_run_go_on(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client hung = shell_attach(s, "hung", 0), c;

	CU_ASSERT_EQUAL(shell_register(s, hung, 1)->status, 0);
	c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 2);
	shell_kill(s, hung);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 1);
	(void)serve(s, c, 1000);
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 0);
	shell_close(s);
}

static void a_cache_that_is_unregistered_in_flight_is_forgotten(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);
	struct message unregister = {.kind = MESSAGE_CACHE_UNREGISTER,
				     .cache_unregister = {.cache = 1}};
	const struct message *upcall;

	nudge(s);
	upcall = shell_next_upcall(s, c.id);
	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &unregister)->status, 0);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 0);
	shell_shrink_done(s, c.id, upcall, OBJECTS, 10, 10);
	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &unregister)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, c, 1)->status, 0);
	CU_ASSERT_EQUAL(cache_of(s, c)->nr_objects, 0);
	shell_close(s);
}

static void a_client_without_its_event_socket_is_not_asked(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_low(s->pool.pool) - 1);

	nudge(s);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 1);
	shell_event(s, &(struct session_event){.kind = EVENT_EVENTS_CLOSED, .client = c.id});
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 0);
	shell_advance(s, 5 * SECOND);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, c.id), 1);
	CU_ASSERT(s->open[c.conn]);
	shell_close(s);
}

/* --- direct --- */

static void a_waiting_request_is_met_by_another_clients_cache(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, pool_watermark_min(s->pool.pool));
	struct shell_client b = shell_attach(s, "b", 0);
	uint64_t id = shell_alloc_on(s, b, 0, 0, 5000);

	CU_ASSERT_PTR_NULL(shell_reply(s, b.conn, id));
	CU_ASSERT(serve(s, c, 1000) >= 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
	CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, 0);
	shell_close(s);
}

static void the_administrator_gets_the_frames_he_asked_for(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client c = cache_client(s, 1000);
	uint32_t root = shell_observe(s, 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 300}};
	uint64_t before = nr_free(s), id = shell_say(s, root, &reclaim);

	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->status, -EBUSY);
	(void)serve(s, c, 1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, root, id));
	CU_ASSERT(shell_reply(s, root, id)->count >= 300);
	CU_ASSERT_EQUAL(nr_free(s), before + shell_reply(s, root, id)->count);
	shell_close(s);
}

static void an_administrator_who_asks_for_too_much_gets_what_there_is(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = UINT64_MAX}};
	uint32_t root = shell_observe(s, 0);
	struct shell_client a = shell_attach(s, "a", 0);
	const struct message_reply *reply;

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	reply = shell_ask(s, root, &reclaim);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->count, 16);
	/* One who hangs up is not answered, and the next may ask. */
	(void)cache_client(s, 1000);
	(void)shell_say(s, root, &reclaim);
	shell_hang_up(s, root);
	shell_advance(s, 20 * SECOND);
	root = shell_observe(s, 0);
	reclaim.reclaim.nr_frames = 1;
	(void)shell_say(s, root, &reclaim);
	shell_advance(s, 20 * SECOND);
	CU_ASSERT(shell_count_replies(s, root) >= 2);
	shell_close(s);
}

static void hundreds_of_caches_are_asked_without_flooding_a_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client client[12]; /* of as many users: one may not have so many rows */

	for (uint32_t i = 0; i < 12; i++) {
		client[i] = shell_attach(s, "many", 0);
		pool_client(s->pool.pool, client[i].id)->uid += i;
		for (uint32_t n = 1; n <= SHRINK_CLIENT_MAX; n++)
			CU_ASSERT_EQUAL(shell_register(s, client[i], n)->status, 0);
	}
	(void)shell_fill(s, client[0], pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	for (uint32_t i = 0; i < 20; i++)
		nudge(s);
	CU_ASSERT(s->n_upcalls > 0);
	CU_ASSERT(s->most_actions <= SESSION_MAX_ACTIONS);
	for (uint32_t i = 0; i < 12; i++)
		shell_kill(s, client[i]);
	CU_ASSERT_EQUAL(nr_free(s), NR_FRAMES);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 0);
	shell_close(s);
}

CU_TestInfo test_reclaim[] = {
	{"above low nobody is disturbed", above_low_nobody_is_disturbed},
	{"below low caches are shrunk until free is above high",
	 below_low_caches_are_shrunk_until_free_is_above_high},
	{"a cache is counted before it is scanned", a_cache_is_counted_before_it_is_scanned},
	{"idle magazines come before any shrinker", idle_magazines_come_before_any_shrinker},
	{"magazines in use are left to their threads", magazines_in_use_are_left_to_their_threads},
	{"only frames that came back count", only_frames_that_came_back_count},
	{"a cache that frees nothing is not asked for ever",
	 a_cache_that_frees_nothing_is_not_asked_for_ever},
	{"a run without success rests before the next",
	 a_run_without_success_rests_before_the_next},
	{"a callback that hangs delays nobody else", a_callback_that_hangs_delays_nobody_else},
	{"three missed deadlines leave a cache alone", three_missed_deadlines_leave_a_cache_alone},
	{"an answer that comes late is taken", an_answer_that_comes_late_is_taken},
	{"answers that fit no upcall are ignored", answers_that_fit_no_upcall_are_ignored},
	{"absurd answers do no harm", absurd_answers_do_no_harm},
	{"a death with an upcall in flight lets the run go on",
	 a_death_with_an_upcall_in_flight_lets_the_run_go_on},
	{"a cache that is unregistered in flight is forgotten",
	 a_cache_that_is_unregistered_in_flight_is_forgotten},
	{"a client without its event socket is not asked",
	 a_client_without_its_event_socket_is_not_asked},
	{"a waiting request is met by another client's cache",
	 a_waiting_request_is_met_by_another_clients_cache},
	{"the administrator gets the frames he asked for",
	 the_administrator_gets_the_frames_he_asked_for},
	{"an administrator who asks for too much gets what there is",
	 an_administrator_who_asks_for_too_much_gets_what_there_is},
	{"hundreds of caches are asked without flooding a step",
	 hundreds_of_caches_are_asked_without_flooding_a_step},
	CU_TEST_INFO_NULL,
};
