/* bench/options.c - see options.h. */
#include "bench/options.h"

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
		"  --filter NAME  only those whose name contains NAME; growth_... are run only if\n"
		"                 NAME begins with growth\n"
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

int options_take(const struct command_line *line, struct options *options, int option)
{
	uint64_t rounds = options->rounds;
	int r = 0;

	switch (option) {
	case OPTIONS_JSON:
		options->json = optarg;
		break;
	case OPTIONS_FILTER:
		options->filter = optarg;
		break;
	case OPTIONS_PAGED:
		options->paged = optarg;
		break;
	case OPTIONS_PIN:
		options->pin = optarg;
		break;
	case OPTIONS_LIST_ALL:
		options->command = OPTIONS_LIST;
		break;
	case 'h':
		options->command = OPTIONS_HELP;
		break;
	default:
		r = command_line_number(line, "--rounds wants a number from 1 to 999, not", 1,
					OPTIONS_MAX_ROUNDS, &rounds);
		break;
	}
	options->rounds = (uint32_t)rounds;
	return r;
}

void options_init(struct options *ret_options)
{
	*ret_options = (struct options){
		.command = OPTIONS_RUN,
		.filter = "",
		.paged = BENCH_PAGED,
		.pin = "auto",
		.rounds = 9,
	};
}

static int take(void *options, int option);
static const struct option rows[] = {OPTIONS_ROWS, {NULL, 0, NULL, 0}};
static const struct command_line own = {"bench", "bench", rows, take};

static int take(void *options, int option)
{
	return options_take(&own, options, option);
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	options_init(ret_options);
	return command_line_parse_all(&own, argc, argv, ret_options);
}
