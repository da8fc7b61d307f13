/* bench/bench_compact.c - see bench_compact.h. */
#include "bench/bench_compact.h"

#include "pagectl/connect.h"

#include <errno.h>
#include <stdlib.h>

#define SEGMENT_FRAMES 65536u /* of BENCH_DAEMON_FULL */
#define ORDER 9u
#define RUN_FRAMES (1u << ORDER)
#define GIVEN_BACK 8u     /* one frame in so many: more than high, and no two side by side */
#define CAN_BE_EMPTIED 4u /* one run in so many */
/* Of the 32 runs that can be. Lower: the segment is filled more often than it is used; higher: the
 * last ones are not to be had, because the watermark's frames lie anywhere. */
#define BLOCKS 24u

struct compact_state {
	struct fixture *fixture;
	struct connection connection;
	pageclient *holder, *wanter;
	void *frame[SEGMENT_FRAMES]; /* of the holder, by pfn */
	uint32_t n_blocks;
	uint64_t ns, n_frames, n_got, n_asked;
};

static int hold_all(struct bench *bench, struct compact_state *state)
{
	void *frame;

	for (uint32_t i = 0; i < SEGMENT_FRAMES; i++)
		state->frame[i] = NULL;
	/* Alone: the one that fails does so at once, and those before wait for commits. */
	while ((frame = pageclient_alloc(state->holder, 0, PAGECLIENT_RECLAIMABLE)))
		state->frame[pageclient_pfn(state->holder, frame)] = frame;
	if (errno != ENOMEM && errno != EAGAIN)
		return bench_fail(bench, -errno, "%s", pageclient_error());
	return 0;
}

static int give_some_back(struct bench *bench, struct compact_state *state)
{
	struct message request = {.kind = MESSAGE_DRAIN};
	struct message_reply reply;
	int r;

	for (uint32_t pfn = 0; pfn < SEGMENT_FRAMES; pfn += GIVEN_BACK) {
		if (state->frame[pfn])
			pageclient_free(state->holder, state->frame[pfn], 0);
		state->frame[pfn] = NULL;
	}
	r = connection_call(&state->connection, &request, &reply, bench->text, sizeof(bench->text));
	return r == 0 && reply.status < 0 ? bench_fail(bench, reply.status, "%s", reply.text) : r;
}

/* All that is left goes into slots; the first frame of most runs stays pinned. */
static int arm(struct bench *bench, struct compact_state *state)
{
	for (uint32_t pfn = 0; pfn < SEGMENT_FRAMES; pfn++) {
		bool stays = pfn / RUN_FRAMES % CAN_BE_EMPTIED && pfn % RUN_FRAMES == 1;
		pageclient_slot slot;
		int r = state->frame[pfn]
				? pageclient_purgeable_new(state->holder, state->frame[pfn], &slot)
				: -ENOENT;

		if (r == -ENOENT)
			continue;
		if (r < 0)
			return bench_fail(bench, r, "a slot: %s", pageclient_error());
		if (!stays)
			pageclient_unpin(state->holder, slot);
	}
	return 0;
}

/* All frames are the holder's, as at the start. */
static int build(struct bench *bench, struct compact_state *state)
{
	int r;

	pageclient_close(state->wanter);
	pageclient_close(state->holder);
	state->wanter = state->holder = NULL;
	state->n_blocks = 0;
	r = bench_open_client(bench, state->fixture, &state->holder);
	if (r == 0)
		r = hold_all(bench, state);
	if (r == 0)
		r = bench_open_client(bench, state->fixture, &state->wanter);
	if (r == 0)
		r = give_some_back(bench, state);
	if (r == 0)
		r = arm(bench, state);
	/* The first may find the frames that the watermark kept in one run. */
	if (r == 0 && !pageclient_alloc(state->wanter, ORDER, 0))
		r = bench_fail(bench, -errno, "%s", pageclient_error());
	return r;
}

int compact_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct compact_state *state = calloc(1, sizeof(*state));
	int r = state ? bench_find_daemon(bench, BENCH_DAEMON_FULL, &state->fixture) : -ENOMEM;

	(void)benchmark;
	if (r == 0 && connection_open(&state->connection, state->fixture->socket, NULL, bench->text,
				      sizeof(bench->text)) != CONNECT_OK)
		r = -ENOTCONN;
	if (r < 0) {
		free(state);
		return r;
	}
	r = build(bench, state);
	if (r < 0) {
		compact_teardown(bench, state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void compact_teardown(struct bench *bench, void *state)
{
	struct compact_state *compact = state;

	(void)bench;
	pageclient_close(compact->wanter);
	pageclient_close(compact->holder);
	connection_close(&compact->connection);
	free(compact);
}

static int count_purged(struct bench *bench, struct compact_state *state, uint64_t *ret_n)
{
	struct pageclient_status status;
	int r;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	r = pageclient_read_status(state->holder, &status);
	if (r < 0)
		return bench_fail(bench, r, "a Status request: %s", pageclient_error());
	*ret_n = status.nr_purged;
	return 0;
}

/* One request; what it took and what it cost the holder is added up. */
static int ask(struct bench *bench, struct compact_state *state)
{
	uint64_t before = 0, after = 0, begin;
	void *block;
	int r = state->n_blocks < BLOCKS ? 0 : build(bench, state);

	if (r == 0)
		r = count_purged(bench, state, &before);
	if (r < 0)
		return r;
	begin = bench_now_ns();
	block = pageclient_alloc(state->wanter, ORDER, 0);
	state->ns += bench_now_ns() - begin;
	state->n_asked++;
	state->n_got += block != NULL;
	state->n_blocks = block ? state->n_blocks + 1 : BLOCKS;
	r = count_purged(bench, state, &after);
	state->n_frames += after - before;
	return r;
}

static int ask_often(struct bench *bench, struct compact_state *state, uint64_t n)
{
	int r = 0;

	state->ns = state->n_frames = state->n_got = state->n_asked = 0;
	while (r == 0 && n-- > 0)
		r = ask(bench, state);
	if (r == 0 && state->n_frames == 0)
		r = bench_fail(bench, -EPROTO, "nothing was purged for a block of order %u", ORDER);
	return r;
}

int compact_run_blocks(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample)
{
	struct compact_state *compact = state;
	int r = ask_often(bench, compact, n);

	(void)benchmark;
	if (r == 0 && compact->n_got == 0)
		r = bench_fail(bench, -ENOMEM, "no block of order %u was to be had", ORDER);
	if (r == 0)
		*ret_sample = (struct sample){compact->ns, compact->n_got};
	return r;
}

int compact_run_frames(struct bench *bench, const struct benchmark *benchmark, void *state,
		       uint64_t n, struct sample *ret_sample)
{
	struct compact_state *compact = state;
	int r = ask_often(bench, compact, n);

	(void)benchmark;
	if (r == 0)
		*ret_sample = (struct sample){compact->ns, compact->n_frames};
	return r;
}

int compact_run_success(struct bench *bench, const struct benchmark *benchmark, void *state,
			uint64_t n, struct sample *ret_sample)
{
	struct compact_state *compact = state;
	int r = ask_often(bench, compact, n < BLOCKS ? BLOCKS : n);

	(void)benchmark;
	/* A value is time by operations, and a run is to look as long as it was. */
	if (r == 0 && compact->n_got == 0)
		r = bench_fail(bench, -ENOMEM, "no block of order %u was to be had", ORDER);
	if (r == 0)
		*ret_sample = (struct sample){compact->ns, compact->ns * compact->n_asked /
								   (100 * compact->n_got)};
	return r;
}
