/* tests/unit/test_handshake.c - daemon/session/handshake: who is let in, as what, and how many. */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u

static const struct message alloc_one = {.kind = MESSAGE_ALLOC,
					 .alloc = {.lane = 1, .seq = 1, .timeout_ms = 1000}};

/* --- Hello --- */

static void a_hello_is_answered_with_id_token_and_descriptors(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t conn = shell_connect(s, SHELL_UID, 42);
	struct message hello = shell_hello(0);
	const struct message_reply *reply = shell_ask(s, conn, &hello);
	const struct shm_client *shown;

	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT_EQUAL(reply->version, PROTOCOL_VERSION);
	CU_ASSERT_EQUAL(reply->max_threads, 4);
	CU_ASSERT_EQUAL(reply->token[0], reply->client);
	CU_ASSERT_EQUAL(reply->token[1], 77);
	CU_ASSERT_EQUAL(s->reply[0].fds, FDS_CLIENT);
	CU_ASSERT_FALSE(s->reply[0].read_only);
	shown = pool_client(s->pool.pool, reply->client);
	CU_ASSERT_EQUAL(shown->state, SHM_CLIENT_ATTACHED);
	CU_ASSERT_EQUAL(shown->pid, 42);
	CU_ASSERT_EQUAL(shown->uid, SHELL_UID);
	CU_ASSERT_STRING_EQUAL(shown->name, "story");
	shell_close(s);
}

static void a_hello_without_a_number_of_threads_gets_the_most(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(0);

	hello.hello.max_threads = 0;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->max_threads,
			SHM_MAX_THREADS);
	shell_close(s);
}

static void an_observer_gets_meta_and_no_client(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t conn = shell_observe(s, SHELL_UID);

	CU_ASSERT_EQUAL(s->reply[0].fds, FDS_OBSERVER);
	CU_ASSERT_EQUAL(s->reply[0].reply.client, 0);
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	CU_ASSERT_EQUAL(shell_ask(s, conn, &alloc_one)->status, -EPERM);
	CU_ASSERT(s->open[conn]);
	shell_close(s);
}

static void a_second_hello_is_refused_and_harmless(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message hello = shell_hello(0), resume = {.kind = MESSAGE_RESUME};

	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &hello)->status, -EALREADY);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &resume)->status, -EALREADY);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &alloc_one)->status, 0);
	shell_close(s);
}

static void a_request_before_hello_ends_the_connection(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	for (uint32_t kind = 0; kind < MESSAGE_NR_KINDS; kind++) {
		uint32_t conn = shell_connect(s, SHELL_UID, 1);
		struct message message = {.kind = (enum message_kind)kind};

		if (kind == MESSAGE_HELLO || kind == MESSAGE_RESUME)
			continue;
		CU_ASSERT_EQUAL(shell_ask(s, conn, &message)->status, -EPROTO);
		CU_ASSERT_FALSE(s->open[conn]);
	}
	shell_close(s);
}

static void versions_that_do_not_meet_are_refused_with_ours(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(0);
	const struct message_reply *reply;
	uint32_t conn;

	hello.hello.version_min = PROTOCOL_VERSION + 1;
	hello.hello.version_max = PROTOCOL_VERSION + 5;
	conn = shell_connect(s, SHELL_UID, 1);
	reply = shell_ask(s, conn, &hello);
	CU_ASSERT_EQUAL(reply->status, -EPROTONOSUPPORT);
	CU_ASSERT_STRING_EQUAL(reply->text, "versions 2 to 6 are not spoken here, only 1 to 1");
	CU_ASSERT_FALSE(s->open[conn]);
	hello.hello.version_min = 0;
	hello.hello.version_max = 0;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->status,
			-EPROTONOSUPPORT);
	hello.hello.version_max = UINT32_MAX;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->status, 0);
	shell_close(s);
}

static void what_a_hello_asks_for_must_be_possible(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(1u << 9);

	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->status, -EINVAL);
	hello = shell_hello(0);
	hello.hello.max_threads = SHM_MAX_THREADS + 1;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->status, -EINVAL);
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	CU_ASSERT_EQUAL(s->session->nr_connections, 0);
	shell_close(s);
}

