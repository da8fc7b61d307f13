/* daemon/core/punch.c - which free pageblocks are given back to the machine: a commit in reverse.
 *
 * Order of the stores, so that a crash at any point leaves memory that is counted, if at all, as
 * less than there is: committed_frames falls; the block is split off; its pageblocks become HOLE,
 * the first one first; then the shell punches. A committed block that is called a hole is committed
 * once more before it is used, which changes nothing. Never the other way round: a hole that is
 * called committed would be granted without memory.
 *
 * Meanwhile the block is ISOLATED, as in a commit (commit.c), and counts as a free hole. */
#include "daemon/core/pool_private.h"

#include "paged/bits.h"

/* One punch is at most so large. Lower: more jobs for the same; higher: one keeps its thread for
 * longer, at 0.2 to 0.7 ms a pageblock, and a commit that somebody waits for comes behind it. */
#define PUNCH_ORDER_MAX (PAGEBLOCK_ORDER + 4u)
/* Of the stock of committed frames, under pressure. Lower: each burst waits for a commit; higher:
 * memory is kept that somebody else is short of. */
#define SQUEEZED_STOCK PAGEBLOCK_FRAMES

void pool_squeeze(struct pool *pool, bool is_short)
{
	if (pool->commit_full)
		return;
	pool->stock = is_short ? bits_min(pool->stock_wanted, SQUEEZED_STOCK) : pool->stock_wanted;
}

static uint64_t zone_idle_pageblocks(const struct shm_zone *zone)
{
	uint64_t n = 0;

	for (order_t order = PAGEBLOCK_ORDER; order <= ORDER_MAX; order++)
		n += (uint64_t)(zone->nr_blocks[order][MIGRATE_UNMOVABLE] +
				zone->nr_blocks[order][MIGRATE_RECLAIMABLE])
		     << (order - PAGEBLOCK_ORDER);
	return n;
}

/* Committed free frames beyond the stock. */
static uint64_t surplus(const struct pool *pool)
{
	uint64_t committed = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		committed += pool->buddy.zones[z].nr_free - pool->buddy.zones[z].nr_hole;
	return committed > pool->stock ? committed - pool->stock : 0;
}

uint64_t pool_idle_pageblocks(const struct pool *pool)
{
	uint64_t n = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		n += zone_idle_pageblocks(&pool->buddy.zones[z]);
	return bits_min(n, surplus(pool) >> PAGEBLOCK_ORDER);
}

/* The largest committed free block of zone, of a pageblock at least. */
static bool find_block(const struct buddy *buddy, uint32_t zone, pfn_t *ret_pfn)
{
	for (order_t order = ORDER_COUNT; order-- > PAGEBLOCK_ORDER;)
		for (uint32_t type = MIGRATE_UNMOVABLE; type < MIGRATE_TYPES; type++)
			if (buddy->lists[zone][order][type] != PFN_NONE) {
				*ret_pfn = buddy->lists[zone][order][type];
				return true;
			}
	return false;
}

bool pool_plan_punch(struct pool *pool, uint64_t n_pageblocks, struct pool_commit *ret_commit)
{
	uint64_t most = bits_min(n_pageblocks, pool_idle_pageblocks(pool));
	struct buddy *buddy = &pool->buddy;
	pfn_t pfn;

	if (most == 0 || pool->nr_commits >= POOL_MAX_COMMITS || pool->commit_full)
		return false;
	for (uint32_t zone = buddy->nr_zones; zone-- > 0;) {
		order_t order;

		if (!find_block(buddy, zone, &pfn))
			continue;
		order = (order_t)bits_min(page_get(buddy->map, pfn).order,
					  PAGEBLOCK_ORDER + bits_log2(most));
		order = (order_t)bits_min(order, PUNCH_ORDER_MAX);
		shm_add(&pool->meta->committed_frames, -(UINT64_C(1) << order));
		buddy_vacate(buddy, pfn, order);
		pool->nr_commits++;
		*ret_commit = (struct pool_commit){POOL_COMMIT_PUNCH, pfn, order, MIGRATE_HOLE};
		return true;
	}
	return false;
}
