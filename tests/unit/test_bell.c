/* tests/unit/test_bell.c - daemon/session/bell.c: refills without a request, and who rings in vain.
 */
#include "tests/unit/ladder_fixture.h"

static void ring(struct shell *s, struct shell_client a, uint64_t magazine, uint32_t want)
{
	char *ctl = s->pool.ctl[a.id];

	*(uint64_t *)(void *)(ctl + shm_ctl_ring_offset(0)) = magazine << SHM_RING_WANT_BITS | want;
	*(uint64_t *)(void *)(ctl + SHM_CTL_BELL_OFFSET) |= 1;
}

static uint64_t count(const struct shell *s, struct shell_client a)
{
	return fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT);
}

/* What an awake server does between two events; false: nobody rang, and nothing is low. */
static bool look(struct shell *s)
{
	if (!session_is_rung(s->session) && !session_is_low(s->session))
		return false;
	shell_event(s, &(struct session_event){.kind = EVENT_RUNG});
	return true;
}

static void take(struct shell *s, struct shell_client a, uint64_t n)
{
	while (n--)
		CU_ASSERT_NOT_EQUAL(fixture_pool_pop(&s->pool, a.id, 0, MAGAZINE_HOT), PFN_NONE);
}

static uint64_t counter(const struct shell *s, enum counter which)
{
	return fixture_pool_counter(&s->pool, which);
}

/* A client whose magazine has been filled once and is empty again. */
static struct shell_client consumer(struct shell *s)
{
	struct shell_client a = shell_attach(s, "a", 0);

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	take(s, a, count(s, a));
	return a;
}

static void a_ring_fills_an_empty_magazine(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s);
	uint64_t requests = counter(s, COUNTER_rpc_requests);

	ring(s, a, MAGAZINE_HOT, 100);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) >= 100);
	CU_ASSERT_EQUAL(counter(s, COUNTER_pcp_prefetch), 1);
	CU_ASSERT_EQUAL(counter(s, COUNTER_rpc_requests), requests);
	CU_ASSERT_FALSE(look(s));
	FIXTURE_AUDIT(&s->pool);
	shell_close(s);
}

static void who_takes_finds_the_magazine_filled_again_and_again(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint64_t requests;

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	requests = counter(s, COUNTER_rpc_requests);
	for (int i = 0; i < 4000; i++) {
		take(s, a, 1);
		(void)look(s);
	}
	CU_ASSERT_EQUAL(counter(s, COUNTER_rpc_requests), requests);
	CU_ASSERT(counter(s, COUNTER_pcp_prefetch) > 4);
	FIXTURE_AUDIT(&s->pool);
	shell_close(s);
}

static void what_was_stolen_is_not_given_back(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	CU_ASSERT(fixture_pool_steal(&s->pool, a.id, 0, MAGAZINE_HOT, UINT32_MAX) > 0);
	CU_ASSERT_EQUAL(count(s, a), 0);
	CU_ASSERT_FALSE(look(s));
	shell_close(s);
}

/* Who took all came to its end before a drain, which found nothing; a daemon that was late looks at
 * what was taken only then. */
static void what_was_empty_at_a_drain_is_left_empty(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s);
	struct message drain = {.kind = MESSAGE_DRAIN, .drain = {.client = a.id}};
	uint32_t root = shell_observe(s, 0);

	CU_ASSERT_TRUE(session_is_low(s->session));
	CU_ASSERT_EQUAL(shell_ask(s, root, &drain)->count, 0);
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	shell_close(s);
}

/* Nobody looked at the bell in time, and its owner asked instead. Later it had enough. */
static void a_request_answers_the_ring_before_it(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s);
	struct message drain = {.kind = MESSAGE_DRAIN, .drain = {.client = a.id}};
	uint32_t root = shell_observe(s, 0);

	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	take(s, a, 1);
	CU_ASSERT(shell_ask(s, root, &drain)->count > 0);
	CU_ASSERT_EQUAL(count(s, a), 0);
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	/* Also one that was taken, and waits for its turn. */
	ring(s, a, MAGAZINE_HOT, 1);
	s->session->bell.heard[0].rings = pool_take_rings(s->pool.pool, a.id);
	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	take(s, a, 1);
	CU_ASSERT(shell_ask(s, root, &drain)->count > 0);
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	/* The next one is heard. */
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) > 0);
	shell_close(s);
}

