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

	uint32_t online = options->nr_frames - options->nr_offline;

	*zone = (struct shm_zone){.start_pfn = start,
				  .end_pfn = start + options->nr_frames,
				  .managed = online,
				  .base_frames = online};
	memcpy(zone->name, options->name, sizeof zone->name);
	for (pfn_t pfn = start; pfn < zone->end_pfn;) {
		bool in_use = pfn < start + online;
		order_t order = buddy_fit(pfn, in_use ? start + online : zone->end_pfn);

		page_set(map, pfn,
			 (struct page_word){.state = in_use ? PAGE_FREE : PAGE_RESERVED,
					    .order = order});
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
	state_header->edges_given = options->edges_given;
	zones = (struct shm_zone *)(void *)((char *)meta + header->zones_offset);
	nr_frames = 0;
	for (uint32_t z = 0; z < options->nr_zones; z++) {
		format_zone(meta, header, &zones[z], &options->zone[z], nr_frames);
		nr_frames += options->zone[z].nr_frames;
		header->wanted_frames += zones[z].base_frames;
	}
	header->configured_frames = header->wanted_frames;
	header->online_frames = header->wanted_frames;
	/* The magics last: a segment without them was never finished. */
	shm_store(&state_header->magic, SHM_STATE_MAGIC);
	shm_store(&header->magic, SHM_META_MAGIC);
}

/* --- attach --------------------------------------------------------------------------------------
 */

/* The sizes and offsets: are they what they would be in a segment of ours that large? */
static bool plans_match(const struct shm_meta_header *meta, uint64_t meta_bytes,
			const struct shm_state_header *state, uint64_t state_bytes)
{
	struct shm_meta_header plan = *meta;
	struct shm_state_header state_plan = *state;

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

const char *pool_mismatch(const void *meta, uint64_t meta_bytes, const void *state,
			  uint64_t state_bytes)
{
	const struct shm_meta_header *header = meta;
	const struct shm_state_header *state_header = state;

	if (meta_bytes < SHM_PAGE || header->magic != SHM_META_MAGIC)
		return "META is no META of paged";
	if (state_bytes < SHM_PAGE || state_header->magic != SHM_STATE_MAGIC)
		return "STATE is no STATE of paged";
	if (header->version != SHM_LAYOUT_VERSION || state_header->version != SHM_LAYOUT_VERSION)
		return "META or STATE has another layout version";
	if (header->instance_id != state_header->instance_id)
		return "STATE is not of the same segment as META";
	if (!plans_match(header, meta_bytes, state_header, state_bytes))
		return "the sizes in the headers of META and STATE do not fit";
	if (!zones_match(header, (const struct shm_zone *)(const void *)((const char *)meta +
									 header->zones_offset)))
		return "the zones do not fill the segment";
	return NULL;
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
	pool->edges_end = SHM_MAX_EDGES;
	if (state_header->edges_given)
		pool->edges_end = (uint32_t)bits_min(state_header->edges_given, SHM_MAX_EDGES);
	pool->nr_frames = header->nr_frames;
	buddy_init(&pool->buddy, (struct shm_page *)(void *)(base + header->map_offset),
		   (uint8_t *)(base + header->pageblocks_offset),
		   (struct shm_zone *)(void *)(base + header->zones_offset), header->nr_zones,
		   header->nr_frames);
}

/* A type that there is not would lead out of the lists. As a hole its free frames get memory
 * (again) before they are granted. And a server that died in a commit or a punch may not have come
 * to count it. */
static void mend_types(struct pool *pool)
{
	uint64_t committed = 0;

	for (uint64_t pfn = 0; pfn < pool->nr_frames; pfn += PAGEBLOCK_FRAMES) {
		uint8_t *type = &pool->buddy.pageblocks[pfn >> PAGEBLOCK_ORDER];

		if (*type >= MIGRATE_TYPES) {
			*type = MIGRATE_HOLE;
			pool_note_damage(&pool->damage.types, (pfn_t)pfn, 1);
		}
		if (*type != MIGRATE_HOLE)
			committed += bits_min(PAGEBLOCK_FRAMES, pool->nr_frames - pfn);
	}
	shm_store(&pool->meta->committed_frames, committed);
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

static void set_watermarks(struct pool *pool)
{
	uint32_t shift = pool->meta->page_shift;
	uint64_t min_free = pool->min_free_frames;

	if (pool->min_free_percent)
		min_free = pool->nr_managed * pool->min_free_percent / 100;
	if (min_free == 0)
		min_free = watermark_min_free(pool->nr_managed, shift);
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++) {
		struct shm_zone *zone = &pool->buddy.zones[z];
		struct watermarks marks = watermark_zone(zone->managed, pool->nr_managed, min_free,
							 pool->watermark_scale);

		shm_store(&zone->watermark_min, marks.min);
		shm_store(&zone->watermark_low, marks.low);
		shm_store(&zone->watermark_high, marks.high);
	}
}

static void set_stock(struct pool *pool)
{
	uint64_t wanted =
		pool->commit_full ? pool->nr_managed : bits_min(STOCK_FRAMES, pool->nr_managed / 8);
	bool squeezed = pool->stock < pool->stock_wanted;

	pool->stock_wanted = wanted;
	pool->stock = squeezed ? bits_min(pool->stock, wanted) : wanted;
}

void pool_follow_size(struct pool *pool)
{
	uint64_t managed = 0, online = pool->nr_frames;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++) {
		managed += pool->buddy.zones[z].managed;
		online -= pool->buddy.nr_reserved[z];
	}
	shm_store32(&pool->meta->online_frames, (uint32_t)online);
	if (managed == pool->nr_managed || managed == 0)
		return;
	pool->nr_managed = managed;
	pool->batch = pool->batch_wanted ? pool->batch_wanted
					 : pcp_batch(managed, pool->meta->page_shift);
	set_stock(pool);
	set_watermarks(pool);
	pool->no_run = ORDER_COUNT;
}

