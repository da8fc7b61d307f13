/* bench/main.c - from the command line to the report.
 *
 * SIGINT, SIGTERM and SIGHUP are blocked and looked for between two runs, so that an interrupted
 * bench still stops its daemons and removes what they left. */
#include "bench/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run_and_report(struct bench *bench, struct results *results, FILE *json)
{
	int r, failed;

	block_signals();
	failed = place_take(bench->place.client_cpu);
	if (failed < 0) {
		(void)fprintf(stderr, "bench: CPU %d: %s\n", bench->place.client_cpu,
			      strerror(-failed));
		return failed;
	}
	failed = run_all(bench, results);
	bench_done(bench);
	if (failed == -EINTR) {
		(void)fputs("bench: interrupted\n", stderr);
		return failed;
	}
	report_print(results, stdout);
	r = json ? report_write_json(results, json) : 0;
	if (r < 0)
		(void)fprintf(stderr, "bench: %s cannot be written: %s\n", bench->options->json,
			      strerror(-r));
	return failed ? failed : r;
}

static int run(const struct options *options, const struct place *place)
{
	struct results results;
	struct bench bench;
	FILE *json = NULL;
	int r;

	bench_init(&bench, options);
	bench.place = *place;
	r = results_new(options->filter, options->rounds, &results);
	if (r < 0) {
		(void)fprintf(stderr, "bench: \"%s\": %s; see bench --list\n", options->filter,
			      r == -ENOENT ? "no such benchmark" : strerror(-r));
		return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
	}
	/* Before the run: nobody wants to learn after it that the file cannot be made. */
	if (options->json && !(json = fopen(options->json, "we"))) {
		(void)fprintf(stderr, "bench: %s: %s\n", options->json, strerror(errno));
		results_free(&results);
		return EXIT_FAILED;
	}
	r = run_and_report(&bench, &results, json);
	if (json)
		(void)fclose(json);
	results_free(&results);
	return r < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options;
	struct place place;

	if (options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	switch (options.command) {
	case OPTIONS_HELP:
		options_print_help(stdout);
		return EXIT_SUCCESS;
	case OPTIONS_LIST:
		report_list(stdout);
		return EXIT_SUCCESS;
	case OPTIONS_RUN:
		break;
	}
	if (place_parse(options.pin, &place) < 0) {
		(void)fprintf(stderr,
			      "bench: --pin \"%s\": auto, none, or two CPUs such as 0,1 that this "
			      "process may use\n",
			      options.pin);
		return EXIT_USAGE;
	}
	return run(&options, &place);
}
