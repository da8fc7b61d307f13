/* pagectl/metrics.c - META in Prometheus' text format; see metrics.h.
 *
 * All samples of a series stand together, as the format wants it: so each record is copied once,
 * and then the lists are gone through, and for each of their lines the copies. */
#include "pagectl/metrics.h"

#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#define PAGECLIENT_NO_INLINE
#include "pageclient/pageclient.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_BYTES 256u
#define NAME_BYTES (2 * sizeof(struct human)) /* every byte of it escaped */
#define GAUGE_UNIT "now " /* what the unit of a gauge starts with in counters.def */

enum unit { UNIT_NUMBER, UNIT_BYTES, UNIT_FRAMES, UNIT_US, UNIT_NS, UNIT_OPEN, UNIT_AWAY };
enum kind { KIND_GAUGE, KIND_COUNTER };

struct metric {
	const char *name, *help;
	enum kind kind;
	enum unit unit;
	size_t offset, bytes; /* of the field in its record */
};

#define ROW(struct_, name_, kind_, unit_, field_, help_)                                           \
	{#name_,                                                                                   \
	 help_,                                                                                    \
	 KIND_##kind_,                                                                             \
	 UNIT_##unit_,                                                                             \
	 offsetof(struct struct_, field_),                                                         \
	 sizeof(((struct struct_ *)0)->field_)},
#define NONE(...)

