/* bench/heap.c - see heap.h. */
#include "bench/heap.h"

#include <errno.h>
#include <stdlib.h>

struct heap_state {
	const struct heap_backend *backend;
	void *heap;
	struct heap_work work;
	bool filled;
};

static enum work_order order_of(enum burst_order burst)
{
	switch (burst) {
	case BURST_LIFO:
		return WORK_LIFO;
	case BURST_FIFO:
		return WORK_FIFO;
	case BURST_RAND:
	case BURST_RAND_TOUCH:
		break;
	}
	return WORK_RANDOM;
}

int heap_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct heap_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state ||
	    work_init(&state->work, benchmark->n_frames,
		      benchmark->burst == BURST_RAND_TOUCH ? WORK_TOUCH : WORK_PLAIN) < 0) {
		if (state)
			heap_teardown(bench, state);
		return bench_fail(bench, -ENOMEM, "no memory for %u frames", benchmark->n_frames);
	}
	if (benchmark->run == heap_run_churn || benchmark->run == heap_run_mixed)
		work_prepare_churn(&state->work);
	else
		work_prepare_burst(&state->work, order_of(benchmark->burst));
	state->backend = heap_backend_paged();
	r = state->backend->open(bench, &state->heap);
	if (r < 0) {
		heap_teardown(bench, state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void heap_teardown(struct bench *bench, void *state)
{
	struct heap_state *heap = state;

	(void)bench;
	if (heap->heap)
		heap->backend->close(heap->heap);
	work_free(&heap->work);
	free(heap);
}

/* The end of a run: the clock first. */
static int finish(struct bench *bench, const struct heap_state *state, bool good, uint64_t begin,
		  uint64_t ops, struct sample *ret_sample)
{
	ret_sample->ns = bench_now_ns() - begin;
	ret_sample->ops = ops;
	return good ? 0
		    : bench_fail(bench, -ENOMEM, "an allocation failed: %s",
				 state->backend->error());
}

static int run_pair(struct bench *bench, struct heap_state *state, unsigned order, uint64_t n,
		    struct sample *ret_sample)
{
	uint64_t begin = bench_now_ns();
	bool good = state->backend->loops->pair(state->heap, order, n);

	return finish(bench, state, good, begin, n, ret_sample);
}

int heap_run_pair(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample)
{
	(void)benchmark;
	return run_pair(bench, state, 0, n, ret_sample);
}

int heap_run_order9(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample)
{
	(void)benchmark;
	return run_pair(bench, state, WORK_ORDER_LAST, n, ret_sample);
}

int heap_run_burst(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	struct heap_state *heap = state;
	uint64_t begin = bench_now_ns();
	bool good = heap->backend->loops->burst(heap->heap, &heap->work, n);

	return finish(bench, heap, good, begin, n * benchmark->n_frames, ret_sample);
}

int heap_run_bulk(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample)
{
	struct heap_state *heap = state;
	uint64_t begin = bench_now_ns();
	bool good = heap->backend->loops->bulk(heap->heap, &heap->work, n);

	return finish(bench, heap, good, begin, n * benchmark->n_frames, ret_sample);
}

/* The first run of a round, which does not count, finds nothing held yet. */
static bool fill_once(struct heap_state *heap)
{
	if (!heap->filled)
		heap->filled = heap->backend->loops->fill(heap->heap, &heap->work);
	return heap->filled;
}

int heap_run_churn(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	struct heap_state *heap = state;
	bool good = fill_once(heap);
	uint64_t begin = bench_now_ns();

	(void)benchmark;
	good = good && heap->backend->loops->churn(heap->heap, &heap->work, n);
	return finish(bench, heap, good, begin, n, ret_sample);
}

int heap_run_mixed(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	struct heap_state *heap = state;
	bool good = fill_once(heap);
	uint64_t begin = bench_now_ns();

	(void)benchmark;
	good = good && heap->backend->loops->mixed(heap->heap, &heap->work, n);
	return finish(bench, heap, good, begin, n, ret_sample);
}
