/* tests/unit/test_resize.c - sizes: what is in use, what waits, and the way between them. */
#include "tests/support/fixture_pool.h"

#define MAX 8192u
#define CONFIGURED 4096u

static const struct pool_options half = {
	.nr_zones = 1,
	.batch = 16,
	.min_free_frames = 8,
	.zone[0] = {.name = "normal", .nr_frames = MAX, .nr_offline = MAX - CONFIGURED}};

static uint64_t managed(const struct fixture_pool *f)
{
	return f->pool->nr_managed;
}

/* Takes blocks of order until there is none; the pfns lie in pfn. */
static uint32_t take_all(struct fixture_pool *f, client_id client, order_t order, pfn_t *pfn)
{
	uint32_t n = 0;

	while (fixture_pool_try_alloc(f, client, order, &pfn[n]) == 0)
		n++;
	return n;
}

static void only_what_is_in_use_can_be_granted(void)
{
	struct fixture_pool f;
	pfn_t pfn[MAX >> 6];
	client_id client;
	uint32_t n;

	fixture_pool_open_with(&f, &half);
	FIXTURE_AUDIT(&f);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), CONFIGURED);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), CONFIGURED);
	CU_ASSERT_EQUAL(managed(&f), CONFIGURED);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	client = fixture_pool_client(&f, 0);
	n = take_all(&f, client, 6, pfn);
	CU_ASSERT_EQUAL(n, (CONFIGURED >> 6) - 1); /* the rest is kept by the watermark */
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT(pfn[i] < CONFIGURED);
	fixture_pool_close(&f);
}

static void growing_gives_holes(void)
{
	struct fixture_pool f;
	pfn_t pfn[MAX >> 6];
	client_id client;

	fixture_pool_open_with(&f, &half);
	client = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX), 0);
	CU_ASSERT_EQUAL(fixture_pool_settle_size(&f), 0);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), MAX);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), MAX);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	pool_client_set_max(f.pool, client, 0);
	CU_ASSERT_EQUAL(take_all(&f, client, 6, pfn), (MAX >> 6) - 1);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void shrinking_takes_what_is_free_and_its_memory(void)
{
	struct fixture_pool f;

	fixture_pool_open(&f, MAX);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, MAX);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CONFIGURED + 1), 0); /* whole pageblocks */
	CU_ASSERT_EQUAL(pool_size_wanted(f.pool), CONFIGURED + PAGEBLOCK_FRAMES);
	CU_ASSERT(fixture_pool_settle_size(&f) >= 1);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), CONFIGURED + PAGEBLOCK_FRAMES);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->committed_frames, CONFIGURED + PAGEBLOCK_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_pgpunch),
			(MAX - CONFIGURED) / PAGEBLOCK_FRAMES - 1);
	for (pfn_t at = CONFIGURED + PAGEBLOCK_FRAMES; at < MAX; at += PAGEBLOCK_FRAMES)
		CU_ASSERT_EQUAL(buddy_type(&f.pool->buddy, at), MIGRATE_HOLE);
	fixture_pool_close(&f);
}

static void what_is_in_use_goes_when_it_is_freed(void)
{
	struct fixture_pool f;
	pfn_t pfn[MAX];
	client_id client;
	uint32_t n, n_behind = 0;

	fixture_pool_open(&f, MAX);
	client = fixture_pool_client(&f, 0);
	n = take_all(&f, client, 0, pfn);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CONFIGURED), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT(pool_resize_is_under_way(f.pool));
	for (uint32_t i = 0; i < n; i++)
		n_behind += pfn[i] >= CONFIGURED;
	CU_ASSERT_EQUAL(pool_resize_left(f.pool), n_behind);
	for (uint32_t i = 0; i < n; i++)
		if (pfn[i] >= CONFIGURED)
			CU_ASSERT_EQUAL(fixture_pool_free(&f, client, pfn[i], 0), 0);
	CU_ASSERT_EQUAL(pool_resize_left(f.pool), 0);
	/* Nothing of it came back to the lists: the next request finds none. */
	CU_ASSERT_EQUAL(fixture_pool_try_alloc(&f, client, 0, &pfn[0]), POOL_NO_FRAMES);
	CU_ASSERT(fixture_pool_settle_size(&f) >= 1);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	CU_ASSERT_EQUAL(pool_size_online(f.pool), CONFIGURED);
	CU_ASSERT_EQUAL(page_get(f.pool->buddy.map, CONFIGURED).order, 12);
	fixture_pool_close(&f);
}

