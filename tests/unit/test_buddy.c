/* tests/unit/test_buddy.c - daemon/core/buddy over a small map: split, merge, zones, types. */
#include "daemon/core/buddy.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define NR_FRAMES 4096u

struct fixture {
	struct shm_page map[NR_FRAMES];
	uint8_t pageblocks[NR_FRAMES / PAGEBLOCK_FRAMES];
	struct shm_zone zones[SHM_MAX_ZONES];
	struct buddy buddy;
};

static struct fixture fixture;

/* Zones one after the other that end at those pfns; all blocks FREE, of `type`. */
static struct buddy *setup(enum migratetype type, uint32_t end_0, uint32_t end_1)
{
	struct fixture *f = &fixture;
	uint32_t nr_zones = end_1 ? 2 : 1, nr_frames = end_1 ? end_1 : end_0;

	memset(f, 0, sizeof *f);
	memset(f->pageblocks, type, sizeof f->pageblocks);
	f->zones[0] = (struct shm_zone){.end_pfn = end_0, .managed = end_0};
	if (end_1)
		f->zones[1] = (struct shm_zone){
			.start_pfn = end_0, .end_pfn = end_1, .managed = end_1 - end_0};
	buddy_init(&f->buddy, f->map, f->pageblocks, f->zones, nr_zones, nr_frames);
	for (uint32_t z = 0; z < nr_zones; z++)
		for (pfn_t pfn = f->zones[z].start_pfn; pfn < f->zones[z].end_pfn;) {
			order_t order = buddy_fit(pfn, f->zones[z].end_pfn);

			page_set(f->map, pfn,
				 (struct page_word){.state = PAGE_FREE, .order = order});
			buddy_insert(&f->buddy, pfn);
			pfn += 1u << order;
		}
	return &f->buddy;
}

/* Takes a block and marks it OWNED, as a journal would. */
static pfn_t take(struct buddy *buddy, order_t order, enum migratetype type)
{
	pfn_t pfn;

	if (!buddy_take(buddy, 0, order, type, &pfn))
		return PFN_NONE;
	page_set(buddy->map, pfn, page_owned_word(buddy->map, pfn, 1));
	return pfn;
}

static void give(struct buddy *buddy, pfn_t pfn)
{
	page_set(buddy->map, pfn, page_free_word(buddy->map, pfn, page_get(buddy->map, pfn).order));
	buddy_give(buddy, pfn);
}

static uint32_t on_list(const struct buddy *buddy, uint32_t zone, order_t order,
			enum migratetype type)
{
	uint32_t n = 0;

	for (pfn_t pfn = buddy->lists[zone][order][type]; pfn != PFN_NONE;
	     pfn = buddy->map[pfn].next)
		n++;
	CU_ASSERT_EQUAL(n, buddy->zones[zone].nr_blocks[order][type]);
	return n;
}

/* Heads tile the zone (I4) and the counts agree with the lists (I5); what is ISOLATED counts as a
 * free hole. */
static void check(const struct buddy *buddy, uint32_t zone)
{
	const struct shm_zone *z = &buddy->zones[zone];
	uint64_t free = 0, hole = 0;
	pfn_t pfn = z->start_pfn;

	for (struct page_word word; pfn < z->end_pfn; pfn += 1u << word.order) {
		word = page_get(buddy->map, pfn);
		CU_ASSERT_FATAL(word.state != PAGE_TAIL);
		CU_ASSERT_EQUAL(page_head(buddy->map, pfn), pfn);
		free += word.flags ? 1u << word.order : 0;
	}
	hole = free;
	CU_ASSERT_EQUAL(pfn, z->end_pfn);
	for (order_t order = 0; order < ORDER_COUNT; order++)
		for (uint32_t type = 0; type < MIGRATE_TYPES; type++) {
			uint64_t frames = (uint64_t)on_list(buddy, zone, order, type) << order;

			free += frames;
			hole += type == MIGRATE_HOLE ? frames : 0;
		}
	CU_ASSERT_EQUAL(free, z->nr_free);
	CU_ASSERT_EQUAL(hole, z->nr_hole);
}

