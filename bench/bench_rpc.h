/* bench/bench_rpc.h - a call to the daemon, and what the kernel's part of it is. The hooks are
 * those of struct benchmark.
 *
 * The raw round trip sends packets of the same sizes between two processes, pinned as client and
 * daemon are, that only receive and send, and sleep while they wait. */
#ifndef BENCH_BENCH_RPC_H
#define BENCH_BENCH_RPC_H
#include "bench/bench.h"

int rpc_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int rpc_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample);
void rpc_teardown(struct bench *bench, void *state);

int raw_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int raw_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample);
void raw_teardown(struct bench *bench, void *state);

/* A daemon that never polls. */
int rpc_no_poll_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);

/* That daemon, and the other process, on the client's CPU: the client moves there and back. */
int rpc_one_core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
void rpc_one_core_teardown(struct bench *bench, void *state);
int raw_one_core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
void raw_one_core_teardown(struct bench *bench, void *state);

#endif
