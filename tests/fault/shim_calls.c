/* tests/fault/shim_calls.c - the functions that stand before those of libc; faults.def has the
 * list.
 *
 * A program or library that was built with large files calls fcntl64() and the like, which are the
 * same on our machines. */
#include "tests/fault/shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

/* NAME as libc has it; what it returns if it fails; which row of the list it counts as. */
#define INJECT_AS(row, type, failed, name, parameters, arguments)                                  \
	PUBLIC type name parameters                                                                \
	{                                                                                          \
		static type(*next) parameters;                                                     \
                                                                                                   \
		if (shim_hits(INJECT_##row))                                                       \
			return failed;                                                             \
		if (!next)                                                                         \
			*(void **)(&next) = shim_next(#name);                                      \
		return next arguments;                                                             \
	}
#define INJECT(type, failed, name, parameters, arguments)                                          \
	INJECT_AS(name, type, failed, name, parameters, arguments)

/* --- memory: libc's own names, because dlsym() itself may want some ------------------------- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

PUBLIC void *malloc(size_t n)
{
	return shim_hits(INJECT_malloc) ? NULL : __libc_malloc(n);
}

PUBLIC void *calloc(size_t n, size_t bytes)
{
	return shim_hits(INJECT_calloc) ? NULL : __libc_calloc(n, bytes);
}

PUBLIC void *realloc(void *old, size_t n)
{
	return shim_hits(INJECT_realloc) ? NULL : __libc_realloc(old, n);
}

PUBLIC void *aligned_alloc(size_t alignment, size_t n)
{
	return shim_hits(INJECT_aligned_alloc) ? NULL : __libc_memalign(alignment, n);
}

PUBLIC int posix_memalign(void **ret_block, size_t alignment, size_t n)
{
	void *block = shim_hits(INJECT_aligned_alloc) ? NULL : __libc_memalign(alignment, n);

	if (!block)
		return ENOMEM;
	*ret_block = block;
	return 0;
}

/* --- files ---------------------------------------------------------------------------------- */

#define OPEN_ARGUMENT(flags, ret_mode)                                                             \
	do {                                                                                       \
		va_list list;                                                                      \
                                                                                                   \
		va_start(list, flags);                                                             \
		ret_mode = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;           \
		va_end(list);                                                                      \
	} while (0)

PUBLIC int open(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_ARGUMENT(flags, mode);
	return shim_hits(INJECT_open) ? -1 : openat(AT_FDCWD, path, flags, mode);
}

PUBLIC int open64(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_ARGUMENT(flags, mode);
	return shim_hits(INJECT_open) ? -1 : openat(AT_FDCWD, path, flags, mode);
}

static int fcntl_to_next(int fd, int command, void *argument)
{
	static int (*next)(int fd, int command, ...);

	if (shim_hits(INJECT_fcntl))
		return -1;
	if (!next)
		*(void **)(&next) = shim_next("fcntl");
	return next(fd, command, argument);
}

PUBLIC int fcntl(int fd, int command, ...)
{
	void *argument;
	va_list list;

	va_start(list, command);
	argument = va_arg(list, void *);
	va_end(list);
	return fcntl_to_next(fd, command, argument);
}

PUBLIC int fcntl64(int fd, int command, ...)
{
	void *argument;
	va_list list;

	va_start(list, command);
	argument = va_arg(list, void *);
	va_end(list);
	return fcntl_to_next(fd, command, argument);
}

static int close_then_fail(int fd)
{
	static int (*next)(int fd);
	bool fails = shim_hits(INJECT_close);
	int error = errno;
	int r;

	if (!next)
		*(void **)(&next) = shim_next("close");
	r = next(fd);
	if (!fails)
		return r;
	errno = error;
	return -1;
}

PUBLIC int close(int fd)
{
	return close_then_fail(fd);
}

/* Pipes and the descriptors of events have no file behind them that could fail. */
static bool has_file(int fd)
{
	struct stat st;

	return fstatat(fd, "", &st, AT_EMPTY_PATH) < 0 || S_ISREG(st.st_mode) ||
	       S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode);
}

PUBLIC ssize_t read(int fd, void *bytes, size_t n)
{
	static ssize_t (*next)(int fd, void *bytes, size_t n);

	if (shim_hits(has_file(fd) ? INJECT_read : INJECT_pipe_read))
		return -1;
	if (!next)
		*(void **)(&next) = shim_next("read");
	return next(fd, bytes, n);
}

PUBLIC ssize_t write(int fd, const void *bytes, size_t n)
{
	static ssize_t (*next)(int fd, const void *bytes, size_t n);

	if (shim_hits(has_file(fd) ? INJECT_write : INJECT_pipe_write))
		return -1;
	if (!next)
		*(void **)(&next) = shim_next("write");
	return next(fd, bytes, n);
}

/* The libraries that libc loads for it do not survive every failure of their own: they are let
 * through. */
PUBLIC struct group *getgrnam(const char *name)
{
	static struct group *(*next)(const char *name);
	struct group *group;

	if (shim_hits(INJECT_getgrnam))
		return NULL;
	if (!next)
		*(void **)(&next) = shim_next("getgrnam");
	shim_let_through(true);
	group = next(name);
	shim_let_through(false);
	return group;
}

INJECT(int, -1, chmod, (const char *path, mode_t mode), (path, mode))
INJECT(int, -1, chown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
INJECT(int, -1, dup3, (int from, int to, int flags), (from, to, flags))
INJECT(int, -1, fallocate, (int fd, int mode, off_t offset, off_t n), (fd, mode, offset, n))
INJECT(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
INJECT(int, -1, flock, (int fd, int operation), (fd, operation))
INJECT(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
INJECT(int, -1, fstat, (int fd, struct stat *st), (fd, st))
INJECT(int, -1, fstatfs, (int fd, struct statfs *fs), (fd, fs))
INJECT(int, -1, ftruncate, (int fd, off_t n), (fd, n))
INJECT(ssize_t, -1, getline, (char **line, size_t *n, FILE *file), (line, n, file))
INJECT(int, -1, lstat, (const char *path, struct stat *st), (path, st))
INJECT(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
INJECT(int, -1, pipe2, (int fds[2], int flags), (fds, flags))
INJECT(ssize_t, -1, pread, (int fd, void *bytes, size_t n, off_t offset), (fd, bytes, n, offset))
INJECT(ssize_t, -1, pwrite, (int fd, const void *bytes, size_t n, off_t offset),
       (fd, bytes, n, offset))
INJECT(ssize_t, -1, readlink, (const char *path, char *text, size_t n), (path, text, n))
INJECT(char *, NULL, realpath, (const char *path, char *real), (path, real))
INJECT(int, -1, renameat2,
       (int from_fd, const char *from, int to_fd, const char *to, unsigned int flags),
       (from_fd, from, to_fd, to, flags))
INJECT(int, -1, scandir,
       (const char *path, struct dirent ***list, int (*filter)(const struct dirent *entry),
	int (*compare)(const struct dirent **a, const struct dirent **b)),
       (path, list, filter, compare))
INJECT(int, -1, shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode))
INJECT(int, -1, shm_unlink, (const char *name), (name))
INJECT(int, -1, stat, (const char *path, struct stat *st), (path, st))
INJECT(int, -1, statvfs, (const char *path, struct statvfs *fs), (path, fs))
INJECT(int, -1, unlink, (const char *path), (path))

/* --- mappings ------------------------------------------------------------------------------- */

INJECT(int, -1, madvise, (void *at, size_t n, int advice), (at, n, advice))
INJECT(int, -1, memfd_create, (const char *name, unsigned int flags), (name, flags))
INJECT(void *, MAP_FAILED, mmap,
       (void *at, size_t n, int protection, int flags, int fd, off_t offset),
       (at, n, protection, flags, fd, offset))
INJECT(int, -1, mprotect, (void *at, size_t n, int protection), (at, n, protection))
INJECT(int, -1, munmap, (void *at, size_t n), (at, n))

/* --- sockets and events --------------------------------------------------------------------- */

INJECT(int, -1, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *restrict n, int flags),
       (fd, address, n, flags))
INJECT(int, -1, bind, (int fd, __CONST_SOCKADDR_ARG address, socklen_t n), (fd, address, n))
INJECT(int, -1, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t n), (fd, address, n))
INJECT(int, -1, epoll_create1, (int flags), (flags))
INJECT(int, -1, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event),
       (set, operation, fd, event))
INJECT(int, -1, epoll_pwait,
       (int set, struct epoll_event *events, int n, int ms, const sigset_t *mask),
       (set, events, n, ms, mask))
INJECT(int, -1, epoll_wait, (int set, struct epoll_event *events, int n, int ms),
       (set, events, n, ms))
INJECT(int, -1, eventfd, (unsigned int n, int flags), (n, flags))
INJECT(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *n),
       (fd, level, name, value, n))
INJECT(int, -1, listen, (int fd, int n), (fd, n))
INJECT(int, -1, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
INJECT(ssize_t, -1, recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags))
INJECT(ssize_t, -1, recvmsg, (int fd, struct msghdr *packet, int flags), (fd, packet, flags))
INJECT(ssize_t, -1, send, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags))
INJECT(ssize_t, -1, sendmsg, (int fd, const struct msghdr *packet, int flags), (fd, packet, flags))
INJECT(int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
       (fd, level, name, value, n))
