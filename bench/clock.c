/* bench/clock.c - bench_now_ns(), see bench.h. */
#include "bench/bench.h"

#include <time.h>

uint64_t bench_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
