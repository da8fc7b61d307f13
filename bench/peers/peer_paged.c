/* bench/peers/peer_paged.c - libpageclient, by the inline functions of its public header. */
#include "bench/peers/peer.h"

#include <pageclient/pageclient.h>
#include <stdio.h>

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

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	struct pageclient_options options;
	pageclient *client;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = job->socket;
	options.name = "peers";
	if (pageclient_open(&options, &client) < 0) {
		(void)snprintf(text, text_bytes, "%s", pageclient_error());
		return -1;
	}
	*ret_heap = client;
	return 0;
}

static void backend_close(void *heap)
{
	pageclient_close(heap);
}

static const struct peer_backend backend = {backend_open, backend_close, &paged};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
