/* examples/blockcache.c - see blockcache.h: an array of entries by block, and a list of those that
 * hold a frame, in the order of their last use. */
#include "examples/blockcache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* Blocks dropped at once, by us or by a scan. Lower: a call for each few frames. Higher: the lock
 * is held longer. */
#define DROP_MAX 128u

struct entry {
	void *frame; /* NULL: not cached */
	uint32_t newer, older;
	uint32_t pins;
};

struct blockcache {
	pageclient *client;
	pageclient_cache *registration;
	pthread_mutex_t lock; /* for all below */
	uint32_t newest, oldest;
	struct blockcache_counts counts;
	struct entry *entries; /* by block */
};

static void list_add(struct blockcache *cache, uint32_t block)
{
	struct entry *entry = &cache->entries[block];

	entry->newer = NONE;
	entry->older = cache->newest;
	if (cache->newest != NONE)
		cache->entries[cache->newest].newer = block;
	else
		cache->oldest = block;
	cache->newest = block;
}

static void list_remove(struct blockcache *cache, uint32_t block)
{
	const struct entry *entry = &cache->entries[block];

	if (entry->newer != NONE)
		cache->entries[entry->newer].older = entry->older;
	else
		cache->newest = entry->older;
	if (entry->older != NONE)
		cache->entries[entry->older].newer = entry->newer;
	else
		cache->oldest = entry->newer;
}

/* Drops up to n blocks, the oldest first, and gives their frames back at once. Returns how many. */
static uint32_t drop_oldest(struct blockcache *cache, uint32_t n, uint64_t *counter)
{
	void *frames[DROP_MAX];
	uint32_t dropped = 0, next;

	(void)pthread_mutex_lock(&cache->lock);
	for (uint32_t block = cache->oldest; block != NONE && dropped < n && dropped < DROP_MAX;
	     block = next) {
		struct entry *entry = &cache->entries[block];

		next = entry->newer;
		if (entry->pins > 0)
			continue;
		list_remove(cache, block);
		frames[dropped++] = entry->frame;
		entry->frame = NULL;
	}
	cache->counts.held -= dropped;
	*counter += dropped;
	(void)pthread_mutex_unlock(&cache->lock);
	pageclient_free_bulk(cache->client, 0, 0, frames, dropped);
	return dropped;
}

/* --- the two callbacks --- */

/* How many blocks could be dropped now? */
static uint64_t on_count(void *arg)
{
	uint64_t held = blockcache_counts(arg).held;

	return held ? held : PAGECLIENT_SHRINK_EMPTY;
}

/* Look at nr_to_scan of them, and stop when nr_frames have come together. */
static int on_scan(void *arg, struct pageclient_scan *scan)
{
	struct blockcache *cache = arg;
	uint64_t wanted = scan->nr_to_scan < scan->nr_frames ? scan->nr_to_scan : scan->nr_frames;

	scan->nr_freed = drop_oldest(cache, wanted < DROP_MAX ? (uint32_t)wanted : DROP_MAX,
				     &cache->counts.pruned);
	scan->nr_scanned = scan->nr_freed;
	return 0;
}

/* --- the serving thread --- */

void *blockcache_find(struct blockcache *cache, uint32_t block)
{
	struct entry *entry = &cache->entries[block];
	void *frame;

	(void)pthread_mutex_lock(&cache->lock);
	frame = entry->frame;
	if (frame) {
		list_remove(cache, block);
		list_add(cache, block);
		entry->pins++;
	}
	(void)pthread_mutex_unlock(&cache->lock);
	return frame;
}

/* The first line is nearly always all of it: a frame from the magazine, without a system call. If
 * the magazine is empty the daemon refills it, and prunes other processes if it has to. EAGAIN says
 * that only our own cache could help now, ENOMEM that pruning brought nothing in time: then what
 * we have not used for longest makes room for what is wanted now. */
void *blockcache_take_frame(struct blockcache *cache)
{
	void *frame = pageclient_alloc(cache->client, 0, 0);

	while (!frame && (errno == EAGAIN || errno == ENOMEM) &&
	       drop_oldest(cache, DROP_MAX, &cache->counts.dropped) > 0)
		frame = pageclient_alloc(cache->client, 0, 0);
	return frame;
}

void blockcache_insert(struct blockcache *cache, uint32_t block, void *frame)
{
	struct blockcache_counts *counts = &cache->counts;

	(void)pthread_mutex_lock(&cache->lock);
	cache->entries[block].frame = frame;
	cache->entries[block].pins = 1;
	list_add(cache, block);
	counts->held++;
	if (counts->held > counts->peak)
		counts->peak = counts->held;
	(void)pthread_mutex_unlock(&cache->lock);
}

void blockcache_unpin(struct blockcache *cache, uint32_t block)
{
	(void)pthread_mutex_lock(&cache->lock);
	cache->entries[block].pins--;
	(void)pthread_mutex_unlock(&cache->lock);
}

struct blockcache_counts blockcache_counts(struct blockcache *cache)
{
	struct blockcache_counts counts;

	(void)pthread_mutex_lock(&cache->lock);
	counts = cache->counts;
	(void)pthread_mutex_unlock(&cache->lock);
	return counts;
}

/* --- its life --- */

int blockcache_open(pageclient *client, const char *name, uint32_t nr_blocks, uint64_t rebuild_ns,
		    struct blockcache **ret_cache)
{
	struct blockcache *cache = calloc(1, sizeof(*cache));
	struct pageclient_cache_options options;
	int r = -ENOMEM;

	if (!cache)
		return r;
	cache->client = client;
	cache->newest = cache->oldest = NONE;
	cache->entries = calloc(nr_blocks, sizeof(*cache->entries));
	(void)pthread_mutex_init(&cache->lock, NULL);
	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = name;
	options.count = on_count;
	options.scan = on_scan;
	options.arg = cache;
	options.batch = DROP_MAX;
	options.rebuild_ns = rebuild_ns;
	if (cache->entries)
		r = pageclient_cache_register(client, &options, &cache->registration);
	if (r < 0)
		blockcache_close(cache);
	else
		*ret_cache = cache;
	return r;
}

void blockcache_close(struct blockcache *cache)
{
	uint64_t ignored = 0;

	if (!cache)
		return;
	/* No callback runs after this. */
	if (cache->registration)
		(void)pageclient_cache_unregister(cache->registration);
	while (drop_oldest(cache, DROP_MAX, &ignored) > 0)
		continue;
	(void)pthread_mutex_destroy(&cache->lock);
	free(cache->entries);
	free(cache);
}
