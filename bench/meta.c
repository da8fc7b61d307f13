/* bench/meta.c - see meta.h. */
#include "bench/meta.h"

#include "paged/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lower fails on a slow machine; higher only delays the news. */
#define WAIT_NS UINT64_C(10000000000)

/* What shm's checks end in. */
_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "bench: %s:%d: not true: %s\n", file, line, what);
	abort();
}

/* A nameless META (memfd) is among the daemon's descriptors. */
static int open_nameless(const struct fixture *fixture)
{
	char folder[64], link[PATH_MAX], part[64];
	DIR *directory;
	struct dirent *entry;
	int fd = -1;

	(void)snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)fixture->pid);
	(void)snprintf(part, sizeof(part), "paged-%s-meta", fixture->instance);
	directory = opendir(folder);
	if (!directory)
		return -errno;
	while (fd < 0 && (entry = readdir(directory)) != NULL) {
		ssize_t n = readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		if (strstr(link, part))
			fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
	}
	(void)closedir(directory);
	return fd < 0 ? -ENOENT : fd;
}

int meta_attach(struct bench *bench, const struct fixture *fixture, struct shm_view *ret_view)
{
	char name[64];
	int fd, r;

	(void)snprintf(name, sizeof(name), "/paged-%s-meta", fixture->instance);
	fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		fd = open_nameless(fixture);
	if (fd < 0)
		return bench_fail(bench, fd, "META of the daemon is not to be found: %s",
				  strerror(-fd));
	r = shm_view_attach(ret_view, fd, bench->text, sizeof(bench->text));
	(void)close(fd);
	return r;
}

int meta_wait_until_free(struct bench *bench, const struct shm_view *view)
{
	uint64_t begin = bench_now_ns();
	uint64_t n;

	while ((n = shm_view_counter(view, COUNTER_nr_owned)) != 0) {
		if (bench_now_ns() - begin > WAIT_NS)
			return bench_fail(bench, -ETIMEDOUT,
					  "%llu frames of clients that left are not free",
					  (unsigned long long)n);
		(void)sched_yield(); /* the daemon may need this CPU */
	}
	return 0;
}
