/* bench/bench_startup.h - how long a daemon takes to serve a new segment of n_frames GiB, and that
 * over one of 1 GiB. The hooks are those of struct benchmark. */
#ifndef BENCH_BENCH_STARTUP_H
#define BENCH_BENCH_STARTUP_H
#include "bench/bench.h"

int startup_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int startup_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		struct sample *ret_sample);
int startup_run_ratio(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample);
void startup_teardown(struct bench *bench, void *state);

#endif
