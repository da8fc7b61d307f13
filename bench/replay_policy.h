/* bench/replay_policy.h - what other ways to share the same frames would have made of a trace,
 * computed exactly and offline.
 *
 *   policy_lru          one LRU over all clients, or over the requests of one stream
 *   policy_equal_split  each client an LRU of its own over an equal part of the frames
 *   policy_best_split   the same with the parts that cost least to rebuild, found by looking at the
 *                       whole trace: each client's curve of rebuild time by frames, in steps, and a
 *                       dynamic program over them
 *   policy_min          L. A. Belady, "A study of replacement algorithms for a virtual-storage
 *                       computer", IBM Systems Journal, 1966: who is wanted again last goes first
 *
 * An object is there as a whole or not at all, and one larger than all frames never is. LRU evicts
 * the oldest until the new one fits. MIN may leave out what was just asked for, and drops at once
 * what is never asked for again, so there are no ties. For objects of one size it is the optimum;
 * for others (where the optimum is NP-hard) it evicts the farthest until it fits, which is a good
 * policy and no bound. */
#ifndef BENCH_REPLAY_POLICY_H
#define BENCH_REPLAY_POLICY_H
#include "bench/replay_trace.h"

#define POLICY_SPLIT_STEPS                                                                         \
	128u /* lower: a coarser best split; higher: as many runs for each client */

struct outcome {
	uint64_t n_requests, n_hits;
	uint64_t n_frames, n_frames_hit; /* the same, in frames */
	uint64_t n_cold;                 /* first requests: nothing could have met them */
	uint64_t rebuild_ns;             /* of all other misses */
};

void outcome_add(struct outcome *sum, const struct outcome *outcome);
/* Notes one request: cold, hit or neither. */
void outcome_note(struct outcome *outcome, uint32_t frames, uint64_t cost_ns, bool cold, bool hit);

/* Requests with objects numbered from 0 on: those of one client, or of a whole trace. */
struct stream {
	uint32_t n, n_objects;
	uint32_t *request;
	uint32_t *frames;  /* of each object */
	uint64_t *cost_ns; /* of a frame of each object */
};

/* client: TRACE_MAX_CLIENTS for all. Returns 0 or -ENOMEM. */
int stream_new(const struct trace *trace, uint32_t client, struct stream *ret_stream);
void stream_free(struct stream *stream);

/* All return 0 or -ENOMEM. */
int policy_lru(const struct stream *stream, uint64_t n_frames, struct outcome *ret_outcome);
int policy_min(const struct stream *stream, uint64_t n_frames, struct outcome *ret_outcome);
int policy_equal_split(const struct trace *trace, uint64_t n_frames, struct outcome *ret_outcome);
/* ret_part: frames of each client. */
int policy_best_split(const struct trace *trace, uint64_t n_frames, struct outcome *ret_outcome,
		      uint64_t ret_part[TRACE_MAX_CLIENTS]);

#endif