/* --- fit --- */

static void fit_is_the_largest_aligned_block_that_ends_in_time(void)
{
	CU_ASSERT_EQUAL(buddy_fit(0, 1u << ORDER_MAX), ORDER_MAX);
	CU_ASSERT_EQUAL(buddy_fit(0, UINT32_MAX), ORDER_MAX);
	CU_ASSERT_EQUAL(buddy_fit(0, 1000), 9);
	CU_ASSERT_EQUAL(buddy_fit(512, 1000), 8);
	CU_ASSERT_EQUAL(buddy_fit(3, 1000), 0);
	CU_ASSERT_EQUAL(buddy_fit(12, 1000), 2);
	CU_ASSERT_EQUAL(buddy_fit(999, 1000), 0);
}

/* --- split and merge --- */

static void take_splits_down_and_leaves_a_row_of_smaller_blocks(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 4096, 0);
	pfn_t pfn = take(buddy, 0, MIGRATE_UNMOVABLE);

	CU_ASSERT_EQUAL(pfn, 0);
	for (order_t order = 0; order < 12; order++)
		CU_ASSERT_EQUAL(on_list(buddy, 0, order, MIGRATE_UNMOVABLE), 1);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_UNMOVABLE), 0);
	check(buddy, 0);
}

static void give_merges_with_left_and_right_buddies_up_to_the_top(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 4096, 0);
	pfn_t a = take(buddy, 0, MIGRATE_UNMOVABLE), b = take(buddy, 0, MIGRATE_UNMOVABLE);

	CU_ASSERT_EQUAL(a ^ 1, b);
	give(buddy, a);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_UNMOVABLE), 0);
	give(buddy, b);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_UNMOVABLE), 1);
	CU_ASSERT_EQUAL(page_get(buddy->map, 1).state, PAGE_TAIL);
	check(buddy, 0);
}

/* The frames of a row of 4096 whose bit is set go back in an order that the seed says, one by one
 * or in batches. Returns the free blocks of each order. */
static void give_some(uint64_t seed, bool is_batch, uint32_t ret_blocks[ORDER_COUNT])
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, NR_FRAMES, 0);
	pfn_t some[NR_FRAMES];
	uint32_t n = 0;

	for (uint32_t i = 0; i < NR_FRAMES; i++)
		CU_ASSERT_FATAL(take(buddy, 0, MIGRATE_UNMOVABLE) != PFN_NONE);
	for (pfn_t pfn = 0; pfn < NR_FRAMES; pfn++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		/* Rows, and single frames, here and there the last one first. */
		if (seed >> 61 == 0)
			continue;
		some[n++] = pfn;
		if (seed >> 58 & 1 && n > 1) {
			some[n - 1] = some[n - 2];
			some[n - 2] = pfn;
		}
	}
	for (uint32_t i = 0; i < n; i += 64) {
		uint32_t part = n - i < 64 ? n - i : 64;

		for (uint32_t k = i; k < i + part; k++)
			if (is_batch)
				page_set(buddy->map, some[k],
					 page_free_word(buddy->map, some[k], 0));
			else
				give(buddy, some[k]);
		if (is_batch)
			buddy_give_many(buddy, some + i, part);
	}
	check(buddy, 0);
	for (order_t order = 0; order < ORDER_COUNT; order++)
		ret_blocks[order] = on_list(buddy, 0, order, MIGRATE_UNMOVABLE);
}

static void a_batch_becomes_the_same_blocks_as_one_by_one(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint32_t one[ORDER_COUNT], many[ORDER_COUNT];

		give_some(seed, false, one);
		give_some(seed, true, many);
		CU_ASSERT(memcmp(one, many, sizeof one) == 0);
	}
}

