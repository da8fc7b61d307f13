/* tests/chaos/cast.h - the processes of a run, but for the daemon: started, killed, replaced.
 *
 *   0 .. 7   honest clients     8   the stopper     9, 10   scribblers
 *   11       the hog            12  the drainer
 *
 * Who ends is followed by another one of its kind at once, until the phase is CHAOS_STOP. An honest
 * client that ends in another way than by our kill, or its own orderly end, is an error. */
#ifndef TESTS_CHAOS_CAST_H
#define TESTS_CHAOS_CAST_H
#include "tests/chaos/board.h"

#include <sys/types.h>

#define CAST_SCRIBBLERS 2u
#define CAST_FIRST_SCRIBBLER CHAOS_KEEPERS
#define CAST_HOG (CAST_FIRST_SCRIBBLER + CAST_SCRIBBLERS)
#define CAST_DRAINER (CAST_HOG + 1u)
#define CAST_SIZE (CAST_DRAINER + 1u)

struct actor {
	pid_t pid; /* 0: none */
	bool killed;
	uint32_t incarnation;
};

struct cast {
	struct board *board;
	bool stopped; /* the stopper is, at the moment */
	struct actor actor[CAST_SIZE];
};

void cast_start(struct cast *cast, struct board *board);
/* Takes those that ended, and starts others. */
void cast_reap(struct cast *cast);
/* SIGKILL of one; false if there is none. */
bool cast_kill(struct cast *cast, uint32_t number);
void cast_stop(struct cast *cast, bool stopped);
/* Actors that are still there, of the first n. */
uint32_t cast_alive(const struct cast *cast, uint32_t n);
/* SIGKILL of all that are left; returns when they are gone. */
void cast_end(struct cast *cast);

#endif
