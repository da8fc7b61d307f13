/* tests/unit/test_magazine.c - daemon/core/magazine: create, refill, demand, the tick. */
#include "tests/support/fixture_pool.h"

struct fixture {
	struct fixture_pool pool;
	client_id a;
	struct shm_head *hot;
};

static void setup(struct fixture *f, uint32_t nr_frames, uint64_t max_frames)
{
	fixture_pool_open(&f->pool, nr_frames);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, max_frames);
	f->hot = pool_head(f->pool.pool, f->a, 0, MAGAZINE_HOT);
}

static void teardown(struct fixture *f)
{
	FIXTURE_AUDIT(&f->pool);
	fixture_pool_close(&f->pool);
}

static uint64_t refill(struct fixture *f, uint32_t want)
{
	uint64_t count = 0;

	CU_ASSERT_EQUAL(pool_refill(f->pool.pool, f->a, 0, MAGAZINE_HOT, want, &count), 0);
	return count;
}

static void empty(struct fixture *f)
{
	while (fixture_pool_pop(&f->pool, f->a, 0, MAGAZINE_HOT) != PFN_NONE)
		;
}

static void a_new_magazine_is_empty_and_sized_by_the_batch(void)
{
	struct fixture f;

	setup(&f, 65536, 0);
	CU_ASSERT_EQUAL(f.hot->top, MAGAZINE_INDEX_START);
	CU_ASSERT_EQUAL(f.hot->batch, 16);
	CU_ASSERT_EQUAL(f.hot->high_base, 96);
	CU_ASSERT_EQUAL(pool_head(f.pool.pool, f.a, 0, MAGAZINE_COLD)->high_base, 32);
	CU_ASSERT_EQUAL(f.hot->capacity, SHM_HOT_SLOTS_FIRST);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_threads, FIXTURE_THREADS);
	teardown(&f);
}

static void creating_it_again_changes_nothing(void)
{
	struct fixture f;
	uint64_t top;

	setup(&f, 65536, 0);
	(void)refill(&f, 0);
	top = f.hot->top;
	CU_ASSERT_EQUAL(pool_pcp_create(f.pool.pool, f.a, 0), 0);
	CU_ASSERT_EQUAL(f.hot->top, top);
	CU_ASSERT_EQUAL(f.pool.pool->nr_threads, FIXTURE_THREADS);
	CU_ASSERT_EQUAL(pool_pcp_create(f.pool.pool, f.a, FIXTURE_THREADS), POOL_BAD_THREAD);
	CU_ASSERT_EQUAL(pool_pcp_create(f.pool.pool, f.a, UINT32_MAX), POOL_BAD_THREAD);
	teardown(&f);
}

static void a_refill_grants_a_batch_of_owned_frames(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 65536, 0);
	CU_ASSERT_EQUAL(refill(&f, 0), 16);
	CU_ASSERT_EQUAL(f.hot->nr_granted, 16);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 16);
	for (uint32_t i = 0; i < 16; i++) {
		pfn = fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT);
		CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn).owner, f.a);
	}
	CU_ASSERT_EQUAL(fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT), PFN_NONE);
	teardown(&f);
}

static void every_magazine_gets_blocks_of_its_order(void)
{
	struct fixture f;

	setup(&f, 65536, 0);
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		pfn_t pfn;

		CU_ASSERT(fixture_pool_refill(&f.pool, f.a, 1, m) >= 1);
		pfn = fixture_pool_pop(&f.pool, f.a, 1, m);
		CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn).order, magazine_order(m));
		CU_ASSERT_EQUAL(pfn & ((1u << magazine_order(m)) - 1), 0);
		CU_ASSERT_EQUAL(buddy_type(&f.pool.pool->buddy, pfn),
				m == MAGAZINE_COLD ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE);
	}
	teardown(&f);
}

static void a_refill_of_what_is_full_enough_repeats_harmlessly(void)
{
	struct fixture f;
	uint64_t top;

	setup(&f, 65536, 0);
	CU_ASSERT_EQUAL(refill(&f, 0), 16);
	CU_ASSERT_EQUAL(refill(&f, 0), 32); /* demand doubled: batch << 1 */
	top = f.hot->top;
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 5, &(uint64_t){0}), 0);
	CU_ASSERT(f.hot->top <= top);
	for (uint32_t i = 0; i < 20; i++)
		(void)refill(&f, 0);
	CU_ASSERT_EQUAL(refill(&f, 0), magazine_n_max(SHM_HOT_SLOTS_FIRST));
	top = f.hot->top;
	(void)refill(&f, 0);
	CU_ASSERT_EQUAL(f.hot->top, top);
	teardown(&f);
}

static void want_raises_a_refill(void)
{
	struct fixture f;

	setup(&f, 65536, 0);
	CU_ASSERT_EQUAL(refill(&f, 100), 100);
	CU_ASSERT_EQUAL(refill(&f, UINT32_MAX), magazine_n_max(SHM_HOT_SLOTS_FIRST));
	teardown(&f);
}

