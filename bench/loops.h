/* bench/loops.h - what is measured of an allocator, written once for all of them.
 *
 * A backend is four hooks, LOOPS_INLINE each, and an include of this file: LOOPS_DEFINE(name,
 * hooks) compiles the loops with the hooks inlined into them. Calling through pointers instead
 * would cost as much as the thing that is measured: a pair of inline calls takes some 3 ns.
 *
 * C and C++: some peers are C++ alone. Every loop runs n rounds and returns true, or false as soon
 * as an allocation fails; what it holds then goes with the heap. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H
#include "bench/work.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LOOPS_INLINE static inline __attribute__((always_inline))

struct heap_loops {
	bool (*pair)(void *heap, unsigned order, uint64_t n);
	bool (*burst)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*fill)(void *heap, const struct heap_work *work);
	bool (*churn)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*mixed)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*bulk)(void *heap, const struct heap_work *work, uint64_t n);
};

struct loops_hooks {
	void *(*alloc)(void *heap, unsigned order);
	void (*free)(void *heap, void *frame, unsigned order);
	size_t (*alloc_bulk)(void *heap, void **ret_frames, size_t n_frames);
	void (*free_bulk)(void *heap, void *const *frames, size_t n_frames);
};

LOOPS_INLINE bool loops_pair(const struct loops_hooks *hooks, void *heap, unsigned order,
			     uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		void *frame = hooks->alloc(heap, order);

		if (!frame)
			return false;
		hooks->free(heap, frame, order);
	}
	return true;
}

/* touch is a constant where it is called, so that nothing of it stays in a loop without. The line
 * follows from the whole number of the page (Knuth's multiplicative hash): from its lowest bits,
 * which choose the sets of a cache as well, the lines of consecutive pages would meet in a
 * thirtieth of the second cache's sets. */
LOOPS_INLINE void loops_touch(void *frame, enum work_touch touch, int value)
{
	uint32_t page = (uint32_t)((uintptr_t)frame / WORK_TOUCH_BYTES);
	uint32_t line = touch == WORK_TOUCH ? (page * 2654435761u) >> 26 : 0;

	if (touch != WORK_PLAIN)
		memset((char *)frame + line * WORK_LINE_BYTES, value, WORK_LINE_BYTES);
}

LOOPS_INLINE bool loops_burst_one(const struct loops_hooks *hooks, void *heap,
				  const struct heap_work *work, enum work_touch touch)
{
	for (uint32_t k = 0; k < work->n_frames; k++) {
		void *frame = hooks->alloc(heap, 0);

		if (!frame)
			return false;
		loops_touch(frame, touch, (int)k);
		work->frame[k] = frame;
	}
	for (uint32_t k = 0; k < work->n_frames; k++)
		hooks->free(heap, work->frame[work->sequence[k]], 0);
	return true;
}

/* A call for each, so that the one without touch has no branch for it. */
LOOPS_INLINE bool loops_burst_any(const struct loops_hooks *hooks, void *heap,
				  const struct heap_work *work)
{
	switch (work->touch) {
	case WORK_PLAIN:
		return loops_burst_one(hooks, heap, work, WORK_PLAIN);
	case WORK_TOUCH:
		return loops_burst_one(hooks, heap, work, WORK_TOUCH);
	case WORK_HEAD:
		break;
	}
	return loops_burst_one(hooks, heap, work, WORK_HEAD);
}

LOOPS_INLINE bool loops_burst(const struct loops_hooks *hooks, void *heap,
			      const struct heap_work *work, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		bool good = loops_burst_any(hooks, heap, work);

		if (!good)
			return false;
	}
	return true;
}

/* work->order is that of the block that slot k holds, or shall hold. */
LOOPS_INLINE bool loops_fill(const struct loops_hooks *hooks, void *heap,
			     const struct heap_work *work)
{
	for (uint32_t k = 0; k < work->n_frames; k++) {
		work->frame[k] = hooks->alloc(heap, work->order[k]);
		if (!work->frame[k])
			return false;
	}
	return true;
}

LOOPS_INLINE bool loops_churn_all(const struct loops_hooks *hooks, void *heap,
				  const struct heap_work *work, uint64_t n, enum work_touch touch)
{
	for (uint64_t i = 0; i < n; i++) {
		uint32_t k = work->sequence[i & (WORK_SEQUENCE - 1)];

		hooks->free(heap, work->frame[k], 0);
		work->frame[k] = hooks->alloc(heap, 0);
		if (!work->frame[k])
			return false;
		loops_touch(work->frame[k], touch, (int)i);
	}
	return true;
}

LOOPS_INLINE bool loops_churn(const struct loops_hooks *hooks, void *heap,
			      const struct heap_work *work, uint64_t n)
{
	return work->touch == WORK_PLAIN ? loops_churn_all(hooks, heap, work, n, WORK_PLAIN)
					 : loops_churn_all(hooks, heap, work, n, WORK_TOUCH);
}

LOOPS_INLINE bool loops_mixed(const struct loops_hooks *hooks, void *heap,
			      const struct heap_work *work, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint32_t k = work->sequence[i & (WORK_SEQUENCE - 1)];

		hooks->free(heap, work->frame[k], work->order[k]);
		work->order[k] = work->next_order[i & (WORK_SEQUENCE - 1)];
		work->frame[k] = hooks->alloc(heap, work->order[k]);
		if (!work->frame[k])
			return false;
	}
	return true;
}

LOOPS_INLINE bool loops_bulk(const struct loops_hooks *hooks, void *heap,
			     const struct heap_work *work, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (hooks->alloc_bulk(heap, work->frame, work->n_frames) != work->n_frames)
			return false;
		hooks->free_bulk(heap, work->frame, work->n_frames);
	}
	return true;
}

/* Defines `static const struct heap_loops name` from `hooks`, a constant struct loops_hooks. */
#define LOOPS_DEFINE(name, hooks)                                                                  \
	static bool name##_pair(void *heap, unsigned order, uint64_t n)                            \
	{                                                                                          \
		return order ? loops_pair(&(hooks), heap, order, n)                                \
			     : loops_pair(&(hooks), heap, 0,                                       \
					  n); /* a constant, as programs write it */               \
	}                                                                                          \
	static bool name##_burst(void *heap, const struct heap_work *work, uint64_t n)             \
	{                                                                                          \
		return loops_burst(&(hooks), heap, work, n);                                       \
	}                                                                                          \
	static bool name##_fill(void *heap, const struct heap_work *work)                          \
	{                                                                                          \
		return loops_fill(&(hooks), heap, work);                                           \
	}                                                                                          \
	static bool name##_churn(void *heap, const struct heap_work *work, uint64_t n)             \
	{                                                                                          \
		return loops_churn(&(hooks), heap, work, n);                                       \
	}                                                                                          \
	static bool name##_mixed(void *heap, const struct heap_work *work, uint64_t n)             \
	{                                                                                          \
		return loops_mixed(&(hooks), heap, work, n);                                       \
	}                                                                                          \
	static bool name##_bulk(void *heap, const struct heap_work *work, uint64_t n)              \
	{                                                                                          \
		return loops_bulk(&(hooks), heap, work, n);                                        \
	}                                                                                          \
	static const struct heap_loops name = {name##_pair,  name##_burst, name##_fill,            \
					       name##_churn, name##_mixed, name##_bulk}

#endif
