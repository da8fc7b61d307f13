/* bench/drive.c - see drive.h. */
#include "bench/drive.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that ended is an error of a write */
}

static int measure(const struct drive *drive, const struct place *place, struct results *results,
		   FILE *json)
{
	struct bench bench;
	int r, failed;

	block_signals();
	failed = place_take(place->client_cpu);
	if (failed < 0) {
		(void)fprintf(stderr, "%s: CPU %d: %s\n", drive->program, place->client_cpu,
			      strerror(-failed));
		return failed;
	}
	bench_init(&bench, drive->options);
	bench.place = *place;
	failed = run_all(&bench, results);
	bench_done(&bench);
	if (failed == -EINTR) {
		(void)fprintf(stderr, "%s: interrupted\n", drive->program);
		return failed;
	}
	r = drive->report(results, json, drive->arg);
	return failed ? failed : r;
}

static int measure_into(const struct drive *drive, const struct place *place,
			struct results *results)
{
	const char *path = drive->options->json;
	FILE *json = NULL;
	int r;

	/* Before the run: nobody wants to learn after it that the file cannot be made. */
	if (path && !(json = fopen(path, "we"))) {
		(void)fprintf(stderr, "%s: %s: %s\n", drive->program, path, strerror(errno));
		return DRIVE_FAILED;
	}
	r = measure(drive, place, results, json);
	if (json)
		(void)fclose(json);
	return r < 0 ? DRIVE_FAILED : EXIT_SUCCESS;
}

int drive(const struct drive *drive)
{
	const struct options *options = drive->options;
	struct results results;
	struct place place;
	int r;

	if (place_parse(options->pin, &place) < 0) {
		(void)fprintf(stderr,
			      "%s: --pin \"%s\": auto, none, or two CPUs such as 0,1 that this "
			      "process may use\n",
			      drive->program, options->pin);
		return DRIVE_USAGE;
	}
	r = results_new(options->filter, options->rounds, &results);
	if (r < 0) {
		(void)fprintf(stderr, "%s: \"%s\": %s%s; see --list\n", drive->program,
			      options->filter, r == -ENOENT ? "no such " : strerror(-r),
			      r == -ENOENT ? drive->what : "");
		return r == -ENOENT ? DRIVE_USAGE : DRIVE_FAILED;
	}
	r = measure_into(drive, &place, &results);
	results_free(&results);
	return r;
}
