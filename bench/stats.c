/* bench/stats.c - see stats.h. */
#include "bench/stats.h"

#include "bench/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct summary stats_summarize(const double *value, uint32_t n)
{
	double sorted[OPTIONS_MAX_ROUNDS];

	assert(n >= 1 && n <= OPTIONS_MAX_ROUNDS);
	memcpy(sorted, value, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return (struct summary){
		.median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
		.min = sorted[0],
		.max = sorted[n - 1],
	};
}

struct summary stats_compare(const double *a, const double *b, uint32_t n)
{
	double ratio[OPTIONS_MAX_ROUNDS];

	assert(n >= 1 && n <= OPTIONS_MAX_ROUNDS);
	for (uint32_t i = 0; i < n; i++)
		ratio[i] = a[i] / b[i];
	return stats_summarize(ratio, n);
}
