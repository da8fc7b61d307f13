/* bench/bench_purge.c - see bench_purge.h. */
#include "bench/bench_purge.h"

#include "pagectl/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES 4096u

/* --- a pin that succeeds ------------------------------------------------------------------------
 */

struct pin_state {
	pageclient *client;
	pageclient_slot slot;
};

int pin_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct pin_state *state = calloc(1, sizeof(*state));
	struct fixture *fixture;
	void *frame;
	int r = state ? bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture) : -ENOMEM;

	(void)benchmark;
	if (r == 0)
		r = bench_open_client(bench, fixture, &state->client);
	if (r < 0) {
		free(state);
		return r;
	}
	frame = pageclient_alloc(state->client, 0, PAGECLIENT_RECLAIMABLE);
	r = frame ? pageclient_purgeable_new(state->client, frame, &state->slot) : -errno;
	if (r < 0) {
		r = bench_fail(bench, r, "a purgeable frame: %s", pageclient_error());
		pin_teardown(bench, state);
		return r;
	}
	pageclient_unpin(state->client, state->slot);
	*ret_state = state;
	return 0;
}

void pin_teardown(struct bench *bench, void *state)
{
	struct pin_state *pin = state;

	(void)bench;
	pageclient_close(pin->client);
	free(pin);
}

int pin_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample)
{
	struct pin_state *pin = state;
	struct slices slices = slices_of(n);
	uint64_t some;

	(void)benchmark;
	while ((some = slices_next(&slices)) > 0) {
		for (uint64_t i = 0; i < some; i++) {
			if (!pageclient_pin(pin->client, pin->slot))
				return bench_fail(bench, -errno, "a pin: %s", pageclient_error());
			pageclient_unpin(pin->client, pin->slot);
		}
	}
	*ret_sample = slices_sum(&slices);
	return 0;
}

int pin_run_copy(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample)
{
	struct pin_state *pin = state;
	struct slices slices = slices_of(n);
	char copy[COPY_BYTES];
	uint64_t some;

	(void)benchmark;
	if (pageclient_page_size(pin->client) < sizeof(copy))
		return bench_fail(bench, -EOPNOTSUPP, "frames are smaller than %zu bytes",
				  sizeof(copy));
	while ((some = slices_next(&slices)) > 0) {
		for (uint64_t i = 0; i < some; i++) {
			const void *frame = pageclient_pin(pin->client, pin->slot);

			if (!frame)
				return bench_fail(bench, -errno, "a pin: %s", pageclient_error());
			memcpy(copy, frame, sizeof(copy));
			__asm__ volatile("" : : "r"(copy) : "memory"); /* somebody reads it */
			pageclient_unpin(pin->client, pin->slot);
		}
	}
	*ret_sample = slices_sum(&slices);
	return 0;
}

/* --- a cache that is purged ---------------------------------------------------------------------
 */

struct purge_state {
	pageclient *client;
	struct connection connection;
	pageclient_slot *slot; /* n_frames; 0: none yet */
};

int purge_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct purge_state *state = calloc(1, sizeof(*state));
	struct fixture *fixture = NULL;
	int r = -ENOMEM;

	if (state)
		state->slot = calloc(benchmark->n_frames, sizeof(*state->slot));
	if (state && state->slot)
		r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture);
	if (r == 0)
		r = bench_open_client(bench, fixture, &state->client);
	if (r == 0 && connection_open(&state->connection, fixture->socket, NULL, bench->text,
				      sizeof(bench->text)) != CONNECT_OK) {
		r = -ENOTCONN;
		pageclient_close(state->client);
	}
	if (r < 0) {
		if (state)
			free(state->slot);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void purge_teardown(struct bench *bench, void *state)
{
	struct purge_state *purge = state;

	(void)bench;
	connection_close(&purge->connection);
	pageclient_close(purge->client);
	free(purge->slot);
	free(purge);
}

/* All slots have a frame, and none is pinned. */
static int fill(struct bench *bench, struct purge_state *state, uint32_t n_frames)
{
	for (uint32_t i = 0; i < n_frames; i++) {
		pageclient_slot *slot = &state->slot[i];
		void *frame = *slot ? pageclient_pin(state->client, *slot) : NULL;
		int r = 0;

		if (!frame) {
			frame = pageclient_alloc(state->client, 0, PAGECLIENT_RECLAIMABLE);
			if (!frame)
				return bench_fail(bench, -errno, "%s", pageclient_error());
			r = *slot ? pageclient_purgeable_rearm(state->client, *slot, frame)
				  : pageclient_purgeable_new(state->client, frame, slot);
		}
		if (r < 0)
			return bench_fail(bench, r, "%s", pageclient_error());
		pageclient_unpin(state->client, *slot);
	}
	return 0;
}

static int reclaim(struct bench *bench, struct purge_state *state, uint32_t n_frames,
		   struct sample *sample)
{
	struct message request = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = n_frames}};
	struct message_reply reply;
	uint64_t begin = bench_now_ns();
	int r = connection_call(&state->connection, &request, &reply, bench->text,
				sizeof(bench->text));

	sample->ns += bench_now_ns() - begin;
	if (r < 0)
		return r;
	if (reply.status < 0 || reply.count < n_frames / 2)
		return bench_fail(bench, -EPROTO, "%llu of %u frames came back: %s",
				  (unsigned long long)reply.count, n_frames, reply.text);
	sample->ops += reply.count;
	return 0;
}

int purge_run_frames(struct bench *bench, const struct benchmark *benchmark, void *state,
		     uint64_t n, struct sample *ret_sample)
{
	struct sample sample = {0, 0};

	for (uint64_t i = 0; i < n; i++) {
		int r = fill(bench, state, benchmark->n_frames);

		if (r == 0)
			r = reclaim(bench, state, benchmark->n_frames, &sample);
		if (r < 0)
			return r;
	}
	*ret_sample = sample;
	return 0;
}

int purge_run_all(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample)
{
	int r = purge_run_frames(bench, benchmark, state, n, ret_sample);

	if (r == 0)
		ret_sample->ops = n;
	return r;
}
