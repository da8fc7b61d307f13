/* bench/peers/options.c - see options.h. */
#include "bench/peers/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

enum {
	LONG_JSON = 256,
	LONG_FILTER,
	LONG_ROUNDS,
	LONG_PAGED,
	LONG_PIN,
	LONG_LIST,
	LONG_PICTURE,
	LONG_WRITE_DOCS,
	LONG_HUGEPAGES,
};

static const struct option long_options[] = {
	{"json", required_argument, NULL, LONG_JSON},
	{"filter", required_argument, NULL, LONG_FILTER},
	{"rounds", required_argument, NULL, LONG_ROUNDS},
	{"paged", required_argument, NULL, LONG_PAGED},
	{"pin", required_argument, NULL, LONG_PIN},
	{"list", no_argument, NULL, LONG_LIST},
	{"picture", required_argument, NULL, LONG_PICTURE},
	{"write-docs", no_argument, NULL, LONG_WRITE_DOCS},
	{"hugepages", no_argument, NULL, LONG_HUGEPAGES},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

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

static int refuse(const char *what, const char *word)
{
	(void)fprintf(stderr, "peers: %s \"%s\"; see ./dev bench --peers --help\n", what, word);
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

static int take(struct peers_options *options, int option)
{
	switch (option) {
	case LONG_JSON:
		options->bench.json = optarg;
		break;
	case LONG_FILTER:
		options->bench.filter = optarg;
		break;
	case LONG_PAGED:
		options->bench.paged = optarg;
		break;
	case LONG_PIN:
		options->bench.pin = optarg;
		break;
	case LONG_LIST:
		options->bench.command = OPTIONS_LIST;
		break;
	case LONG_PICTURE:
		options->picture = optarg;
		break;
	case LONG_WRITE_DOCS:
		options->docs = "docs";
		break;
	case LONG_HUGEPAGES:
		options->bench.hugepages = true;
		break;
	case 'h':
		options->bench.command = OPTIONS_HELP;
		break;
	default:
		return take_rounds(&options->bench);
	}
	return 0;
}

int peers_options_parse(int argc, char **argv, struct peers_options *ret_options)
{
	int option, r;

	*ret_options = (struct peers_options){
		.bench = {.command = OPTIONS_RUN,
			  .filter = "",
			  .paged = BENCH_PAGED,
			  .pin = "auto",
			  .rounds = 9},
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
	/* Half a table in the documentation would look like all of it. */
	if (ret_options->docs && *ret_options->bench.filter)
		return refuse("--write-docs wants a whole run, without --filter",
			      ret_options->bench.filter);
	return optind < argc ? refuse("unexpected argument", argv[optind]) : 0;
}
