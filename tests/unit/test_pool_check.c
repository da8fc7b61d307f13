/* tests/unit/test_pool_check.c - the audit finds each kind of planted damage and names what broke.
 */
#include "tests/support/claim_all.h"
#include "tests/support/fixture_pool.h"

#include <string.h>

struct fixture {
	struct fixture_pool pool;
	client_id a, b;
	pfn_t pfn;      /* OWNED by a, order 2 */
	pfn_t shared;   /* SHARED by a */
	pfn_t free_pfn; /* FREE, on a list */
};

static void setup(struct fixture *f)
{
	uint64_t handle;

	fixture_pool_open(&f->pool, 4096);
	CU_ASSERT_EQUAL(fixture_pool_commit(&f->pool, 0, 2), 2);
	f->a = fixture_pool_client(&f->pool, 0);
	f->b = fixture_pool_client(&f->pool, 0);
	f->pfn = fixture_pool_alloc(&f->pool, f->a, 2);
	f->shared = fixture_pool_alloc(&f->pool, f->a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f->pool, f->a, f->shared, CLIENT_NONE, &handle), 0);
	f->free_pfn = PFN_NONE;
	for (order_t order = 0; f->free_pfn == PFN_NONE; order++)
		f->free_pfn = f->pool.pool->buddy.lists[0][order][MIGRATE_UNMOVABLE];
	FIXTURE_AUDIT(&f->pool);
}

static struct shm_page *map(struct fixture *f)
{
	return f->pool.pool->buddy.map;
}

/* The audit must fail in this way and name the invariant. */
static void expect_as(struct fixture *f, const char *id, int condition)
{
	char text[SHM_TEXT_BYTES] = "";

	CU_ASSERT_EQUAL(pool_check(f->pool.pool, text, sizeof text), condition);
	CU_ASSERT_EQUAL(strncmp(text, id, strlen(id)), 0);
	if (strncmp(text, id, strlen(id)) != 0)
		CU_FAIL(text);
}

static void expect(struct fixture *f, const char *id)
{
	expect_as(f, id, POOL_CORRUPT);
}

