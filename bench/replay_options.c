/* bench/replay_options.c - see replay_options.h. */
#include "bench/replay_options.h"

#include "bench/command_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LONG_CHECK = 256,
	LONG_CLIENTS,
	LONG_GENERATE,
	LONG_JSON,
	LONG_OFFLINE,
	LONG_OUTPUT,
	LONG_PAGED,
	LONG_SEED,
	LONG_SIZE,
};

static const struct option long_options[] = {
	{"check", no_argument, NULL, LONG_CHECK},
	{"clients", required_argument, NULL, LONG_CLIENTS},
	{"generate", required_argument, NULL, LONG_GENERATE},
	{"help", no_argument, NULL, 'h'},
	{"json", required_argument, NULL, LONG_JSON},
	{"offline", no_argument, NULL, LONG_OFFLINE},
	{"output", required_argument, NULL, LONG_OUTPUT},
	{"paged", required_argument, NULL, LONG_PAGED},
	{"seed", required_argument, NULL, LONG_SEED},
	{"size", required_argument, NULL, LONG_SIZE},
	{NULL, 0, NULL, 0},
};

static int take(void *arg, int option);
static const struct command_line line = {"replay", "replay", long_options, take};

void replay_options_print_help(FILE *file)
{
	(void)fputs(
		"usage: replay [OPTION]... [TRACE]...\n"
		"       replay --generate KIND [--seed N] [--output FILE]\n"
		"\n"
		"Replays cache traces over the clients of one shared segment of a private daemon,\n"
		"and compares the hit ratios with the same memory split for good, with one exact\n"
		"LRU over all, and with Belady's optimum. Without TRACE: synthetic ones.\n"
		"\n"
		"A TRACE is CSV, plain or gzip: time,client,key,size[,cost]; - is the standard\n"
		"input. bench/README.md says more, and where to get some.\n"
		"\n"
		"  --size SIZE      of the segment, such as 512M or 2G (default 64M)\n"
		"  --clients N      fold the clients of a TRACE into N, by a hash of their names\n"
		"  --offline        without the segment: no daemon is started\n"
		"  --check          exit 1 if the segment did not do what it should\n"
		"  --json FILE      write the results to FILE as well\n"
		"  --paged PATH     the daemon's program (default: that of this build)\n"
		"  --generate KIND  write a synthetic trace: zipf, scan, burst or cost\n"
		"  --seed N         its seed, from 1 on (default 1; cost alone is replayed with\n"
		"                   1, 2 and 3)\n"
		"  --output FILE    where to (default: standard output); gzip if it ends in .gz\n"
		"  --help           print this\n"
		"\n"
		"Exit status: 0 done, 1 something failed, 2 wrong usage.\n",
		file);
}

static int take_size(struct replay_options *options)
{
	static const char units[] = "KMGT";
	uint64_t n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(optarg, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno || *optarg < '0' || *optarg > '9' || !unit || end[1])
		return command_line_refuse(&line, "--size wants a number with K, M, G or T, not",
					   optarg);
	if (n > UINT64_MAX >> (10 * (unit - units + 1)))
		return command_line_refuse(&line, "--size is too large:", optarg);
	options->n_frames = (n << (10 * (unit - units + 1))) / TRACE_FRAME_BYTES;
	if (options->n_frames < REPLAY_MIN_FRAMES || options->n_frames > REPLAY_MAX_FRAMES)
		return command_line_refuse(&line, "--size is to be from 4M to 16T, not", optarg);
	return 0;
}

static int take_kind(struct replay_options *options)
{
	options->generate = make_find(optarg);
	return options->generate == MAKE_NR_KINDS
		       ? command_line_refuse(
				 &line, "--generate wants zipf, scan, burst or cost, not", optarg)
		       : 0;
}

static int take_clients(struct replay_options *options)
{
	uint64_t n;
	int r = command_line_number(&line, "--clients wants a number from 1 to 64, not", 1,
				    TRACE_MAX_CLIENTS, &n);

	options->fold = r == 0 ? (uint32_t)n : 0;
	return r;
}

static int take(void *arg, int option)
{
	struct replay_options *options = arg;

	switch (option) {
	case LONG_CHECK:
		options->check = true;
		return 0;
	case LONG_CLIENTS:
		return take_clients(options);
	case LONG_GENERATE:
		return take_kind(options);
	case LONG_JSON:
		options->json = optarg;
		return 0;
	case LONG_OFFLINE:
		options->offline = true;
		return 0;
	case LONG_OUTPUT:
		options->output = optarg;
		return 0;
	case LONG_PAGED:
		options->paged = optarg;
		return 0;
	case LONG_SEED:
		return command_line_number(&line, "--seed wants a number from 1 on, not", 1,
					   UINT64_MAX, &options->seed);
	case LONG_SIZE:
		return take_size(options);
	default:
		options->help = true;
		return 0;
	}
}

int replay_options_parse(int argc, char **argv, struct replay_options *ret_options)
{
	int r;

	*ret_options = (struct replay_options){
		.generate = MAKE_NR_KINDS,
		.n_frames = REPLAY_DEFAULT_FRAMES,
		.output = "-",
		.paged = BENCH_PAGED,
	};
	r = command_line_parse(&line, argc, argv, ret_options);
	if (r < 0)
		return r;
	ret_options->path = argv + r;
	ret_options->n_paths = argc - r;
	if (ret_options->n_paths && ret_options->generate != MAKE_NR_KINDS)
		return command_line_refuse(&line, "--generate reads no trace:", argv[r]);
	return 0;
}
