/* pagectl/top_rows.c - the three tables: zones, clients, caches.
 *
 * The purgeable frames of a client are a row of the caches, as in `pagectl caches`: a cache that
 * needs no callbacks. */
#include "pagectl/human.h"
#include "pagectl/top_model.h"

#include <string.h>

enum {
	ZONE_NAME,
	ZONE_MANAGED,
	ZONE_FREE,
	ZONE_HOLES,
	ZONE_MIN,
	ZONE_LOW,
	ZONE_HIGH,
	ZONE_LARGEST,
	ZONE_SOME
};
static const struct top_column zone_columns[] = {
	[ZONE_NAME] = {"ZONE", "name", 12, 0, .is_text = true, .stretches = true},
	[ZONE_MANAGED] = {"MANAGED", "managed", 7, 0},
	[ZONE_FREE] = {"FREE", "free", 7, 0},
	[ZONE_HOLES] = {"HOLES", "holes", 7, 0},
	[ZONE_MIN] = {"MIN", "min", 7, 0},
	[ZONE_LOW] = {"LOW", "low", 7, 0},
	[ZONE_HIGH] = {"HIGH", "high", 7, 0},
	[ZONE_LARGEST] = {"LARGEST", "largest_free", 7, 0},
	[ZONE_SOME] = {"SOME10", "some_avg10", 6, 0},
};

enum {
	CLIENT_ID,
	CLIENT_PID,
	CLIENT_NAME,
	CLIENT_STATE,
	CLIENT_THREADS,
	CLIENT_OWNED,
	CLIENT_CHANGE,
	CLIENT_MAGAZINE,
	CLIENT_SHARED,
	CLIENT_PURGEABLE,
	CLIENT_PINNED,
	CLIENT_PURGED,
	CLIENT_REFAULT,
	CLIENT_TAKEN,
	CLIENT_SOME,
	CLIENT_MAX
};
static const struct top_column client_columns[] = {
	[CLIENT_ID] = {"ID", "id", 4, 0},
	[CLIENT_PID] = {"PID", "pid", 7, 1},
	[CLIENT_NAME] = {"CLIENT", "name", 10, 0, .is_text = true, .stretches = true},
	[CLIENT_STATE] = {"STATE", "state", 8, 0, .is_text = true},
	[CLIENT_THREADS] = {"THR", "threads", 3, 2},
	[CLIENT_OWNED] = {"OWNED", "owned", 7, 0},
	[CLIENT_CHANGE] = {"+-/s", "owned_change_per_s", 7, 0},
	[CLIENT_MAGAZINE] = {"MAG", "magazine", 7, 0},
	[CLIENT_SHARED] = {"SHARED", "shared", 7, 1},
	[CLIENT_PURGEABLE] = {"PURGEAB", "purgeable", 7, 0},
	[CLIENT_PINNED] = {"PINNED", "pinned", 7, 1},
	[CLIENT_PURGED] = {"PURGE/s", "purged_per_s", 7, 1},
	[CLIENT_REFAULT] = {"REFLT/s", "refaults_per_s", 7, 1},
	[CLIENT_TAKEN] = {"TAKEN/s", "reclaimed_per_s", 7, 0},
	[CLIENT_SOME] = {"SOME10", "some_avg10", 6, 0},
	[CLIENT_MAX] = {"MAX", "max", 7, 2},
};

enum {
	CACHE_NAME,
	CACHE_CLIENT,
	CACHE_KIND,
	CACHE_SIZE,
	CACHE_OBJECTS,
	CACHE_PINNED,
	CACHE_SCANNED,
	CACHE_FREED,
	CACHE_BACK,
	CACHE_REFAULT,
	CACHE_COST,
	CACHE_LATE,
	CACHE_STATE
};
static const struct top_column cache_columns[] = {
	[CACHE_NAME] = {"CACHE", "name", 10, 0, .is_text = true, .stretches = true},
	[CACHE_CLIENT] = {"CLNT", "client", 4, 0},
	[CACHE_KIND] = {"KIND", "kind", 9, 0, .is_text = true},
	[CACHE_SIZE] = {"SIZE", "frames", 7, 0},
	[CACHE_OBJECTS] = {"OBJECTS", "objects", 7, 0},
	[CACHE_PINNED] = {"PINNED", "pinned", 7, 1},
	[CACHE_SCANNED] = {"SCAN/s", "scanned_per_s", 7, 0},
	[CACHE_FREED] = {"FREED/s", "freed_per_s", 7, 1},
	[CACHE_BACK] = {"BACK/s", "returned_per_s", 7, 0},
	[CACHE_REFAULT] = {"REFLT/s", "refaults_per_s", 7, 1},
	[CACHE_COST] = {"COST", "cost_ns", 7, 0},
	[CACHE_LATE] = {"LATE", "timeouts", 4, 2},
	[CACHE_STATE] = {"STATE", "state", 6, 0, .is_text = true},
};

