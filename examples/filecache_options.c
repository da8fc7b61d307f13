/* examples/filecache_options.c - see filecache_options.h. */
#include "examples/filecache_options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1e6 /* eleven days; higher: ns still have to fit 64 bits */

enum {
	LONG_BYTES = 256,
	LONG_NAME,
	LONG_SECONDS,
	LONG_WORK,
	LONG_SKEW,
	LONG_SEED,
	LONG_GAUGE,
};

static const struct option long_options[] = {
	{"bytes", required_argument, NULL, LONG_BYTES},
	{"name", required_argument, NULL, LONG_NAME},
	{"seconds", required_argument, NULL, LONG_SECONDS},
	{"work", required_argument, NULL, LONG_WORK},
	{"skew", required_argument, NULL, LONG_SKEW},
	{"seed", required_argument, NULL, LONG_SEED},
	{"gauge", required_argument, NULL, LONG_GAUGE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

void options_print_help(void)
{
	(void)fputs(
		"usage: filecache pack ARCHIVE [--bytes N] [--seconds S] [FOLDER]...\n"
		"       filecache serve ARCHIVE [OPTION]...\n"
		"\n"
		"pack deflates files below the folders (default: /usr/lib), block by block, up to\n"
		"N bytes of them (default: 134217728) and for at most S seconds. serve answers\n"
		"requests for blocks out of a cache in shared page frames that the daemon may\n"
		"prune, and holds each block that it serves against the file it came from.\n"
		"\n"
		"  --name NAME   of this process, for pagectl (default: filecache)\n"
		"  --seconds S   ends after S seconds (default: 10)\n"
		"  --work S      serves for the first S seconds only, then idles with its cache\n"
		"  --skew X      0: all blocks are asked for alike; 1: some far more (default: 1)\n"
		"  --seed N      which blocks are the popular ones (default: 1)\n"
		"  --gauge FILE  how long calls took while the daemon was away, into this file\n"
		"\n"
		"The daemon is found by $PAGED_SOCKET, else at $XDG_RUNTIME_DIR/paged/paged.sock,\n"
		"else at /run/paged/paged.sock. Exit status: 0 all blocks were right, 1 one was\n"
		"wrong or something failed, 2 wrong usage.\n",
		stdout);
}

static int refuse(const char *what, const char *word)
{
	(void)fprintf(stderr, "filecache: %s \"%s\"; see filecache --help\n", what, word);
	return -EINVAL;
}

static int parse_number(const char *text, double max, double *ret_value)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value) || value < 0 || value > max)
		return refuse("not a number that fits here:", text);
	*ret_value = value;
	return 0;
}

static int take(struct options *options, int option)
{
	double value = 0;
	int r = 0;

	if (option == LONG_NAME)
		options->name = optarg;
	else if (option == LONG_GAUGE)
		options->gauge = optarg;
	else if (option == LONG_SECONDS)
		r = parse_number(optarg, SECONDS_MAX, &options->seconds);
	else if (option == LONG_WORK)
		r = parse_number(optarg, SECONDS_MAX, &options->work);
	else if (option == LONG_SKEW)
		r = parse_number(optarg, 10, &options->skew);
	else
		r = parse_number(optarg, 0x1p53, &value);
	if (r == 0 && option == LONG_SEED)
		options->seed = (uint64_t)value;
	if (r == 0 && option == LONG_BYTES)
		options->max_bytes = (uint64_t)value;
	return r;
}

/* What is left behind the options: the command, the archive, folders. */
static int take_words(struct options *options, int argc, char **argv)
{
	if (argc < 2)
		return refuse("needs a command and an archive after", argc ? argv[0] : "filecache");
	if (!strcmp(argv[0], "pack"))
		options->command = OPTIONS_PACK;
	else if (!strcmp(argv[0], "serve"))
		options->command = OPTIONS_SERVE;
	else
		return refuse("unknown command", argv[0]);
	options->archive = argv[1];
	options->folders = argv + 2;
	if (options->command == OPTIONS_SERVE && argc > 2)
		return refuse("unexpected argument", argv[2]);
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	int option, r = 0;

	*ret_options = (struct options){.name = "filecache",
					.max_bytes = UINT64_C(128) << 20,
					.seconds = -1,
					.work = SECONDS_MAX,
					.skew = 1,
					.seed = 1};
	opterr = 0; /* one line, ours */
	while (r == 0 && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == ':')
			return refuse("an argument is missing after", argv[optind - 1]);
		if (option == '?')
			return refuse("unknown option", argv[optind - 1]);
		if (option == 'h') {
			ret_options->command = OPTIONS_HELP;
			return 0;
		}
		r = take(ret_options, option);
	}
	if (r == 0)
		r = take_words(ret_options, argc - optind, argv + optind);
	if (r == 0 && ret_options->seconds < 0)
		ret_options->seconds = ret_options->command == OPTIONS_PACK ? SECONDS_MAX : 10;
	return r;
}
