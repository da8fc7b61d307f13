/* daemon/host/options.h - the command line. */
#ifndef DAEMON_HOST_OPTIONS_H
#define DAEMON_HOST_OPTIONS_H
#include <stdbool.h>
#include <stdio.h>

enum options_command { OPTIONS_SERVE, OPTIONS_CHECK_CONFIG, OPTIONS_VERSION, OPTIONS_HELP };

struct options {
	enum options_command command;
	const char *config; /* NULL: not given; as are the next two */
	const char *runtime_dir;
	const char *instance;
	bool system; /* --system: as root's without it, whoever runs it */
	bool foreground;
	bool no_supervisor;
};

/* Returns 0, or -EINVAL after one line on stderr that says what is wrong: exit 2. */
int options_parse(int argc, char **argv, struct options *ret_options);

void options_print_help(FILE *file);

#endif
