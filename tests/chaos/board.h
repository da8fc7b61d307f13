/* tests/chaos/board.h - what all processes of a chaos run share: one anonymous mapping.
 *
 *   main (referee)          kills, respawns, tells the phase, and at rest compares claims with META
 *   keepers 0..7            honest clients: hands (threads), a store (cache), a purge table, a
 *                           probe (thread)
 *   keeper 8                the stopper: the same, but it is stopped at any instruction
 *   scribblers, hog         claim nothing
 *
 * A keeper writes a claim once it has a frame and has put its tag in, and removes it before it
 * gives the frame back. So at rest, with magazines drained, claims and the words of META say the
 * same, or a frame is lost or doubled. A keeper that is killed claims nothing any more: main clears
 * its part before the next one starts. There are no locks here: a process may die at any store.
 *
 * Rest: main raises `round`; every thread of a keeper empties what its library holds back, writes
 * the round into its `rested` and waits until the phase is another. */
#ifndef TESTS_CHAOS_BOARD_H
#define TESTS_CHAOS_BOARD_H
#include <stdbool.h>
#include <stdint.h>

#define CHAOS_HONEST 8u
#define CHAOS_STOPPER CHAOS_HONEST /* the keeper that is stopped */
#define CHAOS_KEEPERS (CHAOS_HONEST + 1u)
#define CHAOS_HANDS 3u
#define CHAOS_PROBE CHAOS_HANDS /* thread number of the probe */
#define CHAOS_THREADS (CHAOS_HANDS + 1u)
#define CHAOS_BLOCKS 96u      /* that a hand holds at most */
#define CHAOS_STORE 1536u     /* frames that a cache holds at most */
#define CHAOS_PURGEABLE 1024u /* slots that a keeper uses at most */
#define CHAOS_PURGEABLE_ORDER_MAX 3u
#define CHAOS_HELD 64u  /* pins that a hand keeps at most */
#define CHAOS_LOANS 16u /* shared frames that a hand has in purge slots */
#define CHAOS_LETTERS 16u
#define CHAOS_SAMPLES 16384u
#define CHAOS_COMPLAINTS 40u /* printed; more are only counted */
#define CHAOS_PATIENCE_MS 20000u

enum chaos_phase { CHAOS_RUN, CHAOS_REST, CHAOS_STOP };

enum claim_kind { CLAIM_NONE, CLAIM_OWNED, CLAIM_SHARED };
struct claim {
	uint32_t kind; /* enum claim_kind */
	uint32_t pfn;
	uint32_t order;
	uint32_t gen;    /* of a shared one */
	uint64_t owner;  /* who wrote the tag: keeper, thread, incarnation */
	uint64_t serial; /* of that thread */
};

/* A handle on its way to the partner. EMPTY -> WRITING -> FULL -> READING -> EMPTY, by
 * compare-exchange. */
enum letter_state { LETTER_EMPTY, LETTER_WRITING, LETTER_FULL, LETTER_READING };
struct letter {
	uint32_t state;
	uint32_t order;
	uint64_t handle;
	uint64_t owner;
	uint64_t serial;
};

#define CHAOS_DOINGS(X)                                                                            \
	X(NOTHING, "nothing")                                                                      \
	X(OPEN, "open")                                                                            \
	X(ALLOC, "alloc")                                                                          \
	X(ALLOC_BULK, "alloc_bulk")                                                                \
	X(ALLOC_LARGE, "alloc of a large block")                                                   \
	X(FREE, "free")                                                                            \
	X(FREE_BULK, "free_bulk")                                                                  \
	X(SHARE, "share")                                                                          \
	X(TRANSFER, "transfer")                                                                    \
	X(IMPORT, "import")                                                                        \
	X(PUT, "put")                                                                              \
	X(PURGEABLE_NEW, "purgeable_new")                                                          \
	X(PIN, "pin")                                                                              \
	X(REARM, "purgeable_rearm")                                                                \
	X(TAKE, "purgeable_take")                                                                  \
	X(DROP, "purgeable_drop")                                                                  \
	X(REGISTER, "cache_register")                                                              \
	X(CLOSE, "close")
enum doing {
#define X(name, text) DOING_##name,
	CHAOS_DOINGS(X)
#undef X
		DOING_COUNT
};

struct keeper_thread {
	uint32_t rested; /* the last round in which it came to rest */
	uint32_t doing;  /* enum doing: the call that it is in */
	uint64_t operations;
	struct claim claim[CHAOS_BLOCKS];
	struct claim loan[CHAOS_LOANS]; /* at rest: what is pinned */
};

/* What went through a keeper's purge slots, in frames. What entered and neither left nor is there
 * was purged, but for slots that were dropped: of these it cannot be told. */
