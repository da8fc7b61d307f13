/* bench/slices.c - see slices.h. */
#include "bench/slices.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct slices slices_of(uint64_t n)
{
	return (struct slices){.n = n};
}

uint64_t slices_next(struct slices *slices)
{
	if (slices->some > 0)
		slices->ns[slices->n_done++] =
			(double)(now_ns() - slices->begin_ns) / (double)slices->some;
	slices->some = 0;
	/* With n below SLICES some of them are empty. */
	while (slices->some == 0 && slices->next < SLICES) {
		uint64_t done = slices->n * slices->next / SLICES;

		slices->some = slices->n * ++slices->next / SLICES - done;
	}
	slices->begin_ns = now_ns();
	return slices->some;
}

struct sample slices_sum(struct slices *slices)
{
	uint32_t n = slices->n_done;
	double median;

	assert(n > 0 && slices->some == 0);
	qsort(slices->ns, n, sizeof(*slices->ns), compare);
	median = (slices->ns[(n - 1) / 2] + slices->ns[n / 2]) / 2;
	return (struct sample){(uint64_t)(median * (double)slices->n), slices->n};
}
