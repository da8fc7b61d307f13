/* tests/unit/test_recovery.c - daemon/core/recovery: the next server finds all that the last one
 * committed.
 *
 * The states that a crash can leave between two stores are tried one by one in tests/model; here
 * they are made by hand, and so is damage that no crash leaves. */
#include "tests/support/claim_all.h"
#include "tests/support/fixture_pool.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS 4u

struct fixture {
	struct fixture_pool pool;
	client_id client[CLIENTS];
	uint64_t random;
};

static void setup(struct fixture *f, uint32_t nr_frames)
{
	fixture_pool_open(&f->pool, nr_frames);
	for (uint32_t i = 0; i < CLIENTS; i++)
		f->client[i] = fixture_pool_client(&f->pool, 0);
	f->random = 4711;
}

static struct shm_page *map(struct fixture *f)
{
	return f->pool.pool->buddy.map;
}

/* What must be the same before and after: word by word, all that is in use. */
static bool in_use(struct page_word word)
{
	return word.state == PAGE_OWNED || word.state == PAGE_SHARED;
}

static void some_history(struct fixture *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		client_id client = f->client[fixture_random(&f->random) % CLIENTS];
		uint32_t magazine = fixture_random(&f->random) % MAGAZINE_COUNT;
		uint32_t what = fixture_random(&f->random) % 10;
		pfn_t pfn = PFN_NONE;
		uint64_t handle;

		if (what < 4) {
			(void)fixture_pool_try_alloc(&f->pool, client,
						     fixture_random(&f->random) % 10, &pfn);
			if (what == 0 && pfn != PFN_NONE)
				(void)fixture_pool_share(&f->pool, client, pfn, CLIENT_NONE,
							 &handle);
		} else if (what < 6) {
			(void)fixture_pool_refill(&f->pool, client, 0, magazine);
		} else if (what < 9) {
			pfn = fixture_pool_pop(&f->pool, client, 0, MAGAZINE_HOT);
			if (pfn != PFN_NONE)
				(void)fixture_pool_free(&f->pool, client, pfn, 0);
		} else {
			(void)fixture_pool_steal(&f->pool, client, 0, magazine, UINT64_MAX);
		}
	}
}

static void every_state_of_a_random_history_comes_back_as_it_was(void)
{
	struct fixture f;
	struct page_word *before;

	setup(&f, 5000);
	before = calloc(5000, sizeof *before);
	CU_ASSERT_PTR_NOT_NULL_FATAL(before);
	for (uint32_t round = 0; round < 60; round++) {
		uint64_t owned[CLIENTS];

		some_history(&f, 20);
		for (pfn_t pfn = 0; pfn < 5000; pfn++)
			before[pfn] = fixture_pool_word(&f.pool, pfn);
		for (uint32_t i = 0; i < CLIENTS; i++)
			owned[i] = fixture_pool_owned(&f.pool, f.client[i]);
		fixture_pool_reattach(&f.pool);
		CU_ASSERT_EQUAL(f.pool.nr_bad, 0);
		for (pfn_t pfn = 0; pfn < 5000; pfn++)
			if (in_use(before[pfn]) || in_use(fixture_pool_word(&f.pool, pfn)))
				CU_ASSERT_EQUAL(page_word_pack(before[pfn]),
						page_word_pack(fixture_pool_word(&f.pool, pfn)));
		for (uint32_t i = 0; i < CLIENTS; i++)
			CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.client[i]), owned[i]);
		FIXTURE_AUDIT(&f.pool);
	}
	free(before);
	for (uint32_t i = 0; i < CLIENTS; i++)
		fixture_pool_kill(&f.pool, f.client[i]);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 5000);
	fixture_pool_close(&f.pool);
}

