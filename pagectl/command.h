/* pagectl/command.h - one table: what commands and options there are, and what help says of them.
 */
#ifndef PAGECTL_COMMAND_H
#define PAGECTL_COMMAND_H
#include "pagectl/pagectl.h"

#include <stdio.h>

/* Bits of command.options: options that only some commands take. All others every command takes. */
enum {
	OPTION_ALL = 1u << 0,
	OPTION_CLIENT = 1u << 1,
	OPTION_FRAMES = 1u << 2,
	OPTION_VERBOSE = 1u << 3,
	OPTION_OFFLINE = 1u << 4, /* --offline, and what only goes with it */
	OPTION_CACHE = 1u << 5,
	OPTION_DRY_RUN = 1u << 6,
	OPTION_SIMULATE = 1u << 8,
	OPTION_OLDER_THAN = 1u << 12,
	OPTION_LISTEN = 1u << 13,
	OPTION_JSON = 1u << 14, /* of all commands but those that say has_no_json */
	OPTION_WATCH = 1u << 16,
	OPTION_SECONDS = 1u << 17, /* its operand is an interval; with OPTION_WATCH: --watch's */
	OPTION_OUT = 1u << 18,
	OPTION_RUN = 1u << 19, /* --size and so on, and a program behind -- */
};

struct command {
	const char *name;
	const char *args;                    /* as help shows them, "" for none */
	const char *text;                    /* one line */
	const char *more;                    /* the rest of its help; NULL: nothing */
	uint32_t options;                    /* OPTION_* */
	uint32_t min_operands, max_operands; /* at most PAGECTL_MAX_OPERANDS */
	bool has_no_json;                    /* its text is for programs already */
	int (*run)(struct pagectl *ctl);     /* NULL: help, which main() does itself */
	bool is_alone;                       /* needs no connection and no view */
	void (*more_help)(void);             /* NULL: none */
};

/* NULL if there is no such command. */
const struct command *command_find(const char *name);

/* The help of pagectl, or of one command. */
void command_print_help(const struct command *command, FILE *file);

#endif
