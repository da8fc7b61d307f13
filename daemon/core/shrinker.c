/* daemon/core/shrinker.c - see shrinker.h. */
#include "daemon/core/shrinker.h"

#include "daemon/core/pool_private.h"
#include "daemon/core/quota.h"
#include "paged/bits.h"

#include <string.h>

#define BREAKER_MAX_NS UINT64_C(60000000000)

static_assert(SHM_MAX_CACHES % 64 == 0, "cache_used has whole words");

/* Upcalls in flight ended with the connection; caches of the dead go with them. What a client has
 * is counted again: a server that died may not have come to that. */
void shrinker_recover(struct pool *pool)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		shm_store32(&pool_meta_client(pool, id)->nr_caches, 0);
	memset(pool->cache_used, 0, sizeof pool->cache_used);
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache *cache = &pool->caches[i];
		bool is_kept = cache->state != SHM_CACHE_FREE &&
			       pool_client_is_attached(pool, cache->client);
		struct shm_client *client;

		shm_store32(&cache->state, is_kept ? SHM_CACHE_READY : SHM_CACHE_FREE);
		if (!is_kept)
			continue;
		client = pool_meta_client(pool, cache->client);
		shm_store32(&client->nr_caches, client->nr_caches + 1);
		pool->cache_used[i / 64] |= UINT64_C(1) << i % 64;
	}
}

bool shrinker_next(const struct pool *pool, uint32_t from, uint32_t *ret_index)
{
	for (uint32_t i = from / 64; i < SHM_MAX_CACHES / 64; i++) {
		uint64_t used = pool->cache_used[i];

		if (i == from / 64)
			used &= UINT64_MAX << from % 64;
		if (used == 0)
			continue;
		*ret_index = i * 64 + (uint32_t)__builtin_ctzll(used);
		return true;
	}
	return false;
}

bool shrinker_find(const struct pool *pool, client_id client, uint32_t id, uint32_t *ret_index)
{
	if (pool_meta_client(pool, client)->nr_caches == 0)
		return false;
	for (uint32_t i = 0; shrinker_next(pool, i, &i); i++)
		if (pool->caches[i].client == client && pool->caches[i].id == id) {
			*ret_index = i;
			return true;
		}
	return false;
}

/* A row for a client's cache: TABLE_FULL, OVER_SHARE. */
static int find_row(const struct pool *pool, client_id client, uint32_t *ret_index)
{
	static const struct quota_rule rule = {.capacity = SHM_MAX_CACHES, .alpha = 1, .spare = 32};
	uint32_t uid = pool_meta_client(pool, client)->uid, used = 0, mine = 0, row = 0;

	for (uint32_t i = 0; shrinker_next(pool, i, &i); i++) {
		row += i == row; /* the first that is not used */
		used++;
		mine += pool_meta_client(pool, pool->caches[i].client)->uid == uid;
	}
	if (used == SHM_MAX_CACHES ||
	    pool_meta_client(pool, client)->nr_caches >= SHRINK_CLIENT_MAX)
		return POOL_TABLE_FULL;
	if (!quota_admits(&rule, used, mine))
		return POOL_OVER_SHARE;
	*ret_index = row;
	return 0;
}

/* What the client said, in ns per frame. */
static uint64_t declared_cost(const struct shm_cache *cache)
{
	uint64_t seeks = bits_min(cache->seeks, 2 * SHRINK_COST_MAX_NS / SHRINK_COST_NS);

	return cache->rebuild_ns ? cache->rebuild_ns
				 : seeks * SHRINK_COST_NS / SHRINK_SEEKS_DEFAULT;
}

int shrinker_register(struct pool *pool, const struct shrinker_options *options,
		      uint32_t *ret_index)
{
	struct shm_cache *caches = pool->caches;
	struct shm_client *client = pool_meta_client(pool, options->client);
	uint32_t i;
	int r;

	if (shrinker_find(pool, options->client, options->id, ret_index))
		return 0;
	r = find_row(pool, options->client, &i);
	if (r)
		return r;
	caches[i] =
		(struct shm_cache){.client = options->client,
				   .id = options->id,
				   .seeks = options->seeks ? options->seeks : SHRINK_SEEKS_DEFAULT,
				   .batch = options->batch ? options->batch : SHRINK_BATCH_DEFAULT,
				   .rebuild_ns = options->rebuild_ns,
				   .registered_ns = options->real_ns};
	shm_store(&caches[i].cost_ns, declared_cost(&caches[i]));
	memcpy(caches[i].name, options->name, sizeof caches[i].name);
	shm_store32(&caches[i].state, SHM_CACHE_READY);
	shm_store32(&client->nr_caches, client->nr_caches + 1);
	pool->cache_used[i / 64] |= UINT64_C(1) << i % 64;
	*ret_index = i;
	return 0;
}

