/* daemon/core/shrinker.c - see shrinker.h. */
#include "daemon/core/shrinker.h"

#include "paged/bits.h"
#include "shm/access.h"

#include <string.h>

#define BREAKER_MAX_NS UINT64_C(60000000000)

bool shrinker_find(struct pool *pool, client_id client, uint32_t id, uint32_t *ret_index)
{
	struct shm_cache *caches = pool_caches(pool);

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (caches[i].state != SHM_CACHE_FREE && caches[i].client == client &&
		    caches[i].id == id) {
			*ret_index = i;
			return true;
		}
	return false;
}

int shrinker_register(struct pool *pool, const struct shrinker_options *options,
		      uint32_t *ret_index)
{
	struct shm_cache *caches = pool_caches(pool);
	struct shm_client *client = pool_client(pool, options->client);
	uint32_t i = 0;

	if (shrinker_find(pool, options->client, options->id, ret_index))
		return 0;
	while (i < SHM_MAX_CACHES && caches[i].state != SHM_CACHE_FREE)
		i++;
	if (i == SHM_MAX_CACHES || client->nr_caches >= SHRINK_CLIENT_MAX)
		return POOL_TABLE_FULL;
	caches[i] =
		(struct shm_cache){.client = options->client,
				   .id = options->id,
				   .seeks = options->seeks ? options->seeks : SHRINK_SEEKS_DEFAULT,
				   .batch = options->batch ? options->batch : SHRINK_BATCH_DEFAULT,
				   .rebuild_ns = options->rebuild_ns,
				   .registered_ns = options->real_ns};
	memcpy(caches[i].name, options->name, sizeof caches[i].name);
	shm_store32(&caches[i].state, SHM_CACHE_READY);
	shm_store32(&client->nr_caches, client->nr_caches + 1);
	*ret_index = i;
	return 0;
}

void shrinker_unregister(struct pool *pool, uint32_t index)
{
	struct shm_cache *cache = &pool_caches(pool)[index];
	struct shm_client *client = pool_client(pool, cache->client);

	shm_store32(&cache->state, SHM_CACHE_FREE);
	shm_store32(&client->nr_caches, client->nr_caches - 1);
}

void shrinker_unregister_all(struct pool *pool, client_id client)
{
	struct shm_cache *caches = pool_caches(pool);

	for (uint32_t i = 0; i < SHM_MAX_CACHES && pool_client(pool, client)->nr_caches; i++)
		if (caches[i].state != SHM_CACHE_FREE && caches[i].client == client)
			shrinker_unregister(pool, i);
}

uint64_t shrinker_proportion(uint64_t freeable, uint32_t priority, uint32_t seeks,
			     uint64_t deferred)
{
	uint64_t delta = seeks ? (freeable >> priority) * 4 / seeks : freeable / 2;

	return bits_min(delta + (deferred >> priority), 2 * freeable);
}

/* n more objects are owed, in all at most twice what there is. */
static void defer(struct shm_cache *cache, uint64_t n)
{
	uint64_t most = 2 * bits_min(cache->nr_objects, UINT64_MAX / 8);

	shm_store(&cache->nr_deferred, bits_min(cache->nr_deferred + bits_min(n, most), most));
}

uint64_t shrinker_plan(struct shm_cache *cache, uint32_t priority)
{
	uint64_t freeable = bits_min(cache->nr_objects, UINT64_MAX / 8);
	uint64_t fresh = shrinker_proportion(freeable, priority, cache->seeks, 0);
	uint64_t old = cache->nr_deferred >> priority;
	uint64_t total = bits_min(fresh + old, 2 * freeable);

	if (total < cache->batch && total < freeable) {
		defer(cache, fresh);
		return 0;
	}
	/* What is asked for now is owed no longer; what is not scanned of it comes back in
	 * shrinker_done(). */
	shm_store(&cache->nr_deferred, cache->nr_deferred - old);
	return total;
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

static void take_answer(struct pool *pool, struct shm_cache *cache, uint64_t nr_objects,
			uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns)
{
	shm_store(&cache->nr_objects, nr_objects);
	shm_add(&cache->nr_scanned, nr_scanned);
	shm_add(&cache->nr_freed, nr_freed);
	shm_store(&cache->latency_ns, latency_ns);
	shm_store(&cache->latency_max_ns, bits_max(cache->latency_max_ns, latency_ns));
	estimate_frames(pool, cache);
}

void shrinker_done(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns)
{
	take_answer(pool, cache, nr_objects, nr_scanned, nr_freed, latency_ns);
	defer(cache, asked - bits_min(asked, nr_scanned));
	shm_store32(&cache->nr_missed, 0);
	shm_store32(&cache->state, SHM_CACHE_READY);
	shm_store(&cache->breaker_until_ns, 0);
}

void shrinker_late(struct pool *pool, struct shm_cache *cache, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns)
{
	take_answer(pool, cache, nr_objects, nr_scanned, nr_freed, latency_ns);
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
