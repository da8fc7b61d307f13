/* tests/unit/test_shrinker.c - daemon/core/shrinker: registry, the kernel's proportion, the
 * breaker.
 *
 * do_shrink_slab() of the kernel: nr = deferred; delta = freeable >> priority; delta *= 4; delta /=
 * seeks; total = (nr >> priority) + delta, at most 2 * freeable. */
#include "daemon/core/shrinker.h"

#include "tests/support/fixture_pool.h"

#include <string.h>

struct fixture {
	struct fixture_pool pool;
	client_id a;
};

static void setup(struct fixture *f)
{
	fixture_pool_open(&f->pool, 4096);
	f->a = fixture_pool_client(&f->pool, 0);
}

static int add(struct fixture *f, client_id client, uint32_t id, uint32_t *ret_index)
{
	return shrinker_register(
		f->pool.pool, &(struct shrinker_options){.client = client, .id = id, .name = "c"},
		ret_index);
}

static struct shm_cache *cache_at(struct fixture *f, uint32_t index)
{
	return &pool_caches(f->pool.pool)[index];
}

/* --- the proportion --- */

static void the_proportion_is_the_kernels(void)
{
	CU_ASSERT_EQUAL(shrinker_proportion(4096, 12, 2, 0), 2);
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 12, 2, 0), 488);
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 12, 4, 0), 244);
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 12, 1, 0), 976);
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 6, 2, 0), 31250);
	CU_ASSERT_EQUAL(shrinker_proportion(1000, 0, 2, 0), 2000);
	CU_ASSERT_EQUAL(shrinker_proportion(4095, 12, 2, 0), 0);
}

static void what_was_deferred_counts_by_priority(void)
{
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 12, 2, 409600), 488 + 100);
	CU_ASSERT_EQUAL(shrinker_proportion(1000000, 10, 2, 1024), 1952 + 1);
}

static void never_more_than_twice_what_there_is(void)
{
	CU_ASSERT_EQUAL(shrinker_proportion(1000, 0, 1, 0), 2000);
	CU_ASSERT_EQUAL(shrinker_proportion(1000, 0, 2, 1000000), 2000);
	CU_ASSERT_EQUAL(shrinker_proportion(0, 0, 2, 1000000), 0);
}

static void a_cache_that_costs_no_seek_gives_half_at_any_priority(void)
{
	CU_ASSERT_EQUAL(shrinker_proportion(1000, 12, 0, 0), 500);
	CU_ASSERT_EQUAL(shrinker_proportion(1000, 0, 0, 0), 500);
}

/* --- plan and answer --- */

static struct shm_cache cache_of(uint64_t nr_objects)
{
	return (struct shm_cache){.state = SHM_CACHE_READY,
				  .seeks = SHRINK_SEEKS_DEFAULT,
				  .batch = SHRINK_BATCH_DEFAULT,
				  .client = 1,
				  .nr_objects = nr_objects};
}

static void less_than_a_batch_is_put_off(void)
{
	struct shm_cache cache = cache_of(100000); /* 48 at priority 12 */

	CU_ASSERT_EQUAL(shrinker_plan(&cache, 12, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(cache.nr_deferred, 48);
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 12, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(cache.nr_deferred, 96);
	/* 97 at priority 11, and half of 96 >> 10 owed. */
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 10, UINT64_MAX), 194);
	CU_ASSERT_EQUAL(cache.nr_deferred, 96);
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 0, UINT64_MAX), 200000);
	CU_ASSERT_EQUAL(cache.nr_deferred, 0);
}

static void a_cache_smaller_than_a_batch_is_scanned_all_the_same(void)
{
	struct shm_cache cache = cache_of(10);

	CU_ASSERT_EQUAL(shrinker_plan(&cache, 12, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 2, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 1, UINT64_MAX), 12); /* 10, and 4 >> 1 owed */
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 0, UINT64_MAX), 20);
}

