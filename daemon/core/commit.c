/* daemon/core/commit.c - which holes are given memory next, and what happens when they have it.
 *
 * The shell commits on its thread pool; meanwhile the block is ISOLATED, FREE but on no list, so
 * that nobody takes it or merges with it. Two ways to lose memory are closed here: the mem_map of a
 * block that was never split has no memory either, so that comes first (MAP), and a commit that
 * failed makes holes count as used until the next tick, so that requests wait for reclaim and not
 * for what is not there. */
#include "daemon/core/pool_private.h"

#include "paged/bits.h"
#include "paged/probe.h"

static bool map_is_ready(const struct pool *pool, pfn_t pfn)
{
	return pool->map_ready[pfn >> ORDER_MAX];
}

/* A run of 1 << order frames in zone that is all FREE but not one block, because only a part of it
 * is committed: finds its first hole. Walks heads: O(blocks of the zone), for orders above a
 * pageblock only. */
static bool find_hole_in_run(const struct buddy *buddy, uint32_t zone, order_t order,
			     pfn_t *ret_hole)
{
	pfn_t size = 1u << order;
	uint64_t end = buddy->zones[zone].end_pfn;

	for (uint64_t start = bits_align_up(buddy->zones[zone].start_pfn, size);
	     start + size <= end; start += size) {
		uint64_t at = start;
		pfn_t hole = PFN_NONE;

		if (page_head(buddy->map, (pfn_t)start) != start)
			continue;
		while (at < start + size) {
			struct page_word word = page_get(buddy->map, (pfn_t)at);

			if (word.state != PAGE_FREE || word.flags || word.order >= order)
				break;
			if (hole == PFN_NONE && buddy_type(buddy, (pfn_t)at) == MIGRATE_HOLE)
				hole = (pfn_t)at;
			at += 1u << word.order;
		}
		if (at >= start + size && hole != PFN_NONE) {
			*ret_hole = hole;
			return true;
		}
	}
	return false;
}

/* The hole of zone to commit for a request of order: of at least that size if there is one. */
static bool find_candidate(const struct buddy *buddy, uint32_t zone, order_t order, pfn_t *ret_pfn)
{
	if (buddy->zones[zone].nr_hole == 0)
		return false;
	if (buddy_find_hole(buddy, zone, order > PAGEBLOCK_ORDER ? order : PAGEBLOCK_ORDER,
			    ret_pfn))
		return true;
	if (order > PAGEBLOCK_ORDER)
		return find_hole_in_run(buddy, zone, order, ret_pfn);
	return buddy_find_hole(buddy, zone, 0, ret_pfn);
}

/* A part of a pageblock, at the end of a zone, is several holes: one commit is for all of them. */
static void isolate_pageblock(struct buddy *buddy, pfn_t start)
{
	uint64_t end = bits_min((uint64_t)start + PAGEBLOCK_FRAMES, buddy->nr_frames);

	for (uint64_t at = start; at < end;) {
		struct page_word word = page_get(buddy->map, (pfn_t)at);

		if (word.state == PAGE_FREE && word.flags == 0)
			buddy_isolate(buddy, (pfn_t)at);
		at += 1u << word.order;
	}
}

bool pool_plan_commit(struct pool *pool, order_t order, enum migratetype type,
		      struct pool_commit *ret_commit)
{
	order_t wanted = order > PAGEBLOCK_ORDER ? order : PAGEBLOCK_ORDER;
	struct buddy *buddy = &pool->buddy;

