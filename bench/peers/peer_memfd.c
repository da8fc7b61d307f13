/* bench/peers/peer_memfd.c - a memfd that is mapped whole, as an allocator that keeps nothing it
 * does not use: a free punches the hole (MADV_REMOVE), and the kernel finds memory again at the
 * first touch. Which place is free stands in a stack, which costs next to nothing. */
#include "bench/peers/stack.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	return stack_pop(heap, order);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	(void)madvise(frame, STACK_FRAME_BYTES << order, MADV_REMOVE);
	stack_push(heap, frame, order);
}

PEER_ONE_BY_ONE;

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(memfd_loops, hooks);

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	static struct stack_set set;
	size_t bytes = stack_bytes(job);
	int fd = memfd_create("peer", MFD_CLOEXEC);
	char *memory = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED || !stack_fill(&set, job, memory)) {
		(void)snprintf(text, text_bytes, "a memfd of %zu bytes: %s", bytes,
			       strerror(errno));
		return -1;
	}
	(void)close(fd);
	*ret_heap = &set;
	return 0;
}

static void backend_close(void *heap)
{
	(void)heap;
}

static const struct peer_backend backend = {backend_open, backend_close, &memfd_loops};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
