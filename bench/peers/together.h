/* bench/peers/together.h - two processes at once: how much more than one of them they do.
 *
 * Each on a CPU of its own, first one after the other, then both: the sum of the rates over the
 * mean rate of one alone. 2 is what two CPUs can give; the floor says what these two do. */
#ifndef BENCH_PEERS_TOGETHER_H
#define BENCH_PEERS_TOGETHER_H
#include "bench/bench.h"

int together_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int together_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample);
void together_teardown(struct bench *bench, void *state);

#endif