static const struct {
	const char *name;
	const struct top_column *columns;
	uint32_t n_columns, sort, max_rows;
} tables[TOP_TABLES] = {
#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])
	[TOP_ZONES] = {"zones", COLUMNS(zone_columns), ZONE_NAME, SHM_MAX_ZONES},
	[TOP_CLIENTS] = {"clients", COLUMNS(client_columns), CLIENT_OWNED, SHM_MAX_CLIENTS},
	[TOP_CACHES] = {"caches", COLUMNS(cache_columns), CACHE_SIZE,
			SHM_MAX_CACHES + SHM_MAX_CLIENTS},
#undef COLUMNS
};

uint32_t top_rows_max(enum top_tables which)
{
	return tables[which].max_rows;
}

void top_table_init(struct top_table *table, enum top_tables which, struct top_row *rows)
{
	*table = (struct top_table){
		.name = tables[which].name,
		.columns = tables[which].columns,
		.n_columns = tables[which].n_columns,
		.rows = rows,
		.max_rows = tables[which].max_rows,
		.sort = tables[which].sort,
	};
}

/* --- cells ---------------------------------------------------------------------------------- */

static void put_frames(struct top_row *row, uint32_t column, uint64_t frames, uint32_t page_shift)
{
	top_cell(row, column, (double)frames, "%s", human_size_short(frames << page_shift).s);
}

static void put_count(struct top_row *row, uint32_t column, uint64_t n)
{
	top_cell(row, column, (double)n, "%s", human_count(n).s);
}

/* A rate of 0 is a dash: what happens stands out. */
static void put_rate(struct top_row *row, uint32_t column, double rate)
{
	if (rate > 0 && rate < 9.95)
		top_cell(row, column, rate, "%.1f", rate);
	else
		top_cell(row, column, rate, "%s", rate > 0 ? human_count((uint64_t)rate).s : "-");
}

/* Bytes per second, with a sign. */
static void put_change(struct top_row *row, uint32_t column, uint64_t before, uint64_t now,
		       double seconds, uint32_t page_shift)
{
	double up = top_rate(before, now, seconds), down = top_rate(now, before, seconds);
	uint64_t bytes = (uint64_t)((up + down) * (double)(1u << page_shift));

	if (bytes == 0)
		top_cell(row, column, 0, "-");
	else
		top_cell(row, column, up - down, "%c%s", up > 0 ? '+' : '-',
			 human_size_short(bytes).s);
}

static void put_share(struct top_row *row, uint32_t column, uint16_t hundredths)
{
	top_cell(row, column, hundredths / 100.0, "%u.%02u", hundredths / 100u, hundredths % 100u);
}

static void put_name(struct top_row *row, uint32_t column, const char *name)
{
	top_cell(row, column, 0, "%s", human_clean(name, SHM_NAME_BYTES).s);
}

/* --- zones ---------------------------------------------------------------------------------- */

static uint64_t largest_free(const struct shm_zone *zone)
{
	for (order_t order = ORDER_COUNT; order-- > 0;)
		for (uint32_t type = 0; type < MIGRATE_TYPES; type++)
			if (zone->nr_blocks[order][type])
				return UINT64_C(1) << order;
	return 0;
}

