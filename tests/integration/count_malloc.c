/* tests/integration/count_malloc.c - see count_malloc.h. */
#include "tests/integration/count_malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t own_count;
static uint64_t *counter = &own_count;

uint64_t count_malloc(void)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
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
	const char *name = getenv(COUNT_MALLOC_FILE);
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		counter = map;
	if (fd >= 0)
		(void)close(fd);
}

static void count(void)
{
	(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
	count();
	return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	count();
	return __libc_calloc(n, bytes);
}

void *realloc(void *from, size_t bytes)
{
	count();
	return __libc_realloc(from, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	count();
	return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
	void *memory = __libc_memalign(alignment, bytes);

	count();
	if (!memory)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}
#pragma GCC visibility pop
#endif
