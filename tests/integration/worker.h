/* tests/integration/worker.h - load: a process whose threads take and give blocks at random.
 *
 * Each frame that a thread holds says at both ends whose it is: worker, thread, pfn and a running
 * number. It is looked at again before it is given back, so a frame that two have at a time is
 * seen by one of them. What happens is counted on a board in memory that outlives every worker. */
#ifndef TESTS_INTEGRATION_WORKER_H
#define TESTS_INTEGRATION_WORKER_H
#include "tests/integration/child.h"
#include "tests/integration/fixture.h"

struct worker_board {
	uint64_t operations;
	uint64_t mismatches; /* frames that were not as they were left */
	uint64_t failures;   /* allocations that gave nothing, calls that failed */
};

struct worker_plan {
	const struct fixture *fixture;
	struct worker_board *board;
	uint64_t seed;
	uint32_t number;  /* of this worker among all of the test, from 1 on */
	uint32_t threads; /* at most 8 */
	uint64_t report;  /* its first thread says 1 after so many operations, and goes on */
};

/* Memory that the children share; never NULL. worker_board_free() gives it back. */
struct worker_board *worker_board_new(void);
void worker_board_free(struct worker_board *board);

/* Works until it is killed or child_end() is called; then it gives all back in order. */
bool worker_start(struct child *child, struct worker_plan *plan);

/* xorshift64*; *state is not 0. */
uint64_t worker_random(uint64_t *state);

#endif
