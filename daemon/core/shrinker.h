/* daemon/core/shrinker.h - the registry of shrinkers and how much each is asked to scan.
 *
 * A cache that can be rebuilt is a row of the table in META (shm_cache), so that everybody can see
 * it. The proportion is the kernel's do_shrink_slab(): the pressure on a cache follows its size,
 * halved with each step of priority, divided by the seeks that a rebuild costs; what could not be
 * scanned in time is deferred, not forgotten.
 *
 * Cost. A seek stands for half of SHRINK_COST_NS, so that the default of 2 is the reference, and a
 * cache that declares nanoseconds is weighed in the same unit as purgeable frames are. What costs
 * twice as much gives half of its size, and a cache that is a hundred times as dear as others comes
 * to its first batch some seven priorities later than they do.
 *
 * Bounds. No cache is asked for more than the caller's share of what is wanted, rounded up to one
 * batch: a run that wants little does not empty a cache because it is large, and debt from before
 * does not, either. */
#ifndef DAEMON_CORE_SHRINKER_H
#define DAEMON_CORE_SHRINKER_H
#include "daemon/core/cost.h"
#include "daemon/core/pool.h"

#define SHRINK_PRIORITY_EASY 12u  /* the kernel's DEF_PRIORITY: a 4096th of a cache */
#define SHRINK_SEEKS_DEFAULT 2u   /* the kernel's DEFAULT_SEEKS */
#define SHRINK_BATCH_DEFAULT 128u /* the kernel's SHRINK_BATCH */
#define SHRINK_CLIENT_MAX                                                                          \
	64u /* caches of one client; lower refuses programs, higher lets one fill the table */
#define SHRINK_MISSES_MAX 3u /* deadlines missed in a row before the breaker opens */
/* Of a frame at the default seeks: the reference, and what purgeable frames cost of which nobody
 * said anything. */
#define SHRINK_COST_NS COST_UNKNOWN_NS
/* Costs are weighed within these bounds. Lower or higher: who declares nonsense is asked for all
 * before others are asked at all, or never. */
#define SHRINK_COST_MIN_NS (SHRINK_COST_NS / 64)
#define SHRINK_COST_MAX_NS (SHRINK_COST_NS * 1024)

struct shrinker_options {
	client_id client;
	uint32_t id; /* the client's own, not 0 */
	uint32_t seeks, batch;
	uint64_t rebuild_ns, real_ns;
	char name[SHM_NAME_BYTES];
};

/* Takes over the table that another server left: once, before all else here. Caches of clients that
 * are not attached go, the others can be asked. */
void shrinker_recover(struct pool *pool);

/* Adds a cache; the same client and id again keeps the one there is. TABLE_FULL, OVER_SHARE: of its
 * user's clients (quota.h). *ret_index is its row. */
int shrinker_register(struct pool *pool, const struct shrinker_options *options,
		      uint32_t *ret_index);
/* The first row in use at `from` or behind it; false if there is none. All of them are visited by
 * for (i = 0; shrinker_next(pool, i, &i); i++): no row that is free is looked at. */
bool shrinker_next(const struct pool *pool, uint32_t from, uint32_t *ret_index);
/* Row of a client's cache; false if it has none of that id. */
bool shrinker_find(const struct pool *pool, client_id client, uint32_t id, uint32_t *ret_index);
void shrinker_unregister(struct pool *pool, uint32_t index);
void shrinker_unregister_all(struct pool *pool, client_id client);

/* Objects to scan of `freeable` at a priority from 12 (easy) to 0: 4 * (freeable >> priority) /
 * seeks + (deferred >> priority), at most twice freeable. seeks 0 costs nothing to rebuild: a half
 * of freeable. */
uint64_t shrinker_proportion(uint64_t freeable, uint32_t priority, uint32_t seeks,
			     uint64_t deferred);

/* What a frame of the cache costs to rebuild, within the bounds above; 0: nothing (seeks 0). */
uint64_t shrinker_cost(const struct shm_cache *cache);
/* The same proportion from a cost in ns. */
uint64_t shrinker_proportion_of_cost(uint64_t freeable, uint32_t priority, uint64_t cost_ns);
/* What n_frames of the cache weigh against those of others: what costs twice as much weighs half.
 * At most 2^44 for the largest segment. */
uint64_t shrinker_weight(uint64_t n_frames, uint64_t cost_ns);
/* Frames that so many objects of the cache stand for, and objects for so many frames, rounded down:
 * as its estimate has it. */
uint64_t shrinker_frames(const struct shm_cache *cache, uint64_t n_objects);
uint64_t shrinker_objects(const struct shm_cache *cache, uint64_t n_frames);

/* What an upcall to cache should ask for: `most` objects or one batch. A total below one batch is
 * put off: deferred grows, 0 is returned, unless the cache is smaller than a batch, or the priority
 * is 0, at which everybody is asked for something. */
uint64_t shrinker_plan(struct shm_cache *cache, uint32_t priority, uint64_t most);
/* An upcall goes out now. */
void shrinker_asked(struct shm_cache *cache, uint64_t real_ns);
/* The answer came: objects left, scanned and freed, and `asked` of them had been asked for. */
void shrinker_done(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns);
/* The same for an answer after its deadline, which stays missed: who is always late is no better
 * than who never answers. */
void shrinker_late(struct pool *pool, struct shm_cache *cache, uint64_t asked, uint64_t nr_objects,
		   uint64_t nr_scanned, uint64_t nr_freed, uint64_t latency_ns);
/* The scan said SHRINK_STOP: it could not make progress now, which is no failure. What it left is
 * deferred by shrinker_done(), and it is asked again. */
void shrinker_stopped(struct shm_cache *cache);
/* The frames that one upcall brought back are all there: its histogram. */
void shrinker_brought(struct shm_cache *cache, uint64_t nr_frames);
/* Frames that came back after it. */
void shrinker_returned(struct pool *pool, struct shm_cache *cache, uint64_t nr_frames);
/* No answer by the deadline. Opens the breaker at the third in a row: returns true then. */
bool shrinker_missed(struct shm_cache *cache, uint64_t asked, uint64_t now_ns, uint64_t breaker_ns);
/* May it be asked now? Closes a breaker whose time is over. */
bool shrinker_is_ready(struct shm_cache *cache, uint64_t now_ns);

#endif
