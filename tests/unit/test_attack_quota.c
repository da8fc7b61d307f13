/* tests/unit/test_attack_quota.c - clients at their max in each other's way, and requests that wait
 * for what they have.
 *
 * Each test is an attack that worked. */
#include "daemon/core/victim.h"
#include "tests/unit/ladder_fixture.h"

#define MANY_FRAMES (1u << 18)
#define HELD 10000u
#define N_EMPTY 5u

static void make_table(struct shell *s, struct shell_client c)
{
	struct message table = {.kind = MESSAGE_PURGE_TABLE,
				.purge_table = {.nr_slots = MANY_FRAMES}};

	for (uint32_t got = 0; got < MANY_FRAMES; got = s->pool.pool->client[c.id].purge_slots)
		CU_ASSERT_EQUAL_FATAL(shell_ask(s, c.conn, &table)->status, 0);
}

/* A client at its max, all of it purgeable, in a table that takes several slices to look at. */
static struct shell_client attach_with(struct shell *s, const char *name, uint32_t held)
{
	struct shell_client c = shell_attach(s, name, held);

	while (pool_client(s->pool.pool, c.id)->nr_owned < held)
		CU_ASSERT_EQUAL_FATAL(shell_alloc(s, c, 0, REQUEST_NOWAIT)->status, 0);
	make_purgeable(s, c, held);
	make_table(s, c);
	return c;
}

static struct shell_client attach_full(struct shell *s, const char *name)
{
	return attach_with(s, name, HELD);
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

static void pin_all(struct shell *s, struct shell_client c, uint64_t pins)
{
	uint64_t *table = purge_table(s->pool.pool, c.id);

	for (uint32_t i = 0; i < HELD; i++)
		table[i] = (table[i] & ~UINT64_C(255)) | pins;
}

/* A request at its max did not wait for the end of the search. The next one is told what there is
 * now, and not what that search had seen by then. */
static void who_gave_up_leaves_no_search_to_the_next_request(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct shell_client a = attach_full(s, "a");
	const struct message_reply *reply;
	uint64_t id;

	pin_all(s, a, 1);
	s->hold_again = true;
	id = shell_alloc_on(s, a, 1, 0, 10);
	for (uint32_t i = 0; !s->pool.pool->victims_one.asking && i < 10; i++)
		shell_again(s);
	CU_ASSERT_TRUE(s->pool.pool->victims_one.asking);
	CU_ASSERT_PTR_NULL(shell_reply(s, a.conn, id));
	shell_advance(s, 20 * MS);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, a.conn, id));
	for (uint32_t i = 0; s->again && i < 1000; i++)
		shell_again(s);
	s->hold_again = false;
	pin_all(s, a, 0);
	reply = shell_alloc(s, a, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	shell_close(s);
}

/* A pass is through whose list the one who was there first fills, and has no room for the other. */
static void fill_list(struct shell *s, struct shell_client *ret_old, struct shell_client *ret_young)
{
	struct pool *pool = s->pool.pool;
	bool again = true;

	*ret_old = attach_full(s, "old");
	pool_meta(pool)->generation += 1000;
	*ret_young = attach_full(s, "young");
	CU_ASSERT_EQUAL(pool_purge(pool, 64, CLIENT_NONE, &again), 0);
	CU_ASSERT_TRUE_FATAL(again);
	while (pool_purge_is_looking(pool))
		pool_purge_ahead(pool);
}

static void purge_64_of(struct shell *s, struct shell_client client)
{
	uint64_t got = 0;
	bool again = true;

	for (uint32_t i = 0; again && got < 64 && i < 100; i++)
		got += pool_purge(s->pool.pool, 64 - got, CLIENT_NONE, &again);
	CU_ASSERT_EQUAL(got, 64);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, client.id)->nr_purged, 64);
}

