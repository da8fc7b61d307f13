/* pagectl/top_table.c - rows, sorted and fitted. */
#include "pagectl/top_table.h"

#include "paged/bits.h"
#include "paged/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 1u /* blanks between two columns */

struct top_row *top_table_add(struct top_table *table)
{
	struct top_row *row;

	PAGED_CHECK(table->n_columns <= TOP_COLUMNS_MAX);
	if (table->n_rows == table->max_rows)
		return NULL;
	row = &table->rows[table->n_rows];
	memset(row, 0, sizeof(*row));
	row->index = table->n_rows++;
	return row;
}

void top_cell(struct top_row *row, uint32_t column, double key, const char *format, ...)
{
	va_list args;

	PAGED_CHECK(column < TOP_COLUMNS_MAX);
	row->key[column] = key;
	va_start(args, format);
	(void)vsnprintf(row->cell[column], TOP_CELL_BYTES, format, args);
	va_end(args);
}

static int compare(const void *left, const void *right, void *arg)
{
	const struct top_row *a = left, *b = right;
	const struct top_table *table = arg;
	uint32_t k = table->sort;
	int order;

	if (table->columns[k].is_text)
		order = strcmp(a->cell[k], b->cell[k]);
	else
		order = (a->key[k] < b->key[k]) - (a->key[k] > b->key[k]);
	if (table->is_reversed)
		order = -order;
	return order ? order : (a->index > b->index) - (a->index < b->index);
}

void top_table_sort(struct top_table *table)
{
	PAGED_CHECK(table->sort < table->n_columns);
	qsort_r(table->rows, table->n_rows, sizeof(*table->rows), compare, table);
}

void top_table_fit(const struct top_table *table, uint32_t terminal,
		   uint32_t ret_width[TOP_COLUMNS_MAX])
{
	uint32_t used = 0, max_level = 0;

	memset(ret_width, 0, TOP_COLUMNS_MAX * sizeof(*ret_width));
	for (uint32_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].level > max_level)
			max_level = table->columns[i].level;
	for (uint32_t level = 0; level <= max_level; level++)
		for (uint32_t i = 0; i < table->n_columns; i++) {
			const struct top_column *column = &table->columns[i];

			if (column->level != level || used + column->width + GAP > terminal)
				continue;
			ret_width[i] = column->width;
			used += column->width + GAP;
		}
	for (uint32_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].stretches && ret_width[i]) {
			uint32_t more = (uint32_t)bits_min(terminal - used,
							   TOP_CELL_BYTES - 1 - ret_width[i]);

			ret_width[i] += more;
			used += more;
		}
}

void top_table_move(struct top_table *table, const uint32_t width[TOP_COLUMNS_MAX], int step)
{
	uint32_t n = table->n_columns, at = table->sort;

	for (uint32_t i = 0; i < n; i++) {
		at = (at + (step > 0 ? 1 : n - 1)) % n;
		if (width[at])
			break;
	}
	if (at != table->sort)
		table->is_reversed = false;
	table->sort = at;
}