INJECT(int, -1, shutdown, (int fd, int how), (fd, how))
INJECT(int, -1, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
INJECT(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
INJECT(int, -1, socketpair, (int domain, int type, int protocol, int fds[2]),
       (domain, type, protocol, fds))
INJECT(int, -1, timerfd_create, (clockid_t clock, int flags), (clock, flags))

/* --- processes ------------------------------------------------------------------------------ */

PUBLIC pid_t fork(void)
{
	static pid_t (*next)(void);
	pid_t pid;

	if (shim_hits(INJECT_fork))
		return -1;
	if (!next)
		*(void **)(&next) = shim_next("fork");
	shim_before_fork();
	pid = next();
	if (pid == 0)
		shim_forked();
	return pid;
}

PUBLIC int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
			  void *(*body)(void *arg), void *restrict arg)
{
	static int (*next)(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
			   void *(*body)(void *arg), void *restrict arg);

	if (shim_hits(INJECT_pthread_create))
		return errno;
	if (!next)
		*(void **)(&next) = shim_next("pthread_create");
	return next(thread, attributes, body, arg);
}

INJECT(ssize_t, -1, getrandom, (void *bytes, size_t n, unsigned int flags), (bytes, n, flags))
INJECT(int, -1, pidfd_open, (pid_t pid, unsigned int flags), (pid, flags))
INJECT(int, -1, setrlimit, (__rlimit_resource_t what, const struct rlimit *limit), (what, limit))
INJECT(pid_t, -1, waitpid, (pid_t pid, int *status, int options), (pid, status, options))

#define SYSCALL_ARGUMENTS 6u

PUBLIC long syscall(long number, ...)
{
	static long (*next)(long number, ...);
	long a[SYSCALL_ARGUMENTS];
	va_list list;

	va_start(list, number);
	for (unsigned int i = 0; i < SYSCALL_ARGUMENTS; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_close)
		return close_then_fail((int)a[0]);
	if (number == SYS_membarrier && shim_hits(INJECT_membarrier))
		return -1;
	if (!next)
		*(void **)(&next) = shim_next("syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
