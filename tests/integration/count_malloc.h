/* tests/integration/count_malloc.h - how often a process asked its heap for memory.
 *
 * count_malloc.c replaces malloc() and its kin by ones that count. It is part of the test's own
 * program, and a library put before libc (LD_PRELOAD) for a daemon, which then counts in a file
 * that the test has mapped, too. A sanitizer brings a heap of its own: nothing is replaced then. */
#ifndef TESTS_INTEGRATION_COUNT_MALLOC_H
#define TESTS_INTEGRATION_COUNT_MALLOC_H
#include <stdint.h>

/* Names the file, of at least 8 bytes. */
#define COUNT_MALLOC_FILE "PAGED_TEST_COUNT_MALLOC"

/* Of this process, so far. */
uint64_t count_malloc(void);

#endif
