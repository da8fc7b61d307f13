/* bench/peers/docs.h - the tables of docs/PERFORMANCE.md. Only what stands between the lines
 * "<!-- peers: begin -->" and "<!-- peers: end -->" is written; the rest is somebody's prose. */
#ifndef BENCH_PEERS_DOCS_H
#define BENCH_PEERS_DOCS_H
#include "bench/peers/machine.h"
#include "bench/peers/table.h"

/* Writes <folder>/PERFORMANCE.md. Returns 0, or -errno after a sentence on stderr. */
int docs_write(const struct results *results, const struct book *book,
	       const struct machine *machine, const char *folder);

#endif