#define SEGMENT(...) ROW(shm_meta_header, __VA_ARGS__)
#define ZONE(...) NONE(__VA_ARGS__)
#define CLIENT(...) NONE(__VA_ARGS__)
#define CACHE(...) NONE(__VA_ARGS__)
static const struct metric of_segment[] = {
#include "pagectl/metrics.def"
};
#undef SEGMENT
#undef ZONE
#define SEGMENT(...) NONE(__VA_ARGS__)
#define ZONE(...) ROW(shm_zone, __VA_ARGS__)
static const struct metric of_zone[] = {
#include "pagectl/metrics.def"
};
#undef ZONE
#undef CLIENT
#define ZONE(...) NONE(__VA_ARGS__)
#define CLIENT(...) ROW(shm_client, __VA_ARGS__)
static const struct metric of_client[] = {
#include "pagectl/metrics.def"
};
#undef CLIENT
#undef CACHE
#define CLIENT(...) NONE(__VA_ARGS__)
#define CACHE(...) ROW(shm_cache, __VA_ARGS__)
static const struct metric of_cache[] = {
#include "pagectl/metrics.def"
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Records of one type, copied, with what tells them apart. */
struct records {
	const char *prefix; /* of the names: "client_" */
	const void *record;
	size_t bytes; /* of one */
	uint32_t n;
	char (*labels)[LABELS_BYTES]; /* as "{client=\"3\"}"; NULL: "" */
};

/* --- one line --------------------------------------------------------------------------------- */

/* Backslash, quote and line break are all that the format knows to escape. */
static void escape(const char *text, bool quotes, char *ret_text, size_t bytes)
{
	size_t n = 0;

	for (; *text && n + 3 < bytes; text++) {
		if (*text == '\\' || *text == '\n' || (*text == '"' && quotes))
			ret_text[n++] = '\\';
		ret_text[n++] = *text;
		if (*text == '\n')
			ret_text[n - 1] = 'n';
	}
	ret_text[n] = '\0';
}

static void write_head(const char *prefix, const char *name, const char *kind, const char *help,
		       FILE *file)
{
	char text[512];

	escape(help, false, text, sizeof(text));
	fprintf(file, "# HELP paged_%s%s %s\n# TYPE paged_%s%s %s\n", prefix, name, text, prefix,
		name, kind);
}

void metrics_write_number(const char *name, const char *kind, const char *help, uint64_t value,
			  FILE *file)
{
	write_head("", name, kind, help, file);
	fprintf(file, "paged_%s %" PRIu64 "\n", name, value);
}

static uint64_t load(const void *record, const struct metric *metric)
{
	const char *field = (const char *)record + metric->offset;
	uint32_t half;
	uint64_t whole;

	if (metric->bytes == sizeof(half)) {
		memcpy(&half, field, sizeof(half));
		return half;
	}
	memcpy(&whole, field, sizeof(whole));
	return whole;
}

static void write_value(const struct metric *metric, uint64_t value, uint32_t page_shift,
			FILE *file)
{
	switch (metric->unit) {
	case UNIT_NUMBER:
	case UNIT_BYTES:
		break;
	case UNIT_FRAMES:
		value <<= page_shift;
		break;
	case UNIT_US:
		fprintf(file, "%" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000);
		return;
	case UNIT_NS:
		fprintf(file, "%" PRIu64 ".%09" PRIu64 "\n", value / 1000000000,
			value % 1000000000);
		return;
	case UNIT_OPEN:
		value = value == SHM_CACHE_OPEN;
		break;
	case UNIT_AWAY:
		value = value == SHM_CLIENT_AWAY;
		break;
	}
	fprintf(file, "%" PRIu64 "\n", value);
}

/* Every line of a list, for every record. Nothing is said of a type of which there is none. */
static void write_list(const struct metric *list, size_t n, const struct records *records,
		       uint32_t page_shift, FILE *file)
{
	for (size_t i = 0; i < n && records->n; i++) {
		const struct metric *metric = &list[i];

		write_head(records->prefix, metric->name,
			   metric->kind == KIND_COUNTER ? "counter" : "gauge", metric->help, file);
		for (uint32_t k = 0; k < records->n; k++) {
			const char *record = (const char *)records->record + k * records->bytes;

			fprintf(file, "paged_%s%s%s ", records->prefix, metric->name,
				records->labels ? records->labels[k] : "");
			write_value(metric, load(record, metric), page_shift, file);
		}
	}
}

/* A name out of META, fit for a label. */
static void label(const char *name, size_t bytes, char ret_label[NAME_BYTES])
{
	escape(human_clean(name, bytes).s, true, ret_label, NAME_BYTES);
}

/* --- segment and counters --------------------------------------------------------------------- */

static void write_counters(const struct shm_view *view, FILE *file)
{
	uint32_t n = view->header->nr_counters < COUNTER_COUNT ? view->header->nr_counters
							       : COUNTER_COUNT;

	for (uint32_t i = 0; i < n; i++) {
		enum counter c = (enum counter)i;
		bool is_gauge = strncmp(counter_unit(c), GAUGE_UNIT, strlen(GAUGE_UNIT)) == 0;
		const char *unit = counter_unit(c) + (is_gauge ? strlen(GAUGE_UNIT) : 0);
		char name[64], help[256];

		snprintf(name, sizeof(name), "%s%s", counter_name(c), is_gauge ? "" : "_total");
		snprintf(help, sizeof(help), "%s %s", unit, counter_text(c));
		metrics_write_number(name, is_gauge ? "gauge" : "counter", help,
				     shm_view_counter(view, c), file);
	}
}

static void write_segment(const struct shm_view *view, FILE *file)
{
	struct shm_meta_header header = *view->header;
	const struct records records = {.prefix = "", .record = &header, .n = 1};
	char instance[NAME_BYTES];

	label(header.instance, sizeof(header.instance), instance);
	write_head("", "info", "gauge", "The daemon and its segment.", file);
	fprintf(file, "paged_info{instance_name=\"%s\",version=\"%s\",backing=\"%s\"} 1\n",
		instance, human_version(header.daemon_version).s,
		header.backing == SHM_BACKING_POSIX ? "posix" : "memfd");
	metrics_write_number("frame_bytes", "gauge", "Size of a frame.",
			     UINT64_C(1) << header.page_shift, file);
	write_list(of_segment, COUNT(of_segment), &records, header.page_shift, file);
}

/* --- zones ------------------------------------------------------------------------------------ */

static void write_blocks(const struct shm_zone *zones, uint32_t n, FILE *file)
{
	char zone[NAME_BYTES];

	write_head("zone_", "free_blocks", "gauge", "Free blocks per order and migratetype.", file);
	for (uint32_t i = 0; i < n; i++) {
		label(zones[i].name, sizeof(zones[i].name), zone);
		for (uint32_t order = 0; order < ORDER_COUNT; order++)
			for (uint32_t type = 0; type < MIGRATE_TYPES; type++)
				fprintf(file,
					"paged_zone_free_blocks{zone=\"%s\",order=\"%u\","
					"migratetype=\"%s\"} %u\n",
					zone, order, migratetype_name((enum migratetype)type),
					zones[i].nr_blocks[order][type]);
	}
}

static void write_zones(const struct shm_view *view, FILE *file)
{
	char labels[SHM_MAX_ZONES][LABELS_BYTES], name[NAME_BYTES];
	struct shm_zone zones[SHM_MAX_ZONES];
	struct records records = {"zone_", zones, sizeof(zones[0]), 0, labels};

	for (; records.n < view->header->nr_zones && records.n < SHM_MAX_ZONES; records.n++) {
		struct shm_zone *zone = &zones[records.n];

		*zone = view->zones[records.n];
		label(zone->name, sizeof(zone->name), name);
		snprintf(labels[records.n], LABELS_BYTES, "{zone=\"%s\"}", name);
	}
	write_list(of_zone, COUNT(of_zone), &records, view->header->page_shift, file);
	write_blocks(zones, records.n, file);
}

/* --- clients and caches ----------------------------------------------------------------------- */

static void write_client_info(const struct shm_client *clients, uint32_t n, FILE *file)
{
	char name[NAME_BYTES];

	if (n)
		write_head("client_", "info", "gauge", "Who a client is.", file);
	for (uint32_t i = 0; i < n; i++) {
		label(clients[i].name, sizeof(clients[i].name), name);
		fprintf(file,
			"paged_client_info{client=\"%u\",name=\"%s\",pid=\"%u\",uid=\"%u\"} 1\n",
			clients[i].id, name, clients[i].pid, clients[i].uid);
	}
}

/* Returns how many there are that are not told of. */
static uint32_t write_clients(const struct shm_view *view, FILE *file)
{
	char(*labels)[LABELS_BYTES] = xrealloc(NULL, METRICS_MAX_CLIENTS * LABELS_BYTES);
	char name[NAME_BYTES];
	uint32_t n;
	struct shm_client *clients = clients_copy(view, &n);
	struct records records = {"client_", clients, sizeof(*clients), 0, labels};

	for (; records.n < n && records.n < METRICS_MAX_CLIENTS; records.n++) {
		const struct shm_client *client = &clients[records.n];

		label(client->name, sizeof(client->name), name);
		snprintf(labels[records.n], LABELS_BYTES, "{client=\"%u\",name=\"%s\"}", client->id,
			 name);
	}
	metrics_write_number("clients", "gauge", "Clients that are attached.", n, file);
	write_client_info(clients, records.n, file);
	write_list(of_client, COUNT(of_client), &records, view->header->page_shift, file);
	n -= records.n;
	free(clients);
	free(labels);
	return n;
}

static uint32_t write_caches(const struct shm_view *view, FILE *file)
{
	struct shm_cache *caches = xrealloc(NULL, METRICS_MAX_CACHES * sizeof(*caches));
	char(*labels)[LABELS_BYTES] = xrealloc(NULL, METRICS_MAX_CACHES * LABELS_BYTES);
	struct records records = {"cache_", caches, sizeof(*caches), 0, labels};
	char name[NAME_BYTES];
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache cache = view->caches[i];

		if (cache.state == SHM_CACHE_FREE)
			continue;
		n++;
		if (records.n == METRICS_MAX_CACHES)
			continue;
		label(cache.name, sizeof(cache.name), name);
		snprintf(labels[records.n], LABELS_BYTES,
			 "{client=\"%u\",cache=\"%u\",name=\"%s\"}", cache.client, cache.id, name);
		caches[records.n++] = cache;
	}
	metrics_write_number("caches", "gauge", "Caches that are registered.", n, file);
	write_list(of_cache, COUNT(of_cache), &records, view->header->page_shift, file);
	n -= records.n;
	free(caches);
	free(labels);
	return n;
}

