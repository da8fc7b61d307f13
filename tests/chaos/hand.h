/* tests/chaos/hand.h - a thread of a keeper: takes, verifies, gives back and trades frames.
 *
 *   hand.c    what one thread does with frames of its own
 *   store.c   the keeper's cache, which all its threads fill and its shrinker empties
 *   purgeable.c  the keeper's purge table, which all its threads use
 *   loan.c    shared frames in purge slots
 *   trade.c   share, transfer, import and put between a keeper and its partner (its number ^ 1)
 *   probe.c   the thread that asks the daemon all the time, and measures restarts by that
 *
 * An error that the contract does not allow here is complained of; one that memory pressure
 * explains is counted apart. A keeper that is stopped at any moment (`lenient`) may see timeouts.
 */
#ifndef TESTS_CHAOS_HAND_H
#define TESTS_CHAOS_HAND_H
#include "tests/chaos/tag.h"

#include <pageclient/pageclient.h>
#include <pthread.h>

struct store {
	pthread_mutex_t lock;
	struct board *board;
	struct keeper *keeper;
	pageclient *client;
	size_t page_size;
	uint64_t random;
};

struct purgeable {
	pthread_mutex_t lock; /* of round, arrived and pinned */
	uint32_t round;       /* of the last rest */
	uint32_t arrived;     /* hands that have come to it */
	bool pinned;          /* all that is there, for the rest */
	pageclient_slot slot[CHAOS_PURGEABLE];
};

/* A pin that a hand keeps for a while. */
struct held {
	uint32_t i; /* of the keeper's slots */
	pageclient_slot slot;
	void *memory;
};

/* The reference of a shared frame, in a slot. */
struct loan {
	pageclient_slot slot;
	struct claim claim;
};

struct hand {
	struct board *board;
	struct keeper *keeper;
	struct keeper_thread *self;
	struct store *store;
	struct purgeable *purgeable;
	pageclient *client;
	size_t page_size;
	uint32_t keeper_number;
	uint32_t number;
	bool lenient;
	uint64_t owner; /* of its tags */
	uint64_t random;
	uint64_t serial;
	uint32_t n;        /* claims that it has */
	uint32_t large;    /* of them of order 10 and above */
	uint32_t tide;     /* claims that it wants to have at the moment */
	uint32_t restarts; /* of the daemon, that it has seen to */
	uint32_t n_loans;
	bool loans_pinned; /* for the rest */
	struct loan loan[CHAOS_LOANS];
	uint32_t n_held;
	struct held held[CHAOS_HELD];
};

/* The bodies of the threads; arg is a struct hand. They return at CHAOS_STOP, with empty hands. */
void *hand_run(void *arg);
void *probe_run(void *arg);

/* The thread is in a call, or in none (DOING_NOTHING). */
void hand_doing(struct hand *hand, enum doing doing);
/* A call gave r (-errno) with the sentence of pageclient_error(). */
void hand_failed(struct hand *hand, enum doing doing, int r);
/* The same for an allocation: pressure explains ENOMEM and EAGAIN. */
void hand_alloc_failed(struct hand *hand, enum doing doing, int r);
/* While main wants rest. */
void hand_rest(struct hand *hand);

/* Tags a block that came and claims it, in the next claim. */
void hand_keep(struct hand *hand, void *memory, uint32_t order);
/* Claims what is there already. */
void hand_claim(struct hand *hand, const struct claim *claim);
/* Ends claim i. */
struct claim hand_drop(struct hand *hand, uint32_t i);
char *hand_memory(const struct hand *hand, const struct claim *claim);

/* --- store.c --- */
void store_insert(struct hand *hand);
void store_hit(struct hand *hand);
void store_empty(struct hand *hand);
/* Callbacks of the cache; arg is a struct store. */
uint64_t store_count(void *arg);
int store_scan(void *arg, struct pageclient_scan *scan);

/* --- purgeable.c --- */
/* Fills slots, pins one and verifies it or builds it again, takes one back, or drops one. */
void purgeable_operate(struct hand *hand);
/* Once for each restart of the daemon, by one hand of a keeper: drops what was purged. The server
 * may have been killed in one of these purges. */
void purgeable_after_restart(struct hand *hand);
/* pageclient_purgeable_drop(). -EAGAIN only where a living daemon left a purge half done. */
int purgeable_drop(struct hand *hand, pageclient_slot slot);
/* The hand has come to rest. With the last one of the keeper all that is in slots is pinned and
 * claimed. */
void purgeable_rest(struct hand *hand, uint32_t round);
/* Ends the pins that the hand keeps. */
void purgeable_unpin(struct hand *hand);
/* The rest is over. */
void purgeable_go_on(struct hand *hand);
/* Drops all; no other thread uses them. */
void purgeable_empty(struct hand *hand);

/* --- loan.c --- */
/* Lends a reference to a slot; pins one, and verifies it, takes it back or ends the slot. */
void loan_operate(struct hand *hand);
/* The hand has come to rest: pins and claims what it has lent. */
void loan_rest(struct hand *hand);
/* The rest is over. */
void loan_go_on(struct hand *hand);
/* Ends all. */
void loan_empty(struct hand *hand);

/* --- trade.c --- */
void trade_share(struct hand *hand);
void trade_transfer(struct hand *hand);
void trade_import(struct hand *hand);
/* Ends a reference to a shared frame whose claim was dropped. */
void trade_put(struct hand *hand, const struct claim *claim);

#endif
