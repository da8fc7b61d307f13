/* client/cache.c - the program's own caches: what the daemon's shrinkers call, and what an
 * allocation with MAY_SHRINK runs by itself.
 *
 * A cache runs in one thread at a time (`busy`). Nobody waits for a busy cache but unregister: an
 * upcall that finds it busy is answered "stopped", which asks again later, and an allocation goes
 * on to the next one. No lock is held in a callback, so it may free, put, register, and block on
 * what it likes; its thread is marked (thread.scanning) so that alloc, dispatch and unregister in
 * it are refused, and has no inline path meanwhile (C2). */
#include "client/client_private.h"

#include "client/cancel.h"
#include "paged/bits.h"

#include <errno.h>
#include <stdlib.h>

#define CACHE_BATCH 128u          /* objects a scan: the kernel's SHRINK_BATCH */
#define CACHE_SEEKS 2u            /* the kernel's DEFAULT_SEEKS */
#define CACHE_SCAN_ALL UINT64_MAX /* nr_to_scan: as many as count() says */

struct pageclient_cache {
	pageclient *client;
	struct pageclient_cache *next;
	uint32_t id;
	uint32_t batch;
	bool busy;                          /* under caches.lock: a callback runs */
	struct message_cache_register told; /* to the daemon */
	uint64_t (*count)(void *arg);
	int (*scan)(void *arg, struct pageclient_scan *scan);
	void *arg;
};

/* --- running callbacks; the cache is busy and ours --- */

struct cache_run {
	struct thread *thread;
	pageclient *scanning_before; /* of another client: a callback may dispatch that one */
	uint64_t frames_before;
};

static struct cache_run cache_run_begin(pageclient *client, struct thread *thread)
{
	struct cache_run run = {thread, thread->scanning, thread->scan_frames};

	thread->scanning = client;
	pageclient_fast_v1 = NULL;
	return run;
}

static uint64_t cache_run_freed(const struct cache_run *run)
{
	return run->thread->scan_frames - run->frames_before;
}

static void cache_run_end(const struct cache_run *run)
{
	run->thread->scanning = run->scanning_before;
	pageclient_fast_v1 = NULL;
}

/* One batch. False: the cache is done with for this time. */
static bool cache_scan(const struct pageclient_cache *cache, const struct message_shrink *shrink,
		       uint64_t n_frames, struct message_shrink_done *done)
{
	struct pageclient_scan scan;
	int r;

	PAGECLIENT_INIT(struct pageclient_scan, &scan);
	scan.priority = shrink->priority;
	scan.nr_to_scan = bits_min(shrink->nr_to_scan - done->nr_scanned, cache->batch);
	scan.nr_frames = n_frames;
	scan.deadline_ns = shrink->deadline_ns;
	scan.nr_scanned = scan.nr_to_scan;
	r = cache->scan(cache->arg, &scan);
	if (r != 0) {
		done->stopped = 1;
		return false;
	}
	done->nr_scanned += bits_min(scan.nr_scanned, scan.nr_to_scan);
	done->nr_freed += scan.nr_freed;
	return scan.nr_scanned > 0;
}

static uint64_t cache_count(const struct pageclient_cache *cache)
{
	uint64_t n = cache->count(cache->arg);

	return n == PAGECLIENT_SHRINK_EMPTY ? 0 : n;
}

/* Scans as shrink says, then counts. Returns callbacks run; *ret_frames came back. */
static int cache_run(const struct pageclient_cache *cache, const struct message_shrink *shrink,
		     struct message_shrink_done *ret_done, uint64_t *ret_frames)
{
	struct thread *thread = thread_current();
	struct message_shrink_done done = {.cache = cache->id};
	uint64_t deadline = shrink->deadline_ns ? shrink->deadline_ns : UINT64_MAX;
	uint64_t wanted = shrink->nr_frames ? shrink->nr_frames : UINT64_MAX;
	struct message_shrink todo = *shrink;
	struct cache_run run;
	int n = 1;

	if (!thread) {
		done.stopped = 1;
		*ret_done = done;
		*ret_frames = 0;
		return 0;
	}
	run = cache_run_begin(cache->client, thread);
	if (shrink->nr_to_scan == CACHE_SCAN_ALL)
		todo.nr_to_scan = cache_count(cache);
	while (done.nr_scanned < todo.nr_to_scan && cache_run_freed(&run) < wanted &&
	       clock_now_ns() < deadline) {
		n++;
		if (!cache_scan(cache, &todo, wanted - cache_run_freed(&run), &done))
			break;
	}
	done.nr_objects = cache_count(cache);
	done.nr_frames = cache_run_freed(&run);
	done.thread = thread_index(thread, cache->client);
	*ret_frames = done.nr_frames;
	cache_run_end(&run);
	*ret_done = done;
	return n;
}

