/* tests/unit/test_replay.c - bench/replay's offline half: the reader of traces and its errors, the
 * generator, exact LRU against a naive one, Belady's MIN against LRU and against every possible
 * choice, and the splits. */
#include "bench/replay_make.h"
#include "bench/replay_policy.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static uint32_t below(uint64_t *random, uint32_t n)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 33) % n;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Writes text to a fresh file, plain or gzip, reads it back, and removes it. */
static int read_text(const char *text, size_t n, bool zip, uint32_t fold, struct trace *ret_trace,
		     char error[TRACE_TEXT_BYTES])
{
	char path[] = "/tmp/paged-replay-XXXXXX";
	int fd = mkstemp(path);
	gzFile file;
	int r;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	file = gzdopen(fd, zip ? "wb" : "wbT");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(gzwrite(file, text, (unsigned)n), (int)n);
	CU_ASSERT_EQUAL(gzclose(file), Z_OK);
	error[0] = '\0';
	r = trace_read(path, fold, ret_trace, error, TRACE_TEXT_BYTES);
	/* Without the name, which is another each time. */
	if (strncmp(error, path, strlen(path)) == 0)
		memmove(error, error + strlen(path), strlen(error + strlen(path)) + 1);
	(void)unlink(path);
	return r;
}

static void expect_error(const char *text, const char *expected)
{
	char error[TRACE_TEXT_BYTES];
	struct trace trace;
	int r = read_text(text, strlen(text), false, 0, &trace, error);

	CU_ASSERT_TRUE(r < 0);
	if (r == 0)
		trace_free(&trace);
	CU_ASSERT_STRING_EQUAL(error, expected);
}

static const char small[] = "time,client,key,size,cost\n"
			    "# who, what\n"
			    "0,web,a,100,5000\n"
			    "\n"
			    "0.25,db,a,4097\r\n"
			    "0.250000001,web,b,20000,1\n"
			    "7,web,a,9999999\n";

static void expect_small(bool zip)
{
	char error[TRACE_TEXT_BYTES];
	struct trace trace;
	int r = read_text(small, strlen(small), zip, 0, &trace, error);

	CU_ASSERT_EQUAL(r, 0);
	if (r < 0)
		return;
	CU_ASSERT_EQUAL(trace.n, 4);
	CU_ASSERT_EQUAL(trace.n_clients, 2);
	CU_ASSERT_STRING_EQUAL(trace.client[0].name, "web");
	CU_ASSERT_STRING_EQUAL(trace.client[1].name, "db");
	CU_ASSERT_EQUAL(trace.client[0].cost_ns, 5000);
	CU_ASSERT_EQUAL(trace.client[1].cost_ns, TRACE_DEFAULT_COST_NS);
	CU_ASSERT_EQUAL(trace.n_objects, 3);
	CU_ASSERT_EQUAL(trace.request[0], 0);
	CU_ASSERT_EQUAL(trace.request[1], 1);
	CU_ASSERT_EQUAL(trace.request[2], 2);
	CU_ASSERT_EQUAL(trace.request[3], 0);
	/* 1, 2, and 5 as a block of 8 */
	CU_ASSERT_EQUAL(trace.object[0].frames, 1);
	CU_ASSERT_EQUAL(trace.object[1].frames, 2);
	CU_ASSERT_EQUAL(trace.object[2].frames, 8);
	CU_ASSERT_EQUAL(trace_footprint(&trace), 11);
	trace_free(&trace);
}

static void a_trace_is_read_plain_and_as_gzip(void)
{
	expect_small(false);
	expect_small(true);
}

