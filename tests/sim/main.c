/* tests/sim/main.c - `./dev sim`: as many seeds as wanted, or one with its trace. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS UINT64_C(10000)
#define SEEDS_A_LINE 1000u
#define EXIT_USAGE 2

static int usage(void)
{
	(void)fprintf(stderr, "usage: ./dev sim [--seeds N] [--seed FIRST] [--trace]\n");
	return EXIT_USAGE;
}

static bool run(struct sim *s, uint64_t first, uint64_t n)
{
	for (uint64_t done = 0; done < n; done += SEEDS_A_LINE) {
		uint64_t now = n - done < SEEDS_A_LINE ? n - done : SEEDS_A_LINE;

		if (!sim_run_many(s, first + done, now))
			return false;
		(void)printf("seeds %lu to %lu: ok\n", (unsigned long)(first + done),
			     (unsigned long)(first + done + now - 1));
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sim_coverage coverage = {.seeds = 0};
	struct sim *s = sim_new(&coverage);
	uint64_t first = 1, n = SEEDS;
	bool has_n = false, ok;

	if (!s)
		return EXIT_FAILURE;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0) {
			s->is_loud = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			n = strtoull(argv[++i], NULL, 0);
			has_n = true;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			first = strtoull(argv[++i], NULL, 0);
			n = has_n ? n : 1;
		} else {
			return usage();
		}
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	ok = run(s, first, n);
	sim_print_coverage(&coverage);
	sim_free(s);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
