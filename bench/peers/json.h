/* bench/peers/json.h - the results for programs.
 *
 * {"version": 1,
 *  "machine": {"cpu", "cpus", "kernel", "hugepages"}, "rounds",
 *  "results": [{"row", "subject", "role", "unit", "median", "min", "max", "runs",
 *               "ratio", "ratio_min", "ratio_max"} ...],      ours / it; not with ours
 *  "skipped": [{"row", "subject", "why"} ...],
 *  "figures": [{"figure", "goal", "outcome", "unit", "worst", "worst_case", "checks", "reached",
 *               "missing"} ...]}
 *
 * ratio is the quotient of the medians; ratio_min and ratio_max are of single rounds. A field keeps
 * its name and meaning; version grows when one has to change. */
#ifndef BENCH_PEERS_JSON_H
#define BENCH_PEERS_JSON_H
#include "bench/peers/machine.h"
#include "bench/peers/table.h"

/* Returns 0 or -errno. */
int json_write(const struct results *results, const struct book *book,
	       const struct machine *machine, FILE *file);

#endif
