/* bench/replay_trace.h - a cache trace in memory, read from CSV.
 *
 *   time,client,key,size[,cost]
 *   0.000014,web-3,a93f,3012
 *
 * time    seconds, with or without a fraction; it never goes backwards
 * client  a name of at most 63 bytes: whose cache is asked. Names are numbered as they appear; with
 *         fold, a hash of the name is the number, for traces of more clients than are wanted
 * key     a name of at most 255 bytes, within its client
 * size    bytes, 0 to 1 GiB; what a key has when it first appears counts
 * cost    ns that rebuilding a frame of this client takes; optional, the client's first counts
 *
 * A first line "time,client,key,size..." is a heading; empty lines and lines that begin with # are
 * nothing. Fields are not quoted. gzip is seen by its first bytes.
 *
 * An object is a key of a client: a number from 0 on in the order of appearance. Keys are known by
 * a 64-bit hash, so of a million one pair is the same with a chance of 1 to 37 million. Its frames
 * are its bytes in frames, rounded up to a power of two, because that is what a block has; all
 * policies count the same frames. */
#ifndef BENCH_REPLAY_TRACE_H
#define BENCH_REPLAY_TRACE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_FRAME_BYTES 4096u
#define TRACE_MAX_CLIENTS 64u               /* more would be attached to one daemon in vain */
#define TRACE_MAX_REQUESTS (1u << 30)       /* 4 bytes each; indices are 32 bits */
#define TRACE_MAX_BYTES (UINT64_C(1) << 30) /* of an object: a block of the maximum order */
#define TRACE_DEFAULT_COST_NS 10000u        /* nothing said: a read from a disk of today */
#define TRACE_NEVER UINT32_MAX
#define TRACE_TEXT_BYTES 320u

struct trace_object {
	uint32_t client;
	uint32_t frames;
};

struct trace_client {
	char name[64];
	uint64_t cost_ns; /* of a frame */
};

struct trace {
	uint32_t n, n_objects, n_clients;
	uint32_t *request; /* object numbers, n of them */
	struct trace_object *object;
	struct trace_client client[TRACE_MAX_CLIENTS];
};

/* Puts a trace together, request by request. */
struct trace_builder {
	struct trace trace;
	uint32_t n_room, n_objects_room;
	uint64_t n_places; /* of the hash table, a power of two */
	uint32_t *place;   /* object + 1, or 0 */
	uint64_t *hash;    /* of each object */
	uint32_t fold;     /* 0, or so many clients */
	bool client_has_cost[TRACE_MAX_CLIENTS];
};

struct trace_line {
	const char *client, *key;
	size_t client_bytes, key_bytes;
	uint64_t size_bytes, cost_ns; /* cost_ns 0: not said */
};

/* All zero is an empty builder. 0, -ENOMEM, -E2BIG: too many clients, -EFBIG: too many requests. */
int trace_add(struct trace_builder *builder, const struct trace_line *line);
/* What was added becomes a trace; the builder is empty. */
void trace_take(struct trace_builder *builder, struct trace *ret_trace);
void trace_builder_free(struct trace_builder *builder);
void trace_free(struct trace *trace);

/* path "-" is stdin. 0, or -errno with a sentence in text that begins with file:line: where a line
 * is to blame. */
int trace_read(const char *path, uint32_t fold, struct trace *ret_trace, char *text,
	       size_t text_bytes);

/* Frames of all objects together, and cold misses: requests for an object never seen before. */
uint64_t trace_footprint(const struct trace *trace);

#endif
