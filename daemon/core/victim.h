/* daemon/core/victim.h - which purgeable frames go first, over all clients.
 *
 * Wanted is the frame with the highest age / cost, tier by tier. Keeping all entries in order would
 * cost each unpin a system call or a lock; looking at all of them for each request would cost
 * milliseconds. So a pass over all tables keeps the best 32nd of what it sees, and requests are
 * served from that list until it is used up: some 32 entries are looked at for each frame that is
 * purged, whatever the size of the cache. A pass goes on in slices.
 *
 *   sample    of large tables: some entries tell how old the best 32nd is about, so that a pass
 *             passes over the others eight at a time (victim_scan.h)
 *   pass      each unpinned entry that is old enough is offered; a choice with twice its number
 *             cuts itself down to the best (streaming selection, O(1) each), and keeps its floor
 *   list      sorted when the pass is done, a long one coarsely; what is taken from it is looked at
 *             again: it must be unpinned and at least as old as it was, so that nothing used since
 *             is purged
 *   ahead     when half of a list is left, the next pass begins, and goes on in steps of its own
 *             between two requests, to be done when a quarter is left; only if it is late by that
 *             quarter, too, requests go on with it. It finds that rest too, and the next ones
 *   clock     a finished pass raises the generation: ages are thus in 32nds of a turnover of the
 *             cache, which is what an exact LRU would have to resolve, and in seconds when nobody
 *             wants anything
 *
 * There is a list for each tier. A client that is over its high (or its share) by less than its
 * list holds would hide the others when it has paid, so its entries are offered to the next tier's
 * list, too; when its turn comes its tier is looked at again.
 *
 * Ages are modulo 2^24: an entry that nobody touched for that long (half a year of ticks) is taken
 * for a new one, a turnover later than it should. A stamp of the future is the oldest of all: a lie
 * costs the liar. Entries that name no frame of their client's would fill the lists of each pass:
 * who had one in a list has the others looked at before they are listed. Who changes its entries
 * between the pass and the list fills them all the same. So a list that did not hold all there is
 * and was in vain is looked through for who filled it: they are left out until the others have
 * nothing more for a request, at most until the next tick, and the pass begins again. Before a
 * request ends with less than it asked for all are looked at. Who left the tier of a list since the
 * pass may fill it in vain, too: as long as somebody else is in that tier it is left out of that
 * one alone, and pays with those of its own.
 *
 * Ties, of which there are many, are decided by a hash for each eight slots: neither the first
 * client nor the first slots pay more than others. In the list they lie in the order of the tables,
 * so that neighbours are freed together. */
#ifndef DAEMON_CORE_VICTIM_H
#define DAEMON_CORE_VICTIM_H
#include "daemon/core/pool.h"

/* Lower: more passes for each frame in a large cache; higher: 32 bytes each, for each tier. At 4
 * KiB frames a 32nd of 8 GiB. */
#define VICTIM_LIST_MAX 65536u
#define VICTIM_LIST_ONE_MAX 8192u /* the same for the lists of one client */
#define VICTIM_LIST_MIN 64u       /* lower: a pass over the clients for too few frames */
#define VICTIM_LIST_PART 32u      /* lower: coarser than LRU; higher: more entries to look at */
/* Slots to look at for each victim, at most. Lower: of tables that are nearly empty the order is
 * coarser than LRU; higher: who makes large tables and keeps nothing in them slows all others. */
#define VICTIM_SLOTS_MAX 1024u
#define VICTIM_SLICE 65536u /* entries; higher: a slice holds the loop longer than 0.1 ms */
/* Work of a step between two requests. Lower: a step costs more than what it does; higher: who
 * comes meanwhile waits longer than 5 us. */
#define VICTIM_AHEAD 4096
/* Victims of a slice. Lower: more calls for the same; higher: a slice is longer than 0.2 ms. */
#define VICTIM_TRIES 1024u
/* Misses for each victim of a list that is taken. Lower: a busy cache is left out; higher: a liar
 * costs passes. */
#define VICTIM_MISSES_MAX 8
/* Times that a client asks while its lists are another's, who does not come back, before they are
 * its own. Lower: who has many requests at once undoes a search that is under way. Higher: more
 * steps for nothing after somebody who has got its frames elsewhere. */
#define VICTIM_PATIENCE 256u
#define VICTIM_TIERS 3u /* OVER, NORMAL, SPARED */
#define VICTIM_DIGITS 256u

