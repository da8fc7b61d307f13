/* bench/bench_startup.c - see bench_startup.h. Every start makes a segment: nothing of the one
 * before is left. */
#include "bench/bench_startup.h"

#include <stdio.h>

int startup_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	(void)bench;
	(void)benchmark;
	*ret_state = NULL;
	return 0;
}

static int start_once(struct bench *bench, uint32_t gibibytes, uint64_t *ret_ns)
{
	struct fixture fixture;
	char configuration[64];
	int r;

	(void)snprintf(configuration, sizeof(configuration), "[segment]\nsize = %uG\n", gibibytes);
	r = bench_start_daemon(bench, configuration, &fixture);
	if (r < 0)
		return r;
	*ret_ns = fixture.ready_ns - fixture.exec_ns;
	fixture_stop(&fixture);
	return 0;
}

int startup_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		struct sample *ret_sample)
{
	struct sample sample = {0, n};

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t ns;
		int r = start_once(bench, benchmark->n_frames, &ns);

		if (r < 0)
			return r;
		sample.ns += ns;
	}
	*ret_sample = sample;
	return 0;
}

/* In turns, so that a machine that is slow for a while is slow for both. */
int startup_run_ratio(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample)
{
	struct sample sample = {0, 0};

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t small, large;
		int r = start_once(bench, 1, &small);

		if (r == 0)
			r = start_once(bench, benchmark->n_frames, &large);
		if (r < 0)
			return r;
		sample.ns += large;
		sample.ops += small;
	}
	*ret_sample = sample;
	return 0;
}

void startup_teardown(struct bench *bench, void *state)
{
	(void)bench;
	(void)state;
}
