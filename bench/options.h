/* bench/options.h - what the command lines of bench and of the peers' driver have in common. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H
#include "bench/command_line.h"

#include <stdbool.h>
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

/* Options of both, first in the table of each; OPTIONS_NEXT is the first number of its own. */
enum {
	OPTIONS_JSON = 256,
	OPTIONS_FILTER,
	OPTIONS_ROUNDS,
	OPTIONS_PAGED,
	OPTIONS_PIN,
	OPTIONS_LIST_ALL,
	OPTIONS_NEXT,
};
/* clang-format off */
#define OPTIONS_ROWS                                                                               \
	{"json", required_argument, NULL, OPTIONS_JSON},                                           \
	{"filter", required_argument, NULL, OPTIONS_FILTER},                                       \
	{"rounds", required_argument, NULL, OPTIONS_ROUNDS},                                       \
	{"paged", required_argument, NULL, OPTIONS_PAGED},                                         \
	{"pin", required_argument, NULL, OPTIONS_PIN},                                             \
	{"list", no_argument, NULL, OPTIONS_LIST_ALL},                                             \
	{"help", no_argument, NULL, 'h'}
/* clang-format on */

/* A run of all, in 9 rounds. */
void options_init(struct options *ret_options);
/* One of those options. Returns 0 or -EINVAL. */
int options_take(const struct command_line *line, struct options *options, int option);

/* Returns 0, or -EINVAL after one line on stderr. */
int options_parse(int argc, char **argv, struct options *ret_options);
void options_print_help(FILE *file);

#endif
