/* bench/peers/peer_malloc.c - malloc and free, of whoever this program is linked with.
 *
 * malloc(4096) and not aligned_alloc(): what a program would write that wants a buffer of a page,
 * and the faster of the two in each of them. PEER_LIBRARY is a part of the file name that malloc
 * has to come from: a peer that measured the C library's by mistake would look like it. Built with
 * -fno-builtin-malloc, or the compiler would leave the pair out. */
#include "bench/peers/peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME_BYTES ((size_t)4096)

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	(void)heap;
	return malloc(FRAME_BYTES << order);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	(void)heap;
	(void)order;
	free(frame);
}

PEER_ONE_BY_ONE;

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(malloc_loops, hooks);

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	void *address = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	(void)job;
	if (!address || !dladdr(address, &info) || !strstr(info.dli_fname, PEER_LIBRARY)) {
		(void)snprintf(text, text_bytes, "malloc is not that of %s", PEER_LIBRARY);
		return -1;
	}
	*ret_heap = NULL;
	return 0;
}

static void backend_close(void *heap)
{
	(void)heap;
}

static const struct peer_backend backend = {backend_open, backend_close, &malloc_loops};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