static void free_buddies_that_a_crash_kept_apart_merge(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f, 4096);
	fixture_pool_commit_all(&f.pool);
	pfn = fixture_pool_alloc(&f.pool, f.client[0], 0);
	/* The word is FREE, and then the server died before it merged. */
	page_set(map(&f), pfn, page_free_word(map(&f), pfn, 0));
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].nr_blocks[12][MIGRATE_UNMOVABLE], 1);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_split_without_its_last_store_never_happened(void)
{
	struct fixture f;

	setup(&f, 4096);
	fixture_pool_commit_all(&f.pool);
	/* The upper heads are written, the lower head still says order 12. */
	for (order_t order = 0; order < 12; order++)
		page_set(map(&f), 1u << order,
			 (struct page_word){.state = PAGE_FREE, .order = order});
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].nr_blocks[12][MIGRATE_UNMOVABLE], 1);
	CU_ASSERT_EQUAL(f.pool.nr_bad, 0);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_merge_after_its_first_store_has_happened(void)
{
	struct fixture f;
	pfn_t a, b;

	setup(&f, 1024);
	fixture_pool_commit_all(&f.pool);
	a = fixture_pool_alloc(&f.pool, f.client[0], 9);
	b = a ^ 512;
	/* a and b are FREE of order 9; the lower says order 10 already, the upper is no TAIL yet.
	 */
	page_set(map(&f), b, (struct page_word){.state = PAGE_FREE, .order = 9});
	page_set(map(&f), a & ~1023u, (struct page_word){.state = PAGE_FREE, .order = 10});
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].nr_blocks[10][MIGRATE_UNMOVABLE], 1);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 1024);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_claim_that_was_not_settled_goes_back_to_its_owner(void)
{
	struct fixture f;
	uint64_t top, n;

	setup(&f, 4096);
	n = fixture_pool_refill(&f.pool, f.client[0], 0, MAGAZINE_HOT);
	top = pool_head(f.pool.pool, f.client[0], 0, MAGAZINE_HOT)->top;
	CU_ASSERT_EQUAL(claim_all(f.pool.pool, CLIENT_NONE, false), 1);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_head(f.pool.pool, f.client[0], 0, MAGAZINE_HOT)->top, top);
	CU_ASSERT_EQUAL(fixture_pool_count(&f.pool, f.client[0], 0, MAGAZINE_HOT), n);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void a_saved_top_without_its_claim_changes_nothing(void)
{
	struct fixture f;
	uint64_t top;

	setup(&f, 4096);
	(void)fixture_pool_refill(&f.pool, f.client[0], 1, MAGAZINE_COLD);
	top = pool_head(f.pool.pool, f.client[0], 1, MAGAZINE_COLD)->top;
	*pool_saved_top(f.pool.pool, f.client[0], 1, MAGAZINE_COLD) = top;
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_head(f.pool.pool, f.client[0], 1, MAGAZINE_COLD)->top, top);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void an_edge_that_names_no_shared_block_goes(void)
{
	struct fixture f;
	uint64_t handle;
	pfn_t pfn;

	setup(&f, 4096);
	pfn = fixture_pool_alloc(&f.pool, f.client[0], 1);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.client[0], pfn, CLIENT_NONE, &handle), 0);
	f.pool.pool->edges[7] = (struct shm_edge){.frame = handle + 1, .client = f.client[1]};
	f.pool.pool->edges[8] = (struct shm_edge){.frame = UINT64_MAX, .client = f.client[1]};
	f.pool.pool->edges[9] = (struct shm_edge){.frame = handle, .client = 900};
	f.pool.pool->edges[10] = (struct shm_edge){.frame = handle, .client = UINT64_MAX};
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(edge_count(f.pool.pool, pfn, (uint32_t)handle), 1);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.client[1])->nr_shared, 0);
	FIXTURE_AUDIT(&f.pool);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.client[0], pfn), 0);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void shared_without_an_edge_becomes_free(void)
{
	struct fixture f;
	uint64_t handle;
	pfn_t pfn;

	setup(&f, 4096);
	pfn = fixture_pool_alloc(&f.pool, f.client[0], 3);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.client[0], pfn, CLIENT_NONE, &handle), 0);
	f.pool.pool->edges[0].client = 0;
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_nr_shared), 0);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void blocks_of_a_client_without_a_record_are_free(void)
{
	struct fixture f;

	setup(&f, 4096);
	(void)fixture_pool_alloc(&f.pool, f.client[2], 5);
	f.pool.pool->status[f.client[2] - 1] = SHM_RECORD_FREE;
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

/* --- damage --- */

static void frames_after_a_tail_are_bad_up_to_the_next_sure_head(void)
{
	struct fixture f;
	pfn_t pfn[8];

	setup(&f, 4096);
	fixture_pool_commit_all(&f.pool);
	for (uint32_t i = 0; i < 8; i++)
		pfn[i] = fixture_pool_alloc(&f.pool, f.client[0], 0);
	CU_ASSERT_EQUAL(pfn[7] - pfn[0], 7);
	page_set(map(&f), pfn[2], (struct page_word){.state = PAGE_TAIL});
	page_set(map(&f), pfn[3], (struct page_word){.state = PAGE_FREE, .order = 5});
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.nr_bad, 2);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn[2]).state, PAGE_BAD);
	CU_ASSERT_EQUAL(fixture_pool_word(&f.pool, pfn[4]).state, PAGE_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.client[0]), 6);
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].managed, 4094);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.nr_bad, 0); /* known by now */
	CU_ASSERT_EQUAL(f.pool.pool->buddy.zones[0].managed, 4094);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void damage_without_a_sure_head_behind_it_costs_the_rest_of_its_zone_only(void)
{
	struct pool_options options = {
		.nr_zones = 2,
		.min_free_frames = 16,
		.zone = {{.name = "a", .nr_frames = 1000}, {.name = "b", .nr_frames = 3000}}};
	struct fixture_pool f;

	fixture_pool_open_with(&f, &options);
	shm_store(&f.pool->buddy.map[512].word, UINT64_MAX);
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.nr_bad, 488);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 3512);
	CU_ASSERT_EQUAL(f.pool->nr_managed, 3512);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* A pageblock's type is an index: what is no type would lead out of the free lists. */
