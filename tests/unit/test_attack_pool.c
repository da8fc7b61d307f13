/* tests/unit/test_attack_pool.c - what a client once could do to the core with a number alone. */
#include "tests/support/fixture_pool.h"

#define CHUNK (1u << ORDER_MAX)

/* The mem_map of a chunk that was never split has no memory: a look at it would give it some, or be
 * a SIGBUS where there is none. What would be read there stands in for the fault. */
static void nobody_looks_into_the_map_of_a_block_that_was_never_split(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn = CHUNK + 4711;
	uint64_t handle = 0;
	struct page_word word = {.state = PAGE_OWNED, .gen = 5};

	fixture_pool_open(&f, 2 * CHUNK);
	a = fixture_pool_client(&f, 0);
	word.owner = a;
	page_set(f.pool->buddy.map, pfn, word);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, 0), POOL_NOT_HEAD);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &handle), POOL_NOT_OWNED);
	word.state = PAGE_SHARED;
	page_set(f.pool->buddy.map, pfn, word);
	CU_ASSERT_EQUAL(fixture_pool_import(&f, a, (uint64_t)pfn << 32 | 5, &handle), POOL_STALE);
	fixture_pool_close(&f);
}

/* Who dies with thousands of edges holds the loop no longer than who dies with as many blocks. */
static void edges_of_the_dead_are_swept_in_slices_too(void)
{
	struct fixture_pool f;
	uint64_t handle, n_left = 0;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(fixture_pool_share(&f, a, fixture_pool_alloc(&f, a, 0), CLIENT_NONE,
						   &handle),
				0);
	pool_client_kill(f.pool, a);
	CU_ASSERT_FALSE(pool_client_sweep(f.pool, a, 100));
	for (uint32_t i = 0; i < f.pool->edge_fresh; i++)
		n_left += f.pool->edges[i].client == a;
	CU_ASSERT_EQUAL(n_left, 900);
	FIXTURE_AUDIT(&f);
	/* The next server goes on with it. */
	fixture_pool_reattach(&f);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_FALSE(pool_client_sweep(f.pool, a, 100));
	CU_ASSERT_TRUE(pool_client_sweep(f.pool, a, 100));
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* After a restart a chunk that was given memory whole can be split and its frames freed. */
static void frames_of_a_chunk_that_was_committed_whole_can_be_freed_after_a_restart(void)
{
	struct fixture_pool f;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 2 * CHUNK);
	fixture_pool_commit_all(&f);
	fixture_pool_reattach(&f);
	a = fixture_pool_client(&f, 0);
	do
		pfn = fixture_pool_alloc(&f, a, ORDER_MAX - 1);
	while (pfn % CHUNK == 0 && fixture_pool_owned(&f, a) < CHUNK);
	CU_ASSERT_NOT_EQUAL(pfn % CHUNK, 0);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, a, pfn, ORDER_MAX - 1), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

CU_TestInfo test_attack_pool[] = {
	{"nobody looks into the map of a block that was never split",
	 nobody_looks_into_the_map_of_a_block_that_was_never_split},
	{"edges of the dead are swept in slices too", edges_of_the_dead_are_swept_in_slices_too},
	{"frames of a chunk that was committed whole can be freed after a restart",
	 frames_of_a_chunk_that_was_committed_whole_can_be_freed_after_a_restart},
	CU_TEST_INFO_NULL,
};
