/* bench/hugepages.c - `./dev bench --hugepages`: what huge pages are worth to a process that comes
 * to the frames of others, mode by mode.
 *
 * Modes are interleaved (A B C A B C), so that a machine that is slow for a while is slow for all;
 * the table has medians. A mode that the machine does not allow is measured with what it got, and
 * the line below says what the administrator has to set. Nothing of the machine is changed here. */
#include "bench/bench.h"
#include "bench/command_line.h"
#include "bench/hugepages_measure.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };
#define MAX_ROUNDS 99u
#define JSON_VERSION 1

static const struct hugepages_mode modes[] = {
	{"never", "small pages", "hugepages = never\n"},
	{"auto", "of /dev/shm, where its huge= option lets us",
	 "hugepages = auto\nbacking = posix\n"},
	{"auto, memfd", "where shmem_enabled lets us", "hugepages = auto\nbacking = memfd\n"},
	{"always", "made huge as they are committed", "hugepages = always\nbacking = posix\n"},
	{"always, memfd", "reserved ones (vm.nr_hugepages), if there are",
	 "hugepages = always\nbacking = memfd\n"},
};
#define NR_MODES (sizeof(modes) / sizeof(modes[0]))

struct hugepages_options {
	uint64_t size_bytes;
	uint32_t rounds;
	const char *json, *paged;
	bool help;
};

struct hugepages_results {
	struct hugepages_result round[NR_MODES][MAX_ROUNDS];
	bool failed[NR_MODES];
};

/* --- the command line ----------------------------------------------------------------------- */

static void print_help(void)
{
	(void)fputs(
		"usage: hugepages [OPTION]...\n"
		"\n"
		"Page tables and first touches of a second process, with and without huge pages.\n"
		"\n"
		"  --size SIZE    of the segment, such as 512M or 4G (default 1G); has to be free\n"
		"  --rounds N     rounds that count (default 5)\n"
		"  --json FILE    write the results to FILE as well\n"
		"  --paged PATH   the daemon's program (default: that of this build)\n"
		"  --help         print this\n"
		"\n"
		"Exit status: 0 all measured, 1 something failed, 2 wrong usage.\n",
		stdout);
}

enum { LONG_SIZE = 256, LONG_ROUNDS, LONG_JSON, LONG_PAGED };

static int take(void *arg, int option);
static const struct option long_options[] = {
	{"size", required_argument, NULL, LONG_SIZE},
	{"rounds", required_argument, NULL, LONG_ROUNDS},
	{"json", required_argument, NULL, LONG_JSON},
	{"paged", required_argument, NULL, LONG_PAGED},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};
static const struct command_line line = {"hugepages", "hugepages", long_options, take};

static int take_size(uint64_t *ret_bytes)
{
	char *end;
	unsigned long long n = strtoull(optarg, &end, 10);
	bool is_size = *optarg >= '0' && *optarg <= '9' && n > 0 && n <= 65536 &&
		       (strcmp(end, "M") == 0 || strcmp(end, "G") == 0);

	*ret_bytes = (uint64_t)n << (*end == 'G' ? 30 : 20);
	return is_size && *ret_bytes >= UINT64_C(64) << 20
		       ? 0
		       : command_line_refuse(&line, "--size is 64M or more, as 512M or 4G, not",
					     optarg);
}

static int take(void *arg, int option)
{
	struct hugepages_options *options = arg;
	uint64_t rounds = options->rounds;
	int r = 0;

	switch (option) {
	case LONG_SIZE:
		return take_size(&options->size_bytes);
	case LONG_JSON:
		options->json = optarg;
		break;
	case LONG_PAGED:
		options->paged = optarg;
		break;
	case LONG_ROUNDS:
		r = command_line_number(&line, "--rounds wants a number from 1 to 99, not", 1,
					MAX_ROUNDS, &rounds);
		break;
	default:
		options->help = true;
		break;
	}
	options->rounds = (uint32_t)rounds;
	return r;
}

static int parse(int argc, char **argv, struct hugepages_options *options)
{
	*options = (struct hugepages_options){
		.size_bytes = UINT64_C(1) << 30, .rounds = 5, .paged = BENCH_PAGED};
	return command_line_parse_all(&line, argc, argv, options);
}