static void pageblock_of_no_type_is_a_hole(void)
{
	struct fixture f;

	setup(&f, 4096);
	f.pool.pool->buddy.pageblocks[2] = MIGRATE_TYPES;
	f.pool.pool->buddy.pageblocks[5] = 255;
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(buddy_type(&f.pool.pool->buddy, 2 * PAGEBLOCK_FRAMES), MIGRATE_HOLE);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->types.n, 2);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->types.pfn, 2 * PAGEBLOCK_FRAMES);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_close(&f.pool);
}

static void damage_is_told_with_its_first_pfn(void)
{
	struct fixture f;
	pfn_t pfn[3];

	setup(&f, 4096);
	fixture_pool_commit_all(&f.pool);
	for (uint32_t i = 0; i < 3; i++)
		pfn[i] = fixture_pool_alloc(&f.pool, f.client[0], 0);
	page_set(map(&f), pfn[0],
		 (struct page_word){.state = PAGE_OWNED, .owner = SHM_MAX_CLIENTS});
	page_set(map(&f), pfn[1], (struct page_word){.state = PAGE_TAIL});
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->orphans.n, 1);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->orphans.pfn, pfn[0]);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->bad.n, 1);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->bad.pfn, pfn[1]);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->orphans.n, 0);
	CU_ASSERT_EQUAL(pool_damage(f.pool.pool)->bad.n, 0);
	fixture_pool_close(&f.pool);
}

static void any_word_may_be_anything(void)
{
	struct fixture f;
	uint64_t bad = 0;

	setup(&f, 3000);
	for (uint32_t round = 0; round < 200; round++) {
		some_history(&f, 10);
		for (uint32_t i = 0; i < 3; i++) {
			uint64_t word = (uint64_t)fixture_random(&f.random) << 32 |
					fixture_random(&f.random);

			/* What would be a lie about an owner is for I1 of the audit, not for the
			 * walk. */
			if (i == 0)
				word &= ~UINT64_C(15);
			shm_store(&map(&f)[fixture_random(&f.random) % 3000].word, word);
		}
		/* CORRUPT is allowed, a panic or a pool that does not add up is not. */
		if (pool_attach(f.pool.pool, f.pool.meta, f.pool.meta_bytes, f.pool.state,
				f.pool.state_bytes, &f.pool.options, &f.pool.nr_bad) != 0)
			break;
		bad += f.pool.nr_bad;
		FIXTURE_AUDIT(&f.pool);
		for (uint32_t i = 0; i < CLIENTS; i++)
			pool_client_adopt(f.pool.pool, f.client[i], f.pool.ctl[f.client[i]]);
	}
	CU_ASSERT(bad > 0);
	fixture_pool_close(&f.pool);
}

/* --- headers --- */

static int attach(struct fixture_pool *f)
{
	uint64_t bad;

	return pool_attach(f->pool, f->meta, f->meta_bytes, f->state, f->state_bytes, &f->options,
			   &bad);
}

static void segment_without_a_sound_frame_is_corrupt(void)
{
	struct fixture_pool f;

	fixture_pool_open(&f, 4096);
	shm_store(&f.pool->buddy.map[0].word, 0);
	CU_ASSERT_EQUAL(attach(&f), POOL_CORRUPT);
	CU_ASSERT_EQUAL(pool_damage(f.pool)->bad.n, 4096);
	fixture_pool_close(&f);
}

