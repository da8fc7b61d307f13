/* tests/integration/holder.h - a process that holds frames, in a cache that it can prune or not. */
#ifndef TESTS_INTEGRATION_HOLDER_H
#define TESTS_INTEGRATION_HOLDER_H
#include "tests/integration/child.h"
#include "tests/integration/fixture.h"

enum holder_kind {
	HOLDER_KEEPS,  /* registers no cache */
	HOLDER_PRUNES, /* scan() frees what is asked for */
	HOLDER_HANGS,  /* scan() does not return */
	HOLDER_LIES,   /* scan() frees nothing and says that it freed all */
	/* scan() allocates as long as it gets something, and does not return once it is told that
	 * it must not (EDEADLK). */
	HOLDER_ALLOCATES,
	HOLDER_SLOW, /* as PRUNES; a scan takes as long as a write to a disk */
};

#define HOLDER_SLOW_NS 2000000

/* What a holder understands; it answers each with a number. */
enum {
	HOLDER_COUNT = 1 /* frames it has, all found as they were left; else UINT64_MAX */,
	HOLDER_FREE /* gives all back: 0 */,
	HOLDER_REFILL /* up to what it is to hold; then as COUNT */,
	HOLDER_LEAST /* the least that it had after any scan */,
};

struct holder {
	const struct fixture *fixture;
	const char *name;
	enum holder_kind kind;
	uint64_t n_frames; /* at most HOLDER_MAX */
	/* It asks again until it was given so many: on a busy machine none may come in time though
	 * there are some. 0: n_frames if these are no more than HOLDER_SURE, else it takes what
	 * comes. */
	uint64_t n_least;
};
#define HOLDER_MAX 16384u
#define HOLDER_SURE 4096u /* half of the smallest segment that holders are in */

/* Starts it and waits until it has its frames; what it has got in *ret_n. */
bool holder_start(struct child *child, struct holder *holder, uint64_t *ret_n);
/* Asks; UINT64_MAX if no answer comes. */
uint64_t holder_ask(const struct child *child, uint64_t what);

#endif
