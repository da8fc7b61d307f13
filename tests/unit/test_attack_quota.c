/* tests/unit/test_attack_quota.c - clients at their max in each other's way, and requests that wait
 * for what they have.
 *
 * Each test is an attack that worked. */
#include "tests/unit/ladder_fixture.h"

#define MANY_FRAMES (1u << 18)
#define HELD 1000u

/* A client at its max, all of it purgeable, in a table that takes several slices to look at. */
static struct shell_client attach_full(struct shell *s, const char *name)
{
	struct shell_client c = shell_attach(s, name, HELD);
	struct message table = {.kind = MESSAGE_PURGE_TABLE,
				.purge_table = {.nr_slots = MANY_FRAMES}};

	while (pool_client(s->pool.pool, c.id)->nr_owned < HELD)
		CU_ASSERT_EQUAL_FATAL(shell_alloc(s, c, 0, REQUEST_NOWAIT)->status, 0);
	make_purgeable(s, c, HELD);
	for (uint32_t got = 0; got < MANY_FRAMES; got = s->pool.pool->client[c.id].purge_slots)
		CU_ASSERT_EQUAL_FATAL(shell_ask(s, c.conn, &table)->status, 0);
	return c;
}

static void two_at_their_max_do_not_undo_each_others_search(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct shell_client a = attach_full(s, "a"), b = attach_full(s, "b");
	uint64_t of_a, of_b;

	s->hold_again = true;
	of_a = shell_alloc_on(s, a, 1, 0, 1000);
	of_b = shell_alloc_on(s, b, 1, 0, 1000);
	for (uint32_t i = 0; s->again && i < 1000; i++)
		shell_again(s);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, a.conn, of_a));
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, b.conn, of_b));
	if (shell_reply(s, a.conn, of_a))
		CU_ASSERT_EQUAL(shell_reply(s, a.conn, of_a)->status, 0);
	if (shell_reply(s, b.conn, of_b))
		CU_ASSERT_EQUAL(shell_reply(s, b.conn, of_b)->status, 0);
	shell_advance(s, SECOND);
	shell_close(s);
}

CU_TestInfo test_attack_quota[] = {
	{"two at their max do not undo each other's search",
	 two_at_their_max_do_not_undo_each_others_search},
	CU_TEST_INFO_NULL,
};
