/* tests/unit/test_steal.c - daemon/core/steal: claim, barrier, settle against every kind of owner.
 */
#include "tests/support/claim_all.h"
#include "tests/support/fixture_pool.h"

struct fixture {
	struct fixture_pool pool;
	client_id a;
	struct shm_head *hot;
	uint64_t *bottom;
	uint64_t nr_frames;
};

static void setup(struct fixture *f, uint32_t nr_frames)
{
	fixture_pool_open(&f->pool, nr_frames);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, 0);
	f->hot = pool_head(f->pool.pool, f->a, 0, MAGAZINE_HOT);
	f->bottom = fixture_pool_bottom(&f->pool, f->a, 0, MAGAZINE_HOT);
	f->nr_frames = nr_frames;
}

static void teardown(struct fixture *f)
{
	FIXTURE_AUDIT(&f->pool);
	fixture_pool_close(&f->pool);
}

/* n frames of a's own, pushed into its hot magazine. */
static void push_frames(struct fixture *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fixture_pool_push(&f->pool, f->a, 0, MAGAZINE_HOT,
				  fixture_pool_alloc(&f->pool, f->a, 0));
}

static uint64_t steal(struct fixture *f, uint64_t n_wanted)
{
	return fixture_pool_steal(&f->pool, f->a, 0, MAGAZINE_HOT, n_wanted);
}

static uint64_t count(const struct fixture *f)
{
	return fixture_pool_count(&f->pool, f->a, 0, MAGAZINE_HOT);
}

static uint64_t saved_top(const struct fixture *f)
{
	return *pool_saved_top(f->pool.pool, f->a, 0, MAGAZINE_HOT);
}

static void what_lies_in_a_magazine_comes_back(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 50);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 50);
	CU_ASSERT_EQUAL(count(&f), 0);
	CU_ASSERT_EQUAL(f.hot->top, *f.bottom);
	CU_ASSERT_EQUAL(saved_top(&f), 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	CU_ASSERT_EQUAL(f.hot->nr_stolen, 50);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pgfree), 50);
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].nr_blocks[12][MIGRATE_UNMOVABLE], 1);
	teardown(&f);
}

static void what_the_owner_asked_for_is_drained_and_the_rest_is_stolen(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 50);
	CU_ASSERT_EQUAL(steal(&f, 20), 20);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_reclaimed, 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pcp_drained), 20);
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, f.a, false), 1);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 30);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_reclaimed, 30);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pgsteal), 30);
	teardown(&f);
}

static void the_magazines_of_one_thread_are_claimed_up_to_a_number(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 10);
	for (uint32_t i = 0; i < 10; i++) {
		fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_ORDER_1,
				  fixture_pool_alloc(&f.pool, f.a, 1));
		fixture_pool_push(&f.pool, f.a, 1, MAGAZINE_HOT,
				  fixture_pool_alloc(&f.pool, f.a, 0));
	}
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, 0, 15), 16);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 16); /* 10 of order 0, 3 of order 1 */
	CU_ASSERT_EQUAL(fixture_pool_count(&f.pool, f.a, 1, MAGAZINE_HOT), 10);
	CU_ASSERT_EQUAL(fixture_pool_count(&f.pool, f.a, 0, MAGAZINE_ORDER_1), 7);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, 2, 15), 0);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, UINT32_MAX, 15), 0);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, 77, 0, 15), 0);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, 0, 0), 0);
	/* In the middle of a pop of an empty one there is nothing either. */
	(void)fixture_pool_steal(&f.pool, f.a, 0, MAGAZINE_ORDER_1, UINT64_MAX);
	--*fixture_pool_bottom(&f.pool, f.a, 0, MAGAZINE_ORDER_1);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, 0, 15), 0);
	CU_ASSERT_EQUAL(pool_claim_thread(f.pool.pool, f.a, 0, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(pool_nr_claims(f.pool.pool), 0);
	teardown(&f);
}

static void a_partial_steal_takes_the_oldest_and_returns_the_rest(void)
{
	struct fixture f;
	pfn_t last;

	setup(&f, 4096);
	push_frames(&f, 50);
	last = *fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, *f.bottom - 1);
	CU_ASSERT_EQUAL(steal(&f, 20), 20);
	CU_ASSERT_EQUAL(count(&f), 30);
	CU_ASSERT_EQUAL(fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT), last);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 30);
	CU_ASSERT_EQUAL(steal(&f, 0), 0);
	CU_ASSERT_EQUAL(count(&f), 29);
	teardown(&f);
}

