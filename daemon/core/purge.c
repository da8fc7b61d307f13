/* daemon/core/purge.c - frames that are taken without asking: the purge tables of all clients. */
#include "daemon/core/pool_private.h"

#include "shm/purge.h"

static uint64_t *table_of(const struct pool *pool, client_id client)
{
	const struct pool_client *slot = &pool->client[client];

	return (uint64_t *)(void *)(slot->ctl + shm_ctl_table_offset(slot->max_threads));
}

int pool_purge_table(struct pool *pool, client_id client, uint32_t nr_slots, uint32_t *ret_nr_slots)
{
	struct shm_record *record = &pool_state_client(pool, client)->record;

	if (!pool_client_is_attached(pool, client) || !pool->client[client].ctl)
		return POOL_NO_CLIENT;
	if (nr_slots > pool->nr_frames)
		return POOL_TABLE_FULL;
	/* Free slots first, then their number: no entry is looked at that we did not write. */
	for (uint32_t i = record->purge_slots; i < nr_slots; i++)
		shm_store(&table_of(pool, client)[i], PURGE_FREE_SLOT);
	if (nr_slots > record->purge_slots)
		shm_store32(&record->purge_slots, nr_slots);
	shm_store32(&pool_meta_client(pool, client)->purge_slots, record->purge_slots);
	*ret_nr_slots = record->purge_slots;
	return 0;
}
