/* tests/sim/test_seeds.c - a range of seeds, as ctest runs it: --seed is the first, --ops how many.
 */
#include "tests/sim/sim.h"
#include "tests/support/runner.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

/* Enough for everything to happen: a smaller run is a replay. */
#define SEEDS UINT64_C(100)

static void fifty_processes_and_all_that_may_go_wrong(void)
{
	struct sim_coverage coverage = {.seeds = 0};
	struct sim *s = sim_new(&coverage);
	uint64_t n = runner_ops(SEEDS);
	const char *never;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	(void)printf("\n");
	CU_ASSERT(sim_run_many(s, runner_seed(1), n));
	sim_print_coverage(&coverage);
	never = sim_never_seen(&coverage);
	if (never && n >= SEEDS) {
		(void)printf("never seen: %s\n", never);
		CU_FAIL("something never happened");
	}
	sim_free(s);
}

CU_TestInfo test_seeds[] = {
	{"fifty processes and all that may go wrong", fifty_processes_and_all_that_may_go_wrong},
	CU_TEST_INFO_NULL,
};
