/* bench/command_line.c - see command_line.h. */
#include "bench/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int command_line_refuse(const struct command_line *line, const char *what, const char *word)
{
	(void)fprintf(stderr, "%s: %s \"%s\"; see %s --help\n", line->program, what, word,
		      line->help);
	return -EINVAL;
}

int command_line_parse(const struct command_line *line, int argc, char **argv, void *arg)
{
	int option, r;

	opterr = 0; /* one line, ours */
	while ((option = getopt_long(argc, argv, ":h", line->options, NULL)) != -1) {
		if (option == ':')
			return command_line_refuse(line, "an argument is missing after",
						   argv[optind - 1]);
		if (option == '?')
			return command_line_refuse(
				line, optopt ? "wrong use of option" : "unknown option",
				argv[optind - 1]);
		r = line->take(arg, option);
		if (r < 0)
			return r;
	}
	return optind;
}

int command_line_parse_all(const struct command_line *line, int argc, char **argv, void *arg)
{
	int r = command_line_parse(line, argc, argv, arg);

	if (r < 0)
		return r;
	return r < argc ? command_line_refuse(line, "unexpected argument", argv[r]) : 0;
}

int command_line_number(const struct command_line *line, const char *what, uint64_t low,
			uint64_t high, uint64_t *ret_number)
{
	uint64_t number;
	char *end;

	errno = 0;
	number = strtoull(optarg, &end, 10);
	if (errno || *end || *optarg < '0' || *optarg > '9' || number < low || number > high)
		return command_line_refuse(line, what, optarg);
	*ret_number = number;
	return 0;
}