static void a_large_magazine_comes_back_in_chunks(void)
{
	struct fixture f;
	uint32_t n = magazine_high_max(SHM_HOT_SLOTS_FIRST);

	setup(&f, 4096);
	push_frames(&f, n);
	CU_ASSERT(n > 2 * magazine_n_max(SHM_HOT_SLOTS_FIRST));
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), n);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void during_a_claim_the_owner_finds_it_empty_and_may_push(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 4096);
	push_frames(&f, 10);
	pfn = fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(pool_claim(f.pool.pool, f.a, 0, MAGAZINE_HOT, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT), PFN_NONE);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, pfn);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 11);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

/* The owner has stored bottom - 1 and not looked at top yet: it will see the claim and put bottom
 * back. */
static void a_pop_that_was_under_way_keeps_its_frame(void)
{
	struct fixture f;
	pfn_t popped;

	setup(&f, 4096);
	push_frames(&f, 5);
	--*f.bottom;
	popped = *fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, *f.bottom);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 4);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, popped).owner, f.a);
	CU_ASSERT_EQUAL((int64_t)(*f.bottom - f.hot->top), 0);
	teardown(&f);
}

static void a_pop_under_way_of_an_empty_magazine_is_no_lie(void)
{
	struct fixture f;

	setup(&f, 4096);
	--*f.bottom;
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(f.hot->top, MAGAZINE_INDEX_START);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_hostile, 0);
	FIXTURE_AUDIT(&f.pool);
	++*f.bottom;
	push_frames(&f, 3);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 3);
	teardown(&f);
}

/* A bulk pop stores bottom - n first: for a moment it is far below top. */
static void a_bulk_pop_under_way_is_no_lie(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 5);
	*f.bottom -= 64;
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_hostile, 0);
	*f.bottom += 64;
	CU_ASSERT_EQUAL(count(&f), 5);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 5);
	teardown(&f);
}

static void a_frame_pushed_twice_is_freed_once_and_counted(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 4096);
	push_frames(&f, 3);
	pfn = *fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, *f.bottom - 1);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, pfn);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, pfn);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 3);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 2);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void a_frame_pushed_twice_is_found_across_chunks(void)
{
	struct fixture f;
	uint32_t chunk = magazine_n_max(SHM_HOT_SLOTS_FIRST);
	pfn_t pfn;

	setup(&f, 4096);
	push_frames(&f, chunk);
	pfn = *fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, *f.bottom - 1);
	push_frames(&f, 3);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, pfn);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), chunk + 3);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 1);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void slots_that_name_no_frame_of_its_own_are_refused_and_counted(void)
{
	struct fixture f;
	client_id b;
	pfn_t foreign, large;

	setup(&f, 4096);
	b = fixture_pool_client(&f.pool, 0);
	foreign = fixture_pool_alloc(&f.pool, b, 0);
	large = fixture_pool_alloc(&f.pool, f.a, 3);
	push_frames(&f, 2);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, foreign);
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, large);     /* another order */
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, large + 1); /* inside a block */
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, 4000);      /* free */
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, 4096);      /* no frame */
	fixture_pool_push(&f.pool, f.a, 0, MAGAZINE_HOT, PFN_NONE);
	CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 2);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 6);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, foreign).owner, b);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, large).owner, f.a);
	teardown(&f);
}

static void a_frame_in_two_magazines_is_freed_once(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 4096);
	push_frames(&f, 1);
	pfn = *fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, *f.bottom - 1);
	fixture_pool_push(&f.pool, f.a, 1, MAGAZINE_COLD, pfn);
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, false), 2);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 1);
	teardown(&f);
}

static void a_bottom_that_cannot_be_is_hostile_and_costs_the_liar_only(void)
{
	static const uint64_t lies[] = {0, 1, UINT64_MAX, MAGAZINE_INDEX_START + 1025,
					MAGAZINE_INDEX_START - 1025};
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 5);
	for (uint32_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		*f.bottom = lies[i];
		CU_ASSERT_EQUAL(steal(&f, UINT64_MAX), 0);
		CU_ASSERT_EQUAL(pool_next_hostile(f.pool.pool), f.a);
		CU_ASSERT_EQUAL(saved_top(&f), 0);
		CU_ASSERT_EQUAL(f.hot->top, MAGAZINE_INDEX_START);
	}
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 5);
	fixture_pool_kill(&f.pool, f.a);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

