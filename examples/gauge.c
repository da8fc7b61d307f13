/* examples/gauge.c - see gauge.h. */
#include "examples/gauge.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES_MAX 65536u /* of each kind; later ones are left out */
#define PAIRS_AWAY 64u     /* in a row between two breaths; more would take the processor */
#define PAIRS_THERE 2u     /* of them while the daemon is there: that is most of the time */
#define BREATH_NS 1000000L
#define COMPLAINTS 8u

struct samples {
	const char *name;
	uint32_t n;
	uint32_t value[SAMPLES_MAX];
};

struct gauge {
	pageclient *client;
	pthread_t thread[2];
	uint32_t nr_threads;
	uint32_t is_over; /* atomic, as the next three */
	uint32_t is_away;
	uint32_t nr_outages; /* that are over */
	uint32_t nr_errors;
	struct samples call, pair_away, pair_there;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void breathe(void)
{
	const struct timespec breath = {.tv_nsec = BREATH_NS};

	(void)nanosleep(&breath, NULL);
}

/* relaxed, all of them: flags and counters that carry nothing else */
static uint32_t get(const uint32_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void set(uint32_t *value, uint32_t to)
{
	__atomic_store_n(value, to, __ATOMIC_RELAXED);
}

static void note(struct samples *samples, uint64_t value)
{
	if (samples->n < SAMPLES_MAX)
		samples->value[samples->n++] = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void complain(struct gauge *gauge, const char *call)
{
	if (__atomic_fetch_add(&gauge->nr_errors, 1, __ATOMIC_RELAXED) < COMPLAINTS)
		(void)fprintf(stderr, "filecache: %s: %s\n", call, pageclient_error());
}

/* In the library's thread. It hears of every outage, at the latest when it is over. */
static void on_state(void *arg, enum pageclient_state state)
{
	struct gauge *gauge = arg;

	set(&gauge->is_away, state == PAGECLIENT_AWAY);
	if (state == PAGECLIENT_CONNECTED)
		set(&gauge->nr_outages, get(&gauge->nr_outages) + 1);
	if (state == PAGECLIENT_LOST)
		complain(gauge, "the daemon came back without our frames");
}

/* --- calls that need the daemon --- */

/* Asks until it is over. */
static void ask(struct gauge *gauge, uint64_t handle)
{
	uint32_t seen = get(&gauge->nr_outages);
	uint64_t longest = 0;

	while (!get(&gauge->is_over)) {
		uint64_t start = now_ns(), took;
		void *frame;

		if (pageclient_import(gauge->client, handle, &frame, NULL) < 0)
			complain(gauge, "import");
		else if (pageclient_put(gauge->client, frame) < 0)
			complain(gauge, "put");
		took = now_ns() - start;
		longest = took > longest ? took : longest;
		if (get(&gauge->nr_outages) != seen) {
			seen = get(&gauge->nr_outages);
			note(&gauge->call, longest / 1000);
			longest = 0;
		}
		breathe();
	}
}

static void *run_calls(void *arg)
{
	struct gauge *gauge = arg;
	void *frame = pageclient_alloc(gauge->client, 0, 0);
	uint64_t handle;

	if (!frame) {
		complain(gauge, "no frame to share");
		return NULL;
	}
	if (pageclient_share(gauge->client, frame, &handle) < 0) {
		complain(gauge, "share");
		pageclient_free(gauge->client, frame, 0);
		return NULL;
	}
	ask(gauge, handle);
	if (pageclient_put(gauge->client, frame) < 0)
		complain(gauge, "put");
	return NULL;
}

/* --- the fast path --- */

/* Gives *frame back and takes one. False: there was none. */
static bool pair(struct gauge *gauge, void **frame)
{
	bool was_away = get(&gauge->is_away);
	uint64_t start = now_ns(), took;

	pageclient_free(gauge->client, *frame, 0);
	*frame = pageclient_alloc(gauge->client, 0, 0);
	took = now_ns() - start;
	/* Who was away at one end only died or came back in between: neither. */
	if (*frame && was_away == get(&gauge->is_away))
		note(was_away ? &gauge->pair_away : &gauge->pair_there, took);
	return *frame;
}

static void *run_pairs(void *arg)
{
	struct gauge *gauge = arg;
	void *frame = pageclient_alloc(gauge->client, 0, 0);

	while (!get(&gauge->is_over)) {
		uint32_t n = get(&gauge->is_away) ? PAIRS_AWAY : PAIRS_THERE;

		/* None is no error while the segment is full: another is tried for. */
		if (!frame)
			frame = pageclient_alloc(gauge->client, 0, 0);
		for (uint32_t i = 0; frame && i < n && pair(gauge, &frame); i++)
			continue;
		if (!frame && errno != ENOMEM && errno != EAGAIN)
			complain(gauge, "alloc");
		breathe();
	}
	pageclient_free(gauge->client, frame, 0);
	return NULL;
}

/* --- its life --- */

struct gauge *gauge_new(struct pageclient_options *options)
{
	struct gauge *gauge = calloc(1, sizeof(*gauge));

	if (!gauge)
		return NULL;
	gauge->call.name = "call";
	gauge->pair_away.name = "pair-away";
	gauge->pair_there.name = "pair-there";
	options->on_state = on_state;
	options->arg = gauge;
	return gauge;
}

int gauge_start(struct gauge *gauge, pageclient *client)
{
	static void *(*const run[])(void *) = {run_calls, run_pairs};
	int r = 0;

	gauge->client = client;
	for (uint32_t i = 0; i < 2 && r == 0; i++) {
		r = -pthread_create(&gauge->thread[i], NULL, run[i], gauge);
		gauge->nr_threads += r == 0;
	}
	return r;
}

unsigned gauge_stop(struct gauge *gauge)
{
	set(&gauge->is_over, true);
	for (uint32_t i = 0; i < gauge->nr_threads; i++)
		(void)pthread_join(gauge->thread[i], NULL);
	gauge->nr_threads = 0;
	return get(&gauge->nr_errors);
}

static void write_samples(const struct samples *samples, FILE *file)
{
	for (uint32_t i = 0; i < samples->n; i++)
		(void)fprintf(file, "%s %u\n", samples->name, samples->value[i]);
}

int gauge_write(const struct gauge *gauge, const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	write_samples(&gauge->call, file);
	write_samples(&gauge->pair_away, file);
	write_samples(&gauge->pair_there, file);
	return fclose(file) ? -errno : 0;
}

void gauge_free(struct gauge *gauge)
{
	free(gauge);
}
