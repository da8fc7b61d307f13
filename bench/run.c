/* bench/run.c - see run.h. */
#include "bench/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A calibration that ran this long tells how long more would take. */
#define CALIBRATE_NS (BENCH_RUN_NS / 3)
/* Part of a run that warms up before it: caches, magazines, first touches. */
#define WARM_UP_PART 4u

int results_new(const char *filter, uint32_t rounds, struct results *ret_results)
{
	struct results results = {.rounds = rounds};
	size_t n_all = 0;

	while (registry_find(n_all))
		n_all++;
	results.result = calloc(n_all, sizeof(*results.result));
	if (!results.result)
		return -ENOMEM;
	for (size_t i = 0; i < n_all; i++) {
		struct result *result = &results.result[results.n];

		if (!registry_match(i, filter))
			continue;
		result->benchmark = registry_find(i);
		result->value = calloc(rounds, sizeof(*result->value));
		results.n++;
		if (!result->value) {
			results_free(&results);
			return -ENOMEM;
		}
	}
	if (results.n == 0) {
		results_free(&results);
		return -ENOENT;
	}
	*ret_results = results;
	return 0;
}

void results_free(struct results *results)
{
	for (uint32_t i = 0; i < results->n; i++)
		free(results->result[i].value);
	free(results->result);
	*results = (struct results){0};
}

static bool interrupted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
		sigismember(&pending, SIGHUP));
}

/* One run of n. The fastest that was ever seen says how many make a run of BENCH_RUN_NS: what is
 * slower was disturbed, and a run that is too short is disturbed most. */
static int run_n(struct bench *bench, struct result *result, void *state, uint64_t n,
		 struct sample *ret_sample)
{
	const struct benchmark *benchmark = result->benchmark;
	double best;
	int r = benchmark->run(bench, benchmark, state, n, ret_sample);

	if (r < 0)
		return r;
	if (ret_sample->ns == 0)
		ret_sample->ns = 1;
	best = (double)ret_sample->ns / (double)n;
	if (result->best_ns == 0 || best < result->best_ns)
		result->best_ns = best;
	return 0;
}

/* Grows n until a run takes long enough to tell. */
static int calibrate(struct bench *bench, struct result *result, void *state)
{
	struct sample sample;
	uint64_t n = 1;
	int r;

	while ((r = run_n(bench, result, state, n, &sample)) == 0 && sample.ns < CALIBRATE_NS)
		n *= sample.ns * 8 < CALIBRATE_NS ? 8 : 2;
	return r;
}

static int measure(struct bench *bench, struct result *result, void *state)
{
	uint64_t n = (uint64_t)((double)BENCH_RUN_NS / result->best_ns) + 1;
	struct sample sample;
	int r = run_n(bench, result, state, n / WARM_UP_PART + 1, &sample);

	if (r == 0)
		r = run_n(bench, result, state, n, &sample);
	if (r == 0)
		result->value[result->runs++] = (double)sample.ns / (double)sample.ops;
	return r;
}

/* One benchmark in one round. */
static int run_one(struct bench *bench, struct result *result)
{
	const struct benchmark *benchmark = result->benchmark;
	void *state;
	int r;

	bench->text[0] = '\0';
	r = benchmark->setup(bench, benchmark, &state);
	if (r == 0) {
		r = result->best_ns == 0 ? calibrate(bench, result, state)
					 : measure(bench, result, state);
		benchmark->teardown(bench, state);
	}
	if (r < 0) {
		result->failed = true;
		result->skipped = r == -EOPNOTSUPP;
		(void)snprintf(result->why, sizeof(result->why), "%s",
			       bench->text[0] ? bench->text : strerror(-r));
		if (!result->skipped)
			(void)fprintf(stderr, "\nbench: %s: %s\n", benchmark->name, result->why);
	}
	return result->skipped ? 0 : r;
}

static void show_progress(const struct results *results, uint32_t round, const char *name)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\rround %u of %u: %-26s", round, results->rounds, name);
}

int run_all(struct bench *bench, struct results *results)
{
	int first = 0;

	/* Round 0 calibrates. */
	for (uint32_t round = 0; round <= results->rounds; round++) {
		for (uint32_t i = 0; i < results->n; i++) {
			struct result *result = &results->result[i];
			int r;

			if (interrupted())
				return -EINTR;
			if (result->failed)
				continue;
			show_progress(results, round, result->benchmark->name);
			r = run_one(bench, result);
			if (first == 0)
				first = r;
		}
	}
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
	return first;
}
