/* tests/unit/test_commit.c - daemon/core/commit: holes get memory before they are granted. */
#include "tests/support/fixture_pool.h"

#define BIG (1u << ORDER_MAX)

static bool plan(struct fixture_pool *f, order_t order, struct pool_commit *ret_commit)
{
	return pool_plan_commit(f->pool, order, MIGRATE_UNMOVABLE, ret_commit);
}

/* Frames in pageblocks that have memory. */
static uint64_t committed(const struct fixture_pool *f)
{
	uint64_t n = 0;

	for (uint64_t pfn = 0; pfn < f->pool->nr_frames; pfn++)
		n += buddy_type(&f->pool->buddy, (pfn_t)pfn) != MIGRATE_HOLE;
	return n;
}

static void a_new_pool_is_one_hole_and_grants_nothing(void)
{
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 4096);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &result), POOL_NO_COMMIT);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_commit_makes_a_pageblock_available(void)
{
	struct pool_commit commit;
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT(plan(&f, 0, &commit));
	CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_DATA);
	CU_ASSERT_EQUAL(commit.order, PAGEBLOCK_ORDER);
	CU_ASSERT_EQUAL(commit.pfn % PAGEBLOCK_FRAMES, 0);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, commit.pfn).flags, PAGE_ISOLATED);
	FIXTURE_AUDIT(&f);
	pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 4096 - 512);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 512);
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f, a, 0) >> 9, commit.pfn >> 9);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void while_it_is_under_way_nobody_gets_its_frames(void)
{
	struct pool_commit commit;
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 512);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT(plan(&f, 0, &commit));
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 512); /* they are free all the while */
	CU_ASSERT_NOT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &result), 0);
	pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &result), 0);
	fixture_pool_close(&f);
}

static void no_more_than_two_are_under_way(void)
{
	struct pool_commit commit[3];
	struct fixture_pool f;

	fixture_pool_open(&f, 4096);
	CU_ASSERT(plan(&f, 0, &commit[0]));
	CU_ASSERT(plan(&f, 0, &commit[1]));
	CU_ASSERT_NOT_EQUAL(commit[0].pfn, commit[1].pfn);
	CU_ASSERT_FALSE(plan(&f, 0, &commit[2]));
	CU_ASSERT_EQUAL(pool_nr_commits(f.pool), 2);
	pool_commit_done(f.pool, &commit[1], true);
	CU_ASSERT(plan(&f, 0, &commit[1]));
	pool_commit_done(f.pool, &commit[0], true);
	pool_commit_done(f.pool, &commit[1], true);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_failed_commit_gives_the_hole_back_until_the_tick(void)
{
	struct pool_commit commit;
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT(plan(&f, 0, &commit));
	pool_commit_done(f.pool, &commit, false);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 4096);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgcommit_fail), 1);
	/* Holes do not count as free now: a request waits for reclaim and not for them. */
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 0);
	CU_ASSERT_FALSE(plan(&f, 0, &commit));
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 0, 1, &result), POOL_NO_FRAMES);
	FIXTURE_AUDIT(&f);
	pool_tick(f.pool);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096);
	CU_ASSERT(plan(&f, 0, &commit));
	pool_commit_done(f.pool, &commit, true);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void the_map_of_an_unsplit_block_comes_first(void)
{
	struct pool_commit commit = {.pfn = 0};
	struct fixture_pool f;

	/* The map of the first has memory from the start. */
	fixture_pool_open(&f, 2 * BIG);
	while (commit.pfn < BIG) {
		CU_ASSERT_FATAL(plan(&f, 0, &commit));
		CU_ASSERT_EQUAL(commit.kind, commit.pfn < BIG ? POOL_COMMIT_DATA : POOL_COMMIT_MAP);
		pool_commit_done(f.pool, &commit, true);
	}
	CU_ASSERT_EQUAL(commit.pfn, BIG);
	CU_ASSERT_EQUAL(commit.order, ORDER_MAX);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, BIG).order, ORDER_MAX);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, BIG).flags, 0);
	CU_ASSERT(plan(&f, 0, &commit));
	CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_DATA);
	CU_ASSERT_EQUAL(commit.order, PAGEBLOCK_ORDER);
	pool_commit_done(f.pool, &commit, true);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_request_of_order_18_waits_for_the_map_and_then_for_all_of_it(void)
{
	struct pool_commit commit;
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 2 * BIG);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_FATAL(plan(&f, ORDER_MAX, &commit));
	while (commit.kind == POOL_COMMIT_MAP) {
		pool_commit_done(f.pool, &commit, true);
		CU_ASSERT_FATAL(plan(&f, ORDER_MAX, &commit));
	}
	CU_ASSERT_EQUAL(commit.order, ORDER_MAX);
	pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f, a, ORDER_MAX), commit.pfn);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_map_that_gets_no_memory_stays_unsplit(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	fixture_pool_open(&f, 2 * BIG);
	while (plan(&f, 0, &commit) && commit.kind == POOL_COMMIT_DATA)
		pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_EQUAL(commit.pfn, BIG);
	pool_commit_done(f.pool, &commit, false);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, BIG).order, ORDER_MAX);
	pool_tick(f.pool);
	CU_ASSERT(plan(&f, 0, &commit));
	CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_MAP);
	pool_commit_done(f.pool, &commit, true);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_large_request_commits_its_whole_block(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 16384);
	a = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, a, 12);
	CU_ASSERT_EQUAL(pfn % 4096, 0);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 4096);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 16384 - 4096);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void an_order_18_request_is_put_together_from_a_partly_committed_run(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, BIG + 4096);
	a = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, a, 0);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(fixture_pool_commit(&f, 0, 1), 1);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 0), 0);
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f, a, ORDER_MAX), 0);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), BIG);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, committed(&f));
	FIXTURE_AUDIT(&f);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, 0, ORDER_MAX), 0);
	fixture_pool_close(&f);
}

