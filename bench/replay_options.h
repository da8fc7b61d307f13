/* bench/replay_options.h - the command line of replay. */
#ifndef BENCH_REPLAY_OPTIONS_H
#define BENCH_REPLAY_OPTIONS_H
#include "bench/replay_make.h"

#include <stdbool.h>
#include <stdio.h>

/* Least: a daemon needs some for its watermarks. Most: the frames of a pfn. */
#define REPLAY_MIN_FRAMES 1024u
#define REPLAY_MAX_FRAMES (UINT64_C(1) << 32)
#define REPLAY_DEFAULT_FRAMES 16384u

struct replay_options {
	bool help, check, offline;
	enum make_kind generate; /* MAKE_NR_KINDS: do not */
	uint64_t seed;           /* 0: those of each kind that are shipped */
	uint64_t n_frames;
	uint32_t fold;      /* see trace_read(); 0: no */
	const char *output; /* of generate */
	const char *json;   /* NULL: none */
	const char *paged;  /* path of the daemon */
	char **path;        /* of the traces, */
	int n_paths;        /* 0: the synthetic ones */
};

/* Returns 0, or -EINVAL after one line on stderr. */
int replay_options_parse(int argc, char **argv, struct replay_options *ret_options);
void replay_options_print_help(FILE *file);

#endif
