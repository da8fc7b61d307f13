/* tests/support/runner.h - one test binary: a table of suites, run all, by suite or by test.
 *
 *   unit                         all suites
 *   unit buddy                   one suite
 *   unit buddy "give merges ..." one test of it; unit "give merges ..." finds the suite itself
 *   unit --list                  what there is
 *   model --seed 7 --ops 1000    replays a random test
 *
 * Prints CUnit's summary; exit 1 on a failure, 2 if the command line names nothing. A suite is a
 * file test_X.c with `CU_TestInfo test_X[]`, whose names are sentences; tests/CMakeLists.txt makes
 * the table from the files there are. */
#ifndef TESTS_SUPPORT_RUNNER_H
#define TESTS_SUPPORT_RUNNER_H
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>

struct runner_suite {
	const char *name;
	CU_TestInfo *tests;
};

/* The table of this binary, ended by a suite without a name. */
extern const struct runner_suite runner_suites[];

int runner_main(int argc, char **argv, const struct runner_suite *suites);

/* What --seed and --ops said, else what is given here. */
uint64_t runner_seed(uint64_t otherwise);
uint64_t runner_ops(uint64_t otherwise);

/* Runs fn(arg) and returns whether it reached paged_panic(), whose sentence is kept in *ret_what.
 * Locks and memory that fn held stay as they were. */
bool runner_panics(void (*fn)(void *arg), void *arg, const char **ret_what);

#endif
