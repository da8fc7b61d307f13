/* tests/unit/test_victim.c - daemon/core/victim: which frames are purged, in which order, and what
 * people are told about it. */
#include "tests/unit/purge_fixture.h"

/* --- order ---------------------------------------------------------------------------------------
 */

static void the_oldest_goes_first_over_all_clients(void)
{
	struct fixture f;

	setup(&f, 4096);
	f.pool.pool->meta->generation = 1000;
	for (uint32_t i = 0; i < 500; i++) {
		(void)arm_new(&f, f.a, i, i * 2);
		(void)arm_new(&f, f.b, 499 - i, i * 2 + 1);
	}
	CU_ASSERT_EQUAL(purge(&f, 100), 100);
	for (uint32_t i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL(pins_of(&f, f.a, i), i < 50 ? PURGE_PURGED : 0);
		CU_ASSERT_EQUAL(pins_of(&f, f.b, 499 - i), i < 50 ? PURGE_PURGED : 0);
	}
	CU_ASSERT_EQUAL(purge(&f, 100), 100);
	for (uint32_t i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(pins_of(&f, f.a, i), i < 100 ? PURGE_PURGED : 0);
	teardown(&f);
}

static void ages_survive_the_wrap_of_the_clock(void)
{
	struct fixture f;

	setup(&f, 1024);
	f.pool.pool->meta->generation = 0x2000003;
	(void)arm_new(&f, f.a, 0, 2);
	(void)arm_new(&f, f.a, 1, 0xfffff0);
	CU_ASSERT_EQUAL(purge(&f, 1), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 0), 0);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 1), PURGE_PURGED);
	teardown(&f);
}

static void equals_pay_alike(void)
{
	struct fixture f;
	uint64_t a, b;

	setup(&f, 8192);
	for (uint32_t i = 0; i < 3000; i++) {
		(void)arm_new(&f, f.a, i, 0);
		(void)arm_new(&f, f.b, i, 0);
	}
	CU_ASSERT_EQUAL(purge(&f, 1000), 1000);
	a = pool_client(f.pool.pool, f.a)->nr_purged;
	b = pool_client(f.pool.pool, f.b)->nr_purged;
	CU_ASSERT(a > 400 && b > 400);
	teardown(&f);
}

static void what_is_cheap_to_rebuild_goes_first(void)
{
	struct fixture f;
	struct shm_purge_header *told;

	setup(&f, 1024);
	f.pool.pool->meta->generation = 1000;
	told = (void *)(f.pool.ctl[f.a] + shm_ctl_purge_offset(FIXTURE_THREADS));
	told->declared_ns = 1000000;
	told = (void *)(f.pool.ctl[f.b] + shm_ctl_purge_offset(FIXTURE_THREADS));
	told->declared_ns = 10000;
	for (uint32_t i = 0; i < 100; i++) {
		(void)arm_new(&f, f.a, i, 0);
		(void)arm_new(&f, f.b, i, 980);
	}
	/* 1000 / 1000000 against 20 / 10000. */
	CU_ASSERT_EQUAL(purge(&f, 100), 100);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.b)->nr_purged, 100);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->rebuild_ns, 1000000);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.b)->rebuild_ns, 10000);
	teardown(&f);
}

static void a_request_gets_what_it_asked_for_and_no_more(void)
{
	struct fixture f;

	setup(&f, 16384);
	for (uint32_t i = 0; i < 4000; i++)
		(void)arm_new(&f, f.a, i, i % 50);
	f.pool.pool->meta->generation = 60;
	for (uint32_t n = 1; n < 440; n += 37)
		CU_ASSERT_EQUAL(purge(&f, n), n);
	CU_ASSERT_EQUAL(purge(&f, 0), 0);
	teardown(&f);
}

/* --- who -----------------------------------------------------------------------------------------
 */

static void only_the_client_that_was_named_pays(void)
{
	struct fixture f;

	setup(&f, 1024);
	for (uint32_t i = 0; i < 200; i++) {
		(void)arm_new(&f, f.a, i, 0);
		(void)arm_new(&f, f.b, i, 0);
	}
	CU_ASSERT_EQUAL(purge_of(&f, 300, f.b), 200);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_purged, 0);
	CU_ASSERT_EQUAL(purge_of(&f, 300, f.a), 200);
	teardown(&f);
}

static void who_is_over_pays_first_and_no_more_than_that(void)
{
	struct pool_limits limits = {.high = 150, .from = "test"};
	struct fixture f;

	setup(&f, 4096);
	f.pool.pool->meta->generation = 100;
	for (uint32_t i = 0; i < 200; i++) {
		(void)arm_new(&f, f.a, i, 90);
		(void)arm_new(&f, f.b, i, 10);
	}
	pool_client_set_limits(f.pool.pool, f.a, &limits);
	CU_ASSERT_EQUAL(purge(&f, 80), 80);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 150);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.b), 170);
	teardown(&f);
}

