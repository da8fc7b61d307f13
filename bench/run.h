/* bench/run.h - calibrates, interleaves the rounds, collects the values. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H
#include "bench/bench.h"

struct result {
	const struct benchmark *benchmark;
	double best_ns;               /* of a round of run(), the fastest seen; 0: not calibrated */
	uint32_t runs;                /* values so far */
	double *value;                /* options->rounds of them */
	bool failed;                  /* left out from then on */
	bool skipped;                 /* failed, because it is not to be had here: -EOPNOTSUPP */
	char why[FIXTURE_TEXT_BYTES]; /* it failed */
};

struct results {
	uint32_t n;
	uint32_t rounds;
	struct result *result;
};

/* Those that registry_match() the filter. Returns 0, -ENOENT if there are none, -ENOMEM. */
int results_new(const char *filter, uint32_t rounds, struct results *ret_results);
void results_free(struct results *results);

/* Runs all rounds. What fails is told on stderr (what is skipped only in
 * the report), and the rest goes on. Stops early when SIGINT,
 * SIGTERM or SIGHUP is pending (the caller has blocked them). Returns 0, -EINTR, or the first
 * failure. */
int run_all(struct bench *bench, struct results *results);

#endif