/* The worst that a bottom can say without being a lie: a ring full of anything. */
static void a_ring_full_of_garbage_gives_back_no_more_than_was_owned(void)
{
	struct fixture f;
	uint64_t seed = 99;

	setup(&f, 4096);
	push_frames(&f, 100);
	for (uint32_t i = 0; i < f.hot->capacity; i++)
		*fixture_pool_slot(&f.pool, f.a, 0, MAGAZINE_HOT, i) = fixture_random(&seed);
	*f.bottom = f.hot->top + f.hot->capacity;
	CU_ASSERT(steal(&f, UINT64_MAX) <= 100);
	FIXTURE_AUDIT(&f.pool);
	*f.bottom = f.hot->top;
	fixture_pool_kill(&f.pool, f.a);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void a_failed_barrier_puts_every_top_back(void)
{
	struct fixture f;
	uint64_t top;

	setup(&f, 4096);
	push_frames(&f, 7);
	fixture_pool_push(&f.pool, f.a, 1, MAGAZINE_COLD, fixture_pool_alloc(&f.pool, f.a, 0));
	top = f.hot->top;
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, f.a, false), 2);
	CU_ASSERT_NOT_EQUAL(f.hot->top, top);
	pool_unclaim(f.pool.pool);
	CU_ASSERT_EQUAL(pool_nr_claims(f.pool.pool), 0);
	CU_ASSERT_EQUAL(f.hot->top, top);
	CU_ASSERT_EQUAL(saved_top(&f), 0);
	CU_ASSERT_EQUAL(count(&f), 7);
	CU_ASSERT_EQUAL(fixture_pool_count(&f.pool, f.a, 1, MAGAZINE_COLD), 1);
	teardown(&f);
}

static void a_magazine_is_claimed_once_at_a_time(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 7);
	CU_ASSERT_EQUAL(pool_claim(f.pool.pool, f.a, 0, MAGAZINE_HOT, 1), 0);
	CU_ASSERT_EQUAL(pool_claim(f.pool.pool, f.a, 0, MAGAZINE_HOT, 1), POOL_BUSY);
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, f.a, false), 0);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 1);
	CU_ASSERT_EQUAL(pool_claim(f.pool.pool, f.a, 0, MAGAZINE_HOT, 1), 0);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 1);
	teardown(&f);
}

static void one_barrier_serves_the_magazines_of_all_clients(void)
{
	struct fixture f;
	client_id b;

	setup(&f, 8192);
	b = fixture_pool_client(&f.pool, 0);
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		(void)fixture_pool_refill(&f.pool, f.a, 0, m);
		(void)fixture_pool_refill(&f.pool, b, 1, m);
	}
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, false), 2 * MAGAZINE_COUNT);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool),
			8192 - pool_nr_free(f.pool.pool) +
				fixture_pool_counter(&f.pool, COUNTER_pgsteal));
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 8192);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_membarrier), 1);
	teardown(&f);
}

static void only_magazines_that_rest_are_idle(void)
{
	struct fixture f;

	setup(&f, 4096);
	push_frames(&f, 7);
	pool_tick(f.pool.pool);
	for (uint32_t i = 0; i < MAGAZINE_IDLE_TICKS; i++) {
		CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, true), 0);
		pool_tick(f.pool.pool);
	}
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, true), 1);
	CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 7);
	teardown(&f);
}

static void a_drain_steals_what_is_above_high(void)
{
	struct fixture f;
	uint64_t n;
	bool wants_steal;

	setup(&f, 4096);
	push_frames(&f, 10);
	CU_ASSERT_EQUAL(pool_drain_request(f.pool.pool, f.a, 0, MAGAZINE_HOT, &n, &wants_steal), 0);
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_FALSE(wants_steal);
	push_frames(&f, 86);
	CU_ASSERT_EQUAL(pool_drain_request(f.pool.pool, f.a, 0, MAGAZINE_HOT, &n, &wants_steal), 0);
	CU_ASSERT_EQUAL(n, 96);
	CU_ASSERT(wants_steal);
	*f.bottom = 5;
	CU_ASSERT_EQUAL(pool_drain_request(f.pool.pool, f.a, 0, MAGAZINE_HOT, &n, &wants_steal),
			POOL_HOSTILE);
	*f.bottom = f.hot->top;
	teardown(&f);
}

