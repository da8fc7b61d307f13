/* bench/bench_growth.h - how the cost of a pair and of a refill grows: with threads, with clients,
 * with the segment, with the order of a block. The hooks are those of struct benchmark, whose
 * n_frames is how many, GiB, or the order.
 *
 * They are many and say little on a usual day, so they are run where the filter names them. */
#ifndef BENCH_BENCH_GROWTH_H
#define BENCH_BENCH_GROWTH_H
#include "bench/bench.h"

/* Names that begin so. */
#define GROWTH_PREFIX "growth_"

/* One client with so many threads. */
int growth_setup_threads(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* So many clients are attached; one works. */
int growth_setup_clients(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* A segment of so many GiB, committed as it is used. */
int growth_setup_segment(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* Blocks of that order. */
int growth_setup_order(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
void growth_teardown(struct bench *bench, void *state);

/* Pairs of alloc and free; processor time of all threads over all pairs. */
int growth_run_pair(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample);
/* n refills of 64 frames, or of one block that has more, by each thread; time over all blocks. */
int growth_run_refill(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample);

#endif
