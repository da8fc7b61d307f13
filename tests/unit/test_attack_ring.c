/* tests/unit/test_attack_ring.c - what a client that rings could do to the others.
 *
 * Each test is an attack that worked: the ring for a block that no purge makes, the one that
 * answered an administrator, the one that left a search behind. */
#include "tests/unit/ladder_fixture.h"

static void ring(struct shell *s, struct shell_client a, uint64_t magazine, uint32_t want)
{
	char *ctl = s->pool.ctl[a.id];

	*(uint64_t *)(void *)(ctl + shm_ctl_ring_offset(0)) = magazine << SHM_RING_WANT_BITS | want;
	*(uint64_t *)(void *)(ctl + SHM_CTL_BELL_OFFSET) |= 1;
	CU_ASSERT_TRUE(session_is_rung(s->session));
	shell_event(s, &(struct session_event){.kind = EVENT_RUNG});
}

static uint64_t nr_purged(const struct shell *s)
{
	return fixture_pool_counter(&s->pool, COUNTER_pgpurge);
}

/* Much is free, in single frames: no purge of a few makes a pageblock of them. */
static void rings_for_large_blocks_purge_nothing_while_enough_is_free(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint64_t high = pool_watermark_high(s->pool.pool);

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	(void)shell_fill(s, b, pool_watermark_min(s->pool.pool));
	make_purgeable(s, b, 2048);
	for (uint32_t i = 0; i < 60; i++) {
		for (uint32_t k = 0; k < 32; k++)
			ring(s, a, MAGAZINE_COUNT - 1, 1);
		shell_advance(s, SECOND / 2);
		CU_ASSERT_EQUAL(
			shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
	}
	CU_ASSERT(nr_purged(s) <= high + 128);
	shell_close(s);
}

/* What comes back of others for a ring is no answer to who wants the frames of one. */
static void a_ring_brings_nothing_of_the_one_that_is_to_give(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0),
			    c = shell_attach(s, "c", 0);
	uint32_t root = shell_observe(s, 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM,
				  .reclaim = {.nr_frames = 300, .client = b.id, .cache = 1}};
	uint64_t id, before;

	CU_ASSERT_EQUAL(shell_register(s, b, 1)->status, 0);
	for (uint32_t i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(shell_alloc(s, b, 0, 0)->status, 0);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
	make_purgeable(s, c, (uint32_t)shell_fill(s, c, pool_watermark_min(s->pool.pool)));
	id = shell_say(s, root, &reclaim);
	CU_ASSERT_PTR_NOT_NULL(next_shrink(s, b.id));
	CU_ASSERT_PTR_NULL(shell_reply(s, root, id));
	before = s->session->reclaim.nr_returned;
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT(nr_purged(s) > 0);
	CU_ASSERT(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT) > 0);
	CU_ASSERT_TRUE(s->session->reclaim.running);
	CU_ASSERT_EQUAL(s->session->reclaim.nr_returned, before);
	shell_close(s);
}

/* The tables are so long that a pass over them takes several steps. */
#define MANY_FRAMES 131072u
#define MANY_SLOTS 65536u

static void pin_all(struct shell *s, struct shell_client c, uint64_t pins)
{
	uint64_t *table = purge_table(s->pool.pool, c.id);

	for (uint32_t i = 0; i < MANY_SLOTS; i++)
		table[i] = (table[i] & ~UINT64_C(255)) | pins;
}

/* A ring began a pass and its client went away. Who asks long after it is told what there is now,
 * and not what that pass has seen. */
static void a_search_for_a_ring_is_nobody_elses(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 100}};
	uint32_t root = shell_observe(s, 0);
	const struct message_reply *reply;

	(void)shell_fill(s, b, pool_watermark_min(s->pool.pool));
	make_purgeable(s, b, MANY_SLOTS);
	pin_all(s, b, 1);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_EQUAL(nr_purged(s), 0);
	pin_all(s, b, 0);
	reply = shell_ask(s, root, &reclaim);
	CU_ASSERT(reply->count >= 100);
	shell_close(s);
}

CU_TestInfo test_attack_ring[] = {
	{"rings_for_large_blocks_purge_nothing_while_enough_is_free",
	 rings_for_large_blocks_purge_nothing_while_enough_is_free},
	{"a_ring_brings_nothing_of_the_one_that_is_to_give",
	 a_ring_brings_nothing_of_the_one_that_is_to_give},
	{"a_search_for_a_ring_is_nobody_elses", a_search_for_a_ring_is_nobody_elses},
	CU_TEST_INFO_NULL,
};
