/* pagectl/run.c - the largest block that a zone has, and the largest that reclaim may leave.
 *
 * The second is an estimate. A pageblock counts as one that can be had if it is a hole, wholly
 * free, or of type RECLAIMABLE, for what lies there was said to be such as can be rebuilt; but some
 * of it may be pinned, or a shrinker's to keep, and a purgeable frame in an UNMOVABLE pageblock is
 * not seen. What is known exactly is known to the daemon alone, which has the purge tables.
 *
 * The mem_map is read for committed pageblocks only: of a block that was never split it has no
 * memory, and a look would give it some. */
#include "pagectl/run.h"

#include "paged/bits.h"

#include <stdbool.h>

uint64_t run_free(const struct shm_zone *zone)
{
	for (order_t order = ORDER_COUNT; order-- > 0;)
		for (uint32_t type = 0; type < MIGRATE_TYPES; type++)
			if (zone->nr_blocks[order][type])
				return UINT64_C(1) << order;
	return 0;
}

/* Does a FREE block cover the pageblock from pfn on? Interior words may be stale, so the largest
 * block that there may be is looked for first. */
static bool is_free(const struct shm_view *view, pfn_t pfn)
{
	for (order_t order = ORDER_MAX; order >= PAGEBLOCK_ORDER; order--) {
		pfn_t head = pfn & ~((1u << order) - 1);
		struct page_word word = shm_view_word(view, head);

		if (word.order <= ORDER_MAX && pfn - head < 1u << word.order)
			return word.state == PAGE_FREE && word.order >= PAGEBLOCK_ORDER;
	}
	return false;
}

static bool can_be_had(const struct shm_view *view, uint64_t pageblock)
{
	switch (view->pageblocks[pageblock]) {
	case MIGRATE_HOLE:
	case MIGRATE_RECLAIMABLE:
		return true;
	default:
		return is_free(view, (pfn_t)(pageblock << PAGEBLOCK_ORDER));
	}
}

/* Frames of the largest aligned block in [from, to), in pageblocks. */
static uint64_t largest_in(uint64_t from, uint64_t to)
{
	for (order_t order = ORDER_MAX - PAGEBLOCK_ORDER + 1; order-- > 0;)
		if (bits_align_up(from, UINT64_C(1) << order) + (UINT64_C(1) << order) <= to)
			return UINT64_C(1) << (order + PAGEBLOCK_ORDER);
	return 0;
}

/* What a resize took out of use lies at the zone's end, as holes that nobody gets. */
static uint64_t end_in_use(const struct shm_view *view, const struct shm_zone *zone)
{
	uint64_t end = bits_min(zone->end_pfn, view->header->nr_frames);

	if (view->header->online_frames < view->header->nr_frames)
		end = bits_min(end, zone->start_pfn + zone->managed);
	return end;
}

uint64_t run_after_reclaim(const struct shm_view *view, const struct shm_zone *zone)
{
	uint64_t at = bits_align_up(zone->start_pfn, PAGEBLOCK_FRAMES) >> PAGEBLOCK_ORDER;
	uint64_t end = end_in_use(view, zone) >> PAGEBLOCK_ORDER;
	uint64_t best = run_free(zone), from = at;

	for (; at < end; at++) {
		if (can_be_had(view, at))
			continue;
		best = bits_max(best, largest_in(from, at));
		from = at + 1;
	}
	return from < end ? bits_max(best, largest_in(from, end)) : best;
}
