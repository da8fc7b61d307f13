/* bench/heap.h - the benchmarks of allocation, over any allocator of pages.
 *
 *   registry -> heap_run_*  (what is prepared, counted and timed)
 *                  -> struct heap_backend: open, close, loops   (heap_paged.c)
 *                        -> loops.h, compiled into the backend with its hooks inlined
 *
 * The same loops measure the peers, each in a process of its own (peers/peer.h). */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H
#include "bench/bench.h"
#include "bench/loops.h"

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
