/* bench/report.c - see report.h. */
#include "bench/report.h"

#include "bench/stats.h"

#include <errno.h>
#include <jansson.h>

#define JSON_VERSION 1
#define JSON_DIGITS 6

/* There is at least one value. */
static struct summary summarize(const struct result *result)
{
	return stats_summarize(result->value, result->runs);
}

static void print_number(double number, FILE *file)
{
	(void)fprintf(file, " %12.*f", number < 1000 ? 2 : 0, number);
}

void report_print(const struct results *results, FILE *file)
{
	(void)fprintf(file, "%-26s %-9s %12s %12s %12s %5s\n", "name", "unit", "median", "min",
		      "max", "runs");
	for (uint32_t i = 0; i < results->n; i++) {
		const struct result *result = &results->result[i];
		struct summary summary;

		if (result->failed || result->runs == 0) {
			(void)fprintf(file, "%-26s %s: %s\n", result->benchmark->name,
				      result->skipped ? "skipped" : "failed", result->why);
			continue;
		}
		summary = summarize(result);
		(void)fprintf(file, "%-26s %-9s", result->benchmark->name, result->benchmark->unit);
		print_number(summary.median, file);
		print_number(summary.min, file);
		print_number(summary.max, file);
		(void)fprintf(file, " %5u\n", result->runs);
	}
}

static json_t *json_of_result(const struct result *result)
{
	struct summary summary = summarize(result);

	return json_pack("{s:s, s:s, s:f, s:f, s:f, s:i}", "name", result->benchmark->name, "unit",
			 result->benchmark->unit, "median", summary.median, "min", summary.min,
			 "max", summary.max, "runs", (int)result->runs);
}

int report_write_json(const struct results *results, FILE *file)
{
	json_t *array = json_array();
	json_t *root = json_pack("{s:i, s:o}", "version", JSON_VERSION, "results", array);
	int r = root ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < results->n; i++) {
		const struct result *result = &results->result[i];

		if (!result->failed && result->runs > 0 &&
		    json_array_append_new(array, json_of_result(result)))
			r = -ENOMEM;
	}
	if (r == 0 && (json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(JSON_DIGITS)) ||
		       fputc('\n', file) == EOF || fflush(file)))
		r = -EIO;
	json_decref(root);
	return r;
}

void report_list(FILE *file)
{
	const struct benchmark *benchmark;

	for (size_t i = 0; (benchmark = registry_find(i)) != NULL; i++)
		(void)fprintf(file, "%-26s %-9s %s\n", benchmark->name, benchmark->unit,
			      benchmark->what);
}
