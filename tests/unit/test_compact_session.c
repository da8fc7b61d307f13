/* tests/unit/test_compact_session.c - daemon/session/compact: a request for a large block that
 * waits though free frames are enough. */
#include "tests/unit/ladder_fixture.h"

#define RUN 9u
#define RUN_FRAMES (1u << RUN)
#define N_RUNS (NR_FRAMES >> RUN)
#define N_SCATTERED                                                                                \
	100u          /* free frames of each run in which the others stay: not two side by side */
#define N_CHEAPER 60u /* free frames of the run that costs less than its like */
#define DEAR 3u
#define CHEAP 5u

struct story {
	struct shell *s;
	struct shell_client holder, wanter;
	uint32_t n_slots;
};

static struct page_word word_of(const struct story *t, pfn_t pfn)
{
	return page_get(t->s->pool.pool->buddy.map, pfn);
}

/* All that is given back in run, from its second frame on, every `stride` frames. */
static void scatter(struct story *t, uint32_t run, uint32_t n, uint32_t stride)
{
	for (pfn_t pfn = (run << RUN) + 1; n && pfn < (run + 1) << RUN; pfn += stride)
		if (word_of(t, pfn).state == PAGE_OWNED) {
			CU_ASSERT_EQUAL(shell_free(t->s, t->holder, pfn, 0)->status, 0);
			n--;
		}
}

/* What the holder has of the run becomes purgeable; the first frame of it has so many pins. */
static void arm_run(struct story *t, uint32_t run, uint32_t pins)
{
	uint64_t *table = purge_table(t->s->pool.pool, t->holder.id);

	for (pfn_t pfn = run << RUN; pfn < (run + 1) << RUN; pfn++) {
		if (word_of(t, pfn).state != PAGE_OWNED)
			continue;
		table[t->n_slots++] = purge_pack((struct purge_entry){
			.pfn = pfn, .pins = pins, .stamp = pool_meta(t->s->pool.pool)->generation});
		pins = 0;
	}
}

/* One client has every frame, in RECLAIMABLE pageblocks; then some of most runs come free, so that
 * there are more than a run needs, and no run. */
static struct story begin(void)
{
	struct message table = {.kind = MESSAGE_PURGE_TABLE, .purge_table = {.nr_slots = 4096}};
	struct story t = {.s = shell_open(NR_FRAMES)};
	struct pool *pool = t.s->pool.pool;
	uint64_t result;

	t.holder = shell_attach(t.s, "holder", 0);
	t.wanter = shell_attach(t.s, "wanter", 0);
	CU_ASSERT_EQUAL(shell_ask(t.s, t.holder.conn, &table)->status, 0);
	for (uint64_t seq = 1; pool_nr_free(pool) > pool_watermark_min(pool); seq++)
		CU_ASSERT_EQUAL_FATAL(
			pool_alloc(pool, t.holder.id, 0, MIGRATE_RECLAIMABLE, 63, seq, &result), 0);
	for (uint32_t run = 0; run < N_RUNS; run++)
		if (run != DEAR && run != CHEAP)
			scatter(&t, run, N_SCATTERED, 4);
	return t;
}

/* The same client has it in the way, and nobody else is there who could give any: it must not be
 * told that there is no hope before its own frames were looked at. */
static void who_is_alone_has_its_own_run_emptied(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	shell_kill(t.s, t.wanter);
	arm_run(&t, DEAR, 0);
	id = shell_alloc_on(t.s, t.holder, 1, RUN, 2000);
	reply = shell_reply(t.s, t.holder.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->result >> 32, DEAR << RUN);
	shell_close(t.s);
}

/* Of a segment larger than the tables each try looks at a part: nobody is refused after the first.
 */
static void who_is_alone_waits_until_all_parts_were_looked_at(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	t.s->pool.pool->compact_runs = 1;
	CU_ASSERT_EQUAL(pool_compact_tries(t.s->pool.pool, RUN), N_RUNS);
	shell_kill(t.s, t.wanter);
	arm_run(&t, CHEAP, 0);
	id = shell_alloc_on(t.s, t.holder, 1, RUN, 2000);
	reply = shell_reply(t.s, t.holder.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->result >> 32, CHEAP << RUN);
	CU_ASSERT(fixture_pool_counter(&t.s->pool, COUNTER_compact_stall) > 1);
	shell_close(t.s);
}

