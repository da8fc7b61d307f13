/* bench/bench_pressure.h - an allocation while every frame is in use by purgeable caches. The hooks
 * are those of struct benchmark, whose n_frames is the percentile in thousandths.
 *
 * Four clients have filled the segment. A fifth allocates, and what it gets becomes a purgeable
 * frame of its own, so it stays full. Only allocations that ask the daemon are timed: what the
 * magazine holds is taken first. The value is a percentile of PRESSURE_SAMPLES of them, or, of the
 * ratio, the p99 in round trips to a daemon that has nothing else to do, as rpc_roundtrip times
 * them, of the same run. status_p99 is the same percentile
 * of Status requests: what it has above their median is the machine's, not reclaim's. */
#ifndef BENCH_BENCH_PRESSURE_H
#define BENCH_BENCH_PRESSURE_H
#include "bench/bench.h"

/* Lower: p99.9 is a single value or two. Higher: the bench takes longer. */
#define PRESSURE_SAMPLES 10000u

int pressure_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int pressure_run_percentile(struct bench *bench, const struct benchmark *benchmark, void *state,
			    uint64_t n, struct sample *ret_sample);
int pressure_run_status(struct bench *bench, const struct benchmark *benchmark, void *state,
			uint64_t n, struct sample *ret_sample);
int pressure_run_ratio(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample);
void pressure_teardown(struct bench *bench, void *state);

#endif
