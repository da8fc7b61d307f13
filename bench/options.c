/* bench/options.c - see options.h. */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	LONG_JSON = 256,
	LONG_FILTER,
	LONG_ROUNDS,
	LONG_PAGED,
	LONG_PIN,
	LONG_LIST,
};

static const struct option long_options[] = {
	{"json", required_argument, NULL, LONG_JSON},
	{"filter", required_argument, NULL, LONG_FILTER},
	{"rounds", required_argument, NULL, LONG_ROUNDS},
	{"paged", required_argument, NULL, LONG_PAGED},
	{"pin", required_argument, NULL, LONG_PIN},
	{"list", no_argument, NULL, LONG_LIST},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

void options_print_help(FILE *file)
{
	(void)fputs(
		"usage: bench [OPTION]...\n"
		"\n"
		"Measures the library and the daemon, with private daemons of its own, and\n"
		"prints ns per pair of alloc and free, or per operation: median, min and max\n"
		"of the rounds.\n"
		"\n"
		"  --json FILE    write the results to FILE as well\n"
		"  --filter NAME  only those whose name contains NAME\n"
		"  --rounds N     rounds that count (default 9)\n"
		"  --paged PATH   the daemon's program (default: that of this build)\n"
		"  --pin WHERE    auto: daemon and client on a CPU each, where there are two;\n"
		"                 DAEMON,CLIENT: on these CPUs; none: where the scheduler likes\n"
		"  --list         print names, units and what is measured\n"
		"  --help         print this\n"
		"\n"
		"Exit status: 0 all measured, 1 something failed, 2 wrong usage.\n",
		file);
}

static int refuse(const char *what, const char *word)
{
	(void)fprintf(stderr, "bench: %s \"%s\"; see bench --help\n", what, word);
	return -EINVAL;
}

static int take_rounds(struct options *options)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(optarg, &end, 10);
	if (errno || *end || end == optarg || n < 1 || n > OPTIONS_MAX_ROUNDS)
		return refuse("--rounds wants a number from 1 to 999, not", optarg);
	options->rounds = (uint32_t)n;
	return 0;
}

static int take(struct options *options, int option)
{
	switch (option) {
	case LONG_JSON:
		options->json = optarg;
		break;
	case LONG_FILTER:
		options->filter = optarg;
		break;
	case LONG_PAGED:
		options->paged = optarg;
		break;
	case LONG_PIN:
		options->pin = optarg;
		break;
	case LONG_LIST:
		options->command = OPTIONS_LIST;
		break;
	case 'h':
		options->command = OPTIONS_HELP;
		break;
	default:
		return take_rounds(options);
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	int option, r;

	*ret_options = (struct options){
		.command = OPTIONS_RUN,
		.filter = "",
		.paged = BENCH_PAGED,
		.pin = "auto",
		.rounds = 9,
	};
	opterr = 0; /* one line, ours */
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == ':')
			return refuse("an argument is missing after", argv[optind - 1]);
		if (option == '?')
			return refuse(optopt ? "wrong use of option" : "unknown option",
				      argv[optind - 1]);
		r = take(ret_options, option);
		if (r)
			return r;
	}
	return optind < argc ? refuse("unexpected argument", argv[optind]) : 0;
}