static void who_is_spared_comes_last_and_min_is_kept(void)
{
	struct pool_limits limits = {.min = 50, .low = 120, .from = "test"};
	struct fixture f;

	setup(&f, 4096);
	f.pool.pool->meta->generation = 100;
	for (uint32_t i = 0; i < 200; i++) {
		(void)arm_new(&f, f.a, i, 0);
		(void)arm_new(&f, f.b, i, 90);
	}
	pool_client_set_limits(f.pool.pool, f.a, &limits);
	CU_ASSERT_EQUAL(purge(&f, 180), 180);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 120);
	CU_ASSERT_EQUAL(purge(&f, 100), 100);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 120);
	CU_ASSERT_EQUAL(purge(&f, 1000), 70);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 50);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.b), 0);
	pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(pool_purgeable(f.pool.pool, CLIENT_NONE), 0);
	teardown(&f);
}

static void a_large_block_does_not_take_a_client_below_min(void)
{
	struct pool_limits limits = {.min = 20, .from = "test"};
	struct fixture f;

	setup(&f, 1024);
	arm(&f, f.a, 0, fixture_pool_alloc(&f.pool, f.a, 4), 0);
	arm(&f, f.a, 1, fixture_pool_alloc(&f.pool, f.a, 4), 0);
	pool_client_set_limits(f.pool.pool, f.a, &limits);
	CU_ASSERT_EQUAL(purge(&f, 1), 0);
	(void)fixture_pool_alloc(&f.pool, f.a, 2);
	CU_ASSERT_EQUAL(purge(&f, 1), 16);
	CU_ASSERT_EQUAL(purge(&f, 1), 0);
	teardown(&f);
}

/* --- lies ----------------------------------------------------------------------------------------
 */

/* Entries that name nothing, older than all others', do not hide what can be purged. */
static void a_liar_with_a_full_table_does_not_stop_reclaim(void)
{
	struct fixture f;

	setup(&f, 4096);
	f.pool.pool->meta->generation = 50;
	(void)fixture_pool_alloc(&f.pool, f.a, 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		arm(&f, f.a, i, 4095, 51);
	for (uint32_t i = 0; i < 500; i++)
		(void)arm_new(&f, f.b, i, 40);
	CU_ASSERT_EQUAL(purge(&f, 300), 300);
	CU_ASSERT_EQUAL(purge(&f, 300), 200);
	/* What a list had room for was counted, once. */
	CU_ASSERT(pool_client(f.pool.pool, f.a)->nr_bad_free >= 1);
	CU_ASSERT(pool_client(f.pool.pool, f.a)->nr_bad_free <= 300);
	teardown(&f);
}

/* One frame, and half a table of entries that name it, older than all others', while they are
 * looked at. When they are to be taken they name another's frame, or were used just now. */
static void check_change_of_mind(bool is_foreign)
{
	pfn_t own, foreign = PFN_NONE;
	struct fixture f;
	uint64_t got = 0;
	bool again = true;

	setup(&f, 2 * VICTIM_SLICE);
	add_table(&f, f.a, 2 * VICTIM_SLICE);
	f.pool.pool->meta->generation = 50;
	own = fixture_pool_alloc(&f.pool, f.a, 0);
	for (uint32_t i = 0; i < 500; i++)
		foreign = arm_new(&f, f.b, i, 40);
	for (uint32_t n = 0; again && got < 300 && n < 100; n++) {
		const struct victims *victims = &f.pool.pool->victims;
		const struct victim_list *list = &victims->list[POOL_TIER_NORMAL];
		bool looked =
			victims->phase > VICTIM_SCAN ||
			(victims->phase == VICTIM_SCAN &&
			 (victims->cursor.client > f.a || victims->cursor.slot >= VICTIM_SLICE));
		bool lies = looked || list->next < list->n;
		uint32_t generation = f.pool.pool->meta->generation;

		for (uint32_t i = 0; i < VICTIM_SLICE; i++)
			arm(&f, f.a, i, lies && is_foreign ? foreign : own,
			    lies && !is_foreign ? generation : generation + 9);
		got += pool_purge(f.pool.pool, 300 - got, CLIENT_NONE, &again);
	}
	CU_ASSERT_EQUAL(got, 300);
	teardown(&f);
}

static void who_changes_its_mind_hides_nobody(void)
{
	check_change_of_mind(true);
	check_change_of_mind(false);
}

/* All that a list holds was used since the pass, and nobody else has anything: who was left out for
 * it has what the request wants. */
static void who_was_left_out_has_its_turn(void)
{
	struct fixture f;
	struct victims *victims;
	uint32_t generation;

	setup(&f, 8192);
	victims = &f.pool.pool->victims;
	f.pool.pool->meta->generation = 100;
	for (uint32_t i = 0; i < 4000; i++)
		(void)arm_new(&f, f.a, i, 50);
	pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(purge(&f, 1), 1);
	generation = f.pool.pool->meta->generation;
	for (uint32_t i = victims->list[POOL_TIER_NORMAL].next;
	     i < victims->list[POOL_TIER_NORMAL].n; i++) {
		uint32_t slot = victims->list[POOL_TIER_NORMAL].at[i].slot;

		arm(&f, f.a, slot, purge_unpack(*entry_of(&f, f.a, slot)).pfn, generation);
	}
	CU_ASSERT_EQUAL(purge(&f, 200), 200);
	CU_ASSERT(!victims->left_out[f.a]);
	teardown(&f);
}

static void a_stamp_of_the_future_is_the_oldest(void)
{
	struct fixture f;

	setup(&f, 1024);
	f.pool.pool->meta->generation = 100;
	(void)arm_new(&f, f.a, 0, 101);
	(void)arm_new(&f, f.b, 0, 0);
	CU_ASSERT_EQUAL(purge(&f, 1), 1);
	CU_ASSERT_EQUAL(pins_of(&f, f.a, 0), PURGE_PURGED);
	CU_ASSERT_EQUAL(pins_of(&f, f.b, 0), 0);
	teardown(&f);
}

/* --- the sample ----------------------------------------------------------------------------------
 */

/* A full table that is large enough for a sample, of entries with random stamps below 1000. */
static void setup_sampled(struct fixture *f)
{
	uint64_t seed = 5;

	fixture_pool_open(&f->pool, 2 * VICTIM_SLICE);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, 0);
	add_table(f, f->a, VICTIM_SLICE);
	f->pool.pool->meta->generation = 1000;
	for (uint32_t i = 0; i < VICTIM_SLICE; i++)
		(void)arm_new(f, f->a, i, (uint32_t)(fixture_random(&seed) % 1000));
}

