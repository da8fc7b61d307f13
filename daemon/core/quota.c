/* daemon/core/quota.c - what a client is charged: its blocks and its edges, in frames (I8). */
#include "daemon/core/pool_private.h"

uint64_t quota_charged(const struct pool *pool, client_id client)
{
	const struct shm_client *shown = pool_meta_client(pool, client);

	return shown->nr_owned + shown->nr_shared;
}

uint64_t quota_room(const struct pool *pool, client_id client)
{
	uint64_t max = pool_meta_client(pool, client)->max;
	uint64_t charged = quota_charged(pool, client);

	return max > charged ? max - charged : 0;
}

void quota_charge_block(struct pool *pool, client_id client, pfn_t pfn, order_t order)
{
	page_list_push(pool->buddy.map, &pool->client[client].owned, pfn);
	shm_add(&pool_meta_client(pool, client)->nr_owned, UINT64_C(1) << order);
	pool_add(pool, COUNTER_nr_owned, UINT64_C(1) << order);
}

void quota_release_block(struct pool *pool, client_id client, pfn_t pfn, order_t order)
{
	page_list_remove(pool->buddy.map, &pool->client[client].owned, pfn);
	shm_add(&pool_meta_client(pool, client)->nr_owned, -(UINT64_C(1) << order));
	pool_add(pool, COUNTER_nr_owned, -(UINT64_C(1) << order));
}

void quota_charge_shared(struct pool *pool, client_id client, order_t order)
{
	shm_add(&pool_meta_client(pool, client)->nr_shared, UINT64_C(1) << order);
}

void quota_release_shared(struct pool *pool, client_id client, order_t order)
{
	shm_add(&pool_meta_client(pool, client)->nr_shared, -(UINT64_C(1) << order));
}