static void a_batch_of_all_is_one_block(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, NR_FRAMES, 0);
	pfn_t all[NR_FRAMES];

	for (uint32_t i = 0; i < NR_FRAMES; i++)
		all[i] = take(buddy, 0, MIGRATE_UNMOVABLE);
	for (uint32_t i = 0; i < NR_FRAMES; i++)
		page_set(buddy->map, all[i], page_free_word(buddy->map, all[i], 0));
	buddy_give_many(buddy, all, NR_FRAMES);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
	buddy_give_many(buddy, all, 0);
	check(buddy, 0);
}

static void a_block_in_use_keeps_its_buddy_apart(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 1024, 0);
	pfn_t pfn[1024];

	for (uint32_t i = 0; i < 1024; i++)
		pfn[i] = take(buddy, 0, MIGRATE_UNMOVABLE);
	CU_ASSERT_EQUAL(take(buddy, 0, MIGRATE_UNMOVABLE), PFN_NONE);
	for (uint32_t i = 0; i < 1024; i += 2)
		give(buddy, pfn[i]);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 0, MIGRATE_UNMOVABLE), 512);
	check(buddy, 0);
	for (uint32_t i = 1; i < 1024; i += 2)
		give(buddy, pfn[i]);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 10, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
}

static void an_isolated_buddy_does_not_merge(void)
{
	struct buddy *buddy = setup(MIGRATE_HOLE, 1024, 0);

	buddy_isolate_part(buddy, 0, 9);
	buddy_isolate(buddy, 512);
	check(buddy, 0);
	buddy_unisolate(buddy, 512);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_HOLE), 1);
	buddy_unisolate(buddy, 0);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 10, MIGRATE_HOLE), 1);
	check(buddy, 0);
}

static void the_generation_of_a_frame_outlives_split_and_merge(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 1024, 0);
	pfn_t a = take(buddy, 0, MIGRATE_UNMOVABLE), b = take(buddy, 0, MIGRATE_UNMOVABLE);

	give(buddy, a);
	give(buddy, b);
	CU_ASSERT_EQUAL(page_get(buddy->map, a).gen, 1);
	CU_ASSERT_EQUAL(page_get(buddy->map, b).gen, 1);
	CU_ASSERT_EQUAL(take(buddy, 10, MIGRATE_UNMOVABLE), 0);
	give(buddy, 0);
	CU_ASSERT_EQUAL(page_get(buddy->map, 0).gen, 2);
	CU_ASSERT_EQUAL(page_get(buddy->map, 1).gen, 1);
}

static void the_smallest_block_that_fits_is_taken(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 2048 + 8, 0);

	CU_ASSERT_EQUAL(take(buddy, 2, MIGRATE_UNMOVABLE), 2048);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 11, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
}

/* --- rows --- */

static void a_row_is_heads_of_the_order_one_after_the_other(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 4096, 0);
	uint32_t n;
	pfn_t pfn;

	CU_ASSERT_FATAL(buddy_take_row(buddy, 0, 1, 5, MIGRATE_UNMOVABLE, &pfn, &n));
	CU_ASSERT_EQUAL(n, 16);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(page_get(buddy->map, pfn + 2 * i).order, 1);
		CU_ASSERT_EQUAL(page_get(buddy->map, pfn + 2 * i).state, PAGE_FREE);
		page_set(buddy->map, pfn + 2 * i, page_owned_word(buddy->map, pfn + 2 * i, 1));
	}
	for (uint32_t i = 0; i < n; i++)
		give(buddy, pfn + 2 * i);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
}

static void a_row_takes_a_small_block_whole(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 2048 + 4, 0);
	uint32_t n;
	pfn_t pfn;

	CU_ASSERT_FATAL(buddy_take_row(buddy, 0, 0, 9, MIGRATE_UNMOVABLE, &pfn, &n));
	CU_ASSERT_EQUAL(pfn, 2048);
	CU_ASSERT_EQUAL(n, 4);
}

/* --- zones --- */

