/* tests/model/tso.h - two processors under x86-TSO, and the states of the magazine protocol.
 *
 * Each processor has a FIFO store buffer: a store is seen by the other only once it is drained, a
 * load sees the own buffer first. The search in test_tso_magazine.c tries every order of steps and
 * drains; tso_owner.c and tso_daemon.c have the steps, those of magazine_steps.def. */
#ifndef TESTS_MODEL_TSO_H
#define TESTS_MODEL_TSO_H
#include "tests/model/visited.h"

#define FRAMES 4
#define CAPACITY 8 /* 2 * (HIGH + CHUNK) + 2 */
#define HIGH 2
#define CHUNK 1 /* n_max: a grant, a chunk of a steal */
#define ALL (HIGH + CHUNK)
#define BASE 64 /* top and bottom start here; a multiple of CAPACITY */
#define BUFFER 5
#define ITEMS 3
#define STATES_MAX 12000000u

enum word { OWNED = 0, FREE = 1 };

enum place {
	TOP,
	BOTTOM,
	SAVED,
	N,
	SLOT,
	WORD = SLOT + CAPACITY,
	ITEM_PLACE = WORD + FRAMES,
	ITEM_VALUE = ITEM_PLACE + ITEMS,
	PLACES = ITEM_VALUE + ITEMS,
};

enum control {
	AS_DESIGNED,
	NO_FENCE,        /* the daemon's barrier does nothing */
	ONE_SIDED_FENCE, /* it drains the daemon's buffer only */
	NO_REPLAY,       /* recovery forgets the journal */
	NO_SAVED_TOP,    /* recovery leaves top where the claim put it */
	TOP_BEFORE_WORDS /* a grant publishes top outside the journal, before it commits */
};

struct cpu {
	uint8_t pc;
	uint8_t reg[5];
	uint8_t n; /* stores in the buffer, oldest first */
	uint8_t place[BUFFER], value[BUFFER];
};

struct state {
	uint8_t memory[PLACES];
	struct cpu owner, daemon;
	uint8_t held[FRAMES];
	uint8_t owner_ops, daemon_ops, crashes; /* still allowed */
};

struct model {
	enum control control;
	struct visited visited;
	const char *broken;
};

/* What cpu sees at place: its own stores first. */
uint8_t tso_load(const struct state *s, const struct cpu *cpu, unsigned place);
/* false: the buffer is full, the step waits. */
bool tso_store(struct cpu *cpu, unsigned place, unsigned value);
void tso_drain_one(struct state *s, struct cpu *cpu);
void tso_drain(struct state *s, struct cpu *cpu);
/* The cpu is idle; registers hold nothing. */
void tso_rest(struct cpu *cpu);

/* A state that was found; kept once. */
void model_add(struct model *model, const struct state *s);
void model_break(struct model *model, const char *what);

/* tso_owner.c, tso_daemon.c: adds what the owner, or the daemon, may do next, or the kill of the
 * daemon. */
void owner_step(struct model *model, const struct state *from);
void daemon_step(struct model *model, const struct state *from);
void daemon_crash(struct model *model, const struct state *from);

#endif
