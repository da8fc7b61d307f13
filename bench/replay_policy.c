/* bench/replay_policy.c - streams, exact LRU and Belady's MIN; see replay_policy.h. */
#include "bench/replay_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void outcome_add(struct outcome *sum, const struct outcome *outcome)
{
	sum->n_requests += outcome->n_requests;
	sum->n_hits += outcome->n_hits;
	sum->n_frames += outcome->n_frames;
	sum->n_frames_hit += outcome->n_frames_hit;
	sum->n_cold += outcome->n_cold;
	sum->rebuild_ns += outcome->rebuild_ns;
}

void outcome_note(struct outcome *outcome, uint32_t frames, uint64_t cost_ns, bool cold, bool hit)
{
	outcome->n_requests++;
	outcome->n_frames += frames;
	if (hit) {
		outcome->n_hits++;
		outcome->n_frames_hit += frames;
	} else if (cold) {
		outcome->n_cold++;
	} else {
		outcome->rebuild_ns += frames * cost_ns;
	}
}

/* --- streams -----------------------------------------------------------------------------------
 */

int stream_new(const struct trace *trace, uint32_t client, struct stream *ret_stream)
{
	/* One more each: nothing is no memory. */
	uint32_t *number = malloc((trace->n_objects + UINT64_C(1)) * sizeof(*number));
	struct stream stream = {
		.request = malloc((trace->n + UINT64_C(1)) * sizeof(*stream.request)),
		.frames = malloc((trace->n_objects + UINT64_C(1)) * sizeof(*stream.frames)),
		.cost_ns = malloc((trace->n_objects + UINT64_C(1)) * sizeof(*stream.cost_ns)),
	};

	if (!number || !stream.request || !stream.frames || !stream.cost_ns) {
		free(number);
		stream_free(&stream);
		return -ENOMEM;
	}
	for (uint32_t o = 0; o < trace->n_objects; o++) {
		const struct trace_object *object = &trace->object[o];

		number[o] = TRACE_NEVER;
		if (client != TRACE_MAX_CLIENTS && object->client != client)
			continue;
		number[o] = stream.n_objects++;
		stream.frames[number[o]] = object->frames;
		stream.cost_ns[number[o]] = trace->client[object->client].cost_ns;
	}
	for (uint32_t i = 0; i < trace->n; i++)
		if (number[trace->request[i]] != TRACE_NEVER)
			stream.request[stream.n++] = number[trace->request[i]];
	free(number);
	*ret_stream = stream;
	return 0;
}

void stream_free(struct stream *stream)
{
	free(stream->request);
	free(stream->frames);
	free(stream->cost_ns);
	*stream = (struct stream){0};
}

/* --- LRU ---------------------------------------------------------------------------------------
 */

/* A ring through all that is there, and its anchor: behind it the newest, before it the oldest. An
 * object that is its own neighbour is not there. */
struct link {
	uint32_t older, newer;
};

static void unlink_object(struct link *link, uint32_t o)
{
	link[link[o].older].newer = link[o].newer;
	link[link[o].newer].older = link[o].older;
	link[o].older = link[o].newer = o;
}

static void link_newest(struct link *link, uint32_t anchor, uint32_t o)
{
	link[o] = (struct link){.older = link[anchor].older, .newer = anchor};
	link[link[o].older].newer = o;
	link[anchor].older = o;
}

int policy_lru(const struct stream *stream, uint64_t n_frames, struct outcome *ret_outcome)
{
	uint32_t anchor = stream->n_objects;
	struct link *link = malloc((anchor + UINT64_C(1)) * sizeof(*link));
	uint8_t *seen = calloc(anchor + UINT64_C(1), 1);
	struct outcome outcome = {0};
	uint64_t used = 0;

	if (!link || !seen) {
		free(link);
		free(seen);
		return -ENOMEM;
	}
	for (uint32_t o = 0; o <= anchor; o++)
		link[o] = (struct link){.older = o, .newer = o};
	for (uint32_t i = 0; i < stream->n; i++) {
		uint32_t o = stream->request[i], frames = stream->frames[o];
		bool hit = link[o].older != o;

		outcome_note(&outcome, frames, stream->cost_ns[o], !seen[o], hit);
		seen[o] = 1;
		if (frames > n_frames)
			continue;
		if (hit)
			unlink_object(link, o);
		else
			used += frames;
		for (; used > n_frames; unlink_object(link, link[anchor].newer))
			used -= stream->frames[link[anchor].newer];
		link_newest(link, anchor, o);
	}
	free(link);
	free(seen);
	*ret_outcome = outcome;
	return 0;
}

