/* bench/peers/peer_dpdk.c - DPDK's rte_mempool: a pool of objects of one size behind a cache of 512
 * per lcore, over a lock-free ring. As it comes, without huge pages and shared configuration.
 *
 * A pool per order; with as many objects as the job holds, and as many more as lie in the cache
 * (which takes up to 1.5 times its size before it gives some back). */
#include "bench/peers/peer.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <stdio.h>

#define CACHE 512u
#define FRAME_BYTES 4096u
/* Objects beside those that are held. Lower: the cache would run dry where a larger pool would not.
 * Higher: address space for nothing. */
#define SPARE (2 * CACHE)

struct heap {
	struct rte_mempool *pool[WORK_ORDER_LAST + 1];
};

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	struct heap *dpdk = heap;
	void *frame;

	return rte_mempool_get(dpdk->pool[order], &frame) == 0 ? frame : NULL;
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	struct heap *dpdk = heap;

	rte_mempool_put(dpdk->pool[order], frame);
}

LOOPS_INLINE size_t hook_alloc_bulk(void *heap, void **ret_frames, size_t n_frames)
{
	struct heap *dpdk = heap;

	return rte_mempool_get_bulk(dpdk->pool[0], ret_frames, (unsigned)n_frames) == 0 ? n_frames
											: 0;
}

LOOPS_INLINE void hook_free_bulk(void *heap, void *const *frames, size_t n_frames)
{
	struct heap *dpdk = heap;

	rte_mempool_put_bulk(dpdk->pool[0], frames, (unsigned)n_frames);
}

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(dpdk, hooks);

/* Bytes of all pools, and some for the environment itself. */
static size_t megabytes(const struct peer_job *job)
{
	size_t bytes = (size_t)128 << 20;

	for (unsigned order = 0; order <= WORK_ORDER_LAST; order++) {
		size_t n = peer_job_blocks(job, order);

		if (n > 0)
			bytes += (n + SPARE) * (((size_t)FRAME_BYTES << order) + 512);
	}
	return bytes >> 20;
}

static int start_environment(const struct peer_job *job)
{
	char memory[32], lcore[32], coremap[64];
	char *argv[] = {"peer",
			"--no-huge",
			"--no-shconf",
			"--no-pci",
			"--no-telemetry",
			"--log-level=critical",
			"-m",
			memory,
			"--lcores",
			coremap,
			NULL};

	(void)snprintf(memory, sizeof(memory), "%zu", megabytes(job));
	(void)snprintf(lcore, sizeof(lcore), "%d", job->cpu < 0 ? 0 : job->cpu);
	(void)snprintf(coremap, sizeof(coremap), "0@%s", lcore);
	return rte_eal_init(10, argv) < 0 ? -1 : 0;
}

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	static struct heap heap;

	if (start_environment(job) < 0) {
		(void)snprintf(text, text_bytes, "rte_eal_init: %s", rte_strerror(rte_errno));
		return -1;
	}
	for (unsigned order = 0; order <= WORK_ORDER_LAST; order++) {
		uint32_t n = peer_job_blocks(job, order);
		char name[32];

		if (n == 0)
			continue;
		(void)snprintf(name, sizeof(name), "order%u", order);
		heap.pool[order] = rte_mempool_create(name, n + SPARE, FRAME_BYTES << order, CACHE,
						      0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, 0);
		if (!heap.pool[order]) {
			(void)snprintf(text, text_bytes, "rte_mempool_create: %s",
				       rte_strerror(rte_errno));
			return -1;
		}
	}
	*ret_heap = &heap;
	return 0;
}

static void backend_close(void *heap)
{
	(void)heap;
	(void)rte_eal_cleanup();
}

static const struct peer_backend backend = {backend_open, backend_close, &dpdk};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
