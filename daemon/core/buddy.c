/* daemon/core/buddy.c - take, give, split and merge; see buddy.h for the order of the stores. */
#include "daemon/core/buddy.h"

#include "paged/bits.h"
#include "paged/probe.h"

void buddy_init(struct buddy *buddy, struct shm_page *map, uint8_t *pageblocks,
		struct shm_zone *zones, uint32_t nr_zones, uint32_t nr_frames)
{
	buddy->map = map;
	buddy->pageblocks = pageblocks;
	buddy->zones = zones;
	buddy->nr_zones = nr_zones;
	buddy->nr_frames = nr_frames;
	buddy->to_punch = PFN_NONE;
	buddy->map_ready = NULL;
	for (uint32_t z = 0; z < nr_zones; z++) {
		buddy->offline_from[z] = zones[z].end_pfn;
		buddy->reserved_from[z] = zones[z].end_pfn;
		buddy->nr_reserved[z] = 0;
	}
	for (uint32_t z = 0; z < SHM_MAX_ZONES; z++)
		for (order_t order = 0; order < ORDER_COUNT; order++)
			for (uint32_t type = 0; type < MIGRATE_TYPES; type++)
				buddy->lists[z][order][type] = PFN_NONE;
}

order_t buddy_fit(pfn_t pfn, pfn_t end)
{
	order_t order = ORDER_MAX;

	while (order > 0 && ((pfn & ((1u << order) - 1)) || end - pfn < 1u << order))
		order--;
	return order;
}

uint32_t buddy_zone_of(const struct buddy *buddy, pfn_t pfn)
{
	uint32_t zone = 0;

	while (pfn >= buddy->zones[zone].end_pfn)
		zone++;
	PAGED_CHECK(zone < buddy->nr_zones);
	return zone;
}

enum migratetype buddy_type(const struct buddy *buddy, pfn_t pfn)
{
	return (enum migratetype)buddy->pageblocks[pfn >> PAGEBLOCK_ORDER];
}

static void count_blocks(struct shm_zone *zone, order_t order, enum migratetype type, int32_t n)
{
	int64_t frames = (int64_t)n * (1 << order);

	shm_store32(&zone->nr_blocks[order][type], zone->nr_blocks[order][type] + (uint32_t)n);
	shm_add(&zone->nr_free, (uint64_t)frames);
	if (type == MIGRATE_HOLE)
		shm_add(&zone->nr_hole, (uint64_t)frames);
}

static void insert_in(struct buddy *buddy, uint32_t zone, pfn_t pfn, order_t order)
{
	enum migratetype type = buddy_type(buddy, pfn);

	page_list_push(buddy->map, &buddy->lists[zone][order][type], pfn);
	count_blocks(&buddy->zones[zone], order, type, 1);
}

static void remove_from(struct buddy *buddy, uint32_t zone, pfn_t pfn, order_t order)
{
	enum migratetype type = buddy_type(buddy, pfn);

	page_list_remove(buddy->map, &buddy->lists[zone][order][type], pfn);
	count_blocks(&buddy->zones[zone], order, type, -1);
}

void buddy_insert(struct buddy *buddy, pfn_t pfn)
{
	insert_in(buddy, buddy_zone_of(buddy, pfn), pfn, page_get(buddy->map, pfn).order);
}

void buddy_remove(struct buddy *buddy, pfn_t pfn)
{
	remove_from(buddy, buddy_zone_of(buddy, pfn), pfn, page_get(buddy->map, pfn).order);
}

/* The buddy of a head, inside the zone, is a head itself. */
bool buddy_can_merge(const struct buddy *buddy, uint32_t zone, pfn_t pfn, order_t order,
		     enum page_state state)
{
	uint64_t other = pfn ^ (1u << order);
	uint64_t end = state == PAGE_FREE ? buddy->offline_from[zone] : buddy->zones[zone].end_pfn;
	struct page_word word;

