/* bench/bench_attach.h - clients that come: one that goes again, and a thousand that stay. The
 * hooks are those of struct benchmark. */
#ifndef BENCH_BENCH_ATTACH_H
#define BENCH_BENCH_ATTACH_H
#include "bench/bench.h"

int attach_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int attach_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	       struct sample *ret_sample);
/* n_frames clients attach and stay: what the last of them took over what the first took. */
int attach_run_many(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample);
void attach_teardown(struct bench *bench, void *state);

#endif