/* --- finding them --- */

/* The next cache with an id above `above` (with exactly that of `only`, if not 0) that is not busy;
 * it is busy and the caller's then. */
static struct pageclient_cache *cache_claim(pageclient *client, uint32_t above, uint32_t only)
{
	struct pageclient_cache *found = NULL;

	(void)pthread_mutex_lock(&client->caches.lock);
	for (struct pageclient_cache *cache = client->caches.list; cache; cache = cache->next) {
		if (cache->busy || cache->id <= above || (only != 0 && cache->id != only))
			continue;
		if (!found || cache->id < found->id)
			found = cache;
	}
	if (found)
		found->busy = true;
	(void)pthread_mutex_unlock(&client->caches.lock);
	return found;
}

static void cache_release(pageclient *client, struct pageclient_cache *cache)
{
	(void)pthread_mutex_lock(&client->caches.lock);
	cache->busy = false;
	(void)pthread_cond_broadcast(&client->caches.idle);
	(void)pthread_mutex_unlock(&client->caches.lock);
}

void cache_upcall(pageclient *client, const struct message_shrink *shrink,
		  struct message_shrink_done *ret_done, int *ret_n)
{
	struct pageclient_cache *cache = cache_claim(client, 0, shrink->cache);
	uint64_t frames;

	*ret_n = 0;
	if (!cache) {
		*ret_done = (struct message_shrink_done){.cache = shrink->cache, .stopped = 1};
		return;
	}
	*ret_n = cache_run(cache, shrink, ret_done, &frames);
	cache_release(client, cache);
}

uint64_t cache_shrink_self(pageclient *client, uint64_t n_frames, uint64_t deadline_ns)
{
	CANCEL_OFF;
	struct pageclient_cache *cache;
	uint64_t freed = 0;
	uint32_t id = 0;

	while (freed < n_frames && (cache = cache_claim(client, id, 0))) {
		struct message_shrink shrink = {.cache = cache->id,
						.nr_to_scan = CACHE_SCAN_ALL,
						.nr_frames = n_frames - freed,
						.deadline_ns = deadline_ns};
		struct message_shrink_done done;
		uint64_t frames = 0;

		(void)cache_run(cache, &shrink, &done, &frames);
		freed += frames;
		id = cache->id;
		cache_release(client, cache);
	}
	return freed;
}

/* --- registration --- */

static int cache_check(const struct pageclient_cache_options *options)
{
	if (options->flags != 0)
		return error_set(-EINVAL, "flags 0x%x of a cache: there are none yet",
				 options->flags);
	if (!options->count || !options->scan)
		return error_set(-EINVAL, "a cache needs both count() and scan()");
	if (!options->name || options->name[0] == '\0' ||
	    strnlen(options->name, MESSAGE_NAME_BYTES) == MESSAGE_NAME_BYTES)
		return error_set(-EINVAL, "a cache needs a name of 1 to %u bytes",
				 MESSAGE_NAME_BYTES - 1);
	return 0;
}

/* In the list before the daemon knows it: the first upcall may come before the reply. */
static struct pageclient_cache *cache_link(pageclient *client,
					   const struct pageclient_cache_options *options)
{
	struct pageclient_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->client = client;
	cache->batch = options->batch ? options->batch : CACHE_BATCH;
	cache->count = options->count;
	cache->scan = options->scan;
	cache->arg = options->arg;
	cache->told = (struct message_cache_register){.seeks = options->seeks ? options->seeks
									      : CACHE_SEEKS,
						      .batch = cache->batch,
						      .rebuild_ns = options->rebuild_ns};
	memcpy(cache->told.name, options->name, strlen(options->name) + 1);
	(void)pthread_mutex_lock(&client->caches.lock);
	cache->id = cache->told.cache = ++client->caches.last_id;
	cache->next = client->caches.list;
	client->caches.list = cache;
	(void)pthread_mutex_unlock(&client->caches.lock);
	return cache;
}

