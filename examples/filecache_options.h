/* examples/filecache_options.h - the command line of filecache. */
#ifndef EXAMPLES_FILECACHE_OPTIONS_H
#define EXAMPLES_FILECACHE_OPTIONS_H
#include <stdint.h>

enum options_command { OPTIONS_PACK, OPTIONS_SERVE, OPTIONS_HELP };

struct options {
	enum options_command command;
	const char *archive;
	char **folders;     /* pack; NULL-terminated, may be empty */
	uint64_t max_bytes; /* pack */
	double seconds;     /* pack: at most; serve: how long it lives */
	const char *name;   /* serve, as are the rest */
	double work;        /* after so many it is idle, and keeps its cache */
	double skew;
	uint64_t seed;
	const char *gauge; /* file for what gauge.h measures; NULL: nothing is */
};

void options_print_help(void);

/* 0, or -EINVAL: one line on stderr says what is wrong. */
int options_parse(int argc, char **argv, struct options *ret_options);

#endif
