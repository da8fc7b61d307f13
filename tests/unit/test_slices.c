/* tests/unit/test_slices.c - a pass over many magazines goes on in slices, and others are served
 * between them. */
#include "tests/support/fixture_session.h"

#include <errno.h>

#define NR_FRAMES 32768u
#define NR_CLIENTS 24u
#define EACH 500u /* frames in the hot magazine of a client: all together some slices */

/* The hot magazine of thread 0 gets n frames more. */
static void push_frames(struct fixture_pool *f, client_id client, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fixture_pool_push(f, client, 0, MAGAZINE_HOT, fixture_pool_alloc(f, client, 0));
}

/* Runs one slice; returns how many frames came back. */
static uint64_t run_slice(struct pool *pool, struct pool_pass *pass)
{
	return pool_claim_pass(pool, pass) ? pool_settle(pool) : 0;
}

/* --- the pass --- */

static void open_pool(struct fixture_pool *f)
{
	fixture_pool_open(f, NR_FRAMES);
	fixture_pool_commit_all(f);
	for (uint32_t i = 0; i < NR_CLIENTS; i++)
		push_frames(f, fixture_pool_client(f, 0), EACH);
}

static void close_pool(struct fixture_pool *f)
{
	FIXTURE_AUDIT(f);
	fixture_pool_close(f);
}

static void a_pass_takes_all_in_slices_that_are_bounded(void)
{
	struct fixture_pool f;
	struct pool_pass pass;
	uint64_t frames = 0;
	uint32_t slices = 0;

	open_pool(&f);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	while (!pool_pass_is_done(&pass)) {
		uint64_t got = run_slice(f.pool, &pass);

		CU_ASSERT(got <= POOL_SLICE_WORK);
		CU_ASSERT_EQUAL(pool_nr_claims(f.pool), 0);
		frames += got;
		slices++;
	}
	CU_ASSERT_EQUAL(frames, NR_CLIENTS * EACH);
	CU_ASSERT_EQUAL(slices, 2);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), NR_FRAMES);
	CU_ASSERT_EQUAL(pool_claim_pass(f.pool, &pass), 0); /* it stays done */
	close_pool(&f);
}

static void the_next_pass_begins_with_another_client(void)
{
	struct fixture_pool f;
	struct pool_pass pass;

	open_pool(&f);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	CU_ASSERT(run_slice(f.pool, &pass) > 0);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, 1), 0);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, NR_CLIENTS), EACH);
	/* That was enough. Client 1 has some again, and is not the first to pay. */
	push_frames(&f, 1, EACH);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	while (fixture_pool_owned(&f, NR_CLIENTS) > 0 && !pool_pass_is_done(&pass))
		(void)run_slice(f.pool, &pass);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, NR_CLIENTS), 0);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	CU_ASSERT_NOT_EQUAL(pass.client, 1);
	while (!pool_pass_is_done(&pass))
		(void)run_slice(f.pool, &pass);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), NR_FRAMES);
	close_pool(&f);
}

static void a_pass_over_one_client_leaves_the_others_alone(void)
{
	struct fixture_pool f;
	struct pool_pass pass;

	open_pool(&f);
	pass = pool_pass_begin(f.pool, 3, false);
	CU_ASSERT_EQUAL(run_slice(f.pool, &pass), EACH);
	CU_ASSERT(pool_pass_is_done(&pass));
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), NR_FRAMES - (NR_CLIENTS - 1) * EACH);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	CU_ASSERT_EQUAL(pass.client, 1);
	close_pool(&f);
}

/* A liar whose bottom is always far above top is met again and again, but not for ever. */
static void an_owner_that_fills_as_fast_as_we_take_holds_up_no_pass(void)
{
	struct fixture_pool f;
	struct pool_pass pass;
	struct shm_head *hot;
	uint32_t slices = 0;

	open_pool(&f);
	hot = pool_head(f.pool, 1, 0, MAGAZINE_HOT);
	hot->capacity = SHM_HOT_SLOTS_MAX;
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	for (; !pool_pass_is_done(&pass) && slices < 100; slices++) {
		*fixture_pool_bottom(&f, 1, 0, MAGAZINE_HOT) = hot->top + 20000;
		(void)run_slice(f.pool, &pass);
	}
	CU_ASSERT(slices <= SHM_HOT_SLOTS_MAX / POOL_SLICE_WORK + 3);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, NR_CLIENTS), 0);
	*fixture_pool_bottom(&f, 1, 0, MAGAZINE_HOT) = hot->top;
	close_pool(&f);
}

static void clients_may_come_and_die_between_two_slices(void)
{
	struct fixture_pool f;
	struct pool_pass pass;
	client_id late;

	open_pool(&f);
	pass = pool_pass_begin(f.pool, CLIENT_NONE, false);
	CU_ASSERT(run_slice(f.pool, &pass) > 0);
	CU_ASSERT(pass.client > 1 && pass.client < NR_CLIENTS);
	fixture_pool_kill(&f, pass.client);
	fixture_pool_kill(&f, NR_CLIENTS);
	late = fixture_pool_client(&f, 0);
	push_frames(&f, late, 10);
	while (!pool_pass_is_done(&pass))
		(void)run_slice(f.pool, &pass);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), NR_FRAMES);
	close_pool(&f);
}

