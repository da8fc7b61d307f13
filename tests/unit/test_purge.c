/* tests/unit/test_purge.c - daemon/core/purge: what a purge does, and what no lie and no crash
 * makes of it. */
#include "tests/unit/purge_fixture.h"

/* --- one entry -----------------------------------------------------------------------------------
 */

static void a_purge_frees_the_frame_and_says_so(void)
{
	struct fixture f;
	pfn_t pfn;
	bool again;

	setup(&f, 1024);
	f.pool.pool->meta->generation = 7;
	pfn = arm_new(&f, f.a, 3, 5);
	pool_set_time(f.pool.pool, 77);
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 1, CLIENT_NONE, &again), 1);
	CU_ASSERT(!again);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 3), PURGE_PURGED);
	CU_ASSERT_EQUAL(purge_unpack(*entry_of(&f, f.a, 3)).pfn, pfn);
	CU_ASSERT_EQUAL(purge_unpack(*entry_of(&f, f.a, 3)).stamp, 8);
	CU_ASSERT_NOT_EQUAL(fixture_pool_word(&f.pool, pfn).state, PAGE_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 0);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_purged, 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_reclaimed, 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->purged_ns, 77);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pgpurge), 1);
	/* There is nothing more, and one call says so. */
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 1, CLIENT_NONE, &again), 0);
	CU_ASSERT(!again);
	teardown(&f);
}

static void a_block_of_any_order_comes_back_whole(void)
{
	struct fixture f;
	uint64_t free;
	bool again;

	setup(&f, 4096);
	free = pool_nr_free(f.pool.pool);
	arm(&f, f.a, 0, fixture_pool_alloc(&f.pool, f.a, 5), 0);
	arm(&f, f.a, 1, fixture_pool_alloc(&f.pool, f.a, 5), 0);
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 3, CLIENT_NONE, &again), 32);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), free - 32);
	teardown(&f);
}

static void a_pinned_frame_is_never_purged(void)
{
	struct fixture f;
	uint64_t word;

	setup(&f, 1024);
	(void)arm_new(&f, f.a, 0, 0);
	(void)arm_new(&f, f.a, 1, 0);
	CU_ASSERT_EQUAL(purge_pin(entry_of(&f, f.a, 0), &word), PURGE_OK);
	CU_ASSERT_EQUAL(purge(&f, 10), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 0), 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_pinned, 1);
	CU_ASSERT_EQUAL(purge_unpin(entry_of(&f, f.a, 0), 1), PURGE_OK);
	CU_ASSERT_EQUAL(purge(&f, 10), 1);
	teardown(&f);
}

/* What lies on the list may be in use again when its turn comes. */
static void what_was_used_since_the_pass_is_not_purged(void)
{
	struct fixture f;
	uint64_t word;
	bool again;

	setup(&f, 1024);
	for (uint32_t i = 0; i < 10; i++)
		(void)arm_new(&f, f.a, i, 0);
	f.pool.pool->meta->generation = 10;
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 1, CLIENT_NONE, &again), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 0), PURGE_PURGED);
	CU_ASSERT_EQUAL(purge_pin(entry_of(&f, f.a, 1), &word), PURGE_OK);
	CU_ASSERT_EQUAL(purge_pin(entry_of(&f, f.a, 2), &word), PURGE_OK);
	CU_ASSERT_EQUAL(purge_unpin(entry_of(&f, f.a, 2), 11), PURGE_OK);
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 1, CLIENT_NONE, &again), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 1), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 2), 0);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 3), PURGE_PURGED);
	CU_ASSERT_EQUAL(purge_unpin(entry_of(&f, f.a, 1), 11), PURGE_OK);
	teardown(&f);
}

static void a_shared_block_is_free_with_its_last_reference(void)
{
	struct fixture f;
	uint64_t handle, result;
	pfn_t pfn;

	setup(&f, 1024);
	pfn = fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, pfn, CLIENT_NONE, &handle), 0);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, handle, &result), 0);
	arm(&f, f.a, 0, pfn, 0);
	CU_ASSERT_EQUAL(purge(&f, 1), 0);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 0), PURGE_PURGED);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn).state, PAGE_SHARED);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_shared, 0);
	arm(&f, f.b, 0, pfn, 0);
	CU_ASSERT_EQUAL(purge(&f, 1), 1);
	CU_ASSERT_NOT_EQUAL(fixture_pool_word(&f.pool, pfn).state, PAGE_SHARED);
	teardown(&f);
}

/* --- lies ----------------------------------------------------------------------------------------
 */

