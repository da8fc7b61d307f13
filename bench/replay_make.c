/* bench/replay_make.c - see replay_make.h.
 *
 *   plan of a kind -> for each request: who is busy now? what of his is asked for? -> emit()
 *                                                                  into memory, or as a line
 *
 * Popularity is a table of the sums of rank^-exponent and a search in it. Only sums, products and
 * square roots are computed (the exponents are multiples of a quarter), which IEEE 754 rounds the
 * same everywhere. */
#include "bench/replay_make.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define STEP_NS 10000u /* between two requests */
#define BUFFER_BYTES (1u << 17)

/* --- chance ------------------------------------------------------------------------------------
 */

/* splitmix64, Steele, Lea, Flood 2014. */
static uint64_t draw(uint64_t *random)
{
	uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(uint64_t *random, uint32_t n)
{
	return (uint32_t)((draw(random) >> 32) * n >> 32);
}

/* rank^-(quarters / 4) */
static double popularity(uint32_t rank, unsigned quarters)
{
	double quarter = sqrt(sqrt((double)rank)), power = 1;

	for (unsigned i = 0; i < quarters; i++)
		power *= quarter;
	return 1 / power;
}

/* --- clients -----------------------------------------------------------------------------------
 */

enum habit { ZIPF, SCAN };

struct plan_client {
	enum habit habit;
	unsigned quarters; /* ZIPF: four times the exponent; 0: all alike */
	uint32_t n_objects;
	uint32_t replaced; /* one object is replaced by a new one every so many requests; 0: none */
	uint64_t cost_ns;
	uint32_t weight[8]; /* of its requests, in each eighth of a cycle */
};

struct plan {
	uint32_t n_requests, n_cycles;
	uint32_t n_clients;
	struct plan_client client[8];
};

#define STEADY(w)                                                                                  \
	{                                                                                          \
		w, w, w, w, w, w, w, w                                                             \
	}

static const struct plan plans[MAKE_NR_KINDS] = {
	[MAKE_zipf] = {800000,
		       4,
		       8,
		       {{ZIPF, 4, 24576, 64, 10000, {12, 12, 12, 8, 8, 8, 12, 12}},
			{ZIPF, 4, 16384, 64, 10000, {8, 8, 12, 12, 12, 8, 8, 8}},
			{ZIPF, 4, 16384, 64, 10000, STEADY(6)},
			{ZIPF, 4, 16384, 64, 10000, {4, 4, 2, 2, 4, 4, 8, 8}},
			{ZIPF, 3, 12288, 64, 10000, STEADY(3)},
			{ZIPF, 3, 12288, 64, 10000, {2, 2, 4, 4, 4, 4, 2, 2}},
			{ZIPF, 3, 8192, 64, 10000, STEADY(1)},
			{ZIPF, 3, 8192, 64, 10000, {1, 1, 1, 1, 2, 2, 2, 1}}}},
	[MAKE_scan] = {800000,
		       4,
		       4,
		       {{ZIPF, 3, 16384, 0, 10000, STEADY(6)},
			{ZIPF, 3, 12288, 0, 10000, STEADY(4)},
			{ZIPF, 0, 2048, 0, 10000, STEADY(2)},
			{SCAN, 0, 16384, 0, 10000, {0, 0, 0, 3, 0, 0, 0, 3}}}},
	[MAKE_burst] = {800000,
			4,
			4,
			{{ZIPF, 3, 16384, 256, 10000, STEADY(3)},
			 {ZIPF, 3, 8192, 256, 10000, STEADY(2)},
			 {ZIPF, 3, 8192, 256, 10000, STEADY(1)},
			 {ZIPF, 3, 20480, 256, 10000, {0, 0, 0, 0, 0, 0, 6, 6}}}},
	[MAKE_cost] = {800000,
		       1,
		       2,
		       {{ZIPF, 4, 28672, 0, 10000, STEADY(1)},
			{ZIPF, 4, 28672, 0, 1000000, STEADY(1)}}},
};

struct maker_client {
	const struct plan_client *plan;
	double *sum;                       /* of the popularities up to each rank */
	uint32_t *key;                     /* of each rank */
	uint32_t next_key, n_requests, at; /* at: of a scan */
};

struct maker {
	const struct plan *plan;
	uint64_t random;
	struct maker_client client[8];
};

static void maker_free(struct maker *maker)
{
	for (uint32_t c = 0; c < 8; c++) {
		free(maker->client[c].sum);
		free(maker->client[c].key);
	}
}

static int maker_client_init(struct maker *maker, uint32_t c)
{
	struct maker_client *client = &maker->client[c];
	uint32_t n = maker->plan->client[c].n_objects;
	double sum = 0;

	client->plan = &maker->plan->client[c];
	client->sum = malloc(n * sizeof(*client->sum));
	client->key = malloc(n * sizeof(*client->key));
	if (!client->sum || !client->key)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		sum += popularity(i + 1, client->plan->quarters);
		client->sum[i] = sum;
		client->key[i] = i;
	}
	client->next_key = n;
	return 0;
}

