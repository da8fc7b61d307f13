/* tests/integration/counted.h - how often a process asked its heap for memory, or the kernel for
 * what a request is made of.
 *
 * counted.c replaces malloc() and its kin, and the calls that wait, send and receive, by ones that
 * count. It is part of the test's own program, and a library put before libc (LD_PRELOAD) for a
 * daemon, which then counts in a file that the test has mapped, too. A sanitizer brings a heap and
 * calls of its own: nothing is replaced then. */
#ifndef TESTS_INTEGRATION_COUNTED_H
#define TESTS_INTEGRATION_COUNTED_H
#include <stdint.h>

/* Names the file, which has room for a struct counted. */
#define COUNTED_FILE "PAGED_TEST_COUNTED"

struct counted {
	uint64_t mallocs;
	uint64_t calls;
};

/* Of this process, so far. */
struct counted counted_own(void);

#endif