static void a_client_that_cannot_be_set_up_is_told_why(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(0);
	const struct message_reply *reply;
	uint32_t conn = shell_connect(s, SHELL_UID, 1);

	s->prepare_status = -ENOMEM;
	reply = shell_ask(s, conn, &hello);
	CU_ASSERT_EQUAL(reply->status, -ENOMEM);
	CU_ASSERT_STRING_EQUAL(reply->text, "the client could not be set up: no memory");
	CU_ASSERT_FALSE(s->open[conn]);
	s->prepare_status = 0;
	CU_ASSERT_EQUAL(shell_attach(s, "next", 0).id, 1);
	shell_close(s);
}

/* --- limits --- */

static void no_user_has_more_connections_than_allowed(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t conn;

	s->limits.connections = 2;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	(void)shell_attach(s, "a", 0);
	(void)shell_attach(s, "b", 0);
	conn = shell_connect(s, SHELL_UID, 1);
	CU_ASSERT_FALSE(s->open[conn]);
	CU_ASSERT_EQUAL(shell_reply(s, conn, 0)->status, -EUSERS);
	CU_ASSERT_PTR_NOT_NULL(strstr(shell_reply(s, conn, 0)->text, "user 1000 has 2"));
	CU_ASSERT(s->open[shell_connect(s, SHELL_UID + 1, 1)]);
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_connections_refused), 1);
	shell_hang_up(s, 0);
	CU_ASSERT(s->open[shell_connect(s, SHELL_UID, 1)]);
	shell_close(s);
}

static void handshakes_are_limited_and_end_by_their_deadline(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t first = 0, conn;

	s->limits.handshakes = 3;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 3; i++) {
		conn = shell_connect(s, SHELL_UID, 1);
		first = i ? first : conn;
		CU_ASSERT(s->open[conn]);
	}
	conn = shell_connect(s, SHELL_UID, 1);
	CU_ASSERT_FALSE(s->open[conn]);
	CU_ASSERT_EQUAL(shell_reply(s, conn, 0)->status, -EAGAIN);
	shell_advance(s, SECOND + 300 * MS);
	CU_ASSERT_FALSE(s->open[first]);
	CU_ASSERT_EQUAL(shell_reply(s, first, 0)->status, -ETIMEDOUT);
	CU_ASSERT_EQUAL(s->session->nr_handshakes, 0);
	CU_ASSERT(s->open[shell_connect(s, SHELL_UID, 1)]);
	shell_close(s);
}

/* Whose connections are half open is the one to go, not who comes next. */
static void who_hoards_handshakes_makes_room_for_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t hoard[3], conn;

	s->limits.handshakes = 3;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 3; i++) {
		hoard[i] = shell_connect(s, SHELL_UID, 7);
		shell_advance(s, MS);
	}
	conn = shell_connect(s, SHELL_UID, 8);
	CU_ASSERT(s->open[conn]);
	CU_ASSERT_FALSE(s->open[hoard[0]]);
	CU_ASSERT_EQUAL(shell_reply(s, hoard[0], 0)->status, -EAGAIN);
	CU_ASSERT(s->open[hoard[1]] && s->open[hoard[2]]);
	/* It has more than the newcomer still; after that nobody has. */
	CU_ASSERT(s->open[shell_connect(s, SHELL_UID, 9)]);
	CU_ASSERT_FALSE(s->open[hoard[1]]);
	CU_ASSERT_FALSE(s->open[shell_connect(s, SHELL_UID, 10)]);
	shell_close(s);
}

/* Processes are cheap: the user that has most makes room, however many it hides behind. */
static void a_user_of_many_processes_makes_room_for_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t hoard[3], conn;

	s->limits.handshakes = 3;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 3; i++) {
		hoard[i] = shell_connect(s, SHELL_UID, 7 + i);
		shell_advance(s, MS);
	}
	conn = shell_connect(s, SHELL_UID + 1, 70);
	CU_ASSERT(s->open[conn]);
	CU_ASSERT_FALSE(s->open[hoard[0]]);
	CU_ASSERT(s->open[shell_connect(s, SHELL_UID + 2, 71)]);
	/* One each now: the next has to wait, unless it is an administrator. */
	CU_ASSERT_FALSE(s->open[shell_connect(s, SHELL_UID + 3, 72)]);
	CU_ASSERT(s->open[shell_connect(s, SHELL_ADMIN_UID, 73)]);
	CU_ASSERT_EQUAL(s->session->nr_handshakes, 3);
	shell_close(s);
}

/* --- what one user may take --- */

