/* bench/slices.h - a run in slices, of which the median counts.
 *
 *   struct slices slices = slices_of(n);
 *   while ((some = slices_next(&slices)) > 0)
 *           do it some times;
 *   sample = slices_sum(&slices);
 *
 * A slice in which another program, or another machine on the same host, had our CPU tells who else
 * runs there. As long as those are less than half of them, the median does not see it; a mean sees
 * each. For what costs the same each time: what comes once in many times would be lost. */
#ifndef BENCH_SLICES_H
#define BENCH_SLICES_H
#include <stdint.h>

/* Lower: on a busy machine most of them are disturbed. Higher: the looks at the clock tell; of a
 * run of 30 ms a slice is a millisecond, and a look 50 ns. */
#define SLICES 32u

/* What one run took, and how many operations or pairs that were. */
struct sample {
	uint64_t ns;
	uint64_t ops;
};

struct slices {
	uint64_t n, begin_ns, some; /* some: of the slice that runs; 0: none */
	uint32_t next, n_done;
	double ns[SLICES]; /* for one time */
};

struct slices slices_of(uint64_t n);

/* Ends a slice and begins the next: how many times, 0 at the end. */
uint64_t slices_next(struct slices *slices);

/* n times, as long as the median says; after slices_next() was 0, with n at least 1. */
struct sample slices_sum(struct slices *slices);

#endif