	if (order == ORDER_MAX || other < buddy->zones[zone].start_pfn ||
	    other + (1u << order) > end)
		return false;
	word = page_get(buddy->map, (pfn_t)other);
	return word.state == state && word.order == order && word.flags == 0 &&
	       (buddy_type(buddy, pfn) == MIGRATE_HOLE) ==
		       (buddy_type(buddy, (pfn_t)other) == MIGRATE_HOLE);
}

/* The block of `order` that is to go out of use, all or a part of it: true if that was done. One
 * whose mem_map has no memory to divide it waits on its list for resize.c. */
static bool goes_offline(struct buddy *buddy, uint32_t z, pfn_t pfn, order_t order)
{
	if (pfn + (UINT64_C(1) << order) <= buddy->offline_from[z])
		return false;
	if (pfn >= buddy->offline_from[z])
		buddy_reserve(buddy, z, pfn);
	else if (!buddy->map_ready || buddy->map_ready[pfn >> ORDER_MAX])
		buddy_divide(buddy, z, pfn);
	else
		return false;
	return true;
}

/* Two FREE heads, on no list, become one of order. */
static void join(struct buddy *buddy, pfn_t lower, pfn_t upper, order_t order)
{
	page_set(buddy->map, lower, page_free_word(buddy->map, lower, order));
	page_set(buddy->map, upper,
		 (struct page_word){.state = PAGE_TAIL, .gen = page_get(buddy->map, upper).gen});
}

/* Returns the head of the block that it became. */
static pfn_t give(struct buddy *buddy, uint32_t z, pfn_t pfn)
{
	order_t order = page_get(buddy->map, pfn).order;

	PAGED_DEBUG_CHECK(page_get(buddy->map, pfn).state == PAGE_FREE);
	if (goes_offline(buddy, z, pfn, order))
		return page_head(buddy->map, pfn);
	while (buddy_can_merge(buddy, z, pfn, order, PAGE_FREE)) {
		pfn_t other = pfn ^ (1u << order);
		pfn_t lower = pfn < other ? pfn : other;
		pfn_t upper = lower + (1u << order);

		remove_from(buddy, z, other, order);
		order++;
		join(buddy, lower, upper, order);
		pfn = lower;
	}
	insert_in(buddy, z, pfn, order);
	return pfn;
}

void buddy_give(struct buddy *buddy, pfn_t pfn)
{
	(void)give(buddy, buddy_zone_of(buddy, pfn), pfn);
}

/* Rows of those that are on no list become few blocks; only these are listed. All are before the
 * first merge with what was listed: it must not meet a FREE head that is on no list. */
void buddy_give_many(struct buddy *buddy, pfn_t *pfn, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		pfn_t at = pfn[i];
		order_t order = page_get(buddy->map, at).order;

		PAGED_DEBUG_CHECK(page_get(buddy->map, at).state == PAGE_FREE);
		while (kept > 0 && order < ORDER_MAX && (pfn[kept - 1] ^ (1u << order)) == at &&
		       pfn[kept - 1] < at && page_get(buddy->map, pfn[kept - 1]).order == order &&
		       buddy_can_merge(buddy, buddy_zone_of(buddy, pfn[kept - 1]), pfn[kept - 1],
				       order, PAGE_FREE)) {
			kept--;
			join(buddy, pfn[kept], at, ++order);
			at = pfn[kept];
		}
		pfn[kept++] = at;
	}
	for (uint32_t i = 0; i < kept; i++)
		buddy_insert(buddy, pfn[i]);
	for (uint32_t i = 0; i < kept; i++)
		if (page_get(buddy->map, pfn[i]).state == PAGE_FREE)
			(void)buddy_merge(buddy, pfn[i]);
}

pfn_t buddy_merge(struct buddy *buddy, pfn_t pfn)
{
	uint32_t z = buddy_zone_of(buddy, pfn);
	order_t order = page_get(buddy->map, pfn).order;

	if (pfn + (UINT64_C(1) << order) <= buddy->offline_from[z] &&
	    !buddy_can_merge(buddy, z, pfn, order, PAGE_FREE))
		return pfn;
	remove_from(buddy, z, pfn, order);
	return give(buddy, z, pfn);
}

