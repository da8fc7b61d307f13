/* bench/heap.c - see heap.h. */
#include "bench/heap.h"

#include <errno.h>
#include <stdlib.h>

#define ORDER_LAST 9u
#define SEED UINT64_C(0x9e3779b97f4a7c15)

struct heap_state {
	const struct heap_backend *backend;
	void *heap;
	struct heap_work work;
	bool filled;
};

/* xorshift64*: good enough to shuffle, and the same everywhere. */
static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(((*seed * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % below);
}

/* Order k as often as 2^-k, the last two as often as each other. */
static uint8_t draw_order(uint64_t *seed)
{
	uint32_t bits = draw(seed, 1u << ORDER_LAST) | 1u << ORDER_LAST;

	return (uint8_t)__builtin_ctz(bits);
}

static void shuffle(uint32_t *sequence, uint32_t n, uint64_t *seed)
{
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t j = draw(seed, i + 1);
		uint32_t kept = sequence[i];

		sequence[i] = sequence[j];
		sequence[j] = kept;
	}
}

/* A permutation of the places for a burst. */
static void prepare_burst(struct heap_work *work, enum burst_order order, uint64_t *seed)
{
	uint32_t n = work->n_frames;

	for (uint32_t k = 0; k < n; k++)
		work->sequence[k] = order == BURST_LIFO ? n - 1 - k : k;
	if (order == BURST_RAND || order == BURST_RAND_TOUCH)
		shuffle(work->sequence, n, seed);
	work->touch = order == BURST_RAND_TOUCH;
}

/* Places and orders for those that hold and replace. */
static void prepare_churn(struct heap_work *work, uint64_t *seed)
{
	for (uint32_t i = 0; i < HEAP_SEQUENCE; i++) {
		work->sequence[i] = draw(seed, work->n_frames);
		work->next_order[i] = draw_order(seed);
	}
}

static int allocate(struct heap_work *work, uint32_t n_frames)
{
	work->n_frames = n_frames;
	work->frame = calloc(n_frames, sizeof(*work->frame));
	work->order = calloc(n_frames, sizeof(*work->order));
	work->sequence = calloc(HEAP_SEQUENCE, sizeof(*work->sequence));
	work->next_order = calloc(HEAP_SEQUENCE, sizeof(*work->next_order));
	return work->frame && work->order && work->sequence && work->next_order ? 0 : -ENOMEM;
}

int heap_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct heap_state *state = calloc(1, sizeof(*state));
	uint64_t seed = SEED;
	int r;

	if (!state || allocate(&state->work, benchmark->n_frames) < 0) {
		if (state)
			heap_teardown(bench, state);
		return bench_fail(bench, -ENOMEM, "no memory for %u frames", benchmark->n_frames);
	}
	if (benchmark->run == heap_run_churn || benchmark->run == heap_run_mixed)
		prepare_churn(&state->work, &seed);
	else
		prepare_burst(&state->work, benchmark->burst, &seed);
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
	free(heap->work.frame);
	free(heap->work.order);
	free(heap->work.sequence);
	free(heap->work.next_order);
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
	return run_pair(bench, state, ORDER_LAST, n, ret_sample);
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
