/* bench/replay_segment.h - a trace over one shared segment: a private daemon, and a client of the
 * library for each client of the trace.
 *
 * A client is a cache as programs would write it on purgeable frames. For each object it keeps a
 * slot. A pin that succeeds is a hit. One that finds the slot purged, or no slot, is a miss: the
 * object is "rebuilt" into a new frame, which gets a slot and is unpinned. Slots whose frames are
 * gone are dropped oldest first once there are as many slots as the segment has frames.
 *
 * Nothing is really rebuilt, and nobody sleeps. What a rebuild costs is declared by
 * pageclient_purgeable_cost(). A purged slot is dropped and the object put into a new one, because
 * a re-arm would tell the daemon how long the rebuild took, which is no time at all here. What was
 * written into a frame is compared at each hit: an object that is not what was asked for is an
 * error, not a miss.
 *
 * The requests come as fast as they are served, in the order of the trace, from one thread, so time
 * in the trace means nothing; the generation clock advances by the daemon's passes. */
#ifndef BENCH_REPLAY_SEGMENT_H
#define BENCH_REPLAY_SEGMENT_H
#include "bench/replay_policy.h"

struct segment_options {
	const char *paged; /* path of the daemon */
	uint64_t n_frames; /* of the segment; all else is default */
};

struct segment_result {
	struct outcome outcome;
	uint64_t ns;         /* that it took */
	uint64_t n_refused;  /* misses for which there was no frame */
	uint64_t n_free;     /* frames free at the end, */
	uint64_t n_magazine; /* and in magazines when last looked at */
	uint64_t n_purged;
};

/* Returns 0, or -errno with a sentence in text; nothing is left behind. */
int segment_replay(const struct trace *trace, const struct segment_options *options,
		   struct segment_result *ret_result, char *text, size_t text_bytes);

#endif
