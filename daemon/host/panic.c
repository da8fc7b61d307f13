/* daemon/host/panic.c - the end of a daemon that found itself in the wrong.
 *
 * Only what is safe anywhere: no locks, no memory. The segment stays as it is; the next daemon
 * recovers it from the words and the journal, which are whole at every instruction. */
#include "paged/check.h"

#include <stdio.h>
#include <stdlib.h>

void paged_panic(const char *file, int line, const char *what)
{
	(void)dprintf(2, "paged: %s:%d: this must be true and is not: %s\n", file, line, what);
	abort();
}
