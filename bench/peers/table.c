/* bench/peers/table.c - see table.h. */
#include "bench/peers/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int table_make_book(const struct results *results, struct book *ret_book,
		    struct series **ret_series)
{
	struct series *series = calloc(results->n, sizeof(*series));

	if (!series)
		return -ENOMEM;
	for (uint32_t i = 0; i < results->n; i++) {
		const struct result *result = &results->result[i];

		series[i] = (struct series){
			.name = result->benchmark->name,
			.role = entry_of(result->benchmark)->role,
			.n = result->failed ? 0 : result->runs,
			.value = result->value,
		};
	}
	*ret_book = (struct book){results->n, series};
	*ret_series = series;
	return 0;
}

const struct series *table_find_ours(const struct book *book, const struct series *series)
{
	const struct series *ours =
		book_find(book, series->name, strcspn(series->name, "/"), "paged");

	return ours && ours->n == series->n ? ours : NULL;
}

static void print_number(double number, FILE *file)
{
	(void)fprintf(file, " %11.*f", number < 1000 ? 2 : 0, number);
}

static void print_row(const struct result *result, const struct series *series,
		      const struct series *ours, FILE *file)
{
	const char *name = series->name;
	size_t row_bytes = strcspn(name, "/");
	struct summary summary;

	(void)fprintf(file, "%-25.*s %-16s ", (int)row_bytes, name, &name[row_bytes + 1]);
	if (series->n == 0) {
		(void)fprintf(file, "%s: %s\n", result->skipped ? "-" : "failed", result->why);
		return;
	}
	summary = stats_summarize(series->value, series->n);
	(void)fprintf(file, "%-9s", result->benchmark->unit);
	print_number(summary.median, file);
	print_number(summary.min, file);
	print_number(summary.max, file);
	if (ours && series->role != ROLE_OURS) {
		summary = stats_compare(ours->value, series->value, series->n);
		(void)fprintf(file, " %9.4g (%.4g .. %.4g)", verdict_ratio(ours, series),
			      summary.min, summary.max);
	}
	(void)fputc('\n', file);
}

void table_print(const struct results *results, const struct book *book, FILE *file)
{
	(void)fprintf(file, "%-25s %-16s %-9s %11s %11s %11s %9s (of single rounds)\n", "row",
		      "who", "unit", "median", "min", "max", "ours/it");
	for (uint32_t i = 0; i < results->n; i++) {
		const struct series *series = &book->series[i];

		print_row(&results->result[i], series, table_find_ours(book, series), file);
	}
}

void table_print_figures(const struct book *book, FILE *file)
{
	struct verdict verdict;

	(void)fprintf(file, "\n%-64s %-24s %-12s ours\n", "figure", "to reach", "");
	for (size_t i = 0; verdict_judge(book, i, &verdict); i++) {
		(void)fprintf(file, "%-64s %-24s %-12s", verdict.line, verdict.goal,
			      verdict_outcome_name(verdict.outcome));
		if (verdict.n_checks > 0)
			(void)fprintf(file, " %.4g %s", verdict.worst, verdict.unit);
		if (verdict.n_checks > 1)
			(void)fprintf(file, " (%s; %u of %u)", verdict.worst_name, verdict.n_good,
				      verdict.n_checks);
		if (verdict.n_missing > 0)
			(void)fprintf(file, " %u not measured", verdict.n_missing);
		(void)fputc('\n', file);
	}
}
