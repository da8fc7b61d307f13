/* tests/unit/test_attack_ladder.c - what an administrator could ask for and not get rid of again,
 * and lies that others had to wait for.
 *
 * Each test is an attack that worked. */
#include "tests/unit/ladder_fixture.h"

/* Answers each upcall, and allocates again what was freed: as a cache that is in use does.
 * Returns the frames that it lost for it. */
static uint64_t answer_and_refill(struct shell *s, struct shell_client c, uint32_t rounds)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < rounds; i++) {
		const struct message *upcall = next_shrink(s, c.id);

		if (upcall)
			lost += scan_frames(s, c, upcall, 1000);
		(void)shell_fill(s, c, NR_FRAMES / 2);
		shell_advance(s, 10 * MS);
	}
	return lost;
}

static void a_reclaim_ends_with_what_was_held_when_it_began(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t root = shell_observe(s, 0);
	uint64_t held, lost, id;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, NR_FRAMES / 2);
	held = NR_FRAMES - nr_free(s);
	id = shell_say(
		s, root,
		&(struct message){.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = UINT64_MAX}});
	lost = answer_and_refill(s, a, 2000);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, root, id));
	CU_ASSERT(lost <= held + SHRINK_BATCH_DEFAULT * 4);
	shell_close(s);
}

static void a_reclaim_whose_administrator_has_gone_takes_no_more(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t root = shell_observe(s, 0);
	uint64_t lost;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, NR_FRAMES / 2);
	(void)shell_say(s, root,
			&(struct message){.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 2000}});
	(void)answer_and_refill(s, a, 2);
	shell_hang_up(s, root);
	lost = answer_and_refill(s, a, 200);
	CU_ASSERT(lost <= 1000);
	shell_close(s);
}

/* --- liars --- */

/* A table of n unpinned entries, all of frames that are not the client's. */
static void lie(struct shell *s, struct shell_client c, uint32_t n, pfn_t pfn)
{
	struct message table = {.kind = MESSAGE_PURGE_TABLE, .purge_table = {.nr_slots = n}};

	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &table)->status, 0);
	for (uint32_t i = 0; i < n; i++)
		purge_table(s->pool.pool, c.id)[i] = purge_pack((struct purge_entry){
			.pfn = pfn, .stamp = pool_meta(s->pool.pool)->generation});
}

static void entries_that_are_lies_are_no_hope(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client liar = shell_attach(s, "liar", 0), a = shell_attach(s, "a", 0);
	const struct message_reply *reply;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, liar, NR_FRAMES / 2);
	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	lie(s, liar, 500, s->pool.pool->client[a.id].owned);
	shell_advance(s, 3 * SECOND);
	for (uint32_t i = 0; i < 2; i++) {
		reply = shell_alloc(s, a, 0, 0);
		CU_ASSERT_PTR_NOT_NULL(reply);
		if (reply)
			CU_ASSERT_EQUAL(reply->status, -EAGAIN);
		shell_advance(s, 2 * SECOND);
	}
	CU_ASSERT_EQUAL(pool_purgeable(s->pool.pool, liar.id), 0);
	shell_close(s);
}

/* A cache that says it has much and never gives anything keeps all others waiting; in the end who
 * may run its own shrinkers does. */
static void a_liar_in_vain_leaves_the_way_to_ones_own_caches(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client liar = shell_attach(s, "liar", 0), a = shell_attach(s, "a", 0);
	const struct message *upcall;
	uint64_t id;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, liar, 1)->status, 0);
	(void)shell_fill(s, liar, NR_FRAMES / 2);
	(void)shell_fill(s, a, pool_watermark_min(s->pool.pool));
	for (uint32_t i = 0; i < 2; i++) {
		id = shell_say(s, a.conn,
			       &(struct message){.kind = MESSAGE_ALLOC,
						 .alloc = {.lane = 9,
							   .seq = i + 1,
							   .flags = i ? REQUEST_MAY_SHRINK : 0,
							   .timeout_ms = 1000}});
		for (uint32_t n = 0; n < 200 && !shell_reply(s, a.conn, id); n++) {
			while ((upcall = next_shrink(s, liar.id)))
				shell_shrink_done(s, liar.id, upcall, 1000000,
						  upcall->shrink.nr_to_scan,
						  upcall->shrink.nr_to_scan);
			shell_advance(s, 10 * MS);
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, a.conn, id));
		CU_ASSERT_EQUAL(shell_reply(s, a.conn, id)->status, i ? -EAGAIN : -ENOMEM);
		CU_ASSERT_EQUAL(shell_reply(s, a.conn, id)->shrink_self > 0, i > 0);
	}
	shell_close(s);
}

CU_TestInfo test_attack_ladder[] = {
	{"a liar in vain leaves the way to one's own caches",
	 a_liar_in_vain_leaves_the_way_to_ones_own_caches},
	{"entries that are lies are no hope", entries_that_are_lies_are_no_hope},
	{"a Reclaim ends with what was held when it began",
	 a_reclaim_ends_with_what_was_held_when_it_began},
	{"a Reclaim whose administrator has gone takes no more",
	 a_reclaim_whose_administrator_has_gone_takes_no_more},
	CU_TEST_INFO_NULL,
};
