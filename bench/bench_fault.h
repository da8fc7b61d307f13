/* bench/bench_fault.h - what it costs to learn by a fault that a page is not there. The hooks are
 * those of struct benchmark.
 *
 * To compare with pin_unpin, which asks. fault_memfd touches a page of a memfd that is not mapped
 * (MADV_DONTNEED), its content still in the page cache: the cheapest fault there is. fault_punched
 * touches one that was punched: the kernel finds and clears another. fault_userfaultfd is what a
 * program needs to rebuild a page itself when it is touched: the fault, a thread that hears of it,
 * UFFDIO_COPY, and the way back. Where userfaultfd() is not permitted it is skipped. */
#ifndef BENCH_BENCH_FAULT_H
#define BENCH_BENCH_FAULT_H
#include "bench/bench.h"

int fault_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int fault_run_unmapped(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample);
int fault_run_punched(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample);
void fault_teardown(struct bench *bench, void *state);

int userfault_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int userfault_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample);
void userfault_teardown(struct bench *bench, void *state);

#endif