/* Out of the list, and no callback of it runs any more. */
static void cache_unlink(pageclient *client, struct pageclient_cache *cache)
{
	struct pageclient_cache **link = &client->caches.list;

	(void)pthread_mutex_lock(&client->caches.lock);
	while (*link && *link != cache)
		link = &(*link)->next;
	if (*link)
		*link = cache->next;
	while (cache->busy)
		(void)clock_wait(&client->caches.idle, &client->caches.lock, UINT64_MAX);
	(void)pthread_mutex_unlock(&client->caches.lock);
}

/* What was sent of a registration that failed may be done yet: this comes behind it. What was done
 * before a connection ended, META shows at the resume. */
static void cache_give_up(pageclient *client, struct pageclient_cache *cache)
{
	struct message request = {.kind = MESSAGE_CACHE_UNREGISTER,
				  .cache_unregister = {.cache = cache->id}};

	cache_unlink(client, cache);
	rpc_post(client, &request);
	free(cache);
}

int pageclient_cache_register(pageclient *client, const struct pageclient_cache_options *options,
			      pageclient_cache **ret_cache)
{
	struct message request = {.kind = MESSAGE_CACHE_REGISTER};
	struct pageclient_cache_options own;
	struct pageclient_cache *cache;
	struct message_reply reply;
	int r = client_check(client);

	if (r == 0)
		r = options_copy(&own, sizeof(own), options,
				 offsetof(struct pageclient_cache_options, seeks),
				 "pageclient_cache_options");
	if (r == 0)
		r = cache_check(&own);
	if (r < 0)
		return r;
	cache = cache_link(client, &own);
	if (!cache)
		return error_set(-ENOMEM, "no memory for the cache");
	request.cache_register = cache->told;
	if (client_state(client) != PAGECLIENT_PRIVATE)
		r = rpc_request(client, &request, client->options.call_timeout_ms,
				client->options.call_timeout_ms, &reply);
	if (r < 0) {
		cache_give_up(client, cache);
		return r;
	}
	*ret_cache = cache;
	return 0;
}

int pageclient_cache_unregister(pageclient_cache *cache)
{
	struct message request = {.kind = MESSAGE_CACHE_UNREGISTER};
	struct message_reply reply;
	pageclient *client;
	int r;

	if (!cache)
		return 0;
	client = cache->client;
	r = client_check(client);
	if (r < 0)
		return r;
	if (thread_is_scanning(client))
		return error_set(-EDEADLK,
				 "a callback of a cache cannot wait for callbacks to end: "
				 "unregister elsewhere");
	cache_unlink(client, cache);
	request.cache_unregister.cache = cache->id;
	/* Without a daemon it is told at the resume: cache_reconcile(). */
	if (client_state(client) == PAGECLIENT_CONNECTED)
		(void)rpc_request(client, &request, client->options.call_timeout_ms, 0, &reply);
	free(cache);
	return 0;
}

/* --- after a resume --- */

static struct pageclient_cache *cache_find_locked(pageclient *client, uint32_t id)
{
	struct pageclient_cache *cache = client->caches.list;

	while (cache && cache->id != id)
		cache = cache->next;
	return cache;
}

static bool cache_is_known(const pageclient *client, uint32_t id)
{
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		const struct shm_cache *shown = &client->view.caches[i];

		if (shm_load32(&shown->state) != SHM_CACHE_FREE && shown->client == client->id &&
		    shown->id == id)
			return true;
	}
	return false;
}

/* The lock is held throughout: a cache is in the list before the daemon hears of it, so one that
 * META shows and the list has not is one that was unregistered while nobody could be told. Both
 * requests change nothing if they are one too many. */
void cache_reconcile(pageclient *client)
{
	struct message request = {.kind = MESSAGE_CACHE_UNREGISTER};

	(void)pthread_mutex_lock(&client->caches.lock);
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		const struct shm_cache *shown = &client->view.caches[i];

		if (shm_load32(&shown->state) == SHM_CACHE_FREE || shown->client != client->id ||
		    cache_find_locked(client, shown->id))
			continue;
		request.cache_unregister.cache = shown->id;
		rpc_post(client, &request);
	}
	request.kind = MESSAGE_CACHE_REGISTER;
	for (struct pageclient_cache *cache = client->caches.list; cache; cache = cache->next) {
		request.cache_register = cache->told;
		if (!cache_is_known(client, cache->id))
			rpc_post(client, &request);
	}
	(void)pthread_mutex_unlock(&client->caches.lock);
}

void cache_free_all(pageclient *client)
{
	while (client->caches.list) {
		struct pageclient_cache *cache = client->caches.list;

		client->caches.list = cache->next;
		free(cache);
	}
}