static void what_is_wrong_is_named_with_its_line(void)
{
	expect_error("0,a,b,1\nx,a,b,1\n", ":2: time: \"x\" is not a whole number");
	expect_error("1.5x,a,b,1\n", ":1: time: \"x\" is not a fraction");
	expect_error("2,a,b,1\n1,a,b,1\n", ":2: time: 1 is before the line above it");
	expect_error("0,a,b\n", ":1: 3 fields; wanted are time,client,key,size[,cost]");
	expect_error("0,a,b,1,2,3,4\n",
		     ":1: 6 fields or more; wanted are time,client,key,size[,cost]");
	expect_error("0,,b,1\n", ":1: client: nothing there");
	expect_error("0,a,,1\n", ":1: key: nothing there");
	expect_error("0,a,b,-1\n", ":1: size: \"-1\" is not a whole number");
	expect_error("0,a,b,1073741825\n", ":1: size: 1073741825 is more than 1073741824");
	expect_error("0,a,b,1,\n", ":1: cost: \"\" is not a whole number");
	expect_error("time,client,key,size\n", ":1: no request in it");
	expect_error("0,0123456789012345678901234567890123456789012345678901234567890123,b,1\n",
		     ":1: client: 64 bytes, more than 63");
}

static void a_line_without_end_is_refused(void)
{
	char error[TRACE_TEXT_BYTES], text[4096];
	struct trace trace;

	memset(text, '1', sizeof(text));
	CU_ASSERT_TRUE(read_text(text, sizeof(text), false, 0, &trace, error) < 0);
	CU_ASSERT_STRING_EQUAL(error, ":1: longer than 1022 bytes");
}

static void a_gzip_that_is_cut_off_is_refused(void)
{
	char path[] = "/tmp/paged-replay-XXXXXX", error[TRACE_TEXT_BYTES] = "";
	int fd = mkstemp(path);
	struct trace trace;
	gzFile file;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	file = gzdopen(dup(fd), "wb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (uint32_t i = 0; i < 10000; i++)
		CU_ASSERT_TRUE(gzprintf(file, "%u,%u,%u,1\n", i, i % 3, i * 2654435761u) > 0);
	CU_ASSERT_EQUAL(gzclose(file), Z_OK);
	CU_ASSERT_EQUAL(ftruncate(fd, lseek(fd, 0, SEEK_END) / 2), 0);
	(void)close(fd);
	CU_ASSERT_TRUE(trace_read(path, 0, &trace, error, sizeof(error)) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "damaged or cut off"));
	(void)unlink(path);
	CU_ASSERT_TRUE(trace_read(path, 0, &trace, error, sizeof(error)) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "No such file"));
}

