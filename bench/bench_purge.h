/* bench/bench_purge.h - purgeable frames: asking for one, and taking them back. The hooks are those
 * of struct benchmark.
 *
 * purge fills a cache and has the daemon reclaim n_frames of it, as pagectl reclaim does; the time
 * is that of the request. */
#ifndef BENCH_BENCH_PURGE_H
#define BENCH_BENCH_PURGE_H
#include "bench/bench.h"

int pin_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int pin_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample);
/* With a copy of the block in between: as a cache that is asked by a copy would do it. */
int pin_run_copy(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample);
void pin_teardown(struct bench *bench, void *state);

int purge_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
/* Per frame that came back. */
int purge_run_frames(struct bench *bench, const struct benchmark *benchmark, void *state,
		     uint64_t n, struct sample *ret_sample);
/* Per request. */
int purge_run_all(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample);
void purge_teardown(struct bench *bench, void *state);

#endif
