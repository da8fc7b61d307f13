/* tests/sim/test_controls.c - the simulation finds what it is there to find.
 *
 * Each control gives the run one defect, in the daemon's recovery, in its shell, or in a process.
 * Some seed of a few has to fail for it. */
#include "tests/sim/sim.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#define SEEDS_MOST 400u

static void each_control_is_found(void)
{
	struct sim_coverage coverage = {.seeds = 0};
	struct sim *s = sim_new(&coverage);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	for (int control = CONTROL_NONE + 1; control < SIM_NR_CONTROLS; control++) {
		uint64_t seed = 1;

		while (seed <= SEEDS_MOST && sim_run(s, seed, (enum sim_control)control))
			seed++;
		CU_ASSERT(seed <= SEEDS_MOST);
		(void)printf("\n    %s: seed %lu: %s", sim_control_text((enum sim_control)control),
			     (unsigned long)seed, seed <= SEEDS_MOST ? s->why : "not found");
	}
	(void)printf("\n    ");
	sim_free(s);
}

static void a_seed_is_the_same_run_again(void)
{
	struct sim_coverage coverage = {.seeds = 0};
	struct sim *s = sim_new(&coverage);
	uint64_t steps, random;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(sim_run(s, 17, CONTROL_NONE));
	steps = s->steps;
	random = s->random;
	CU_ASSERT(sim_run(s, 18, CONTROL_NONE));
	CU_ASSERT(sim_run(s, 17, CONTROL_NONE));
	CU_ASSERT_EQUAL(s->steps, steps);
	CU_ASSERT_EQUAL(s->random, random);
	sim_free(s);
}

CU_TestInfo test_controls[] = {
	{"each control is found", each_control_is_found},
	{"a seed is the same run again", a_seed_is_the_same_run_again},
	CU_TEST_INFO_NULL,
};
