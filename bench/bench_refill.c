/* bench/bench_refill.c - see bench_refill.h.
 *
 * The daemon has a batch of 2, which follows demand up to 64: so 64 frames from an empty magazine
 * are one refill that grants exactly these. They are kept, so that the next one finds it empty
 * again, at once: the daemon still polls, and is asked by the doorbell.
 *
 * Who keeps all it takes shows a demand that never ends: for its first refills a new magazine's
 * batch grows, and whenever all that it was given has doubled its ring of slots does, which takes a
 * PcpRefill through the socket after a ring in vain, some 50 us. So "refill" leaves a new client's
 * first REFILLS_LEARNING out of the time, and times REFILLS_TIMED, among which no doubling is; then
 * the client leaves with all of it and another comes. "refill_new" times the first ones alone: what
 * growing costs. */
#include "bench/bench_refill.h"

#include <errno.h>
#include <stdlib.h>

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

/* n refills, or -errno. */
static int refill_some(struct bench *bench, const struct refill_state *state, pageclient *client,
		       uint32_t n_frames, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (pageclient_alloc_bulk(client, 0, 0, state->frame, n_frames) != n_frames)
			return bench_fail(bench, -ENOMEM, "%s", pageclient_error());
	}
	return 0;
}

/* n refills by a new client, after n_before that do not count. */
static int refill_client(struct bench *bench, const struct refill_state *state, uint32_t n_frames,
			 uint64_t n_before, uint64_t n, uint64_t *ns)
{
	pageclient *client;
	uint64_t begin;
	int r = bench_open_client(bench, state->fixture, &client);

	if (r < 0)
		return r;
	/* The magazines of this thread are made, the hot one is empty. */
	if (!pageclient_alloc(client, 0, PAGECLIENT_COLD))
		r = bench_fail(bench, -ENOMEM, "%s", pageclient_error());
	if (r == 0)
		r = refill_some(bench, state, client, n_frames, n_before);
	begin = bench_now_ns();
	if (r == 0)
		r = refill_some(bench, state, client, n_frames, n);
	*ns += bench_now_ns() - begin;
	pageclient_close(client);
	return r;
}

static int refill_run_with(struct bench *bench, const struct benchmark *benchmark,
			   const struct refill_state *state, uint64_t n_before, uint64_t n_most,
			   uint64_t n, struct sample *ret_sample)
{
	struct sample sample = {0, n * benchmark->n_frames};

	while (n > 0) {
		uint64_t some = n < n_most ? n : n_most;
		int r = refill_client(bench, state, benchmark->n_frames, n_before, some,
				      &sample.ns);

		if (r < 0)
			return r;
		n -= some;
	}
	*ret_sample = sample;
	return 0;
}

int refill_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	       struct sample *ret_sample)
{
	return refill_run_with(bench, benchmark, state, REFILLS_LEARNING, REFILLS_TIMED, n,
			       ret_sample);
}

int refill_run_new(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	return refill_run_with(bench, benchmark, state, 0, REFILLS_LEARNING, n, ret_sample);
}