static void who_frees_is_not_refilled(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s);
	pfn_t pfn;

	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	pfn = fixture_pool_pop(&s->pool, a.id, 0, MAGAZINE_HOT);
	CU_ASSERT(fixture_pool_steal(&s->pool, a.id, 0, MAGAZINE_HOT, UINT32_MAX) > 0);
	fixture_pool_push(&s->pool, a.id, 0, MAGAZINE_HOT, pfn);
	CU_ASSERT_FALSE(look(s));
	shell_close(s);
}

static void a_ring_for_what_is_half_full_or_no_magazine_brings_nothing(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint64_t before;

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	before = pool_client(s->pool.pool, a.id)->nr_owned;
	ring(s, a, MAGAZINE_HOT, 0);
	CU_ASSERT_TRUE(look(s));
	ring(s, a, MAGAZINE_COUNT, 1);
	CU_ASSERT_TRUE(look(s));
	ring(s, a, UINT32_MAX, UINT32_MAX);
	CU_ASSERT_TRUE(look(s));
	*(uint64_t *)(void *)(s->pool.ctl[a.id] + SHM_CTL_BELL_OFFSET) = ~UINT64_C(1) << 7;
	CU_ASSERT_TRUE(look(s)); /* threads that do not exist */
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_owned, before);
	shell_close(s);
}

static void rings_in_vain_use_up_a_budget_until_the_next_tick(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "hostile", 0), b = consumer(s);
	uint32_t heard = 0;

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, 0);
	for (uint32_t i = 0; i < 10000; i++) {
		ring(s, a, MAGAZINE_HOT, 0);
		heard += look(s);
	}
	CU_ASSERT(heard > 0 && heard <= 64);
	*(uint64_t *)(void *)(s->pool.ctl[b.id] + SHM_CTL_BELL_OFFSET) = 1u << 30;
	CU_ASSERT_TRUE(look(s)); /* of a thread that it has not: counts, too */
	CU_ASSERT_EQUAL(s->session->bell.heard[s->session->bell_place[b.id] - 1].n_vain, 1);
	CU_ASSERT_TRUE(s->open[a.conn]);
	ring(s, b, MAGAZINE_HOT, 1); /* the other one is heard all the same */
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, b) > 0);
	/* After a tick it is heard again, if it also speaks. */
	shell_advance(s, SECOND / 2);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
	shell_advance(s, SECOND * 6 / 10);
	ring(s, a, MAGAZINE_HOT, 0);
	CU_ASSERT_TRUE(look(s));
	shell_close(s);
}

static void who_was_silent_for_a_second_is_not_looked_at(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s);

	shell_advance(s, 3 * SECOND);
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) > 0);
	shell_close(s);
}

static void a_ring_gets_no_more_than_the_quota(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 10);

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_COLD, 0)->status, 0);
	for (int i = 0; i < 3; i++) {
		ring(s, a, MAGAZINE_HOT, UINT32_MAX);
		CU_ASSERT_TRUE(look(s));
	}
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_owned, 10);
	shell_close(s);
}

static void those_who_wait_come_before_those_who_ring(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s), b = shell_attach(s, "b", 0),
			    c = shell_attach(s, "c", 0);
	uint64_t id;

	(void)shell_fill(s, b, pool_watermark_min(s->pool.pool));
	id = shell_alloc_on(s, c, 1, 0, 60000);
	CU_ASSERT_PTR_NULL(shell_reply(s, c.conn, id));
	/* One frame is free again: it is for who waits. */
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	shell_close(s);
}

static uint64_t word_of(const struct shell *s, struct shell_client a)
{
	return *(uint64_t *)(void *)(s->pool.ctl[a.id] + shm_ctl_ring_offset(0));
}

static void a_ring_gets_what_can_be_purged_at_once(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s), b = shell_attach(s, "b", 0);
	uint64_t requests;

	make_purgeable(s, b, (uint32_t)shell_fill(s, b, pool_watermark_min(s->pool.pool)));
	requests = counter(s, COUNTER_rpc_requests);
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) > 0);
	CU_ASSERT_NOT_EQUAL(word_of(s, a), SHM_RING_REFUSED);
	CU_ASSERT_EQUAL(counter(s, COUNTER_rpc_requests), requests);
	CU_ASSERT(counter(s, COUNTER_pgpurge) > 0);
	/* However many it wants. */
	take(s, a, count(s, a));
	ring(s, a, MAGAZINE_HOT, UINT32_MAX);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) > 0);
	CU_ASSERT(counter(s, COUNTER_pgpurge) <= 2 * (64 + pool_watermark_high(s->pool.pool)));
	FIXTURE_AUDIT(&s->pool);
	shell_close(s);
}

