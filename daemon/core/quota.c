/* daemon/core/quota.c - what a client is charged: its blocks and its edges, in frames (I8); what
 * a holder may take of a table (quota.h); and who pays first when there are too few frames.
 *
 * Limits and weights are numbers in META; where a client stands follows from them and from what it
 * is charged now, and is kept nowhere. Without limits and weights all are NORMAL: one pool, and
 * only age and cost count, so that nothing lies idle for a share that nobody uses. */
#include "daemon/core/quota.h"

#include "daemon/core/pool_private.h"
#include "paged/bits.h"

#include <string.h>

bool quota_admits(const struct quota_rule *rule, uint32_t used, uint32_t mine)
{
	uint32_t free = used < rule->capacity ? rule->capacity - used : 0;

	if (mine == 0)
		return free > 0;
	return free > rule->spare && mine < (uint64_t)rule->alpha * (free - rule->spare);
}

/* One more is admitted while mine < alpha * (left - mine), where left is what others leave. */
uint32_t quota_most(const struct quota_rule *rule, uint32_t used, uint32_t mine)
{
	uint64_t kept = (uint64_t)(used - mine) + rule->spare;
	uint64_t left = kept < rule->capacity ? rule->capacity - kept : 0;
	uint64_t most = (rule->alpha * left + rule->alpha) / (UINT64_C(1) + rule->alpha);

	most = bits_max(most, mine);
	return most ? (uint32_t)most : quota_admits(rule, used, mine);
}

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

static void charge(struct pool *pool, client_id client, uint64_t n_frames)
{
	shm_add(&pool_meta_client(pool, client)->nr_owned, n_frames);
	pool_add(pool, COUNTER_nr_owned, n_frames);
}

void quota_charge_block(struct pool *pool, client_id client, pfn_t pfn, order_t order)
{
	quota_charge_blocks(pool, client, &pfn, 1, order);
}

/* Links are derived, so a row of them is written as it comes and joined to the list in the end. */
void quota_charge_blocks(struct pool *pool, client_id client, const pfn_t *pfn, uint32_t n,
			 order_t order)
{
	struct shm_page *map = pool->buddy.map;
	pfn_t *first = &pool->client[client].owned;
	pfn_t next = *first;

	for (uint32_t i = n; i-- > 0;) {
		map[pfn[i]].next = next;
		if (next != PFN_NONE)
			map[next].prev = pfn[i];
		next = pfn[i];
	}
	if (n > 0)
		map[next].prev = PFN_NONE;
	*first = next;
	charge(pool, client, (uint64_t)n << order);
}

void quota_release_block(struct pool *pool, client_id client, pfn_t pfn, order_t order)
{
	quota_release_blocks(pool, client, &pfn, 1, order);
}

void quota_release_blocks(struct pool *pool, client_id client, const pfn_t *pfn, uint32_t n,
			  order_t order)
{
	for (uint32_t i = 0; i < n; i++)
		page_list_remove(pool->buddy.map, &pool->client[client].owned, pfn[i]);
	charge(pool, client, -((uint64_t)n << order));
}

void quota_release_frames(struct pool *pool, client_id client, uint64_t n_frames)
{
	charge(pool, client, -n_frames);
}

void quota_charge_shared(struct pool *pool, client_id client, order_t order)
{
	shm_add(&pool_meta_client(pool, client)->nr_shared, UINT64_C(1) << order);
}

void quota_release_shared(struct pool *pool, client_id client, order_t order)
{
	shm_add(&pool_meta_client(pool, client)->nr_shared, -(UINT64_C(1) << order));
}

/* --- fairness ------------------------------------------------------------------------------------
 */

void quota_sum_weights(struct pool *pool)
{
	pool->weights = 0;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool->client[id].state == CLIENT_ATTACHED)
			pool->weights += pool_meta_client(pool, id)->weight;
}

/* Above this a client is OVER: its high, and its share if it has a weight. UINT64_MAX: never. */
static uint64_t high_of(const struct pool *pool, const struct shm_client *shown)
{
	uint64_t high = shown->high < pool->nr_managed ? shown->high : UINT64_MAX;

	if (shown->weight && pool->weights)
		high = bits_min(high, pool->nr_managed * shown->weight / pool->weights);
	return high;
}

enum pool_tier pool_client_tier(const struct pool *pool, client_id client)
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t charged = quota_charged(pool, client);

	if (charged <= shown->min)
		return POOL_TIER_PROTECTED;
	if (charged > high_of(pool, shown))
		return POOL_TIER_OVER;
	return charged <= shown->low ? POOL_TIER_SPARED : POOL_TIER_NORMAL;
}

uint64_t pool_client_excess(const struct pool *pool, client_id client)
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t charged = quota_charged(pool, client), floor = shown->min;

	switch (pool_client_tier(pool, client)) {
	case POOL_TIER_OVER:
		return charged - bits_max(high_of(pool, shown), floor);
	case POOL_TIER_NORMAL:
		floor = bits_max(shown->low, floor);
		break;
	case POOL_TIER_SPARED:
		break;
	case POOL_TIER_PROTECTED:
		return 0;
	}
	return floor ? charged - floor : UINT64_MAX;
}

bool quota_yields(const struct pool *pool, client_id client, enum pool_tier tier, uint64_t n_frames)
{
	return pool_client_tier(pool, client) <= tier &&
	       quota_charged(pool, client) >= pool_meta_client(pool, client)->min + n_frames;
}

/* The value first, then the bit that makes it count: a crash between them leaves what was, or a
 * number that is one of the two. */
void pool_client_override(struct pool *pool, client_id client, uint32_t bit, const uint64_t *value)
{
	struct shm_record *record = &pool_state_client(pool, client)->record;

	if (!value) {
		shm_store32(&record->set, record->set & ~bit);
		return;
	}
	if (bit == SHM_SET_MIN)
		shm_store(&record->set_min, *value);
	else if (bit == SHM_SET_LOW)
		shm_store(&record->set_low, *value);
	else if (bit == SHM_SET_HIGH)
		shm_store(&record->set_high, *value);
	else if (bit == SHM_SET_MAX)
		shm_store(&record->set_max, *value);
	else if (bit == SHM_SET_WEIGHT)
		shm_store32(&record->set_weight, (uint32_t)*value);
	shm_store32(&record->set, record->set | bit);
}

void pool_client_set_limits(struct pool *pool, client_id client, const struct pool_limits *limits)
{
	struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t all = pool->nr_managed;

	shm_store(&shown->min, bits_min(limits->min, all));
	shm_store(&shown->low, bits_min(limits->low, all));
	shm_store(&shown->high, limits->high ? bits_min(limits->high, all) : all);
	pool_client_set_max(pool, client, limits->max);
	shm_store32(&shown->weight, limits->weight);
	memcpy(shown->limits_from, limits->from, sizeof shown->limits_from);
	quota_sum_weights(pool);
}