static void a_block_over_the_line_is_divided_when_it_is_freed(void)
{
	struct fixture_pool f;
	client_id client;
	pfn_t pfn;

	fixture_pool_open(&f, MAX);
	client = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, client, 12);
	CU_ASSERT_EQUAL(pool_resize(f.pool, pfn + 1024), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT(pool_resize_left(f.pool) >= 3072);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, client, pfn, 12), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), pfn + 1024);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), pfn + 1024);
	fixture_pool_close(&f);
}

static void what_magazines_hold_goes_when_it_is_stolen(void)
{
	struct fixture_pool f;
	client_id client;
	pfn_t pfn[MAX];
	uint32_t n;

	fixture_pool_open(&f, MAX);
	client = fixture_pool_client(&f, 0);
	n = take_all(&f, client, 6, pfn);
	for (uint32_t i = 0; i < n; i++)
		if (pfn[i] >= CONFIGURED)
			CU_ASSERT_EQUAL(fixture_pool_free(&f, client, pfn[i], 6), 0);
	CU_ASSERT(fixture_pool_refill(&f, client, 0, MAGAZINE_HOT) > 0);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CONFIGURED), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT(pool_resize_left(f.pool) > 0);
	CU_ASSERT(fixture_pool_steal(&f, client, 0, MAGAZINE_HOT, 1000) > 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	fixture_pool_close(&f);
}

static void a_new_server_goes_on_with_the_size_that_is_wanted(void)
{
	struct fixture_pool f;
	client_id client;
	pfn_t pfn;

	fixture_pool_open_with(&f, &half);
	client = fixture_pool_client(&f, 0);
	pfn = fixture_pool_alloc(&f, client, 0);
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX), 0);
	fixture_pool_reattach(&f);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), MAX);
	CU_ASSERT_EQUAL(fixture_pool_free(&f, client, pfn, 0), 0);
	/* The configuration has changed: its word counts. */
	f.options.zone[0].nr_offline = MAX - 2048;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(pool_size_wanted(f.pool), 2048);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), 2048);
	fixture_pool_close(&f);
}

static void a_punch_that_a_crash_cut_short_is_done_again(void)
{
	struct fixture_pool f;
	struct pool_commit commit, again;

	fixture_pool_open(&f, MAX);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX - PAGEBLOCK_FRAMES), 0);
	CU_ASSERT_FALSE(pool_resize_step(f.pool));
	CU_ASSERT_FATAL(pool_plan_resize(f.pool, &commit));
	CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_PUNCH);
	fixture_pool_reattach(&f);
	FIXTURE_AUDIT(&f);
	CU_ASSERT_FALSE(pool_resize_step(f.pool));
	CU_ASSERT_FATAL(pool_plan_resize(f.pool, &again));
	CU_ASSERT_EQUAL(again.pfn, commit.pfn);
	CU_ASSERT_EQUAL(again.order, commit.order);
	/* Meanwhile the size is wanted again: it comes back with the punch's end. */
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX), 0);
	pool_commit_done(f.pool, &again, true);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), MAX);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), MAX);
	fixture_pool_close(&f);
}

#define CHUNK (1u << ORDER_MAX)

/* Neither side may touch a mem_map that has no memory: map_ready says which has. */
static void growing_waits_for_a_punch_under_way(void)
{
	struct pool_commit punch;
	struct fixture_pool f;

	fixture_pool_open(&f, MAX);
	fixture_pool_commit_all(&f);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CONFIGURED), 0);
	while (pool_resize_step(f.pool))
		;
	CU_ASSERT_FATAL(pool_plan_resize(f.pool, &punch));
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX), 0);
	while (pool_resize_step(f.pool))
		;
	CU_ASSERT(pool_size_online(f.pool) < MAX);
	pool_commit_done(f.pool, &punch, true);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), MAX);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	fixture_pool_close(&f);
}

