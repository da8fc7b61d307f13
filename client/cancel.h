/* client/cancel.h - no call of the library is a cancellation point.
 *
 * A thread that were cancelled where it waits for the daemon would take with it what others need:
 * a lock, the turn to read for all, a call that is linked from its stack. So whatever may be a
 * point (POSIX: whatever may wait, and close()) runs with cancellation off, and a request to cancel
 * stays until the thread's own next point. A callback of the program runs in a call, so it is none
 * either. With PTHREAD_CANCEL_ASYNCHRONOUS no function of ours may be called, as none of libc's
 * but three. */
#ifndef CLIENT_CANCEL_H
#define CLIENT_CANCEL_H
#include <pthread.h>

static inline int cancel_disable(void)
{
	int before = PTHREAD_CANCEL_ENABLE;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void cancel_restore(const int *before)
{
	int unused;

	(void)pthread_setcancelstate(*before, &unused);
}

/* From here to the end of the block. */
#define CANCEL_OFF                                                                                 \
	__attribute__((cleanup(cancel_restore), unused)) const int cancel_before = cancel_disable()

#endif
