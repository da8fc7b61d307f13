/* bench/peers/grid.c - see grid.h. */
#include "bench/peers/grid.h"

#include <errno.h>
#include <string.h>

size_t grid_next_row(const struct results *results, size_t after)
{
	for (size_t i = after; i < results->n; i++) {
		const struct entry *entry = entry_of(results->result[i].benchmark);
		const char *name = entry->benchmark.name;
		size_t row_bytes = strcspn(name, "/") + 1;

		if (!entry->subject || strcmp(entry->benchmark.unit, "ns/pair") != 0)
			continue;
		if (i == 0 || strncmp(results->result[i - 1].benchmark->name, name, row_bytes) != 0)
			return i;
	}
	return results->n;
}

const struct series *grid_find(const struct book *book, size_t row, const struct subject *subject)
{
	const char *name = book->series[row].name;

	return book_find(book, name, strcspn(name, "/"), subject->name);
}

static double median(const struct series *series)
{
	return stats_summarize(series->value, series->n).median;
}

/* --- the picture ---------------------------------------------------------------------------- */

/* Nothing is drawn of those who ran no row. */
static bool is_drawn(const struct results *results, const struct book *book,
		     const struct subject *subject)
{
	for (size_t row = grid_next_row(results, 0); row < results->n;
	     row = grid_next_row(results, row + 1)) {
		if (grid_find(book, row, subject) && table_find_ours(book, &book->series[row]))
			return subject->role != ROLE_OURS;
	}
	return false;
}

/* A block of data for a subject: "row times", or "row ?". */
static void write_data(const struct results *results, const struct book *book,
		       const struct subject *subject, FILE *file)
{
	unsigned place = 0;

	(void)fprintf(file, "$%s << END\n", subject->name);
	for (size_t row = grid_next_row(results, 0); row < results->n;
	     row = grid_next_row(results, row + 1)) {
		const char *name = book->series[row].name;
		const struct series *series = grid_find(book, row, subject);
		const struct series *ours = table_find_ours(book, &book->series[row]);

		(void)fprintf(file, "%u \"%.*s\" ", place++, (int)strcspn(name, "/"), name);
		if (series && ours)
			(void)fprintf(file, "%.6g\n", median(series) / median(ours));
		else
			(void)fputs("?\n", file);
	}
	(void)fputs("END\n", file);
}

static void write_script(const struct results *results, const struct book *book, const char *path,
			 FILE *file)
{
	const struct subject *subject;

	for (size_t i = 0; (subject = subject_find(i)) != NULL; i++)
		write_data(results, book, subject, file);
	(void)fprintf(
		file,
		"set terminal pngcairo size 1500,900 font 'sans,11'\n"
		"set output \"%s\"\n"
		"set title 'One page allocated and freed: time over that of libpageclient "
		"(above 1: ours is faster)'\n"
		"set ylabel 'their time / ours'\n"
		"set logscale y\nset grid y\nset key outside right top noenhanced\n"
		"set xtics rotate by -55 noenhanced\nset bmargin 11\nset offsets 0.5,0.5,0,0\n"
		"set datafile missing '?'\n"
		"plot 1 with lines lw 2 lc rgb 'black' title 'libpageclient'",
		path);
	for (size_t i = 0; (subject = subject_find(i)) != NULL; i++) {
		if (is_drawn(results, book, subject))
			(void)fprintf(file,
				      ", \\\n $%s using 1:3:xtic(2) with linespoints pt %zu lc %zu "
				      "title '%s%s'",
				      subject->name, i, i, subject->name,
				      subject->role == ROLE_FLOOR ? " (floor)" : "");
	}
	(void)fputc('\n', file);
}

int grid_draw(const struct results *results, const struct book *book, const char *path)
{
	FILE *file = popen("gnuplot -", "we"); // NOLINT: a fixed command
	int status;

	if (!file) {
		(void)fprintf(stderr, "peers: gnuplot: %s\n", strerror(errno));
		return -EIO;
	}
	write_script(results, book, path, file);
	status = pclose(file);
	if (status != 0) {
		(void)fprintf(stderr, "peers: gnuplot could not draw %s\n", path);
		return -EIO;
	}
	return 0;
}

/* --- the table ------------------------------------------------------------------------------ */

static void print_row(const struct book *book, size_t row, FILE *file)
{
	const char *name = book->series[row].name;
	const struct subject *subject;

	(void)fprintf(file, "| %.*s |", (int)strcspn(name, "/"), name);
	for (size_t i = 0; (subject = subject_find(i)) != NULL; i++) {
		const struct series *series = grid_find(book, row, subject);
		double ns = series ? median(series) : 0;

		if (series)
			(void)fprintf(file, " %.*f |", ns < 100 ? 1 : 0, ns);
		else
			(void)fputs(" - |", file);
	}
	(void)fputc('\n', file);
}

void grid_print(const struct results *results, const struct book *book, FILE *file)
{
	const struct subject *subject;

	(void)fputs("| ns a pair |", file);
	for (size_t i = 0; (subject = subject_find(i)) != NULL; i++)
		(void)fprintf(file, " %s |", subject->name);
	(void)fputs("\n|---|", file);
	for (size_t i = 0; subject_find(i); i++)
		(void)fputs("---|", file);
	(void)fputc('\n', file);
	for (size_t row = grid_next_row(results, 0); row < results->n;
	     row = grid_next_row(results, row + 1))
		print_row(book, row, file);
}
