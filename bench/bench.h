/* bench/bench.h - what a benchmark is, and what it runs in.
 *
 *   options -> run: for each round, for each benchmark of the registry
 *                      setup -> warm-up -> run(n) -> teardown          -> one value
 *              report: median, min and max of the rounds, as a table and as JSON
 *
 * Rounds are interleaved (A B C A B C), so that a machine that gets slower for a while spoils one
 * round of each and not all of one; the median then does not see it. Round 0 calibrates n, so that
 * a run takes BENCH_RUN_NS, and is thrown away.
 *
 * A benchmark starts from nothing in each round: its own client, its own processes. What it leaves
 * in the daemon is what any program leaves: committed pageblocks. The daemons are private, started
 * when the first benchmark asks for one and stopped at the end.
 *
 * Errors: a function that fails says why with bench_fail() and returns its -errno; run prints the
 * sentence once and goes on with the other benchmarks. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H
#include "bench/fixture.h"
#include "bench/options.h"
#include "bench/place.h"
#include "bench/slices.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lower: the clock and one interrupt show in the result. Higher: the whole run takes minutes. */
#define BENCH_RUN_NS UINT64_C(30000000)

/* X(name, configuration): the daemons that benchmarks share. 4 GiB, because the high of a magazine
 * is a share of the segment: with less a burst of 65536 frames would not fit into it. Only what is
 * used takes memory. A batch of 2 follows demand up to 64 frames: each refill is one of 64. */
#define BENCH_DAEMONS(X)                                                                           \
	X(PLAIN, "[segment]\nsize = 4G\n")                                                         \
	X(SMALL_BATCH, "[segment]\nsize = 4G\n[pcp]\nbatch = 2\n")                                 \
	X(NO_POLL, "[segment]\nsize = 4G\n[pcp]\nbusy_poll = 0\n")                                 \
	X(FULL, "[segment]\nsize = 256M\n")
enum bench_daemon {
#define X(name, configuration) BENCH_DAEMON_##name,
	BENCH_DAEMONS(X)
#undef X
		BENCH_NR_DAEMONS
};

/* What bench_metadata.c found for a size: the same in each round. */
#define BENCH_METADATA_SIZES 2u /* that the registry names */
struct metadata_seen {
	uint32_t gibibytes; /* 0: none yet */
	uint64_t frames, bytes, map_bytes;
};

struct bench {
	const struct options *options;
	struct place place;
	struct fixture daemon[BENCH_NR_DAEMONS];
	struct metadata_seen metadata[BENCH_METADATA_SIZES + 1]; /* the last is none */
	char text[FIXTURE_TEXT_BYTES];                           /* why the last call failed */
};

enum burst_order { BURST_LIFO, BURST_FIFO, BURST_RAND, BURST_RAND_TOUCH };

struct benchmark {
	const char *name;
	const char *unit;
	const char *what; /* one line, for --list */
	uint32_t n_frames;
	enum burst_order burst;
	int (*setup)(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
	/* n times what is measured, or -errno. n is at least 1. */
	int (*run)(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample);
	void (*teardown)(struct bench *bench, void *state);
};

/* registry.c: all benchmarks, in the order in which they are listed and run. */
const struct benchmark *registry_find(size_t index); /* NULL: behind the last */
/* True if it is one of those that the filter names. */
bool registry_match(size_t index, const char *filter);

/* Raises the limit of descriptors, too: a thousand clients have five thousand. */
void bench_init(struct bench *bench, const struct options *options);
/* Stops the daemons and removes what they left. */
void bench_done(struct bench *bench);

/* A daemon that benchmarks share; the first call starts it. */
int bench_find_daemon(struct bench *bench, enum bench_daemon which, struct fixture **ret_fixture);

/* Starts one of its own, pinned as the others are. */
int bench_start_daemon(struct bench *bench, const char *configuration, struct fixture *ret_fixture);
/* The same with a segment to take over; prepare is that of struct fixture_options. */
int bench_start_daemon_on(struct bench *bench, const char *configuration,
			  int (*prepare)(void *arg, const char *instance, char *text,
					 size_t text_bytes),
			  void *arg, struct fixture *ret_fixture);

/* A client of the daemon. */
int bench_open_client(struct bench *bench, const struct fixture *fixture, pageclient **ret_client);

/* Notes a sentence and returns r, so that a failure is one line. */
__attribute__((format(printf, 3, 4))) int bench_fail(struct bench *bench, int r, const char *format,
						     ...);

/* CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);

#endif
