/* tests/fault/shim.c - what is put into a program with LD_PRELOAD: does this call fail?
 *
 * The control word is mapped before main() and after the constructors of all libraries, which are
 * not counted. The decision takes no lock and no memory: it is made inside malloc() and in signal
 * handlers. What finds out where the failing call came from may call the functions that we stand
 * before; those calls are let through. */
#include "tests/fault/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A library that stands between a program and libc has nowhere else to keep what it knows. */
static struct {
	struct inject_control *control;
	enum inject_role role;
	uint32_t generation;
} shim;

static __thread bool is_inside __attribute__((tls_model("initial-exec")));

void *shim_next(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (!next)
		abort(); /* not the libc that this was built for */
	return next;
}

/* "library+0x123" of a return address; "" if that is nowhere. */
static void describe(void *frame, char ret_text[INJECT_WHERE_BYTES])
{
	const char *base;
	Dl_info info;

	ret_text[0] = '\0';
	if (!dladdr(frame, &info) || !info.dli_fname)
		return;
	base = strrchr(info.dli_fname, '/');
	(void)snprintf(ret_text, INJECT_WHERE_BYTES, "%.40s+0x%lx",
		       base ? base + 1 : info.dli_fname,
		       (unsigned long)((char *)frame - (char *)info.dli_fbase) - 1);
}

/* Ours, libc's and the loader's, which allocates for pthread_create(). */
static bool is_below(const char *where)
{
	return strncmp(where, "libfault", 8) == 0 || strncmp(where, "libc.so", 7) == 0 ||
	       strncmp(where, "ld-linux", 8) == 0;
}

static void note_where(struct inject_control *control, bool is_first)
{
	void *frames[INJECT_DEPTH + 2] = {NULL};
	int n = backtrace(frames, INJECT_DEPTH + 2);
	bool found = false;

	for (int i = 2; i < n; i++) {
		char where[INJECT_WHERE_BYTES];

		describe(frames[i], where);
		if (is_first)
			memcpy(control->where[i - 2], where, sizeof(where));
		if (found || is_below(where))
			continue;
		found = true;
		if (strncmp(where, "libuv", 5) == 0)
			(void)__atomic_add_fetch(&control->n_libuv, 1, __ATOMIC_RELAXED);
	}
}

static bool is_target(const struct inject_control *control, enum inject_function function,
		      uint32_t n)
{
	return control->n && control->role == (uint32_t)shim.role &&
	       control->function == (uint32_t)function &&
	       (n == control->n || (n > control->n && control->ever));
}

bool shim_hits(enum inject_function function)
{
	struct inject_control *control = shim.control;
	uint32_t n;

	if (!control || is_inside || !__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE) ||
	    (shim.role == INJECT_FORKED && shim.generation < control->from_generation))
		return false;
	n = __atomic_add_fetch(&control->n_calls[shim.role][function], 1, __ATOMIC_RELAXED);
	if (!is_target(control, function, n))
		return false;
	is_inside = true;
	note_where(control, __atomic_add_fetch(&control->n_failed, 1, __ATOMIC_RELAXED) == 1);
	is_inside = false;
	errno = control->error;
	return true;
}

void shim_let_through(bool let)
{
	is_inside = let;
}

void shim_before_fork(void)
{
	if (shim.control)
		(void)__atomic_add_fetch(&shim.control->generation, 1, __ATOMIC_RELAXED);
}

void shim_forked(void)
{
	if (!shim.control)
		return;
	shim.role = INJECT_FORKED;
	shim.generation = __atomic_load_n(&shim.control->generation, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void map_control(void)
{
	const char *path = getenv(INJECT_ENVIRONMENT);
	void *frames[2];
	void *map;
	int fd;

	(void)backtrace(frames, 2); /* its first call loads a library */
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(struct inject_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	shim.control = map == MAP_FAILED ? NULL : map;
}
