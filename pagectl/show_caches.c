/* pagectl/show_caches.c - registered caches, as slabtop shows slabs, and the purgeable frames of
 * each client, which are a cache that needs no callbacks. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/table.h"

#include <string.h>
#include <time.h>

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[SHM_CACHE_FREE] = "free",
		[SHM_CACHE_READY] = "ready",
		[SHM_CACHE_BUSY] = "busy",
		[SHM_CACHE_OPEN] = "breaker open",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* How long the breaker stays open, 0 if it is closed. */
static uint64_t breaker_left_ns(const struct shm_cache *cache)
{
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (cache->state != SHM_CACHE_OPEN || cache->breaker_until_ns <= now_ns)
		return 0;
	return cache->breaker_until_ns - now_ns;
}

static int by_frames(const void *left, const void *right)
{
	const struct shm_cache *a = left, *b = right;

	if (a->nr_frames != b->nr_frames)
		return a->nr_frames < b->nr_frames ? 1 : -1;
	if (a->client != b->client)
		return a->client < b->client ? -1 : 1;
	return a->id < b->id ? -1 : 1;
}

/* A copy of each cache in use, sorted; the caller's to free(). */
static struct shm_cache *caches_copy(const struct shm_view *view, uint32_t *ret_n)
{
	struct shm_cache *caches = xrealloc(NULL, SHM_MAX_CACHES * sizeof(*caches));
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		caches[n] = view->caches[i];
		if (caches[n].state != SHM_CACHE_FREE)
			n++;
	}
	qsort(caches, n, sizeof(*caches), by_frames);
	*ret_n = n;
	return caches;
}

static void print_state(struct table *table, const struct shm_cache *cache)
{
	if (cache->state == SHM_CACHE_OPEN)
		table_cell(table, "open %s", human_duration(breaker_left_ns(cache)).s);
	else
		table_cell(table, "%s", state_name(cache->state));
}

/* `what 1-2: 3  8-16: 1`: buckets that have something. */
static void print_histogram(const char *what, const struct shm_histogram *histogram,
			    const char *unit)
{
	bool any = false;

	for (uint32_t i = 0; i < SHM_HISTOGRAM_BUCKETS; i++) {
		if (histogram->n[i] == 0)
			continue;
		if (!any)
			printf("  %-8s", what);
		any = true;
		printf("  %s%s%s: %u", i ? human_count(UINT64_C(1) << i).s : "0",
		       i + 1 < SHM_HISTOGRAM_BUCKETS ? "+" : " and more", unit, histogram->n[i]);
	}
	if (any)
		putchar('\n');
}

static void print_histograms(const struct shm_cache *caches, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_cache *c = &caches[i];

		if (c->nr_upcalls == 0)
			continue;
		printf("\n%s of client %u, upcalls by\n", human_clean(c->name, sizeof(c->name)).s,
		       c->client);
		print_histogram("latency", &c->latency_us, "us");
		print_histogram("scanned", &c->scanned, "");
		print_histogram("freed", &c->freed, "");
	}
}

/* Purgeable frames, a row for each client that has a table. */
static void print_purgeable(const struct shm_client *clients, uint32_t n, uint32_t page_shift)
{
	static const struct table_column columns[] = {
		{.title = "NAME", .left = true, .shrinks = true},
		{.title = "CLIENT"},
		{.title = "KIND", .left = true},
		{.title = "SIZE"},
		{.title = "FRAMES"},
		{.title = "PINNED"},
		{.title = "PURGED"},
		{.title = "REFAULTS"},
		{.title = "COST"},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_client *c = &clients[i];
		uint64_t frames = c->nr_purgeable + c->nr_pinned;

		if (c->purge_slots == 0)
			continue;
		table_cell(&table, "%s", human_clean(c->name, sizeof(c->name)).s);
		table_cell(&table, "%u", c->id);
		table_cell(&table, "purgeable");
		table_cell(&table, "%s", human_size_short(frames << page_shift).s);
		table_cell(&table, "%s", human_count(frames).s);
		table_cell(&table, "%s", human_count(c->nr_pinned).s);
		table_cell(&table, "%s", human_count(c->nr_purged).s);
		table_cell(&table, "%s", human_count(c->nr_refault).s);
		table_cell(&table, "%s", human_duration(c->rebuild_ns).s);
	}
	if (table.n_cells) {
		putchar('\n');
		table_print(&table, table_terminal_width(), stdout);
	}
	table_done(&table);
}