static void a_zone_may_end_anywhere(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 1000, 0);

	CU_ASSERT_EQUAL(buddy->zones[0].nr_free, 1000);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_UNMOVABLE), 1);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 3, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_NOT_EQUAL(take(buddy, 0, MIGRATE_UNMOVABLE), PFN_NONE);
	CU_ASSERT_EQUAL(take(buddy, 0, MIGRATE_UNMOVABLE), PFN_NONE);
	for (pfn_t pfn = 0; pfn < 1000; pfn++)
		give(buddy, pfn);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
}

static void a_buddy_in_another_zone_is_no_buddy(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 1001, 2048);
	pfn_t pfn;

	CU_ASSERT_EQUAL(buddy_zone_of(buddy, 1000), 0);
	CU_ASSERT_EQUAL(buddy_zone_of(buddy, 1001), 1);
	for (uint32_t z = 0; z < 2; z++)
		while (buddy_take(buddy, z, 0, MIGRATE_UNMOVABLE, &pfn))
			page_set(buddy->map, pfn, page_owned_word(buddy->map, pfn, 1));
	for (pfn = 0; pfn < 2048; pfn++)
		give(buddy, pfn);
	CU_ASSERT_EQUAL(page_get(buddy->map, 1000).order, 0);
	CU_ASSERT_EQUAL(page_get(buddy->map, 1001).order, 0);
	CU_ASSERT_EQUAL(buddy->zones[0].nr_free, 1001);
	CU_ASSERT_EQUAL(buddy->zones[1].nr_free, 1047);
	check(buddy, 0);
	check(buddy, 1);
}

/* --- holes and types --- */

static void a_hole_is_never_taken(void)
{
	struct buddy *buddy = setup(MIGRATE_HOLE, 1024, 0);
	pfn_t pfn;

	CU_ASSERT_EQUAL(take(buddy, 0, MIGRATE_UNMOVABLE), PFN_NONE);
	CU_ASSERT_EQUAL(buddy->zones[0].nr_hole, 1024);
	CU_ASSERT(buddy_find_hole(buddy, 0, 9, &pfn));
	CU_ASSERT_EQUAL(pfn, 0);
}

static void hole_and_committed_never_merge(void)
{
	struct buddy *buddy = setup(MIGRATE_HOLE, 1024, 0);

	buddy_isolate_part(buddy, 0, 9);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_HOLE), 1);
	buddy_set_type(buddy, 0, MIGRATE_UNMOVABLE);
	buddy_unisolate(buddy, 0);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_UNMOVABLE), 1);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_HOLE), 1);
	CU_ASSERT_EQUAL(buddy->zones[0].nr_hole, 512);
	check(buddy, 0);
	buddy_isolate(buddy, 512);
	buddy_set_type(buddy, 512, MIGRATE_RECLAIMABLE);
	buddy_unisolate(buddy, 512);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 10, MIGRATE_UNMOVABLE), 1);
	CU_ASSERT_EQUAL(buddy->zones[0].nr_hole, 0);
	check(buddy, 0);
}

static void own_type_first_then_the_largest_block_of_the_other(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 2048 + 512, 0);
	pfn_t pfn;

	/* The pageblock at 2048 is RECLAIMABLE, all else UNMOVABLE. */
	buddy_remove(buddy, 2048);
	buddy->pageblocks[4] = MIGRATE_RECLAIMABLE;
	buddy_insert(buddy, 2048);
	pfn = take(buddy, 3, MIGRATE_RECLAIMABLE);
	CU_ASSERT_EQUAL(pfn, 2048);
	while (buddy_type(buddy, pfn) == MIGRATE_RECLAIMABLE && pfn >= 2048)
		pfn = take(buddy, 3, MIGRATE_RECLAIMABLE);
	/* Its own are used up: a whole pageblock of the other's changes type. */
	CU_ASSERT_EQUAL(pfn, 0);
	CU_ASSERT_EQUAL(buddy_type(buddy, 0), MIGRATE_RECLAIMABLE);
	CU_ASSERT_EQUAL(buddy_type(buddy, 512), MIGRATE_UNMOVABLE);
	check(buddy, 0);
}

