/* daemon/core/offline.c - frames go out of use and come back: what a resize does to one block.
 *
 * A frame that is not in use is RESERVED. Its zone has room for it, its mem_map is there, and
 * nobody can be granted it. Of each zone it is the frames from offline_from on; between two sizes
 * some of them are still somebody's, and each goes out of use in the moment it is freed (give() in
 * buddy.c), so that nothing has to look for them.
 *
 *   FREE --reserve--> RESERVED, with memory --begin--> RESERVED, ISOLATED --end--> RESERVED hole
 *    ^                        |                                                       |
 *    +-------unreserve--------+-------------------------------------------------------+
 *
 * Each arrow is one store of a word; the pageblocks' types follow the first arrow of a punch, so
 * that a crash in between leaves an ISOLATED block, which recovery punches again: memory is never
 * forgotten, and never believed to be there when it is not. Blocks merge with their like as FREE
 * ones do, in the same order of stores, or the walk over what is out of use would grow with every
 * frame that was ever freed one by one. A block with memory is punched when it has grown to a
 * pageblock. */
#include "daemon/core/buddy.h"

#include "paged/bits.h"

/* The word of a head at pfn in that state; the generation stays the frame's own. */
static struct page_word word_of(const struct buddy *buddy, pfn_t pfn, enum page_state state,
				order_t order)
{
	return (struct page_word){
		.state = state, .order = order, .gen = page_get(buddy->map, pfn).gen};
}

static bool is_listed(const struct buddy *buddy, pfn_t pfn, order_t order)
{
	return order >= PAGEBLOCK_ORDER && buddy_type(buddy, pfn) != MIGRATE_HOLE;
}

static void list(struct buddy *buddy, pfn_t pfn, order_t order)
{
	if (is_listed(buddy, pfn, order))
		page_list_push(buddy->map, &buddy->to_punch, pfn);
}

void buddy_unlist(struct buddy *buddy, pfn_t pfn)
{
	if (is_listed(buddy, pfn, page_get(buddy->map, pfn).order))
		page_list_remove(buddy->map, &buddy->to_punch, pfn);
}

/* The RESERVED head at pfn, not on to_punch, grows as far as it can. */
static void merge(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	order_t order = page_get(buddy->map, pfn).order;

	while (buddy_can_merge(buddy, zone, pfn, order, PAGE_RESERVED)) {
		pfn_t other = pfn ^ (1u << order);
		pfn_t lower = pfn < other ? pfn : other;
		pfn_t upper = lower + (1u << order);

		buddy_unlist(buddy, other);
		order++;
		page_set(buddy->map, lower, word_of(buddy, lower, PAGE_RESERVED, order));
		page_set(buddy->map, upper, word_of(buddy, upper, PAGE_TAIL, 0));
		pfn = lower;
	}
	list(buddy, pfn, order);
}

static void count_reserved(struct buddy *buddy, uint32_t zone, pfn_t pfn, int64_t frames)
{
	buddy->nr_reserved[zone] += (uint64_t)frames;
	shm_add(&buddy->zones[zone].managed, (uint64_t)-frames);
	if (frames > 0 && pfn < buddy->reserved_from[zone])
		buddy->reserved_from[zone] = pfn;
}

void buddy_reserve(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);

	PAGED_CHECK(word.state == PAGE_FREE && word.flags == 0);
	page_set(buddy->map, pfn, word_of(buddy, pfn, PAGE_RESERVED, word.order));
	count_reserved(buddy, zone, pfn, (int64_t)1 << word.order);
	merge(buddy, zone, pfn);
}

void buddy_unreserve(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);

	PAGED_CHECK(word.state == PAGE_RESERVED && word.flags == 0);
	buddy_unlist(buddy, pfn);
	page_set(buddy->map, pfn, word_of(buddy, pfn, PAGE_FREE, word.order));
	count_reserved(buddy, zone, pfn, -((int64_t)1 << word.order));
	buddy_give(buddy, pfn);
}

