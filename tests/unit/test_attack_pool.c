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
CU_TestInfo test_attack_pool[] = {
	{"nobody looks into the map of a block that was never split",
	 nobody_looks_into_the_map_of_a_block_that_was_never_split},
	CU_TEST_INFO_NULL,
};