/* Splits the FREE block at pfn, which is on no list, from `from` down to `to`; the upper parts go
 * on their lists. */
static void split(struct buddy *buddy, uint32_t zone, pfn_t pfn, order_t from, order_t to)
{
	if (from == to)
		return;
	for (order_t order = from; order-- > to;) {
		pfn_t upper = pfn + (1u << order);

		page_set(buddy->map, upper, page_free_word(buddy->map, upper, order));
	}
	page_set(buddy->map, pfn, page_free_word(buddy->map, pfn, to));
	for (order_t order = to; order < from; order++)
		insert_in(buddy, zone, pfn + (1u << order), order);
}

void buddy_set_type(struct buddy *buddy, pfn_t pfn, enum migratetype type)
{
	pfn_t start = pfn & ~(PAGEBLOCK_FRAMES - 1);
	pfn_t end = (pfn_t)bits_min((uint64_t)start + PAGEBLOCK_FRAMES, buddy->nr_frames);
	pfn_t head = page_head(buddy->map, start);
	struct page_word word;

	if (buddy_type(buddy, start) == type)
		return;
	/* A block that reaches over the pageblock is the caller's, off the lists, or has the type
	 * of its first pageblock. */
	for (pfn_t at = head; at < end; at += 1u << word.order) {
		word = page_get(buddy->map, at);
		if (at >= start && word.order < PAGEBLOCK_ORDER && word.state == PAGE_FREE &&
		    word.flags == 0)
			buddy_remove(buddy, at);
	}
	buddy->pageblocks[start >> PAGEBLOCK_ORDER] = (uint8_t)type;
	for (pfn_t at = head; at < end; at += 1u << word.order) {
		word = page_get(buddy->map, at);
		if (at >= start && word.order < PAGEBLOCK_ORDER && word.state == PAGE_FREE &&
		    word.flags == 0)
			buddy_insert(buddy, at);
	}
}

/* The smallest block of at least `order` on one type's lists. */
static bool find_smallest(const struct buddy *buddy, uint32_t zone, order_t order,
			  enum migratetype type, pfn_t *ret_pfn, order_t *ret_order)
{
	for (; order <= ORDER_MAX; order++) {
		pfn_t pfn = buddy->lists[zone][order][type];

		if (pfn != PFN_NONE) {
			*ret_pfn = pfn;
			*ret_order = order;
			return true;
		}
	}
	return false;
}

static bool find_largest(const struct buddy *buddy, uint32_t zone, order_t order,
			 enum migratetype type, pfn_t *ret_pfn, order_t *ret_order)
{
	for (order_t at = ORDER_COUNT; at-- > order;) {
		pfn_t pfn = buddy->lists[zone][at][type];

		if (pfn != PFN_NONE) {
			*ret_pfn = pfn;
			*ret_order = at;
			return true;
		}
	}
	return false;
}

/* Every pageblock of the block at pfn, which is on no list, gets the type. */
static void convert(struct buddy *buddy, pfn_t pfn, order_t order, enum migratetype type)
{
	for (uint32_t n = 0; n < 1u << (order - PAGEBLOCK_ORDER); n++)
		buddy->pageblocks[(pfn >> PAGEBLOCK_ORDER) + n] = (uint8_t)type;
}

/* Takes a block off the lists for `type`, at most of order_max; *ret_order says of which. */
static bool take_block(struct buddy *buddy, uint32_t zone, order_t order, order_t order_max,
		       enum migratetype type, pfn_t *ret_pfn, order_t *ret_order)
{
	enum migratetype other =
		type == MIGRATE_UNMOVABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
	bool own = find_smallest(buddy, zone, order, type, ret_pfn, ret_order);
	order_t from, to;