static void what_is_no_segment_of_ours_is_a_mismatch(void)
{
	struct fixture_pool f;
	struct shm_meta_header *meta;
	struct shm_state_header *state;

	fixture_pool_open(&f, 4096);
	meta = f.meta;
	state = f.state;
#define EXPECT_MISMATCH(field, value)                                                              \
	do {                                                                                       \
		__typeof__(field) old_value = (field);                                             \
		(field) = (value);                                                                 \
		CU_ASSERT_EQUAL(attach(&f), POOL_MISMATCH);                                        \
		(field) = old_value;                                                               \
		CU_ASSERT_EQUAL(attach(&f), 0);                                                    \
	} while (0)
	EXPECT_MISMATCH(meta->magic, 0);
	EXPECT_MISMATCH(state->magic, SHM_META_MAGIC);
	EXPECT_MISMATCH(meta->version, SHM_LAYOUT_VERSION + 1);
	EXPECT_MISMATCH(state->version, 0);
	EXPECT_MISMATCH(state->instance_id, 8);
	EXPECT_MISMATCH(meta->nr_frames, 4097);
	EXPECT_MISMATCH(meta->nr_frames, 0);
	EXPECT_MISMATCH(meta->nr_frames, UINT32_MAX);
	EXPECT_MISMATCH(meta->page_shift, 11);
	EXPECT_MISMATCH(meta->nr_zones, 0);
	EXPECT_MISMATCH(meta->nr_zones, 9);
	EXPECT_MISMATCH(meta->map_offset, 0);
	EXPECT_MISMATCH(meta->max_clients, 2048);
	EXPECT_MISMATCH(state->edges_offset, UINT64_MAX);
	EXPECT_MISMATCH(f.meta_bytes, f.meta_bytes - 1);
	EXPECT_MISMATCH(f.meta_bytes, 0);
	EXPECT_MISMATCH(f.state_bytes, 4095);
	EXPECT_MISMATCH(f.pool->buddy.zones[0].end_pfn, 4095);
	EXPECT_MISMATCH(f.pool->buddy.zones[0].start_pfn, 1);
	EXPECT_MISMATCH(f.pool->buddy.zones[0].end_pfn, 0);
	fixture_pool_close(&f);
}

static void each_server_raises_the_epoch(void)
{
	struct fixture_pool f;
	uint64_t epoch;

	fixture_pool_open(&f, 4096);
	epoch = pool_meta(f.pool)->epoch;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(pool_meta(f.pool)->epoch, epoch + 1);
	fixture_pool_close(&f);
}

CU_TestInfo test_recovery[] = {
	{"every state of a random history comes back as it was",
	 every_state_of_a_random_history_comes_back_as_it_was},
	{"free buddies that a crash kept apart merge", free_buddies_that_a_crash_kept_apart_merge},
	{"a split without its last store never happened",
	 a_split_without_its_last_store_never_happened},
	{"a merge after its first store has happened", a_merge_after_its_first_store_has_happened},
	{"a claim that was not settled goes back to its owner",
	 a_claim_that_was_not_settled_goes_back_to_its_owner},
	{"a saved top without its claim changes nothing",
	 a_saved_top_without_its_claim_changes_nothing},
	{"an edge that names no shared block goes", an_edge_that_names_no_shared_block_goes},
	{"shared without an edge becomes free", shared_without_an_edge_becomes_free},
	{"blocks of a client without a record are free",
	 blocks_of_a_client_without_a_record_are_free},
	{"frames after a tail are BAD up to the next sure head",
	 frames_after_a_tail_are_bad_up_to_the_next_sure_head},
	{"damage without a sure head behind it costs the rest of its zone only",
	 damage_without_a_sure_head_behind_it_costs_the_rest_of_its_zone_only},
	{"pageblock of no type is a hole", pageblock_of_no_type_is_a_hole},
	{"damage is told with its first pfn", damage_is_told_with_its_first_pfn},
	{"any word may be anything", any_word_may_be_anything},
	{"segment without a sound frame is corrupt", segment_without_a_sound_frame_is_corrupt},
	{"what is no segment of ours is a mismatch", what_is_no_segment_of_ours_is_a_mismatch},
	{"each server raises the epoch", each_server_raises_the_epoch},
	CU_TEST_INFO_NULL,
};
