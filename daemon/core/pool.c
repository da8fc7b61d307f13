/* daemon/core/pool.c - a new segment, an old one taken over, and the choice of a zone. */
#include "daemon/core/pool.h"

#include "daemon/core/pcp.h"
#include "daemon/core/pool_private.h"
#include "daemon/core/watermark.h"
#include "paged/bits.h"

#include <string.h>

#define WATERMARK_SCALE_DEFAULT 10u /* the kernel's watermark_scale_factor */
/* Lower: a burst on a fresh segment waits for commits. Higher: memory that nobody asked for yet. 8
 * MiB at 4 KiB. */
#define STOCK_FRAMES 2048u
#define HIGH_DIVISOR_DEFAULT                                                                       \
	8u /* lower: idle threads hoard; higher: bursts come back for refills */

size_t pool_bytes(void)
{
	return sizeof(struct pool);
}

const char *pool_condition_text(enum pool_condition condition)
{
	static const char *const texts[] = {
#define X(name, text) text,
		POOL_CONDITIONS(X)
#undef X
	};

	return condition < POOL_NR_CONDITIONS ? texts[condition] : "?";
}

/* --- format --------------------------------------------------------------------------------------
 */

static void format_zone(char *meta, const struct shm_meta_header *header, struct shm_zone *zone,
			const struct pool_zone_options *options, pfn_t start)
{
	struct shm_page *map = (struct shm_page *)(void *)(meta + header->map_offset);

	*zone = (struct shm_zone){.start_pfn = start,
				  .end_pfn = start + options->nr_frames,
				  .managed = options->nr_frames};
	memcpy(zone->name, options->name, sizeof zone->name);
	for (pfn_t pfn = start; pfn < zone->end_pfn;) {
		order_t order = buddy_fit(pfn, zone->end_pfn);

		page_set(map, pfn, (struct page_word){.state = PAGE_FREE, .order = order});
		pfn += 1u << order;
	}
}

void pool_format(void *meta, void *state, const struct shm_meta_header *wanted,
		 const struct pool_options *options)
{
	struct shm_meta_header *header = meta;
	struct shm_state_header *state_header = state;
	struct shm_zone *zones;
	uint32_t nr_frames = 0;

	for (uint32_t z = 0; z < options->nr_zones; z++)
		nr_frames += options->zone[z].nr_frames;
	*header = *wanted;
	shm_meta_plan(header, nr_frames, wanted->page_shift);
	header->version = SHM_LAYOUT_VERSION;
	header->nr_zones = options->nr_zones;
	shm_state_plan(state_header);
	header->state_bytes = state_header->state_bytes;
	state_header->version = SHM_LAYOUT_VERSION;
	state_header->instance_id = wanted->instance_id;
	zones = (struct shm_zone *)(void *)((char *)meta + header->zones_offset);
	nr_frames = 0;
	for (uint32_t z = 0; z < options->nr_zones; z++) {
		format_zone(meta, header, &zones[z], &options->zone[z], nr_frames);
		nr_frames += options->zone[z].nr_frames;
	}
	/* The magics last: a segment without them was never finished. */
	shm_store(&state_header->magic, SHM_STATE_MAGIC);
	shm_store(&header->magic, SHM_META_MAGIC);
}

/* --- attach --------------------------------------------------------------------------------------
 */

static bool headers_match(const struct shm_meta_header *meta, uint64_t meta_bytes,
			  const struct shm_state_header *state, uint64_t state_bytes)
{
	struct shm_meta_header plan = *meta;
	struct shm_state_header state_plan = *state;

	if (meta_bytes < SHM_PAGE || state_bytes < SHM_PAGE || meta->magic != SHM_META_MAGIC ||
	    state->magic != SHM_STATE_MAGIC || meta->version != SHM_LAYOUT_VERSION ||
	    state->version != SHM_LAYOUT_VERSION || meta->instance_id != state->instance_id)
		return false;
	if (meta->page_shift < 12 || meta->page_shift > 16 || meta->nr_frames == 0 ||
	    meta->nr_zones < 1 || meta->nr_zones > SHM_MAX_ZONES)
		return false;
	shm_meta_plan(&plan, meta->nr_frames, meta->page_shift);
	shm_state_plan(&state_plan);
	return memcmp(&plan, meta, sizeof plan) == 0 &&
	       memcmp(&state_plan, state, sizeof state_plan) == 0 &&
	       meta->meta_bytes <= meta_bytes && state->state_bytes <= state_bytes &&
	       meta->state_bytes == state->state_bytes;
}