static void an_empty_cache_is_asked_for_nothing(void)
{
	struct shm_cache cache = cache_of(0);

	for (uint32_t priority = 0; priority <= SHRINK_PRIORITY_EASY; priority++)
		CU_ASSERT_EQUAL(shrinker_plan(&cache, priority, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(cache.nr_deferred, 0);
}

static void what_was_not_scanned_is_deferred_not_forgotten(void)
{
	struct fixture f;
	struct shm_cache *cache;
	uint32_t index;

	setup(&f);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	cache = cache_at(&f, index);
	shrinker_done(f.pool.pool, cache, 1000, 5000, 400, 100, 7);
	CU_ASSERT_EQUAL(cache->nr_deferred, 600);
	CU_ASSERT_EQUAL(cache->nr_scanned, 400);
	CU_ASSERT_EQUAL(cache->nr_freed, 100);
	CU_ASSERT_EQUAL(cache->latency_ns, 7);
	shrinker_done(f.pool.pool, cache, 1000, 5000, 2000, 0, 3);
	CU_ASSERT_EQUAL(cache->nr_deferred, 600);
	CU_ASSERT_EQUAL(cache->latency_max_ns, 7);
	fixture_pool_close(&f.pool);
}

static void the_debt_is_bounded_by_twice_the_cache(void)
{
	struct shm_cache cache = cache_of(1000);

	for (uint32_t i = 0; i < 100; i++)
		(void)shrinker_missed(&cache, 1000, 0, 1);
	CU_ASSERT_EQUAL(cache.nr_deferred, 2000);
	(void)shrinker_missed(&cache, UINT64_MAX, 0, 1);
	CU_ASSERT_EQUAL(cache.nr_deferred, 2000);
}

static void absurd_answers_do_no_harm(void)
{
	struct fixture f;
	struct shm_cache *cache;
	uint32_t index;

	setup(&f);
	(void)fixture_pool_alloc(&f.pool, f.a, 4);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	cache = cache_at(&f, index);
	shrinker_done(f.pool.pool, cache, UINT64_MAX, UINT64_MAX, 0, 1, UINT64_MAX);
	shrinker_returned(f.pool.pool, cache, 4096);
	CU_ASSERT(cache->nr_frames <= fixture_pool_owned(&f.pool, f.a));
	for (uint32_t priority = 0; priority <= SHRINK_PRIORITY_EASY; priority++)
		CU_ASSERT(shrinker_plan(cache, priority, UINT64_MAX) <= UINT64_MAX / 4);
	shrinker_done(f.pool.pool, cache, 0, 0, UINT64_MAX, UINT64_MAX, 0);
	CU_ASSERT_EQUAL(cache->nr_frames, 0);
	fixture_pool_close(&f.pool);
}

static void frames_are_estimated_from_what_came_back(void)
{
	struct fixture f;
	struct shm_cache *cache;
	uint32_t index;

	setup(&f);
	for (uint32_t i = 0; i < 8; i++)
		(void)fixture_pool_alloc(&f.pool, f.a, 7);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	cache = cache_at(&f, index);
	shrinker_done(f.pool.pool, cache, 10, 100, 10, 10, 1);
	CU_ASSERT_EQUAL(cache->nr_frames, 100); /* 1 each until one came */
	shrinker_returned(f.pool.pool, cache, 40);
	CU_ASSERT_EQUAL(cache->nr_frames, 400);
	shrinker_returned(f.pool.pool, cache, 400);
	CU_ASSERT_EQUAL(cache->nr_frames, 1024); /* all that it has */
	fixture_pool_close(&f.pool);
}

/* --- the breaker --- */

static void three_missed_deadlines_open_the_breaker(void)
{
	struct shm_cache cache = cache_of(1000);

	CU_ASSERT_FALSE(shrinker_missed(&cache, 1, 100, 50));
	CU_ASSERT(shrinker_is_ready(&cache, 100));
	CU_ASSERT_FALSE(shrinker_missed(&cache, 1, 100, 50));
	CU_ASSERT(shrinker_missed(&cache, 1, 100, 50));
	CU_ASSERT_FALSE(shrinker_is_ready(&cache, 149));
	CU_ASSERT(shrinker_is_ready(&cache, 150));
	CU_ASSERT_EQUAL(cache.nr_timeouts, 3);
}

static void its_pause_doubles_up_to_a_minute(void)
{
	struct shm_cache cache = cache_of(1000);
	uint64_t second = UINT64_C(1000000000), pause = second;

	for (uint32_t i = 1; i <= 60; i++) {
		bool opened = shrinker_missed(&cache, 1, 0, second);

		CU_ASSERT_EQUAL(opened, i >= 3);
		if (!opened)
			continue;
		CU_ASSERT_EQUAL(cache.breaker_until_ns, pause < 60 * second ? pause : 60 * second);
		pause = pause < 60 * second ? 2 * pause : pause;
	}
}

static void one_answer_closes_it_and_starts_anew(void)
{
	struct fixture f;
	struct shm_cache *cache;
	uint32_t index;

	setup(&f);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	cache = cache_at(&f, index);
	for (uint32_t i = 0; i < 5; i++)
		(void)shrinker_missed(cache, 1, 100, 50);
	shrinker_done(f.pool.pool, cache, 1, 10, 1, 1, 5);
	CU_ASSERT(shrinker_is_ready(cache, 0));
	CU_ASSERT_FALSE(shrinker_missed(cache, 1, 100, 50));
	fixture_pool_close(&f.pool);
}

/* --- the registry --- */

static void registering_again_keeps_the_one_there_is(void)
{
	struct fixture f;
	uint32_t one, two;

	setup(&f);
	CU_ASSERT_EQUAL(add(&f, f.a, 5, &one), 0);
	cache_at(&f, one)->nr_scanned = 17;
	CU_ASSERT_EQUAL(add(&f, f.a, 5, &two), 0);
	CU_ASSERT_EQUAL(one, two);
	CU_ASSERT_EQUAL(cache_at(&f, two)->nr_scanned, 17);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_caches, 1);
	CU_ASSERT_EQUAL(cache_at(&f, one)->seeks, SHRINK_SEEKS_DEFAULT);
	CU_ASSERT_EQUAL(cache_at(&f, one)->batch, SHRINK_BATCH_DEFAULT);
	fixture_pool_close(&f.pool);
}

static void two_clients_may_use_the_same_number(void)
{
	struct fixture f;
	uint32_t one, two, found;
	client_id b;

	setup(&f);
	b = fixture_pool_client(&f.pool, 0);
	CU_ASSERT_EQUAL(add(&f, f.a, 5, &one), 0);
	CU_ASSERT_EQUAL(add(&f, b, 5, &two), 0);
	CU_ASSERT_NOT_EQUAL(one, two);
	CU_ASSERT(shrinker_find(f.pool.pool, b, 5, &found));
	CU_ASSERT_EQUAL(found, two);
	shrinker_unregister_all(f.pool.pool, f.a);
	CU_ASSERT_FALSE(shrinker_find(f.pool.pool, f.a, 5, &found));
	CU_ASSERT(shrinker_find(f.pool.pool, b, 5, &found));
	fixture_pool_close(&f.pool);
}

static void no_client_can_fill_the_table(void)
{
	struct fixture f;
	uint32_t index;

	setup(&f);
	for (uint32_t i = 1; i <= SHRINK_CLIENT_MAX; i++)
		CU_ASSERT_EQUAL(add(&f, f.a, i, &index), 0);
	CU_ASSERT_EQUAL(add(&f, f.a, SHRINK_CLIENT_MAX + 1, &index), POOL_TABLE_FULL);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	shrinker_unregister(f.pool.pool, index);
	CU_ASSERT_EQUAL(add(&f, f.a, SHRINK_CLIENT_MAX + 1, &index), 0);
	fixture_pool_close(&f.pool);
}

/* As many rows for clients of the user as it gets. */
static uint32_t fill_rows(struct fixture *f, uint32_t uid)
{
	uint32_t rows = 0, index;

	for (;;) {
		client_id id = fixture_pool_client(&f->pool, 0);

		pool_client(f->pool.pool, id)->uid = uid;
		for (uint32_t n = 1; n <= SHRINK_CLIENT_MAX; n++, rows++) {
			int r = add(f, id, n, &index);

			if (r == 0)
				continue;
			CU_ASSERT(r == POOL_OVER_SHARE || r == POOL_TABLE_FULL);
			return rows;
		}
	}
}

static void no_user_can_fill_the_table(void)
{
	struct fixture f;
	uint32_t index, all = 0;

	setup(&f);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0); /* of user 1000 */
	all = 1 + fill_rows(&f, 1001);
	CU_ASSERT(all >= SHM_MAX_CACHES / 2 - 32 && all <= SHM_MAX_CACHES / 2);
	for (uint32_t uid = 1002; uid < 1012; uid++) {
		uint32_t rows = fill_rows(&f, uid);

		CU_ASSERT(rows >= 1);
		all += rows;
	}
	CU_ASSERT(all < SHM_MAX_CACHES);
	fixture_pool_close(&f.pool);
}

