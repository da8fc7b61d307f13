/* bench/peers/table.h - the results for people: who took how long in each row, and the figures to
 * reach with what was reached. */
#ifndef BENCH_PEERS_TABLE_H
#define BENCH_PEERS_TABLE_H
#include "bench/peers/registry.h"
#include "bench/run.h"

#include <stdio.h>

/* The results as a book of these series, which the caller frees. Returns 0 or -ENOMEM. */
int table_make_book(const struct results *results, struct book *ret_book,
		    struct series **ret_series);

/* Ours of the row of a series; NULL: not measured. */
const struct series *table_find_ours(const struct book *book, const struct series *series);

void table_print(const struct results *results, const struct book *book, FILE *file);
void table_print_figures(const struct book *book, FILE *file);

#endif
