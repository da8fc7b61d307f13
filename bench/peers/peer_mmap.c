/* bench/peers/peer_mmap.c - the kernel itself as allocator of pages: mmap and munmap of anonymous
 * memory. The kernel merges neighbours to one mapping; a process may have some 65000 of them. */
#include "bench/peers/peer.h"

#include <sys/mman.h>

#define FRAME_BYTES ((size_t)4096)

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	void *frame = mmap(NULL, FRAME_BYTES << order, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)heap;
	return frame == MAP_FAILED ? NULL : frame;
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	(void)heap;
	(void)munmap(frame, FRAME_BYTES << order);
}

PEER_ONE_BY_ONE;

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(mmap_loops, hooks);

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	(void)job;
	(void)text;
	(void)text_bytes;
	*ret_heap = NULL;
	return 0;
}

static void backend_close(void *heap)
{
	(void)heap;
}

static const struct peer_backend backend = {backend_open, backend_close, &mmap_loops};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
