/* tests/unit/test_punch.c - daemon/core/punch: free pageblocks go back to the machine, and only
 * those; whatever dies in between. */
#include "tests/support/fixture_pool.h"

extern CU_TestInfo test_punch[];

/* Frames in pageblocks that have memory. */
static uint64_t committed(const struct fixture_pool *f)
{
	uint64_t n = 0;

	for (uint64_t pfn = 0; pfn < f->pool->nr_frames; pfn++)
		n += buddy_type(&f->pool->buddy, (pfn_t)pfn) != MIGRATE_HOLE;
	return n;
}

static void open_committed(struct fixture_pool *f, uint32_t nr_frames)
{
	fixture_pool_open(f, nr_frames);
	fixture_pool_commit_all(f);
	while (committed(f) < nr_frames) { /* beyond the stock */
		struct pool_commit commit;

		CU_ASSERT_FATAL(pool_plan_commit(f->pool, 0, MIGRATE_UNMOVABLE, &commit));
		pool_commit_done(f->pool, &commit, true);
	}
}

/* Punches all that may be; returns the pageblocks. */
static uint64_t punch_all(struct fixture_pool *f, uint64_t most)
{
	struct pool_commit commit;
	uint64_t n = 0;

	while (most > n && pool_plan_punch(f->pool, most - n, &commit)) {
		CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_PUNCH);
		CU_ASSERT_EQUAL(commit.pfn % (1u << commit.order), 0);
		n += UINT64_C(1) << (commit.order - PAGEBLOCK_ORDER);
		pool_commit_done(f->pool, &commit, true);
		FIXTURE_AUDIT(f);
	}
	return n;
}

static void a_free_pageblock_becomes_a_hole_before_it_is_punched(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	open_committed(&f, 16384);
	CU_ASSERT_EQUAL(pool_idle_pageblocks(f.pool), 28); /* all but the stock */
	CU_ASSERT(pool_plan_punch(f.pool, 1, &commit));
	CU_ASSERT_EQUAL(commit.order, PAGEBLOCK_ORDER);
	CU_ASSERT_EQUAL(buddy_type(&f.pool->buddy, commit.pfn), MIGRATE_HOLE);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, commit.pfn).flags, PAGE_ISOLATED);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 16384);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 16384 - 512);
	FIXTURE_AUDIT(&f);
	pool_commit_done(f.pool, &commit, true);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgpunch), 1);
	CU_ASSERT_EQUAL(pool_idle_pageblocks(f.pool), 27);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 16384);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void it_goes_in_runs_and_leaves_the_stock(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	open_committed(&f, 32768);
	CU_ASSERT(pool_plan_punch(f.pool, 64, &commit));
	CU_ASSERT(commit.order > PAGEBLOCK_ORDER);
	pool_commit_done(f.pool, &commit, true);
	(void)punch_all(&f, 1000);
	CU_ASSERT_EQUAL(committed(&f), 2048); /* the stock */
	CU_ASSERT_FALSE(pool_stock_is_low(f.pool));
	pool_squeeze(f.pool, true);
	CU_ASSERT_EQUAL(punch_all(&f, 1000), 3);
	CU_ASSERT_EQUAL(committed(&f), 512);
	CU_ASSERT_FALSE(pool_stock_is_low(f.pool));
	pool_squeeze(f.pool, false);
	CU_ASSERT(pool_stock_is_low(f.pool)); /* and commits go on */
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, committed(&f));
	fixture_pool_close(&f);
}

static void what_is_in_use_keeps_its_pageblock(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	open_committed(&f, 4096);
	a = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, a, 0);
	pool_squeeze(f.pool, true);
	(void)punch_all(&f, 1000);
	CU_ASSERT_NOT_EQUAL(buddy_type(&f.pool->buddy, pfn), MIGRATE_HOLE);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 0), 0);
	for (uint32_t i = 0; i < 4096 - 64; i++) /* what was punched gets memory again */
		(void)fixture_pool_alloc(&f, a, 0);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, committed(&f));
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void no_more_are_under_way_than_commits_may_be(void)
{
	struct pool_commit commit[3];
	struct fixture_pool f;

	open_committed(&f, 16384);
	CU_ASSERT(pool_plan_punch(f.pool, 1, &commit[0]));
	CU_ASSERT(pool_plan_punch(f.pool, 1, &commit[1]));
	CU_ASSERT_FALSE(pool_plan_punch(f.pool, 1, &commit[2]));
	pool_commit_done(f.pool, &commit[1], true);
	pool_commit_done(f.pool, &commit[0], true);
	CU_ASSERT_EQUAL(pool_nr_commits(f.pool), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void one_that_failed_is_a_hole_all_the_same(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	open_committed(&f, 16384);
	CU_ASSERT(pool_plan_punch(f.pool, 1, &commit));
	pool_commit_done(f.pool, &commit, false);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 16384);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgpunch), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgcommit_fail), 0);
	CU_ASSERT_EQUAL(buddy_type(&f.pool->buddy, commit.pfn), MIGRATE_HOLE);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_server_that_dies_in_a_punch_leaves_holes(void)
{
	struct pool_commit commit;
	struct fixture_pool f;

	open_committed(&f, 16384);
	CU_ASSERT(pool_plan_punch(f.pool, 8, &commit));
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.nr_bad, 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 16384);
	CU_ASSERT_EQUAL(buddy_type(&f.pool->buddy, commit.pfn), MIGRATE_HOLE);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, committed(&f));
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* The types of a run change one after the other: whatever part of them a crash leaves. */
static void half_of_the_types_is_enough(void)
{
	for (uint32_t n = 0; n <= 4; n++) {
		struct fixture_pool f;
		client_id a;

		open_committed(&f, 4096);
		for (uint32_t i = 0; i < n; i++)
			f.pool->buddy.pageblocks[i] = MIGRATE_HOLE;
		fixture_pool_reattach(&f);
		FIXTURE_AUDIT(&f);
		CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, 4096 - n * 512);
		a = fixture_pool_client(&f, 0);
		for (uint32_t i = 0; i < 4096 - 64; i++)
			(void)fixture_pool_alloc(&f, a, 0);
		CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, committed(&f));
		FIXTURE_AUDIT(&f);
		fixture_pool_close(&f);
	}
}

static void commit_full_gives_nothing_back(void)
{
	struct pool_options options = {.zone = {{.name = "normal", .nr_frames = 4096}},
				       .nr_zones = 1,
				       .commit_full = true};
	struct pool_commit commit;
	struct fixture_pool f;

	fixture_pool_open_with(&f, &options);
	fixture_pool_commit_all(&f);
	pool_squeeze(f.pool, true);
	CU_ASSERT_FALSE(pool_plan_punch(f.pool, 8, &commit));
	fixture_pool_close(&f);
}

CU_TestInfo test_punch[] = {
	{"a free pageblock becomes a hole before it is punched",
	 a_free_pageblock_becomes_a_hole_before_it_is_punched},
	{"it goes in runs and leaves the stock", it_goes_in_runs_and_leaves_the_stock},
	{"what is in use keeps its pageblock", what_is_in_use_keeps_its_pageblock},
	{"no more are under way than commits may be", no_more_are_under_way_than_commits_may_be},
	{"one that failed is a hole all the same", one_that_failed_is_a_hole_all_the_same},
	{"a server that dies in a punch leaves holes", a_server_that_dies_in_a_punch_leaves_holes},
	{"half of the types is enough", half_of_the_types_is_enough},
	{"commit full gives nothing back", commit_full_gives_nothing_back},
	CU_TEST_INFO_NULL,
};