/* As many clients as the user gets. */
static uint32_t attach_all(struct shell *s, uint32_t uid)
{
	struct message hello = shell_hello(0);

	hello.hello.max_threads = 1;
	for (uint32_t n = 0;; n++) {
		uint32_t conn = shell_connect(s, uid, 1);
		const struct message_reply *reply;

		if (!s->open[conn])
			return n;
		reply = shell_ask(s, conn, &hello);
		if (reply->status == 0)
			continue;
		CU_ASSERT_EQUAL(reply->status, -EUSERS);
		CU_ASSERT_FALSE(s->open[conn]);
		return n;
	}
}

static void one_user_leaves_ids_to_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint64_t refused;
	uint32_t n;

	n = attach_all(s, SHELL_UID);
	CU_ASSERT(n >= 1000); /* alone it gets that many */
	CU_ASSERT_EQUAL(n, 1005);
	refused = fixture_pool_counter(&s->pool, COUNTER_connections_refused);
	CU_ASSERT_EQUAL(refused, 1);
	for (uint32_t uid = SHELL_UID + 1; uid < SHELL_UID + 5; uid++)
		CU_ASSERT(attach_all(s, uid) >= 1);
	/* Root is no exception, but it can look. */
	CU_ASSERT(attach_all(s, 0) <= 1);
	CU_ASSERT(s->open[shell_observe(s, 0)]);
	shell_close(s);
}

/* Connections of the user until one is refused; they say Hello as observers. */
static uint32_t observe_all(struct shell *s, uint32_t uid)
{
	struct message hello = shell_hello(HELLO_OBSERVER);

	for (uint32_t n = 0;; n++) {
		uint32_t conn = shell_connect(s, uid, 1);

		if (!s->open[conn]) {
			CU_ASSERT_EQUAL(shell_reply(s, conn, 0)->status, -EUSERS);
			return n;
		}
		(void)shell_say(s, conn, &hello);
	}
}

static void one_user_leaves_connections_to_others(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message hello = shell_hello(0);
	uint32_t n = observe_all(s, SHELL_UID + 1), conn;

	CU_ASSERT(n >= 1900 && n < 2000);
	for (uint32_t uid = SHELL_UID + 2; uid < SHELL_UID + 10; uid++)
		CU_ASSERT(observe_all(s, uid) >= 1);
	CU_ASSERT_EQUAL(shell_alloc(s, a, 0, 0)->status, 0);
	/* Now there is no more but for administrators, and they attach nothing there. */
	for (uint32_t uid = SHELL_UID + 10; s->session->nr_connections < 2040; uid++)
		(void)observe_all(s, uid);
	CU_ASSERT_EQUAL(observe_all(s, SHELL_UID + 100), 0);
	conn = shell_connect(s, SHELL_ADMIN_UID, 5);
	CU_ASSERT(s->open[conn]);
	CU_ASSERT_EQUAL(shell_ask(s, conn, &hello)->status, -EUSERS);
	CU_ASSERT_FALSE(s->open[conn]);
	CU_ASSERT(s->open[shell_observe(s, SHELL_ADMIN_UID)]);
	CU_ASSERT(s->open[shell_observe(s, 0)]);
	shell_close(s);
}

static void hundreds_of_handshakes_expire_without_flooding_a_step(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	s->limits.handshakes = 0;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 1500; i++)
		CU_ASSERT(s->open[shell_connect(s, i, 1)]);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT_EQUAL(s->session->nr_handshakes, 0);
	CU_ASSERT_EQUAL(s->session->nr_connections, 0);
	shell_close(s);
}

static void a_reload_keeps_the_limit_that_the_client_gave_itself(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 100);

	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->max, 100);
	s->limits.client_max_frames = 500;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->max, 100);
	s->limits.client_max_frames = 50;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->max, 50);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, shell_attach(s, "b", 0).id)->max, 50);
	shell_close(s);
}

/* --- a Hello whose answer was lost --- */

#define NONCE UINT64_C(0x1234567890abcdef)

/* Says Hello with the nonce as that process; the id, or 0 if it was refused. */
static client_id hello_with(struct shell *s, uint32_t uid, uint32_t pid, uint64_t nonce)
{
	struct message hello = shell_hello(0);
	const struct message_reply *reply;

	hello.hello.nonce = nonce;
	reply = shell_ask(s, shell_connect(s, uid, pid), &hello);
	return reply->status == 0 ? reply->client : 0;
}

