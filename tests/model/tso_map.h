/* tests/model/tso_map.h - mem_map of a tiny zone, the daemon that changes it, and who walks it.
 *
 * The daemon is one processor of x86-TSO: its stores pass a FIFO buffer before anybody else sees
 * them, and a kill drains it. The reader is another, which only loads, one word after the other.
 * Words have a state, an order and an owner; gen is left out: it belongs to the frame, whatever
 * block that is in, and no walk looks at it. The daemon executes map_steps.def; controls are other
 * orders of the same steps, or steps left out. */
#ifndef TESTS_MODEL_TSO_MAP_H
#define TESTS_MODEL_TSO_MAP_H
#include "tests/model/visited.h"

#define MAP_FRAMES 8u /* of the zone, at most */
#define MAP_ORDER_MAX 3u
#define MAP_ITEMS 4u
#define MAP_BUFFER 2u
#define MAP_STEPS 13u
#define MAP_N MAP_FRAMES /* place of the journal's n, behind the words */
#define MAP_NOWHERE 255u /* of a reader between two walks */
#define MAP_FOREVER 255u /* operations, crashes, walks: as many as it takes */

/* A word: state, order << 2, owner << 4. */
enum map_state_of_word { MAP_TAIL, MAP_FREE, MAP_OWNED };
static inline uint8_t map_word(enum map_state_of_word state, unsigned order, unsigned owner)
{
	return (uint8_t)(state | order << 2 | owner << 4);
}
static inline unsigned map_state_of(uint8_t word)
{
	return word & 3u;
}
static inline unsigned map_order(uint8_t word)
{
	return word >> 2 & 3u;
}
static inline unsigned map_owner(uint8_t word)
{
	return word >> 4;
}

enum map_phase { MAP_SPLIT, MAP_TAKE, MAP_GIVE, MAP_SWEEP, MAP_MERGE, MAP_NR_PHASES };

enum map_step {
#define X(phase, step, what) MAP_##phase##_##step,
#include "tests/model/map_steps.def"
#undef X
	MAP_NR_STEPS
};

enum map_control {
	MAP_AS_DESIGNED,
	MAP_LOWER_FIRST,        /* a split stores its own head before the upper ones */
	MAP_OWNED_BEFORE_SPLIT, /* the journal makes it OWNED, then it is split */
	MAP_TAIL_FIRST,         /* a merge takes the upper word away before the lower grows */
	MAP_MERGE_FIRST,        /* what is to be freed is merged before that is committed */
	MAP_FREE_AND_MERGE,     /* both in one store of the lower head */
	MAP_NO_REPLAY,          /* recovery forgets the journal */
	MAP_NR_CONTROLS
};

struct map_daemon {
	uint8_t pc;        /* 0: idle; else 1 + index into the program, or a step of recovery */
	uint8_t recovers;  /* until it has walked */
	uint8_t i;         /* stores of this step so far */
	uint8_t pfn, from; /* the block that is split, or merged; its order before */
	uint8_t mid, to;   /* its order after the split, and of the heads of a row in it */
	uint8_t row;       /* it is being cut into the row */
	uint8_t owner;
	uint8_t given;  /* heads to give back: a mask of frames */
	uint8_t sweeps; /* without a journal */
	uint8_t n;      /* stores in the buffer, oldest first */
	uint8_t place[MAP_BUFFER], value[MAP_BUFFER];
};

struct map_reader {
	uint8_t at;     /* the next word that it reads */
	uint8_t seen;   /* OWNED heads on this walk */
	uint8_t stable; /* OWNED since it began */
};

struct map_state {
	uint8_t memory[MAP_FRAMES + 1]; /* words, n */
	uint8_t item_place[MAP_ITEMS], item_value[MAP_ITEMS];
	uint8_t truth[MAP_FRAMES]; /* OWNED words by what was committed, at their heads; else 0 */
	struct map_daemon daemon;
	struct map_reader reader;
	uint8_t ops, crashes, walks; /* still allowed */
};

struct map_model {
	enum map_control control;
	uint8_t nr_frames;
	uint8_t owners;
	uint8_t ops, crashes, walks;
	bool reader_alone; /* finds what is wrong; nobody looks at memory as a whole */
	enum map_step program[MAP_STEPS];
	unsigned executed; /* steps, a mask */
	struct visited visited;
	const char *broken;
};

/* The first thing that is wrong. */
void map_break(struct map_model *model, const char *what);
void map_add(struct map_model *model, const struct map_state *s);

/* The heads of words[0 .. nr_frames), a mask; 0 if they do not tile it (I4). */
unsigned map_heads(const uint8_t *words, unsigned nr_frames);

/* tso_map_program.c: the program of model->control; a step's phase; is it of Alloc and grant, or of
 * what gives back? The pc of the first such. */
void map_program(struct map_model *model);
enum map_phase map_phase_of(enum map_step step);
bool map_is_take(enum map_step step);
uint8_t map_first_pc(const struct map_model *model, bool take);
/* tso_map_daemon.c: adds what the daemon may do next; the next store of its buffer; its kill. */
void map_daemon_step(struct map_model *model, const struct map_state *from);
void map_daemon_drain(struct map_model *model, const struct map_state *from);
void map_daemon_crash(struct map_model *model, const struct map_state *from);

#endif
