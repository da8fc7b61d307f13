/* bench/replay_report.h - what came of a trace, for people and for programs, and whether the shared
 * segment did what it should.
 *
 * Where all rebuild costs are the same, frames hit are what counts: the segment is to reach
 *   split   the memory split equally, and
 *   lru     the exact LRU over all, less 2 points.
 * Where they differ it is the time of rebuilds, cold misses apart:
 *   best    at most 1.25 times that of the best split for good, and
 *   half    less than half of what the LRU over all takes.
 *
 * JSON: {"version": 1, "traces": [{"name", "requests", "clients", "objects", "footprint_frames",
 * "frames", "policies": [{"name", "hit_ratio", "frame_hit_ratio", "cold_misses", "rebuild_ns"}
 * ...], "best_split": [frames of each client], "segment": {"seconds", "refused", "purged", "free",
 * "magazines"}, "criteria": [{"name", "value", "limit", "met"} ...]} ...]}. */
#ifndef BENCH_REPLAY_REPORT_H
#define BENCH_REPLAY_REPORT_H
#include "bench/replay_segment.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define REPORT_POLICIES(X)                                                                         \
	X(SEGMENT, "shared segment", "segment")                                                    \
	X(EQUAL, "static split, equal", "split")                                                   \
	X(BEST, "static split, best", "best_split")                                                \
	X(LRU, "one exact LRU", "lru")                                                             \
	X(MIN, "Belady's MIN", "min")
enum report_policy {
#define X(name, text, json) REPORT_##name,
	REPORT_POLICIES(X)
#undef X
		REPORT_NR_POLICIES
};

struct replay_result {
	const char *name;
	const struct trace *trace;
	uint64_t n_frames;
	bool has_segment;
	struct outcome outcome[REPORT_NR_POLICIES];
	uint64_t part[TRACE_MAX_CLIENTS]; /* of the best split */
	struct segment_result segment;
};

#define REPORT_CRITERIA 2u
struct criterion {
	const char *name, *text;
	double value, limit;
	bool met;
};

/* There is a segment. */
void report_judge(const struct replay_result *result,
		  struct criterion ret_criteria[REPORT_CRITERIA]);
void replay_report_print(const struct replay_result *result, FILE *file);
/* NULL: no memory. */
json_t *replay_report_json(const struct replay_result *result);

#endif