static void a_run_with_a_frame_in_use_is_no_candidate(void)
{
	struct pool_commit commit;
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 1024);
	a = fixture_pool_client(&f, 0);
	(void)fixture_pool_alloc(&f, a, 0);
	CU_ASSERT_FALSE(plan(&f, 10, &commit));
	CU_ASSERT(plan(&f, 9, &commit));
	pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_FALSE(plan(&f, 0, &commit));
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void the_last_pageblock_may_be_a_part_of_one(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 512 + 300);
	a = fixture_pool_client(&f, 0);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 0);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 812);
	FIXTURE_AUDIT(&f);
	while (fixture_pool_try_alloc(&f, a, 0, &pfn) == 0)
		;
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 812 - pool_watermark_min(f.pool));
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* Its holes are several blocks: 256, 32, 8, 4. One commit is enough for all of them. */
static void a_part_of_a_pageblock_is_committed_once(void)
{
	struct pool_commit commit[2];
	struct fixture_pool f;
	uint32_t n = 0;

	fixture_pool_open(&f, 300);
	while (n < 2 && plan(&f, 0, &commit[n]))
		n++;
	CU_ASSERT_EQUAL(n, 1);
	for (uint32_t i = 0; i < n; i++)
		pool_commit_done(f.pool, &commit[i], true);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 300);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgcommit), 1);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_pageblock_that_two_zones_share_is_committed_once(void)
{
	struct pool_options options = {
		.nr_zones = 2,
		.min_free_frames = 4,
		.zone = {{.name = "a", .nr_frames = 700}, {.name = "b", .nr_frames = 700}}};
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open_with(&f, &options);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 1400);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgcommit), 3);
	FIXTURE_AUDIT(&f);
	a = fixture_pool_client(&f, 0);
	while (fixture_pool_try_alloc(&f, a, 0, &pfn) == 0)
		;
	FIXTURE_AUDIT(&f);
	fixture_pool_kill(&f, a);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 1400);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void the_stock_is_low_until_enough_is_committed_ahead(void)
{
	struct fixture_pool f;
	uint32_t n = 0;

	fixture_pool_open(&f, 65536);
	while (pool_stock_is_low(f.pool)) {
		CU_ASSERT_EQUAL_FATAL(fixture_pool_commit(&f, 0, 1), 1);
		n++;
	}
	CU_ASSERT_EQUAL(n, 4); /* 2048 frames */
	fixture_pool_close(&f);
}

static void commit_full_wants_all_of_it(void)
{
	struct pool_options options = {
		.nr_zones = 1, .commit_full = true, .zone[0] = {.name = "n", .nr_frames = 8192}};
	struct fixture_pool f;

	fixture_pool_open_with(&f, &options);
	while (pool_stock_is_low(f.pool))
		CU_ASSERT_EQUAL_FATAL(fixture_pool_commit(&f, 0, 1), 1);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 0);
	fixture_pool_close(&f);
}

static void a_server_that_dies_during_a_commit_forgets_it(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	fixture_pool_open(&f, 4096);
	CU_ASSERT(plan(&f, 0, &commit));
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(pool_nr_commits(f.pool), 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096);
	CU_ASSERT_EQUAL(f.pool->buddy.zones[0].nr_hole, 4096);
	FIXTURE_AUDIT(&f);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 4096);
	fixture_pool_close(&f);
}

CU_TestInfo test_commit[] = {
	{"a new pool is one hole and grants nothing", a_new_pool_is_one_hole_and_grants_nothing},
	{"a commit makes a pageblock available", a_commit_makes_a_pageblock_available},
	{"while it is under way nobody gets its frames",
	 while_it_is_under_way_nobody_gets_its_frames},
	{"no more than two are under way", no_more_than_two_are_under_way},
	{"a failed commit gives the hole back until the tick",
	 a_failed_commit_gives_the_hole_back_until_the_tick},
	{"the map of an unsplit block comes first", the_map_of_an_unsplit_block_comes_first},
	{"a request of order 18 waits for the map and then for all of it",
	 a_request_of_order_18_waits_for_the_map_and_then_for_all_of_it},
	{"a map that gets no memory stays unsplit", a_map_that_gets_no_memory_stays_unsplit},
	{"a large request commits its whole block", a_large_request_commits_its_whole_block},
	{"an order 18 request is put together from a partly committed run",
	 an_order_18_request_is_put_together_from_a_partly_committed_run},
	{"a run with a frame in use is no candidate", a_run_with_a_frame_in_use_is_no_candidate},
	{"the last pageblock may be a part of one", the_last_pageblock_may_be_a_part_of_one},
	{"a part of a pageblock is committed once", a_part_of_a_pageblock_is_committed_once},
	{"a pageblock that two zones share is committed once",
	 a_pageblock_that_two_zones_share_is_committed_once},
	{"the stock is low until enough is committed ahead",
	 the_stock_is_low_until_enough_is_committed_ahead},
	{"commit_full wants all of it", commit_full_wants_all_of_it},
	{"a server that dies during a commit forgets it",
	 a_server_that_dies_during_a_commit_forgets_it},
	CU_TEST_INFO_NULL,
};