/* --- all of it -------------------------------------------------------------------------------- */

void metrics_write(const struct shm_view *view, FILE *file)
{
	uint32_t nr_clients, nr_caches;

	metrics_write_number("up", "gauge", "1 if the daemon serves.", view ? 1 : 0, file);
	if (!view)
		return;
	write_segment(view, file);
	write_counters(view, file);
	write_zones(view, file);
	nr_clients = write_clients(view, file);
	nr_caches = write_caches(view, file);
	write_head("metrics_", "omitted", "gauge", "Clients and caches beyond those told of here.",
		   file);
	fprintf(file,
		"paged_metrics_omitted{kind=\"client\"} %u\n"
		"paged_metrics_omitted{kind=\"cache\"} %u\n",
		nr_clients, nr_caches);
}

int show_metrics(struct pagectl *ctl)
{
	metrics_write(&ctl->view, stdout);
	return PAGECTL_OK;
}

/* --- help ------------------------------------------------------------------------------------- */

static void explain(const char *prefix, const struct metric *list, size_t n)
{
	char name[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "paged_%s%s", prefix, list[i].name);
		printf("  %-45s %s\n", name, list[i].help);
	}
}

void show_metrics_help(void)
{
	puts("\nThe series, beside paged_<counter> and, where it only grows, paged_<counter>_total "
	     "for each\ncounter of `pagectl vmstat --help`, paged_up, paged_info, paged_clients "
	     "and "
	     "paged_caches:");
	explain("", of_segment, COUNT(of_segment));
	explain("zone_", of_zone, COUNT(of_zone));
	explain("client_", of_client, COUNT(of_client));
	explain("cache_", of_cache, COUNT(of_cache));
}
