/* daemon/core/pfn_sort.h - pfns in ascending order, so that frames that go back to the lists lie in
 * rows that merge before they are listed, and what was freed twice lies side by side.
 *
 * By digits of 8 bits, least first: O(n) whatever a client put into its slots, no recursion, no
 * libc. A digit in which all agree costs one look, and a row that ascends already costs nothing
 * more than to see it. Few are sorted by insertion. */
#ifndef DAEMON_CORE_PFN_SORT_H
#define DAEMON_CORE_PFN_SORT_H
#include "paged/ids.h"

/* Sorts pfn[0..n). spare has room for as many and is overwritten. */
void pfn_sort(pfn_t *pfn, pfn_t *spare, uint32_t n);

#endif
