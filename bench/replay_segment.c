/* bench/replay_segment.c - see replay_segment.h. */
#include "bench/replay_segment.h"

#include "bench/bench.h"
#include "paged/bits.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lower fails on a busy machine; higher only delays the news. */
#define WAIT_NS UINT64_C(10000000000)

/* What a client knows of an object. All slots of a client are in a ring, as in replay_policy.c: its
 * anchor stands behind the objects. */
struct entry {
	pageclient_slot slot; /* 0: none */
	uint32_t older, newer;
};

struct replay {
	const struct trace *trace;
	const struct segment_options *options;
	struct fixture fixture;
	pageclient *client[TRACE_MAX_CLIENTS];
	uint32_t n_slots[TRACE_MAX_CLIENTS];
	struct entry *entry;
	uint8_t *seen;
	struct segment_result result;
	char *text;
	size_t text_bytes;
};

static int fail(struct replay *replay, int r, const char *what)
{
	(void)snprintf(replay->text, replay->text_bytes, "%s: %.200s", what, pageclient_error());
	return r;
}

/* --- the ring of a client ----------------------------------------------------------------------
 */

static uint32_t anchor_of(const struct replay *replay, uint32_t client)
{
	return replay->trace->n_objects + client;
}

static void ring_remove(struct replay *replay, uint32_t o)
{
	struct entry *entry = &replay->entry[o];

	replay->entry[entry->older].newer = entry->newer;
	replay->entry[entry->newer].older = entry->older;
}

static void ring_add(struct replay *replay, uint32_t client, uint32_t o)
{
	uint32_t anchor = anchor_of(replay, client);

	replay->entry[o].older = replay->entry[anchor].older;
	replay->entry[o].newer = anchor;
	replay->entry[replay->entry[o].older].newer = o;
	replay->entry[anchor].older = o;
}

/* --- one request -------------------------------------------------------------------------------
 */

/* The slot ends, whether it was purged or not. The daemon may have been put off its CPU in the
 * middle of that purge. */
static int forget(struct replay *replay, uint32_t client, uint32_t o)
{
	uint64_t begin = bench_now_ns();
	int r;

	while ((r = pageclient_purgeable_drop(replay->client[client], replay->entry[o].slot)) ==
		       -EAGAIN &&
	       bench_now_ns() - begin < WAIT_NS)
		(void)sched_yield();
	if (r < 0)
		return fail(replay, r, "a slot cannot be dropped");
	replay->entry[o].slot = 0;
	replay->n_slots[client]--;
	ring_remove(replay, o);
	return 0;
}

/* 1: a hit, 0: a miss, and the object has no slot; or -errno. */
static int look(struct replay *replay, uint32_t client, uint32_t o)
{
	struct entry *entry = &replay->entry[o];
	const uint64_t *frame;
	uint64_t found;

	if (entry->slot == 0)
		return 0;
	frame = pageclient_pin(replay->client[client], entry->slot);
	if (!frame)
		return errno == ENODATA ? forget(replay, client, o) : fail(replay, -errno, "a pin");
	found = *frame;
	pageclient_unpin(replay->client[client], entry->slot);
	if (found != o + UINT64_C(1)) {
		(void)snprintf(replay->text, replay->text_bytes,
			       "object %u had the content of another, %llu: frames got mixed up", o,
			       (unsigned long long)found - 1);
		return -EBADMSG;
	}
	ring_remove(replay, o);
	ring_add(replay, client, o);
	return 1;
}

static int rebuild(struct replay *replay, uint32_t client, uint32_t o)
{
	unsigned order = bits_log2(replay->trace->object[o].frames);
	uint64_t *frame = pageclient_alloc(replay->client[client], order, PAGECLIENT_RECLAIMABLE);
	int r = 0;

	if (!frame && errno != ENOMEM && errno != EAGAIN)
		return fail(replay, -errno, "an allocation");
	if (!frame) {
		replay->result.n_refused++;
		return 0;
	}
	*frame = o + UINT64_C(1);
	if (replay->n_slots[client] >= replay->options->n_frames)
		r = forget(replay, client, replay->entry[anchor_of(replay, client)].newer);
	if (r < 0)
		return r;
	r = pageclient_purgeable_new(replay->client[client], frame, &replay->entry[o].slot);
	if (r < 0)
		return fail(replay, r, "a slot");
	pageclient_unpin(replay->client[client], replay->entry[o].slot);
	replay->n_slots[client]++;
	ring_add(replay, client, o);
	return 0;
}