void shrinker_unregister(struct pool *pool, uint32_t index)
{
	struct shm_cache *cache = &pool->caches[index];
	struct shm_client *client = pool_meta_client(pool, cache->client);

	shm_store32(&cache->state, SHM_CACHE_FREE);
	pool->cache_used[index / 64] &= ~(UINT64_C(1) << index % 64);
	shm_store32(&client->nr_caches, client->nr_caches - 1);
}

void shrinker_unregister_all(struct pool *pool, client_id client)
{
	const struct shm_client *shown = pool_meta_client(pool, client);

	for (uint32_t i = 0; shown->nr_caches && shrinker_next(pool, i, &i); i++)
		if (pool->caches[i].client == client)
			shrinker_unregister(pool, i);
}

uint64_t shrinker_proportion(uint64_t freeable, uint32_t priority, uint32_t seeks,
			     uint64_t deferred)
{
	uint64_t delta = seeks ? (freeable >> priority) * 4 / seeks : freeable / 2;

	return bits_min(delta + (deferred >> priority), 2 * freeable);
}

uint64_t shrinker_cost(const struct shm_cache *cache)
{
	uint64_t cost = declared_cost(cache);

	return cost ? bits_clamp(cost, SHRINK_COST_MIN_NS, SHRINK_COST_MAX_NS) : 0;
}

uint64_t shrinker_proportion_of_cost(uint64_t freeable, uint32_t priority, uint64_t cost_ns)
{
	uint64_t n = bits_min(freeable, UINT64_C(1) << 48); /* times twice the reference it fits */

	if (cost_ns == 0)
		return freeable / 2;
	return bits_min((n >> priority) * 2 * SHRINK_COST_NS / cost_ns, 2 * n);
}

uint64_t shrinker_weight(uint64_t n_frames, uint64_t cost_ns)
{
	uint64_t cost = bits_clamp(cost_ns, SHRINK_COST_MIN_NS, SHRINK_COST_MAX_NS);

	return bits_min(n_frames, UINT32_MAX) * SHRINK_COST_MAX_NS / cost / 16;
}

uint64_t shrinker_frames(const struct shm_cache *cache, uint64_t n_objects)
{
	double all = (double)cache->nr_frames;
	double frames = (double)n_objects * all / (double)bits_max(cache->nr_objects, 1);

	return frames < all ? (uint64_t)frames : cache->nr_frames;
}

uint64_t shrinker_objects(const struct shm_cache *cache, uint64_t n_frames)
{
	double all = (double)cache->nr_objects;
	double objects = (double)n_frames * all / (double)bits_max(cache->nr_frames, 1);

	return objects < all ? (uint64_t)objects : cache->nr_objects;
}

/* n more objects are owed, in all at most twice what there is. */
static void defer(struct shm_cache *cache, uint64_t n)
{
	uint64_t most = 2 * bits_min(cache->nr_objects, UINT64_MAX / 8);

	shm_store(&cache->nr_deferred, bits_min(cache->nr_deferred + bits_min(n, most), most));
}

uint64_t shrinker_plan(struct shm_cache *cache, uint32_t priority, uint64_t most)
{
	uint64_t freeable = bits_min(cache->nr_objects, UINT64_MAX / 8);
	uint64_t fresh = shrinker_proportion_of_cost(freeable, priority, shrinker_cost(cache));
	uint64_t old = cache->nr_deferred >> priority;
	uint64_t total = bits_min(fresh + old, 2 * freeable);

	if (priority == 0)
		total = bits_max(total, bits_min(cache->batch, freeable));
	if (total == 0 || (priority && total < cache->batch && total < freeable)) {
		defer(cache, fresh);
		return 0;
	}
	total = bits_min(total, bits_max(most, cache->batch));
	/* What is asked for now is owed no longer; what is not scanned of it comes back in
	 * shrinker_done(). */
	shm_store(&cache->nr_deferred, cache->nr_deferred - bits_min(old, total));
	return total;
}

