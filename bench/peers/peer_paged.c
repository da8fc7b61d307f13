/* bench/peers/peer_paged.c - libpageclient, by the inline functions of its public header. */
#include "bench/hooks_paged.h"
#include "bench/peers/peer.h"

#include <stdio.h>

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