static void a_sample_finds_the_oldest(void)
{
	static uint8_t is_old[VICTIM_SLICE];
	uint32_t n_purged = 0, n_young = 0;
	struct fixture f;

	setup_sampled(&f);
	/* A 64th is below 16; the list has a 32nd. */
	for (uint32_t i = 0; i < VICTIM_SLICE; i++)
		is_old[i] = purge_unpack(*entry_of(&f, f.a, i)).stamp < 24;
	CU_ASSERT_EQUAL(purge(&f, 300), 300);
	CU_ASSERT(f.pool.pool->victims.sampled);
	for (uint32_t i = 0; i < VICTIM_SLICE; i++)
		if (pins_of(&f, f.a, i) == PURGE_PURGED) {
			n_purged++;
			n_young += !is_old[i];
		}
	CU_ASSERT_EQUAL(n_purged, 300);
	CU_ASSERT_EQUAL(n_young, 0);
	teardown(&f);
}

/* All are used before the sample is complete: no entry reaches the floors that it gives. */
static void a_sample_that_misled_costs_a_second_pass(void)
{
	struct fixture f;
	struct victims *victims;
	bool again = true;

	setup_sampled(&f);
	victims = &f.pool.pool->victims;
	CU_ASSERT_EQUAL(pool_purge(f.pool.pool, 100, CLIENT_NONE, &again), 0);
	CU_ASSERT_EQUAL_FATAL(victims->phase, VICTIM_SAMPLE);
	CU_ASSERT(again && victims->n_sampled > 500);
	for (uint32_t i = 0; i < VICTIM_SLICE; i++)
		arm(&f, f.a, i, purge_unpack(*entry_of(&f, f.a, i)).pfn, 999);
	CU_ASSERT_EQUAL(purge(&f, 100), 100);
	CU_ASSERT(!victims->sampled);
	teardown(&f);
}

/* --- numbers -------------------------------------------------------------------------------------
 */