/* And once they were it is told at once, and not at its deadline. */
static void who_is_alone_is_told_when_all_parts_were_looked_at_in_vain(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	t.s->pool.pool->compact_runs = 1;
	shell_kill(t.s, t.wanter);
	id = shell_alloc_on(t.s, t.holder, 1, RUN, 2000);
	reply = shell_reply(t.s, t.holder.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_EQUAL(fixture_pool_counter(&t.s->pool, COUNTER_compact_stall), N_RUNS);
	shell_close(t.s);
}

static uint64_t counter(const struct story *t, enum counter counter)
{
	return fixture_pool_counter(&t->s->pool, counter);
}

static void the_cheapest_run_is_emptied_for_who_waits(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	scatter(&t, CHEAP, N_CHEAPER, 4);
	arm_run(&t, DEAR, 0);
	arm_run(&t, CHEAP, 0);
	CU_ASSERT(nr_free(t.s) > RUN_FRAMES + pool_watermark_high(t.s->pool.pool));
	id = shell_alloc_on(t.s, t.wanter, 0, RUN, 2000);
	reply = shell_reply(t.s, t.wanter.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->result >> 32, CHEAP << RUN);
	CU_ASSERT_EQUAL(counter(&t, COUNTER_compact_success), 1);
	CU_ASSERT_EQUAL(counter(&t, COUNTER_pgalloc_order9), 1);
	CU_ASSERT_EQUAL(counter(&t, COUNTER_pgpurge), RUN_FRAMES - N_CHEAPER);
	CU_ASSERT_EQUAL(word_of(&t, (DEAR << RUN) + 1).state, PAGE_OWNED);
	shell_close(t.s);
}

static void a_pin_in_the_cheapest_leads_to_the_next(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	scatter(&t, CHEAP, N_CHEAPER, 4);
	arm_run(&t, DEAR, 0);
	arm_run(&t, CHEAP, 1);
	id = shell_alloc_on(t.s, t.wanter, 0, RUN, 2000);
	reply = shell_reply(t.s, t.wanter.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->result >> 32, DEAR << RUN);
	CU_ASSERT_EQUAL(counter(&t, COUNTER_pgpurge), RUN_FRAMES);
	shell_close(t.s);
}

/* Pins in every run: tries with a pause between them, nothing taken in vain, and an answer. */
static void where_no_run_can_be_emptied_nothing_is_taken(void)
{
	struct story t = begin();
	const struct message_reply *reply;
	uint64_t id;

	arm_run(&t, DEAR, 1);
	arm_run(&t, CHEAP, 1);
	id = shell_alloc_on(t.s, t.wanter, 0, RUN, 1000);
	shell_advance(t.s, 1500 * MS);
	reply = shell_reply(t.s, t.wanter.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT(counter(&t, COUNTER_compact_fail) >= 1);
	CU_ASSERT(counter(&t, COUNTER_compact_stall) <= 20);
	CU_ASSERT_EQUAL(counter(&t, COUNTER_pgpurge), 0);
	CU_ASSERT(counter(&t, COUNTER_pgalloc_order9_fail) >= 1);
	shell_close(t.s);
}

CU_TestInfo test_compact_session[] = {
	{"who is alone waits until all parts were looked at",
	 who_is_alone_waits_until_all_parts_were_looked_at},
	{"who is alone is told when all parts were looked at in vain",
	 who_is_alone_is_told_when_all_parts_were_looked_at_in_vain},
	{"the cheapest run is emptied for who waits", the_cheapest_run_is_emptied_for_who_waits},
	{"who is alone has its own run emptied", who_is_alone_has_its_own_run_emptied},
	{"a pin in the cheapest leads to the next", a_pin_in_the_cheapest_leads_to_the_next},
	{"where no run can be emptied nothing is taken",
	 where_no_run_can_be_emptied_nothing_is_taken},
	CU_TEST_INFO_NULL,
};
