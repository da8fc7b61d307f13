/* daemon/core/purge.h - one entry of a purge table, for victim.c, cost.c and recovery. */
#ifndef DAEMON_CORE_PURGE_H
#define DAEMON_CORE_PURGE_H
#include "daemon/core/pool_private.h"
#include "shm/purge.h"

/* Has the client a table that may be looked at? Any number from 1 to SHM_MAX_CLIENTS. */
static inline bool purge_has_table(const struct pool *pool, client_id client)
{
	const struct pool_client *slot = &pool->client[client];

	return slot->state == CLIENT_ATTACHED && slot->ctl && slot->purge_slots > 0;
}

/* What the client tells about its frames. */
static inline const struct shm_purge_header *purge_header(const struct pool *pool, client_id client)
{
	const struct pool_client *slot = &pool->client[client];

	return (const struct shm_purge_header *)(const void *)(slot->ctl +
							       shm_ctl_purge_offset(
								       slot->max_threads));
}

/* The entry of slot 0. */
static inline uint64_t *purge_table(const struct pool *pool, client_id client)
{
	const struct pool_client *slot = &pool->client[client];

	return (uint64_t *)(void *)(slot->ctl + shm_ctl_table_offset(slot->max_threads));
}

/* The client has a table of so many slots, from now on. */
void purge_open(struct pool *pool, client_id client, uint32_t nr_slots);

/* The client's reference of pfn, a number from its table. */
struct purge_reference {
	uint32_t edge; /* EDGE_NONE: it owns the block */
	order_t order;
};
/* false: it has none. */
bool purge_find(const struct pool *pool, client_id client, pfn_t pfn,
		struct purge_reference *ret_reference);

/* Frames that were purged and are FREE, on no list yet. Until purge_flush() nothing else may be
 * given to the free lists or taken from them. */
#define PURGE_BATCH 64u /* lower: fewer rows that need no merge; higher: 4 bytes each */
struct purge_batch {
	uint32_t n;
	pfn_t pfn[PURGE_BATCH];
};
/* They go on the lists, and the batch is empty. */
void purge_flush(struct pool *pool, struct purge_batch *batch);

/* Purges the entry, which was word, with pins 0, when read, if reclaim that has come to this tier
 * may take it: PURGING, the reference ends, PURGED, and all that is counted for it. false: it may
 * not, or the client was first. *ret_frames: what is free now, 0 if others refer to the block, too.
 */
bool purge_take(struct pool *pool, client_id client, enum pool_tier tier, uint64_t *entry,
		uint64_t word, const struct purge_reference *reference, struct purge_batch *batch,
		uint64_t *ret_frames);

/* What META shows of the client's table becomes this; the sum over all clients follows. */
void purge_show(struct pool *pool, client_id client, uint64_t nr_purgeable, uint64_t nr_pinned);

#endif
