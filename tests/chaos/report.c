/* tests/chaos/report.c - see run.h. */
#include "tests/chaos/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS 16u /* of doubling width, from 1 ms on */
#define BAR 40u

void report_failure(struct run *run, const char *format, ...)
{
	char text[2048];
	va_list words;

	run->tally.failures++;
	va_start(words, format);
	(void)vsnprintf(text, sizeof(text), format, words);
	va_end(words);
	(void)fprintf(stderr, "chaos: %s\n", text);
}

void report_begin(const struct run *run)
{
	(void)printf("chaos: %g minutes, seed %llu; again: ./dev chaos --minutes %g --seed %llu\n",
		     run->options.minutes, (unsigned long long)run->options.seed,
		     run->options.minutes, (unsigned long long)run->options.seed);
	(void)fflush(stdout);
}

void report_progress(const struct run *run)
{
	const struct tally *tally = &run->tally;
	const struct board *board = run->board;

	(void)printf("%5llu s  kills: %u server, %u client, %u supervisor; %llu operations; %llu "
		     "frames in use, lost %llu, doubled %llu, pattern errors %llu, errors %llu\n",
		     (unsigned long long)((chaos_now_ns() - run->begun_ns) / 1000000000),
		     tally->server_kills, tally->client_kills, tally->supervisor_kills,
		     (unsigned long long)board_read(&board->count.operations),
		     (unsigned long long)tally->claimed, (unsigned long long)tally->lost,
		     (unsigned long long)tally->doubled,
		     (unsigned long long)board_read(&board->pattern_errors),
		     (unsigned long long)board_read(&board->errors));
	(void)fflush(stdout);
}

/* --- times ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_bars(const uint32_t *sample_us, uint32_t n)
{
	uint32_t count[BUCKETS] = {0}, most = 1;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t bucket = 0;

		while (bucket + 1 < BUCKETS && sample_us[i] >= 1000u << bucket)
			bucket++;
		count[bucket]++;
	}
	for (uint32_t b = 0; b < BUCKETS; b++)
		most = count[b] > most ? count[b] : most;
	for (uint32_t b = 0; b < BUCKETS; b++) {
		if (count[b] == 0)
			continue;
		(void)printf("    < %6u ms %6u  ", 1u << b, count[b]);
		for (uint32_t i = 0; i < (count[b] * BAR + most - 1) / most; i++)
			(void)putchar('#');
		(void)putchar('\n');
	}
}

static void print_times(struct run *run, enum restart kind, const char *name)
{
	uint32_t *sample = run->board->sample_us[kind];
	uint32_t n = run->board->nr_samples[kind];

	n = n < CHAOS_SAMPLES ? n : CHAOS_SAMPLES;
	if (n == 0)
		return;
	qsort(sample, n, sizeof(*sample), compare);
	(void)printf("held up by a restart of the %s (%u clients' longest calls): p50 %.1f ms, p99 "
		     "%.1f ms, max %.1f ms\n",
		     name, n, sample[n / 2] / 1e3, sample[(uint64_t)n * 99 / 100] / 1e3,
		     sample[n - 1] / 1e3);
	print_bars(sample, n);
}

/* --- the end -------------------------------------------------------------------------------- */

static void print_counts(const struct board *board)
{
#define X(name, text)                                                                              \
	(void)printf("%12llu  %s\n", (unsigned long long)board_read(&board->count.name), text);
	CHAOS_COUNTS(X)
#undef X
}

bool report_end(struct run *run)
{
	const struct tally *tally = &run->tally;
	uint64_t errors = board_read(&run->board->errors);
	uint64_t patterns = board_read(&run->board->pattern_errors);
	bool good = !run->interrupted && !run->fatal && tally->lost == 0 && tally->doubled == 0 &&
		    patterns == 0 && errors == 0 && tally->failures == 0 && tally->own_deaths == 0;

	print_counts(run->board);
	print_times(run, RESTART_SERVER, "server");
	print_times(run, RESTART_SUPERVISOR, "supervisor");
	(void)printf("for comparison, main waited for a processor up to %.1f ms, and a server from "
		     "its start to its first answer up to %.1f ms\n",
		     (double)tally->late_ns / 1e6, (double)tally->server_late_ns / 1e6);
	(void)printf("%llu frames purged by the daemon; %llu pins succeeded, %llu found theirs "
		     "purged, %llu were built again\n",
		     (unsigned long long)tally->purged,
		     (unsigned long long)board_read(&run->board->count.pinned),
		     (unsigned long long)board_read(&run->board->count.missed),
		     (unsigned long long)board_read(&run->board->count.rebuilt));
	(void)printf("%u supervisor kills, %u stops, %u looks at rest, %u servers that died by "
		     "themselves, %llu errors of honest clients, %u failures%s\n",
		     tally->supervisor_kills, tally->stops, tally->rests, tally->own_deaths,
		     (unsigned long long)errors, tally->failures,
		     run->interrupted ? "; interrupted" : "");
	(void)printf("chaos: %u server kills, %u client kills, lost %llu, doubled %llu, pattern "
		     "errors %llu\n",
		     tally->server_kills, tally->client_kills, (unsigned long long)tally->lost,
		     (unsigned long long)tally->doubled, (unsigned long long)patterns);
	if (!good)
		(void)printf("chaos: FAILED; again: ./dev chaos --minutes %g --seed %llu\n",
			     run->options.minutes, (unsigned long long)run->options.seed);
	(void)fflush(stdout);
	return good;
}
