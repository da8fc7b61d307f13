/* tests/unit/test_session.c - daemon/session: requests, who may send them, and the end of clients.
 */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u

static enum connection_state state_of(const struct shell *s, uint32_t conn)
{
	return s->session->connection[conn].state;
}

/* --- requests --- */

static void malformed_bytes_end_their_connection_and_not_their_client(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_alloc(s, a, 0, 0);
	shell_event(s, &(struct session_event){
			       .kind = EVENT_MALFORMED, .conn = a.conn, .text = "cut short"});
	CU_ASSERT_FALSE(s->open[a.conn]);
	CU_ASSERT_EQUAL(shell_reply(s, a.conn, 0)->status, -EPROTO);
	CU_ASSERT_STRING_EQUAL(shell_reply(s, a.conn, 0)->text, "cut short");
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_rpc_malformed), 1);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 1);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->state, SHM_CLIENT_AWAY);
	shell_close(s);
}

static void kinds_that_no_client_sends_are_refused(void)
{
	static const enum message_kind kinds[] = {MESSAGE_NONE, MESSAGE_REPLY, MESSAGE_SHRINK,
						  MESSAGE_PRESSURE, MESSAGE_SHRINK_DONE};
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		CU_ASSERT(shell_ask(s, a.conn, &(struct message){.kind = kinds[i]})->status < 0);
	CU_ASSERT(s->open[a.conn]);
	shell_close(s);
}

static void a_wrong_free_says_what_was_wrong(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	pfn_t pfn = (pfn_t)(shell_alloc(s, a, 2, 0)->result >> 32);
	const struct message_reply *reply = shell_free(s, a, pfn, 0);

	CU_ASSERT_EQUAL(reply->status, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "order 0: the block has another order"));
	CU_ASSERT_EQUAL(shell_free(s, b, pfn, 2)->status, -EPERM);
	CU_ASSERT_EQUAL(shell_free(s, a, pfn + 1, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_free(s, a, UINT32_MAX, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_free(s, a, pfn, 2)->status, 0);
	CU_ASSERT_EQUAL(
		shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->nr_bad_free, 3);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_rpc_refused), 4);
	shell_close(s);
}

static void threads_and_orders_out_of_range_are_refused(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message create = {.kind = MESSAGE_PCP_CREATE, .pcp_create = {FIXTURE_THREADS}};
	struct message refill = {.kind = MESSAGE_PCP_REFILL, .pcp_refill = {.thread = 1}};
	struct message drain = {.kind = MESSAGE_PCP_DRAIN, .pcp_drain = {.magazine = UINT32_MAX}};

	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &create)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &refill)->status, -EINVAL); /* not created */
	refill.pcp_refill = (struct message_pcp_refill){.magazine = MAGAZINE_COUNT};
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &refill)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &drain)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_alloc(s, a, ORDER_MAX + 1, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(shell_alloc(s, a, UINT32_MAX, 0)->status, -EINVAL);
	shell_close(s);
}

static void heads_without_memory_are_an_error_of_that_request(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message create = {.kind = MESSAGE_PCP_CREATE, .pcp_create = {1}};

	s->heads_status = -ENOMEM;
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &create)->status, -ENOMEM);
	s->heads_status = 0;
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &create)->status, 0);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &create)->status, 0);
	shell_kill(s, a);
	shell_event(s, &(struct session_event){
			       .kind = EVENT_HEADS, .conn = a.conn, .client = a.id, .thread = 1});
	shell_close(s);
}

static void a_read_only_client_may_import_and_not_allocate(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(HELLO_READ_ONLY);
	struct shell_client a = shell_attach(s, "a", 0), b = {.conn = 0};
	struct message message;
	uint64_t handle;

	b.conn = shell_connect(s, SHELL_UID, 1);
	b.id = shell_ask(s, b.conn, &hello)->client;
	CU_ASSERT(s->reply[(s->n_replies - 1) % SHELL_REPLIES_MAX].read_only);
	message = (struct message){.kind = MESSAGE_PCP_CREATE};
	(void)shell_ask(s, b.conn, &message);
	CU_ASSERT_EQUAL(shell_alloc(s, b, 0, 0)->status, -EROFS);
	CU_ASSERT_EQUAL(shell_refill(s, b, MAGAZINE_HOT, 0)->status, -EROFS);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, b.id), 0);
	message =
		(struct message){.kind = MESSAGE_SHARE,
				 .share = {.lane = 2,
					   .seq = 1,
					   .pfn = (pfn_t)(shell_alloc(s, a, 0, 0)->result >> 32)}};
	handle = shell_ask(s, a.conn, &message)->result;
	message = (struct message){.kind = MESSAGE_IMPORT,
				   .import = {.lane = 0, .seq = 1, .handle = handle}};
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &message)->result, handle >> 32 << 32);
	message = (struct message){.kind = MESSAGE_PUT,
				   .put = {.lane = 0, .seq = 2, .pfn = (pfn_t)(handle >> 32)}};
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &message)->status, 0);
	shell_close(s);
}

