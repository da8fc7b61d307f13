/* client/panic.c - where a check of shm/ ends in a program that is not ours: one line, then
 * abort(). Only a bug of this library gets here; see paged/check.h. */
#include "paged/check.h"

#include <stdio.h>
#include <stdlib.h>

void paged_panic(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "libpageclient: bug: %s:%d: %s\n", file, line, what);
	abort();
}
