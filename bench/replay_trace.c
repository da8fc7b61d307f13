/* bench/replay_trace.c - see replay_trace.h: what a trace is put together from; the text of it is
 * read in replay_read.c. */
#include "bench/replay_trace.h"

#include "paged/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_REQUESTS 65536u
#define FIRST_OBJECTS 4096u
#define HASH_SEED UINT64_C(0xcbf29ce484222325)

/* FNV-1a, Fowler, Noll, Vo 1991, and the finish of MurmurHash3, Appleby 2011, so that all bits
 * count. */
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

static int grow(void **array, uint32_t *n_room, uint32_t first, size_t bytes)
{
	uint32_t n = *n_room ? *n_room * 2 : first;
	void *larger = reallocarray(*array, n, bytes);

	if (!larger)
		return -ENOMEM;
	*array = larger;
	*n_room = n;
	return 0;
}

/* --- clients -----------------------------------------------------------------------------------
 */

static int client_number(struct trace_builder *builder, const struct trace_line *line,
			 uint32_t *ret_client)
{
	struct trace *trace = &builder->trace;
	uint32_t c = 0;

	if (builder->fold) {
		c = (uint32_t)(hash_bytes(HASH_SEED, line->client, line->client_bytes) %
			       builder->fold);
		trace->n_clients = builder->fold;
	} else {
		while (c < trace->n_clients &&
		       (strlen(trace->client[c].name) != line->client_bytes ||
			memcmp(trace->client[c].name, line->client, line->client_bytes) != 0))
			c++;
	}
	if (c == TRACE_MAX_CLIENTS)
		return -E2BIG;
	if (c >= trace->n_clients || trace->client[c].name[0] == '\0') {
		trace->n_clients = (uint32_t)bits_max(trace->n_clients, c + 1u);
		memcpy(trace->client[c].name, line->client, line->client_bytes);
		trace->client[c].cost_ns = TRACE_DEFAULT_COST_NS;
	}
	if (line->cost_ns && !builder->client_has_cost[c]) {
		builder->client_has_cost[c] = true;
		trace->client[c].cost_ns = line->cost_ns;
	}
	*ret_client = c;
	return 0;
}

/* --- objects -----------------------------------------------------------------------------------
 */

/* The place of the hash, or the free one where it belongs. */
static uint64_t find_place(const struct trace_builder *builder, uint64_t hash)
{
	uint64_t i = hash & (builder->n_places - 1);

	while (builder->place[i] && builder->hash[builder->place[i] - 1] != hash)
		i = (i + 1) & (builder->n_places - 1);
	return i;
}

/* Room for one more object; at most half of the places are taken. */
static int make_room(struct trace_builder *builder)
{
	struct trace *trace = &builder->trace;
	uint32_t n_room = builder->n_objects_room;
	int r;

	if (trace->n_objects < n_room)
		return 0;
	r = grow((void **)&trace->object, &n_room, FIRST_OBJECTS, sizeof(*trace->object));
	n_room = builder->n_objects_room;
	if (r == 0)
		r = grow((void **)&builder->hash, &n_room, FIRST_OBJECTS, sizeof(*builder->hash));
	if (r < 0)
		return r;
	free(builder->place);
	builder->n_places = (uint64_t)n_room * 2;
	builder->place = calloc(builder->n_places, sizeof(*builder->place));
	if (!builder->place)
		return -ENOMEM;
	builder->n_objects_room = n_room;
	for (uint32_t o = 0; o < trace->n_objects; o++)
		builder->place[find_place(builder, builder->hash[o])] = o + 1;
	return 0;
}

static int object_number(struct trace_builder *builder, const struct trace_line *line,
			 uint32_t client, uint32_t *ret_object)
{
	struct trace *trace = &builder->trace;
	uint64_t seed = hash_bytes(HASH_SEED, (const char *)&client, sizeof(client));
	uint64_t hash = hash_bytes(seed, line->key, line->key_bytes);
	uint64_t frames =
		bits_max((line->size_bytes + TRACE_FRAME_BYTES - 1) / TRACE_FRAME_BYTES, 1);
	uint64_t at;
	int r = make_room(builder);

	if (r < 0)
		return r;
	at = find_place(builder, hash);
	if (builder->place[at] == 0) {
		uint32_t o = trace->n_objects++;

		builder->place[at] = o + 1;
		builder->hash[o] = hash;
		trace->object[o].client = client;
		trace->object[o].frames = (uint32_t)bits_round_down_pow2(2 * frames - 1);
	}
	*ret_object = builder->place[at] - 1;
	return 0;
}

int trace_add(struct trace_builder *builder, const struct trace_line *line)
{
	struct trace *trace = &builder->trace;
	uint32_t client, object;
	int r = trace->n == TRACE_MAX_REQUESTS ? -EFBIG : 0;

	if (r == 0 && trace->n == builder->n_room)
		r = grow((void **)&trace->request, &builder->n_room, FIRST_REQUESTS,
			 sizeof(*trace->request));
	if (r == 0)
		r = client_number(builder, line, &client);
	if (r == 0)
		r = object_number(builder, line, client, &object);
	if (r == 0)
		trace->request[trace->n++] = object;
	return r;
}

void trace_take(struct trace_builder *builder, struct trace *ret_trace)
{
	*ret_trace = builder->trace;
	builder->trace = (struct trace){0};
	trace_builder_free(builder);
}

void trace_builder_free(struct trace_builder *builder)
{
	trace_free(&builder->trace);
	free(builder->place);
	free(builder->hash);
	*builder = (struct trace_builder){0};
}

void trace_free(struct trace *trace)
{
	free(trace->request);
	free(trace->object);
	*trace = (struct trace){0};
}

uint64_t trace_footprint(const struct trace *trace)
{
	uint64_t frames = 0;

	for (uint32_t o = 0; o < trace->n_objects; o++)
		frames += trace->object[o].frames;
	return frames;
}
