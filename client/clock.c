/* client/clock.c - deadlines on CLOCK_MONOTONIC, and the two ways to wait for one. */
#include "client/client_private.h"

#include "client/cancel.h"
#include "paged/bits.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
/* Longest single poll(); a longer wait is several. Only has to fit an int. */
#define POLL_MAX_MS UINT64_C(3600000)

uint64_t clock_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_deadline_ns(uint64_t timeout_ms)
{
	return timeout_ms >= UINT32_MAX ? UINT64_MAX : clock_now_ns() + timeout_ms * NS_PER_MS;
}

static int clock_left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns();

	if (deadline_ns <= now)
		return 0;
	return (int)bits_min((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS, POLL_MAX_MS);
}

int clock_poll(int fd, short events, uint64_t deadline_ns)
{
	CANCEL_OFF;
	for (;;) {
		struct pollfd item = {.fd = fd, .events = events};
		int left = clock_left_ms(deadline_ns);
		int n = poll(&item, 1, left);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && left == 0)
			return -ETIMEDOUT;
	}
}

int clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
	CANCEL_OFF;
	struct timespec at = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
			      .tv_nsec = (long)(deadline_ns % NS_PER_S)};

	if (deadline_ns == UINT64_MAX)
		return -pthread_cond_wait(cond, lock);
	return -pthread_cond_timedwait(cond, lock, &at);
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;

	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}
