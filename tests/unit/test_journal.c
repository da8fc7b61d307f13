/* tests/unit/test_journal.c - daemon/core/journal: all or nothing, and twice is as good as once.
 *
 * A crash is made by hand here: the items and n are in STATE, and of the applying any number of
 * stores was done. What happens between other stores is tried in tests/model. */
#include "tests/support/fixture_pool.h"

#include <string.h>

#define ITEMS 6u

struct fixture {
	struct fixture_pool pool;
	client_id a;
	pfn_t pfn; /* FREE */
};

static void setup(struct fixture *f)
{
	fixture_pool_open(&f->pool, 4096);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, 0);
	f->pfn = fixture_pool_alloc(&f->pool, f->a, 0);
	CU_ASSERT_EQUAL(fixture_pool_free(&f->pool, f->a, f->pfn, 0), 0);
}

static struct shm_journal *journal(struct fixture *f)
{
	return f->pool.pool->journal;
}

/* A grant of one frame, a lane and an edge, as no operation has them, but all kinds at once. */
static void put_items(struct fixture *f)
{
	const struct shm_journal_item items[ITEMS] = {
		{(uint64_t)JOURNAL_LANE_RESULT << 56 | f->a << 8 | 9, 1234},
		{(uint64_t)JOURNAL_LANE_SEQ << 56 | f->a << 8 | 9, 77},
		{(uint64_t)JOURNAL_TOP << 56 | magazine_index(f->a, 1, MAGAZINE_COLD), 4321},
		{(uint64_t)JOURNAL_SAVED_TOP << 56 | magazine_index(f->a, 1, MAGAZINE_COLD), 8765},
		{(uint64_t)JOURNAL_EDGE_FRAME << 56 | 17, 555},
		{(uint64_t)JOURNAL_EDGE_CLIENT << 56 | 17, f->a},
	};

	memcpy(journal(f)->item, items, sizeof items);
}

static uint64_t *target(struct fixture *f, uint32_t item)
{
	struct pool *pool = f->pool.pool;

	switch (item) {
	case 0:
		return &pool_state_client(pool, f->a)->lanes[9].result;
	case 1:
		return &pool_state_client(pool, f->a)->lanes[9].seq;
	case 2:
		return &pool_head(pool, f->a, 1, MAGAZINE_COLD)->top;
	case 3:
		return pool_saved_top(pool, f->a, 1, MAGAZINE_COLD);
	case 4:
		return &pool->edges[17].frame;
	default:
		return &pool->edges[17].client;
	}
}

static void what_is_not_committed_is_not_applied(void)
{
	struct fixture f;

	setup(&f);
	put_items(&f);
	CU_ASSERT(journal_replay(f.pool.pool));
	CU_ASSERT_EQUAL(*target(&f, 1), 0);
	CU_ASSERT_EQUAL(*target(&f, 2), MAGAZINE_INDEX_START);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void what_is_committed_is_applied_whatever_was_done_of_it(void)
{
	for (uint32_t done = 0; done <= ITEMS; done++) {
		struct fixture f;

		setup(&f);
		put_items(&f);
		journal(&f)->n = ITEMS;
		for (uint32_t i = 0; i < done; i++)
			*target(&f, i) = journal(&f)->item[i].value;
		CU_ASSERT(journal_replay(f.pool.pool));
		for (uint32_t i = 0; i < ITEMS; i++)
			CU_ASSERT_EQUAL(*target(&f, i), journal(&f)->item[i].value);
		CU_ASSERT_EQUAL(journal(&f)->n, 0);
		fixture_pool_close(&f.pool);
	}
}

static void a_word_is_applied_to_its_frame_only(void)
{
	struct fixture f;
	struct page_word word;

	setup(&f);
	word = (struct page_word){.state = PAGE_RESERVED, .gen = 99};
	journal(&f)->item[0] = (struct shm_journal_item){(uint64_t)JOURNAL_WORD << 56 | 4095,
							 page_word_pack(word)};
	journal(&f)->n = 1;
	CU_ASSERT(journal_replay(f.pool.pool));
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, 4095).gen, 99);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, 4094).gen, 0);
	fixture_pool_close(&f.pool);
}

static void a_later_item_for_the_same_word_counts(void)
{
	struct fixture f;

	setup(&f);
	journal_lane(f.pool.pool, f.a, 3, 10, 1);
	journal_lane(f.pool.pool, f.a, 3, 11, 2);
	journal_commit(f.pool.pool);
	CU_ASSERT_EQUAL(pool_state_client(f.pool.pool, f.a)->lanes[3].seq, 11);
	CU_ASSERT_EQUAL(pool_state_client(f.pool.pool, f.a)->lanes[3].result, 2);
	fixture_pool_close(&f.pool);
}

