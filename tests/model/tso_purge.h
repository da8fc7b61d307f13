/* tests/model/tso_purge.h - one slot of a purge table, its client's two threads and the daemon: the
 * states of test_tso_purge.c. */
#ifndef TESTS_MODEL_TSO_PURGE_H
#define TESTS_MODEL_TSO_PURGE_H
#include "tests/model/visited.h"

#define FRAMES 3u
#define NONE FRAMES
#define BUFFER 2u
#define STATES_MAX 12000000u

enum { FREE, MINE, THEIRS };                    /* words */
enum { PINS_MAX = 2, PURGING = 6, PURGED = 7 }; /* pins */
enum { ENTRY, WORD, PLACES = WORD + FRAMES };   /* places in memory */
enum { FIRST, SECOND, DAEMON, CPUS };

enum control {
	AS_DESIGNED,
	WORD_FIRST,    /* the word is FREE before the entry says PURGING */
	NO_PURGING,    /* the entry goes to PURGED at once */
	PLAIN_PURGE,   /* a store instead of a compare-exchange */
	ARM_PURGING,   /* the client arms an entry that is PURGING */
	NO_RECOVERY,   /* the successor leaves PURGING as it is */
	GRANT_FIRST,   /* it grants to the client before it has looked */
	NO_OWNER_CHECK /* it frees whatever a PURGING entry names */
};

enum pc {
	IDLE,
	PIN_LOAD,
	PIN_SWAP,
	UNPIN_LOAD,
	UNPIN_SWAP,
	ARM_SWAP,
	END_SWAP,
	PURGE_LOAD,
	PURGE_BEGIN,
	PURGE_WORD,
	PURGE_FINISH,
	RECOVER_LOAD,
	RECOVER_WORD,
	RECOVER_FINISH
};

struct cpu {
	uint8_t pc, word, frame; /* registers */
	uint8_t n, place[BUFFER], value[BUFFER];
};

struct state {
	uint8_t memory[PLACES];
	struct cpu cpu[CPUS];
	uint8_t held[FRAMES];       /* by the client, outside of the slot */
	uint8_t pinned[2];          /* by each thread */
	uint8_t ops[CPUS], crashes; /* still allowed */
	uint8_t away;               /* the successor has not gone through the table */
};

struct model {
	enum control control;
	struct visited visited;
	const char *broken;
};

#endif