	if (pool->nr_commits >= POOL_MAX_COMMITS || pool->commit_failed || order > ORDER_MAX ||
	    order >= pool->no_run)
		return false;
	for (uint32_t n = 0; n < buddy->nr_zones; n++) {
		/* Where it is waited for, then in their order. */
		uint32_t zone = (pool->commit_zone + n) % buddy->nr_zones;
		pfn_t pfn;

		if (!find_candidate(buddy, zone, order, &pfn))
			continue;
		if (!map_is_ready(pool, pfn)) {
			buddy_isolate(buddy, pfn);
			*ret_commit = (struct pool_commit){
				POOL_COMMIT_MAP, pfn & ~((1u << ORDER_MAX) - 1), ORDER_MAX, type};
		} else {
			buddy_isolate_part(buddy, pfn, wanted);
			if (page_get(buddy->map, pfn).order < PAGEBLOCK_ORDER)
				isolate_pageblock(buddy, pfn & ~(PAGEBLOCK_FRAMES - 1));
			*ret_commit = (struct pool_commit){
				.kind = POOL_COMMIT_DATA,
				.pfn = pfn & ~(PAGEBLOCK_FRAMES - 1),
				.order = (order_t)bits_max(page_get(buddy->map, pfn).order,
							   PAGEBLOCK_ORDER),
				.type = type};
		}
		pool->nr_commits++;
		return true;
	}
	/* With a commit under way a run may only look as if it were none. */
	if (order > PAGEBLOCK_ORDER && pool->nr_commits == 0)
		pool->no_run = order;
	return false;
}

/* Gives the ISOLATED blocks of [pfn, end) back. */
static void release_range(struct pool *pool, pfn_t pfn, uint64_t end)
{
	uint64_t at = page_head(pool->buddy.map, pfn);

	while (at < end) {
		struct page_word word = page_get(pool->buddy.map, (pfn_t)at);
		uint64_t next = at + (1u << word.order);

		if (at >= pfn && word.state == PAGE_FREE && word.flags == PAGE_ISOLATED)
			buddy_unisolate(&pool->buddy, (pfn_t)at);
		at = next;
	}
}

/* What a punch that a crash cut short left behind is committed twice, and counted once. */
static void commit_types(struct pool *pool, const struct pool_commit *commit, uint64_t end)
{
	for (uint64_t at = commit->pfn; at < end; at += PAGEBLOCK_FRAMES) {
		if (buddy_type(&pool->buddy, (pfn_t)at) == MIGRATE_HOLE)
			shm_add(&pool->meta->committed_frames,
				bits_min(PAGEBLOCK_FRAMES, end - at));
		buddy_set_type(&pool->buddy, (pfn_t)at, commit->type);
	}
	pool_add(pool, COUNTER_pgcommit,
		 (end - commit->pfn + PAGEBLOCK_FRAMES - 1) >> PAGEBLOCK_ORDER);
}

void pool_commit_done(struct pool *pool, const struct pool_commit *commit, bool ok)
{
	uint64_t end = bits_min((uint64_t)commit->pfn + (1u << commit->order), pool->nr_frames);

	PAGED_CHECK(pool->nr_commits > 0);
	pool->nr_commits--;
	pool->no_run = ORDER_COUNT;
	if (commit->kind == POOL_COMMIT_PUNCH) {
		/* One that failed left memory behind a hole, which is no harm. */
		if (page_get(pool->buddy.map, commit->pfn).state == PAGE_RESERVED)
			resize_punch_ended(pool, commit->pfn);
		pool_add(pool, COUNTER_pgpunch, ok ? (end - commit->pfn) >> PAGEBLOCK_ORDER : 0);
	} else if (!ok) {
		pool->commit_failed = true;
		pool_add(pool, COUNTER_pgcommit_fail, 1);
	} else if (commit->kind == POOL_COMMIT_MAP) {
		pool->map_ready[commit->pfn >> ORDER_MAX] = 1;
	} else {
		commit_types(pool, commit, end);
	}
	PAGED_PROBE(mm_commit_end, commit->kind, commit->pfn, commit->order, ok);
	release_range(pool, commit->pfn, end);
	if (commit->kind == POOL_COMMIT_MAP)
		resize_map_ended(pool);
	else if (commit->kind == POOL_COMMIT_PUNCH && pool_resize_left(pool))
		resize_go_on(pool); /* the walk passed over what was ISOLATED */
}

bool pool_stock_is_low(const struct pool *pool)
{
	uint64_t committed = 0, holes = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++) {
		const struct shm_zone *zone = &pool->buddy.zones[z];

		committed += zone->nr_free - zone->nr_hole;
		holes += zone->nr_hole;
	}
	return holes > 0 && committed < pool->stock;
}

uint32_t pool_nr_commits(const struct pool *pool)
{
	return pool->nr_commits;
}