static void a_full_magazine_is_drained_by_half(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message drain = {.kind = MESSAGE_PCP_DRAIN};
	const struct message_reply *reply;

	for (uint32_t i = 0; i < 96; i++)
		fixture_pool_push(&s->pool, a.id, 0, MAGAZINE_HOT,
				  (pfn_t)(shell_alloc(s, a, 0, 0)->result >> 32));
	reply = shell_ask(s, a.conn, &drain);
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->count, 47);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 47);
	CU_ASSERT_EQUAL(s->n_barriers, 1);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &drain)->count, 47);
	CU_ASSERT_EQUAL(s->n_barriers, 1);
	shell_close(s);
}

static void a_barrier_that_fails_takes_nothing(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message drain = {.kind = MESSAGE_DRAIN};
	uint32_t admin = shell_observe(s, 0);

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	s->barrier_status = -EINVAL;
	CU_ASSERT_EQUAL(shell_ask(s, admin, &drain)->count, 0);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT), 16);
	s->barrier_status = 0;
	CU_ASSERT_EQUAL(shell_ask(s, admin, &drain)->count, 16);
	shell_close(s);
}

/* --- the administrator --- */

static void only_the_administrator_may_drain_reclaim_and_check(void)
{
	static const struct message messages[] = {
		{.kind = MESSAGE_CHECK},
		{.kind = MESSAGE_DRAIN},
		{.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 1}}};
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t nobody = shell_observe(s, SHELL_UID), root = shell_observe(s, 0);
	uint32_t admin = shell_observe(s, SHELL_ADMIN_UID);

	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(shell_ask(s, nobody, &messages[i])->status, -EPERM);
		CU_ASSERT_EQUAL(shell_ask(s, root, &messages[i])->status, 0);
		CU_ASSERT_EQUAL(shell_ask(s, admin, &messages[i])->status, 0);
	}
	shell_close(s);
}

static void drain_names_a_client_that_is_not_there(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t root = shell_observe(s, 0);
	struct message drain = {.kind = MESSAGE_DRAIN, .drain = {.client = 17}};
	struct message reclaim = {.kind = MESSAGE_RECLAIM};

	CU_ASSERT_EQUAL(shell_ask(s, root, &drain)->status, -ESRCH);
	drain.drain.client = UINT32_MAX;
	CU_ASSERT_EQUAL(shell_ask(s, root, &drain)->status, -ESRCH);
	CU_ASSERT_EQUAL(shell_ask(s, root, &reclaim)->status, -EINVAL);
	shell_close(s);
}

static void check_answers_with_the_broken_invariant(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t root = shell_observe(s, 0);
	const struct message_reply *reply;

	s->pool.pool->buddy.zones[0].nr_free++;
	reply = shell_ask(s, root, &(struct message){.kind = MESSAGE_CHECK});
	CU_ASSERT_EQUAL(reply->status, -EIO);
	CU_ASSERT_EQUAL(strncmp(reply->text, "I5", 2), 0);
	s->pool.pool->buddy.zones[0].nr_free--;
	shell_close(s);
}

/* --- the end of a client --- */

static void a_lost_connection_keeps_the_frames_until_the_process_dies(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_alloc(s, a, 3, 0);
	shell_hang_up(s, a.conn);
	CU_ASSERT_EQUAL(state_of(s, a.conn), CONNECTION_CLOSED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 8);
	CU_ASSERT_FALSE(s->released[a.id]);
	shell_kill(s, a);
	CU_ASSERT(s->released[a.id]);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_client_death), 1);
	CU_ASSERT(session_is_idle(s->session));
	shell_close(s);
}

