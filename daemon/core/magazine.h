/* daemon/core/magazine.h - one magazine of one thread, as magazine.c and steal.c see it. Inside
 * daemon/core only.
 *
 *             top (META)                      bottom (CTL)
 *   grant -> |  slot slot slot slot slot slot |  <- the owner pushes and pops
 *   steal <- |                                |
 *
 * Everything read from CTL is a client's word: bottom once per decision, each slot once, copied,
 * then checked (I10). */
#ifndef DAEMON_CORE_MAGAZINE_H
#define DAEMON_CORE_MAGAZINE_H
#include "daemon/core/pool_private.h"

/* Lower: a magazine that was filled just before a tick counts as idle. Higher: what lies idle is
 * found later. */
#define MAGAZINE_IDLE_TICKS 2u

struct magazine {
	client_id client;
	uint32_t thread;
	uint32_t number;
	order_t order;
	struct shm_head *head;
	const uint64_t *bottom;
	uint32_t *slot;
	uint32_t mask;
};

/* OK, BAD_THREAD or BAD_MAGAZINE. The client must be attached. */
int magazine_find(const struct pool *pool, client_id client, uint32_t thread, uint32_t number,
		  struct magazine *ret_magazine);
/* One that a claim or a bit of `threads` names: it exists. */
struct magazine magazine_get(const struct pool *pool, client_id client, uint32_t thread,
			     uint32_t number);
/* high again, after demand or capacity changed. */
void magazine_set_high(struct pool *pool, const struct magazine *magazine);

/* Is a bottom that the client wrote possible beside our top? An owner in the middle of a pop is one
 * below, in the middle of a bulk pop up to a ring; what it takes is settled by top, so the bound
 * only tells a liar from an owner. */
static inline bool magazine_bottom_is_sane(const struct magazine *magazine, uint64_t bottom,
					   uint64_t top)
{
	int64_t count = (int64_t)(bottom - top);
	int64_t capacity = magazine->head->capacity;

	return count >= -capacity && count <= capacity;
}

static inline uint64_t magazine_count(uint64_t bottom, uint64_t top)
{
	return (int64_t)(bottom - top) > 0 ? bottom - top : 0;
}

#endif