static void who_falls_to_its_min_hides_nobody(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool_limits limits = {.min = HELD};
	struct shell_client old, young;

	fill_list(s, &old, &young);
	pool_client_set_limits(s->pool.pool, old.id, &limits);
	purge_64_of(s, young);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, old.id)->nr_purged, 0);
	shell_close(s);
}

static void who_dies_hides_nobody(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct shell_client old, young;

	fill_list(s, &old, &young);
	shell_kill(s, old);
	purge_64_of(s, young);
	shell_close(s);
}

/* So that a pass knows how much there is, and its lists are no longer than they need to be. */
static void count_tables(struct pool *pool)
{
	do
		victim_tick(pool);
	while (pool->count_cursor.client <= pool->last_table);
}

/* The list of those who are over their high is full of one who is not any more: the other, who is,
 * pays all the same, and not those who never were. */
static void who_leaves_its_tier_does_not_hide_the_rest_of_it(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool_limits over = {.high = 1}, not_over = {.high = 0};
	struct shell_client old, young, thrifty;
	struct pool *pool = s->pool.pool;
	uint64_t got = 0;
	bool again = true;

	thrifty = attach_full(s, "thrifty");
	old = attach_full(s, "old");
	pool_meta(pool)->generation += 1000;
	young = attach_full(s, "young");
	pool_client_set_limits(pool, old.id, &over);
	pool_client_set_limits(pool, young.id, &over);
	count_tables(pool);
	CU_ASSERT_EQUAL(pool_purge(pool, 64, CLIENT_NONE, &again), 0);
	while (pool_purge_is_looking(pool))
		pool_purge_ahead(pool);
	pool_client_set_limits(pool, old.id, &not_over);
	for (uint32_t i = 0; again && got < 64 && i < 100; i++)
		got += pool_purge(pool, 64 - got, CLIENT_NONE, &again);
	CU_ASSERT_EQUAL(got, 64);
	CU_ASSERT_EQUAL(pool_client(pool, young.id)->nr_purged, 64);
	CU_ASSERT_EQUAL(pool_client(pool, old.id)->nr_purged, 0);
	CU_ASSERT_EQUAL(pool_client(pool, thrifty.id)->nr_purged, 0);
	/* When the other has paid, those who left pay as all do: nobody is left out for it. */
	pool_client_set_limits(pool, young.id, &not_over);
	got = 0;
	for (uint32_t i = 0, next = 1; (again || next) && got < 1000 && i < 1000; i++, next = 0)
		got += pool_purge(pool, 1000 - got, CLIENT_NONE, &again);
	CU_ASSERT_EQUAL(got, 1000);
	CU_ASSERT(pool_client(pool, old.id)->nr_purged > 0);
	shell_close(s);
}

/* Who was over its high has paid what it was over, and is one of those within their limits: of
 * these it has the oldest frames. */
static void who_has_paid_for_its_tier_pays_in_the_next_one(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool_limits limits = {.high = HELD - 500};
	struct shell_client old = attach_full(s, "old"), young;
	struct pool *pool = s->pool.pool;
	uint64_t got = 0;
	bool again = true;

	pool_meta(pool)->generation += 1000;
	young = attach_full(s, "young");
	pool_client_set_limits(pool, old.id, &limits);
	count_tables(pool);
	CU_ASSERT_EQUAL(pool_purge(pool, 64, CLIENT_NONE, &again), 0);
	while (pool_purge_is_looking(pool))
		pool_purge_ahead(pool);
	/* all but five of its list */
	limits.high = HELD + 5 - pool->victims.ready[POOL_TIER_OVER].n;
	pool_client_set_limits(pool, old.id, &limits);
	for (uint32_t i = 0; again && got < 2000 && i < 1000; i++)
		got += pool_purge(pool, 2000 - got, CLIENT_NONE, &again);
	CU_ASSERT_EQUAL(got, 2000);
	CU_ASSERT_EQUAL(pool_client(pool, old.id)->nr_purged, 2000);
	CU_ASSERT_EQUAL(pool_client(pool, young.id)->nr_purged, 0);
	shell_close(s);
}

