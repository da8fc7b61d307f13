/* daemon/core/buddy.h - the buddy allocator over mem_map: free lists per zone, order and
 * migratetype.
 *
 * A FREE block is on the list of its order and of the type of its first pageblock. HOLE is such a
 * type: a pageblock without memory behind it. Two buddies merge only if both are holes or neither
 * is, so every block is all committed or all hole, and the frames of a HOLE block are never handed
 * out, only committed (buddy_isolate_hole).
 *
 * Crash order (DESIGN section 3): a split writes the upper halves' heads, invisible inside the
 * block, before the lower head, whose store commits; a merge stores the lower head with order + 1,
 * which commits, before the upper becomes TAIL. Between two calls, and after a crash in any, heads
 * tile every zone (I4).
 *
 * A block taken is still FREE, of the order asked for, and on no list: the caller makes it OWNED by
 * the journal or gives it back. Nothing else may run in between, or a merge could meet it.
 *
 * No memory of its own but the list heads; the counts live in META's shm_zone, where everybody can
 * read them. */
#ifndef DAEMON_CORE_BUDDY_H
#define DAEMON_CORE_BUDDY_H
#include "daemon/core/page.h"

struct buddy {
	struct shm_page *map;
	uint8_t *pageblocks;
	struct shm_zone *zones;
	uint32_t nr_zones;
	uint32_t nr_frames;
	pfn_t lists[SHM_MAX_ZONES][ORDER_COUNT][MIGRATE_TYPES];
	/* What is freed from there on goes out of use (offline.c); a zone's end: nothing does. */
	pfn_t offline_from[SHM_MAX_ZONES];
	uint64_t nr_reserved[SHM_MAX_ZONES]; /* frames out of use, */
	pfn_t reserved_from[SHM_MAX_ZONES];  /* none of them below that */
	pfn_t to_punch;                      /* list of RESERVED blocks that have memory */
	const uint8_t *map_ready;            /* of each 1 << ORDER_MAX frames; NULL: all */
};

/* Empty lists over the given tables; zones say where they start and end. */
void buddy_init(struct buddy *buddy, struct shm_page *map, uint8_t *pageblocks,
		struct shm_zone *zones, uint32_t nr_zones, uint32_t nr_frames);

/* May the block of `order` at pfn merge with its buddy, if both are in that state? */
bool buddy_can_merge(const struct buddy *buddy, uint32_t zone, pfn_t pfn, order_t order,
		     enum page_state state);

/* Largest order of a block that starts at pfn, is aligned and ends by end. */
order_t buddy_fit(pfn_t pfn, pfn_t end);

uint32_t buddy_zone_of(const struct buddy *buddy, pfn_t pfn);
enum migratetype buddy_type(const struct buddy *buddy, pfn_t pfn);

/* Puts a FREE head on its list, or takes it off, with the counts. */
void buddy_insert(struct buddy *buddy, pfn_t pfn);
void buddy_remove(struct buddy *buddy, pfn_t pfn);

/* A FREE head that is on no list goes on its list, merged with its buddies as far as they go; or
 * out of use, where offline_from says so. */
void buddy_give(struct buddy *buddy, pfn_t pfn);
/* The same for n of them, in any order; those that lie in a row cost less. None is on a list, and
 * nothing else was given or taken since they became FREE. pfn is overwritten. */
void buddy_give_many(struct buddy *buddy, pfn_t *pfn, uint32_t n);
/* The same as buddy_give() for one that is on its list already; nothing changes if its buddy is not
 * free. Returns the head of the block that it is part of now. */
pfn_t buddy_merge(struct buddy *buddy, pfn_t pfn);

/* A committed block of order `order` from zone. `type`'s own lists first, smallest block first;
 * then the largest block of the other committed type, whose pageblocks change type if it has whole
 * ones. false: there is none. */
bool buddy_take(struct buddy *buddy, uint32_t zone, order_t order, enum migratetype type,
		pfn_t *ret_pfn);

/* As buddy_take, but takes what it finds whole, up to order_max: for grants. The block comes as 1
 * << (result - order) heads of `order`, one after the other from *ret_pfn on; *ret_n says how many.
 */
bool buddy_take_row(struct buddy *buddy, uint32_t zone, order_t order, order_t order_max,
		    enum migratetype type, pfn_t *ret_pfn, uint32_t *ret_n);

/* The smallest HOLE block of at least `order`, left where it is. */
bool buddy_find_hole(const struct buddy *buddy, uint32_t zone, order_t order, pfn_t *ret_pfn);
/* Takes the HOLE block at pfn, which is on its list, off it and marks it ISOLATED. It still counts
 * as free. */
void buddy_isolate(struct buddy *buddy, pfn_t pfn);
/* The same with the first 1 << order frames of it; the rest stays on the lists. */
void buddy_isolate_part(struct buddy *buddy, pfn_t pfn, order_t order);
/* The first 1 << order frames of the committed FREE block at pfn, whole pageblocks of it, become an
 * ISOLATED hole; the rest stays on the lists. */
void buddy_vacate(struct buddy *buddy, pfn_t pfn, order_t order);
/* An ISOLATED block is given back; its pageblocks have the type that they are to have by now. */
void buddy_unisolate(struct buddy *buddy, pfn_t pfn);
/* All frames of the pageblock that holds pfn get the type; FREE blocks in it move to its list. */
void buddy_set_type(struct buddy *buddy, pfn_t pfn, enum migratetype type);

/* --- offline.c: frames that are in use, or wait for a resize -----------------------------------
 */

/* The FREE head at pfn, on no list, is RESERVED from here on, merged with its like. */
void buddy_reserve(struct buddy *buddy, uint32_t zone, pfn_t pfn);
/* The RESERVED head at pfn, which is not ISOLATED, is FREE again. */
void buddy_unreserve(struct buddy *buddy, uint32_t zone, pfn_t pfn);
/* The RESERVED head at pfn is on to_punch no more. */
void buddy_unlist(struct buddy *buddy, pfn_t pfn);
/* The FREE or RESERVED head at pfn, on no list, reaches over offline_from of its zone and its
 * mem_map has memory: it becomes a row of heads, each on its side and where it belongs there. */
void buddy_divide(struct buddy *buddy, uint32_t zone, pfn_t pfn);
/* A RESERVED head that the walk of recovery meets: counted, and punched if it has memory. */
void buddy_take_in_reserved(struct buddy *buddy, uint32_t zone, pfn_t pfn);
/* Takes a RESERVED block off to_punch: it is ISOLATED, a hole, and the shell may punch it.
 * *committed falls by what it had. false: there is none. */
bool buddy_begin_punch(struct buddy *buddy, order_t order_max, uint64_t *committed, pfn_t *ret_pfn,
		       order_t *ret_order);
/* That is done, or failed. */
void buddy_end_punch(struct buddy *buddy, pfn_t pfn);

#endif
