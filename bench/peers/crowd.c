/* bench/peers/crowd.c - see crowd.h. */
#include "bench/peers/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct crowd {
	struct fixture fixture;
	uint32_t n;
	pageclient **client;
};

int crowd_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	int r = -ENOMEM;

	if (crowd)
		crowd->client = calloc(benchmark->n_frames + 1, sizeof(pageclient *));
	if (crowd && crowd->client)
		r = bench_start_daemon(bench, "[segment]\nsize = 256M\n", &crowd->fixture);
	while (r == 0 && crowd->n < benchmark->n_frames) {
		r = bench_open_client(bench, &crowd->fixture, &crowd->client[crowd->n]);
		if (r == 0)
			crowd->n++;
	}
	if (r < 0) {
		char text[FIXTURE_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "client %u: %.900s", crowd ? crowd->n + 1 : 0,
			       bench->text);
		if (crowd)
			crowd_teardown(bench, crowd);
		return bench_fail(bench, r, "%s", text);
	}
	*ret_state = crowd;
	return 0;
}

int crowd_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample)
{
	struct crowd *crowd = state;
	struct sample sample = {0, n};

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t begin = bench_now_ns();
		pageclient *client;
		int r = bench_open_client(bench, &crowd->fixture, &client);

		if (r < 0)
			return r;
		sample.ns += bench_now_ns() - begin;
		pageclient_close(client);
	}
	*ret_sample = sample;
	return 0;
}

void crowd_teardown(struct bench *bench, void *state)
{
	struct crowd *crowd = state;

	(void)bench;
	while (crowd->n > 0)
		pageclient_close(crowd->client[--crowd->n]);
	fixture_stop(&crowd->fixture);
	free(crowd->client);
	free(crowd);
}
