/* tests/unit/test_victim_ahead.c - daemon/core/victim: the next victims are looked for ahead of
 * need; and daemon/core/cost: what those who say nothing are thought to cost. */
#include "tests/unit/purge_fixture.h"

#define ENTRIES 4096u
#define LIST (ENTRIES / VICTIM_LIST_PART)

/* Half of a list is taken, one frame after the other: a pass for the next list is under way. */
static void take_half_a_list(struct fixture *f)
{
	uint32_t n = 0;

	f->pool.pool->meta->generation = 1000;
	for (uint32_t i = 0; i < ENTRIES; i++)
		(void)arm_new(f, f->a, i, i / 8);
	pool_tick(f->pool.pool); /* counts them */
	while (!pool_purge_is_looking(f->pool.pool) && n++ < LIST)
		CU_ASSERT_EQUAL(purge(f, 1), 1);
	CU_ASSERT_FATAL(n >= LIST / 4 && n < LIST);
}

static void purge_one_by_one(struct fixture *f, uint32_t n)
{
	while (n--)
		CU_ASSERT_EQUAL(purge(f, 1), 1);
}

static void what_is_looked_for_ahead_costs_the_next_purges_nothing(void)
{
	struct fixture f;
	uint64_t scanned;
	uint32_t steps = 0;

	setup(&f, 4 * ENTRIES);
	take_half_a_list(&f);
	CU_ASSERT(pool_purge_is_behind(f.pool.pool));
	for (; pool_purge_is_looking(f.pool.pool); steps++)
		pool_purge_ahead(f.pool.pool);
	CU_ASSERT(steps > 0 && steps < 20);
	CU_ASSERT(!pool_purge_is_behind(f.pool.pool));
	scanned = fixture_pool_counter(&f.pool, COUNTER_pgscan);
	purge_one_by_one(&f, LIST / 2);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pgscan), scanned);
	/* Nobody went who was not among the oldest. */
	for (uint32_t i = LIST + 1; i < ENTRIES; i++)
		CU_ASSERT_EQUAL(pins_of(&f, f.a, i), 0);
	teardown(&f);
}

/* Nobody does it ahead: a quarter of a list is purged all the same, then purges go on with it, and
 * it is done before the list is through. */
static void who_comes_when_it_is_late_goes_on_with_it(void)
{
	struct fixture f;
	uint64_t scanned;

	setup(&f, 4 * ENTRIES);
	take_half_a_list(&f);
	scanned = fixture_pool_counter(&f.pool, COUNTER_pgscan);
	purge_one_by_one(&f, LIST / 4 - 8);
	CU_ASSERT(pool_purge_is_behind(f.pool.pool));
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_pgscan), scanned);
	purge_one_by_one(&f, LIST / 8);
	CU_ASSERT(!pool_purge_is_looking(f.pool.pool));
	CU_ASSERT(fixture_pool_counter(&f.pool, COUNTER_pgscan) > scanned);
	pool_purge_ahead(f.pool.pool); /* nothing to do */
	CU_ASSERT(!pool_purge_is_looking(f.pool.pool));
	teardown(&f);
}

static void declare(struct fixture *f, client_id client, uint64_t cost_ns)
{
	struct shm_purge_header *told =
		(void *)(f->pool.ctl[client] + shm_ctl_purge_offset(FIXTURE_THREADS));

	told->declared_ns = cost_ns;
}

static uint64_t cost_of_silent(struct fixture *f, client_id client)
{
	cost_update(f->pool.pool);
	return pool_client(f->pool.pool, client)->rebuild_ns;
}

static void one_client_alone_does_not_set_what_a_silent_one_costs(void)
{
	struct fixture f;
	client_id c, d;

	setup(&f, 1024);
	c = fixture_pool_client(&f.pool, 0);
	d = fixture_pool_client(&f.pool, 0);
	CU_ASSERT_EQUAL(cost_of_silent(&f, f.b), COST_UNKNOWN_NS);
	declare(&f, f.a, COST_MAX_NS);
	CU_ASSERT_EQUAL(cost_of_silent(&f, f.b), COST_UNKNOWN_NS);
	declare(&f, f.a, COST_MIN_NS);
	CU_ASSERT_EQUAL(cost_of_silent(&f, f.b), COST_UNKNOWN_NS);
	/* Three who agree do. */
	add_table(&f, c, 64);
	add_table(&f, d, 64);
	declare(&f, f.a, 5000000);
	declare(&f, c, 5000000);
	declare(&f, d, 5000000);
	CU_ASSERT_EQUAL(cost_of_silent(&f, f.b), 5000000);
	teardown(&f);
}

CU_TestInfo test_victim_ahead[] = {
	{"what is looked for ahead costs the next purges nothing",
	 what_is_looked_for_ahead_costs_the_next_purges_nothing},
	{"who comes when it is late goes on with it", who_comes_when_it_is_late_goes_on_with_it},
	{"one client alone does not set what a silent one costs",
	 one_client_alone_does_not_set_what_a_silent_one_costs},
	CU_TEST_INFO_NULL,
};
