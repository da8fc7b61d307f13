/* tests/crash/step.h - a crash after every instruction.
 *
 * The operation runs in a forked child, one instruction at a time (PTRACE_SINGLESTEP). Whenever
 * memory has changed, the parent recovers a copy of it, as the successor of a server killed at that
 * instruction would: SIGKILL leaves shared memory as the last instruction left it. At the end, and
 * at every thousandth instruction, the child is killed in earnest and memory recovered again. */
#ifndef TESTS_CRASH_STEP_H
#define TESTS_CRASH_STEP_H
#include "tests/crash/world.h"

#include <sys/types.h>

/* Waits for the next stop of a traced child and says by which signal. false: it ended. */
bool step_wait(pid_t pid, int *ret_signal);

enum step_kind {
	STEP_ATOMIC,  /* ownership is that of before or that of after, nothing in between */
	STEP_GRADUAL, /* each frame for itself */
};

/* Runs op(w) in a child and calls look(arg) after each instruction, until that returns false.
 * Memory stays as the child left it. false: ptrace is not permitted here. */
bool step_watch(struct world *w, void (*op)(struct world *w), bool (*look)(void *arg), void *arg);

struct step_result {
	uint64_t instructions; /* stopped at */
	uint64_t recoveries;   /* after those that changed memory */
	bool skipped;          /* ptrace is not permitted here */
	char error[256];       /* "" or what went wrong, and at which instruction */
};

/* Runs op(w) in a child, and leaves the world as op left it. */
struct step_result step_run(struct world *w, void (*op)(struct world *w), enum step_kind kind);

/* The same as a CUnit assertion, with a line that says what was done. */
void step_check(struct world *w, const char *name, void (*op)(struct world *w),
		enum step_kind kind);

#endif
