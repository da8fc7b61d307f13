/* bench/peers/stack.h - the least that remembers which blocks are free: for each order an array of
 * addresses with a top, made of a piece of memory of the caller's. For the floor, and for the
 * bookkeeping of those that have none of their own. */
#ifndef BENCH_PEERS_STACK_H
#define BENCH_PEERS_STACK_H
#include "bench/peers/peer.h"

#include <stdlib.h>

#define STACK_FRAME_BYTES ((size_t)4096)

struct stack {
	size_t top;
	void **slot;
};

struct stack_set {
	struct stack stack[WORK_ORDER_LAST + 1];
};

LOOPS_INLINE void *stack_pop(struct stack_set *set, unsigned order)
{
	struct stack *stack = &set->stack[order];

	return stack->top == 0 ? NULL : stack->slot[--stack->top];
}

LOOPS_INLINE void stack_push(struct stack_set *set, void *frame, unsigned order)
{
	struct stack *stack = &set->stack[order];

	stack->slot[stack->top++] = frame;
}

/* Bytes of all blocks that the job holds at a time. */
static inline size_t stack_bytes(const struct peer_job *job)
{
	size_t bytes = 0;

	for (unsigned order = 0; order <= WORK_ORDER_LAST; order++)
		bytes += peer_job_blocks(job, order) * (STACK_FRAME_BYTES << order);
	return bytes;
}

/* Cuts memory, stack_bytes() of it, into these blocks. False: no memory for the arrays. */
static inline bool stack_fill(struct stack_set *set, const struct peer_job *job, char *memory)
{
	for (unsigned order = 0; order <= WORK_ORDER_LAST; order++) {
		struct stack *stack = &set->stack[order];
		size_t n = peer_job_blocks(job, order);

		if (n == 0)
			continue;
		stack->slot = malloc(n * sizeof(*stack->slot));
		if (!stack->slot)
			return false;
		while (stack->top < n) {
			stack->slot[stack->top++] = memory;
			memory += STACK_FRAME_BYTES << order;
		}
	}
	return true;
}

#endif
