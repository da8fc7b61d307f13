/* daemon/core/inspect.h - who holds a frame, and why reclaim has not taken it: looks that change
 * nothing.
 *
 * What the words of the map say is there at once. In which slot of a purge table a frame is, and
 * how many entries reclaim would take before it, nobody keeps: a search reads the tables of all
 * clients, twice, in slices, so that nobody waits for a curious administrator. The world goes on
 * between two slices, so the second number is an estimate, and the caller looks at the frame again
 * in the end.
 *
 * Everything read from CTL is a client's word: each entry and slot is loaded once, and only shown
 * (I10). Memory: the caller's. */
#ifndef DAEMON_CORE_INSPECT_H
#define DAEMON_CORE_INSPECT_H
#include "daemon/core/pool.h"

/* Lower: a client with many edges is not among those that are named. Higher: nobody reads them. */
#define INSPECT_SHARERS 4u
/* Slots of magazines that a look goes through, some 0.1 ms. Lower: more often it is not known
 * whether a frame lies in one; higher: others wait. */
#define INSPECT_SLOTS 65536u
#define INSPECT_SLICE 65536u /* entries of purge tables in one call; the same */

struct inspect_frame {
	pfn_t head; /* of its block */
	order_t order;
	uint32_t gen;
	enum page_state state;
	bool isolated; /* FREE, and being committed or punched */
	enum migratetype type;
	char zone[SHM_NAME_BYTES];
	client_id owner;    /* OWNED */
	uint32_t n_sharers; /* SHARED: clients with an edge; the first of them: */
	client_id sharer[INSPECT_SHARERS];
};
/* The block that holds pfn. BAD_PFN. */
int inspect_frame(const struct pool *pool, pfn_t pfn, struct inspect_frame *ret_frame);
/* Is it held by the same, still? */
bool inspect_is_same(const struct inspect_frame *a, const struct inspect_frame *b);

enum inspect_found {
	INSPECT_ABSENT,
	INSPECT_FOUND,
	INSPECT_UNKNOWN, /* there is too much to look at, or the client's CTL is not at hand */
};
/* Does the block lie in a magazine of its owner, as that stands now? */
enum inspect_found inspect_magazines(const struct pool *pool, const struct inspect_frame *frame,
				     uint32_t *ret_thread, uint32_t *ret_magazine);

/* An entry of a purge table. */
struct inspect_entry {
	client_id client;
	uint32_t slot;
	uint32_t pins;    /* nested */
	bool is_purged;   /* of a frame that is free or another's now, or about to be */
	uint32_t age;     /* generations since the last unpin, or since the purge */
	uint64_t cost_ns; /* of the client's frames, in force */
};

/* Where in all tables it is. */
struct inspect_search {
	struct inspect_frame frame;
	bool counting; /* the entry was found; what comes before it is counted */
	uint32_t client, slot;
	bool found;
	struct inspect_entry entry;
	uint64_t n_before; /* entries that reclaim takes first */
};
/* BAD_PFN. */
int inspect_begin(const struct pool *pool, pfn_t pfn, struct inspect_search *ret_search);
/* One slice; true: done. */
bool inspect_go_on(const struct pool *pool, struct inspect_search *search);

#endif