/* --- the figures ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

enum figure { FIGURE_TABLES, FIGURE_OWN, FIGURE_FIRST, FIGURE_AGAIN };

static double median(const struct hugepages_result *round, uint32_t n, enum figure figure)
{
	double value[MAX_ROUNDS] = {0};

	for (uint32_t i = 0; i < n; i++) {
		const double of[] = {(double)round[i].table_bytes, round[i].own_ns,
				     round[i].first_ns, round[i].again_ns};

		value[i] = of[figure];
	}
	qsort(value, n, sizeof(*value), compare);
	return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

static const char *pages_of(const struct hugepages_result *result)
{
	if (result->is_reserved)
		return "reserved";
	return result->is_huge ? "huge" : "small";
}

/* What the administrator has to set for the modes that the machine does not allow. */
static void print_advice(const struct hugepages_results *results,
			 const struct hugepages_options *options)
{
	for (size_t m = 1; m < NR_MODES; m++) {
		const struct hugepages_result *result = &results->round[m][0];

		if (results->failed[m])
			continue;
		if (!result->is_huge)
			(void)printf("%s is not to be had here: %s\n", modes[m].name,
				     result->advice);
		else if (m == NR_MODES - 1 && !result->is_reserved)
			(void)printf(
				"%s: for reserved pages, as root: sysctl vm.nr_hugepages=%llu\n",
				modes[m].name, (unsigned long long)(options->size_bytes >> 21));
	}
}

static void print(const struct hugepages_results *results, const struct hugepages_options *options)
{
	(void)printf("%-14s %-8s %12s %12s %12s %12s\n", "hugepages =", "pages", "page tables",
		     "first touch", "touch again", "own first");
	(void)printf("%-14s %-8s %12s %12s %12s %12s\n", "", "", "KiB, 2nd", "ns/frame, 2nd",
		     "ns/frame, 2nd", "ns/frame, 1st");
	for (size_t m = 0; m < NR_MODES; m++) {
		const struct hugepages_result *round = results->round[m];

		if (results->failed[m]) {
			(void)printf("%-14s failed\n", modes[m].name);
			continue;
		}
		(void)printf("%-14s %-8s %12.0f %12.1f %12.1f %12.1f\n", modes[m].name,
			     pages_of(&round[0]),
			     median(round, options->rounds, FIGURE_TABLES) / 1024,
			     median(round, options->rounds, FIGURE_FIRST),
			     median(round, options->rounds, FIGURE_AGAIN),
			     median(round, options->rounds, FIGURE_OWN));
	}
	(void)printf("\n%llu frames of 4 KiB touched in random order; medians of %u.\n",
		     (unsigned long long)results->round[0][0].nr_frames, options->rounds);
	print_advice(results, options);
}

static int write_json(const struct hugepages_results *results,
		      const struct hugepages_options *options, FILE *file)
{
	json_t *array = json_array();
	json_t *root = json_pack("{s:i, s:o}", "version", JSON_VERSION, "results", array);
	int r;

	for (size_t m = 0; m < NR_MODES; m++) {
		const struct hugepages_result *round = results->round[m];

		if (results->failed[m])
			continue;
		(void)json_array_append_new(
			array,
			json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:s}", "mode", modes[m].name,
				  "pages", pages_of(&round[0]), "frames",
				  (json_int_t)round[0].nr_frames, "page_table_bytes",
				  median(round, options->rounds, FIGURE_TABLES), "first_touch_ns",
				  median(round, options->rounds, FIGURE_FIRST), "touch_again_ns",
				  median(round, options->rounds, FIGURE_AGAIN), "own_first_ns",
				  median(round, options->rounds, FIGURE_OWN), "advice",
				  round[0].is_huge ? "" : round[0].advice));
	}
	r = json_dumpf(root, file, JSON_INDENT(2)) || fputc('\n', file) == EOF ? -EIO : 0;
	json_decref(root);
	return r;
}

static int run(const struct hugepages_options *options, struct hugepages_results *results)
{
	char text[FIXTURE_TEXT_BYTES];
	int first = 0;

	for (uint32_t round = 0; round < options->rounds; round++)
		for (size_t m = 0; m < NR_MODES; m++) {
			int r;

			if (results->failed[m])
				continue;
			r = hugepages_measure(options->paged, &modes[m], options->size_bytes,
					      &results->round[m][round], text, sizeof(text));
			if (r == 0)
				continue;
			(void)fprintf(stderr, "hugepages: %s: %s\n", modes[m].name, text);
			results->failed[m] = true;
			first = first ? first : r;
		}
	return first;
}

int main(int argc, char **argv)
{
	struct hugepages_results *results = calloc(1, sizeof(*results));
	struct hugepages_options options;
	FILE *json = NULL;
	int r;

	if (!results)
		return EXIT_FAILED;
	if (parse(argc, argv, &options) < 0) {
		free(results);
		return EXIT_USAGE;
	}
	if (options.help) {
		print_help();
		free(results);
		return EXIT_SUCCESS;
	}
	if (options.json && !(json = fopen(options.json, "we"))) {
		(void)fprintf(stderr, "hugepages: %s: %s\n", options.json, strerror(errno));
		free(results);
		return EXIT_FAILED;
	}
	r = run(&options, results);
	print(results, &options);
	if (json) {
		if (write_json(results, &options, json) < 0)
			r = -EIO;
		if (fclose(json))
			r = -EIO;
	}
	free(results);
	return r < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}