static void who_rings_in_vain_is_told_so(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = consumer(s), b = shell_attach(s, "b", 0);

	(void)shell_fill(s, b, pool_watermark_min(s->pool.pool));
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	CU_ASSERT_EQUAL(word_of(s, a), SHM_RING_REFUSED);
	ring(s, a, UINT32_MAX, 1); /* no magazine */
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT_EQUAL(word_of(s, a), SHM_RING_REFUSED);
	shell_close(s);
}

/* Its word was overwritten by the refusal of the ring before. */
static void a_ring_with_the_word_of_a_refusal_gets_nothing(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	/* Which is not the one that the word of a refusal would be of. */
	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_COLD, 0)->status, 0);
	ring(s, a, 0, 0);
	CU_ASSERT_EQUAL(word_of(s, a), SHM_RING_REFUSED);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT_EQUAL(count(s, a), 0);
	ring(s, a, MAGAZINE_HOT, 1);
	CU_ASSERT_TRUE(look(s));
	CU_ASSERT(count(s, a) > 0);
	shell_close(s);
}

static void a_reader_gets_nothing_by_ringing(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(HELLO_READ_ONLY);
	uint32_t conn = shell_connect(s, SHELL_UID, 77);
	const struct message_reply *reply = shell_ask(s, conn, &hello);
	struct shell_client a = {conn, (client_id)reply->client};
	struct message create = {.kind = MESSAGE_PCP_CREATE, .pcp_create = {0}};

	CU_ASSERT_EQUAL(shell_ask(s, conn, &create)->status, 0);
	ring(s, a, MAGAZINE_HOT, 8);
	CU_ASSERT_FALSE(look(s));
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->nr_owned, 0);
	shell_close(s);
}

static void the_list_is_bounded_and_forgets_who_was_heard_first(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client first = consumer(s);

	for (uint32_t i = 0; i < BELL_CLIENTS; i++) {
		struct shell_client a = shell_attach(s, "a", 0);

		shell_advance(s, 1000);
		CU_ASSERT_EQUAL(
			shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->status, 0);
		if (i == 7)
			shell_kill(s, a); /* its place is another's */
	}
	CU_ASSERT(s->session->bell.n <= BELL_CLIENTS);
	shell_advance(s, 1000);
	CU_ASSERT_EQUAL(shell_ask(s, shell_attach(s, "b", 0).conn,
				  &(struct message){.kind = MESSAGE_STATUS})
				->status,
			0);
	CU_ASSERT_EQUAL(s->session->bell.n, BELL_CLIENTS);
	CU_ASSERT_EQUAL(shell_ask(s, shell_attach(s, "c", 0).conn,
				  &(struct message){.kind = MESSAGE_STATUS})
				->status,
			0);
	ring(s, first, MAGAZINE_HOT, 1);
	CU_ASSERT_FALSE(look(s));
	shell_close(s);
}

CU_TestInfo test_bell[] = {
	{"a_ring_fills_an_empty_magazine", a_ring_fills_an_empty_magazine},
	{"who_takes_finds_the_magazine_filled_again_and_again",
	 who_takes_finds_the_magazine_filled_again_and_again},
	{"what_was_stolen_is_not_given_back", what_was_stolen_is_not_given_back},
	{"what was empty at a drain is left empty", what_was_empty_at_a_drain_is_left_empty},
	{"a request answers the ring before it", a_request_answers_the_ring_before_it},
	{"who_frees_is_not_refilled", who_frees_is_not_refilled},
	{"a_ring_for_what_is_half_full_or_no_magazine_brings_nothing",
	 a_ring_for_what_is_half_full_or_no_magazine_brings_nothing},
	{"rings_in_vain_use_up_a_budget_until_the_next_tick",
	 rings_in_vain_use_up_a_budget_until_the_next_tick},
	{"who_was_silent_for_a_second_is_not_looked_at",
	 who_was_silent_for_a_second_is_not_looked_at},
	{"a_ring_gets_no_more_than_the_quota", a_ring_gets_no_more_than_the_quota},
	{"those_who_wait_come_before_those_who_ring", those_who_wait_come_before_those_who_ring},
	{"a_ring_gets_what_can_be_purged_at_once", a_ring_gets_what_can_be_purged_at_once},
	{"who_rings_in_vain_is_told_so", who_rings_in_vain_is_told_so},
	{"a_ring_with_the_word_of_a_refusal_gets_nothing",
	 a_ring_with_the_word_of_a_refusal_gets_nothing},
	{"a_reader_gets_nothing_by_ringing", a_reader_gets_nothing_by_ringing},
	{"the_list_is_bounded_and_forgets_who_was_heard_first",
	 the_list_is_bounded_and_forgets_who_was_heard_first},
	CU_TEST_INFO_NULL,
};
