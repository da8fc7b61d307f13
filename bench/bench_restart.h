/* bench/bench_restart.h - how long a server takes to come back to a segment of 4 Mi frames with a
 * million blocks (image.h). The hooks are those of struct benchmark.
 *
 * recovery_4Mi is the recovery alone: maps META and STATE of a segment that nobody has mapped yet
 * and has the core take it over, up to where it would serve. audit_4Mi is `pagectl check` of the
 * same segment, which holds up the loop. restart_4Mi is all that a client sees: from SIGKILL of a
 * real server to the answer to a new client's Hello. */
#ifndef BENCH_BENCH_RESTART_H
#define BENCH_BENCH_RESTART_H
#include "bench/bench.h"

int restart_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int restart_run_recovery(struct bench *bench, const struct benchmark *benchmark, void *state,
			 uint64_t n, struct sample *ret_sample);
int restart_run_audit(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample);
int restart_run_all(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample);
void restart_teardown(struct bench *bench, void *state);

#endif
