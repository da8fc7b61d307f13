/* tests/unit/test_alloc.c - daemon/core/alloc: one block at a time, each request once. */
#include "tests/support/fixture_pool.h"

static void a_block_is_owned_aligned_and_charged(void)
{
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 8192);
	a = fixture_pool_client(&f, 0);
	for (order_t order = 0; order <= 12; order++) {
		pfn_t pfn = fixture_pool_alloc(&f, a, order);
		struct page_word word = fixture_pool_word(&f, pfn);

		CU_ASSERT_EQUAL(pfn & ((1u << order) - 1), 0);
		CU_ASSERT_EQUAL(word.state, PAGE_OWNED);
		CU_ASSERT_EQUAL(word.owner, a);
		CU_ASSERT_EQUAL(word.order, order);
		CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 1u << order);
		CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, order), 0);
	}
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 8192);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_repeated_alloc_is_answered_and_not_done_again(void)
{
	struct fixture_pool f;
	uint64_t first, again = 0;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 3, 17, &first), 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 3, 17, &again), 0);
	CU_ASSERT_EQUAL(first, again);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 1);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 3, 18, &again), 0);
	CU_ASSERT_NOT_EQUAL(first, again);
	fixture_pool_close(&f);
}

static void a_repeated_free_frees_once(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, a, 2);
	CU_ASSERT_EQUAL(pool_free(f.pool, a, pfn, 2, 5, 1), 0);
	CU_ASSERT_EQUAL(pool_free(f.pool, a, pfn, 2, 5, 1), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgfree), 4);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_nr_bad_free), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void lanes_know_nothing_of_each_other(void)
{
	struct fixture_pool f;
	uint64_t one, two;
	client_id a, b;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 9, &one), 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 63, 9, &two), 0);
	CU_ASSERT_NOT_EQUAL(one, two);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, b, 0, MIGRATE_UNMOVABLE, 0, 9, &two), 0);
	CU_ASSERT_NOT_EQUAL(one, two);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 2);
	fixture_pool_close(&f);
}

static void a_seq_of_the_past_and_a_lane_out_of_range_are_refused(void)
{
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 9, &result), 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 8, &result), POOL_OLD_SEQ);
	CU_ASSERT_EQUAL(pool_free(f.pool, a, (pfn_t)(result >> 32), 0, 0, 1), POOL_OLD_SEQ);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 64, 1, &result), POOL_BAD_LANE);
	CU_ASSERT_EQUAL(
		pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, UINT32_MAX, UINT64_MAX, &result),
		POOL_BAD_LANE);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 1);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_refused_request_leaves_its_lane_as_it_was(void)
{
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 18, MIGRATE_UNMOVABLE, 0, 1, &result),
			POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &result), 0);
	CU_ASSERT_EQUAL(pool_state_client(f.pool, a)->lanes[0].result, result);
	fixture_pool_close(&f);
}

static void a_new_owner_of_a_frame_sees_a_new_generation(void)
{
	struct fixture_pool f;
	uint64_t one, two;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &one), 0);
	CU_ASSERT_EQUAL(pool_free(f.pool, a, (pfn_t)(one >> 32), 0, 0, 2), 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 3, &two), 0);
	CU_ASSERT_EQUAL(one >> 32, two >> 32);
	CU_ASSERT_EQUAL((uint32_t)one + 1, (uint32_t)two);
	fixture_pool_close(&f);
}

static void every_wrong_free_is_refused_and_counted(void)
{
	struct fixture_pool f;
	uint64_t handle, before;
	client_id a, b;
	pfn_t pfn, shared;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, a, 3);
	shared = fixture_pool_alloc(&f, a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, shared, 0, &handle), 0);
	before = pool_nr_free(f.pool);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, 4096, 0), POOL_BAD_PFN);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, PFN_NONE, 0), POOL_BAD_PFN);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 19), POOL_BAD_ORDER);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, UINT32_MAX), POOL_BAD_ORDER);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 2), POOL_WRONG_ORDER);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn + 1, 0), POOL_NOT_HEAD);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, shared, 0), POOL_IS_SHARED);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, b, pfn, 3), POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, 4095, 0), POOL_NOT_HEAD);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), before);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 3), 0);
	CU_ASSERT_NOT_EQUAL(fixture_pool_free(&f, a, pfn, 3), 0);
	CU_ASSERT_EQUAL(pool_client(f.pool, a)->nr_bad_free, 9);
	CU_ASSERT_EQUAL(pool_client(f.pool, b)->nr_bad_free, 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_nr_bad_free), 10);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void an_allocation_never_goes_below_min(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	while (fixture_pool_try_alloc(&f, a, 0, &pfn) == 0)
		;
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), pool_watermark_min(f.pool));
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 0, &pfn), POOL_NO_FRAMES);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void no_order_is_beyond_the_limit(void)
{
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 19, MIGRATE_UNMOVABLE, 0, 1, &result),
			POOL_BAD_ORDER);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, UINT32_MAX, MIGRATE_UNMOVABLE, 0, 1, &result),
			POOL_BAD_ORDER);
	fixture_pool_close(&f);
}

static void the_quota_refuses_what_would_exceed_max(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 10);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 3, &pfn), 0);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 2, &pfn), POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 1, &pfn), 0);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 0, &pfn), POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 10);
	pool_client_set_max(f.pool, a, 5);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 0, &pfn), POOL_OVER_QUOTA);
	pool_client_set_max(f.pool, a, 0);
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, a, 0, &pfn), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void zones_are_used_in_their_order_and_none_below_its_min(void)
{
	struct pool_options options = {.nr_zones = 2,
				       .min_free_frames = 16,
				       .zone = {{.name = "first", .nr_frames = 1111},
						{.name = "second", .nr_frames = 3000}}};
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open_with(&f, &options);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT(fixture_pool_alloc(&f, a, 0) < 1111);
	while (fixture_pool_try_alloc(&f, a, 0, &pfn) == 0)
		;
	for (uint32_t z = 0; z < 2; z++)
		CU_ASSERT_EQUAL(f.pool->buddy.zones[z].nr_free,
				f.pool->buddy.zones[z].watermark_min);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

CU_TestInfo test_alloc[] = {
	{"a block is owned, aligned and charged", a_block_is_owned_aligned_and_charged},
	{"a repeated alloc is answered and not done again",
	 a_repeated_alloc_is_answered_and_not_done_again},
	{"a repeated free frees once", a_repeated_free_frees_once},
	{"lanes know nothing of each other", lanes_know_nothing_of_each_other},
	{"a seq of the past and a lane out of range are refused",
	 a_seq_of_the_past_and_a_lane_out_of_range_are_refused},
	{"a refused request leaves its lane as it was",
	 a_refused_request_leaves_its_lane_as_it_was},
	{"a new owner of a frame sees a new generation",
	 a_new_owner_of_a_frame_sees_a_new_generation},
	{"every wrong free is refused and counted", every_wrong_free_is_refused_and_counted},
	{"an allocation never goes below min", an_allocation_never_goes_below_min},
	{"no order is beyond the limit", no_order_is_beyond_the_limit},
	{"the quota refuses what would exceed max", the_quota_refuses_what_would_exceed_max},
	{"zones are used in their order and none below its min",
	 zones_are_used_in_their_order_and_none_below_its_min},
	CU_TEST_INFO_NULL,
};