static void a_lane_out_of_range_is_a_request_that_may_be_repeated(void)
{
	struct fixture f;

	setup(&f);
	journal_lane(f.pool.pool, f.a, SHM_MAX_LANES, 10, 1);
	CU_ASSERT_EQUAL(f.pool.pool->n_journal, 0);
	journal_commit(f.pool.pool);
	CU_ASSERT_EQUAL(journal(&f)->n, 0);
	fixture_pool_close(&f.pool);
}

static void a_damaged_journal_is_corrupt_and_nothing_of_it_is_applied(void)
{
	static const uint64_t wrong[] = {
		0,
		UINT64_MAX,
		(uint64_t)JOURNAL_WORD << 56 | 4096,
		(uint64_t)JOURNAL_TOP << 56 | 0,
		(uint64_t)JOURNAL_TOP << 56 | 1 << 16 | 64 << 8,
		(uint64_t)JOURNAL_TOP << 56 | 1 << 16 | MAGAZINE_COUNT,
		(uint64_t)JOURNAL_SAVED_TOP << 56 | 1025 << 16,
		(uint64_t)JOURNAL_LANE_SEQ << 56 | 0,
		(uint64_t)JOURNAL_LANE_SEQ << 56 | 1 << 8 | 64,
		(uint64_t)JOURNAL_LANE_RESULT << 56 | 1025 << 8,
		(uint64_t)JOURNAL_EDGE_FRAME << 56 | SHM_MAX_EDGES,
		(uint64_t)JOURNAL_EDGE_CLIENT << 56 | UINT64_C(0xffffffffffffff),
		UINT64_C(8) << 56,
	};
	struct fixture f;
	uint64_t bad;

	setup(&f);
	for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		put_items(&f);
		journal(&f)->item[ITEMS].where = wrong[i];
		journal(&f)->n = ITEMS + 1;
		CU_ASSERT_FALSE(journal_replay(f.pool.pool));
		CU_ASSERT_EQUAL(*target(&f, 1), 0);
		CU_ASSERT_EQUAL(pool_attach(f.pool.pool, f.pool.meta, f.pool.meta_bytes,
					    f.pool.state, f.pool.state_bytes, &f.pool.options,
					    &bad),
				POOL_CORRUPT);
	}
	journal(&f)->n = SHM_JOURNAL_ITEMS + 1;
	CU_ASSERT_FALSE(journal_replay(f.pool.pool));
	journal(&f)->n = UINT64_MAX;
	CU_ASSERT_FALSE(journal_replay(f.pool.pool));
	journal(&f)->n = 0;
	fixture_pool_close(&f.pool);
}

static void the_largest_grant_and_the_largest_chunk_fit(void)
{
	CU_ASSERT(SHM_GRANT_MAX + 3 <= SHM_JOURNAL_ITEMS);
	CU_ASSERT(magazine_n_max(SHM_HOT_SLOTS_MAX) <= SHM_GRANT_MAX);
}

static void the_journal_is_empty_after_every_operation(void)
{
	struct fixture f;
	uint64_t handle;
	pfn_t pfn;

	setup(&f);
	pfn = fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(journal(&f)->n, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, pfn, CLIENT_NONE, &handle), 0);
	CU_ASSERT_EQUAL(journal(&f)->n, 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, pfn), 0);
	(void)fixture_pool_refill(&f.pool, f.a, 0, MAGAZINE_HOT);
	CU_ASSERT_EQUAL(journal(&f)->n, 0);
	(void)fixture_pool_steal(&f.pool, f.a, 0, MAGAZINE_HOT, UINT64_MAX);
	CU_ASSERT_EQUAL(journal(&f)->n, 0);
	CU_ASSERT_EQUAL(f.pool.pool->n_journal, 0);
	fixture_pool_close(&f.pool);
}

CU_TestInfo test_journal[] = {
	{"what is not committed is not applied", what_is_not_committed_is_not_applied},
	{"what is committed is applied, whatever was done of it",
	 what_is_committed_is_applied_whatever_was_done_of_it},
	{"a word is applied to its frame only", a_word_is_applied_to_its_frame_only},
	{"a later item for the same word counts", a_later_item_for_the_same_word_counts},
	{"a lane out of range is a request that may be repeated",
	 a_lane_out_of_range_is_a_request_that_may_be_repeated},
	{"a damaged journal is corrupt and nothing of it is applied",
	 a_damaged_journal_is_corrupt_and_nothing_of_it_is_applied},
	{"the largest grant and the largest chunk fit",
	 the_largest_grant_and_the_largest_chunk_fit},
	{"I7: the journal is empty after every operation",
	 the_journal_is_empty_after_every_operation},
	CU_TEST_INFO_NULL,
};
