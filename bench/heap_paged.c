/* bench/heap_paged.c - libpageclient as a backend: a client of the plain daemon, and the calls of
 * its public header as a program makes them. */
#include "bench/heap.h"

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	return pageclient_alloc(heap, order, 0);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	pageclient_free(heap, frame, order);
}

LOOPS_INLINE size_t hook_alloc_bulk(void *heap, void **ret_frames, size_t n_frames)
{
	return pageclient_alloc_bulk(heap, 0, 0, ret_frames, n_frames);
}

LOOPS_INLINE void hook_free_bulk(void *heap, void *const *frames, size_t n_frames)
{
	pageclient_free_bulk(heap, 0, 0, frames, n_frames);
}

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(paged, hooks);

static int backend_open(struct bench *bench, void **ret_heap)
{
	struct fixture *fixture;
	pageclient *client;
	int r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture);

	if (r == 0)
		r = bench_open_client(bench, fixture, &client);
	if (r == 0)
		*ret_heap = client;
	return r;
}

static void backend_close(void *heap)
{
	pageclient_close(heap);
}

static const struct heap_backend backend = {
	.name = "paged",
	.open = backend_open,
	.close = backend_close,
	.error = pageclient_error,
	.loops = &paged,
};

const struct heap_backend *heap_backend_paged(void)
{
	return &backend;
}
