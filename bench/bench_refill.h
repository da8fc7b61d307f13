/* bench/bench_refill.h - what a frame costs that comes from the daemon. The hooks are those of
 * struct benchmark. */
#ifndef BENCH_BENCH_REFILL_H
#define BENCH_BENCH_REFILL_H
#include "bench/bench.h"

/* The ring of a magazine doubles at its refills 6, 12, 24 ... 192 and 384 of 64 frames: in between
 * is room. */
#define REFILLS_LEARNING 192u
#define REFILLS_TIMED 184u

int refill_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int refill_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	       struct sample *ret_sample);
int refill_run_new(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
void refill_teardown(struct bench *bench, void *state);

#endif
