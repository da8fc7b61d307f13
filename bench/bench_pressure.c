/* bench/bench_pressure.c - see bench_pressure.h. */
#include "bench/bench_pressure.h"

#include "bench/bench_rpc.h"

#include <errno.h>
#include <stdlib.h>

#define OWNERS 4u
#define SEGMENT_FRAMES 65536u /* of BENCH_DAEMON_FULL */
/* Of the client that allocates: the frames of the oldest are purged by then, most of them. */
#define SLOTS SEGMENT_FRAMES
#define ROUNDTRIPS 2000u

struct pressure_state {
	pageclient *owner[OWNERS], *client;
	void *rpc;             /* of rpc_roundtrip, to a daemon of its own */
	pageclient_slot *slot; /* of client; a ring. 0: none yet */
	uint32_t next;
};

/* A frame becomes purgeable. */
static int give(struct bench *bench, pageclient *client, void *frame, pageclient_slot *ret_slot)
{
	int r = pageclient_purgeable_new(client, frame, ret_slot);

	if (r < 0)
		return bench_fail(bench, r, "a slot: %s", pageclient_error());
	pageclient_unpin(client, *ret_slot);
	return 0;
}

static int fill(struct bench *bench, pageclient *owner)
{
	for (uint32_t i = 0; i < SEGMENT_FRAMES / OWNERS; i++) {
		void *frame = pageclient_alloc(owner, 0, PAGECLIENT_RECLAIMABLE);
		pageclient_slot slot;
		int r = frame ? give(bench, owner, frame, &slot)
			      : bench_fail(bench, -errno, "%s", pageclient_error());

		if (r < 0)
			return r;
	}
	return 0;
}

int pressure_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct pressure_state *state = calloc(1, sizeof(*state));
	struct fixture *fixture = NULL;
	int r = -ENOMEM;

	if (state)
		state->slot = calloc(SLOTS, sizeof(*state->slot));
	if (state && state->slot)
		r = bench_find_daemon(bench, BENCH_DAEMON_FULL, &fixture);
	for (uint32_t i = 0; r == 0 && i < OWNERS; i++) {
		r = bench_open_client(bench, fixture, &state->owner[i]);
		if (r == 0)
			r = fill(bench, state->owner[i]);
	}
	if (r == 0)
		r = bench_open_client(bench, fixture, &state->client);
	if (r == 0)
		r = rpc_setup(bench, benchmark, &state->rpc);
	if (r < 0) {
		if (state)
			pressure_teardown(bench, state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void pressure_teardown(struct bench *bench, void *state)
{
	struct pressure_state *pressure = state;

	rpc_teardown(bench, pressure->rpc);
	pageclient_close(pressure->client);
	for (uint32_t i = 0; i < OWNERS; i++)
		pageclient_close(pressure->owner[i]);
	free(pressure->slot);
	free(pressure);
}

/* The frame takes the place of the one of SLOTS allocations ago. */
static int keep(struct bench *bench, struct pressure_state *state, void *frame)
{
	pageclient_slot *slot = &state->slot[state->next++ % SLOTS];
	int r = *slot ? pageclient_purgeable_drop(state->client, *slot) : 0;

	/* EAGAIN: the daemon is in the middle of it. That slot is lost, which matters to nobody. */
	if (r < 0 && r != -EAGAIN)
		return bench_fail(bench, r, "a slot: %s", pageclient_error());
	return give(bench, state->client, frame, slot);
}

/* One allocation that asks the daemon. */
static int time_one(struct bench *bench, struct pressure_state *state, uint64_t *ret_ns)
{
	uint64_t begin;
	void *frame;

	while ((frame = pageclient_alloc(state->client, 0, PAGECLIENT_NOWAIT))) {
		int r = keep(bench, state, frame);

		if (r < 0)
			return r;
	}
	begin = bench_now_ns();
	frame = pageclient_alloc(state->client, 0, 0);
	*ret_ns = bench_now_ns() - begin;
	return frame ? keep(bench, state, frame)
		     : bench_fail(bench, -errno, "%s", pageclient_error());
}

static int time_status(struct bench *bench, struct pressure_state *state, uint64_t *ret_ns)
{
	struct pageclient_status status;
	uint64_t begin = bench_now_ns();
	int r;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	r = pageclient_read_status(state->client, &status);
	*ret_ns = bench_now_ns() - begin;
	return r < 0 ? bench_fail(bench, r, "a Status request: %s", pageclient_error()) : 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of n calls, the one that `thousandths` of them are not slower than. */
static int find_percentile(struct bench *bench, struct pressure_state *state,
			   int (*call)(struct bench *, struct pressure_state *, uint64_t *),
			   uint64_t n, uint32_t thousandths, uint64_t *ret_ns)
{
	uint64_t *ns = calloc(n, sizeof(*ns));
	int r = ns ? 0 : bench_fail(bench, -ENOMEM, "no memory");

	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = call(bench, state, &ns[i]);
	if (r == 0) {
		qsort(ns, n, sizeof(*ns), compare);
		*ret_ns = ns[n * thousandths / 1000];
	}
	free(ns);
	return r;
}

static int run_calls(struct bench *bench, const struct benchmark *benchmark, void *state,
		     int (*call)(struct bench *, struct pressure_state *, uint64_t *), uint64_t n,
		     struct sample *ret_sample)
{
	uint64_t n_samples = n * PRESSURE_SAMPLES, ns;
	int r = find_percentile(bench, state, call, n_samples, benchmark->n_frames, &ns);

	/* As if each had taken that long: the caller divides. */
	if (r == 0)
		*ret_sample = (struct sample){ns * n_samples, n_samples};
	return r;
}

int pressure_run_percentile(struct bench *bench, const struct benchmark *benchmark, void *state,
			    uint64_t n, struct sample *ret_sample)
{
	return run_calls(bench, benchmark, state, time_one, n, ret_sample);
}

int pressure_run_status(struct bench *bench, const struct benchmark *benchmark, void *state,
			uint64_t n, struct sample *ret_sample)
{
	return run_calls(bench, benchmark, state, time_status, n, ret_sample);
}

int pressure_run_ratio(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample)
{
	struct pressure_state *pressure = state;
	struct sample roundtrips;
	int r = rpc_run(bench, benchmark, pressure->rpc, ROUNDTRIPS, &roundtrips);

	if (r == 0)
		r = pressure_run_percentile(bench, benchmark, state, n, ret_sample);
	if (r == 0)
		ret_sample->ops *= roundtrips.ns / roundtrips.ops;
	return r;
}
