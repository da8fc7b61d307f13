/* bench/command_line.h - the command lines of the programs of bench: getopt_long() over a table,
 * one line of ours for each mistake, numbers with their bounds. */
#ifndef BENCH_COMMAND_LINE_H
#define BENCH_COMMAND_LINE_H
#include <getopt.h>
#include <stdint.h>

struct command_line {
	const char *program; /* what its lines begin with */
	const char *help;    /* the command that tells more */
	const struct option *options;
	/* One option, its argument in optarg. Returns 0 or what command_line_refuse() says. */
	int (*take)(void *arg, int option);
};

/* Prints the line. Returns -EINVAL. */
int command_line_refuse(const struct command_line *line, const char *what, const char *word);
/* All options. Returns the index of the first word behind them, or -EINVAL after one line on
 * stderr. */
int command_line_parse(const struct command_line *line, int argc, char **argv, void *arg);
/* The same for a program that takes no words. Returns 0 or -EINVAL. */
int command_line_parse_all(const struct command_line *line, int argc, char **argv, void *arg);
/* optarg as a number from low to high; what: the sentence if it is none. */
int command_line_number(const struct command_line *line, const char *what, uint64_t low,
			uint64_t high, uint64_t *ret_number);

#endif
