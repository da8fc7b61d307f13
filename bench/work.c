/* bench/work.c - see work.h. */
#include "bench/work.h"

#include <errno.h>
#include <stdlib.h>

#define SEED UINT64_C(0x9e3779b97f4a7c15)

/* xorshift64*: good enough to shuffle, and the same everywhere. */
static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(((*seed * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % below);
}

static uint8_t draw_order(uint64_t *seed)
{
	uint32_t bits = draw(seed, 1u << WORK_ORDER_LAST) | 1u << WORK_ORDER_LAST;

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

void work_prepare_burst(struct heap_work *work, enum work_order order)
{
	uint64_t seed = SEED;
	uint32_t n = work->n_frames;

	for (uint32_t k = 0; k < n; k++)
		work->sequence[k] = order == WORK_LIFO ? n - 1 - k : k;
	if (order == WORK_RANDOM)
		shuffle(work->sequence, n, &seed);
}

void work_prepare_churn(struct heap_work *work)
{
	uint64_t seed = SEED;

	for (uint32_t i = 0; i < WORK_SEQUENCE; i++) {
		work->sequence[i] = draw(&seed, work->n_frames);
		work->next_order[i] = draw_order(&seed);
	}
}

int work_init(struct heap_work *ret_work, uint32_t n_frames, enum work_touch touch)
{
	struct heap_work *work = ret_work;

	work->n_frames = n_frames;
	work->touch = touch;
	work->frame = calloc(n_frames, sizeof(*work->frame));
	work->order = calloc(n_frames, sizeof(*work->order));
	work->sequence = calloc(WORK_SEQUENCE, sizeof(*work->sequence));
	work->next_order = calloc(WORK_SEQUENCE, sizeof(*work->next_order));
	return work->frame && work->order && work->sequence && work->next_order ? 0 : -ENOMEM;
}

void work_free(struct heap_work *work)
{
	free(work->frame);
	free(work->order);
	free(work->sequence);
	free(work->next_order);
}
