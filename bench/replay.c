/* bench/replay.c - the program: traces in, comparisons out.
 *
 *   a file, or a plan and a seed -> struct trace -> policies  (offline, exact)
 *                                                -> segment   (a private daemon, real clients)
 *                                                -> report, as a table and as JSON
 *
 * SIGTERM and SIGHUP end it at once; the kernel then ends the daemon, which removes its segment. */
#include "bench/replay_options.h"
#include "bench/replay_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JSON_VERSION 1
#define JSON_DIGITS 8
#define TEXT_BYTES 1024u

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The synthetic traces that are replayed when none is named. */
static const struct {
	enum make_kind kind;
	uint64_t seed;
} shipped[] = {
	{MAKE_zipf, 1}, {MAKE_scan, 1}, {MAKE_burst, 1},
	{MAKE_cost, 1}, {MAKE_cost, 2}, {MAKE_cost, 3},
};

struct run {
	const struct replay_options *options;
	json_t *traces; /* NULL: no JSON is wanted */
	bool missed;
	char text[TEXT_BYTES];
};

static int run_offline(struct replay_result *result, struct run *run)
{
	struct outcome *outcome = result->outcome;
	struct stream all = {0};
	int r = stream_new(result->trace, TRACE_MAX_CLIENTS, &all);

	if (r == 0)
		r = policy_lru(&all, result->n_frames, &outcome[REPORT_LRU]);
	if (r == 0)
		r = policy_min(&all, result->n_frames, &outcome[REPORT_MIN]);
	stream_free(&all);
	if (r == 0)
		r = policy_equal_split(result->trace, result->n_frames, &outcome[REPORT_EQUAL]);
	if (r == 0)
		r = policy_best_split(result->trace, result->n_frames, &outcome[REPORT_BEST],
				      result->part);
	if (r < 0)
		(void)snprintf(run->text, sizeof(run->text), "no memory");
	return r;
}

static int run_segment(struct replay_result *result, struct run *run)
{
	struct segment_options options = {.paged = run->options->paged,
					  .n_frames = result->n_frames};
	int r = segment_replay(result->trace, &options, &result->segment, run->text,
			       sizeof(run->text));

	if (r == 0) {
		result->has_segment = true;
		result->outcome[REPORT_SEGMENT] = result->segment.outcome;
	}
	return r;
}

/* One trace, read or made. */
static int run_trace(struct run *run, const char *name, const struct trace *trace)
{
	struct replay_result result = {
		.name = name, .trace = trace, .n_frames = run->options->n_frames};
	struct criterion criteria[REPORT_CRITERIA];
	int r = run_offline(&result, run);

	if (r == 0 && !run->options->offline)
		r = run_segment(&result, run);
	if (r < 0) {
		(void)fprintf(stderr, "replay: %s: %s\n", name, run->text);
		return r;
	}
	replay_report_print(&result, stdout);
	if (run->traces && json_array_append_new(run->traces, replay_report_json(&result)))
		return -ENOMEM;
	if (!result.has_segment)
		return 0;
	report_judge(&result, criteria);
	for (unsigned i = 0; i < REPORT_CRITERIA; i++)
		run->missed |= !criteria[i].met;
	return 0;
}

static int run_files(struct run *run)
{
	int r = 0;

	for (int i = 0; r == 0 && i < run->options->n_paths; i++) {
		struct trace trace;

		r = trace_read(run->options->path[i], run->options->fold, &trace, run->text,
			       sizeof(run->text));
		if (r < 0) {
			(void)fprintf(stderr, "replay: %s\n", run->text);
			return r;
		}
		r = run_trace(run, run->options->path[i], &trace);
		trace_free(&trace);
	}
	return r;
}

static int run_shipped(struct run *run)
{
	uint64_t seed = run->options->seed;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(shipped) / sizeof(shipped[0]); i++) {
		char name[64];
		struct trace trace;

		if (seed && shipped[i].seed != 1)
			continue;
		(void)snprintf(name, sizeof(name), "%s, seed %llu", make_name(shipped[i].kind),
			       (unsigned long long)(seed ? seed : shipped[i].seed));
		r = make_trace(shipped[i].kind, seed ? seed : shipped[i].seed, &trace);
		if (r < 0)
			break;
		r = run_trace(run, name, &trace);
		trace_free(&trace);
	}
	return r;
}

static int write_json(const struct run *run, FILE *file)
{
	json_t *root = json_pack("{s:i, s:O}", "version", JSON_VERSION, "traces", run->traces);
	int r = root &&
				json_dumpf(root, file,
					   JSON_INDENT(2) | JSON_REAL_PRECISION(JSON_DIGITS)) ==
					0 &&
				fputc('\n', file) != EOF && fflush(file) == 0
			? 0
			: -EIO;

	json_decref(root);
	if (r < 0)
		(void)fprintf(stderr, "replay: %s cannot be written\n", run->options->json);
	return r;
}

static int replay(const struct replay_options *options)
{
	struct run run = {.options = options};
	FILE *json = NULL;
	int r;

	if (options->json && !(json = fopen(options->json, "we"))) {
		(void)fprintf(stderr, "replay: %s: %s\n", options->json, strerror(errno));
		return EXIT_FAILED;
	}
	run.traces = json ? json_array() : NULL;
	r = options->n_paths ? run_files(&run) : run_shipped(&run);
	if (json) {
		if (r == 0)
			r = write_json(&run, json);
		json_decref(run.traces);
		(void)fclose(json);
	}
	return r < 0 || (options->check && run.missed) ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct replay_options options;
	char text[TEXT_BYTES];

	if (replay_options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	if (options.help) {
		replay_options_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (options.generate == MAKE_NR_KINDS)
		return replay(&options);
	if (make_write(options.generate, options.seed ? options.seed : 1, options.output, text,
		       sizeof(text)) == 0)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "replay: %s\n", text);
	return EXIT_FAILED;
}
