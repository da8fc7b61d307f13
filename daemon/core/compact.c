/* daemon/core/compact.c - a large block where there are free frames enough, but no run of them.
 *
 * Nothing can be moved: clients hold addresses. But purgeable frames can be taken, and free frames
 * are free already; so a run is emptied that holds nothing else, and of those the one that is
 * cheapest to rebuild. Magazines were drained before by the request's own reclaim.
 *
 *   COUNT   a pass over the purge tables: unpinned frames, and what they cost, of each run
 *   CHOOSE  a walk over the heads: the cheapest run in which all that is not free was counted
 *   PURGE   a pass over the purge tables for what lies in that run (purge_range.c)
 *
 * Each goes on in slices. Between two of them everything may change: what comes of it is seen when
 * the run is looked at again, and a failure is a counter and another try later. There are tables
 * for COMPACT_RUNS runs; in a larger segment the next try looks at the next so many, and nobody is
 * told that there is no hope before as many tries as that takes. */
#include "daemon/core/purge.h"

#include "daemon/core/victim.h"
#include "paged/bits.h"
#include "paged/probe.h"

#include <string.h>

#define WALK_SLICE 8192u /* heads: lower: more steps; higher: others wait longer than 0.3 ms */

static pfn_t window_end(const struct pool *pool)
{
	const struct compact *compact = &pool->compact;
	uint64_t end = compact->from + ((uint64_t)pool->compact_runs << compact->order);

	return (pfn_t)bits_min(end, pool->nr_frames);
}

uint32_t pool_compact_tries(const struct pool *pool, order_t order)
{
	uint64_t window = (uint64_t)pool->compact_runs << order;

	return (uint32_t)((pool->nr_frames + window - 1) / window);
}

bool pool_compact_is_through(const struct pool *pool)
{
	return pool->compact.next >= pool->nr_frames;
}

void pool_compact_begin(struct pool *pool, order_t order)
{
	struct compact *compact = &pool->compact;
	pfn_t from = compact->next < pool->nr_frames ? compact->next : 0;

	*compact = (struct compact){
		.phase = COMPACT_COUNT, .order = order, .best = PFN_NONE, .best_cost = UINT64_MAX};
	compact->from = from & ~((1u << order) - 1);
	compact->at = compact->from;
	compact->range = pool_range_begin(compact->from, window_end(pool));
	memset(pool->compact_run, 0, sizeof pool->compact_run);
	pool_add(pool, COUNTER_compact_stall, 1);
	PAGED_PROBE(mm_compaction_begin, order);
}

/* Sums of these tell whether the frames that were counted are those that lie there: a table may
 * name one frame twice. Who finds another set with the same sum wins one try in vain. */
static uint32_t mark_of(pfn_t pfn)
{
	uint32_t mark = pfn * UINT32_C(2654435761);

	mark = (mark ^ mark >> 15) * UINT32_C(2246822519);
	return mark ^ mark >> 13;
}

/* --- COUNT ---------------------------------------------------------------------------------------
 */

/* Who is over its share pays first, here by weight: of a run that many have frames in, each counts
 * as what it is. Lower: who is spared gives what others have a little more of; higher: dear frames
 * of the one tier go before cheap ones of the next. A block of order 18 at the highest cost fits.
 */
#define TIER_FACTOR 16u
static_assert((UINT64_C(1) << ORDER_MAX) * COST_MAX_NS < UINT64_MAX / (TIER_FACTOR * TIER_FACTOR),
	      "overflow");

static uint64_t cost_in_tier(const struct pool *pool, client_id client)
{
	uint64_t cost = pool->client[client].cost.in_force_ns;

	for (uint32_t t = POOL_TIER_OVER; t < (uint32_t)pool_client_tier(pool, client); t++)
		cost *= TIER_FACTOR;
	return cost;
}

static void count_entry(struct pool *pool, client_id client, uint64_t word)
{
	const struct compact *compact = &pool->compact;
	struct purge_entry entry = purge_unpack(word);
	struct purge_reference reference;
	struct compact_run *run;
	uint64_t frames;

	if (entry.pins != 0 || entry.pfn < compact->range.from || entry.pfn >= compact->range.to ||
	    !purge_find(pool, client, entry.pfn, &reference) || reference.order > compact->order)
		return;
	run = &pool->compact_run[(entry.pfn - compact->from) >> compact->order];
	if (run->client != client)
		run->n_of_it = 0;
	run->client = client;
	/* Of a shared block others may have references that nobody can take. And all that the run
	 * has of the client is to go: where that is more than it has above its min, none of it
	 * goes. */
	frames = UINT64_C(1) << reference.order;
	if (reference.edge != EDGE_NONE ||
	    !quota_yields(pool, client, POOL_TIER_SPARED, run->n_of_it + frames))
		return;
	pool->compact.has_counted = true;
	run->n_of_it += (uint32_t)frames;
	run->n_frames += (uint32_t)frames;
	run->marks += mark_of(entry.pfn);
	run->cost_ns += frames * cost_in_tier(pool, client);
}