/* --- the session --- */

static struct shell *open_shell(struct shell_client *ret_client)
{
	struct shell *s = shell_open(NR_FRAMES);

	for (uint32_t i = 0; i < NR_CLIENTS; i++) {
		ret_client[i] = shell_attach(s, "holder", 0);
		push_frames(&s->pool, ret_client[i].id, EACH);
	}
	return s;
}

static void others_are_served_between_the_slices_of_a_drain(void)
{
	struct shell_client client[NR_CLIENTS];
	struct shell *s = open_shell(client);
	struct message drain = {.kind = MESSAGE_DRAIN};
	uint32_t root = shell_observe(s, 0), other = shell_observe(s, 0);
	const struct message_reply *reply;
	uint64_t id, barriers;

	s->hold_again = true;
	id = shell_say(s, root, &drain);
	CU_ASSERT_PTR_NULL(shell_reply(s, root, id));
	barriers = s->n_barriers;
	CU_ASSERT_EQUAL(barriers, 1);
	/* Events of others are answered and take no slice; one drain is enough. */
	CU_ASSERT_EQUAL(shell_alloc(s, client[0], 0, 0)->status, 0);
	CU_ASSERT_EQUAL(shell_ask(s, other, &drain)->status, -EBUSY);
	CU_ASSERT_EQUAL(s->n_barriers, barriers);
	for (uint32_t i = 0; i < 10 && !shell_reply(s, root, id); i++)
		shell_again(s);
	reply = shell_reply(s, root, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->count, NR_CLIENTS * EACH);
	CU_ASSERT(s->n_barriers > barriers);
	s->hold_again = false;
	CU_ASSERT_EQUAL(shell_ask(s, other, &drain)->status, 0);
	shell_close(s);
}

static void a_drain_that_nobody_waits_for_ends(void)
{
	struct shell_client client[NR_CLIENTS];
	struct shell *s = open_shell(client);
	struct message drain = {.kind = MESSAGE_DRAIN};
	uint32_t root = shell_observe(s, 0), other = shell_observe(s, 0);

	s->hold_again = true;
	(void)shell_say(s, root, &drain);
	shell_hang_up(s, root);
	s->hold_again = false;
	shell_again(s);
	CU_ASSERT_EQUAL(s->n_barriers, 1);
	CU_ASSERT_EQUAL(shell_ask(s, other, &drain)->status, 0);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	shell_close(s);
}

/* Its goal is reached before every magazine was met: the rest is left to its owners. */
static void a_reclaim_takes_no_more_slices_than_it_needs(void)
{
	struct shell_client client[NR_CLIENTS];
	struct shell *s = open_shell(client);
	uint32_t root = shell_observe(s, 0);
	const struct message_reply *reply = shell_ask(
		s, root, &(struct message){.kind = MESSAGE_RECLAIM, .reclaim.nr_frames = 100});

	CU_ASSERT(reply->count >= 100);
	CU_ASSERT_EQUAL(s->n_barriers, 1);
	CU_ASSERT(pool_nr_free(s->pool.pool) < NR_FRAMES);
	shell_close(s);
}

/* What waits for frames gets them out of the last slice too. */
static void who_waits_gets_what_the_last_slice_brings(void)
{
	struct shell_client client[NR_CLIENTS];
	struct shell *s = open_shell(client);
	struct shell_client big = shell_attach(s, "big", 0);
	order_t order = 14;
	const struct message_reply *reply;
	uint64_t id;

	(void)fixture_pool_alloc(&s->pool, big.id, 13);
	id = shell_alloc_on(s, big, 5, order, 1000);
	reply = shell_reply(s, big.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(s->n_barriers, 2);
	shell_close(s);
}

CU_TestInfo test_slices[] = {
	{"a pass takes all in slices that are bounded",
	 a_pass_takes_all_in_slices_that_are_bounded},
	{"the next pass begins with another client", the_next_pass_begins_with_another_client},
	{"a pass over one client leaves the others alone",
	 a_pass_over_one_client_leaves_the_others_alone},
	{"an owner that fills as fast as we take holds up no pass",
	 an_owner_that_fills_as_fast_as_we_take_holds_up_no_pass},
	{"clients may come and die between two slices",
	 clients_may_come_and_die_between_two_slices},
	{"others are served between the slices of a drain",
	 others_are_served_between_the_slices_of_a_drain},
	{"a drain that nobody waits for ends", a_drain_that_nobody_waits_for_ends},
	{"a reclaim takes no more slices than it needs",
	 a_reclaim_takes_no_more_slices_than_it_needs},
	{"who waits gets what the last slice brings", who_waits_gets_what_the_last_slice_brings},
	CU_TEST_INFO_NULL,
};