/* All that the list holds is used before its turn comes, so that its client is left out of the next
 * pass; when that is through the clock ticks. */
static void a_tick_does_not_hide_who_was_left_out(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct shell_client busy = attach_full(s, "busy");
	struct pool *pool = s->pool.pool;
	const struct victim_list *list = &pool->victims.ready[POOL_TIER_NORMAL];
	bool again = true;
	uint64_t got = 0;

	pool_meta(pool)->generation += 1000;
	count_tables(pool);
	for (uint32_t n = 0; n < 2; n++) {
		CU_ASSERT_EQUAL(pool_purge(pool, 64, CLIENT_NONE, &again), 0);
		while (pool_purge_is_looking(pool))
			pool_purge_ahead(pool);
		for (uint32_t i = 0; i < list->n; i++) {
			uint64_t *at = &purge_table(pool, busy.id)[list->at[i].slot];
			struct purge_entry entry = purge_unpack(*at);

			entry.stamp = pool_meta(pool)->generation;
			*at = purge_pack(entry);
		}
		CU_ASSERT_TRUE(again);
		if (n == 0)
			CU_ASSERT_EQUAL(pool_purge(pool, 64, CLIENT_NONE, &again), 0);
	}
	CU_ASSERT_EQUAL(pool->victims.left_out[busy.id], VICTIM_TIERS);
	victim_tick(pool);
	for (uint32_t i = 0; again && got < 64 && i < 100; i++)
		got += pool_purge(pool, 64 - got, CLIENT_NONE, &again);
	CU_ASSERT_EQUAL(got, 64);
	shell_close(s);
}

/* The lists of the first two tiers are short and sorted in one go, which is a step's work each time
 * that it is done; that of the third takes several steps. */
static void short_lists_do_not_keep_a_long_one_from_its_order(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool_limits over = {.high = 1}, spared = {.low = HELD};
	struct shell_client a = attach_with(s, "over", 250), c;
	struct pool *pool = s->pool.pool;
	uint32_t n_steps = 0;
	bool again = true;

	(void)attach_with(s, "normal", 250);
	c = attach_full(s, "spared");
	pool_client_set_limits(pool, a.id, &over);
	pool_client_set_limits(pool, c.id, &spared);
	CU_ASSERT_EQUAL(pool_purge(pool, 1, CLIENT_NONE, &again), 0);
	for (; pool_purge_is_looking(pool) && n_steps < 10000; n_steps++)
		pool_purge_ahead(pool);
	CU_ASSERT(n_steps < 10000);
	shell_close(s);
}

/* A table costs eight bytes a slot, and no frame. */
static void large_tables_with_nothing_in_them_slow_nobody_down_much(void)
{
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool *pool = s->pool.pool;
	struct shell_client honest = attach_full(s, "honest");
	uint64_t got = 0, scanned;
	bool again;

	for (uint32_t i = 0; i < N_EMPTY; i++)
		make_table(s, shell_attach_as(s, SHELL_UID + 1 + i, "empty", 1));
	count_tables(pool);
	scanned = fixture_pool_counter(&s->pool, COUNTER_pgscan);
	for (uint32_t i = 0; got < 2000 && i < 100000; i++)
		got += pool_purge(pool, 32, CLIENT_NONE, &again);
	scanned = fixture_pool_counter(&s->pool, COUNTER_pgscan) - scanned;
	CU_ASSERT(got >= 2000);
	CU_ASSERT(scanned < UINT64_C(3) * (1 + N_EMPTY) * MANY_FRAMES);
	CU_ASSERT_EQUAL(pool_client(pool, honest.id)->nr_purged, got);
	shell_close(s);
}