static void count_slice(struct pool *pool)
{
	struct compact *compact = &pool->compact;
	struct pool_range *range = &compact->range;

	for (uint32_t left = VICTIM_SLICE; left > 0 && !pool_range_is_done(range);) {
		client_id client = (client_id)range->client;

		if (!purge_has_table(pool, client) ||
		    range->slot >= pool->client[client].purge_slots) {
			range->client++;
			range->slot = 0;
			continue;
		}
		count_entry(pool, client, shm_load(&purge_table(pool, client)[range->slot++]));
		left--;
	}
	if (!pool_range_is_done(range))
		return;
	compact->phase = COMPACT_CHOOSE;
	if (!compact->has_counted)
		compact->at = window_end(pool); /* no run of it can be emptied: no walk */
}

/* --- CHOOSE --------------------------------------------------------------------------------------
 */

/* The run that ends where the walk is now has been seen from its first frame on. */
static void judge_run(struct pool *pool, pfn_t run_start)
{
	struct compact *compact = &pool->compact;
	const struct compact_run *run =
		&pool->compact_run[(run_start - compact->from) >> compact->order];
	uint32_t zone = buddy_zone_of(&pool->buddy, run_start);
	uint64_t size = UINT64_C(1) << compact->order;

	if (run->n_frames == 0 || compact->n_free + run->n_frames != size ||
	    run->marks != compact->marks || run_start < pool->buddy.zones[zone].start_pfn ||
	    run_start + size > pool->buddy.offline_from[zone] || run->cost_ns >= compact->best_cost)
		return;
	compact->best = run_start;
	compact->best_cost = run->cost_ns;
}

static void choose_slice(struct pool *pool)
{
	struct compact *compact = &pool->compact;
	pfn_t mask = (1u << compact->order) - 1, end = window_end(pool);
	pfn_t head = compact->at < end ? page_head(pool->buddy.map, compact->at) : end;

	for (uint32_t n = 0; n < WALK_SLICE && compact->at < end; n++) {
		struct page_word word = page_get(pool->buddy.map, head);
		uint64_t next = (uint64_t)head + (1u << word.order);

		/* It was merged since the last slice: the run is one block, or not what was seen.
		 */
		if (head != compact->at)
			compact->n_free = 0;
		else if (word.state == PAGE_FREE && word.flags == 0 && word.order < compact->order)
			compact->n_free += 1u << word.order;
		else
			compact->marks += mark_of(head);
		compact->at = head = (pfn_t)bits_min(next, end);
		if ((compact->at & mask) != 0)
			continue;
		if (word.order < compact->order)
			judge_run(pool, (pfn_t)(compact->at - mask - 1));
		compact->n_free = compact->marks = 0;
	}
	if (compact->at < end)
		return;
	compact->next = end;
	compact->phase = compact->best == PFN_NONE ? COMPACT_IDLE : COMPACT_PURGE;
	compact->range = pool_range_begin(compact->best,
					  compact->best + (pfn_t)(UINT64_C(1) << compact->order));
	if (compact->best == PFN_NONE) {
		pool_add(pool, COUNTER_compact_fail, 1);
		PAGED_PROBE(mm_compaction_end, compact->order, 0);
	}
}

/* --- PURGE ---------------------------------------------------------------------------------------
 */

/* Looked at after each slice: before the next one who waits has taken the block. */
static bool is_whole(const struct pool *pool)
{
	const struct compact *compact = &pool->compact;
	struct page_word word =
		page_get(pool->buddy.map, page_head(pool->buddy.map, compact->best));

	return word.state == PAGE_FREE && word.order >= compact->order;
}

static void purge_slice(struct pool *pool)
{
	struct compact *compact = &pool->compact;

	compact->n_purged += pool_purge_range(pool, &compact->range);
	compact->success = is_whole(pool);
	if (!compact->success && !pool_range_is_done(&compact->range))
		return;
	compact->phase = COMPACT_IDLE;
	pool_add(pool, compact->success ? COUNTER_compact_success : COUNTER_compact_fail, 1);
	PAGED_PROBE(mm_compaction_end, compact->order, compact->success);
}

bool pool_compact_step(struct pool *pool, uint64_t *ret_purged)
{
	struct compact *compact = &pool->compact;

	switch (compact->phase) {
	case COMPACT_COUNT:
		count_slice(pool);
		break;
	case COMPACT_CHOOSE:
		choose_slice(pool);
		break;
	case COMPACT_PURGE:
		purge_slice(pool);
		break;
	case COMPACT_IDLE:
		break;
	}
	*ret_purged = compact->n_purged;
	return compact->phase != COMPACT_IDLE;
}
