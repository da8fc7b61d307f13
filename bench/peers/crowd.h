/* bench/peers/crowd.h - what an attach takes when many are there already: the time of an open (and
 * not of the close after it) while n_frames other clients of a daemon of its own are attached. */
#ifndef BENCH_PEERS_CROWD_H
#define BENCH_PEERS_CROWD_H
#include "bench/bench.h"

int crowd_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int crowd_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample);
void crowd_teardown(struct bench *bench, void *state);

#endif
