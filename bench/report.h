/* bench/report.h - the results for people and for programs.
 *
 * JSON: {"version": 1, "results": [{"name", "unit", "median", "min", "max", "runs"} ...]}. A field
 * keeps its name and meaning; version grows when one has to change. What failed is not in it. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H
#include "bench/run.h"

#include <stdio.h>

void report_print(const struct results *results, FILE *file);
/* Returns 0 or -errno. */
int report_write_json(const struct results *results, FILE *file);
void report_list(FILE *file);

#endif
