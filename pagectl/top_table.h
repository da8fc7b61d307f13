/* pagectl/top_table.h - the tables of `pagectl top`: rows that can be sorted by any column.
 *
 * A cell has two halves: a number to sort by (and for --json), and the text that is shown. A column
 * has a level: on a terminal that is too narrow those of the highest level are not shown, so that
 * 80 columns see the same table as 200 with less of it. Who fills the rows owns the memory. Pure.
 */
#ifndef PAGECTL_TOP_TABLE_H
#define PAGECTL_TOP_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#define TOP_COLUMNS_MAX 16u
#define TOP_CELL_BYTES 40u /* a longer cell is cut; the longest name has 31 */

struct top_column {
	const char *title;
	const char *json; /* its key in --json */
	uint32_t width;
	uint32_t level; /* 0 is shown in 80 columns */
	bool is_text;   /* aligned left, and sorted by its text, from a to z */
	bool stretches; /* takes what room is left, up to TOP_CELL_BYTES */
};

struct top_row {
	uint32_t index; /* order of filling: decides between equals, so that rows keep still */
	double key[TOP_COLUMNS_MAX];
	char cell[TOP_COLUMNS_MAX][TOP_CELL_BYTES];
};

struct top_table {
	const char *name;
	const struct top_column *columns;
	uint32_t n_columns; /* at most TOP_COLUMNS_MAX */
	struct top_row *rows;
	uint32_t n_rows, max_rows;
	uint32_t sort; /* a column */
	bool is_reversed;
};

/* The next row, empty; NULL if there is no room for one more. */
struct top_row *top_table_add(struct top_table *table);
void top_cell(struct top_row *row, uint32_t column, double key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* By table->sort: numbers the greatest first, texts from a to z, or the other way round. */
void top_table_sort(struct top_table *table);

/* How wide each column is shown in a terminal of so many columns; 0: not at all. */
void top_table_fit(const struct top_table *table, uint32_t terminal,
		   uint32_t ret_width[TOP_COLUMNS_MAX]);

/* Sorts by the next column that is shown to the right (step 1) or to the left (-1). */
void top_table_move(struct top_table *table, const uint32_t width[TOP_COLUMNS_MAX], int step);

#endif