/* Half of what all users may have together, which is eight times the frames of the segment. */
static void tables_of_one_user_leave_room_for_those_of_others(void)
{
	struct message table = {.kind = MESSAGE_PURGE_TABLE,
				.purge_table = {.nr_slots = MANY_FRAMES}};
	struct shell *s = shell_open(MANY_FRAMES);
	struct pool *pool = s->pool.pool;
	const struct message_reply *reply;
	struct shell_client first = shell_attach(s, "first", 0), c;
	uint64_t all = MANY_FRAMES;

	make_table(s, first);
	do {
		c = shell_attach(s, "greedy", 0);
		do
			reply = shell_ask(s, c.conn, &table);
		while (reply->status == 0 && reply->count < MANY_FRAMES);
		all += pool->client[c.id].purge_slots;
	} while (reply->status == 0 && all < 8 * MANY_FRAMES);
	CU_ASSERT_EQUAL(reply->status, -ENOSPC);
	CU_ASSERT(all > 3 * MANY_FRAMES && all <= 4 * MANY_FRAMES);
	/* What is there may be asked for, and of a table that ended others have the room. */
	table.purge_table.nr_slots = pool->client[c.id].purge_slots;
	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &table)->status, 0);
	/* Somebody else, half of the rest. */
	make_table(s, shell_attach_as(s, SHELL_UID + 1, "other", 0));
	shell_kill(s, first);
	table.purge_table.nr_slots = pool->client[c.id].purge_slots + 1;
	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &table)->status, 0);
	shell_close(s);
}

/* A doorbell may be answered after its owner stopped looking: the request that it sent then comes
 * to a magazine that holds what it asks for. */
static void who_has_what_it_asks_for_does_not_wait_with_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client hog = shell_attach(s, "hog", 0), waits = shell_attach(s, "waits", 0);
	struct shell_client rings = shell_attach(s, "rings", 0);
	struct pool_limits limits = {.min = NR_FRAMES / 4};
	const struct message_reply *reply;
	uint64_t held, id;

	pool_client_set_limits(s->pool.pool, rings.id, &limits);
	held = shell_refill(s, rings, MAGAZINE_HOT, 0)->count;
	CU_ASSERT(held > 0);
	(void)shell_fill(s, hog, pool_watermark_min(s->pool.pool));
	id = shell_alloc_on(s, waits, 1, 0, 1000);
	CU_ASSERT_PTR_NULL(shell_reply(s, waits.conn, id));
	reply = shell_refill(s, rings, MAGAZINE_HOT, 0);
	CU_ASSERT_PTR_NOT_NULL(reply);
	if (reply)
		CU_ASSERT_EQUAL(reply->count, held);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, rings.id, 0, MAGAZINE_HOT), held);
	CU_ASSERT_PTR_NULL(shell_reply(s, waits.conn, id));
	shell_advance(s, 2 * SECOND);
	shell_close(s);
}

CU_TestInfo test_attack_quota[] = {
	{"two at their max do not undo each other's search",
	 two_at_their_max_do_not_undo_each_others_search},
	{"who gave up leaves no search to the next request",
	 who_gave_up_leaves_no_search_to_the_next_request},
	{"who falls to its min hides nobody", who_falls_to_its_min_hides_nobody},
	{"who dies hides nobody", who_dies_hides_nobody},
	{"who leaves its tier does not hide the rest of it",
	 who_leaves_its_tier_does_not_hide_the_rest_of_it},
	{"who has paid for its tier pays in the next one",
	 who_has_paid_for_its_tier_pays_in_the_next_one},
	{"a tick does not hide who was left out", a_tick_does_not_hide_who_was_left_out},
	{"short lists do not keep a long one from its order",
	 short_lists_do_not_keep_a_long_one_from_its_order},
	{"large tables with nothing in them slow nobody down much",
	 large_tables_with_nothing_in_them_slow_nobody_down_much},
	{"tables of one user leave room for those of others",
	 tables_of_one_user_leave_room_for_those_of_others},
	{"who has what it asks for does not wait with others",
	 who_has_what_it_asks_for_does_not_wait_with_others},
	CU_TEST_INFO_NULL,
};