struct victim {
	uint32_t score; /* of the pass: higher goes first */
	uint32_t slot;
	uint32_t stamp;
	uint32_t client;
};

/* What the pass under way has chosen so far. */
struct victim_choice {
	struct victim *at; /* room for twice n_room */
	uint32_t n_room;
	uint32_t n_max; /* of this pass */
	uint32_t n;
	uint64_t floor;       /* score << 32 | hash: what is below is not taken */
	uint64_t ones, zeros; /* bits that some key has, or has not */
	bool cut;             /* there was more than it holds */
	uint32_t n_counted, n_moved;
	uint32_t start[VICTIM_DIGITS + 1];
};

/* What is purged now, in this order. */
struct victim_list {
	struct victim *at; /* room for twice n_room */
	uint32_t n;
	uint32_t next;  /* taken up to here */
	uint32_t taken; /* of those, purged */
	bool cut;       /* the pass saw more than the list holds */
};

/* Where the pass is in a client's table, and what it counted there. */
struct victim_cursor {
	uint32_t client; /* SHM_MAX_CLIENTS + 1: done */
	uint32_t slot;
	uint64_t nr_purgeable, nr_pinned;
};

/* Died since the pass began: the id may be another's. */
struct victim_gone {
	uint8_t client[SHM_MAX_CLIENTS + 1];
};

enum victim_phase {
	VICTIM_IDLE,   /* no pass is under way */
	VICTIM_SAMPLE, /* looks for floors, at some entries of all tables */
	VICTIM_SCAN,   /* looks at all entries */
	VICTIM_SORT,
	VICTIM_READY, /* the next lists are complete */
};

/* There is one set of lists for whoever asks for the frames of one client, and a search is many
 * calls. So others wait until it is through, and then they come before its client's next. */
struct victim_turn {
	uint64_t n_calls;                    /* of those whose turn it was, and 1 */
	uint64_t since[SHM_MAX_CLIENTS + 1]; /* n_calls as the client had to wait; 0: it does not */
	uint32_t n_tries[SHM_MAX_CLIENTS + 1]; /* at that number */
	uint32_t n_waiting;
};

/* The lists of all clients together, or of one that somebody asked for. */
struct victims {
	client_id client; /* CLIENT_NONE: all */
	enum victim_phase phase;
	bool asking;               /* pool_purge() said that it is to be called again */
	bool conclusive;           /* of what it asks for nothing is left */
	bool for_it, lists_for_it; /* the pass, and that of the lists, began after the request */
	uint32_t rate; /* work for a frame that is taken, to be ready when the lists are through */
	int64_t ahead; /* work of the pass that is done before it was due */
	bool sampled;  /* floors of the pass under way are from a sample */
	uint32_t n_wanted; /* of the last pass, beside what was left in the lists */
	uint32_t n_samples, n_sampled;
	uint32_t n_sorted; /* tiers whose next list is complete */
	uint64_t n_slots;  /* of the tables when the pass began */
	struct victim_cursor cursor;
	struct victim_choice choice[VICTIM_TIERS];
	struct victim_list list[VICTIM_TIERS], ready[VICTIM_TIERS];
	struct victim_gone gone, gone_since; /* of the lists, and of the pass under way */
	bool any_left_out;
	bool forgiven; /* in this request: nobody is left out any more */
	/* Of the lists: misses, less VICTIM_MISSES_MAX for each victim taken. */
	int32_t misses[SHM_MAX_CLIENTS + 1];
	uint8_t has_left[SHM_MAX_CLIENTS + 1]; /* of the lists: the tier of one that it is in */
	/* The first tier whose list it is offered to; VICTIM_TIERS: none, its victims were none. */
	uint8_t left_out[SHM_MAX_CLIENTS + 1];
	struct victim_turn turn;
};

#define VICTIM_ROOM (6 * VICTIM_TIERS * (VICTIM_LIST_MAX + VICTIM_LIST_ONE_MAX))

/* At pool_attach(): empty lists. */
void victim_init(struct pool *pool);
/* A client dies: none of its entries is looked at any more. */
void victim_forget(struct pool *pool, client_id client);
/* Once a second: costs, and a slice of a count of all tables, for people and for those who ask how
 * much there is. */
void victim_tick(struct pool *pool);

#endif
