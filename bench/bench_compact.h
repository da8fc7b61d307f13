/* bench/bench_compact.h - a request for a large block where there are free frames enough, but no
 * run of them. The hooks are those of struct benchmark.
 *
 * A client holds all frames of a segment, gives every eighth back, and keeps the others in slots;
 * of three runs in four one frame is pinned. Another asks for blocks of order 9: for each the
 * daemon has to find a run that can be emptied, and to purge what lies there. */
#ifndef BENCH_BENCH_COMPACT_H
#define BENCH_BENCH_COMPACT_H
#include "bench/bench.h"

int compact_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* Per block. */
int compact_run_blocks(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample);
/* Per frame that was purged for it. */
int compact_run_frames(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample);
/* How many of a hundred requests got a block: no time. */
int compact_run_success(struct bench *bench, const struct benchmark *benchmark, void *state,
			uint64_t n, struct sample *ret_sample);
void compact_teardown(struct bench *bench, void *state);

#endif
