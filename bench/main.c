/* bench/main.c - from the command line to the report, and what all benchmarks run in.
 *
 * SIGINT, SIGTERM and SIGHUP are blocked and looked for between two runs, so that an interrupted
 * bench still stops its daemons and removes what they left. */
#include "bench/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

void bench_init(struct bench *bench, const struct options *options)
{
	memset(bench, 0, sizeof(*bench));
	bench->options = options;
}

void bench_done(struct bench *bench)
{
	for (unsigned i = 0; i < BENCH_NR_DAEMONS; i++)
		fixture_stop(&bench->daemon[i]);
}

int bench_start_daemon_on(struct bench *bench, const char *configuration,
			  int (*prepare)(void *arg, const char *instance, char *text,
					 size_t text_bytes),
			  void *arg, struct fixture *ret_fixture)
{
	struct fixture_options options = {
		.paged = bench->options->paged,
		.configuration = configuration,
		.cpu = bench->place.daemon_cpu,
		.prepare = prepare,
		.arg = arg,
	};

	return fixture_start(ret_fixture, &options, bench->text, sizeof(bench->text));
}

int bench_start_daemon(struct bench *bench, const char *configuration, struct fixture *ret_fixture)
{
	return bench_start_daemon_on(bench, configuration, NULL, NULL, ret_fixture);
}

int bench_find_daemon(struct bench *bench, enum bench_daemon which, struct fixture **ret_fixture)
{
	static const char *const configuration[] = {
#define X(name, text) text,
		BENCH_DAEMONS(X)
#undef X
	};
	struct fixture *fixture = &bench->daemon[which];
	int r = fixture->pid > 0 ? 0 : bench_start_daemon(bench, configuration[which], fixture);

	if (r == 0)
		*ret_fixture = fixture;
	return r;
}

int bench_open_client(struct bench *bench, const struct fixture *fixture, pageclient **ret_client)
{
	struct pageclient_options options;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = fixture->socket;
	options.name = "bench";
	r = pageclient_open(&options, ret_client);
	return r < 0 ? bench_fail(bench, r, "a client: %s", pageclient_error()) : 0;
}

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
