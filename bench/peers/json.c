/* bench/peers/json.c - see json.h. */
#include "bench/peers/json.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define JSON_VERSION 1
#define JSON_DIGITS 6

static const char *role_name(enum verdict_role role)
{
	static const char *const name[] = {"ours", "peer", "malloc", "floor"};

	return name[role];
}

static json_t *json_of_series(const struct result *result, const struct series *series,
			      const struct series *ours)
{
	size_t row_bytes = strcspn(series->name, "/");
	struct summary summary = stats_summarize(series->value, series->n);
	json_t *object = json_pack("{s:s%, s:s, s:s, s:s, s:f, s:f, s:f, s:i}", "row", series->name,
				   row_bytes, "subject", &series->name[row_bytes + 1], "role",
				   role_name(series->role), "unit", result->benchmark->unit,
				   "median", summary.median, "min", summary.min, "max", summary.max,
				   "runs", (int)series->n);

	if (object && ours && series->role != ROLE_OURS) {
		summary = stats_compare(ours->value, series->value, series->n);
		(void)json_object_set_new(object, "ratio", json_real(verdict_ratio(ours, series)));
		(void)json_object_set_new(object, "ratio_min", json_real(summary.min));
		(void)json_object_set_new(object, "ratio_max", json_real(summary.max));
	}
	return object;
}

static json_t *json_of_skipped(const struct result *result)
{
	const char *name = result->benchmark->name;
	size_t row_bytes = strcspn(name, "/");

	return json_pack("{s:s%, s:s, s:s}", "row", name, row_bytes, "subject",
			 &name[row_bytes + 1], "why", result->why);
}

static json_t *json_of_figures(const struct book *book)
{
	json_t *array = json_array();
	struct verdict verdict;

	for (size_t i = 0; array && verdict_judge(book, i, &verdict); i++) {
		json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "figure",
					   verdict.line, "goal", verdict.goal, "outcome",
					   verdict_outcome_name(verdict.outcome), "unit",
					   verdict.unit, "checks", (int)verdict.n_checks, "reached",
					   (int)verdict.n_good, "missing", (int)verdict.n_missing);

		if (object && verdict.n_checks > 0) {
			(void)json_object_set_new(object, "worst", json_real(verdict.worst));
			(void)json_object_set_new(object, "worst_case",
						  json_string(verdict.worst_name));
		}
		(void)json_array_append_new(array, object);
	}
	return array;
}

int json_write(const struct results *results, const struct book *book,
	       const struct machine *machine, FILE *file)
{
	json_t *measured = json_array(), *skipped = json_array();
	json_t *where =
		json_pack("{s:s, s:i, s:s, s:b}", "cpu", machine->cpu, "cpus", machine->n_cpus,
			  "kernel", machine->kernel, "hugepages", (int)machine->hugepages);
	json_t *root = json_pack("{s:i, s:o, s:i, s:o, s:o, s:o}", "version", JSON_VERSION,
				 "machine", where, "rounds", (int)results->rounds, "results",
				 measured, "skipped", skipped, "figures", json_of_figures(book));
	int r = root ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < results->n; i++) {
		const struct series *series = &book->series[i];
		bool there = series->n > 0;
		json_t *object = there ? json_of_series(&results->result[i], series,
							table_find_ours(book, series))
				       : json_of_skipped(&results->result[i]);

		if (json_array_append_new(there ? measured : skipped, object))
			r = -ENOMEM;
	}
	if (r == 0 && (json_dumpf(root, file, JSON_INDENT(1) | JSON_REAL_PRECISION(JSON_DIGITS)) ||
		       fputc('\n', file) == EOF || fflush(file)))
		r = -EIO;
	json_decref(root);
	return r;
}