static void a_hello_said_again_ends_the_client_that_nobody_knows_of(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t conn;

	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	shell_restart(s, true);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	CU_ASSERT_TRUE(session_is_idle(s->session));
	shell_restart(s, false); /* nobody kept its CTL */
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	/* The same without a crash: who asked did not wait for the answer. The end of its
	 * connection may be seen after the next Hello, or before. */
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	for (conn = 0; !s->open[conn]; conn++)
		continue;
	shell_hang_up(s, conn);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	shell_close(s);
}

static void a_nonce_ends_no_client_of_another_process_and_none_is_no_nonce(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 1);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, 0), 2);
	shell_restart(s, true);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 43, NONCE), 3);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID + 1, 42, NONCE), 4);
	s->peer.pid_start = 7; /* the number of a process that is gone */
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 5);
	s->peer.pid_start = 0;
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE + 1), 6);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, 0), 7);
	CU_ASSERT_EQUAL(s->session->nr_clients, 7);
	shell_close(s);
}

static void a_client_that_has_shown_itself_is_ended_by_no_nonce(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(0), status = {.kind = MESSAGE_STATUS};
	struct message resume = {.kind = MESSAGE_RESUME, .resume = {1, 1, 2, {2, 77}}};
	uint32_t conn = shell_connect(s, SHELL_UID, 42);

	hello.hello.nonce = NONCE;
	CU_ASSERT_EQUAL(shell_ask(s, conn, &hello)->client, 1);
	/* A request. */
	CU_ASSERT_EQUAL(shell_ask(s, conn, &status)->status, 0);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 2);
	shell_restart(s, true);
	/* A Resume. */
	conn = shell_connect(s, SHELL_UID, 42);
	CU_ASSERT_EQUAL(shell_ask(s, conn, &resume)->status, 0);
	shell_hang_up(s, conn);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 3);
	CU_ASSERT_EQUAL(s->session->nr_clients, 3);
	shell_close(s);
}

static void a_full_table_has_room_for_a_hello_said_again(void)
{
	struct shell *s = shell_open(NR_FRAMES);

	s->limits.connections = 2;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, 0), 1);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 2);
	shell_restart(s, true);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, 0), 0);
	CU_ASSERT_EQUAL(hello_with(s, SHELL_UID, 42, NONCE), 2);
	shell_close(s);
}

CU_TestInfo test_handshake[] = {
	{"a Hello is answered with id, token and descriptors",
	 a_hello_is_answered_with_id_token_and_descriptors},
	{"a Hello without a number of threads gets the most",
	 a_hello_without_a_number_of_threads_gets_the_most},
	{"an observer gets META and no client", an_observer_gets_meta_and_no_client},
	{"a second Hello is refused and harmless", a_second_hello_is_refused_and_harmless},
	{"a request before Hello ends the connection", a_request_before_hello_ends_the_connection},
	{"versions that do not meet are refused with ours",
	 versions_that_do_not_meet_are_refused_with_ours},
	{"what a Hello asks for must be possible", what_a_hello_asks_for_must_be_possible},
	{"a client that cannot be set up is told why", a_client_that_cannot_be_set_up_is_told_why},
	{"no user has more connections than allowed", no_user_has_more_connections_than_allowed},
	{"handshakes are limited and end by their deadline",
	 handshakes_are_limited_and_end_by_their_deadline},
	{"who hoards handshakes makes room for others",
	 who_hoards_handshakes_makes_room_for_others},
	{"a user of many processes makes room for others",
	 a_user_of_many_processes_makes_room_for_others},
	{"one user leaves ids to others", one_user_leaves_ids_to_others},
	{"one user leaves connections to others", one_user_leaves_connections_to_others},
	{"hundreds of handshakes expire without flooding a step",
	 hundreds_of_handshakes_expire_without_flooding_a_step},
	{"a Hello said again ends the client that nobody knows of",
	 a_hello_said_again_ends_the_client_that_nobody_knows_of},
	{"a nonce ends no client of another process, and none is no nonce",
	 a_nonce_ends_no_client_of_another_process_and_none_is_no_nonce},
	{"a client that has shown itself is ended by no nonce",
	 a_client_that_has_shown_itself_is_ended_by_no_nonce},
	{"a full table has room for a Hello said again",
	 a_full_table_has_room_for_a_hello_said_again},
	{"a reload keeps the limit that the client gave itself",
	 a_reload_keeps_the_limit_that_the_client_gave_itself},
	CU_TEST_INFO_NULL,
};