/* One part of a divided block, on its side of the line. */
static void place(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);
	bool online = pfn < buddy->offline_from[zone];

	if (word.state == PAGE_FREE && online)
		buddy_insert(buddy, pfn);
	else if (word.state == PAGE_FREE)
		buddy_reserve(buddy, zone, pfn);
	else
		list(buddy, pfn, word.order);
}

void buddy_divide(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);
	pfn_t line = buddy->offline_from[zone];

	PAGED_CHECK(word.flags == 0 && pfn < line && line < pfn + (1u << word.order));
	while (pfn < line && line < pfn + (1u << word.order)) {
		order_t order = --word.order;
		pfn_t upper = pfn + (1u << order);
		pfn_t done = line <= upper ? upper : pfn;

		/* As every split: the upper head is invisible until the lower one commits. */
		page_set(buddy->map, upper, word_of(buddy, upper, word.state, order));
		page_set(buddy->map, pfn, word_of(buddy, pfn, word.state, order));
		pfn = done == pfn ? upper : pfn;
		place(buddy, zone, done);
	}
	place(buddy, zone, pfn);
}

/* --- memory --------------------------------------------------------------------------------------
 */

/* As in punch.c: the count of committed frames falls before their pageblocks are holes. */
static void make_hole(struct buddy *buddy, pfn_t pfn, order_t order, uint64_t *committed)
{
	uint8_t *types = &buddy->pageblocks[pfn >> PAGEBLOCK_ORDER];
	uint32_t n_types = 1u << (order - PAGEBLOCK_ORDER);

	for (uint32_t n = 0; n < n_types; n++)
		if (types[n] != MIGRATE_HOLE)
			shm_add(committed, -(uint64_t)PAGEBLOCK_FRAMES);
	for (uint32_t n = 0; n < n_types; n++)
		types[n] = MIGRATE_HOLE;
}

void buddy_take_in_reserved(struct buddy *buddy, uint32_t zone, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);

	count_reserved(buddy, zone, pfn, (int64_t)1 << word.order);
	if (word.flags & PAGE_ISOLATED && word.order >= PAGEBLOCK_ORDER)
		page_list_push(buddy->map, &buddy->to_punch, pfn);
	else
		list(buddy, pfn, word.order);
}

bool buddy_begin_punch(struct buddy *buddy, order_t order_max, uint64_t *committed, pfn_t *ret_pfn,
		       order_t *ret_order)
{
	pfn_t pfn = buddy->to_punch;
	struct page_word word;

	if (pfn == PFN_NONE)
		return false;
	word = page_get(buddy->map, pfn);
	page_list_remove(buddy->map, &buddy->to_punch, pfn);
	for (; word.order > order_max && word.flags == 0; word.order--) {
		pfn_t upper = pfn + (1u << (word.order - 1));

		page_set(buddy->map, upper, word_of(buddy, upper, PAGE_RESERVED, word.order - 1));
		page_set(buddy->map, pfn, word_of(buddy, pfn, PAGE_RESERVED, word.order - 1));
		list(buddy, upper, word.order - 1);
	}
	word.flags = PAGE_ISOLATED;
	page_set(buddy->map, pfn, word);
	make_hole(buddy, pfn, word.order, committed);
	*ret_pfn = pfn;
	*ret_order = word.order;
	return true;
}

void buddy_end_punch(struct buddy *buddy, pfn_t pfn)
{
	struct page_word word = page_get(buddy->map, pfn);
	uint32_t zone = buddy_zone_of(buddy, pfn);

	PAGED_CHECK(word.state == PAGE_RESERVED && word.flags == PAGE_ISOLATED);
	page_set(buddy->map, pfn, word_of(buddy, pfn, PAGE_RESERVED, word.order));
	/* A walk that grew the zone meanwhile has passed over it. */
	if (pfn < buddy->reserved_from[zone])
		buddy->reserved_from[zone] = pfn;
	merge(buddy, zone, pfn);
}