	if (!own && !find_largest(buddy, zone, order, other, ret_pfn, ret_order))
		return false;
	from = *ret_order;
	to = from < order_max ? from : order_max;
	if (!own)
		PAGED_PROBE(mm_page_alloc_extfrag, *ret_pfn, order, from, type);
	remove_from(buddy, zone, *ret_pfn, from);
	/* A merged block may hold pageblocks of both types; what is taken of it becomes the
	 * taker's. */
	if (from >= PAGEBLOCK_ORDER) {
		order_t whole = to > PAGEBLOCK_ORDER ? to : PAGEBLOCK_ORDER;

		split(buddy, zone, *ret_pfn, from, whole);
		convert(buddy, *ret_pfn, whole, type);
		from = whole;
	}
	split(buddy, zone, *ret_pfn, from, to);
	*ret_order = to;
	return true;
}

bool buddy_take(struct buddy *buddy, uint32_t zone, order_t order, enum migratetype type,
		pfn_t *ret_pfn)
{
	order_t got;

	return take_block(buddy, zone, order, order, type, ret_pfn, &got);
}

bool buddy_take_row(struct buddy *buddy, uint32_t zone, order_t order, order_t order_max,
		    enum migratetype type, pfn_t *ret_pfn, uint32_t *ret_n)
{
	order_t got;
	pfn_t pfn;

	if (!take_block(buddy, zone, order, order_max, type, &pfn, &got))
		return false;
	/* The same rule as a split: heads inside the block first, its own last. */
	for (uint32_t n = 1u << (got - order); n-- > 1;)
		page_set(buddy->map, pfn + (n << order),
			 page_free_word(buddy->map, pfn + (n << order), order));
	if (got != order)
		page_set(buddy->map, pfn, page_free_word(buddy->map, pfn, order));
	*ret_pfn = pfn;
	*ret_n = 1u << (got - order);
	return true;
}

bool buddy_find_hole(const struct buddy *buddy, uint32_t zone, order_t order, pfn_t *ret_pfn)
{
	order_t got;

	return find_smallest(buddy, zone, order, MIGRATE_HOLE, ret_pfn, &got);
}

/* A block that is being committed is free and a hole all the while, though on no list: or it would
 * seem that memory ran short whenever some is about to come. */
static void count_isolated(struct buddy *buddy, pfn_t pfn, int64_t frames)
{
	struct shm_zone *zone = &buddy->zones[buddy_zone_of(buddy, pfn)];

	shm_add(&zone->nr_free, (uint64_t)frames);
	shm_add(&zone->nr_hole, (uint64_t)frames);
}

void buddy_isolate(struct buddy *buddy, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);

	PAGED_CHECK(buddy_type(buddy, pfn) == MIGRATE_HOLE);
	buddy_remove(buddy, pfn);
	count_isolated(buddy, pfn, (int64_t)1 << word.order);
	word.flags = PAGE_ISOLATED;
	page_set(buddy->map, pfn, word);
}

void buddy_unisolate(struct buddy *buddy, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);

	PAGED_CHECK(word.state == PAGE_FREE && word.flags == PAGE_ISOLATED);
	count_isolated(buddy, pfn, -((int64_t)1 << word.order));
	page_set(buddy->map, pfn, page_free_word(buddy->map, pfn, word.order));
	buddy_give(buddy, pfn);
}

void buddy_isolate_part(struct buddy *buddy, pfn_t pfn, order_t order)
{
	order_t from = page_get(buddy->map, pfn).order;

	buddy_remove(buddy, pfn);
	if (from > order)
		split(buddy, buddy_zone_of(buddy, pfn), pfn, from, order);
	buddy_insert(buddy, pfn);
	buddy_isolate(buddy, pfn);
}

void buddy_vacate(struct buddy *buddy, pfn_t pfn, order_t order)
{
	order_t from = page_get(buddy->map, pfn).order;
	uint32_t zone = buddy_zone_of(buddy, pfn);

	PAGED_CHECK(order >= PAGEBLOCK_ORDER && order <= from);
	PAGED_CHECK(buddy_type(buddy, pfn) != MIGRATE_HOLE);
	remove_from(buddy, zone, pfn, from);
	split(buddy, zone, pfn, from, order);
	/* The first pageblock says what the block is: with its type the whole is a hole. */
	convert(buddy, pfn, order, MIGRATE_HOLE);
	insert_in(buddy, zone, pfn, order);
	buddy_isolate(buddy, pfn);
}
