/* daemon/core/purge.c - frames that are taken without asking: the purge tables of all clients.
 *
 * A purge is three stores, in this order, and each may be a dead server's last (the table of
 * shm/purge.h, and tests/model/purge_steps.def):
 *
 *   entry = PURGING   by compare-exchange from the word that was judged: from here on it is gone
 *                     for the client
 *   word = FREE       one store commits, as in the sweep; or the edge ends, in its journal
 *   entry = PURGED
 *
 * Many are purged one after the other before their frames go back to the free lists, in one batch:
 * a FREE word on no list is what a dead server may leave, and recovery puts it there.
 *
 * The entry itself says what is under way, so that no journal is needed beside it: a frame is freed
 * at most once, because it is freed only while it is the client's, and nothing is granted to that
 * client before recovery has gone through its table. Which entries, and in which order, is
 * victim.c's affair. */
#include "daemon/core/purge.h"

#include "daemon/core/quota.h"
#include "daemon/core/victim.h"
#include "paged/bits.h"
#include "paged/probe.h"

void purge_open(struct pool *pool, client_id client, uint32_t nr_slots)
{
	pool->client[client].purge_slots = nr_slots;
	if (nr_slots && client > pool->last_table)
		pool->last_table = client;
}

/* Tables are memory of the daemon's. They grow by pages of so many slots, which is what is counted.
 */
#define PAGE_SLOTS 512u
/* Of all clients, for each frame of the segment. Lower: several users that each list all that they
 * may have are refused; higher: 8 bytes a slot, so that with 8 it is a 64th of the segment. */
#define SLOTS_FOR_FRAME 8u
/* The same for a small segment. Lower: many processes in it are refused; higher: 8 MiB. */
#define SLOTS_LEAST (UINT32_C(1) << 20)

static uint32_t pages_of(uint32_t nr_slots)
{
	return (uint32_t)(((uint64_t)nr_slots + PAGE_SLOTS - 1) / PAGE_SLOTS);
}

uint32_t pool_purge_slots_most(const struct pool *pool, client_id client)
{
	uint64_t all = bits_max((uint64_t)pool->nr_frames * SLOTS_FOR_FRAME, SLOTS_LEAST);
	struct quota_rule rule = {.capacity = (uint32_t)(all / PAGE_SLOTS), .alpha = 1};
	uint32_t uid = pool_meta_client(pool, client)->uid, used = 0, mine = 0, own, most;

	rule.spare = rule.capacity / 16;
	for (client_id id = 1; id <= pool->last_table; id++) {
		uint32_t n = pool->client[id].state == CLIENT_ATTACHED
				     ? pages_of(pool->client[id].purge_slots)
				     : 0;

		used += n;
		mine += pool_meta_client(pool, id)->uid == uid ? n : 0;
	}
	own = pages_of(pool->client[client].purge_slots);
	most = quota_most(&rule, used, mine) - mine + own;
	return (uint32_t)bits_max(bits_min((uint64_t)most * PAGE_SLOTS, pool->nr_frames),
				  pool->client[client].purge_slots);
}

int pool_purge_table(struct pool *pool, client_id client, uint32_t nr_slots, uint32_t *ret_nr_slots)
{
	struct pool_client *slot = &pool->client[client];

	if (!pool_client_is_attached(pool, client) || !slot->ctl)
		return POOL_NO_CLIENT;
	if (nr_slots > pool->nr_frames)
		return POOL_TABLE_FULL;
	/* Free slots first, then their number: no entry is looked at that we did not write. */
	for (uint32_t i = slot->purge_slots; i < nr_slots; i++)
		shm_store(&purge_table(pool, client)[i], PURGE_FREE_SLOT);
	if (nr_slots > slot->purge_slots) {
		shm_store32(&pool_state_client(pool, client)->record.purge_slots, nr_slots);
		purge_open(pool, client, nr_slots);
	}
	shm_store32(&pool_meta_client(pool, client)->purge_slots, slot->purge_slots);
	*ret_nr_slots = slot->purge_slots;
	return 0;
}

/* --- one entry -----------------------------------------------------------------------------------
 */

bool purge_find(const struct pool *pool, client_id client, pfn_t pfn,
		struct purge_reference *ret_reference)
{
	struct page_word word;
	uint32_t edge = EDGE_NONE;

	if (pfn >= pool->nr_frames)
		return false;
	word = pool_word(pool, pfn);
	if (word.state == PAGE_OWNED
		    ? word.owner != client
		    : word.state != PAGE_SHARED || !edge_find(pool, pfn, word.gen, client, &edge))
		return false;
	*ret_reference = (struct purge_reference){.edge = edge, .order = word.order};
	return true;
}

