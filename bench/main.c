/* bench/main.c - from the command line to the report. */
#include "bench/drive.h"
#include "bench/report.h"

#include <stdlib.h>
#include <string.h>

static int report(const struct results *results, FILE *json, const void *arg)
{
	const struct options *options = arg;
	int r;

	report_print(results, stdout);
	r = json ? report_write_json(results, json) : 0;
	if (r < 0)
		(void)fprintf(stderr, "bench: %s cannot be written: %s\n", options->json,
			      strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct options options;
	struct drive bench = {"bench", "benchmark", &options, report, &options};

	if (options_parse(argc, argv, &options) < 0)
		return DRIVE_USAGE;
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
	return drive(&bench);
}