static void a_chunk_is_divided_when_its_map_has_memory(void)
{
	struct pool_options options = {
		.nr_zones = 1,
		.batch = 16,
		.zone[0] = {.name = "n", .nr_frames = 3 * CHUNK, .nr_offline = 2 * CHUNK}};
	struct pool_commit commit;
	struct fixture_pool f;

	fixture_pool_open_with(&f, &options);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CHUNK + 1024), 0);
	CU_ASSERT_FALSE(pool_resize_step(f.pool));
	CU_ASSERT_EQUAL(pool_size_online(f.pool), CHUNK);
	CU_ASSERT_FATAL(pool_plan_resize(f.pool, &commit));
	CU_ASSERT_EQUAL(commit.kind, POOL_COMMIT_MAP);
	CU_ASSERT_EQUAL(commit.pfn, CHUNK);
	CU_ASSERT_FALSE(pool_plan_resize(f.pool, &commit));
	pool_commit_done(f.pool, &commit, false); /* no memory: later */
	CU_ASSERT_FALSE(pool_resize_step(f.pool));
	CU_ASSERT_FALSE(pool_plan_resize(f.pool, &commit));
	pool_tick(f.pool);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_size_online(f.pool), CHUNK + 1024);
	/* Back, over a chunk that is FREE and whole. */
	CU_ASSERT_EQUAL(pool_resize(f.pool, 3 * CHUNK), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 3 * CHUNK);
	CU_ASSERT_EQUAL(pool_resize(f.pool, 2 * CHUNK + 512), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 2 * CHUNK + 512);
	CU_ASSERT_FALSE(pool_resize_is_under_way(f.pool));
	fixture_pool_close(&f);
}

static uint64_t zone_managed(const struct fixture_pool *f, uint32_t zone)
{
	return f->pool->buddy.zones[zone].managed;
}

static void the_last_zone_changes_first(void)
{
	struct pool_options options = {
		.nr_zones = 2,
		.batch = 16,
		.zone = {{.name = "a", .nr_frames = 4096, .nr_offline = 2048},
			 {.name = "b", .nr_frames = 4096, .nr_offline = 2048}}};
	struct fixture_pool f;

	fixture_pool_open_with(&f, &options);
	CU_ASSERT_EQUAL(pool_resize(f.pool, 7168), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(zone_managed(&f, 0), 3072);
	CU_ASSERT_EQUAL(zone_managed(&f, 1), 4096);
	CU_ASSERT_EQUAL(pool_resize(f.pool, 1536), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(zone_managed(&f, 0), 1024);
	CU_ASSERT_EQUAL(zone_managed(&f, 1), 512);
	CU_ASSERT_EQUAL(pool_size_min(f.pool), 1024);
	CU_ASSERT_EQUAL(pool_resize(f.pool, 1023), POOL_BAD_SIZE);
	CU_ASSERT_EQUAL(pool_resize(f.pool, 8193), POOL_BAD_SIZE);
	CU_ASSERT_EQUAL(pool_size_wanted(f.pool), 1536);
	fixture_pool_close(&f);
}

static void watermarks_follow_the_size(void)
{
	struct fixture_pool f;
	uint64_t high;

	fixture_pool_open_with(&f, &half);
	f.options.min_free_frames = 0;
	fixture_pool_reattach(&f);
	high = pool_watermark_high(f.pool);
	CU_ASSERT_EQUAL(pool_resize(f.pool, MAX), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT(pool_watermark_high(f.pool) > high);
	f.options.min_free_percent = 10;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(pool_watermark_min(f.pool), MAX / 10);
	CU_ASSERT_EQUAL(pool_resize(f.pool, CONFIGURED), 0);
	(void)fixture_pool_settle_size(&f);
	CU_ASSERT_EQUAL(pool_watermark_min(f.pool), CONFIGURED / 10);
	fixture_pool_close(&f);
}

CU_TestInfo test_resize[] = {
	{"only what is in use can be granted", only_what_is_in_use_can_be_granted},
	{"growing gives holes", growing_gives_holes},
	{"shrinking takes what is free and its memory",
	 shrinking_takes_what_is_free_and_its_memory},
	{"what is in use goes when it is freed", what_is_in_use_goes_when_it_is_freed},
	{"a block over the line is divided when it is freed",
	 a_block_over_the_line_is_divided_when_it_is_freed},
	{"what magazines hold goes when it is stolen", what_magazines_hold_goes_when_it_is_stolen},
	{"a new server goes on with the size that is wanted",
	 a_new_server_goes_on_with_the_size_that_is_wanted},
	{"a punch that a crash cut short is done again",
	 a_punch_that_a_crash_cut_short_is_done_again},
	{"growing waits for a punch under way", growing_waits_for_a_punch_under_way},
	{"a chunk is divided when its map has memory", a_chunk_is_divided_when_its_map_has_memory},
	{"the last zone changes first", the_last_zone_changes_first},
	{"watermarks follow the size", watermarks_follow_the_size},
	CU_TEST_INFO_NULL,
};
