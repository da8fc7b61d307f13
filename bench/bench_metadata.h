/* bench/bench_metadata.h - the memory behind META, STATE and CTL, in bytes for each frame of the
 * segment, when one client holds all that can be had. The hooks are those of struct benchmark.
 *
 * n_frames is the segment's size in GiB. All of it gets memory, so a machine that has not so much
 * to spare is -EOPNOTSUPP. It is no time and does not vary: measured once, whatever the rounds. */
#ifndef BENCH_BENCH_METADATA_H
#define BENCH_BENCH_METADATA_H
#include "bench/bench.h"

int metadata_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int metadata_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample);
/* mem_map alone, as the daemon counts it. */
int metadata_run_map(struct bench *bench, const struct benchmark *benchmark, void *state,
		     uint64_t n, struct sample *ret_sample);
void metadata_teardown(struct bench *bench, void *state);

#endif