struct keeper_purge {
	uint32_t restarts; /* of the daemon before this keeper was there */
	uint64_t entered;
	uint64_t left;
	uint64_t unsure;  /* dropped */
	uint64_t present; /* at rest, all pinned; without loans */
};

enum keeper_state { KEEPER_STARTING, KEEPER_RUNNING, KEEPER_ENDING };
struct keeper {
	uint32_t incarnation; /* main's */
	uint32_t state;       /* enum keeper_state; release: client_id is there */
	uint32_t client_id;
	uint32_t scanning; /* callbacks that run */
	struct keeper_thread thread[CHAOS_THREADS];
	uint32_t store_n;
	struct claim store[CHAOS_STORE];
	struct keeper_purge purge;
	struct claim purgeable[CHAOS_PURGEABLE]; /* at rest: what is pinned */
	struct letter inbox[CHAOS_LETTERS];
};

enum restart { RESTART_SERVER, RESTART_SUPERVISOR, RESTART_KINDS };

/* All but the complaints only grow. */
#define CHAOS_COUNTS(X)                                                                            \
	X(operations, "operations")                                                                \
	X(pairs, "pairs of alloc and free in a row")                                               \
	X(calls, "probe calls")                                                                    \
	X(shares, "shares")                                                                        \
	X(imports, "imports")                                                                      \
	X(transfers, "transfers")                                                                  \
	X(stale, "handles that were stale")                                                        \
	X(scanned, "frames given back by shrinkers")                                               \
	X(purgeable, "purge slots filled")                                                         \
	X(pinned, "pins that succeeded")                                                           \
	X(missed, "pins that found the frame purged")                                              \
	X(rebuilt, "purged slots that were built again")                                           \
	X(late, "rebuilds that came after another thread's")                                       \
	X(purging, "slots whose purge a dead server had left half done")                           \
	X(taken, "purge slots taken back")                                                         \
	X(dropped, "purge slots dropped")                                                          \
	X(lent, "shared frames lent to purge slots")                                               \
	X(busy, "EBUSY for a frame that is in a slot")                                             \
	X(pressure, "EAGAIN and ENOMEM under pressure")                                            \
	X(reopens, "opens repeated while no daemon listened")                                      \
	X(away, "times AWAY")                                                                      \
	X(stopped, "errors of the stopper")                                                        \
	X(drains, "drains of all magazines")                                                       \
	X(scribblers, "scribblers cut off")                                                        \
	X(scribbles, "scribbles")                                                                  \
	X(hogs, "connections of the hog")
struct counts {
#define X(name, text) uint64_t name;
	CHAOS_COUNTS(X)
#undef X
};

struct board {
	uint32_t phase; /* enum chaos_phase; a futex */
	uint32_t round;
	uint64_t seed;
	uint64_t begun_ns;
	char socket[96];

	uint64_t errors;         /* seen by honest clients */
	uint64_t pattern_errors; /* frames that did not hold what was put into them */
	uint64_t nr_complaints;
	struct counts count;

	uint32_t restarts; /* the number of the last one; release: the next two are there */
	uint32_t restart_kind;
	uint64_t restart_ns;
	uint64_t answered_ns; /* the last answer that a probe got */
	uint32_t nr_samples[RESTART_KINDS];
	uint32_t sample_us[RESTART_KINDS][CHAOS_SAMPLES];

	struct keeper keeper[CHAOS_KEEPERS];
};

struct board *board_new(void);
void board_free(struct board *board);

void board_add(uint64_t *counter, uint64_t n);
uint64_t board_read(const uint64_t *counter);

/* An error that an honest client saw: counts it and prints what it was. */
__attribute__((format(printf, 2, 3))) void board_complain(struct board *board, const char *format,
							  ...);
/* The same for a frame's contents. */
__attribute__((format(printf, 2, 3))) void board_spoiled(struct board *board, const char *format,
							 ...);

enum chaos_phase board_phase(const struct board *board);
/* By main: everybody hears of it. */
void board_set_phase(struct board *board, enum chaos_phase phase);
/* By threads: waits until the phase or the round is another, at most ms. */
void board_wait(const struct board *board, enum chaos_phase phase, uint32_t ms);

/* One time that a call was held up by a restart. */
void board_sample(struct board *board, enum restart kind, uint64_t ns);

const char *doing_name(uint32_t doing);

/* xorshift64*, Vigna 2014; state is never 0. */
uint64_t chaos_random(uint64_t *state);
/* Stirs numbers into a state for it. */
uint64_t chaos_seed(uint64_t seed, uint64_t who, uint64_t incarnation);
/* 0 to n - 1. */
uint32_t chaos_below(uint64_t *state, uint32_t n);
uint64_t chaos_now_ns(void);

#endif
