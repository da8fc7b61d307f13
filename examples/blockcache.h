/* examples/blockcache.h - a cache of blocks in shared frames that the daemon may prune. This is the
 * part to copy for a cache of your own.
 *
 * One block is one frame. A process lets its cache grow with every miss and sets no limit: when the
 * segment is full, the daemon asks the caches of all processes, through the two callbacks that are
 * registered here, and each gives up what it has not used for longest. What was pruned is simply a
 * miss the next time.
 *
 *   find --hit--> pinned block --> unpin
 *     \--miss--> take_frame --> (fill it) --> insert, pinned --> unpin
 *
 * A pinned block is in use and is not pruned. Threads: one that serves; and the library's own, in
 * which the callbacks run, so that they answer while the first is busy or waits for a frame. The
 * lock is held for a few pointers, never while a frame is allocated. */
#ifndef EXAMPLES_BLOCKCACHE_H
#define EXAMPLES_BLOCKCACHE_H
#include <pageclient/pageclient.h>

#include <stdint.h>

struct blockcache;

struct blockcache_counts {
	uint64_t held; /* blocks, now */
	uint64_t peak;
	uint64_t pruned;  /* dropped because the daemon asked */
	uint64_t dropped; /* by itself, to have a frame for a new one */
};

/* For blocks 0 to nr_blocks - 1. rebuild_ns: what a miss costs, for the daemon to weigh. The client
 * has to have its thread (pageclient_start_thread) and has to outlive the cache. 0 or -errno. */
int blockcache_open(pageclient *client, const char *name, uint32_t nr_blocks, uint64_t rebuild_ns,
		    struct blockcache **ret_cache);
/* Gives all frames back. No block is pinned. */
void blockcache_close(struct blockcache *cache);

/* The frame of a block, pinned; NULL: a miss. */
void *blockcache_find(struct blockcache *cache, uint32_t block);
/* A frame for a new block, the caller's; drops own blocks if there is no other way. NULL: there is
 * none; errno and pageclient_error() say why. */
void *blockcache_take_frame(struct blockcache *cache);
/* The block is in the cache from now on, pinned; it was not. */
void blockcache_insert(struct blockcache *cache, uint32_t block, void *frame);
void blockcache_unpin(struct blockcache *cache, uint32_t block);

struct blockcache_counts blockcache_counts(struct blockcache *cache);

#endif
