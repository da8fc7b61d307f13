/* bench/peers/options.h - the command line of the driver. */
#ifndef BENCH_PEERS_OPTIONS_H
#define BENCH_PEERS_OPTIONS_H
#include "bench/options.h"

struct peers_options {
	struct options bench; /* what all benchmarks want to know */
	const char *picture;  /* PNG; NULL: none */
	const char *docs; /* folder whose PERFORMANCE.md and peers.png are written; NULL: none */
};

/* Returns 0, or -EINVAL after one line on stderr. */
int peers_options_parse(int argc, char **argv, struct peers_options *ret_options);
void peers_options_print_help(FILE *file);

#endif