static void a_lie_costs_nobody_else_a_frame(void)
{
	struct fixture f;
	pfn_t theirs, free;
	uint64_t handle;

	setup(&f, 1024);
	theirs = fixture_pool_alloc(&f.pool, f.b, 0);
	free = fixture_pool_alloc(&f.pool, f.a, 0);
	/* It owns something, or nobody would look at its table. */
	(void)fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(fixture_pool_free(&f.pool, f.a, free, 0), 0);
	arm(&f, f.a, 0, theirs, 0);
	arm(&f, f.a, 1, free, 0);
	arm(&f, f.a, 2, UINT32_MAX - 1, 0);
	arm(&f, f.a, 3, 1024, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.b, theirs, CLIENT_NONE, &handle), 0);
	arm(&f, f.a, 4, theirs, 0);
	CU_ASSERT_EQUAL(purge(&f, 5), 0);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 5);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, theirs).state, PAGE_SHARED);
	teardown(&f);
}

static void the_same_frame_twice_is_freed_once(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 1024);
	pfn = arm_new(&f, f.a, 0, 0);
	arm(&f, f.a, 1, pfn, 0);
	CU_ASSERT_EQUAL(purge(&f, 2), 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_bad_free, 1);
	teardown(&f);
}

/* --- death and restart ---------------------------------------------------------------------------
 */

static void the_list_of_a_dead_client_is_not_the_next_ones(void)
{
	struct fixture f;
	client_id id;
	bool again;

	setup(&f, 4096);
	for (uint32_t i = 0; i < 1000; i++)
		(void)arm_new(&f, f.a, i, 0);
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 1, CLIENT_NONE, &again), 1);
	id = f.a;
	fixture_pool_kill(&f.pool, f.a);
	CU_ASSERT_EQUAL(f.pool.pool->meta->nr_purgeable, 0);
	f.a = fixture_pool_client(&f.pool, 0);
	CU_ASSERT_EQUAL(f.a, id);
	add_table(&f, f.a, SLOTS);
	for (uint32_t i = 0; i < 1000; i++)
		(void)arm_new(&f, f.a, i, 0);
	(void)arm_new(&f, f.b, 0, 0);
	/* The old list says nothing of the new client; a pass of its own finds it. */
	CU_ASSERT_EQUAL(purge(&f, 1001), 1001);
	teardown(&f);
}

static void a_restart_finishes_what_was_begun(void)
{
	struct fixture f;
	pfn_t begun, done, shared;
	uint64_t handle;

	setup(&f, 1024);
	begun = arm_new(&f, f.a, 0, 0);
	done = arm_new(&f, f.a, 1, 0);
	shared = fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, shared, CLIENT_NONE, &handle), 0);
	arm(&f, f.a, 2, shared, 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT(purge_begin(entry_of(&f, f.a, i), *entry_of(&f, f.a, i)));
	/* One had its frame freed already, and one is a lie. */
	CU_ASSERT_EQUAL(fixture_pool_free(&f.pool, f.a, done, 0), 0);
	arm(&f, f.a, 3, UINT32_MAX - 1, 0);
	CU_ASSERT(purge_begin(entry_of(&f, f.a, 3), *entry_of(&f, f.a, 3)));
	fixture_pool_reattach(&f.pool);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(pins_of(&f, f.a, i), PURGE_PURGED);
	CU_ASSERT_NOT_EQUAL(fixture_pool_word(&f.pool, begun).state, PAGE_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 0);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_shared, 0);
	teardown(&f);
}

static void a_restart_in_the_middle_of_a_pass_begins_anew(void)
{
	struct fixture f;
	bool again;

	setup(&f, 4096);
	for (uint32_t i = 0; i < 1000; i++)
		(void)arm_new(&f, f.a, i, 0);
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 5, CLIENT_NONE, &again), 5);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(purge(&f, 2000), 995);
	teardown(&f);
}

CU_TestInfo test_purge[] = {
	{"a_purge_frees_the_frame_and_says_so", a_purge_frees_the_frame_and_says_so},
	{"a_block_of_any_order_comes_back_whole", a_block_of_any_order_comes_back_whole},
	{"a_pinned_frame_is_never_purged", a_pinned_frame_is_never_purged},
	{"what_was_used_since_the_pass_is_not_purged", what_was_used_since_the_pass_is_not_purged},
	{"a_shared_block_is_free_with_its_last_reference",
	 a_shared_block_is_free_with_its_last_reference},
	{"a_lie_costs_nobody_else_a_frame", a_lie_costs_nobody_else_a_frame},
	{"the_same_frame_twice_is_freed_once", the_same_frame_twice_is_freed_once},
	{"the_list_of_a_dead_client_is_not_the_next_ones",
	 the_list_of_a_dead_client_is_not_the_next_ones},
	{"a_restart_finishes_what_was_begun", a_restart_finishes_what_was_begun},
	{"a_restart_in_the_middle_of_a_pass_begins_anew",
	 a_restart_in_the_middle_of_a_pass_begins_anew},
	CU_TEST_INFO_NULL,
};
