/* examples/filecache.c - serves blocks of files out of a cache that shares its memory with others.
 *
 *   zipf: which block?  -->  blockcache: there?  --yes-->  compare with the file
 *                                 | no                          ^
 *                                 +--> frame --> inflate -------+
 *
 * Run several of them on one daemon, with a segment that is too small for all: each one's cache
 * grows into what is free, and when nothing is, the daemon has all of them give up what they have
 * not used for longest. One that has become idle (--work) pays for those that are busy.
 *
 *   archive.h     where blocks come from, and what they have to be
 *   blockcache.h  the cache: the part that talks to the daemon
 *   zipf.h        what is asked for
 *   gauge.h       what the daemon's death costs (--gauge)
 *
 * Once a second, and at its end, it prints a line of numbers. Every block that it serves is
 * compared with the bytes of the file: "wrong" has to stay 0. */
#include "examples/archive.h"
#include "examples/blockcache.h"
#include "examples/filecache_options.h"
#include "examples/gauge.h"
#include "examples/zipf.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS UINT64_C(1000000000)
#define SLICE 64u     /* requests between two looks at the clock and the signals */
#define REBUILDS 64u  /* measured at the start; lower: a guess. higher: a slow start */
#define COMPLAINTS 8u /* wrong blocks that are named */

/* How long something took, over all times it was measured. */
struct timing {
	uint64_t ns, n;
};

struct server {
	const struct options *options;
	pageclient *client;
	struct archive *archive;
	struct blockcache *cache;
	struct zipf *zipf;
	struct gauge *gauge; /* NULL: none is wanted */
	uint64_t requests, hits, misses, wrong;
	uint64_t uncached; /* of the misses: served without a frame, for there was none */
	struct timing hit, rebuild;
	char spare[ARCHIVE_BLOCK_BYTES]; /* for those */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static void timing_add(struct timing *timing, uint64_t since_ns)
{
	timing->ns += now_ns() - since_ns;
	timing->n++;
}

static double timing_us(const struct timing *timing)
{
	return timing->n ? (double)timing->ns / (double)timing->n / 1e3 : 0;
}

/* --- requests --- */

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "filecache: %s: %s\n", what, why);
	return -EIO;
}

static int check(struct server *server, uint32_t block, const void *data)
{
	uint64_t offset;
	const char *path = archive_path(server->archive, block, &offset);
	int r = archive_compare(server->archive, block, data);

	if (r < 0)
		return fail(path, archive_error(r));
	if (r > 0 && server->wrong++ < COMPLAINTS)
		(void)fprintf(stderr, "filecache: %s served a wrong block: %s at %llu\n",
			      server->options->name, path, (unsigned long long)offset);
	return 0;
}

/* A miss: the block is rebuilt in a new frame, which is the cache's from then on. */
static int serve_rebuilt(struct server *server, uint32_t block)
{
	uint64_t start = now_ns();
	void *frame = blockcache_take_frame(server->cache);
	void *data = frame ? frame : server->spare;
	int r;

	server->misses++;
	if (!frame && errno != ENOMEM && errno != EAGAIN)
		return fail("no frame", pageclient_error());
	r = archive_read(server->archive, block, data);
	if (r < 0) {
		pageclient_free(server->client, frame, 0);
		return fail(server->options->archive, archive_error(r));
	}
	if (frame)
		blockcache_insert(server->cache, block, frame);
	else
		server->uncached++;
	timing_add(&server->rebuild, start);
	r = check(server, block, data);
	if (frame)
		blockcache_unpin(server->cache, block);
	return r;
}

static int serve(struct server *server, uint32_t block, bool is_timed)
{
	uint64_t start = is_timed ? now_ns() : 0;
	const void *data = blockcache_find(server->cache, block);
	int r;

	server->requests++;
	if (!data)
		return serve_rebuilt(server, block);
	server->hits++;
	if (is_timed)
		timing_add(&server->hit, start);
	r = check(server, block, data);
	blockcache_unpin(server->cache, block);
	return r;
}

static int serve_slice(struct server *server)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < SLICE; i++)
		r = serve(server, zipf_next(server->zipf), i == 0);
	return r;
}

/* --- the run --- */

static void report_header(void)
{
	printf("%-10s %9s %9s %8s %5s %7s %9s %7s %7s %7s %7s %5s\n", "process", "requests", "hits",
	       "misses", "hit%", "hit us", "miss us", "held", "peak", "pruned", "dropped", "wrong");
}

static void report(const struct server *server)
{
	struct blockcache_counts counts = blockcache_counts(server->cache);
	uint64_t requests = server->requests ? server->requests : 1;

	printf("%-10s %9llu %9llu %8llu %5.1f %7.2f %9.2f %7llu %7llu %7llu %7llu %5llu\n",
	       server->options->name, (unsigned long long)server->requests,
	       (unsigned long long)server->hits, (unsigned long long)server->misses,
	       100 * (double)server->hits / (double)requests, timing_us(&server->hit),
	       timing_us(&server->rebuild), (unsigned long long)counts.held,
	       (unsigned long long)counts.peak, (unsigned long long)counts.pruned,
	       (unsigned long long)counts.dropped, (unsigned long long)server->wrong);
	(void)fflush(stdout);
}

