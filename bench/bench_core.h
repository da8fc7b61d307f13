/* bench/bench_core.h - what frames cost the daemon itself: the core alone, in this process, over
 * memory of its own. The hooks are those of struct benchmark.
 *
 * The difference between core_refill and refill is what a request costs on its way: two system
 * calls on either side, the codec, the loop. Processor time is counted, not the clock: on a busy
 * machine these can still be told apart. */
#ifndef BENCH_BENCH_CORE_H
#define BENCH_BENCH_CORE_H
#include "bench/bench.h"

int core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* Refills of 64 frames into an empty magazine, until n_frames are held. */
int core_run_refill(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample);
/* n_frames go back through a magazine, in random order: claim and settle, without the barrier. */
int core_run_drain(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
/* The sweep of a client that died with n_frames, in its slices. */
int core_run_sweep(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
void core_teardown(struct bench *bench, void *state);

#endif