static uint32_t pick_zipf(struct maker *maker, struct maker_client *client)
{
	uint32_t low = 0, high = client->plan->n_objects - 1;
	double at = (double)(draw(&maker->random) >> 11) * 0x1p-53 * client->sum[high];

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (client->sum[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return client->key[low];
}

static uint32_t pick(struct maker *maker, struct maker_client *client)
{
	const struct plan_client *plan = client->plan;

	client->n_requests++;
	if (plan->replaced && client->n_requests % plan->replaced == 0)
		client->key[below(&maker->random, plan->n_objects)] = client->next_key++;
	switch (plan->habit) {
	case SCAN:
		client->at = (client->at + 1) % plan->n_objects;
		return client->key[client->at];
	case ZIPF:
		break;
	}
	return pick_zipf(maker, client);
}

/* Who asks for the i-th. */
static uint32_t pick_client(struct maker *maker, uint32_t i)
{
	const struct plan *plan = maker->plan;
	uint32_t eighth = (uint32_t)((uint64_t)i * plan->n_cycles * 8 / plan->n_requests) % 8;
	uint32_t all = 0, at, c = 0;

	for (uint32_t k = 0; k < plan->n_clients; k++)
		all += plan->client[k].weight[eighth];
	at = below(&maker->random, all);
	while (at >= plan->client[c].weight[eighth])
		at -= plan->client[c++].weight[eighth];
	return c;
}

/* --- requests out of it ------------------------------------------------------------------------
 */

struct sink {
	struct trace_builder *builder;
	gzFile file;
};

static int emit(const struct sink *sink, uint64_t time_ns, uint32_t client, uint32_t key,
		uint64_t cost_ns)
{
	char client_name[16], key_name[16];
	struct trace_line line = {
		.client = client_name,
		.key = key_name,
		.client_bytes = (size_t)snprintf(client_name, sizeof(client_name), "%u", client),
		.key_bytes = (size_t)snprintf(key_name, sizeof(key_name), "%u", key),
		.size_bytes = TRACE_FRAME_BYTES,
		.cost_ns = cost_ns,
	};

	if (sink->builder)
		return trace_add(sink->builder, &line);
	return gzprintf(sink->file, "%llu.%09llu,%s,%s,%u,%llu\n",
			(unsigned long long)(time_ns / 1000000000),
			(unsigned long long)(time_ns % 1000000000), client_name, key_name,
			TRACE_FRAME_BYTES, (unsigned long long)cost_ns) > 0
		       ? 0
		       : -EIO;
}

static int make(enum make_kind kind, uint64_t seed, const struct sink *sink)
{
	struct maker maker = {.plan = &plans[kind], .random = seed};
	int r = 0;

	for (uint32_t c = 0; r == 0 && c < maker.plan->n_clients; c++)
		r = maker_client_init(&maker, c);
	for (uint32_t i = 0; r == 0 && i < maker.plan->n_requests; i++) {
		uint32_t c = pick_client(&maker, i);

		r = emit(sink, (uint64_t)i * STEP_NS, c, pick(&maker, &maker.client[c]),
			 maker.plan->client[c].cost_ns);
	}
	maker_free(&maker);
	return r;
}

int make_trace(enum make_kind kind, uint64_t seed, struct trace *ret_trace)
{
	struct trace_builder builder = {0};
	int r = make(kind, seed, &(struct sink){.builder = &builder});

	if (r < 0)
		trace_builder_free(&builder);
	else
		trace_take(&builder, ret_trace);
	return r;
}

int make_write(enum make_kind kind, uint64_t seed, const char *path, char *text, size_t text_bytes)
{
	size_t n = strlen(path);
	/* T: as it is */
	const char *mode = n > 3 && strcmp(path + n - 3, ".gz") == 0 ? "wbe" : "wbeT";
	struct sink sink = {0};
	int r = 0;

	errno = 0;
	sink.file = strcmp(path, "-") == 0 ? gzdopen(dup(STDOUT_FILENO), mode) : gzopen(path, mode);
	if (!sink.file)
		r = errno ? -errno : -ENOMEM;
	if (r == 0) {
		(void)gzbuffer(sink.file, BUFFER_BYTES);
		if (gzputs(sink.file, "time,client,key,size,cost\n") < 0)
			r = -EIO;
		if (r == 0)
			r = make(kind, seed, &sink);
		if (gzclose(sink.file) != Z_OK && r == 0)
			r = -EIO;
	}
	if (r < 0)
		(void)snprintf(text, text_bytes, "%s: %s", path, strerror(-r));
	return r;
}

const char *make_name(enum make_kind kind)
{
	static const char *const name[] = {
#define X(name_) #name_,
		MAKE_KINDS(X)
#undef X
	};

	return kind < MAKE_NR_KINDS ? name[kind] : "";
}

enum make_kind make_find(const char *name)
{
	for (unsigned i = 0; i < MAKE_NR_KINDS; i++)
		if (strcmp(make_name((enum make_kind)i), name) == 0)
			return (enum make_kind)i;
	return MAKE_NR_KINDS;
}
