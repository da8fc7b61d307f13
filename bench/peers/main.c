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
#include "bench/peers/docs.h"
#include "bench/peers/grid.h"
#include "bench/peers/json.h"
#include "bench/peers/options.h"
#include "bench/peers/table.h"
#include "bench/report.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

/* A thousand clients in one process have some thousand descriptors. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* All that is asked for: what cannot be written does not keep the rest from it. */
static int write_files(const struct results *results, const struct book *book,
		       const struct peers_options *options, FILE *json)
{
	char picture[PATH_MAX];
	struct machine machine;
	int r = 0, failed;

	machine_read(options->bench.hugepages, &machine);
	if (json && (r = json_write(results, book, &machine, json)) < 0)
		(void)fprintf(stderr, "peers: %s: %s\n", options->bench.json, strerror(-r));
	if (options->picture && (failed = grid_draw(results, book, options->picture)) < 0)
		r = failed;
	if (!options->docs)
		return r;
	(void)snprintf(picture, sizeof(picture), "%s/peers.png", options->docs);
	if ((failed = grid_draw(results, book, picture)) < 0)
		r = failed;
	if ((failed = docs_write(results, book, &machine, options->docs)) < 0)
		r = failed;
	return r;
}

static int report(const struct results *results, const struct peers_options *options, FILE *json)
{
	struct series *series;
	struct book book;
	int r = table_make_book(results, &book, &series);

	if (r < 0)
		return r;
	table_print(results, &book, stdout);
	r = write_files(results, &book, options, json);
	table_print_figures(&book, stdout);
	free(series);
	return r;
}

static int measure(const struct peers_options *options, const struct place *place,
		   struct results *results, FILE *json)
{
	struct bench bench;
	int r, failed;

	bench_init(&bench, &options->bench);
	bench.place = *place;
	block_signals();
	raise_descriptors();
	failed = place_take(place->client_cpu);
	if (failed == 0)
		failed = run_all(&bench, results);
	bench_done(&bench);
	if (failed == -EINTR) {
		(void)fputs("peers: interrupted\n", stderr);
		return failed;
	}
	r = report(results, options, json);
	return failed ? failed : r;
}

static int run(const struct peers_options *options, const struct place *place)
{
	struct results results;
	FILE *json = NULL;
	int r = results_new(options->bench.filter, options->bench.rounds, &results);

	if (r < 0) {
		(void)fprintf(stderr, "peers: \"%s\": %s; see --list\n", options->bench.filter,
			      r == -ENOENT ? "no such row or subject" : strerror(-r));
		return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
	}
	/* Before the run: nobody wants to learn after it that the file cannot be made. */
	if (options->bench.json && !(json = fopen(options->bench.json, "we"))) {
		(void)fprintf(stderr, "peers: %s: %s\n", options->bench.json, strerror(errno));
		results_free(&results);
		return EXIT_FAILED;
	}
	r = measure(options, place, &results, json);
	if (json)
		(void)fclose(json);
	results_free(&results);
	return r < 0 ? EXIT_FAILED : EXIT_SUCCESS;
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
