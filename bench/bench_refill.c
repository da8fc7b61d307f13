/* bench/bench_refill.c - see bench_refill.h.
 *
 * The daemon has a batch of 2, which follows demand up to 64: so 64 frames from an empty magazine
 * are one PcpRefill that grants exactly these. They are kept, so that the next one finds it empty
 * again, at once: the daemon still polls. When REFILLS_HELD of them are held the client leaves with
 * all of it and another comes, outside the time that counts. */
#include "bench/bench_refill.h"

#include <errno.h>
#include <stdlib.h>

/* Lower: more time is spent on clients that come and go than on refills. Higher: more memory; 256
 * hold 64 MiB. */
#define REFILLS_HELD 256u

struct refill_state {
	struct fixture *fixture;
	void **frame;
};

int refill_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct refill_state *state = calloc(1, sizeof(*state));
	int r;

	if (state)
		state->frame = calloc(benchmark->n_frames, sizeof(*state->frame));
	if (!state || !state->frame) {
		free(state);
		return bench_fail(bench, -ENOMEM, "no memory for %u frames", benchmark->n_frames);
	}
	r = bench_find_daemon(bench, BENCH_DAEMON_SMALL_BATCH, &state->fixture);
	if (r < 0) {
		refill_teardown(bench, state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void refill_teardown(struct bench *bench, void *state)
{
	struct refill_state *refill = state;

	(void)bench;
	free(refill->frame);
	free(refill);
}

/* n refills by one client. */
static int refill_some(struct bench *bench, const struct refill_state *state, pageclient *client,
		       uint32_t n_frames, uint64_t n, uint64_t *ns)
{
	uint64_t begin;

	/* The magazines of this thread are made, the hot one is empty. */
	if (!pageclient_alloc(client, 0, PAGECLIENT_COLD))
		return bench_fail(bench, -ENOMEM, "%s", pageclient_error());
	begin = bench_now_ns();
	for (uint64_t i = 0; i < n; i++) {
		if (pageclient_alloc_bulk(client, 0, 0, state->frame, n_frames) != n_frames)
			return bench_fail(bench, -ENOMEM, "%s", pageclient_error());
	}
	*ns += bench_now_ns() - begin;
	return 0;
}

int refill_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	       struct sample *ret_sample)
{
	struct refill_state *refill = state;
	struct sample sample = {0, n * benchmark->n_frames};

	while (n > 0) {
		uint64_t some = n < REFILLS_HELD ? n : REFILLS_HELD;
		pageclient *client;
		int r = bench_open_client(bench, refill->fixture, &client);

		if (r < 0)
			return r;
		r = refill_some(bench, refill, client, benchmark->n_frames, some, &sample.ns);
		pageclient_close(client);
		if (r < 0)
			return r;
		n -= some;
	}
	*ret_sample = sample;
	return 0;
}