static void only_rows_in_use_are_visited(void)
{
	struct fixture f;
	uint32_t index, n = 0, last = 0;

	setup(&f);
	CU_ASSERT_FALSE(shrinker_next(f.pool.pool, 0, &index));
	for (uint32_t client = 0; client < 2; client++) {
		client_id id = fixture_pool_client(&f.pool, 0);

		for (uint32_t i = 1; i <= SHRINK_CLIENT_MAX; i++)
			CU_ASSERT_EQUAL(add(&f, id, i, &index), 0);
	}
	for (uint32_t i = 0; i < 128; i++)
		if (i != 3 && i != 63 && i != 64 && i != 127)
			shrinker_unregister(f.pool.pool, i);
	for (uint32_t i = 0; shrinker_next(f.pool.pool, i, &i); i++) {
		CU_ASSERT(i == 3 || i == 63 || i == 64 || i == 127);
		n++;
		last = i;
	}
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL(last, 127);
	CU_ASSERT_FALSE(shrinker_next(f.pool.pool, 128, &index));
	CU_ASSERT_FALSE(shrinker_next(f.pool.pool, SHM_MAX_CACHES, &index));
	/* The next server finds them in the table, and the first free row is used again. */
	fixture_pool_reattach(&f.pool);
	shrinker_recover(f.pool.pool);
	CU_ASSERT(shrinker_next(f.pool.pool, 0, &index));
	CU_ASSERT_EQUAL(index, 3);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	CU_ASSERT_EQUAL(index, 0);
	fixture_pool_close(&f.pool);
}

