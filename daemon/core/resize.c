/* daemon/core/resize.c - how many frames are in use, and the way from one number to another.
 *
 * META, the mem_map in it and DATA are made for nr_frames, [segment] size_max. wanted_frames in
 * META's header is the one word that says how many of them shall be in use; which of them follows
 * from it by line_of() alone, so nothing else has to survive a crash. From the line in each zone to
 * its end all frames shall be RESERVED, and none below it.
 *
 * One walk over the heads behind the lower of the old and the new line does what can be done at
 * once, in slices. Going up, it makes RESERVED blocks FREE holes, which are committed when they are
 * used. Going down, it takes the FREE blocks; whose turn comes later go out of use when they are
 * freed, by buddy_give(), so that the walk need not come back. Nothing is moved and no client is
 * disturbed: while frames behind the line are somebody's, the session asks reclaim for them.
 *
 * Which zone changes? The configured sizes are the base; the difference goes to the last zone as
 * far as that can take it, then to the one before. So the same size always means the same zones,
 * whatever the way there was. */
#include "daemon/core/pool_private.h"

#include "paged/bits.h"

/* Heads that a slice of the walk looks at. Lower: more steps; higher: others wait longer than 0.3
 * ms. */
#define RESIZE_SLICE 8192u
/* As PUNCH_ORDER_MAX in punch.c, and for the same reasons. */
#define RESIZE_PUNCH_ORDER_MAX (PAGEBLOCK_ORDER + 4u)

/* --- the lines -----------------------------------------------------------------------------------
 */

static uint64_t zone_frames(const struct shm_zone *zone)
{
	return zone->end_pfn - zone->start_pfn;
}

/* Of a zone that had any a pageblock stays. */
static uint64_t least_of(const struct shm_zone *zone)
{
	return bits_min(zone->base_frames, PAGEBLOCK_FRAMES);
}

static uint64_t base_sum(const struct pool *pool)
{
	uint64_t sum = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		sum += pool->buddy.zones[z].base_frames;
	return sum;
}

/* Where zone ends if n_frames are in use: the difference from the base is what the zones behind it
 * leave over. */
static pfn_t line_of(const struct pool *pool, uint32_t zone, uint64_t n_frames)
{
	const struct shm_zone *zones = pool->buddy.zones;
	uint64_t base = base_sum(pool), size = 0, line;
	uint64_t more = n_frames > base ? n_frames - base : 0;
	uint64_t less = n_frames < base ? base - n_frames : 0;

	for (uint32_t z = pool->buddy.nr_zones; z-- > zone;) {
		uint64_t up = bits_min(more, zone_frames(&zones[z]) - zones[z].base_frames);
		uint64_t down = bits_min(less, zones[z].base_frames - least_of(&zones[z]));

		more -= up;
		less -= down;
		size = zones[z].base_frames + up - down;
	}
	line = bits_align_up(zones[zone].start_pfn + size, PAGEBLOCK_FRAMES);
	return size ? (pfn_t)bits_min(line, zones[zone].end_pfn) : zones[zone].start_pfn;
}

static void draw_lines(struct pool *pool)
{
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		pool->buddy.offline_from[z] = line_of(pool, z, pool->meta->wanted_frames);
}

static uint64_t options_size(const struct pool_options *options)
{
	uint64_t sum = 0;

	for (uint32_t z = 0; z < options->nr_zones; z++)
		sum += options->zone[z].nr_frames - options->zone[z].nr_offline;
	return sum;
}

void resize_draw(struct pool *pool, const struct pool_options *options)
{
	struct shm_zone *zones = pool->buddy.zones;
	uint64_t configured = options_size(options);

	/* A size that is configured anew counts more than what an administrator wanted before. */
	if (options->nr_zones == pool->buddy.nr_zones) {
		for (uint32_t z = 0; z < options->nr_zones; z++)
			shm_store32(&zones[z].base_frames,
				    options->zone[z].nr_frames - options->zone[z].nr_offline);
		if (configured != pool->meta->configured_frames)
			shm_store32(&pool->meta->wanted_frames, (uint32_t)configured);
		shm_store32(&pool->meta->configured_frames, (uint32_t)configured);
	}
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		if (zones[z].base_frames > zone_frames(&zones[z]))
			shm_store32(&zones[z].base_frames, (uint32_t)zone_frames(&zones[z]));
	shm_store32(&pool->meta->wanted_frames,
		    (uint32_t)bits_clamp(pool->meta->wanted_frames, pool_size_min(pool),
					 pool->nr_frames));
	draw_lines(pool);
	pool->buddy.map_ready = pool->map_ready;
}

