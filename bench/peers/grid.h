/* bench/peers/grid.h - the rows of the heap against who ran them: what the picture and the table of
 * docs/PERFORMANCE.md are made of. */
#ifndef BENCH_PEERS_GRID_H
#define BENCH_PEERS_GRID_H
#include "bench/peers/table.h"

/* The index of the first series of the next row of the heap, from `after` on; book->n: none. */
size_t grid_next_row(const struct results *results, size_t after);
/* The series of a subject in the row of that index; NULL: not measured. */
const struct series *grid_find(const struct book *book, size_t row, const struct subject *subject);

/* A PNG, by gnuplot: how many times longer than ours each takes. Returns 0, or -errno after a
 * sentence on stderr. */
int grid_draw(const struct results *results, const struct book *book, const char *path);
/* A table in Markdown: medians in ns. */
void grid_print(const struct results *results, const struct book *book, FILE *file);

#endif
