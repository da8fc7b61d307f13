/* pagectl/table.h - a little printer of aligned columns.
 *
 * Cells are given row by row and kept as text until table_print() knows every column's width. On a
 * terminal that is too narrow the gap between columns shrinks from two blanks to one, and then the
 * one column that is marked `shrinks` is cut; a pipe gets everything. No colours. Memory: the heap,
 * given back by table_done(); a shortage ends the process (xrealloc() of json.h). */
#ifndef PAGECTL_TABLE_H
#define PAGECTL_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16u

struct table_column {
	const char *title;
	bool left;    /* aligned; numbers are aligned right */
	bool shrinks; /* may be cut down to TABLE_SHRUNK_WIDTH */
};

struct table {
	const struct table_column *columns;
	uint32_t n_columns;
	uint32_t width[TABLE_COLUMNS_MAX];
	uint64_t n_cells;
	char *text; /* the cells, each ended by a NUL */
	size_t text_bytes;
	size_t text_capacity;
};

/* columns stay the caller's and outlive the table; at most TABLE_COLUMNS_MAX. */
void table_init(struct table *table, const struct table_column *columns, uint32_t n_columns);
void table_done(struct table *table);

/* The next cell; n_columns of them make a row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The title line and every complete row. width: columns of the terminal, 0 for none (no limit). */
void table_print(const struct table *table, uint32_t width, FILE *file);

/* Columns of the terminal behind stdout; 0 if it is none. */
uint32_t table_terminal_width(void);

#endif
