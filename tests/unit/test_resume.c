/* tests/unit/test_resume.c - daemon/session: clients that come back, to the same server or the
 * next.
 */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u

static uint32_t pid_of(struct shell *s, client_id client)
{
	return pool_client_record(s->pool.pool, client)->pid;
}

static struct message resume_of(client_id client)
{
	return (struct message){.kind = MESSAGE_RESUME,
				.resume = {.version_min = PROTOCOL_VERSION,
					   .version_max = PROTOCOL_VERSION,
					   .client = client,
					   .token = {client, 77}}};
}

/* The client on a new connection, if it is let in. */
static const struct message_reply *resume(struct shell *s, struct shell_client *client)
{
	struct message message = resume_of(client->id);

	client->conn = shell_connect(s, SHELL_UID, pid_of(s, client->id));
	return shell_ask(s, client->conn, &message);
}

static void a_client_that_lost_its_connection_comes_back(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_alloc(s, a, 3, 0);
	shell_hang_up(s, a.conn);
	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	CU_ASSERT_EQUAL(s->reply[(s->n_replies - 1) % SHELL_REPLIES_MAX].fds, FDS_RESUMED);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->state, SHM_CLIENT_ATTACHED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 8);
	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->count, 16);
	CU_ASSERT_EQUAL(s->session->nr_clients, 1);
	shell_close(s);
}

static void a_resume_ends_the_old_connection(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t old = a.conn;

	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	CU_ASSERT_FALSE(s->open[old]);
	CU_ASSERT_EQUAL(shell_alloc(s, a, 0, 0)->status, 0);
	shell_close(s);
}

static void nobody_else_can_resume_a_client(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message message = resume_of(a.id);
	uint32_t pid = pid_of(s, a.id);
	uint32_t conn;

	message.resume.token[1]++;
	conn = shell_connect(s, SHELL_UID, pid);
	CU_ASSERT_EQUAL(shell_ask(s, conn, &message)->status, -ESTALE);
	CU_ASSERT_FALSE(s->open[conn]);
	message = resume_of(a.id);
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, pid + 1), &message)->status,
			-ESTALE);
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID + 1, pid), &message)->status,
			-ESTALE);
	message.resume.client = 0;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, pid), &message)->status, -ESTALE);
	message.resume.client = UINT32_MAX;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, pid), &message)->status, -ESTALE);
	CU_ASSERT(s->open[a.conn]);
	CU_ASSERT_EQUAL(shell_alloc(s, a, 0, 0)->status, 0);
	shell_close(s);
}

static void a_dead_client_cannot_be_resumed(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	struct message message = resume_of(a.id);
	uint32_t pid = pid_of(s, a.id);

	shell_kill(s, a);
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, pid), &message)->status, -ESTALE);
	shell_close(s);
}

static void a_cache_whose_upcall_was_cut_off_is_asked_again(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);
	uint32_t before;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, pool_watermark_low(s->pool.pool) - 1);
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	before = shell_count_upcalls(s, a.id);
	CU_ASSERT_EQUAL(before, 1);
	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	shell_advance(s, 5 * SECOND);
	CU_ASSERT(shell_count_upcalls(s, a.id) > before);
	shell_close(s);
}

static void the_next_server_serves_who_lives(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 100);
	uint64_t lane_seq, result;

	CU_ASSERT_EQUAL(shell_refill(s, a, MAGAZINE_HOT, 0)->count, 16);
	result = shell_alloc(s, a, 2, 0)->result;
	lane_seq = s->pool.seq[a.id];
	shell_restart(s, true);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->state, SHM_CLIENT_AWAY);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, a.id, 0, MAGAZINE_HOT), 16);
	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	/* The request whose answer was lost is repeated, and answered from STATE. */
	s->pool.seq[a.id] = lane_seq - 1;
	CU_ASSERT_EQUAL(shell_alloc(s, a, 2, 0)->result, result);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 20);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->max, 100);
	shell_close(s);
}

static void a_lost_ctl_comes_with_the_resume(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);

	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	(void)shell_refill(s, b, MAGAZINE_HOT, 0);
	shell_restart(s, false);
	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	CU_ASSERT_EQUAL(shell_ask(s, a.conn, &(struct message){.kind = MESSAGE_STATUS})->nr_owned,
			16);
	/* One without its CTL keeps its frames, and nothing looks into its magazines. */
	CU_ASSERT_EQUAL(
		shell_ask(s, shell_observe(s, 0), &(struct message){.kind = MESSAGE_DRAIN})->count,
		16);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, b.id), 16);
	shell_advance(s, 3 * SECOND);
	CU_ASSERT_EQUAL(resume(s, &b)->status, 0);
	CU_ASSERT_EQUAL(fixture_pool_count(&s->pool, b.id, 0, MAGAZINE_HOT), 16);
	shell_close(s);
}