static void the_tick_counts_what_can_be_purged(void)
{
	struct fixture f;
	uint64_t word;

	setup(&f, 4096);
	for (uint32_t i = 0; i < 100; i++)
		(void)arm_new(&f, f.a, i * 3, 0);
	for (uint32_t i = 0; i < 50; i++)
		(void)arm_new(&f, f.b, i, 0);
	for (uint32_t i = 0; i < 10; i++)
		(void)purge_pin(entry_of(&f, f.b, i), &word);
	pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_purgeable, 100);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.b)->nr_purgeable, 40);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.b)->nr_pinned, 10);
	CU_ASSERT_EQUAL(f.pool.pool->meta->nr_purgeable, 140);
	CU_ASSERT_EQUAL(pool_purgeable(f.pool.pool, CLIENT_NONE), 140);
	CU_ASSERT_EQUAL(pool_purgeable(f.pool.pool, f.b), 40);
	CU_ASSERT_EQUAL(purge(&f, 60), 60);
	CU_ASSERT_EQUAL(pool_purgeable(f.pool.pool, CLIENT_NONE), 80);
	for (uint32_t i = 0; i < 10; i++)
		(void)purge_unpin(entry_of(&f, f.b, i), 0);
	pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(pool_purgeable(f.pool.pool, CLIENT_NONE), 90);
	teardown(&f);
}

/* A table larger than a slice: passes and counts go on where they were. */
static void a_large_table_takes_several_slices(void)
{
	struct fixture f;
	uint64_t got = 0;
	uint32_t n;
	bool again;

	fixture_pool_open(&f.pool, 1u << 18);
	f.a = fixture_pool_client(&f.pool, 0);
	add_table(&f, f.a, 3 * VICTIM_SLICE);
	(void)arm_new(&f, f.a, 3 * VICTIM_SLICE - 1, 0);
	for (n = 0; n < 20; n++) {
		got = pool_purge(f.pool.pool, 1, CLIENT_NONE, &again);
		if (!again)
			break;
		CU_ASSERT_EQUAL(got, 0);
	}
	/* The sample, and three slices. */
	CU_ASSERT(n >= 2 && n < 20);
	CU_ASSERT_EQUAL(got, 1);
	(void)arm_new(&f, f.a, 0, 0);
	for (uint32_t i = 0; i < 4; i++)
		pool_tick(f.pool.pool);
	CU_ASSERT_EQUAL(pool_client(f.pool.pool, f.a)->nr_purgeable, 1);
	teardown(&f);
}

static void a_pass_moves_the_clock(void)
{
	struct fixture f;

	setup(&f, 8192);
	for (uint32_t i = 0; i < 4000; i++)
		(void)arm_new(&f, f.a, i, 0);
	pool_tick(f.pool.pool);
	f.pool.pool->meta->generation = 5;
	for (uint32_t i = 0; i < 4000 / VICTIM_LIST_MIN; i++)
		CU_ASSERT_EQUAL(purge(&f, VICTIM_LIST_MIN), VICTIM_LIST_MIN);
	/* About one for each 32nd, and for no fewer than a list has at least. */
	CU_ASSERT(f.pool.pool->meta->generation >= 5 + VICTIM_LIST_PART - 4);
	CU_ASSERT(f.pool.pool->meta->generation <= 5 + 2 * VICTIM_LIST_PART);
	teardown(&f);
}

CU_TestInfo test_victim[] = {
	{"the_oldest_goes_first_over_all_clients", the_oldest_goes_first_over_all_clients},
	{"ages_survive_the_wrap_of_the_clock", ages_survive_the_wrap_of_the_clock},
	{"equals_pay_alike", equals_pay_alike},
	{"what_is_cheap_to_rebuild_goes_first", what_is_cheap_to_rebuild_goes_first},
	{"a_request_gets_what_it_asked_for_and_no_more",
	 a_request_gets_what_it_asked_for_and_no_more},
	{"only_the_client_that_was_named_pays", only_the_client_that_was_named_pays},
	{"who_is_over_pays_first_and_no_more_than_that",
	 who_is_over_pays_first_and_no_more_than_that},
	{"who_is_spared_comes_last_and_min_is_kept", who_is_spared_comes_last_and_min_is_kept},
	{"a_large_block_does_not_take_a_client_below_min",
	 a_large_block_does_not_take_a_client_below_min},
	{"a_liar_with_a_full_table_does_not_stop_reclaim",
	 a_liar_with_a_full_table_does_not_stop_reclaim},
	{"who_changes_its_mind_hides_nobody", who_changes_its_mind_hides_nobody},
	{"who_was_left_out_has_its_turn", who_was_left_out_has_its_turn},
	{"a_stamp_of_the_future_is_the_oldest", a_stamp_of_the_future_is_the_oldest},
	{"a_sample_finds_the_oldest", a_sample_finds_the_oldest},
	{"a_sample_that_misled_costs_a_second_pass", a_sample_that_misled_costs_a_second_pass},
	{"the_tick_counts_what_can_be_purged", the_tick_counts_what_can_be_purged},
	{"a_large_table_takes_several_slices", a_large_table_takes_several_slices},
	{"a_pass_moves_the_clock", a_pass_moves_the_clock},
	CU_TEST_INFO_NULL,
};
