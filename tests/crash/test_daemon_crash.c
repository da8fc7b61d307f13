/* tests/crash/test_daemon_crash.c - the server dies at every instruction of every commit function
 * of the core.
 *
 * What clients rely on afterwards: heads tile, nothing is BAD, every count and list is right
 * (pool_check), ownership is that of before or of after, and what lies in a magazine is its
 * client's, once. */
#include "tests/crash/step.h"
#include "tests/support/claim_all.h"

#include <CUnit/CUnit.h>

static uint64_t alloc(struct world *w, client_id client, order_t order)
{
	uint64_t result = 0;

	CU_ASSERT_EQUAL(
		pool_alloc(w->pool, client, order, MIGRATE_UNMOVABLE, 0, ++w->seq[client], &result),
		0);
	return result;
}

static void op_alloc_0(struct world *w)
{
	(void)alloc(w, 1, 0);
}

static void op_alloc_3(struct world *w)
{
	(void)alloc(w, 2, 3);
}

static void op_free(struct world *w)
{
	pfn_t pfn = w->pool->client[1].owned;

	CU_ASSERT_EQUAL(
		pool_free(w->pool, 1, pfn, page_get(w->pool->buddy.map, pfn).order, 0, ++w->seq[1]),
		0);
}

static void op_refill(struct world *w)
{
	uint64_t count;

	CU_ASSERT_EQUAL(pool_refill(w->pool, 1, 0, MAGAZINE_HOT, 0, &count), 0);
}

static void op_refill_order_1(struct world *w)
{
	uint64_t count;

	CU_ASSERT_EQUAL(pool_refill(w->pool, 2, 0, MAGAZINE_ORDER_1, 4, &count), 0);
}

static void op_steal(struct world *w)
{
	CU_ASSERT(claim_all(w->pool, CLIENT_NONE, false) > 0);
	CU_ASSERT(pool_settle(w->pool) > 0);
}

static void op_steal_part(struct world *w)
{
	CU_ASSERT_EQUAL(pool_claim(w->pool, 1, 0, MAGAZINE_HOT, 3), 0);
	CU_ASSERT_EQUAL(pool_settle(w->pool), 3);
}

static void op_unclaim(struct world *w)
{
	CU_ASSERT(claim_all(w->pool, CLIENT_NONE, false) > 0);
	pool_unclaim(w->pool);
}

static void op_death(struct world *w)
{
	pool_client_kill(w->pool, 1);
	while (!pool_client_sweep(w->pool, 1, 4))
		;
}

static void op_share(struct world *w)
{
	uint64_t handle;

	CU_ASSERT_EQUAL(pool_share(w->pool, 1, w->shared, CLIENT_NONE, 0, ++w->seq[1], &handle), 0);
}

static void op_transfer(struct world *w)
{
	uint64_t handle;

	CU_ASSERT_EQUAL(pool_share(w->pool, 1, w->shared, 2, 0, ++w->seq[1], &handle), 0);
}

static void op_import(struct world *w)
{
	uint64_t result;

	CU_ASSERT_EQUAL(pool_import(w->pool, 2, w->pool->edges[0].frame, 0, ++w->seq[2], &result),
			0);
}

static void op_put(struct world *w)
{
	CU_ASSERT_EQUAL(
		pool_put(w->pool, 2, (pfn_t)(w->pool->edges[0].frame >> 32), 0, ++w->seq[2]), 0);
}

static void op_put_last(struct world *w)
{
	CU_ASSERT_EQUAL(
		pool_put(w->pool, 1, (pfn_t)(w->pool->edges[0].frame >> 32), 0, ++w->seq[1]), 0);
}

static void op_purge(struct world *w)
{
	bool again;

	CU_ASSERT(pool_purge(w->pool, 1, CLIENT_NONE, &again) > 0);
}

static void op_purge_edge(struct world *w)
{
	bool again;

	CU_ASSERT_EQUAL(pool_purge(w->pool, 1, CLIENT_NONE, &again), 0);
}

static void op_purge_all(struct world *w)
{
	uint64_t got = 0;
	bool again;

	do
		got += pool_purge(w->pool, 1000, CLIENT_NONE, &again);
	while (again);
	CU_ASSERT(got > 1);
}

static void alloc_and_free_survive_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	step_check(&w, "Alloc of order 0, with splits", op_alloc_0, STEP_ATOMIC);
	step_check(&w, "Alloc of order 3", op_alloc_3, STEP_ATOMIC);
	step_check(&w, "Alloc of order 0", op_alloc_0, STEP_ATOMIC);
	step_check(&w, "Free", op_free, STEP_ATOMIC);
	step_check(&w, "Free of the last, with merges", op_free, STEP_ATOMIC);
	world_close(&w);
}

