/* bench/bench_fault.c - see bench_fault.h. */
#include "bench/bench_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Lower: the system call that takes the pages away heats the caches for few faults. Higher: more
 * than a small cache's worth of page tables. */
#define PAGES 512u
#define PAGE_BYTES 4096u

/* Writes to all pages. Reads would map their neighbours with them. */
static uint64_t touch_all(volatile char *map)
{
	uint64_t begin = bench_now_ns();

	for (uint32_t i = 0; i < PAGES; i++)
		map[i * PAGE_BYTES] = 1;
	return bench_now_ns() - begin;
}

/* --- a memfd ------------------------------------------------------------------------------------
 */

struct fault_state {
	int fd;
	char *map;
};

int fault_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct fault_state *state = calloc(1, sizeof(*state));
	int r = 0;

	(void)benchmark;
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	state->map = MAP_FAILED;
	state->fd = memfd_create("bench-fault", MFD_CLOEXEC);
	if (state->fd >= 0 && ftruncate(state->fd, (off_t)PAGES * PAGE_BYTES) == 0)
		state->map = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_SHARED, state->fd, 0);
	if (state->map == MAP_FAILED) {
		r = bench_fail(bench, -errno, "a memfd: %s", strerror(errno));
		if (state->fd >= 0)
			(void)close(state->fd);
		free(state);
		return r;
	}
	(void)touch_all(state->map);
	*ret_state = state;
	return 0;
}

void fault_teardown(struct bench *bench, void *state)
{
	struct fault_state *fault = state;

	(void)bench;
	(void)munmap(fault->map, (size_t)PAGES * PAGE_BYTES);
	(void)close(fault->fd);
	free(fault);
}

int fault_run_unmapped(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample)
{
	struct fault_state *fault = state;
	struct sample sample = {0, n * PAGES};

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		if (madvise(fault->map, (size_t)PAGES * PAGE_BYTES, MADV_DONTNEED) < 0)
			return bench_fail(bench, -errno, "MADV_DONTNEED: %s", strerror(errno));
		sample.ns += touch_all(fault->map);
	}
	*ret_sample = sample;
	return 0;
}

int fault_run_punched(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample)
{
	struct fault_state *fault = state;
	struct sample sample = {0, n * PAGES};

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		if (fallocate(fault->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      (off_t)PAGES * PAGE_BYTES) < 0)
			return bench_fail(bench, -errno, "a hole: %s", strerror(errno));
		sample.ns += touch_all(fault->map);
	}
	*ret_sample = sample;
	return 0;
}

/* --- userfaultfd --------------------------------------------------------------------------------
 */

struct userfault_state {
	int fd, stop[2]; /* the thread ends when stop is closed */
	int cpu;
	char *map;
	char source[PAGE_BYTES];
	pthread_t thread;
};

/* The thread that rebuilds: every page is a copy of the source. */
static void *serve(void *arg)
{
	struct userfault_state *state = arg;
	struct pollfd wait[2] = {{.fd = state->fd, .events = POLLIN}, {.fd = state->stop[0]}};
	struct uffd_msg msg;

	(void)place_take(state->cpu);
	while (poll(wait, 2, -1) > 0 && wait[1].revents == 0) {
		struct uffdio_copy copy = {.src = (uintptr_t)state->source, .len = PAGE_BYTES};

		if (read(state->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		copy.dst = msg.arg.pagefault.address & ~(uint64_t)(PAGE_BYTES - 1);
		(void)ioctl(state->fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static int open_userfault(struct bench *bench, struct userfault_state *state)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)state->map, .len = (uint64_t)PAGES * PAGE_BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING};

	state->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (state->fd < 0)
		return bench_fail(bench, -EOPNOTSUPP, "userfaultfd(): %s", strerror(errno));
	if (ioctl(state->fd, UFFDIO_API, &api) < 0 || ioctl(state->fd, UFFDIO_REGISTER, &range) < 0)
		return bench_fail(bench, -EOPNOTSUPP, "userfaultfd does not take the memory: %s",
				  strerror(errno));
	return 0;
}

static void userfault_free(struct userfault_state *state)
{
	if (state->fd >= 0)
		(void)close(state->fd);
	if (state->map != MAP_FAILED)
		(void)munmap(state->map, (size_t)PAGES * PAGE_BYTES);
	if (state->stop[0] >= 0)
		(void)close(state->stop[0]);
	free(state);
}

int userfault_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct userfault_state *state = calloc(1, sizeof(*state));
	int r = 0;

	(void)benchmark;
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	state->fd = state->stop[0] = -1;
	state->cpu = bench->place.daemon_cpu;
	state->map = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state->map == MAP_FAILED || pipe2(state->stop, O_CLOEXEC) < 0)
		r = bench_fail(bench, -errno, "memory and a pipe: %s", strerror(errno));
	if (r == 0)
		r = open_userfault(bench, state);
	if (r == 0) {
		r = -pthread_create(&state->thread, NULL, serve, state);
		if (r < 0)
			r = bench_fail(bench, r, "a thread: %s", strerror(-r));
	}
	if (r < 0) {
		if (state->stop[0] >= 0)
			(void)close(state->stop[1]);
		userfault_free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void userfault_teardown(struct bench *bench, void *state)
{
	struct userfault_state *userfault = state;

	(void)bench;
	(void)close(userfault->stop[1]);
	(void)pthread_join(userfault->thread, NULL);
	userfault_free(userfault);
}

int userfault_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample)
{
	struct userfault_state *userfault = state;
	struct sample sample = {0, n * PAGES};

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		if (madvise(userfault->map, (size_t)PAGES * PAGE_BYTES, MADV_DONTNEED) < 0)
			return bench_fail(bench, -errno, "MADV_DONTNEED: %s", strerror(errno));
		sample.ns += touch_all(userfault->map);
	}
	*ret_sample = sample;
	return 0;
}
