/* daemon/core/shrinker.h - the registry of shrinkers and how much each is asked to scan.
 *
 * A cache that can be rebuilt is a row of the table in META (shm_cache), so that everybody can see
 * it. The proportion is the kernel's do_shrink_slab(): the pressure on a cache follows its size,
 * halved with each step of priority, divided by the seeks that a rebuild costs; what could not be
 * scanned in time is deferred, not forgotten. */
#ifndef DAEMON_CORE_SHRINKER_H
#define DAEMON_CORE_SHRINKER_H
#include "daemon/core/pool.h"

#define SHRINK_PRIORITY_EASY 12u  /* the kernel's DEF_PRIORITY: a 4096th of a cache */
#define SHRINK_SEEKS_DEFAULT 2u   /* the kernel's DEFAULT_SEEKS */
#define SHRINK_BATCH_DEFAULT 128u /* the kernel's SHRINK_BATCH */
#define SHRINK_CLIENT_MAX                                                                          \
	64u /* caches of one client; lower refuses programs, higher lets one fill the table */
#define SHRINK_MISSES_MAX 3u /* deadlines missed in a row before the breaker opens */

struct shrinker_options {
	client_id client;
	uint32_t id; /* the client's own, not 0 */
	uint32_t seeks, batch;
	uint64_t rebuild_ns, real_ns;
	char name[SHM_NAME_BYTES];
};

/* Adds a cache; the same client and id again keeps the one there is. TABLE_FULL. *ret_index is its
 * row. */
int shrinker_register(struct pool *pool, const struct shrinker_options *options,
		      uint32_t *ret_index);
/* Row of a client's cache; false if it has none of that id. */
bool shrinker_find(struct pool *pool, client_id client, uint32_t id, uint32_t *ret_index);
void shrinker_unregister(struct pool *pool, uint32_t index);
void shrinker_unregister_all(struct pool *pool, client_id client);

/* Objects to scan of `freeable` at a priority from 12 (easy) to 0: 4 * (freeable >> priority) /
 * seeks + (deferred >> priority), at most twice freeable. seeks 0 costs nothing to rebuild: a half
 * of freeable. */
uint64_t shrinker_proportion(uint64_t freeable, uint32_t priority, uint32_t seeks,
			     uint64_t deferred);

/* What an upcall to cache should ask for. A total below one batch is put off: deferred grows, 0 is
 * returned, unless the cache is smaller than a batch. */
uint64_t shrinker_plan(struct shm_cache *cache, uint32_t priority);
/* The answer came: objects left, scanned and freed, and `asked` of them had been asked for. */
void shrinker_done(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns);
/* The same for an answer after its deadline, which stays missed: who is always late is no better
 * than who never answers. */
void shrinker_late(struct pool *pool, struct shm_cache *cache, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns);
/* Frames that came back after it. */
void shrinker_returned(struct pool *pool, struct shm_cache *cache, uint64_t nr_frames);
/* No answer by the deadline. Opens the breaker at the third in a row: returns true then. */
bool shrinker_missed(struct shm_cache *cache, uint64_t asked, uint64_t now_ns, uint64_t breaker_ns);
/* May it be asked now? Closes a breaker whose time is over. */
bool shrinker_is_ready(struct shm_cache *cache, uint64_t now_ns);

#endif
