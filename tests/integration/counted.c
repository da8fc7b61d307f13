/* tests/integration/counted.c - see counted.h. */
#include "tests/integration/counted.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct counted own;
static struct counted *counted = &own;

static uint64_t load(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED); /* a number alone */
}

struct counted counted_own(void)
{
	return (struct counted){load(&counted->mallocs), load(&counted->calls)};
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#pragma GCC visibility push(default)
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *from, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

/* In the child of a fork it goes on in the same file: the server's is its supervisor's, too. */
__attribute__((constructor)) static void count_in_file(void)
{
	const char *name = getenv(COUNTED_FILE);
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		counted = map;
	if (fd >= 0)
		(void)close(fd);
}

static void count(uint64_t *counter)
{
	(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* --- the heap --- */

void *malloc(size_t bytes)
{
	count(&counted->mallocs);
	return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	count(&counted->mallocs);
	return __libc_calloc(n, bytes);
}

void *realloc(void *from, size_t bytes)
{
	count(&counted->mallocs);
	return __libc_realloc(from, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	count(&counted->mallocs);
	return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
	void *memory = __libc_memalign(alignment, bytes);

	count(&counted->mallocs);
	if (!memory)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}

/* --- the kernel --- */

/* Defines the call, which counts and does what libc's does. */
#define CALL(type, name, parameters, arguments)                                                    \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*next) parameters;                                                     \
                                                                                                   \
		if (!next)                                                                         \
			*(void **)(&next) = dlsym(RTLD_NEXT, #name);                               \
		count(&counted->calls);                                                            \
		return next arguments;                                                             \
	}
CALL(int, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event),
     (set, operation, fd, event))
CALL(int, epoll_wait, (int set, struct epoll_event *events, int n, int ms), (set, events, n, ms))
CALL(int, epoll_pwait, (int set, struct epoll_event *events, int n, int ms, const sigset_t *mask),
     (set, events, n, ms, mask))
CALL(int, getrusage, (__rusage_who_t who, struct rusage *usage), (who, usage))
CALL(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
CALL(ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n))
CALL(ssize_t, recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags))
CALL(ssize_t, recvmsg, (int fd, struct msghdr *packet, int flags), (fd, packet, flags))
CALL(ssize_t, send, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *packet, int flags), (fd, packet, flags))
CALL(int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *value, struct itimerspec *old),
     (fd, flags, value, old))
CALL(ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
#pragma GCC visibility pop
#endif
