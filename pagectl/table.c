/* pagectl/table.c - aligned columns. */
#include "pagectl/table.h"

#include "pagectl/json.h"
#include "paged/check.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CELL_BYTES 64u /* a longer cell is cut */
#define SHRUNK_WIDTH 8u

void table_init(struct table *table, const struct table_column *columns, uint32_t n_columns)
{
	PAGED_CHECK(n_columns >= 1 && n_columns <= TABLE_COLUMNS_MAX);
	memset(table, 0, sizeof(*table));
	table->columns = columns;
	table->n_columns = n_columns;
	for (uint32_t i = 0; i < n_columns; i++)
		table->width[i] = (uint32_t)strlen(columns[i].title);
}

void table_done(struct table *table)
{
	free(table->text);
	memset(table, 0, sizeof(*table));
}

void table_cell(struct table *table, const char *format, ...)
{
	uint32_t column = (uint32_t)(table->n_cells % table->n_columns);
	char cell[CELL_BYTES];
	size_t bytes;
	va_list args;

	va_start(args, format);
	vsnprintf(cell, sizeof(cell), format, args);
	va_end(args);
	bytes = strlen(cell) + 1;
	if (table->text_bytes + bytes > table->text_capacity) {
		table->text_capacity = 2 * table->text_capacity + 4096;
		table->text = xrealloc(table->text, table->text_capacity);
	}
	memcpy(table->text + table->text_bytes, cell, bytes);
	table->text_bytes += bytes;
	table->n_cells++;
	if (bytes - 1 > table->width[column])
		table->width[column] = (uint32_t)(bytes - 1);
}

/* Fits the widths to the terminal; the gap that is left goes to *ret_gap. */
static void fit(const struct table *table, uint32_t terminal, uint32_t *width, int *ret_gap)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < table->n_columns; i++) {
		width[i] = table->width[i];
		total += width[i];
	}
	*ret_gap = 2;
	if (!terminal || total + 2 * (table->n_columns - 1) <= terminal)
		return;
	*ret_gap = 1;
	total += table->n_columns - 1;
	for (uint32_t i = 0; i < table->n_columns && total > terminal; i++) {
		uint32_t cut = total - terminal;

		if (!table->columns[i].shrinks || width[i] <= SHRUNK_WIDTH)
			continue;
		if (cut > width[i] - SHRUNK_WIDTH)
			cut = width[i] - SHRUNK_WIDTH;
		width[i] -= cut;
		total -= cut;
	}
}

static void print_cell(const struct table *table, uint32_t column, const char *text, uint32_t width,
		       int gap, FILE *file)
{
	bool last = column + 1 == table->n_columns;

	if (!table->columns[column].left)
		fprintf(file, "%*.*s", (int)width, (int)width, text);
	else if (last) /* no blanks at the end of a line */
		fprintf(file, "%.*s", (int)width, text);
	else
		fprintf(file, "%-*.*s", (int)width, (int)width, text);
	fprintf(file, "%*s", last ? 0 : gap, "");
	if (last)
		fputc('\n', file);
}

void table_print(const struct table *table, uint32_t terminal, FILE *file)
{
	uint32_t width[TABLE_COLUMNS_MAX];
	const char *text = table->text;
	uint64_t n_cells = table->n_cells / table->n_columns * table->n_columns;
	int gap;

	fit(table, terminal, width, &gap);
	for (uint32_t i = 0; i < table->n_columns; i++)
		print_cell(table, i, table->columns[i].title, width[i], gap, file);
	for (uint64_t n = 0; n < n_cells; n++) {
		uint32_t column = (uint32_t)(n % table->n_columns);

		print_cell(table, column, text, width[column], gap, file);
		text += strlen(text) + 1;
	}
}

uint32_t table_terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}
