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
#include "bench/drive.h"
#include "bench/peers/docs.h"
#include "bench/peers/grid.h"
#include "bench/peers/json.h"
#include "bench/peers/options.h"
#include "bench/peers/table.h"
#include "bench/report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

static int report(const struct results *results, FILE *json, const void *arg)
{
	const struct peers_options *options = arg;
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

int main(int argc, char **argv)
{
	struct peers_options options;
	struct drive peers = {"peers", "row or subject", &options.bench, report, &options};

	if (peers_options_parse(argc, argv, &options) < 0)
		return DRIVE_USAGE;
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
	return drive(&peers);
}
