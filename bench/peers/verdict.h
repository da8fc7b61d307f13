/* bench/peers/verdict.h - which of the figures to reach are reached.
 *
 *   values of the rounds, by "row/subject"  ->  ratios  ->  one verdict a line of figures.def
 *
 * A ratio is that of two medians of one run, ours over theirs: lower is better. Beside it stands
 * the spread of the ratios of single rounds, in which both ran side by side.
 *
 * A line has one check or many; it is reached if all are, and shows the one that is worst. What was
 * not measured (a peer that cannot run here, a filter) is neither good nor bad, and is said.
 *
 * Pure: no clock, no files; tests/unit/test_peers_verdict.c. */
#ifndef BENCH_PEERS_VERDICT_H
#define BENCH_PEERS_VERDICT_H
#include "bench/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict_role { ROLE_OURS, ROLE_PEER, ROLE_MALLOC, ROLE_FLOOR };

/* What was measured of one benchmark. */
struct series {
	const char *name; /* "row/subject" */
	enum verdict_role role;
	uint32_t n; /* 0: not measured */
	const double *value;
};

struct book {
	size_t n;
	const struct series *series;
};

enum verdict_outcome { VERDICT_REACHED, VERDICT_NOT_REACHED, VERDICT_NOT_MEASURED };

struct verdict {
	const char *line; /* as the issue of it says */
	const char *goal;
	const char *unit;
	enum verdict_outcome outcome;
	uint32_t n_checks; /* that could be judged */
	uint32_t n_good;
	uint32_t n_missing;
	double worst;        /* of those judged, the nearest to its limit or the farthest beyond */
	char worst_name[96]; /* of that check: "row", or "row: subject" */
};

/* NULL: there is none of that name with values. */
const struct series *book_find(const struct book *book, const char *row, size_t row_bytes,
			       const char *subject);

/* The median of a over that of b. Both have values, and no value of b is 0. */
double verdict_ratio(const struct series *a, const struct series *b);

/* The line of that index, judged; false behind the last. */
bool verdict_judge(const struct book *book, size_t index, struct verdict *ret_verdict);

const char *verdict_outcome_name(enum verdict_outcome outcome);

#endif
