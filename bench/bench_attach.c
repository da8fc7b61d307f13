/* bench/bench_attach.c - see bench_attach.h. */
#include "bench/bench_attach.h"

#include <errno.h>
#include <stdlib.h>

/* Attaches at either end, of which the median counts. Lower: one interrupt decides; higher: "the
 * first" are many. */
#define ENDS 25u

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

/* --- many ----------------------------------------------------------------------------------- */

static int by_size(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static uint64_t median(uint64_t *ns, uint32_t n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	return ns[n / 2];
}

static int attach_all(struct bench *bench, const struct fixture *fixture, pageclient **client,
		      uint64_t *ns, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t begin = bench_now_ns();
		int r = bench_open_client(bench, fixture, &client[i]);

		ns[i] = bench_now_ns() - begin;
		if (r < 0)
			return r;
	}
	return 0;
}

int attach_run_many(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample)
{
	uint32_t n_clients = benchmark->n_frames;
	pageclient **client = calloc(n_clients, sizeof(pageclient *));
	uint64_t *ns = calloc(n_clients, sizeof(*ns));
	int r = client && ns ? 0 : bench_fail(bench, -ENOMEM, "no memory");

	*ret_sample = (struct sample){0, 0};
	for (uint64_t round = 0; r == 0 && round < n; round++) {
		uint64_t begin = bench_now_ns(), all_ns;

		r = attach_all(bench, state, client, ns, n_clients);
		all_ns = bench_now_ns() - begin;
		/* As if there were so many first ones: the caller divides. */
		ret_sample->ns += all_ns;
		ret_sample->ops += (uint64_t)((double)all_ns * (double)median(ns, ENDS) /
					      (double)median(ns + n_clients - ENDS, ENDS));
		for (uint32_t i = 0; i < n_clients && client[i]; i++) {
			pageclient_close(client[i]);
			client[i] = NULL;
		}
	}
	free(client);
	free(ns);
	return r;
}

void attach_teardown(struct bench *bench, void *state)
{
	(void)bench;
	(void)state;
}
