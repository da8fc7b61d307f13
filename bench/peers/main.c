/* bench/peers/main.c - the driver: from the command line to the figures that are reached.
 *
 *   registry   rows x subjects
 *   run.c      rounds, interleaved: setup starts a peer's process (contestant.c), run tells it how
 *              much to do, teardown ends it
 *   verdict    ratios, and what they should be (figures.def)
 *   table, json, picture, docs
 *
 * What makes a ratio differ from run to run, and what is done about it: the machine gets slower and
 * faster (ours and theirs run within the same second of each round, and the median of nine rounds
 * is taken); pages lie well or badly in the caches (each round is a new process); somebody else
 * wants the CPU (clients have one, all daemons the other); the first touch of memory (a quarter of
 * each run is thrown away before the clock starts). */
#include "bench/peers/options.h"
#include "bench/peers/table.h"
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
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that ended is an error of a write */
}

static int report(const struct results *results, const struct peers_options *options)
{
	struct book book;
	int r = table_make_book(results, &book);

	(void)options;
	if (r < 0)
		return r;
	table_print(results, &book, stdout);
	table_print_figures(&book, stdout);
	free((void *)(uintptr_t)book.series);
	return r;
}

static int run(const struct peers_options *options, const struct place *place)
{
	struct results results;
	struct bench bench;
	int r, failed;

	bench_init(&bench, &options->bench);
	bench.place = *place;
	r = results_new(options->bench.filter, options->bench.rounds, &results);
	if (r < 0) {
		(void)fprintf(stderr, "peers: \"%s\": %s; see --list\n", options->bench.filter,
			      r == -ENOENT ? "no such row or subject" : strerror(-r));
		return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
	}
	block_signals();
	failed = place_take(place->client_cpu);
	if (failed == 0)
		failed = run_all(&bench, &results);
	bench_done(&bench);
	r = failed == -EINTR ? failed : report(&results, options);
	if (failed == -EINTR)
		(void)fputs("peers: interrupted\n", stderr);
	results_free(&results);
	return r < 0 || failed < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct peers_options options;
	struct place place;

	if (peers_options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	switch (options.bench.command) {
	case OPTIONS_HELP:
		peers_options_print_help(stdout);
		return EXIT_SUCCESS;
	case OPTIONS_LIST:
		report_list(stdout);
		return EXIT_SUCCESS;
	case OPTIONS_RUN:
		break;
	}
	if (place_parse(options.bench.pin, &place) < 0) {
		(void)fprintf(stderr,
			      "peers: --pin \"%s\": auto, none, or two CPUs such as 0,1 that this "
			      "process may use\n",
			      options.bench.pin);
		return EXIT_USAGE;
	}
	return run(&options, &place);
}
