/* bench/bench_death.h - how fast the frames of a killed client come back. The hooks are those of
 * struct benchmark. */
#ifndef BENCH_BENCH_DEATH_H
#define BENCH_BENCH_DEATH_H
#include "bench/bench.h"

int death_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int death_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample);
void death_teardown(struct bench *bench, void *state);

#endif
