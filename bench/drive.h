/* bench/drive.h - from options to an exit status: what bench and the peers' driver do alike.
 *
 *   place, results and the JSON's file, signals blocked -> run_all() -> report()
 *
 * SIGINT, SIGTERM and SIGHUP are blocked and looked for between two runs, so that an interrupted
 * run still stops its daemons and removes what they left. */
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H
#include "bench/run.h"

#include <stdio.h>

enum { DRIVE_FAILED = 1, DRIVE_USAGE = 2 }; /* exit statuses */

struct drive {
	const char *program; /* what its lines begin with */
	const char *what;    /* a filter names: "benchmark" */
	const struct options *options;
	/* Prints, and writes json if there is one. Returns 0 or -errno, after a line on stderr. */
	int (*report)(const struct results *results, FILE *json, const void *arg);
	const void *arg;
};

/* Returns the exit status. */
int drive(const struct drive *drive);

#endif