/* The client's reference ends. Returns the frames that are free now. */
static uint64_t end_reference(struct pool *pool, client_id client, pfn_t pfn,
			      const struct purge_reference *reference)
{
	uint64_t frames = UINT64_C(1) << reference->order;

	if (reference->edge != EDGE_NONE)
		return edge_end(pool, reference->edge, client) ? frames : 0;
	page_set(pool->buddy.map, pfn, page_free_word(pool->buddy.map, pfn, reference->order));
	quota_release_block(pool, client, pfn, reference->order);
	pool_add(pool, COUNTER_pgfree, frames);
	return frames;
}

void purge_flush(struct pool *pool, struct purge_batch *batch)
{
	buddy_give_many(&pool->buddy, batch->pfn, batch->n);
	batch->n = 0;
}

/* PURGING, the end of the reference, PURGED. false: the client was first. */
static bool purge_entry(struct pool *pool, client_id client, uint64_t *entry, uint64_t word,
			const struct purge_reference *reference, struct purge_batch *batch,
			uint64_t *ret_frames)
{
	pfn_t pfn = purge_unpack(word).pfn;

	if (!purge_begin(entry, word))
		return false;
	/* The end of an edge may merge. */
	if (reference->edge != EDGE_NONE || batch->n == PURGE_BATCH)
		purge_flush(pool, batch);
	*ret_frames = end_reference(pool, client, pfn, reference);
	purge_finish(entry, word, pool->meta->generation);
	if (reference->edge == EDGE_NONE)
		batch->pfn[batch->n++] = pfn;
	return true;
}

bool purge_take(struct pool *pool, client_id client, enum pool_tier tier, uint64_t *entry,
		uint64_t word, const struct purge_reference *reference, struct purge_batch *batch,
		uint64_t *ret_frames)
{
	struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t frames = UINT64_C(1) << reference->order;

	if (!quota_yields(pool, client, tier, frames) ||
	    !purge_entry(pool, client, entry, word, reference, batch, ret_frames))
		return false;
	cost_note_purged(pool, client, frames);
	purge_show(pool, client, bits_max(shown->nr_purgeable, 1) - 1, shown->nr_pinned);
	shm_add(&shown->nr_purged, frames);
	shm_add(&shown->nr_reclaimed, *ret_frames);
	shm_store(&shown->purged_ns, pool->real_ns);
	pool_add(pool, COUNTER_pgpurge, frames);
	PAGED_PROBE(mm_vmscan_reclaim_pages, client, *ret_frames, 1);
	return true;
}

void pool_purge_recover(struct pool *pool, client_id client)
{
	uint64_t *table = purge_table(pool, client);

	for (uint32_t i = 0; i < pool->client[client].purge_slots; i++) {
		uint64_t word = shm_load(&table[i]);
		struct purge_entry entry = purge_unpack(word);
		struct purge_reference reference;

		if (entry.pins != PURGE_PURGING)
			continue;
		/* Of a damaged map an inner word may say that it is the client's. */
		if (purge_find(pool, client, entry.pfn, &reference) &&
		    page_head(pool->buddy.map, entry.pfn) == entry.pfn) {
			(void)end_reference(pool, client, entry.pfn, &reference);
			if (reference.edge == EDGE_NONE)
				buddy_give(&pool->buddy, entry.pfn);
		}
		purge_finish(&table[i], word, pool->meta->generation);
	}
}

/* --- what can be purged --------------------------------------------------------------------------
 */

void purge_show(struct pool *pool, client_id client, uint64_t nr_purgeable, uint64_t nr_pinned)
{
	struct shm_client *shown = pool_meta_client(pool, client);

	shm_add(&pool->meta->nr_purgeable, nr_purgeable - shown->nr_purgeable);
	shm_store(&shown->nr_purgeable, nr_purgeable);
	shm_store(&shown->nr_pinned, nr_pinned);
}

void pool_set_time(struct pool *pool, uint64_t real_ns)
{
	pool->real_ns = real_ns;
}

static uint64_t purgeable_of(const struct pool *pool, client_id client)
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t charged = quota_charged(pool, client);

	if (!purge_has_table(pool, client) || charged <= shown->min)
		return 0;
	return bits_min(shown->nr_purgeable, charged - shown->min);
}

uint64_t pool_purgeable(const struct pool *pool, client_id client)
{
	uint64_t sum = 0;

	if (client != CLIENT_NONE)
		return client <= SHM_MAX_CLIENTS ? purgeable_of(pool, client) : 0;
	for (client_id id = 1; pool->meta->nr_purgeable && id <= pool->last_table; id++)
		sum += purgeable_of(pool, id);
	return sum;
}