static void fill_zones(struct top_table *table, const struct top_sample *now)
{
	uint32_t shift = now->header.page_shift;

	for (uint32_t i = 0; i < now->n_zones; i++) {
		const struct shm_zone *zone = &now->zones[i];
		struct top_row *row = top_table_add(table);

		if (!row)
			return;
		put_name(row, ZONE_NAME, zone->name);
		put_frames(row, ZONE_MANAGED, zone->managed, shift);
		put_frames(row, ZONE_FREE, zone->nr_free, shift);
		put_frames(row, ZONE_HOLES, zone->nr_hole, shift);
		put_frames(row, ZONE_MIN, zone->watermark_min, shift);
		put_frames(row, ZONE_LOW, zone->watermark_low, shift);
		put_frames(row, ZONE_HIGH, zone->watermark_high, shift);
		put_frames(row, ZONE_LARGEST, largest_free(zone), shift);
		put_share(row, ZONE_SOME, zone->psi.avg[SHM_PSI_SOME][0]);
	}
}

/* --- clients -------------------------------------------------------------------------------- */

/* The same client in the sample before; itself if there is none, so that nothing changed. Both are
 * in slot order. */
static const struct shm_client *client_before(const struct top_sample *before,
					      const struct shm_client *client)
{
	for (uint32_t i = 0; i < before->n_clients && before->clients[i].id <= client->id; i++)
		if (before->clients[i].id == client->id &&
		    before->clients[i].attached_ns == client->attached_ns)
			return &before->clients[i];
	return client;
}