static void a_fallback_below_a_pageblock_changes_no_type(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 64, 0);

	CU_ASSERT_EQUAL(take(buddy, 0, MIGRATE_RECLAIMABLE), 0);
	CU_ASSERT_EQUAL(buddy_type(buddy, 0), MIGRATE_UNMOVABLE);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 5, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
}

static void set_type_moves_the_free_blocks_of_its_pageblock_only(void)
{
	struct buddy *buddy = setup(MIGRATE_UNMOVABLE, 1024, 0);
	pfn_t pfn = take(buddy, 0, MIGRATE_UNMOVABLE);

	buddy_set_type(buddy, pfn, MIGRATE_RECLAIMABLE);
	for (order_t order = 0; order < 9; order++) {
		CU_ASSERT_EQUAL(on_list(buddy, 0, order, MIGRATE_RECLAIMABLE), 1);
		CU_ASSERT_EQUAL(on_list(buddy, 0, order, MIGRATE_UNMOVABLE), 0);
	}
	CU_ASSERT_EQUAL(on_list(buddy, 0, 9, MIGRATE_UNMOVABLE), 1);
	check(buddy, 0);
	give(buddy, pfn);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 10, MIGRATE_RECLAIMABLE), 1);
	check(buddy, 0);
}

static void isolate_part_leaves_the_rest_on_the_lists(void)
{
	struct buddy *buddy = setup(MIGRATE_HOLE, 4096, 0);

	buddy_isolate_part(buddy, 0, 9);
	CU_ASSERT_EQUAL(page_get(buddy->map, 0).flags, PAGE_ISOLATED);
	CU_ASSERT_EQUAL(page_get(buddy->map, 0).order, 9);
	CU_ASSERT_EQUAL(buddy->zones[0].nr_free, 4096); /* it is free all the while */
	check(buddy, 0);
	buddy_unisolate(buddy, 0);
	CU_ASSERT_EQUAL(on_list(buddy, 0, 12, MIGRATE_HOLE), 1);
	check(buddy, 0);
}

CU_TestInfo test_buddy[] = {
	{"fit is the largest aligned block that ends in time",
	 fit_is_the_largest_aligned_block_that_ends_in_time},
	{"take splits down and leaves a row of smaller blocks",
	 take_splits_down_and_leaves_a_row_of_smaller_blocks},
	{"give merges with left and right buddies up to the top",
	 give_merges_with_left_and_right_buddies_up_to_the_top},
	{"a batch becomes the same blocks as one by one",
	 a_batch_becomes_the_same_blocks_as_one_by_one},
	{"a batch of all is one block", a_batch_of_all_is_one_block},
	{"a block in use keeps its buddy apart", a_block_in_use_keeps_its_buddy_apart},
	{"an isolated buddy does not merge", an_isolated_buddy_does_not_merge},
	{"the generation of a frame outlives split and merge",
	 the_generation_of_a_frame_outlives_split_and_merge},
	{"the smallest block that fits is taken", the_smallest_block_that_fits_is_taken},
	{"a row is heads of the order one after the other",
	 a_row_is_heads_of_the_order_one_after_the_other},
	{"a row takes a small block whole", a_row_takes_a_small_block_whole},
	{"a zone may end anywhere", a_zone_may_end_anywhere},
	{"a buddy in another zone is no buddy", a_buddy_in_another_zone_is_no_buddy},
	{"a hole is never taken", a_hole_is_never_taken},
	{"hole and committed never merge", hole_and_committed_never_merge},
	{"own type first, then the largest block of the other",
	 own_type_first_then_the_largest_block_of_the_other},
	{"a fallback below a pageblock changes no type",
	 a_fallback_below_a_pageblock_changes_no_type},
	{"set_type moves the free blocks of its pageblock only",
	 set_type_moves_the_free_blocks_of_its_pageblock_only},
	{"isolate_part leaves the rest on the lists", isolate_part_leaves_the_rest_on_the_lists},
	CU_TEST_INFO_NULL,
};
