/* bench/heap_paged.c - libpageclient as a backend: a client of the plain daemon, and the calls of
 * its public header as a program makes them. */
#include "bench/heap.h"

#include "bench/hooks_paged.h"

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
