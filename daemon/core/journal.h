/* daemon/core/journal.h - the redo journal: several words change, or none.
 *
 * One for the whole daemon, in STATE. An operation adds {where, value} items, journal_commit()
 * stores their number (that commits), stores each value in order and stores 0. A server that dies
 * in between leaves n > 0 and its successor applies the items again: values are absolute, so twice
 * is as good as once. Splits are complete before the first item, merges come after the commit: an
 * item never depends on what another stores. I7: n is 0 between two events of the loop. */
#ifndef DAEMON_CORE_JOURNAL_H
#define DAEMON_CORE_JOURNAL_H
#include "shm/layout.h"

#include <stdbool.h>

struct pool;

enum journal_where {
	JOURNAL_WORD = 1,    /* index: pfn */
	JOURNAL_TOP,         /* index: magazine_index() */
	JOURNAL_SAVED_TOP,   /* index: magazine_index() */
	JOURNAL_LANE_SEQ,    /* index: client << 8 | lane */
	JOURNAL_LANE_RESULT, /* index: client << 8 | lane */
	JOURNAL_EDGE_FRAME,  /* index: of the edge */
	JOURNAL_EDGE_CLIENT, /* index: of the edge */
};

static inline uint64_t magazine_index(client_id client, uint32_t thread, uint32_t magazine)
{
	return (uint64_t)client << 16 | (uint64_t)thread << 8 | magazine;
}

/* Adds an item; at most SHM_JOURNAL_ITEMS between two commits. */
void journal_add(struct pool *pool, enum journal_where where, uint64_t index, uint64_t value);
/* The word of a block changes. */
void journal_word(struct pool *pool, pfn_t pfn, struct page_word word);
/* n FREE heads become the client's, or n heads of order FREE. */
void journal_owned_words(struct pool *pool, const pfn_t *pfn, uint32_t n, client_id client);
void journal_free_words(struct pool *pool, const pfn_t *pfn, uint32_t n, order_t order);
/* The request {client, lane, seq} is answered with result. Nothing for lane >= SHM_MAX_LANES (a
 * repeatable request). */
void journal_lane(struct pool *pool, client_id client, uint32_t lane, uint64_t seq,
		  uint64_t result);
/* All or nothing, from here on all. Without items nothing happens. */
void journal_commit(struct pool *pool);
/* At recovery: applies what a dead server had committed. false: the journal itself is damaged
 * (nothing was applied). */
bool journal_replay(struct pool *pool);

#endif