/* --- what is wanted ------------------------------------------------------------------------------
 */

uint64_t pool_size_min(const struct pool *pool)
{
	uint64_t sum = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		sum += least_of(&pool->buddy.zones[z]);
	return bits_max(sum, 1);
}

uint64_t pool_size_wanted(const struct pool *pool)
{
	return pool->meta->wanted_frames;
}

uint64_t pool_size_online(const struct pool *pool)
{
	return pool->meta->online_frames;
}

/* The walk has nothing to do below that. */
static pfn_t walk_start(const struct pool *pool, uint32_t zone)
{
	return (pfn_t)bits_min(pool->buddy.offline_from[zone], pool->buddy.reserved_from[zone]);
}

static void begin_walk(struct pool *pool)
{
	pool->resize.walking = true;
	pool->resize.waits_for_map = false;
	pool->resize.zone = 0;
	pool->resize.at = 0;
	pool->resize.nr_bad_so_far = 0;
}

int pool_resize(struct pool *pool, uint64_t n_frames)
{
	uint64_t wanted = bits_min(bits_align_up(n_frames, PAGEBLOCK_FRAMES), pool->nr_frames);

	if (n_frames < pool_size_min(pool) || n_frames > pool->nr_frames)
		return POOL_BAD_SIZE;
	shm_store32(&pool->meta->wanted_frames, (uint32_t)wanted);
	draw_lines(pool);
	begin_walk(pool);
	return 0;
}

bool pool_resize_range(const struct pool *pool, uint32_t zone, pfn_t *ret_from, pfn_t *ret_to)
{
	if (zone >= pool->buddy.nr_zones ||
	    pool->buddy.offline_from[zone] == pool->buddy.zones[zone].end_pfn)
		return false;
	*ret_from = pool->buddy.offline_from[zone];
	*ret_to = pool->buddy.zones[zone].end_pfn;
	return true;
}

/* Frames of zone that are not yet on the side of the line where they belong. */
static uint64_t zone_left(const struct pool *pool, uint32_t zone)
{
	uint64_t behind = pool->buddy.zones[zone].end_pfn - pool->buddy.offline_from[zone];
	uint64_t out = pool->buddy.nr_reserved[zone];

	return behind > out ? behind - out : out - behind;
}

uint64_t pool_resize_left(const struct pool *pool)
{
	uint64_t sum = 0;

	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		sum += zone_left(pool, z);
	return sum > pool->resize.nr_bad ? sum - pool->resize.nr_bad : 0;
}

bool pool_resize_is_under_way(const struct pool *pool)
{
	return pool->resize.walking || pool->buddy.to_punch != PFN_NONE || pool_resize_left(pool);
}

void resize_go_on(struct pool *pool)
{
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		if (walk_start(pool, z) < pool->buddy.zones[z].end_pfn)
			begin_walk(pool);
}

void resize_map_ended(struct pool *pool)
{
	pool->resize.mapping = false;
	pool->resize.waits_for_map = false;
	/* A whole chunk that was isolated for it may have come back behind the walk. */
	if (!pool->resize.walking && pool_resize_left(pool))
		resize_go_on(pool);
}

void resize_punch_ended(struct pool *pool, pfn_t pfn)
{
	uint32_t zone = buddy_zone_of(&pool->buddy, pfn);

	buddy_end_punch(&pool->buddy, pfn);
	if (pfn < pool->buddy.offline_from[zone])
		resize_go_on(pool);
}

/* --- the walk ------------------------------------------------------------------------------------
 */

enum visit { VISIT_DONE, VISIT_AGAIN, VISIT_NEEDS_MAP };

/* The block at pfn, of which some frames are on either side of the line. */
static enum visit divide(struct pool *pool, uint32_t zone, pfn_t pfn, struct page_word word)
{
	struct buddy *buddy = &pool->buddy;

	if (!pool->map_ready[pfn >> ORDER_MAX])
		return VISIT_NEEDS_MAP;
	if (word.state == PAGE_FREE)
		buddy_remove(buddy, pfn);
	else
		buddy_unlist(buddy, pfn);
	buddy_divide(buddy, zone, pfn);
	return VISIT_AGAIN;
}

