/* paged/ids.h - the numbers that everything else is named by.
 *
 * A frame is named by its page frame number (pfn): 32 bits, 0 is the first frame of DATA. A block
 * is 1 << order frames, aligned to its size, and named by the pfn of its first frame, its head. A
 * client is named by its slot in the client table, 1 to SHM_MAX_CLIENTS; 0 is nobody. */
#ifndef PAGED_IDS_H
#define PAGED_IDS_H
#include <stdint.h>

typedef uint32_t pfn_t;
typedef uint32_t order_t;

#define PFN_NONE                                                                                   \
	UINT32_MAX /* ends a list; never a frame: the last pfn of a 16 TiB segment is one less */

/* Lower: large blocks (and contiguous runs for huge pages) cannot be expressed. Higher: the heads
 * of an untouched segment get fewer, but a descent to the head of a block (page_head) and a split
 * get longer. 18 is 1 GiB at 4 KiB. */
#define ORDER_MAX 18u
#define ORDER_COUNT (ORDER_MAX + 1u)

/* The unit of commit and of migratetype: 2 MiB at 4 KiB, one huge page. Lower: more system calls
 * for a commit and no huge pages. Higher: the first frame costs more memory than a huge page. */
#define PAGEBLOCK_ORDER 9u
#define PAGEBLOCK_FRAMES (1u << PAGEBLOCK_ORDER)

typedef uint32_t client_id; /* 0: nobody */
#define CLIENT_NONE 0u

#endif
