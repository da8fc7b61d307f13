/* bench/work.h - what the loops of loops.h work on: places and orders, drawn beforehand.
 *
 * All that is random comes from a fixed seed, outside the time that counts, and is the same for
 * every allocator. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H
#include <stdint.h>

#define WORK_LINE_BYTES 64u
#define WORK_TOUCH_BYTES 4096u
#define WORK_ORDER_LAST 9u
/* Random places drawn beforehand; a power of two. Lower: the order repeats and the caches learn it.
 * Higher: reading the places costs misses of its own. */
#define WORK_SEQUENCE 65536u

/* What is written of each frame that comes. A line of it, and which one follows from the number of
 * the page: the first of each would fall into one set of the first cache wherever frames are
 * aligned to pages, and show the twelve ways of that set instead of the allocator. WORK_HEAD writes
 * the first nevertheless: programs do, too. */
enum work_touch { WORK_PLAIN, WORK_TOUCH, WORK_HEAD };

enum work_order { WORK_LIFO, WORK_FIFO, WORK_RANDOM };

struct heap_work {
	uint32_t n_frames; /* held at a time */
	enum work_touch touch;
	void **frame;
	uint8_t *order;      /* of frame[k] */
	uint32_t *sequence;  /* WORK_SEQUENCE places in frame; a burst uses the first n_frames */
	uint8_t *next_order; /* WORK_SEQUENCE orders */
};

/* For n_frames, at most WORK_SEQUENCE. Returns 0 or -ENOMEM; work_free() either way. */
int work_init(struct heap_work *ret_work, uint32_t n_frames, enum work_touch touch);
void work_free(struct heap_work *work);

/* The places in which a burst is freed: a permutation. */
void work_prepare_burst(struct heap_work *work, enum work_order order);
/* Places and orders for those that hold and replace. Order k as often as 2^-k, the last two as
 * often as each other. */
void work_prepare_churn(struct heap_work *work);

#endif
