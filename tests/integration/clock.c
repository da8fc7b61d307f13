/* tests/integration/clock.c - see clock.h. */
#include "tests/integration/clock.h"

#include <poll.h>
#include <stddef.h>
#include <time.h>

uint64_t clock_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_until(uint32_t ms)
{
	return clock_now_ms() + ms;
}

int clock_left_ms(uint64_t until_ms)
{
	uint64_t now = clock_now_ms();

	return now < until_ms ? (int)(until_ms - now) : 0;
}

bool clock_pause(uint64_t until_ms)
{
	if (clock_now_ms() >= until_ms)
		return false;
	(void)poll(NULL, 0, 1);
	return true;
}
