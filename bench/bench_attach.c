/* bench/bench_attach.c - see bench_attach.h. */
#include "bench/bench_attach.h"

int attach_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct fixture *fixture;
	int r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture);

	(void)benchmark;
	if (r == 0)
		*ret_state = fixture;
	return r;
}

int attach_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	       struct sample *ret_sample)
{
	uint64_t begin = bench_now_ns();

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		pageclient *client;
		int r = bench_open_client(bench, state, &client);

		if (r < 0)
			return r;
		pageclient_close(client);
	}
	*ret_sample = (struct sample){bench_now_ns() - begin, n};
	return 0;
}

void attach_teardown(struct bench *bench, void *state)
{
	(void)bench;
	(void)state;
}