static void goodbye_gives_everything_back(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_alloc(s, a, 5, 0);
	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_GOODBYE})->status,
			0);
	CU_ASSERT_FALSE(s->open[a.conn]);
	CU_ASSERT(s->released[a.id]);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_client_detach), 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_client_death), 0);
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	shell_close(s);
}

static void a_death_is_swept_in_slices_and_others_are_served_between(void)
{
	struct shell *s = shell_open(32768);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint32_t slices = 0;

	(void)shell_fill(s, a, 1000);
	s->hold_again = true;
	shell_kill(s, a);
	while (s->again) {
		uint64_t before = fixture_pool_owned(&s->pool, a.id);

		CU_ASSERT_FALSE(session_is_idle(s->session));
		shell_again(s);
		CU_ASSERT(before - fixture_pool_owned(&s->pool, a.id) <= SWEEP_BLOCKS);
		slices++;
		CU_ASSERT_EQUAL(shell_alloc(s, b, 0, 0)->status, 0);
	}
	CU_ASSERT(slices >= 3);
	CU_ASSERT(session_is_idle(s->session));
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool) + fixture_pool_owned(&s->pool, b.id), 32768);
	shell_close(s);
}

static void a_client_whose_ctl_lies_is_ended(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "liar", 0), b = shell_attach(s, "b", 0);

	(void)shell_alloc(s, a, 4, 0);
	(void)shell_alloc(s, b, 4, 0);
	*fixture_pool_bottom(&s->pool, a.id, 0, MAGAZINE_HOT) = 12345;
	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->status, -EPROTO);
	CU_ASSERT_FALSE(s->open[a.conn]);
	CU_ASSERT(s->released[a.id]);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->log, "liar"));
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES - 16);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, b.id), 16);
	shell_close(s);
}

static void hundreds_of_liars_are_ended_without_flooding_a_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t root = shell_observe(s, 0);

	for (uint32_t i = 0; i < 200; i++)
		*fixture_pool_bottom(&s->pool, shell_attach(s, "liar", 0).id, 0, MAGAZINE_HOT) = i;
	CU_ASSERT_EQUAL(shell_ask(s, root, &(struct message){.kind = MESSAGE_DRAIN})->status, 0);
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	CU_ASSERT(s->most_actions <= SESSION_MAX_ACTIONS);
	shell_close(s);
}

/* --- the clock --- */

static void the_tick_comes_once_a_second(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	(void)shell_attach(s, "a", 0);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT(pool_meta(s->pool.pool)->generation >= 10);
	CU_ASSERT(pool_meta(s->pool.pool)->generation <= 12);
	CU_ASSERT(s->n_timers < 40);
	shell_close(s);
}

CU_TestInfo test_session[] = {
	{"malformed bytes end their connection and not their client",
	 malformed_bytes_end_their_connection_and_not_their_client},
	{"kinds that no client sends are refused", kinds_that_no_client_sends_are_refused},
	{"a wrong free says what was wrong", a_wrong_free_says_what_was_wrong},
	{"threads and orders out of range are refused",
	 threads_and_orders_out_of_range_are_refused},
	{"heads without memory are an error of that request",
	 heads_without_memory_are_an_error_of_that_request},
	{"a read-only client may import and not allocate",
	 a_read_only_client_may_import_and_not_allocate},
	{"a full magazine is drained by half", a_full_magazine_is_drained_by_half},
	{"a barrier that fails takes nothing", a_barrier_that_fails_takes_nothing},
	{"only the administrator may drain, reclaim and check",
	 only_the_administrator_may_drain_reclaim_and_check},
	{"drain names a client that is not there", drain_names_a_client_that_is_not_there},
	{"check answers with the broken invariant", check_answers_with_the_broken_invariant},
	{"a lost connection keeps the frames until the process dies",
	 a_lost_connection_keeps_the_frames_until_the_process_dies},
	{"goodbye gives everything back", goodbye_gives_everything_back},
	{"a death is swept in slices and others are served between",
	 a_death_is_swept_in_slices_and_others_are_served_between},
	{"a client whose CTL lies is ended", a_client_whose_ctl_lies_is_ended},
	{"hundreds of liars are ended without flooding a step",
	 hundreds_of_liars_are_ended_without_flooding_a_step},
	{"the tick comes once a second", the_tick_comes_once_a_second},
	CU_TEST_INFO_NULL,
};