static void a_grant_survives_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	step_check(&w, "grant of 16 frames", op_refill, STEP_ATOMIC);
	step_check(&w, "grant of order 1", op_refill_order_1, STEP_ATOMIC);
	while (world_pop(&w, 1, MAGAZINE_HOT) != PFN_NONE)
		;
	step_check(&w, "grant of what is left", op_refill, STEP_ATOMIC);
	world_close(&w);
}

static void a_steal_survives_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	op_refill(&w);
	op_refill_order_1(&w);
	(void)world_pop(&w, 1, MAGAZINE_HOT);
	step_check(&w, "claim and give back", op_unclaim, STEP_ATOMIC);
	step_check(&w, "steal of a part", op_steal_part, STEP_ATOMIC);
	step_check(&w, "steal of all, two clients", op_steal, STEP_GRADUAL);
	world_close(&w);
}

static void a_steal_in_chunks_survives_a_kill_at_every_instruction(void)
{
	struct world w;
	uint64_t count;

	/* The first ring has 1024 slots, so a chunk is 128 frames. */
	world_open(&w, 1024);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(pool_refill(w.pool, 1, 0, MAGAZINE_HOT, 128, &count), 0);
	*world_bottom(&w, 1, MAGAZINE_HOT) -= 100;
	CU_ASSERT_EQUAL(pool_refill(w.pool, 1, 0, MAGAZINE_HOT, 128, &count), 0);
	step_check(&w, "steal in chunks", op_steal, STEP_GRADUAL);
	world_close(&w);
}

static void shares_survive_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	w.shared = (pfn_t)(alloc(&w, 1, 1) >> 32);
	step_check(&w, "Share", op_share, STEP_ATOMIC);
	step_check(&w, "Import", op_import, STEP_ATOMIC);
	step_check(&w, "Put", op_put, STEP_ATOMIC);
	step_check(&w, "Put of the last edge", op_put_last, STEP_ATOMIC);
	w.shared = (pfn_t)(alloc(&w, 1, 2) >> 32);
	step_check(&w, "transfer", op_transfer, STEP_ATOMIC);
	world_close(&w);
}

static void a_death_survives_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	op_refill(&w);
	(void)alloc(&w, 1, 2);
	w.shared = (pfn_t)(alloc(&w, 1, 0) >> 32);
	op_share(&w);
	step_check(&w, "sweep of a dead client", op_death, STEP_GRADUAL);
	CU_ASSERT_EQUAL(pool_nr_free(w.pool), 64);
	world_close(&w);
}

static void purges_survive_a_kill_at_every_instruction(void)
{
	struct world w;

	world_open(&w, 64);
	world_arm(&w, 1, 0, 0);
	step_check(&w, "purge of a frame, with merges", op_purge, STEP_ATOMIC);
	world_arm(&w, 1, 1, 2);
	step_check(&w, "purge of order 2", op_purge, STEP_ATOMIC);
	world_arm(&w, 1, 2, 1);
	w.shared = (pfn_t)(*world_entry(&w, 1, 2) >> 32);
	op_share(&w);
	op_import(&w);
	step_check(&w, "purge of one of two edges", op_purge_edge, STEP_ATOMIC);
	*world_entry(&w, 2, 2) = (uint64_t)w.shared << 32;
	step_check(&w, "purge of the last edge", op_purge, STEP_ATOMIC);
	for (uint32_t i = 3; i < 8; i++)
		world_arm(&w, 1 + i % 2, i, 0);
	step_check(&w, "purge of all, two clients", op_purge_all, STEP_GRADUAL);
	world_close(&w);
}

CU_TestInfo test_daemon_crash[] = {
	{"alloc_and_free_survive_a_kill_at_every_instruction",
	 alloc_and_free_survive_a_kill_at_every_instruction},
	{"a_grant_survives_a_kill_at_every_instruction",
	 a_grant_survives_a_kill_at_every_instruction},
	{"a_steal_survives_a_kill_at_every_instruction",
	 a_steal_survives_a_kill_at_every_instruction},
	{"a_steal_in_chunks_survives_a_kill_at_every_instruction",
	 a_steal_in_chunks_survives_a_kill_at_every_instruction},
	{"shares_survive_a_kill_at_every_instruction", shares_survive_a_kill_at_every_instruction},
	{"purges_survive_a_kill_at_every_instruction", purges_survive_a_kill_at_every_instruction},
	{"a_death_survives_a_kill_at_every_instruction",
	 a_death_survives_a_kill_at_every_instruction},
	CU_TEST_INFO_NULL,
};
