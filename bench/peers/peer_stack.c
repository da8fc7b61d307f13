/* bench/peers/peer_stack.c - a floor: an array of addresses with a top, all of it a process's own.
 * Nobody can take a frame back from it, and nobody has given it any. While it fits into the first
 * cache there is nothing faster that remembers frames. */
#include "bench/peers/stack.h"

#include <stdio.h>
#include <sys/mman.h>

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	return stack_pop(heap, order);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	stack_push(heap, frame, order);
}

LOOPS_INLINE size_t hook_alloc_bulk(void *heap, void **ret_frames, size_t n_frames)
{
	struct stack *stack = &((struct stack_set *)heap)->stack[0];

	if (stack->top < n_frames)
		return 0;
	stack->top -= n_frames;
	memcpy(ret_frames, &stack->slot[stack->top], n_frames * sizeof(*ret_frames));
	return n_frames;
}

LOOPS_INLINE void hook_free_bulk(void *heap, void *const *frames, size_t n_frames)
{
	struct stack *stack = &((struct stack_set *)heap)->stack[0];

	memcpy(&stack->slot[stack->top], frames, n_frames * sizeof(*frames));
	stack->top += n_frames;
}

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(stack_loops, hooks);

static int backend_open(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes)
{
	static struct stack_set set;
	size_t bytes = stack_bytes(job);
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || !stack_fill(&set, job, memory)) {
		(void)snprintf(text, text_bytes, "no memory for %zu bytes", bytes);
		return -1;
	}
	*ret_heap = &set;
	return 0;
}

static void backend_close(void *heap)
{
	(void)heap;
}

static const struct peer_backend backend = {backend_open, backend_close, &stack_loops};

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