static void clients_that_are_too_many_are_folded(void)
{
	char text[4096], error[TRACE_TEXT_BYTES];
	struct trace trace;
	size_t n = 0;
	int r;

	for (uint32_t i = 0; i <= TRACE_MAX_CLIENTS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u,c%u,k,1\n", i, i);
	expect_error(text, ":65: more than 64 clients; --clients N folds them");
	r = read_text(text, n, false, 4, &trace, error);
	CU_ASSERT_EQUAL(r, 0);
	if (r < 0)
		return;
	CU_ASSERT_EQUAL(trace.n_clients, 4);
	CU_ASSERT_EQUAL(trace.n_objects, 4); /* the key is one in each */
	trace_free(&trace);
}

static void the_generator_repeats_itself_by_seed(void)
{
	char path[] = "/tmp/paged-replay-XXXXXX", error[TRACE_TEXT_BYTES];
	int fd = mkstemp(path);
	struct trace made, read, other;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	(void)close(fd);
	CU_ASSERT_EQUAL_FATAL(make_trace(MAKE_cost, 1, &made), 0);
	CU_ASSERT_EQUAL_FATAL(make_trace(MAKE_cost, 2, &other), 0);
	CU_ASSERT_EQUAL_FATAL(make_write(MAKE_cost, 1, path, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL_FATAL(trace_read(path, 0, &read, error, sizeof(error)), 0);
	(void)unlink(path);
	CU_ASSERT_EQUAL_FATAL(made.n, read.n);
	CU_ASSERT_EQUAL(made.n_objects, read.n_objects);
	CU_ASSERT_EQUAL(made.client[0].cost_ns, read.client[0].cost_ns);
	CU_ASSERT_EQUAL(memcmp(made.request, read.request, made.n * sizeof(*made.request)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(made.request, other.request, made.n * sizeof(*made.request)), 0);
	trace_free(&made);
	trace_free(&read);
	trace_free(&other);
}

/* --- policies ----------------------------------------------------------------------------------
 */

/* Some objects are asked for more often; sizes up to largest, powers of two. */
static void make_random(uint64_t *random, uint32_t n, uint32_t n_objects, uint32_t largest,
			struct trace *ret_trace)
{
	struct trace_builder builder = {0};

	for (uint32_t i = 0; i < n; i++) {
		uint32_t o = below(random, 1 + below(random, n_objects));
		char client = (char)('a' + o % 3), key[16];
		struct trace_line line = {.client = &client, .client_bytes = 1, .key = key};

		line.key_bytes = (size_t)snprintf(key, sizeof(key), "%u", o);
		line.size_bytes = TRACE_FRAME_BYTES * (1 + o * 7 % largest);
		CU_ASSERT_EQUAL_FATAL(trace_add(&builder, &line), 0);
	}
	trace_take(&builder, ret_trace);
}

/* Hits of an LRU that looks at all objects for the oldest. */
static uint64_t naive_lru(const struct stream *stream, uint64_t n_frames)
{
	uint64_t at[64] = {0}, used = 0, hits = 0; /* at 0: not there */

	for (uint32_t i = 0; i < stream->n; i++) {
		uint32_t o = stream->request[i];

		if (stream->frames[o] > n_frames)
			continue;
		hits += at[o] > 0;
		used += at[o] ? 0 : stream->frames[o];
		at[o] = i + UINT64_C(1);
		while (used > n_frames) {
			uint32_t oldest = 64;

			for (uint32_t k = 0; k < stream->n_objects; k++)
				if (at[k] && (oldest == 64 || at[k] < at[oldest]))
					oldest = k;
			at[oldest] = 0;
			used -= stream->frames[oldest];
		}
	}
	return hits;
}

static void exact_lru_is_as_a_naive_one(void)
{
	uint64_t random = 42;

	for (uint32_t round = 0; round < 200; round++) {
		uint64_t n_frames = below(&random, 40);
		struct outcome outcome;
		struct stream stream;
		struct trace trace;

		make_random(&random, 400, 1 + below(&random, 60), 5, &trace);
		CU_ASSERT_EQUAL_FATAL(stream_new(&trace, TRACE_MAX_CLIENTS, &stream), 0);
		CU_ASSERT_EQUAL_FATAL(policy_lru(&stream, n_frames, &outcome), 0);
		CU_ASSERT_EQUAL(outcome.n_hits, naive_lru(&stream, n_frames));
		CU_ASSERT_EQUAL(outcome.n_requests, trace.n);
		CU_ASSERT_EQUAL(outcome.n_cold, trace.n_objects);
		stream_free(&stream);
		trace_free(&trace);
	}
}

static void belady_is_never_below_lru(void)
{
	uint64_t random = 7;

	for (uint32_t round = 0; round < 500; round++) {
		uint64_t n_frames = below(&random, 40);
		struct outcome lru, min;
		struct stream stream;
		struct trace trace;

		make_random(&random, 300, 1 + below(&random, 60), 1, &trace);
		CU_ASSERT_EQUAL_FATAL(stream_new(&trace, TRACE_MAX_CLIENTS, &stream), 0);
		CU_ASSERT_EQUAL_FATAL(policy_lru(&stream, n_frames, &lru), 0);
		CU_ASSERT_EQUAL_FATAL(policy_min(&stream, n_frames, &min), 0);
		CU_ASSERT_TRUE(min.n_hits >= lru.n_hits);
		CU_ASSERT_EQUAL(min.n_cold, trace.n_objects);
		stream_free(&stream);
		trace_free(&trace);
	}
}

/* The most hits from the i-th request on, with the objects of the set there: every choice is tried.
 */
static uint32_t best_hits(const struct stream *stream, uint32_t i, uint32_t there,
			  uint32_t n_frames)
{
	uint32_t o, hit, best;

	if (i == stream->n)
		return 0;
	o = stream->request[i];
	hit = there >> o & 1u;
	best = best_hits(stream, i + 1, there, n_frames);
	if (!hit && (uint32_t)__builtin_popcount(there) < n_frames)
		best = best_hits(stream, i + 1, there | 1u << o, n_frames);
	else if (!hit)
		for (uint32_t k = 0; k < stream->n_objects; k++)
			if (there >> k & 1u) {
				uint32_t with = best_hits(stream, i + 1,
							  (there & ~(1u << k)) | 1u << o, n_frames);

				best = with > best ? with : best;
			}
	return hit + best;
}

static void belady_is_the_best_of_all_choices(void)
{
	uint64_t random = 99;

	for (uint32_t round = 0; round < 60; round++) {
		uint32_t n_frames = 1 + below(&random, 3);
		struct outcome min;
		struct stream stream;
		struct trace trace;

		make_random(&random, 14, 5, 1, &trace);
		CU_ASSERT_EQUAL_FATAL(stream_new(&trace, TRACE_MAX_CLIENTS, &stream), 0);
		CU_ASSERT_EQUAL_FATAL(policy_min(&stream, n_frames, &min), 0);
		CU_ASSERT_EQUAL(min.n_hits, best_hits(&stream, 0, 0, n_frames));
		stream_free(&stream);
		trace_free(&trace);
	}
}

static void a_best_split_is_no_worse_than_the_equal_one(void)
{
	uint64_t random = 3;

	for (uint32_t round = 0; round < 30; round++) {
		/* A whole number of steps, so that the equal split is one that is looked at. */
		uint64_t n_frames = POLICY_SPLIT_STEPS * 3, sum = 0;
		uint64_t part[TRACE_MAX_CLIENTS] = {0};
		struct outcome equal, best;
		struct trace trace;

		make_random(&random, 3000, 1000, 4, &trace);
		CU_ASSERT_EQUAL_FATAL(trace.n_clients, 3);
		trace.client[1].cost_ns = 1000000;
		CU_ASSERT_EQUAL_FATAL(policy_equal_split(&trace, n_frames, &equal), 0);
		CU_ASSERT_EQUAL_FATAL(policy_best_split(&trace, n_frames, &best, part), 0);
		/* 128 is not 3 times a step: a frame or two of difference. */
		CU_ASSERT_TRUE(best.rebuild_ns <= equal.rebuild_ns + equal.rebuild_ns / 50);
		CU_ASSERT_EQUAL(best.n_requests, trace.n);
		CU_ASSERT_EQUAL(equal.n_cold, trace.n_objects);
		for (uint32_t c = 0; c < trace.n_clients; c++)
			sum += part[c];
		CU_ASSERT_EQUAL(sum, n_frames);
		trace_free(&trace);
	}
}

CU_TestInfo test_replay[] = {
	{"a trace is read plain and as gzip", a_trace_is_read_plain_and_as_gzip},
	{"what is wrong is named with its line", what_is_wrong_is_named_with_its_line},
	{"a line without end is refused", a_line_without_end_is_refused},
	{"a gzip that is cut off is refused", a_gzip_that_is_cut_off_is_refused},
	{"clients that are too many are folded", clients_that_are_too_many_are_folded},
	{"the generator repeats itself by seed", the_generator_repeats_itself_by_seed},
	{"exact lru is as a naive one", exact_lru_is_as_a_naive_one},
	{"belady is never below lru", belady_is_never_below_lru},
	{"belady is the best of all choices", belady_is_the_best_of_all_choices},
	{"a best split is no worse than the equal one",
	 a_best_split_is_no_worse_than_the_equal_one},
	CU_TEST_INFO_NULL,
};