static void a_sound_pool_passes_and_says_nothing(void)
{
	struct fixture f;
	char text[8] = "untold";

	setup(&f);
	CU_ASSERT_EQUAL(pool_check(f.pool.pool, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	fixture_pool_close(&f.pool);
}

static void an_owner_that_does_not_exist_is_found(void)
{
	struct fixture f;
	struct page_word word;

	setup(&f);
	word = page_get(map(&f), f.pfn);
	word.owner = 900;
	page_set(map(&f), f.pfn, word);
	expect(&f, "I1: owned by a client that does not exist");
	word.owner = 40000;
	page_set(map(&f), f.pfn, word);
	expect(&f, "I1: owned by a client that does not exist");
	fixture_pool_close(&f.pool);
}

static void a_block_that_changed_hands_is_found(void)
{
	struct fixture f;
	struct page_word word;

	setup(&f);
	word = page_get(map(&f), f.pfn);
	word.owner = f.b;
	page_set(map(&f), f.pfn, word);
	expect(&f, "I1: an owner's list holds what it does not own");
	fixture_pool_close(&f.pool);
}

static void a_block_on_no_list_is_found(void)
{
	struct fixture f;

	setup(&f);
	f.pool.pool->client[f.a].owned = PFN_NONE;
	expect(&f, "I1: owned blocks that are not on their owner's list");
	fixture_pool_close(&f.pool);
}

static void a_free_block_off_its_list_is_found(void)
{
	struct fixture f;
	order_t order;

	setup(&f);
	order = page_get(map(&f), f.free_pfn).order;
	f.pool.pool->buddy.lists[0][order][MIGRATE_UNMOVABLE] = map(&f)[f.free_pfn].next;
	expect(&f, "I1: free blocks that are on no list");
	fixture_pool_close(&f.pool);
}

static void an_owned_block_on_a_free_list_is_found(void)
{
	struct fixture f;
	order_t order;

	setup(&f);
	order = page_get(map(&f), f.free_pfn).order;
	f.pool.pool->buddy.lists[0][order][MIGRATE_UNMOVABLE] = f.pfn;
	expect(&f, "I1: a free list holds what is not a free block of it");
	fixture_pool_close(&f.pool);
}

static void a_list_that_is_not_linked_back_is_found(void)
{
	struct fixture f;

	setup(&f);
	map(&f)[f.free_pfn].prev = f.pfn;
	expect(&f, "I1: a free list is not linked back");
	fixture_pool_close(&f.pool);
}

static void a_free_list_that_runs_in_a_circle_is_found(void)
{
	struct fixture f;

	setup(&f);
	map(&f)[f.free_pfn].next = f.free_pfn;
	expect(&f, "I1");
	fixture_pool_close(&f.pool);
}

static void an_owners_list_that_runs_in_a_circle_is_found(void)
{
	struct fixture f;

	setup(&f);
	map(&f)[f.pfn].next = f.pfn;
	expect(&f, "I1: owned blocks that are not on their owner's list");
	fixture_pool_close(&f.pool);
}

static void lists_that_lead_out_of_the_map_are_found(void)
{
	struct fixture f;

	setup(&f);
	map(&f)[f.free_pfn].next = 4096;
	expect(&f, "I1: a free list leads out of the map");
	map(&f)[f.free_pfn].next = PFN_NONE;
	map(&f)[f.pfn].next = 1u << 31;
	expect(&f, "I1: an owner's list");
	fixture_pool_close(&f.pool);
}

static void shared_without_an_edge_is_found(void)
{
	struct fixture f;
	struct page_word word;

	setup(&f);
	word = page_get(map(&f), f.shared);
	word.gen++;
	page_set(map(&f), f.shared, word);
	expect(&f, "I1: shared without an edge");
	fixture_pool_close(&f.pool);
}

static void an_edge_of_nobody_is_found(void)
{
	struct fixture f;

	setup(&f);
	f.pool.pool->edges[0].client = 700;
	expect(&f, "I1");
	f.pool.pool->edges[0].client = 70000;
	expect(&f, "I1");
	f.pool.pool->edges[0].client = UINT64_MAX;
	expect(&f, "I1");
	fixture_pool_close(&f.pool);
}

static void an_edge_to_no_shared_block_is_found(void)
{
	struct fixture f;

	setup(&f);
	f.pool.pool->edges[1] = (struct shm_edge){.frame = (uint64_t)f.pfn << 32, .client = f.a};
	f.pool.pool->edge_fresh = 2;
	expect(&f, "I1: an edge that names no shared block");
	f.pool.pool->edges[0].frame = UINT64_MAX;
	expect(&f, "I1");
	fixture_pool_close(&f.pool);
}

static void frames_granted_without_memory_are_found(void)
{
	struct fixture f;

	setup(&f);
	f.pool.pool->buddy.pageblocks[f.pfn >> PAGEBLOCK_ORDER] = MIGRATE_HOLE;
	expect(&f, "I2: granted without memory behind it");
	fixture_pool_close(&f.pool);
}

static void a_hole_in_the_tiling_is_found(void)
{
	struct fixture f;

	setup(&f);
	page_set(map(&f), f.pfn, (struct page_word){.state = PAGE_TAIL});
	expect(&f, "I4: heads do not tile the zone");
	fixture_pool_close(&f.pool);
}

static void impossible_words_are_found(void)
{
	struct fixture f;
	struct page_word word;

	setup(&f);
	word = page_get(map(&f), f.pfn);
	page_set(map(&f), f.pfn,
		 (struct page_word){.state = PAGE_OWNED, .order = 13, .owner = f.a});
	expect(&f, "I4: heads do not tile the zone");
	page_set(map(&f), f.pfn, (struct page_word){.state = PAGE_FREE, .order = 31});
	expect(&f, "I4: heads do not tile the zone");
	shm_store(&map(&f)[f.pfn].word, UINT64_MAX);
	expect(&f, "I4: heads do not tile the zone");
	page_set(map(&f), f.pfn, word);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void wrong_counts_are_found(void)
{
	struct fixture f;
	struct shm_zone *zone;

	setup(&f);
	zone = &f.pool.pool->buddy.zones[0];
	zone->nr_free++;
	expect(&f, "I5: nr_free or nr_hole is wrong");
	zone->nr_free--;
	zone->nr_hole++;
	expect(&f, "I5: nr_free or nr_hole is wrong");
	zone->nr_hole--;
	zone->managed--;
	expect(&f, "I5: managed is wrong");
	zone->managed++;
	zone->nr_blocks[3][MIGRATE_UNMOVABLE]++;
	expect(&f, "I5: the count of free blocks is wrong");
	zone->nr_blocks[3][MIGRATE_UNMOVABLE]--;
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_saved_top_outside_a_claim_is_found(void)
{
	struct fixture f;

	setup(&f);
	*pool_saved_top(f.pool.pool, f.a, 1, 3) = MAGAZINE_INDEX_START;
	expect(&f, "I6: a saved top outside a claim");
	fixture_pool_close(&f.pool);
}

static void a_bottom_that_does_not_fit_the_ring_is_found(void)
{
	struct fixture f;

	setup(&f);
	*fixture_pool_bottom(&f.pool, f.a, 0, MAGAZINE_HOT) = 3;
	expect_as(&f, "I6: bottom and top do not fit the ring", POOL_HOSTILE);
	/* It is the client's fault: once that is known the audit passes. */
	CU_ASSERT_EQUAL(pool_note_liars(f.pool.pool), 1);
	CU_ASSERT_EQUAL(pool_note_liars(f.pool.pool), 0);
	CU_ASSERT_EQUAL(pool_next_hostile(f.pool.pool), f.a);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_claim_under_way_is_no_damage(void)
{
	struct fixture f;

	setup(&f);
	(void)fixture_pool_refill(&f.pool, f.a, 0, MAGAZINE_HOT);
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, false), 1);
	FIXTURE_AUDIT(&f.pool);
	(void)pool_settle(f.pool.pool);
	fixture_pool_close(&f.pool);
}

static void a_journal_that_is_not_empty_is_found(void)
{
	struct fixture f;

	setup(&f);
	f.pool.pool->journal->n = 1;
	expect(&f, "I7: the journal is not empty");
	fixture_pool_close(&f.pool);
}

static void a_wrong_charge_is_found(void)
{
	struct fixture f;

	setup(&f);
	pool_client(f.pool.pool, f.a)->nr_owned++;
	expect(&f, "I8: the charge is not blocks plus edges");
	pool_client(f.pool.pool, f.a)->nr_owned--;
	pool_client(f.pool.pool, f.a)->nr_shared--;
	expect(&f, "I8: the charge is not blocks plus edges");
	fixture_pool_close(&f.pool);
}

static void its_sentence_is_cut_to_the_room_there_is(void)
{
	struct fixture f;
	char text[8];

	setup(&f);
	f.pool.pool->journal->n = 1;
	memset(text, 'x', sizeof text);
	CU_ASSERT_EQUAL(pool_check(f.pool.pool, text, 5), POOL_CORRUPT);
	CU_ASSERT_STRING_EQUAL(text, "I7: ");
	CU_ASSERT_EQUAL(text[5], 'x');
	CU_ASSERT_EQUAL(pool_check(f.pool.pool, text, 0), POOL_CORRUPT);
	fixture_pool_close(&f.pool);
}

CU_TestInfo test_pool_check[] = {
	{"a sound pool passes and says nothing", a_sound_pool_passes_and_says_nothing},
	{"I1: an owner that does not exist is found", an_owner_that_does_not_exist_is_found},
	{"I1: a block that changed hands is found", a_block_that_changed_hands_is_found},
	{"I1: a block on no list is found", a_block_on_no_list_is_found},
	{"I1: a free block off its list is found", a_free_block_off_its_list_is_found},
	{"I1: an owned block on a free list is found", an_owned_block_on_a_free_list_is_found},
	{"I1: a list that is not linked back is found", a_list_that_is_not_linked_back_is_found},
	{"I1: a free list that runs in a circle is found",
	 a_free_list_that_runs_in_a_circle_is_found},
	{"I1: an owner's list that runs in a circle is found",
	 an_owners_list_that_runs_in_a_circle_is_found},
	{"I1: lists that lead out of the map are found", lists_that_lead_out_of_the_map_are_found},
	{"I1: shared without an edge is found", shared_without_an_edge_is_found},
	{"I1: an edge of nobody is found", an_edge_of_nobody_is_found},
	{"I1: an edge to no shared block is found", an_edge_to_no_shared_block_is_found},
	{"I2: frames granted without memory are found", frames_granted_without_memory_are_found},
	{"I4: a hole in the tiling is found", a_hole_in_the_tiling_is_found},
	{"I4: impossible words are found", impossible_words_are_found},
	{"I5: wrong counts are found", wrong_counts_are_found},
	{"I6: a saved top outside a claim is found", a_saved_top_outside_a_claim_is_found},
	{"I6: a bottom that does not fit the ring is found",
	 a_bottom_that_does_not_fit_the_ring_is_found},
	{"I6: a claim under way is no damage", a_claim_under_way_is_no_damage},
	{"I7: a journal that is not empty is found", a_journal_that_is_not_empty_is_found},
	{"I8: a wrong charge is found", a_wrong_charge_is_found},
	{"its sentence is cut to the room there is", its_sentence_is_cut_to_the_room_there_is},
	CU_TEST_INFO_NULL,
};
