/* examples/zipf.c - see zipf.h: the sums of all weights up to each rank, and a bisection. */
#include "examples/zipf.h"

#include <math.h>
#include <stdlib.h>

/* Prime and above any nr, so that rank * SCATTER mod nr meets each block once. */
#define SCATTER UINT64_C(4294967311)

struct zipf {
	uint64_t state; /* of the generator */
	uint64_t shift;
	uint32_t nr;
	double sums[]; /* nr */
};

/* splitmix64: a counter, mixed. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

struct zipf *zipf_new(uint32_t nr, double skew, uint64_t seed)
{
	struct zipf *zipf = malloc(sizeof(*zipf) + nr * sizeof(zipf->sums[0]));
	double sum = 0;

	if (!zipf)
		return NULL;
	zipf->nr = nr;
	zipf->state = seed;
	zipf->shift = random_next(&zipf->state) % nr;
	for (uint32_t i = 0; i < nr; i++) {
		sum += pow((double)i + 1, -skew);
		zipf->sums[i] = sum;
	}
	return zipf;
}

void zipf_free(struct zipf *zipf)
{
	free(zipf);
}

uint32_t zipf_next(struct zipf *zipf)
{
	double unit = (double)(random_next(&zipf->state) >> 11) * 0x1p-53;
	double x = unit * zipf->sums[zipf->nr - 1];
	uint32_t low = 0, high = zipf->nr - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (zipf->sums[middle] <= x)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)((low * SCATTER + zipf->shift) % zipf->nr);
}