static void keep_options(struct pool *pool, const struct pool_options *options)
{
	pool->min_free_frames = options->min_free_frames;
	pool->min_free_percent = options->min_free_percent;
	pool->watermark_scale =
		options->watermark_scale ? options->watermark_scale : WATERMARK_SCALE_DEFAULT;
	pool->batch_wanted = options->batch;
	pool->max_high_divisor =
		options->max_high_divisor ? options->max_high_divisor : HIGH_DIVISOR_DEFAULT;
	pool->commit_full = options->commit_full;
}

int pool_attach(struct pool *pool, void *meta, uint64_t meta_bytes, void *state,
		uint64_t state_bytes, const struct pool_options *options, uint64_t *ret_bad)
{
	struct shm_meta_header *header = meta;
	uint64_t bad;

	if (pool_mismatch(meta, meta_bytes, state, state_bytes))
		return POOL_MISMATCH;
	memset(pool, 0, offsetof(struct pool, claim));
	memset(pool->client, 0, sizeof pool->client);
	pool->no_run = ORDER_COUNT;
	bind_tables(pool, meta, state);
	if (!journal_replay(pool))
		return POOL_CORRUPT;
	mend_types(pool);
	find_ready_maps(pool);
	keep_options(pool, options);
	resize_draw(pool, options);
	zonelist_init(pool, options);
	pool->compact.phase = COMPACT_IDLE;
	bad = recovery_run(pool);
	pool_follow_size(pool);
	if (pool->nr_managed == 0)
		return POOL_CORRUPT;
	resize_go_on(pool);
	quota_sum_weights(pool);
	victim_init(pool);
	pool->compact_runs = COMPACT_RUNS;
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

uint64_t pool_nr_managed(const struct pool *pool)
{
	return pool->nr_managed;
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

int pool_shortage(struct pool *pool, client_id client, order_t order)
{
	struct zonelist list = zonelist_of(pool, client);

	if (pool->commit_failed)
		return POOL_NO_FRAMES;
	for (uint32_t i = 0; i < list.n; i++)
		if (zonelist_room(pool, &list, i) >= UINT64_C(1) << order &&
		    pool->buddy.zones[list.zone[i]].nr_hole > 0 && order < pool->no_run) {
			pool->commit_zone = list.zone[i];
			return POOL_NO_COMMIT;
		}
	/* What is being committed is counted nowhere now, but will be free in a moment. */
	return pool->nr_commits > 0 ? POOL_NO_COMMIT : POOL_NO_FRAMES;
}

int pool_take_block(struct pool *pool, client_id client, order_t order, enum migratetype type,
		    pfn_t *ret_pfn)
{
	struct zonelist list = zonelist_of(pool, client);

	for (uint32_t i = 0; i < list.n; i++) {
		if (zonelist_room(pool, &list, i) < UINT64_C(1) << order)
			continue;
		if (buddy_take(&pool->buddy, list.zone[i], order, type, ret_pfn))
			return 0;
	}
	return pool_shortage(pool, client, order);
}

/* --- small readers and notes
 * ---------------------------------------------------------------------- */

void pool_count(struct pool *pool, enum counter counter, uint64_t n)
{
	pool_add(pool, counter, n);
}

const struct pool_damage *pool_damage(const struct pool *pool)
{
	return &pool->damage;
}

struct shm_meta_header *pool_meta(struct pool *pool)
{
	return pool->meta;
}

struct shm_client *pool_client(struct pool *pool, client_id client)
{
	return pool_meta_client(pool, client);
}

struct shm_zone *pool_zone(struct pool *pool, uint32_t zone)
{
	PAGED_CHECK(zone < pool->buddy.nr_zones);
	return &pool->buddy.zones[zone];
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

/* Frames of the largest free block, holes too. */
static uint64_t largest_free(const struct pool *pool)
{
	for (order_t order = ORDER_COUNT; order-- > 0;)
		for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
			for (uint32_t t = 0; t < MIGRATE_TYPES; t++)
				if (pool->buddy.zones[z].nr_blocks[order][t])
					return UINT64_C(1) << order;
	return 0;
}

void pool_publish(struct pool *pool)
{
	pool_follow_size(pool);
	shm_store(&pool->counters[COUNTER_nr_free_pages],
		  zone_sum(pool, offsetof(struct shm_zone, nr_free)));
	shm_store(&pool->counters[COUNTER_nr_holes],
		  zone_sum(pool, offsetof(struct shm_zone, nr_hole)));
	shm_store(&pool->meta->largest_free, largest_free(pool));
}