static void print_caches(const struct shm_cache *caches, uint32_t n, uint32_t page_shift)
{
	static const struct table_column columns[] = {
		{.title = "NAME", .left = true, .shrinks = true},
		{.title = "CLIENT"},
		{.title = "SIZE"},
		{.title = "FRAMES"},
		{.title = "OBJECTS"},
		{.title = "SCANNED"},
		{.title = "FREED"},
		{.title = "BACK"},
		{.title = "LAST"},
		{.title = "WORST"},
		{.title = "LATE"},
		{.title = "COST"},
		{.title = "STATE", .left = true},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_cache *c = &caches[i];

		table_cell(&table, "%s", human_clean(c->name, sizeof(c->name)).s);
		table_cell(&table, "%u", c->client);
		table_cell(&table, "%s", human_size_short(c->nr_frames << page_shift).s);
		table_cell(&table, "%s", human_count(c->nr_frames).s);
		table_cell(&table, "%s", human_count(c->nr_objects).s);
		table_cell(&table, "%s", human_count(c->nr_scanned).s);
		table_cell(&table, "%s", human_count(c->nr_freed).s);
		table_cell(&table, "%s", human_count(c->nr_returned).s);
		table_cell(&table, "%s", human_duration(c->latency_ns).s);
		table_cell(&table, "%s", human_duration(c->latency_max_ns).s);
		table_cell(&table, "%s", human_count(c->nr_timeouts).s);
		table_cell(&table, "%s", human_duration(c->cost_ns).s);
		print_state(&table, c);
	}
	table_print(&table, table_terminal_width(), stdout);
	table_done(&table);
}

static void put_histogram(json_t *object, const char *key, const struct shm_histogram *histogram)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < SHM_HISTOGRAM_BUCKETS; i++)
		json_array_append_new(array, json_integer(histogram->n[i]));
	json_object_set_new(object, key, array);
}

static json_t *purgeable_json(const struct shm_client *client)
{
	json_t *object = json_object();

	json_put_text(object, "name", client->name, sizeof(client->name));
	json_put_string(object, "kind", "purgeable");
	json_put_number(object, "client", client->id);
	json_put_number(object, "slots", client->purge_slots);
	json_put_number(object, "frames", client->nr_purgeable + client->nr_pinned);
	json_put_number(object, "pinned", client->nr_pinned);
	json_put_number(object, "purged", client->nr_purged);
	json_put_number(object, "refaults", client->nr_refault);
	json_put_number(object, "cost_ns", client->rebuild_ns);
	json_put_number(object, "purged_ns", client->purged_ns);
	return object;
}

static json_t *cache_json(const struct shm_cache *cache)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"client", cache->client},
		{"id", cache->id},
		{"seeks", cache->seeks},
		{"batch", cache->batch},
		{"frames", cache->nr_frames},
		{"objects", cache->nr_objects},
		{"scanned", cache->nr_scanned},
		{"freed", cache->nr_freed},
		{"returned", cache->nr_returned},
		{"deferred", cache->nr_deferred},
		{"upcalls", cache->nr_upcalls},
		{"timeouts", cache->nr_timeouts},
		{"missed_in_a_row", cache->nr_missed},
		{"latency_ns", cache->latency_ns},
		{"latency_max_ns", cache->latency_max_ns},
		{"rebuild_ns", cache->rebuild_ns},
		{"breaker_left_ns", breaker_left_ns(cache)},
		{"registered_ns", cache->registered_ns},
		{"cost_ns", cache->cost_ns},
		{"asked_ns", cache->asked_ns},
		{"stopped", cache->nr_stopped},
	};
	json_t *object = json_object();

	json_put_text(object, "name", cache->name, sizeof(cache->name));
	json_put_string(object, "kind", "shrinker");
	json_put_string(object, "state", state_name(cache->state));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_put_number(object, numbers[i].key, numbers[i].value);
	put_histogram(object, "latency_us_log2", &cache->latency_us);
	put_histogram(object, "scanned_log2", &cache->scanned);
	put_histogram(object, "freed_log2", &cache->freed);
	return object;
}

int show_caches(struct pagectl *ctl)
{
	uint32_t n, n_clients;
	struct shm_cache *caches = caches_copy(&ctl->view, &n);
	struct shm_client *clients = clients_copy(&ctl->view, &n_clients);
	int r = PAGECTL_OK;

	if (ctl->want_json) {
		json_t *root = json_new(), *array = json_array();

		json_put_number(root, "page_size", UINT64_C(1) << ctl->view.header->page_shift);
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(array, cache_json(&caches[i]));
		for (uint32_t i = 0; i < n_clients; i++)
			if (clients[i].purge_slots)
				json_array_append_new(array, purgeable_json(&clients[i]));
		json_object_set_new(root, "caches", array);
		r = json_print(root);
	} else {
		print_caches(caches, n, ctl->view.header->page_shift);
		print_purgeable(clients, n_clients, ctl->view.header->page_shift);
		if (ctl->want_verbose)
			print_histograms(caches, n);
	}
	free(clients);
	free(caches);
	return r;
}