/* --- MIN ---------------------------------------------------------------------------------------
 */

struct use {
	uint32_t at, object; /* the request that wants it next */
};

/* Farthest first. */
struct heap {
	struct use *use;
	uint32_t n;
};

static void heap_push(struct heap *heap, struct use use)
{
	uint32_t i = heap->n++;

	for (; i > 0 && heap->use[(i - 1) / 2].at < use.at; i = (i - 1) / 2)
		heap->use[i] = heap->use[(i - 1) / 2];
	heap->use[i] = use;
}

static struct use heap_pop(struct heap *heap)
{
	struct use top = heap->use[0], last = heap->use[--heap->n];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < heap->n && heap->use[child + 1].at > heap->use[child].at)
			child++;
		if (child >= heap->n || heap->use[child].at <= last.at)
			break;
		heap->use[i] = heap->use[child];
		i = child;
	}
	heap->use[i] = last;
	return top;
}

struct min {
	const struct stream *stream;
	uint32_t *next; /* of each request: where its object is wanted again */
	uint8_t *seen, *there;
	struct heap heap;
	uint64_t used;
};

static void find_next_uses(struct min *min, uint32_t *last)
{
	const struct stream *stream = min->stream;

	for (uint32_t o = 0; o < stream->n_objects; o++)
		last[o] = TRACE_NEVER;
	for (uint32_t i = stream->n; i-- > 0;) {
		min->next[i] = last[stream->request[i]];
		last[stream->request[i]] = i;
	}
}

/* Uses that are past lie at the bottom of the heap and are never popped: whoever is there has one
 * in the future. */
static void min_request(struct min *min, uint32_t i, uint64_t n_frames, struct outcome *outcome)
{
	const struct stream *stream = min->stream;
	uint32_t o = stream->request[i], frames = stream->frames[o];

	outcome_note(outcome, frames, stream->cost_ns[o], !min->seen[o], min->there[o]);
	min->seen[o] = 1;
	min->used -= min->there[o] ? frames : 0;
	min->there[o] = min->next[i] != TRACE_NEVER && frames <= n_frames;
	if (!min->there[o])
		return;
	min->used += frames;
	heap_push(&min->heap, (struct use){.at = min->next[i], .object = o});
	while (min->used > n_frames) {
		struct use farthest = heap_pop(&min->heap);

		min->there[farthest.object] = 0;
		min->used -= stream->frames[farthest.object];
	}
}

int policy_min(const struct stream *stream, uint64_t n_frames, struct outcome *ret_outcome)
{
	uint64_t n_objects = stream->n_objects + UINT64_C(1), n = stream->n + UINT64_C(1);
	uint32_t *last = malloc(n_objects * sizeof(*last));
	struct min min = {
		.stream = stream,
		.next = malloc(n * sizeof(*min.next)),
		.seen = calloc(n_objects, 1),
		.there = calloc(n_objects, 1),
		.heap.use = malloc(n * sizeof(*min.heap.use)),
	};
	struct outcome outcome = {0};
	bool good = last && min.next && min.seen && min.there && min.heap.use;

	if (good) {
		find_next_uses(&min, last);
		for (uint32_t i = 0; i < stream->n; i++)
			min_request(&min, i, n_frames, &outcome);
		*ret_outcome = outcome;
	}
	free(last);
	free(min.next);
	free(min.seen);
	free(min.there);
	free(min.heap.use);
	return good ? 0 : -ENOMEM;
}
