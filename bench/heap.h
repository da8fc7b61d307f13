/* bench/heap.h - the benchmarks of allocation, over any allocator of pages.
 *
 *   registry -> heap_run_*  (what is prepared, counted and timed)
 *                  -> struct heap_backend: open, close, loops   (heap_paged.c; peers can follow)
 *                        -> loops.h, compiled into the backend with its hooks inlined
 *
 * All that is random is drawn from a fixed seed at setup, outside the time that counts. */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H
#include "bench/bench.h"

#define HEAP_LINE_BYTES 64u
/* Random places drawn beforehand; a power of two. Lower: the order repeats and the caches learn it.
 * Higher: reading the places costs misses of its own. */
#define HEAP_SEQUENCE 65536u

struct heap_work {
	uint32_t n_frames; /* held at a time */
	bool touch;
	void **frame;
	uint8_t *order;      /* of frame[k] */
	uint32_t *sequence;  /* HEAP_SEQUENCE places in frame; a burst uses the first n_frames */
	uint8_t *next_order; /* HEAP_SEQUENCE orders */
};

struct heap_loops {
	bool (*pair)(void *heap, unsigned order, uint64_t n);
	bool (*burst)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*fill)(void *heap, const struct heap_work *work);
	bool (*churn)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*mixed)(void *heap, const struct heap_work *work, uint64_t n);
	bool (*bulk)(void *heap, const struct heap_work *work, uint64_t n);
};

struct heap_backend {
	const char *name;
	int (*open)(struct bench *bench, void **ret_heap);
	/* Everything that was allocated goes with it. */
	void (*close)(void *heap);
	const char *(*error)(void); /* why the last allocation failed */
	const struct heap_loops *loops;
};

/* heap_paged.c */
const struct heap_backend *heap_backend_paged(void);

/* Hooks of struct benchmark. */
int heap_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
void heap_teardown(struct bench *bench, void *state);
int heap_run_pair(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample);
int heap_run_order9(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample);
int heap_run_burst(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
int heap_run_churn(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
int heap_run_mixed(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
int heap_run_bulk(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample);

#endif