static void the_bulk_doubles_five_times_with_refills_in_a_row(void)
{
	static const uint64_t expected[] = {16, 32, 64, 128, 256, 512, 512};
	struct fixture f;

	setup(&f, 262144, 0);
	for (uint32_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		CU_ASSERT_EQUAL(refill(&f, 0), expected[i]);
		empty(&f);
	}
	teardown(&f);
}

static void the_ring_grows_only_when_the_magazine_is_empty(void)
{
	struct fixture f;

	setup(&f, 262144, 0);
	(void)refill(&f, 0);
	for (uint32_t i = 0; i < 30; i++) {
		(void)fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT);
		(void)refill(&f, UINT32_MAX);
		CU_ASSERT_EQUAL(f.hot->capacity, SHM_HOT_SLOTS_FIRST);
	}
	/* An owner in the middle of a pop is one below top: that is not empty either. */
	empty(&f);
	--*fixture_pool_bottom(&f.pool, f.a, 0, MAGAZINE_HOT);
	(void)refill(&f, 0);
	CU_ASSERT_EQUAL(f.hot->capacity, SHM_HOT_SLOTS_FIRST);
	++*fixture_pool_bottom(&f.pool, f.a, 0, MAGAZINE_HOT);
	empty(&f);
	(void)refill(&f, 0);
	CU_ASSERT(f.hot->capacity > SHM_HOT_SLOTS_FIRST);
	teardown(&f);
}

static void frames_survive_the_growth_of_the_ring(void)
{
	struct fixture f;
	uint64_t got = 0;

	setup(&f, 262144, 0);
	for (uint32_t i = 0; i < 12; i++) {
		got += refill(&f, 0);
		empty(&f);
	}
	CU_ASSERT(f.hot->capacity >= 4096);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), got);
	CU_ASSERT_EQUAL(got, f.hot->nr_granted);
	for (uint64_t n = refill(&f, 0); n > 0; n--) {
		pfn_t pfn = fixture_pool_pop(&f.pool, f.a, 0, MAGAZINE_HOT);

		CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn).owner, f.a);
	}
	teardown(&f);
}

static void high_follows_demand_and_decays_when_idle(void)
{
	struct fixture f;
	uint64_t peak;

	setup(&f, 262144, 0);
	for (uint32_t i = 0; i < 8; i++) {
		(void)refill(&f, 0);
		empty(&f);
	}
	peak = f.hot->high;
	CU_ASSERT(peak > 8 * f.hot->high_base);
	pool_tick(f.pool.pool); /* it moved since the last look */
	CU_ASSERT_EQUAL(f.hot->idle, 0);
	for (uint32_t i = 0; i < 80; i++) {
		uint64_t before = f.hot->high;

		pool_tick(f.pool.pool);
		CU_ASSERT(f.hot->high <= before);
	}
	CU_ASSERT_EQUAL(f.hot->high, f.hot->high_base);
	CU_ASSERT_EQUAL(f.hot->scale, 0);
	CU_ASSERT(f.hot->idle >= 80);
	teardown(&f);
}

static void all_threads_together_stay_within_their_share(void)
{
	struct fixture f;

	setup(&f, 65536, 0);
	for (uint32_t i = 0; i < 60; i++) {
		(void)refill(&f, 0);
		empty(&f);
		if (fixture_pool_owned(&f.pool, f.a) > 40000)
			break;
	}
	CU_ASSERT(f.hot->high <= 65536 / 8 / FIXTURE_THREADS);
	teardown(&f);
}

static void the_quota_bounds_a_refill(void)
{
	struct fixture f;
	uint64_t count;

	setup(&f, 65536, 20);
	CU_ASSERT_EQUAL(refill(&f, 0), 16);
	CU_ASSERT_EQUAL(refill(&f, 0), 20);
	CU_ASSERT_EQUAL(refill(&f, 100), 20);
	empty(&f);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_ORDER_1, 0, &count),
			POOL_OVER_QUOTA);
	teardown(&f);
}

static void an_empty_pool_gives_what_it_has_and_then_says_so(void)
{
	struct fixture f;
	uint64_t count;
	pfn_t pfn;

	setup(&f, 4096, 0);
	while (pool_nr_free(f.pool.pool) > pool_watermark_min(f.pool.pool) + 5)
		CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f.pool, f.a, 0, &pfn), 0);
	CU_ASSERT_EQUAL(refill(&f, 0), 5);
	CU_ASSERT_EQUAL(refill(&f, 0), 5);
	empty(&f);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_NO_FRAMES);
	teardown(&f);
}

static void holes_are_asked_for_and_not_granted(void)
{
	struct fixture f;
	uint64_t count;

	fixture_pool_open(&f.pool, 4096);
	f.a = fixture_pool_client(&f.pool, 0);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_NO_COMMIT);
	CU_ASSERT_EQUAL(fixture_pool_commit(&f.pool, 0, 1), 1);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), 0);
	teardown(&f);
}

