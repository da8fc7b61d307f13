/* tests/crash/test_recovery_crash.c - the successor of a dead server dies, too, at every
 * instruction of its recovery.
 *
 * A million instructions, most of them over empty tables: a suite of its own, outside of the quick
 * ones. */
#include "tests/crash/step.h"
#include "tests/support/claim_all.h"

#include <CUnit/CUnit.h>

/* A server that recovers may be killed, too. */
static void op_recover(struct world *w)
{
	uint64_t bad;

	CU_ASSERT_EQUAL(pool_attach(w->pool, w->meta, w->meta_bytes, w->state, w->state_bytes,
				    &w->options, &bad),
			0);
	CU_ASSERT_EQUAL(bad, 0);
	for (uint32_t n = 1; n <= WORLD_CLIENTS; n++)
		if (pool_client_is_attached(w->pool, n))
			pool_client_adopt(w->pool, n, w->ctl[n]);
}

static void a_recovery_survives_a_kill_at_every_instruction(void)
{
	uint64_t count, result = 0, handle;
	struct world w;

	world_open(&w, 64);
	CU_ASSERT_EQUAL(pool_refill(w.pool, 1, 0, MAGAZINE_HOT, 0, &count), 0);
	CU_ASSERT_EQUAL(pool_refill(w.pool, 2, 0, MAGAZINE_ORDER_1, 4, &count), 0);
	CU_ASSERT_EQUAL(pool_alloc(w.pool, 2, 2, MIGRATE_UNMOVABLE, 0, 1, &result), 0);
	CU_ASSERT_EQUAL(pool_alloc(w.pool, 1, 1, MIGRATE_UNMOVABLE, 0, 1, &result), 0);
	CU_ASSERT_EQUAL(pool_share(w.pool, 1, (pfn_t)(result >> 32), 0, 0, 2, &handle), 0);
	/* The server before died in the middle of a claim. */
	CU_ASSERT(claim_all(w.pool, CLIENT_NONE, false) > 0);
	step_check(&w, "recovery", op_recover, STEP_GRADUAL);
	CU_ASSERT_EQUAL(pool_nr_claims(w.pool), 0);
	world_close(&w);
}

CU_TestInfo test_recovery_crash[] = {
	{"a_recovery_survives_a_kill_at_every_instruction",
	 a_recovery_survives_a_kill_at_every_instruction},
	CU_TEST_INFO_NULL,
};
