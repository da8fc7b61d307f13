/* bench/options.h - the command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Lower than 1 is no result; more than this is a mistake, not a measurement. */
#define OPTIONS_MAX_ROUNDS 999u

enum options_command { OPTIONS_RUN, OPTIONS_LIST, OPTIONS_HELP };

struct options {
	enum options_command command;
	const char *json;   /* NULL: none */
	const char *filter; /* part of a name; "": all */
	const char *paged;  /* path of the daemon */
	const char *pin;    /* see place_parse() */
	uint32_t rounds;
	bool hugepages; /* daemons have hugepages = always, else what comes by default */
};

/* Returns 0, or -EINVAL after one line on stderr. */
int options_parse(int argc, char **argv, struct options *ret_options);
void options_print_help(FILE *file);

#endif
