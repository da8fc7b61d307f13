/* tests/fault/shim.h - the two halves of the shim: shim.c decides, shim_calls.c has the functions.
 */
#ifndef TESTS_FAULT_SHIM_H
#define TESTS_FAULT_SHIM_H
#include "tests/fault/inject.h"

#include <stdbool.h>

/* Counts a call. True: it is to fail, errno is set. */
bool shim_hits(enum inject_function function);
/* The function of that name behind us. */
void *shim_next(const char *name);
/* What this thread calls from now on is neither counted nor fails. */
void shim_let_through(bool let);
/* Around fork(). */
void shim_before_fork(void);
void shim_forked(void);

#endif