/* --- cost and bounds --- */

static void a_cost_in_ns_is_seeks_by_another_name(void)
{
	for (uint32_t seeks = 1; seeks <= 16; seeks *= 2)
		for (uint32_t priority = 0; priority <= 12; priority++)
			CU_ASSERT_EQUAL(shrinker_proportion_of_cost(1000000, priority,
								    seeks * SHRINK_COST_NS / 2),
					shrinker_proportion(1000000, priority, seeks, 0));
	CU_ASSERT_EQUAL(shrinker_proportion_of_cost(1000, 12, 0), 500);
	CU_ASSERT(shrinker_proportion_of_cost(UINT64_MAX, 0, 1) <= UINT64_C(1) << 49);
}

static void a_cache_a_hundred_times_as_dear_comes_to_its_turn_later(void)
{
	struct shm_cache cheap = cache_of(100000), dear = cache_of(100000);
	uint32_t at_cheap = 12, at_dear = 12;

	dear.rebuild_ns = 100 * SHRINK_COST_NS;
	while (at_cheap && shrinker_plan(&cheap, at_cheap, UINT64_MAX) == 0)
		at_cheap--;
	while (at_dear && shrinker_plan(&dear, at_dear, UINT64_MAX) == 0)
		at_dear--;
	CU_ASSERT(at_cheap >= at_dear + 6);
	CU_ASSERT_EQUAL(shrinker_weight(1000, SHRINK_COST_NS),
			100 * shrinker_weight(10, SHRINK_COST_NS));
	CU_ASSERT_EQUAL(shrinker_weight(1000, SHRINK_COST_NS),
			2 * shrinker_weight(1000, 2 * SHRINK_COST_NS));
}

static void no_more_is_asked_for_than_the_share_and_a_batch(void)
{
	struct shm_cache cache = cache_of(100000);

	cache.nr_deferred = 50000;
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 4, 10), SHRINK_BATCH_DEFAULT);
	CU_ASSERT_EQUAL(cache.nr_deferred, 50000 - SHRINK_BATCH_DEFAULT);
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 4, 1000), 1000);
}