/* Waits until then or for a signal to end; true: one came. */
static bool is_told_to_end(const sigset_t *signals, uint64_t until_ns)
{
	uint64_t now = now_ns();
	uint64_t ns = until_ns > now ? until_ns - now : 0;
	struct timespec wait = {.tv_sec = (time_t)(ns / NS), .tv_nsec = (long)(ns % NS)};

	return sigtimedwait(signals, NULL, &wait) > 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int run(struct server *server, const sigset_t *signals)
{
	uint64_t start = now_ns(), tick = start + NS;
	uint64_t end = start + (uint64_t)(server->options->seconds * 1e9);
	uint64_t idle = start + (uint64_t)(server->options->work * 1e9);
	uint64_t now = start;
	bool is_over = false;
	int r = 0;

	report_header();
	while (r == 0 && !is_over && now < end) {
		if (now >= tick) {
			report(server);
			tick += NS;
		}
		if (now < idle)
			r = serve_slice(server);
		is_over = is_told_to_end(signals, now < idle ? 0 : earlier(tick, end));
		now = now_ns();
	}
	report(server);
	return r;
}

/* What a miss costs, so that the daemon need not guess. */
static int measure_rebuild(struct server *server, uint64_t *ret_ns)
{
	uint32_t nr = archive_totals(server->archive).nr_blocks;
	uint64_t start = now_ns();
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < REBUILDS; i++)
		r = archive_read(server->archive, (uint32_t)((uint64_t)i * nr / REBUILDS),
				 server->spare);
	if (r < 0)
		return fail(server->options->archive, archive_error(r));
	*ret_ns = (now_ns() - start) / REBUILDS;
	return 0;
}

static int server_open_client(struct server *server)
{
	struct pageclient_options options;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.name = server->options->name;
	if (server->options->gauge && !(server->gauge = gauge_new(&options)))
		return fail(server->options->gauge, strerror(ENOMEM));
	r = pageclient_open(&options, &server->client);
	if (r == 0)
		r = pageclient_start_thread(server->client);
	if (r < 0)
		return fail("no daemon", pageclient_error());
	if (pageclient_page_size(server->client) < ARCHIVE_BLOCK_BYTES)
		return fail("page size", "a frame is smaller than a block");
	return 0;
}

static int server_open(struct server *server)
{
	const struct options *options = server->options;
	uint64_t rebuild_ns = 0;
	uint32_t nr_blocks;
	int r = archive_open(options->archive, &server->archive);

	if (r < 0)
		return fail(options->archive, archive_error(r));
	nr_blocks = archive_totals(server->archive).nr_blocks;
	server->zipf = zipf_new(nr_blocks, options->skew, options->seed);
	if (!server->zipf)
		return fail(options->archive, strerror(ENOMEM));
	r = measure_rebuild(server, &rebuild_ns);
	if (r == 0)
		r = server_open_client(server);
	if (r < 0)
		return r;
	r = blockcache_open(server->client, options->name, nr_blocks, rebuild_ns, &server->cache);
	if (r < 0)
		return fail("no cache", pageclient_error());
	r = server->gauge ? gauge_start(server->gauge, server->client) : 0;
	return r < 0 ? fail("no thread", strerror(-r)) : 0;
}

/* What it measured goes to its file. */
static int server_end_gauge(struct server *server)
{
	int r = 0;

	if (!server->gauge)
		return 0;
	if (gauge_stop(server->gauge) > 0)
		r = fail(server->options->name, "calls failed");
	if (gauge_write(server->gauge, server->options->gauge) < 0)
		r = fail(server->options->gauge, "it cannot be written");
	return r;
}

static void server_close(struct server *server)
{
	if (server->gauge)
		(void)gauge_stop(server->gauge);
	blockcache_close(server->cache);
	if (server->client)
		pageclient_close(server->client);
	gauge_free(server->gauge);
	zipf_free(server->zipf);
	archive_close(server->archive);
}

static int command_serve(const struct options *options)
{
	struct server server = {.options = options};
	sigset_t signals;
	int r;

	/* They are waited for, in run(); the library's thread takes none. */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	r = server_open(&server);
	if (r == 0)
		r = run(&server, &signals);
	if (r == 0)
		r = server_end_gauge(&server);
	server_close(&server);
	return r < 0 || server.wrong > 0;
}

static int command_pack(const struct options *options)
{
	char usr_lib[] = "/usr/lib";
	char *default_folders[] = {usr_lib, NULL};
	struct archive_totals totals;
	int r = archive_pack(options->archive,
			     options->folders[0] ? options->folders : default_folders,
			     options->max_bytes, (uint64_t)(options->seconds * 1e9), &totals);

	if (r < 0)
		return fail(options->archive, archive_error(r)) < 0;
	printf("%u blocks of %u files, %llu bytes, deflated to %llu\n", totals.nr_blocks,
	       totals.nr_files, (unsigned long long)totals.nr_blocks * ARCHIVE_BLOCK_BYTES,
	       (unsigned long long)totals.deflated_bytes);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;

	if (options_parse(argc, argv, &options) < 0)
		return 2;
	switch (options.command) {
	case OPTIONS_PACK:
		return command_pack(&options);
	case OPTIONS_SERVE:
		return command_serve(&options);
	case OPTIONS_HELP:
		options_print_help();
	}
	return 0;
}