/* Counts n in its bucket. */
static void histogram_add(struct shm_histogram *histogram, uint64_t n)
{
	uint32_t bucket = n > 1 ? bits_log2(n) : 0;

	bucket = (uint32_t)bits_min(bucket, SHM_HISTOGRAM_BUCKETS - 1);
	shm_store32(&histogram->n[bucket], histogram->n[bucket] + 1);
}

void shrinker_asked(struct shm_cache *cache, uint64_t real_ns)
{
	shm_store32(&cache->state, SHM_CACHE_BUSY);
	shm_add(&cache->nr_upcalls, 1);
	shm_store(&cache->asked_ns, real_ns);
}

void shrinker_stopped(struct shm_cache *cache)
{
	shm_add(&cache->nr_stopped, 1);
}

void shrinker_brought(struct shm_cache *cache, uint64_t nr_frames)
{
	histogram_add(&cache->freed, nr_frames);
}

/* Frames that the objects left stand for: as many each as came back for each freed so far, 1 until
 * one did. Never more than the client has: what came back may have been more than the scan's. */
static void estimate_frames(struct pool *pool, struct shm_cache *cache)
{
	uint64_t owned = pool_client(pool, cache->client)->nr_owned;
	double frames = (double)cache->nr_objects;

	if (cache->nr_freed && cache->nr_returned)
		frames *= (double)cache->nr_returned / (double)cache->nr_freed;
	shm_store(&cache->nr_frames, frames < (double)owned ? (uint64_t)frames : owned);
}

/* asked: objects; 0 if it was only counted. */
static void take_answer(struct pool *pool, struct shm_cache *cache, uint64_t asked,
			uint64_t nr_objects, uint64_t nr_scanned, uint64_t nr_freed,
			uint64_t latency_ns)
{
	shm_store(&cache->nr_objects, nr_objects);
	shm_add(&cache->nr_scanned, nr_scanned);
	shm_add(&cache->nr_freed, nr_freed);
	shm_store(&cache->latency_ns, latency_ns);
	shm_store(&cache->latency_max_ns, bits_max(cache->latency_max_ns, latency_ns));
	histogram_add(&cache->latency_us, latency_ns / 1000);
	if (asked)
		histogram_add(&cache->scanned, nr_scanned);
	estimate_frames(pool, cache);
}

void shrinker_done(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns)
{
	take_answer(pool, cache, asked, nr_objects, nr_scanned, nr_freed, latency_ns);
	defer(cache, asked - bits_min(asked, nr_scanned));
	shm_store32(&cache->nr_missed, 0);
	shm_store32(&cache->state, SHM_CACHE_READY);
	shm_store(&cache->breaker_until_ns, 0);
}

void shrinker_late(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns)
{
	take_answer(pool, cache, asked, nr_objects, nr_scanned, nr_freed, latency_ns);
	/* All that was asked for was deferred when the deadline passed. */
	shm_store(&cache->nr_deferred,
		  cache->nr_deferred - bits_min(cache->nr_deferred, nr_scanned));
}

void shrinker_returned(struct pool *pool, struct shm_cache *cache, uint64_t nr_frames)
{
	shm_add(&cache->nr_returned, nr_frames);
	estimate_frames(pool, cache);
}

bool shrinker_missed(struct shm_cache *cache, uint64_t asked, uint64_t now_ns, uint64_t breaker_ns)
{
	uint32_t over;

	shm_store32(&cache->nr_missed, cache->nr_missed + 1);
	shm_add(&cache->nr_timeouts, 1);
	defer(cache, asked);
	if (cache->nr_missed < SHRINK_MISSES_MAX) {
		shm_store32(&cache->state, SHM_CACHE_READY);
		return false;
	}
	over = (uint32_t)bits_min(cache->nr_missed - SHRINK_MISSES_MAX, 16);
	shm_store(&cache->breaker_until_ns, now_ns + bits_min(breaker_ns << over, BREAKER_MAX_NS));
	shm_store32(&cache->state, SHM_CACHE_OPEN);
	return true;
}

bool shrinker_is_ready(struct shm_cache *cache, uint64_t now_ns)
{
	if (cache->state == SHM_CACHE_OPEN && now_ns >= cache->breaker_until_ns)
		shm_store32(&cache->state, SHM_CACHE_READY);
	return cache->state == SHM_CACHE_READY;
}
