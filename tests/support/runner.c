/* tests/support/runner.c - see runner.h. */
#include "tests/support/runner.h"

#include "paged/check.h"

#include <CUnit/Basic.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

/* What the command line said and what a panic needs to know; a test binary has one of each. */
static struct {
	bool has_seed, has_ops;
	uint64_t seed, ops;
	jmp_buf *panic_to;
	const char *panic_what;
} runner;

void paged_panic(const char *file, int line, const char *what)
{
	if (runner.panic_to) {
		runner.panic_what = what;
		longjmp(*runner.panic_to, 1);
	}
	(void)fprintf(stderr, "%s:%d: this must be true and is not: %s\n", file, line, what);
	abort();
}

bool runner_panics(void (*fn)(void *arg), void *arg, const char **ret_what)
{
	jmp_buf here;
	volatile bool panicked = false;

	runner.panic_to = &here;
	if (setjmp(here) == 0)
		fn(arg);
	else
		panicked = true;
	runner.panic_to = NULL;
	if (panicked)
		*ret_what = runner.panic_what;
	return panicked;
}

uint64_t runner_seed(uint64_t otherwise)
{
	return runner.has_seed ? runner.seed : otherwise;
}

uint64_t runner_ops(uint64_t otherwise)
{
	return runner.has_ops ? runner.ops : otherwise;
}

static void list(const struct runner_suite *suites)
{
	for (; suites->name; suites++)
		for (const CU_TestInfo *test = suites->tests; test->pName; test++)
			(void)printf("%s: %s\n", suites->name, test->pName);
}

static bool register_suite(const struct runner_suite *suite, const char *only)
{
	CU_pSuite registered = CU_add_suite(suite->name, NULL, NULL);
	bool found = false;

	for (const CU_TestInfo *test = suite->tests; registered && test->pName; test++)
		if (!only || strcmp(test->pName, only) == 0) {
			found = CU_add_test(registered, test->pName, test->pTestFunc) != NULL;
			if (!found)
				return false;
		}
	return found;
}

static bool has_test(const struct runner_suite *suite, const char *name)
{
	for (const CU_TestInfo *test = suite->tests; test->pName; test++)
		if (strcmp(test->pName, name) == 0)
			return true;
	return false;
}

/* name is a suite, or a test of any; NULL: all. */
static bool register_wanted(const struct runner_suite *suites, const char *name, const char *test)
{
	bool found = false;

	for (; suites->name; suites++) {
		if (!name || strcmp(suites->name, name) == 0)
			found |= register_suite(suites, test);
		else if (!test && has_test(suites, name))
			found |= register_suite(suites, name);
	}
	return found;
}

/* Takes the options out of argv; how many words are left, or -1. */
static int take_options(int argc, char **argv, const struct runner_suite *suites)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			list(suites);
			exit(EXIT_SUCCESS);
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			runner.has_seed = true;
			runner.seed = strtoull(argv[++i], NULL, 0);
		} else if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc) {
			runner.has_ops = true;
			runner.ops = strtoull(argv[++i], NULL, 0);
		} else if (argv[i][0] == '-') {
			return -1;
		} else {
			argv[n++] = argv[i];
		}
	}
	return n <= 3 ? n : -1;
}

int runner_main(int argc, char **argv, const struct runner_suite *suites)
{
	int n = take_options(argc, argv, suites), failures;

	if (n < 0) {
		(void)fprintf(stderr,
			      "usage: %s [--list] [--seed N] [--ops N] [SUITE [TEST] | TEST]\n",
			      argv[0]);
		return EXIT_USAGE;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	if (!register_wanted(suites, n > 1 ? argv[1] : NULL, n > 2 ? argv[2] : NULL)) {
		(void)fprintf(stderr, "%s: no such suite or test; see --list\n", argv[0]);
		CU_cleanup_registry();
		return EXIT_USAGE;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	(void)CU_basic_run_tests();
	failures = (int)(CU_get_number_of_failures() + CU_get_number_of_suites_failed());
	CU_cleanup_registry();
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
