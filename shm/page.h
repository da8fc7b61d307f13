/* shm/page.h - struct page: 16 bytes per frame, and the word that is its authority.
 *
 *   bits  0..3   state    enum page_state
 *         4..8   order    0..18, of the block that this frame heads
 *         9..15  flags    PAGE_ISOLATED
 *        16..31  owner    client id where the state is OWNED, else 0
 *        32..63  gen      of the frame: FREE -> OWNED increments it, TAIL keeps it, nothing resets
 * it
 *
 * One aligned 8-byte store of a word is one commit: there is no moment at which a block is half
 * owned. Only the word of a block's head means anything; the map is read by walking heads, pfn += 1
 * << order. An interior word is TAIL or a stale FREE, never OWNED or SHARED, so a pfn that a client
 * names counts exactly if its word says OWNED by that client (I3).
 *
 * The links are prev and next pfn in the one list that the block is on: a free list or its owner's
 * list. They are derived: recovery rebuilds them from the words, so nobody needs to keep them right
 * across a crash. */
#ifndef SHM_PAGE_H
#define SHM_PAGE_H
#include "paged/ids.h"

#include <assert.h>
#include <stdint.h>

#define PAGE_STATES(X)                                                                             \
	X(TAIL, "tail")                                                                            \
	X(FREE, "free")                                                                            \
	X(OWNED, "owned")                                                                          \
	X(SHARED, "shared")                                                                        \
	X(RESERVED, "reserved")                                                                    \
	X(BAD, "bad")

enum page_state {
#define X(name, text) PAGE_##name,
	PAGE_STATES(X)
#undef X
		PAGE_NR_STATES
};

/* The block is off the lists while the shell commits or punches its pageblock. A FREE one loses the
 * flag at recovery; a RESERVED one is punched again (daemon/core/offline.c). */
#define PAGE_ISOLATED 1u

struct shm_page {
	uint64_t word;
	uint32_t prev;
	uint32_t next;
};
static_assert(sizeof(struct shm_page) == 16, "mem_map is 16 bytes per frame");

struct page_word {
	enum page_state state;
	order_t order;
	uint32_t flags;
	client_id owner;
	uint32_t gen;
};

static inline uint64_t page_word_pack(struct page_word w)
{
	return (uint64_t)w.state | (uint64_t)w.order << 4 | (uint64_t)w.flags << 9 |
	       (uint64_t)w.owner << 16 | (uint64_t)w.gen << 32;
}

/* Total: an impossible state or order in a damaged map comes out as it is and is the caller's to
 * judge. */
static inline struct page_word page_word_unpack(uint64_t bits)
{
	return (struct page_word){
		.state = (enum page_state)(bits & 15u),
		.order = (order_t)(bits >> 4 & 31u),
		.flags = (uint32_t)(bits >> 9 & 127u),
		.owner = (client_id)(bits >> 16 & 0xffffu),
		.gen = (uint32_t)(bits >> 32),
	};
}

/* "?" for a number that is no state. */
const char *page_state_name(enum page_state state);

#endif