static void at_priority_0_everybody_is_asked_for_something(void)
{
	struct shm_cache cache = cache_of(1000);

	cache.rebuild_ns = UINT64_MAX;
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 0, UINT64_MAX), SHRINK_BATCH_DEFAULT);
	cache.nr_objects = 5;
	CU_ASSERT_EQUAL(shrinker_plan(&cache, 0, UINT64_MAX), 5);
}

static void what_upcalls_did_is_counted_in_powers_of_two(void)
{
	struct fixture f;
	struct shm_cache *cache;
	uint32_t index;

	setup(&f);
	CU_ASSERT_EQUAL(add(&f, f.a, 1, &index), 0);
	cache = cache_at(&f, index);
	CU_ASSERT_EQUAL(cache->cost_ns, SHRINK_COST_NS);
	shrinker_asked(cache, 99);
	CU_ASSERT_EQUAL(cache->asked_ns, 99);
	shrinker_done(f.pool.pool, cache, 0, 1000, 0, 0, 1);
	CU_ASSERT_EQUAL(cache->latency_us.n[0], 1);
	CU_ASSERT_EQUAL(cache->scanned.n[0], 0); /* it was only counted */
	shrinker_asked(cache, 99);
	shrinker_done(f.pool.pool, cache, 128, 900, 100, 90, 5000);
	CU_ASSERT_EQUAL(cache->latency_us.n[2], 1);
	CU_ASSERT_EQUAL(cache->scanned.n[6], 1);
	shrinker_brought(cache, 90);
	shrinker_brought(cache, UINT64_MAX);
	CU_ASSERT_EQUAL(cache->freed.n[6], 1);
	CU_ASSERT_EQUAL(cache->freed.n[SHM_HISTOGRAM_BUCKETS - 1], 1);
	shrinker_stopped(cache);
	CU_ASSERT_EQUAL(cache->nr_stopped, 1);
	fixture_pool_close(&f.pool);
}

CU_TestInfo test_shrinker[] = {
	{"a cost in ns is seeks by another name", a_cost_in_ns_is_seeks_by_another_name},
	{"a cache a hundred times as dear comes to its turn later",
	 a_cache_a_hundred_times_as_dear_comes_to_its_turn_later},
	{"no more is asked for than the share and a batch",
	 no_more_is_asked_for_than_the_share_and_a_batch},
	{"at priority 0 everybody is asked for something",
	 at_priority_0_everybody_is_asked_for_something},
	{"what upcalls did is counted in powers of two",
	 what_upcalls_did_is_counted_in_powers_of_two},

	{"the proportion is the kernel's", the_proportion_is_the_kernels},
	{"what was deferred counts by priority", what_was_deferred_counts_by_priority},
	{"never more than twice what there is", never_more_than_twice_what_there_is},
	{"a cache that costs no seek gives half at any priority",
	 a_cache_that_costs_no_seek_gives_half_at_any_priority},
	{"less than a batch is put off", less_than_a_batch_is_put_off},
	{"a cache smaller than a batch is scanned all the same",
	 a_cache_smaller_than_a_batch_is_scanned_all_the_same},
	{"an empty cache is asked for nothing", an_empty_cache_is_asked_for_nothing},
	{"what was not scanned is deferred, not forgotten",
	 what_was_not_scanned_is_deferred_not_forgotten},
	{"the debt is bounded by twice the cache", the_debt_is_bounded_by_twice_the_cache},
	{"absurd answers do no harm", absurd_answers_do_no_harm},
	{"frames are estimated from what came back", frames_are_estimated_from_what_came_back},
	{"three missed deadlines open the breaker", three_missed_deadlines_open_the_breaker},
	{"its pause doubles up to a minute", its_pause_doubles_up_to_a_minute},
	{"one answer closes it and starts anew", one_answer_closes_it_and_starts_anew},
	{"registering again keeps the one there is", registering_again_keeps_the_one_there_is},
	{"two clients may use the same number", two_clients_may_use_the_same_number},
	{"no client can fill the table", no_client_can_fill_the_table},
	{"no user can fill the table", no_user_can_fill_the_table},
	{"only rows in use are visited", only_rows_in_use_are_visited},
	CU_TEST_INFO_NULL,
};