static void an_impossible_bottom_is_a_hostile_client(void)
{
	struct fixture f;
	uint64_t count, *bottom;

	setup(&f, 4096, 0);
	(void)refill(&f, 0);
	bottom = fixture_pool_bottom(&f.pool, f.a, 0, MAGAZINE_HOT);
	*bottom = f.hot->top + f.hot->capacity + 1;
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_HOSTILE);
	*bottom = 0;
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_HOSTILE);
	*bottom = UINT64_MAX;
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_HOT, 0, &count), POOL_HOSTILE);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_hostile, 3);
	CU_ASSERT_EQUAL(pool_next_hostile(f.pool.pool), f.a);
	CU_ASSERT_EQUAL(pool_next_hostile(f.pool.pool), CLIENT_NONE);
	teardown(&f);
}

static void threads_and_magazines_that_are_not_there_are_refused(void)
{
	struct fixture f;
	uint64_t count;
	bool steal;

	setup(&f, 4096, 0);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 2, 0, 0, &count), POOL_BAD_THREAD);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, UINT32_MAX, 0, 0, &count), POOL_BAD_THREAD);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, MAGAZINE_COUNT, 0, &count),
			POOL_BAD_MAGAZINE);
	CU_ASSERT_EQUAL(pool_refill(f.pool.pool, f.a, 0, UINT32_MAX, 0, &count), POOL_BAD_MAGAZINE);
	CU_ASSERT_EQUAL(pool_drain_request(f.pool.pool, f.a, 0, 11, &count, &steal),
			POOL_BAD_MAGAZINE);
	CU_ASSERT_EQUAL(pool_drain_request(f.pool.pool, f.a, 64, 0, &count, &steal),
			POOL_BAD_THREAD);
	CU_ASSERT_EQUAL(pool_claim(f.pool.pool, f.a, 7, 0, 1), POOL_BAD_THREAD);
	teardown(&f);
}

static void the_tick_shows_what_lies_in_magazines(void)
{
	struct fixture f;

	setup(&f, 65536, 0);
	(void)refill(&f, 0);
	(void)fixture_pool_refill(&f.pool, f.a, 1, MAGAZINE_ORDER_1 + 2);
	pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_magazine,
			fixture_pool_owned(&f.pool, f.a));
	CU_ASSERT_EQUAL(pool_meta(f.pool.pool)->generation, 1);
	teardown(&f);
}

/* It is ahead of need, and no reason to prune anybody's caches. */
static void no_bulk_makes_the_zone_short(void)
{
	struct fixture f;
	client_id other;
	uint64_t high;

	setup(&f, 16384, 0);
	for (uint32_t i = 0; i < 6; i++) {
		(void)refill(&f, 0);
		empty(&f);
	}
	high = pool_watermark_high(f.pool.pool);
	other = fixture_pool_client(&f.pool, 0);
	while (pool_nr_free(f.pool.pool) > high + 100)
		(void)fixture_pool_alloc(&f.pool, other, 0);
	CU_ASSERT_EQUAL(refill(&f, 0), 100);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), high);
	empty(&f);
	CU_ASSERT_EQUAL(refill(&f, 0), f.hot->batch);
	teardown(&f);
}

CU_TestInfo test_magazine[] = {
	{"a new magazine is empty and sized by the batch",
	 a_new_magazine_is_empty_and_sized_by_the_batch},
	{"creating it again changes nothing", creating_it_again_changes_nothing},
	{"a refill grants a batch of owned frames", a_refill_grants_a_batch_of_owned_frames},
	{"every magazine gets blocks of its order", every_magazine_gets_blocks_of_its_order},
	{"a refill of what is full enough repeats harmlessly",
	 a_refill_of_what_is_full_enough_repeats_harmlessly},
	{"want raises a refill", want_raises_a_refill},
	{"the bulk doubles five times with refills in a row",
	 the_bulk_doubles_five_times_with_refills_in_a_row},
	{"the ring grows only when the magazine is empty",
	 the_ring_grows_only_when_the_magazine_is_empty},
	{"frames survive the growth of the ring", frames_survive_the_growth_of_the_ring},
	{"high follows demand and decays when idle", high_follows_demand_and_decays_when_idle},
	{"all threads together stay within their share",
	 all_threads_together_stay_within_their_share},
	{"the quota bounds a refill", the_quota_bounds_a_refill},
	{"an empty pool gives what it has and then says so",
	 an_empty_pool_gives_what_it_has_and_then_says_so},
	{"holes are asked for and not granted", holes_are_asked_for_and_not_granted},
	{"an impossible bottom is a hostile client", an_impossible_bottom_is_a_hostile_client},
	{"threads and magazines that are not there are refused",
	 threads_and_magazines_that_are_not_there_are_refused},
	{"the tick shows what lies in magazines", the_tick_shows_what_lies_in_magazines},
	{"no bulk makes the zone short", no_bulk_makes_the_zone_short},
	CU_TEST_INFO_NULL,
};
