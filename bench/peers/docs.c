/* bench/peers/docs.c - see docs.h. */
#include "bench/peers/docs.h"

#include "bench/peers/grid.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN "<!-- peers: begin -->\n"
#define END "<!-- peers: end -->\n"
/* Higher is no document of ours. */
#define MAX_BYTES (1u << 20)

static void print_figures(const struct book *book, FILE *file)
{
	struct verdict verdict;

	(void)fputs("| figure | to reach | ours | |\n|---|---|---|---|\n", file);
	for (size_t i = 0; verdict_judge(book, i, &verdict); i++) {
		(void)fprintf(file, "| %s | %s |", verdict.line, verdict.goal);
		if (verdict.n_checks > 0)
			(void)fprintf(file, " %.3g%s%s", verdict.worst,
				      strcmp(verdict.unit, "x") == 0 ? "" : " ",
				      strcmp(verdict.unit, "x") == 0 ? "" : verdict.unit);
		if (verdict.n_checks > 1)
			(void)fprintf(file, " (%s; %u of %u)", verdict.worst_name, verdict.n_good,
				      verdict.n_checks);
		(void)fprintf(file, " | %s |\n", verdict_outcome_name(verdict.outcome));
	}
}

/* What is not of the heap: one line each. */
static void print_system(const struct results *results, const struct book *book, FILE *file)
{
	(void)fputs("| of the system | | median | min | max | |\n|---|---|---|---|---|---|\n",
		    file);
	for (uint32_t i = 0; i < results->n; i++) {
		const struct series *series = &book->series[i];
		const struct benchmark *benchmark = results->result[i].benchmark;
		struct summary summary;

		if (series->n == 0 || strcmp(benchmark->unit, "ns/pair") == 0)
			continue;
		summary = stats_summarize(series->value, series->n);
		(void)fprintf(file, "| %s | %s | %.4g | %.4g | %.4g | %s |\n", series->name,
			      benchmark->what, summary.median, summary.min, summary.max,
			      benchmark->unit);
	}
}

static void print_skipped(const struct results *results, FILE *file)
{
	const char *last = "";

	for (uint32_t i = 0; i < results->n; i++) {
		const struct result *result = &results->result[i];
		const char *who = strchr(result->benchmark->name, '/') + 1;

		if (!result->failed || strcmp(who, last) == 0)
			continue;
		last = who;
		(void)fprintf(file, "Not measured: %s: %s.\n", result->benchmark->name,
			      result->why);
	}
}

/* What is in path, or NULL. */
static char *read_all(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, MAX_BYTES) : NULL;

	if (text && fread(text, 1, MAX_BYTES, file) == MAX_BYTES) {
		free(text);
		text = NULL;
	}
	if (file)
		(void)fclose(file);
	return text;
}

int docs_write(const struct results *results, const struct book *book,
	       const struct machine *machine, const char *folder)
{
	char path[PATH_MAX];
	char *text, *begin = NULL, *end = NULL;
	FILE *file;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/PERFORMANCE.md", folder);
	text = read_all(path);
	if (text) {
		begin = strstr(text, BEGIN);
		end = begin ? strstr(begin, END) : NULL;
	}
	file = end ? fopen(path, "we") : NULL;
	if (!file) {
		(void)fprintf(stderr, "peers: %s cannot be written, or has no lines %s and %s\n",
			      path, "<!-- peers: begin -->", "<!-- peers: end -->");
		free(text);
		return -EIO;
	}
	(void)fwrite(text, 1, (size_t)(begin - text) + strlen(BEGIN), file);
	(void)fprintf(file, "Measured on %s, %d CPUs, %s%s; medians of %u rounds.\n\n",
		      machine->cpu, machine->n_cpus, machine->kernel,
		      machine->hugepages ? ", hugepages = always" : "", results->rounds);
	print_figures(book, file);
	(void)fputs("\n![Times of others over ours](peers.png)\n\n", file);
	grid_print(results, book, file);
	(void)fputc('\n', file);
	print_system(results, book, file);
	(void)fputc('\n', file);
	print_skipped(results, file);
	(void)fputs(end, file);
	if (fclose(file))
		r = -EIO;
	free(text);
	return r;
}
