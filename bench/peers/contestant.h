/* bench/peers/contestant.h - a peer's process, as the driver has it: see peer.h for what is said.
 *
 * The hooks are those of struct benchmark: a setup starts the process, and it is told how many
 * rounds as any benchmark is; so calibration, warm-up and interleaving are run.c's. What is not to
 * be had here (not built, cannot start, cannot hold that many) is -EOPNOTSUPP with the reason. */
#ifndef BENCH_PEERS_CONTESTANT_H
#define BENCH_PEERS_CONTESTANT_H
#include "bench/bench.h"
#include "bench/peers/registry.h"

struct contestant {
	pid_t pid;
	int in;  /* we write */
	int out; /* we read */
};

/* Starts the peer of the entry on a CPU and waits until it is ready. socket: of its daemon. */
int contestant_start(struct bench *bench, const struct entry *entry, int cpu, const char *socket,
		     struct contestant *ret_contestant);
/* Tells it to do n rounds, and takes the answer; the two apart, for those that race. */
int contestant_ask(struct bench *bench, const struct contestant *contestant, uint64_t n);
int contestant_answer(struct bench *bench, const struct contestant *contestant,
		      struct sample *ret_sample);
/* Ends it: by the end of its input, and by a signal if that does not help. */
void contestant_stop(struct contestant *contestant);

int contestant_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int contestant_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
void contestant_teardown(struct bench *bench, void *state);

#endif
