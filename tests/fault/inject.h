/* tests/fault/inject.h - between the sweep and what it put into a program with LD_PRELOAD.
 *
 * One page of shared memory, a file that the environment names. The sweep writes what shall fail
 * and arms it; the shim (inject.c) counts calls while it is armed, lets one fail, or all of that
 * function from one on, and says where that was. Calls are counted per function and role, so that
 * the n-th is the same call in each run whatever other threads do, and a case can be replayed; over
 * all functions that is each n. The first process is role 0, what it forks is role 1: the
 * supervisor and its servers. A program that forks nothing is role 0. */
#ifndef TESTS_FAULT_INJECT_H
#define TESTS_FAULT_INJECT_H
#include <stdint.h>

#define INJECT_ENVIRONMENT "PAGED_FAULT_CONTROL"

enum inject_function {
#define X(function, kind, ...) INJECT_##function,
#include "tests/fault/faults.def"
#undef X
	INJECT_NR_FUNCTIONS
};

enum inject_role { INJECT_FIRST, INJECT_FORKED, INJECT_NR_ROLES };

#define INJECT_DEPTH 10u
#define INJECT_WHERE_BYTES 64u

struct inject_control {
	uint32_t armed;           /* calls count and fail */
	uint32_t from_generation; /* of forked processes: older ones do neither */
	uint32_t generation;      /* forks so far */
	/* What shall fail. */
	uint32_t role;
	uint32_t function;
	uint32_t n; /* from 1; 0: nothing, only count */
	uint32_t ever;
	int32_t error;
	/* What did. */
	uint32_t n_failed;
	uint32_t n_libuv; /* of those: called by libuv */
	uint32_t n_calls[INJECT_NR_ROLES][INJECT_NR_FUNCTIONS];
	char where[INJECT_DEPTH][INJECT_WHERE_BYTES]; /* "library+0x123" of the first, inside out */
};

#endif