static int request(struct replay *replay, uint32_t o)
{
	const struct trace_object *object = &replay->trace->object[o];
	int r = look(replay, object->client, o);

	if (r < 0)
		return r;
	outcome_note(&replay->result.outcome, object->frames,
		     replay->trace->client[object->client].cost_ns, !replay->seen[o], r == 1);
	replay->seen[o] = 1;
	return r == 1 ? 0 : rebuild(replay, object->client, o);
}

/* --- all of them -------------------------------------------------------------------------------
 */

static int open_client(struct replay *replay, uint32_t c)
{
	struct pageclient_options options;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = replay->fixture.socket;
	options.name = "replay";
	options.max_threads = 1;
	r = pageclient_open(&options, &replay->client[c]);
	if (r == 0)
		r = pageclient_purgeable_cost(replay->client[c], replay->trace->client[c].cost_ns);
	return r < 0 ? fail(replay, r, "a client") : 0;
}

static int start(struct replay *replay)
{
	char configuration[128];
	struct fixture_options options = {.paged = replay->options->paged,
					  .configuration = configuration,
					  .cpu = PLACE_ANYWHERE};
	uint32_t n = replay->trace->n_objects + replay->trace->n_clients;
	int r;

	(void)snprintf(configuration, sizeof(configuration),
		       "[segment]\nsize = %lluK\npage_size = 4K\n",
		       (unsigned long long)replay->options->n_frames * (TRACE_FRAME_BYTES / 1024));
	replay->entry = calloc(n, sizeof(*replay->entry));
	replay->seen = calloc(n, 1);
	if (!replay->entry || !replay->seen) {
		(void)snprintf(replay->text, replay->text_bytes, "no memory");
		return -ENOMEM;
	}
	for (uint32_t o = 0; o < n; o++)
		replay->entry[o].older = replay->entry[o].newer = o;
	r = fixture_start(&replay->fixture, &options, replay->text, replay->text_bytes);
	for (uint32_t c = 0; r == 0 && c < replay->trace->n_clients; c++)
		r = open_client(replay, c);
	return r;
}

static int look_back(struct replay *replay)
{
	struct pageclient_status status;
	uint64_t used = 0;

	for (uint32_t c = 0; c < replay->trace->n_clients; c++) {
		int r;

		PAGECLIENT_INIT(struct pageclient_status, &status);
		r = pageclient_read_status(replay->client[c], &status);
		if (r < 0)
			return fail(replay, r, "the status of a client");
		used += status.nr_owned;
		replay->result.n_magazine += status.nr_magazine;
		replay->result.n_purged += status.nr_purged;
	}
	replay->result.n_free = replay->options->n_frames - used;
	return 0;
}

static void stop(struct replay *replay)
{
	for (uint32_t c = 0; c < replay->trace->n_clients; c++)
		pageclient_close(replay->client[c]);
	fixture_stop(&replay->fixture);
	free(replay->entry);
	free(replay->seen);
}

int segment_replay(const struct trace *trace, const struct segment_options *options,
		   struct segment_result *ret_result, char *text, size_t text_bytes)
{
	struct replay replay = {
		.trace = trace, .options = options, .text = text, .text_bytes = text_bytes};
	uint64_t begin;
	int r = start(&replay);

	begin = bench_now_ns();
	for (uint32_t i = 0; r == 0 && i < trace->n; i++)
		r = request(&replay, trace->request[i]);
	replay.result.ns = bench_now_ns() - begin;
	if (r == 0)
		r = look_back(&replay);
	stop(&replay);
	if (r == 0)
		*ret_result = replay.result;
	return r;
}
