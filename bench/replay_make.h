/* bench/replay_make.h - synthetic traces, the same for the same seed on every machine.
 *
 *   zipf    8 clients, each with a Zipf popularity over its objects; objects are replaced by new
 * ones all the time, and which client is busy changes scan    3 clients with working sets; a fourth
 * reads through everything it has, now and then burst   3 steady clients; a fourth sleeps for three
 * quarters of the time and then asks for as much as the others together cost    2 clients alike in
 * use whose rebuild costs are 100 times apart
 *
 * They are sized for a cache of 16384 frames. */
#ifndef BENCH_REPLAY_MAKE_H
#define BENCH_REPLAY_MAKE_H
#include "bench/replay_trace.h"

#define MAKE_KINDS(X) X(zipf) X(scan) X(burst) X(cost)
enum make_kind {
#define X(name) MAKE_##name,
	MAKE_KINDS(X)
#undef X
		MAKE_NR_KINDS
};

const char *make_name(enum make_kind kind);
/* MAKE_NR_KINDS: there is none of that name. */
enum make_kind make_find(const char *name);

/* Returns 0 or -ENOMEM. */
int make_trace(enum make_kind kind, uint64_t seed, struct trace *ret_trace);
/* The same as CSV, gzip if path ends in .gz; "-" is stdout. 0, or -errno with a sentence. */
int make_write(enum make_kind kind, uint64_t seed, const char *path, char *text, size_t text_bytes);

#endif