/* Zones tile [0, nr_frames) in order. */
static bool zones_match(const struct shm_meta_header *meta, const struct shm_zone *zones)
{
	uint32_t at = 0;

	for (uint32_t z = 0; z < meta->nr_zones; z++) {
		if (zones[z].start_pfn != at || zones[z].end_pfn <= at ||
		    zones[z].end_pfn > meta->nr_frames)
			return false;
		at = zones[z].end_pfn;
	}
	return at == meta->nr_frames;
}

static void bind_tables(struct pool *pool, void *meta, void *state)
{
	struct shm_meta_header *header = meta;
	struct shm_state_header *state_header = state;
	char *base = meta, *state_base = state;

	pool->meta = header;
	pool->counters = (uint64_t *)(void *)(base + header->counters_offset);
	pool->meta_clients = (struct shm_client *)(void *)(base + header->clients_offset);
	pool->caches = (struct shm_cache *)(void *)(base + header->caches_offset);
	pool->heads = base + header->heads_offset;
	pool->state = state_header;
	pool->status = (uint64_t *)(void *)(state_base + state_header->status_offset);
	pool->journal = (struct shm_journal *)(void *)(state_base + state_header->journal_offset);
	pool->edges = (struct shm_edge *)(void *)(state_base + state_header->edges_offset);
	pool->state_clients =
		(struct shm_state_client *)(void *)(state_base + state_header->clients_offset);
	pool->nr_frames = header->nr_frames;
	buddy_init(&pool->buddy, (struct shm_page *)(void *)(base + header->map_offset),
		   (uint8_t *)(base + header->pageblocks_offset),
		   (struct shm_zone *)(void *)(base + header->zones_offset), header->nr_zones,
		   header->nr_frames);
}

/* The mem_map of a range that zones divide was committed at creation; of any other when its block
 * was first split or given memory. */
static void find_ready_maps(struct pool *pool)
{
	memset(pool->map_ready, 0, sizeof pool->map_ready);
	pool->map_ready[0] = 1;
	for (uint64_t pfn = 0; pfn < pool->nr_frames; pfn += UINT64_C(1) << ORDER_MAX)
		if (page_get(pool->buddy.map, (pfn_t)pfn).order < ORDER_MAX ||
		    buddy_type(&pool->buddy, (pfn_t)pfn) != MIGRATE_HOLE)
			pool->map_ready[pfn >> ORDER_MAX] = 1;
}

static void set_watermarks(struct pool *pool, const struct pool_options *options)
{
	uint32_t shift = pool->meta->page_shift;
	uint64_t min_free = options->min_free_frames ? options->min_free_frames
						     : watermark_min_free(pool->nr_managed, shift);

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++) {
		struct shm_zone *zone = &pool->buddy.zones[z];
		struct watermarks marks =
			watermark_zone(zone->managed, pool->nr_managed, min_free,
				       options->watermark_scale ? options->watermark_scale
								: WATERMARK_SCALE_DEFAULT);

		shm_store(&zone->watermark_min, marks.min);
		shm_store(&zone->watermark_low, marks.low);
		shm_store(&zone->watermark_high, marks.high);
	}
}

int pool_attach(struct pool *pool, void *meta, uint64_t meta_bytes, void *state,
		uint64_t state_bytes, const struct pool_options *options, uint64_t *ret_bad)
{
	struct shm_meta_header *header = meta;
	struct shm_zone *zones;
	uint64_t bad;

	if (!headers_match(header, meta_bytes, state, state_bytes))
		return POOL_MISMATCH;
	zones = (struct shm_zone *)(void *)((char *)meta + header->zones_offset);
	if (!zones_match(header, zones))
		return POOL_MISMATCH;
	memset(pool, 0, offsetof(struct pool, claim));
	memset(pool->client, 0, sizeof pool->client);
	pool->no_run = ORDER_COUNT;
	bind_tables(pool, meta, state);
	if (!journal_replay(pool))
		return POOL_CORRUPT;
	find_ready_maps(pool);
	bad = recovery_run(pool);
	for (uint32_t z = 0; z < header->nr_zones; z++)
		pool->nr_managed += zones[z].managed;
	pool->batch =
		options->batch ? options->batch : pcp_batch(pool->nr_managed, header->page_shift);
	pool->max_high_divisor =
		options->max_high_divisor ? options->max_high_divisor : HIGH_DIVISOR_DEFAULT;
	pool->stock = options->commit_full ? pool->nr_managed
					   : bits_min(STOCK_FRAMES, pool->nr_managed / 8);
	set_watermarks(pool, options);
	shm_store(&header->epoch, header->epoch + 1);
	*ret_bad = bad;
	return 0;
}