static void a_resume_without_the_ctl_that_is_missing_is_refused(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_alloc(s, a, 0, 0);
	shell_restart(s, false);
	s->reattach_status = -EBADF;
	CU_ASSERT_EQUAL(resume(s, &a)->status, -EBADF);
	CU_ASSERT_FALSE(s->open[a.conn]);
	CU_ASSERT_EQUAL(fixture_pool_owned(&s->pool, a.id), 1);
	s->reattach_status = 0;
	CU_ASSERT_EQUAL(resume(s, &a)->status, 0);
	shell_close(s);
}

static void who_died_meanwhile_is_swept(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);

	(void)shell_alloc(s, a, 5, 0);
	(void)shell_alloc(s, b, 4, 0);
	shell_restart(s, true);
	shell_event(s, &(struct session_event){
			       .kind = EVENT_ADOPTED, .client = a.id, .status = -ESRCH});
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES - 16);
	CU_ASSERT_FALSE(pool_client_is_attached(s->pool.pool, a.id));
	shell_kill(s, b);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	shell_close(s);
}

static void a_sweep_goes_on_after_the_server_died(void)
{
	struct shell *s = shell_open(16384);
	struct shell_client a = shell_attach(s, "a", 0);

	(void)shell_fill(s, a, 1000);
	s->hold_again = true;
	shell_kill(s, a);
	CU_ASSERT(s->again);
	shell_restart(s, true);
	CU_ASSERT_FALSE(session_is_idle(s->session));
	s->hold_again = false;
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT(session_is_idle(s->session));
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), 16384);
	shell_close(s);
}

/* More liars than one step can end: some resume in the very step that ends them. */
static void a_liar_that_resumes_before_it_is_ended_is_ended_all_the_same(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t root = shell_observe(s, 0), conn[150];
	struct shell_client liar[150];

	s->limits.handshakes = 0;
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	for (uint32_t i = 0; i < 150; i++) {
		liar[i] = shell_attach(s, "liar", 0);
		*fixture_pool_bottom(&s->pool, liar[i].id, 0, MAGAZINE_HOT) = i;
		conn[i] = shell_connect(s, SHELL_UID, pid_of(s, liar[i].id));
	}
	s->hold_again = true;
	(void)shell_say(s, root, &(struct message){.kind = MESSAGE_DRAIN});
	for (uint32_t i = 0; i < 150; i++) {
		struct message message = resume_of(liar[i].id);

		if (pool_client_is_attached(s->pool.pool, liar[i].id))
			CU_ASSERT_EQUAL(shell_ask(s, conn[i], &message)->status, -ESTALE);
	}
	s->hold_again = false;
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	for (uint32_t i = 0; i < 150; i++)
		CU_ASSERT_EQUAL(s->session->client[liar[i].id].conn, CONN_NONE);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	CU_ASSERT(session_is_idle(s->session));
	shell_close(s);
}

CU_TestInfo test_resume[] = {
	{"a client that lost its connection comes back",
	 a_client_that_lost_its_connection_comes_back},
	{"a resume ends the old connection", a_resume_ends_the_old_connection},
	{"nobody else can resume a client", nobody_else_can_resume_a_client},
	{"a dead client cannot be resumed", a_dead_client_cannot_be_resumed},
	{"a cache whose upcall was cut off is asked again",
	 a_cache_whose_upcall_was_cut_off_is_asked_again},
	{"the next server serves who lives", the_next_server_serves_who_lives},
	{"a lost CTL comes with the resume", a_lost_ctl_comes_with_the_resume},
	{"a resume without the CTL that is missing is refused",
	 a_resume_without_the_ctl_that_is_missing_is_refused},
	{"who died meanwhile is swept", who_died_meanwhile_is_swept},
	{"a sweep goes on after the server died", a_sweep_goes_on_after_the_server_died},
	{"a liar that resumes before it is ended is ended all the same",
	 a_liar_that_resumes_before_it_is_ended_is_ended_all_the_same},
	CU_TEST_INFO_NULL,
};
