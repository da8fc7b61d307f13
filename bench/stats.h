/* bench/stats.h - what the values of some rounds say: the median, and how far it may be trusted.
 *
 * Pure functions. A median of an even number is the mean of the two in the middle. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H
#include <stdint.h>

struct summary {
	double median, min, max;
};

/* Of n values, at least one and at most OPTIONS_MAX_ROUNDS; they keep their order. */
struct summary stats_summarize(const double *value, uint32_t n);

/* Of a[i] / b[i]: two that ran side by side in round i were disturbed alike, so that the quotient
 * of a round says more than that of two rounds. No b[i] is 0. */
struct summary stats_compare(const double *a, const double *b, uint32_t n);

#endif
