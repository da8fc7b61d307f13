/* tests/unit/test_adopt.c - a segment is taken over in which single fields are damaged: nothing of
 * it leads out of a table, and what is in doubt is out of use (found by fuzz_adopt). */
#include "tests/support/fixture_pool.h"

#define NR_FRAMES 2048u

static void setup(struct fixture_pool *f, client_id *ret_client)
{
	fixture_pool_open(f, NR_FRAMES);
	*ret_client = fixture_pool_client(f, 0);
}

/* Who owns it may go on using it, so nobody else may get it. */
static void block_that_was_granted_in_a_hole_is_bad(void)
{
	struct fixture_pool f;
	client_id client;
	pfn_t owned, shared;
	uint64_t handle;

	setup(&f, &client);
	owned = fixture_pool_alloc(&f, client, 0);
	shared = fixture_pool_alloc(&f, client, 2);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, client, shared, CLIENT_NONE, &handle), 0);
	f.pool->buddy.pageblocks[owned >> PAGEBLOCK_ORDER] = MIGRATE_HOLE;
	f.pool->buddy.pageblocks[shared >> PAGEBLOCK_ORDER] = MIGRATE_HOLE;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.nr_bad, 5);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, owned).state, PAGE_BAD);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, shared).state, PAGE_BAD);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, shared).order, 2);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, client), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_kill(&f, client);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* The next server meets thread 0 with that head in its hot magazine, and thread 1 as it was. */
static void expect_left_alone(const struct shm_head *damaged)
{
	struct fixture_pool f;
	client_id client;
	uint64_t owned;

	setup(&f, &client);
	CU_ASSERT(fixture_pool_refill(&f, client, 0, MAGAZINE_HOT) > 0);
	CU_ASSERT(fixture_pool_refill(&f, client, 1, MAGAZINE_HOT) > 0);
	owned = fixture_pool_owned(&f, client);
	*pool_head(f.pool, client, 0, MAGAZINE_HOT) = *damaged;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(fixture_pool_refill(&f, client, 0, MAGAZINE_HOT), 0);
	CU_ASSERT_EQUAL(pool_claim(f.pool, client, 0, MAGAZINE_HOT, 1), POOL_BAD_THREAD);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, client), owned);
	CU_ASSERT(fixture_pool_refill(&f, client, 1, MAGAZINE_HOT) > 0);
	pool_tick(f.pool);
	FIXTURE_AUDIT(&f);
	fixture_pool_kill(&f, client);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), NR_FRAMES);
	fixture_pool_close(&f);
}

/* As pool_pcp_create() makes it in the fixture. */
static struct shm_head sound_head(void)
{
	return (struct shm_head){.top = MAGAZINE_INDEX_START,
				 .bottom_seen = MAGAZINE_INDEX_START,
				 .capacity = SHM_HOT_SLOTS_FIRST,
				 .batch = 16,
				 .high_base = 96,
				 .high = 96};
}

static void magazines_whose_heads_cannot_be_are_left_alone(void)
{
	struct shm_head head = sound_head();

	head.capacity = 0;
	expect_left_alone(&head);
	head.capacity = SHM_HOT_SLOTS_FIRST + 1;
	expect_left_alone(&head);
	head.capacity = SHM_HOT_SLOTS_FIRST / 2;
	expect_left_alone(&head);
	head.capacity = SHM_HOT_SLOTS_MAX * 2;
	expect_left_alone(&head);
	head = sound_head();
	head.batch = 0;
	expect_left_alone(&head);
	head.batch = SHM_GRANT_MAX + 1;
	expect_left_alone(&head);
	head = sound_head();
	head.scale = 64;
	expect_left_alone(&head);
	head = sound_head();
	head.high_base = UINT32_MAX;
	expect_left_alone(&head);
	head = sound_head();
	head.high = UINT64_MAX;
	expect_left_alone(&head);
}

static void thread_that_was_left_alone_can_begin_anew(void)
{
	struct fixture_pool f;
	client_id client;

	setup(&f, &client);
	pool_head(f.pool, client, 0, MAGAZINE_COLD)->capacity = 3;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(fixture_pool_refill(&f, client, 0, MAGAZINE_COLD), 0);
	CU_ASSERT_EQUAL(pool_pcp_create(f.pool, client, 0), 0);
	CU_ASSERT(fixture_pool_refill(&f, client, 0, MAGAZINE_COLD) > 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

CU_TestInfo test_adopt[] = {
	{"block that was granted in a hole is BAD", block_that_was_granted_in_a_hole_is_bad},
	{"magazines whose heads cannot be are left alone",
	 magazines_whose_heads_cannot_be_are_left_alone},
	{"thread that was left alone can begin anew", thread_that_was_left_alone_can_begin_anew},
	CU_TEST_INFO_NULL,
};
