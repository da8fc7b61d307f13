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
};

/* Empty lists over the given tables; zones say where they start and end. */
void buddy_init(struct buddy *buddy, struct shm_page *map, uint8_t *pageblocks,
		struct shm_zone *zones, uint32_t nr_zones, uint32_t nr_frames);

/* Largest order of a block that starts at pfn, is aligned and ends by end. */
order_t buddy_fit(pfn_t pfn, pfn_t end);

uint32_t buddy_zone_of(const struct buddy *buddy, pfn_t pfn);
enum migratetype buddy_type(const struct buddy *buddy, pfn_t pfn);

/* Puts a FREE head on its list, or takes it off, with the counts. */
void buddy_insert(struct buddy *buddy, pfn_t pfn);
void buddy_remove(struct buddy *buddy, pfn_t pfn);

/* A FREE head that is on no list goes on its list, merged with its buddies as far as they go. */
void buddy_give(struct buddy *buddy, pfn_t pfn);

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
/* An ISOLATED block is given back; its pageblocks have the type that they are to have by now. */
void buddy_unisolate(struct buddy *buddy, pfn_t pfn);
/* All frames of the pageblock that holds pfn get the type; FREE blocks in it move to its list. */
void buddy_set_type(struct buddy *buddy, pfn_t pfn, enum migratetype type);

#endif
