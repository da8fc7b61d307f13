/* bench/peers/options.c - see options.h. */
#include "bench/peers/options.h"

enum { LONG_PICTURE = OPTIONS_NEXT, LONG_WRITE_DOCS, LONG_HUGEPAGES };

static const struct option long_options[] = {
	OPTIONS_ROWS,
	{"picture", required_argument, NULL, LONG_PICTURE},
	{"write-docs", no_argument, NULL, LONG_WRITE_DOCS},
	{"hugepages", no_argument, NULL, LONG_HUGEPAGES},
	{NULL, 0, NULL, 0},
};
static int take(void *arg, int option);
static const struct command_line line = {"peers", "./dev bench --peers", long_options, take};

void peers_options_print_help(FILE *file)
{
	(void)fputs(
		"usage: ./dev bench --peers [OPTION]...\n"
		"\n"
		"Measures allocation of pages by libpageclient and by others, each in a process\n"
		"of its own, side by side, and ends with the figures to reach: reached or not.\n"
		"\n"
		"  --json FILE     write all that was measured to FILE as well\n"
		"  --picture FILE  draw it (PNG, by gnuplot)\n"
		"  --write-docs    write docs/peers.png and the tables of docs/PERFORMANCE.md\n"
		"  --hugepages     our daemons have hugepages = always, where the machine can\n"
		"  --filter NAME   only what has NAME in \"row/subject\", and ours in these rows\n"
		"  --rounds N      rounds that count (default 9)\n"
		"  --paged PATH    the daemon's program (default: that of this build)\n"
		"  --pin WHERE     auto: daemons on one CPU and clients on another, where there "
		"are\n"
		"                  two; DAEMON,CLIENT: on these; none: where the scheduler likes\n"
		"  --list          print names, units and what is measured\n"
		"  --help          print this\n"
		"\n"
		"Exit status: 0 measured (whatever the figures), 1 something of ours failed, 2 "
		"wrong\n"
		"usage. A peer that cannot run here is no failure: the table says why.\n",
		file);
}

static int take(void *arg, int option)
{
	struct peers_options *options = arg;

	switch (option) {
	case LONG_PICTURE:
		options->picture = optarg;
		return 0;
	case LONG_WRITE_DOCS:
		options->docs = "docs";
		return 0;
	case LONG_HUGEPAGES:
		options->bench.hugepages = true;
		return 0;
	default:
		return options_take(&line, &options->bench, option);
	}
}

int peers_options_parse(int argc, char **argv, struct peers_options *ret_options)
{
	int r;

	*ret_options = (struct peers_options){0};
	options_init(&ret_options->bench);
	r = command_line_parse_all(&line, argc, argv, ret_options);
	/* Half a table in the documentation would look like all of it. */
	if (r == 0 && ret_options->docs && *ret_options->bench.filter)
		r = command_line_refuse(&line, "--write-docs wants a whole run, without --filter",
					ret_options->bench.filter);
	return r;
}
