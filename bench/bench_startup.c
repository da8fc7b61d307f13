/* bench/bench_startup.c - see bench_startup.h. Every start makes a segment: nothing of the one
 * before is left. */
#include "bench/bench_startup.h"

int startup_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	(void)bench;
	(void)benchmark;
	*ret_state = NULL;
	return 0;
}

int startup_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		struct sample *ret_sample)
{
	struct sample sample = {0, n};

	(void)benchmark;
	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		struct fixture fixture;
		int r = bench_start_daemon(bench, "[segment]\nsize = 1T\n", &fixture);

		if (r < 0)
			return r;
		sample.ns += fixture.ready_ns - fixture.exec_ns;
		fixture_stop(&fixture);
	}
	*ret_sample = sample;
	return 0;
}

void startup_teardown(struct bench *bench, void *state)
{
	(void)bench;
	(void)state;
}