/* --- zones ---------------------------------------------------------------------------------------
 */

uint64_t pool_nr_frames(const struct pool *pool)
{
	return pool->nr_frames;
}

/* Sum over the zones of one of their words. */
static uint64_t zone_sum(const struct pool *pool, size_t offset)
{
	uint64_t sum = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		sum += *(const uint64_t *)(const void *)((const char *)&pool->buddy.zones[z] +
							 offset);
	return sum;
}

uint64_t pool_nr_free(const struct pool *pool)
{
	uint64_t free = zone_sum(pool, offsetof(struct shm_zone, nr_free));

	return pool->commit_failed ? free - zone_sum(pool, offsetof(struct shm_zone, nr_hole))
				   : free;
}

uint64_t pool_watermark_min(const struct pool *pool)
{
	return zone_sum(pool, offsetof(struct shm_zone, watermark_min));
}

uint64_t pool_watermark_low(const struct pool *pool)
{
	return zone_sum(pool, offsetof(struct shm_zone, watermark_low));
}

uint64_t pool_watermark_high(const struct pool *pool)
{
	return zone_sum(pool, offsetof(struct shm_zone, watermark_high));
}

uint64_t pool_available(const struct pool *pool, uint32_t zone)
{
	const struct shm_zone *z = &pool->buddy.zones[zone];
	uint64_t free = pool->commit_failed ? z->nr_free - z->nr_hole : z->nr_free;

	return free > z->watermark_min ? free - z->watermark_min : 0;
}

int pool_shortage(const struct pool *pool, order_t order)
{
	if (pool->commit_failed)
		return POOL_NO_FRAMES;
	for (uint32_t zone = 0; zone < pool->buddy.nr_zones; zone++)
		if (pool_available(pool, zone) >= UINT64_C(1) << order &&
		    pool->buddy.zones[zone].nr_hole > 0 && order < pool->no_run)
			return POOL_NO_COMMIT;
	/* What is being committed is counted nowhere now, but will be free in a moment. */
	return pool->nr_commits > 0 ? POOL_NO_COMMIT : POOL_NO_FRAMES;
}

int pool_take_block(struct pool *pool, order_t order, enum migratetype type, pfn_t *ret_pfn)
{
	for (uint32_t zone = 0; zone < pool->buddy.nr_zones; zone++) {
		if (pool_available(pool, zone) < UINT64_C(1) << order)
			continue;
		if (buddy_take(&pool->buddy, zone, order, type, ret_pfn))
			return 0;
	}
	return pool_shortage(pool, order);
}

/* --- small readers and notes
 * ---------------------------------------------------------------------- */

void pool_count(struct pool *pool, enum counter counter, uint64_t n)
{
	pool_add(pool, counter, n);
}

struct shm_meta_header *pool_meta(struct pool *pool)
{
	return pool->meta;
}

struct shm_client *pool_client(struct pool *pool, client_id client)
{
	return pool_meta_client(pool, client);
}

struct shm_cache *pool_caches(struct pool *pool)
{
	return pool->caches;
}

void pool_note_bad_free(struct pool *pool, client_id client)
{
	shm_add(&pool_meta_client(pool, client)->nr_bad_free, 1);
	pool_add(pool, COUNTER_nr_bad_free, 1);
}

void pool_note_hostile(struct pool *pool, client_id client)
{
	shm_add(&pool_meta_client(pool, client)->nr_hostile, 1);
	pool_add(pool, COUNTER_hostile, 1);
	pool->nr_hostile += !pool->client[client].hostile;
	pool->client[client].hostile = true;
}

client_id pool_next_hostile(struct pool *pool)
{
	for (client_id id = 1; pool->nr_hostile && id <= SHM_MAX_CLIENTS; id++)
		if (pool->client[id].hostile) {
			pool->client[id].hostile = false;
			pool->nr_hostile--;
			return id;
		}
	return CLIENT_NONE;
}

void pool_publish(struct pool *pool)
{
	shm_store(&pool->counters[COUNTER_nr_free_pages],
		  zone_sum(pool, offsetof(struct shm_zone, nr_free)));
	shm_store(&pool->counters[COUNTER_nr_holes],
		  zone_sum(pool, offsetof(struct shm_zone, nr_hole)));
}
