/* daemon/core/purge_range.c - purgeable frames of a range of pfns, whatever their age.
 *
 * Who wants the frames of one place (a resize, or a large block that needs a run) has no use for
 * the oldest of all. The tables are not sorted by pfn, so a pass looks at each entry once, in
 * slices, and purges what lies in the range. Nobody is taken below its min. */
#include "daemon/core/purge.h"

#include "daemon/core/victim.h"
#include "paged/bits.h"

struct pool_range pool_range_begin(pfn_t from, pfn_t to)
{
	return (struct pool_range){.from = from, .to = to, .client = 1};
}

/* Purges the entry in slot, if it is unpinned and in the range. Returns the frames that are free
 * now. */
static uint64_t try_entry(struct pool *pool, const struct pool_range *range, client_id client,
			  uint32_t slot, struct purge_batch *batch)
{
	uint64_t *at = &purge_table(pool, client)[slot], frames = 0;
	uint64_t word = shm_load(at);
	struct purge_entry entry = purge_unpack(word);
	struct purge_reference reference;

	if (entry.pins != 0 || entry.pfn < range->from || entry.pfn >= range->to ||
	    !purge_find(pool, client, entry.pfn, &reference) ||
	    !purge_take(pool, client, POOL_TIER_SPARED, at, word, &reference, batch, &frames))
		return 0;
	return frames;
}

uint64_t pool_purge_range(struct pool *pool, struct pool_range *range)
{
	struct purge_batch batch = {.n = 0};
	uint32_t left = VICTIM_SLICE;
	uint64_t frames = 0;

	while (left > 0 && !pool_range_is_done(range)) {
		client_id client = (client_id)range->client;
		uint32_t n_slots = pool->client[client].purge_slots, to;

		if (!purge_has_table(pool, client) || range->slot >= n_slots) {
			range->client++;
			range->slot = 0;
			continue;
		}
		to = (uint32_t)bits_min(n_slots, (uint64_t)range->slot + left);
		left -= to - range->slot;
		pool_add(pool, COUNTER_pgscan, to - range->slot);
		for (; range->slot < to; range->slot++)
			frames += try_entry(pool, range, client, range->slot, &batch);
	}
	purge_flush(pool, &batch);
	pool->no_run = frames ? ORDER_COUNT : pool->no_run;
	return frames;
}
