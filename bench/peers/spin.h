/* bench/peers/spin.h - a floor: two processes that hand a word to and fro in shared memory, and
 * look at it all the time. No system call; nothing between two CPUs is faster. */
#ifndef BENCH_PEERS_SPIN_H
#define BENCH_PEERS_SPIN_H
#include "bench/bench.h"

int spin_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int spin_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	     struct sample *ret_sample);
void spin_teardown(struct bench *bench, void *state);

#endif