/* The invariant behind the capacity: a claim of all, a grant of the most, and nothing overlaps. */
static void a_grant_after_a_steal_overwrites_nothing(void)
{
	struct fixture f;
	pfn_t seen[2048];
	uint32_t n = 0;

	setup(&f, 16384);
	for (uint32_t round = 0; round < 40; round++) {
		uint64_t got = 0;

		CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, UINT32_MAX, &got),
				0);
		push_frames(&f, 37);
		(void)steal(&f, round % 3 ? 61 : UINT64_MAX);
		while (count(&f) > 20 && n < 2048)
			seen[n++] = fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT);
		while (n > 0)
			CU_ASSERT_EQUAL_FATAL(fixture_pool_free(&f.pool, f.a, seen[--n], 0), 0);
		CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), count(&f));
	}
	teardown(&f);
}

/* Two numbers that a client gives, its bottom and what a scan of it freed, whose sum would wrap: a
 * claim that nobody knows of is settled by nobody. */
static void a_claim_of_a_liar_is_told_of_too(void)
{
	struct fixture f;

	setup(&f, 4096);
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		*fixture_pool_bottom(&f.pool, f.a, 0, m) = UINT64_MAX;
		CU_ASSERT(pool_claim_thread(f.pool.pool, f.a, 0, UINT64_MAX) > 0);
		CU_ASSERT(pool_nr_claims(f.pool.pool) > 0);
		CU_ASSERT_EQUAL(pool_settle(f.pool.pool), 0);
		*fixture_pool_bottom(&f.pool, f.a, 0, m) = MAGAZINE_INDEX_START;
	}
	teardown(&f);
}

CU_TestInfo test_steal[] = {
	{"a claim of a liar is told of, too", a_claim_of_a_liar_is_told_of_too},
	{"what lies in a magazine comes back", what_lies_in_a_magazine_comes_back},
	{"what the owner asked for is drained and the rest is stolen",
	 what_the_owner_asked_for_is_drained_and_the_rest_is_stolen},
	{"the magazines of one thread are claimed up to a number",
	 the_magazines_of_one_thread_are_claimed_up_to_a_number},
	{"a partial steal takes the oldest and returns the rest",
	 a_partial_steal_takes_the_oldest_and_returns_the_rest},
	{"a large magazine comes back in chunks", a_large_magazine_comes_back_in_chunks},
	{"during a claim the owner finds it empty and may push",
	 during_a_claim_the_owner_finds_it_empty_and_may_push},
	{"a pop that was under way keeps its frame", a_pop_that_was_under_way_keeps_its_frame},
	{"a pop under way of an empty magazine is no lie",
	 a_pop_under_way_of_an_empty_magazine_is_no_lie},
	{"a bulk pop under way is no lie", a_bulk_pop_under_way_is_no_lie},
	{"a frame pushed twice is freed once and counted",
	 a_frame_pushed_twice_is_freed_once_and_counted},
	{"a frame pushed twice is found across chunks",
	 a_frame_pushed_twice_is_found_across_chunks},
	{"slots that name no frame of its own are refused and counted",
	 slots_that_name_no_frame_of_its_own_are_refused_and_counted},
	{"a frame in two magazines is freed once", a_frame_in_two_magazines_is_freed_once},
	{"a bottom that cannot be is hostile and costs the liar only",
	 a_bottom_that_cannot_be_is_hostile_and_costs_the_liar_only},
	{"a ring full of garbage gives back no more than was owned",
	 a_ring_full_of_garbage_gives_back_no_more_than_was_owned},
	{"a failed barrier puts every top back", a_failed_barrier_puts_every_top_back},
	{"a magazine is claimed once at a time", a_magazine_is_claimed_once_at_a_time},
	{"one barrier serves the magazines of all clients",
	 one_barrier_serves_the_magazines_of_all_clients},
	{"only magazines that rest are idle", only_magazines_that_rest_are_idle},
	{"a drain steals what is above high", a_drain_steals_what_is_above_high},
	{"a grant after a steal overwrites nothing", a_grant_after_a_steal_overwrites_nothing},
	CU_TEST_INFO_NULL,
};