static enum visit visit(struct pool *pool, uint32_t zone, pfn_t pfn, struct page_word word)
{
	struct buddy *buddy = &pool->buddy;
	pfn_t line = buddy->offline_from[zone];

	if (word.state == PAGE_BAD && pfn >= line)
		pool->resize.nr_bad_so_far += UINT64_C(1) << word.order;
	/* An ISOLATED one is the shell's: it comes here by buddy_give(), or when its punch ends. */
	if (word.flags || (word.state != PAGE_FREE && word.state != PAGE_RESERVED))
		return VISIT_DONE;
	if (pfn < line && line < pfn + (UINT64_C(1) << word.order))
		return divide(pool, zone, pfn, word);
	if (word.state == PAGE_FREE && pfn >= line) {
		buddy_remove(buddy, pfn);
		buddy_reserve(buddy, zone, pfn);
	} else if (word.state == PAGE_RESERVED && pfn < line) {
		buddy_unreserve(buddy, zone, pfn);
	}
	return VISIT_DONE;
}

/* The zone is through: below its line nothing is out of use. */
static void next_zone(struct pool *pool)
{
	struct resize *resize = &pool->resize;
	struct buddy *buddy = &pool->buddy;

	buddy->reserved_from[resize->zone] = (pfn_t)bits_max(buddy->reserved_from[resize->zone],
							     buddy->offline_from[resize->zone]);
	resize->at = 0;
	if (++resize->zone < buddy->nr_zones)
		return;
	resize->walking = false;
	resize->nr_bad = resize->nr_bad_so_far;
}

/* One head. */
static void advance(struct pool *pool)
{
	struct resize *resize = &pool->resize;
	pfn_t pfn = (pfn_t)bits_max(resize->at, walk_start(pool, resize->zone));
	struct page_word word;

	if (pfn >= pool->buddy.zones[resize->zone].end_pfn) {
		next_zone(pool);
		return;
	}
	pfn = page_head(pool->buddy.map, pfn);
	word = page_get(pool->buddy.map, pfn);
	resize->at = pfn;
	switch (visit(pool, resize->zone, pfn, word)) {
	case VISIT_DONE:
		resize->at = pfn + (1u << word.order);
		break;
	case VISIT_AGAIN:
		break;
	case VISIT_NEEDS_MAP:
		resize->waits_for_map = true;
		break;
	}
}

bool pool_resize_step(struct pool *pool)
{
	struct resize *resize = &pool->resize;

	for (uint32_t n = 0; n < RESIZE_SLICE && resize->walking && !resize->waits_for_map; n++)
		advance(pool);
	pool_follow_size(pool);
	return resize->walking && !resize->waits_for_map;
}

/* --- what the shell does for it ------------------------------------------------------------------
 */

/* The mem_map of the chunk that the line divides. */
static bool plan_map(struct pool *pool, struct pool_commit *ret_commit)
{
	struct resize *resize = &pool->resize;
	pfn_t pfn = resize->at;
	struct page_word word;

	if (!resize->walking || !resize->waits_for_map || resize->mapping || pool->commit_failed)
		return false;
	word = page_get(pool->buddy.map, pfn);
	if (word.flags) /* somebody else's MAP of the same chunk */
		return false;
	if (word.state == PAGE_FREE)
		buddy_isolate(&pool->buddy, pfn);
	resize->mapping = true;
	*ret_commit = (struct pool_commit){POOL_COMMIT_MAP, pfn & ~((1u << ORDER_MAX) - 1),
					   ORDER_MAX, MIGRATE_UNMOVABLE};
	return true;
}

bool pool_plan_resize(struct pool *pool, struct pool_commit *ret_commit)
{
	order_t order;
	pfn_t pfn;

	if (pool->nr_commits >= POOL_MAX_COMMITS)
		return false;
	if (plan_map(pool, ret_commit)) {
		pool->nr_commits++;
		return true;
	}
	if (!buddy_begin_punch(&pool->buddy, RESIZE_PUNCH_ORDER_MAX, &pool->meta->committed_frames,
			       &pfn, &order))
		return false;
	*ret_commit = (struct pool_commit){POOL_COMMIT_PUNCH, pfn, order, MIGRATE_HOLE};
	pool->nr_commits++;
	return true;
}