static const char *client_state(uint32_t state)
{
	static const char *const names[] = {
		[SHM_CLIENT_FREE] = "free",
		[SHM_CLIENT_ATTACHED] = "attached",
		[SHM_CLIENT_AWAY] = "away",
		[SHM_CLIENT_DYING] = "dying",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static void fill_client(struct top_row *row, const struct shm_client *c,
			const struct shm_client *was, double seconds, uint32_t shift)
{
	top_cell(row, CLIENT_ID, c->id, "%u", c->id);
	top_cell(row, CLIENT_PID, c->pid, "%u", c->pid);
	put_name(row, CLIENT_NAME, c->name);
	top_cell(row, CLIENT_STATE, c->state, "%s", client_state(c->state));
	top_cell(row, CLIENT_THREADS, c->nr_threads, "%u", c->nr_threads);
	put_frames(row, CLIENT_OWNED, c->nr_owned, shift);
	put_change(row, CLIENT_CHANGE, was->nr_owned, c->nr_owned, seconds, shift);
	put_frames(row, CLIENT_MAGAZINE, c->nr_magazine, shift);
	put_frames(row, CLIENT_SHARED, c->nr_shared, shift);
	put_frames(row, CLIENT_PURGEABLE, c->nr_purgeable, shift);
	put_frames(row, CLIENT_PINNED, c->nr_pinned, shift);
	put_rate(row, CLIENT_PURGED, top_rate(was->nr_purged, c->nr_purged, seconds));
	put_rate(row, CLIENT_REFAULT, top_rate(was->nr_refault, c->nr_refault, seconds));
	put_rate(row, CLIENT_TAKEN, top_rate(was->nr_reclaimed, c->nr_reclaimed, seconds));
	put_share(row, CLIENT_SOME, c->psi.avg[SHM_PSI_SOME][0]);
	if (c->max && c->max < UINT32_MAX)
		put_frames(row, CLIENT_MAX, c->max, shift);
	else
		top_cell(row, CLIENT_MAX, 0, "-");
}

static void fill_clients(struct top_table *table, const struct top_sample *before,
			 const struct top_sample *now)
{
	double seconds = top_seconds(before, now);

	for (uint32_t i = 0; i < now->n_clients; i++) {
		const struct shm_client *client = &now->clients[i];
		struct top_row *row = top_table_add(table);

		if (!row)
			return;
		fill_client(row, client, client_before(before, client), seconds,
			    now->header.page_shift);
	}
}

/* --- caches --------------------------------------------------------------------------------- */

static const struct shm_cache *cache_before(const struct top_sample *before,
					    const struct shm_cache *cache)
{
	for (uint32_t i = 0; i < before->n_caches; i++)
		if (before->caches[i].client == cache->client &&
		    before->caches[i].id == cache->id &&
		    before->caches[i].registered_ns == cache->registered_ns)
			return &before->caches[i];
	return cache;
}

static const char *cache_state(uint32_t state)
{
	static const char *const names[] = {
		[SHM_CACHE_FREE] = "free",
		[SHM_CACHE_READY] = "ready",
		[SHM_CACHE_BUSY] = "busy",
		[SHM_CACHE_OPEN] = "open", /* the breaker */
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static void fill_cache(struct top_row *row, const struct shm_cache *c, const struct shm_cache *was,
		       double seconds, uint32_t shift)
{
	put_name(row, CACHE_NAME, c->name);
	top_cell(row, CACHE_CLIENT, c->client, "%u", c->client);
	top_cell(row, CACHE_KIND, 0, "shrinker");
	put_frames(row, CACHE_SIZE, c->nr_frames, shift);
	put_count(row, CACHE_OBJECTS, c->nr_objects);
	top_cell(row, CACHE_PINNED, 0, "-");
	put_rate(row, CACHE_SCANNED, top_rate(was->nr_scanned, c->nr_scanned, seconds));
	put_rate(row, CACHE_FREED, top_rate(was->nr_freed, c->nr_freed, seconds));
	put_rate(row, CACHE_BACK, top_rate(was->nr_returned, c->nr_returned, seconds));
	top_cell(row, CACHE_REFAULT, 0, "-");
	top_cell(row, CACHE_COST, (double)c->cost_ns, "%s", human_duration(c->cost_ns).s);
	put_count(row, CACHE_LATE, c->nr_timeouts);
	top_cell(row, CACHE_STATE, c->state, "%s", cache_state(c->state));
}

static void fill_purgeable(struct top_row *row, const struct shm_client *c,
			   const struct shm_client *was, double seconds, uint32_t shift)
{
	uint64_t entries = c->nr_purgeable + c->nr_pinned;

	put_name(row, CACHE_NAME, c->name);
	top_cell(row, CACHE_CLIENT, c->id, "%u", c->id);
	top_cell(row, CACHE_KIND, 1, "purgeable");
	put_frames(row, CACHE_SIZE, entries, shift);
	put_count(row, CACHE_OBJECTS, entries);
	put_count(row, CACHE_PINNED, c->nr_pinned);
	top_cell(row, CACHE_SCANNED, 0, "-");
	put_rate(row, CACHE_FREED, top_rate(was->nr_purged, c->nr_purged, seconds));
	put_rate(row, CACHE_BACK, top_rate(was->nr_purged, c->nr_purged, seconds));
	put_rate(row, CACHE_REFAULT, top_rate(was->nr_refault, c->nr_refault, seconds));
	top_cell(row, CACHE_COST, (double)c->rebuild_ns, "%s", human_duration(c->rebuild_ns).s);
	top_cell(row, CACHE_LATE, 0, "-");
	top_cell(row, CACHE_STATE, SHM_CACHE_READY, "ready");
}

static void fill_caches(struct top_table *table, const struct top_sample *before,
			const struct top_sample *now)
{
	double seconds = top_seconds(before, now);
	uint32_t shift = now->header.page_shift;

	for (uint32_t i = 0; i < now->n_caches; i++) {
		struct top_row *row = top_table_add(table);

		if (row)
			fill_cache(row, &now->caches[i], cache_before(before, &now->caches[i]),
				   seconds, shift);
	}
	for (uint32_t i = 0; i < now->n_clients; i++) {
		const struct shm_client *client = &now->clients[i];
		struct top_row *row = client->purge_slots ? top_table_add(table) : NULL;

		if (row)
			fill_purgeable(row, client, client_before(before, client), seconds, shift);
	}
}

void top_table_fill(struct top_table *table, enum top_tables which, const struct top_sample *before,
		    const struct top_sample *now)
{
	table->n_rows = 0;
	switch (which) {
	case TOP_ZONES:
		fill_zones(table, now);
		break;
	case TOP_CLIENTS:
		fill_clients(table, before, now);
		break;
	case TOP_CACHES:
		fill_caches(table, before, now);
		break;
	case TOP_TABLES:
		break;
	}
	top_table_sort(table);
}
