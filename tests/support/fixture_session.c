/* tests/support/fixture_session.c - see fixture_session.h. */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

/* --- start and end ------------------------------------------------------------------------------
 */

struct shell *shell_open_empty(uint32_t nr_frames, enum shell_commits commits)
{
	struct shell *s = fixture_memory_new(sizeof *s);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	fixture_pool_open(&s->pool, nr_frames);
	s->session = fixture_memory_new(session_bytes());
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->session);
	s->limits = (struct session_limits){.connections = 0,
					    .handshakes = 64,
					    .handshake_ns = SECOND,
					    .shrink_deadline_ns = 100 * MS,
					    .breaker_ns = SECOND,
					    .alloc_timeout_max_ns = 10 * SECOND,
					    .admin_uid = SHELL_ADMIN_UID};
	s->commits = commits;
	s->commit_text = "the test's limit";
	s->now_ns = SECOND;
	s->next_id = 1;
	session_init(s->session, s->pool.pool, &s->limits, 1);
	return s;
}

struct shell *shell_open(uint32_t nr_frames)
{
	struct shell *s = shell_open_empty(nr_frames, COMMITS_AT_ONCE);

	fixture_pool_commit_all(&s->pool);
	return s;
}

void shell_close(struct shell *s)
{
	FIXTURE_AUDIT(&s->pool);
	CU_ASSERT(s->most_actions <= SESSION_MAX_ACTIONS);
	fixture_pool_close(&s->pool);
	fixture_memory_free(s->session);
	fixture_memory_free(s);
}

void shell_restart(struct shell *s, bool has_ctls)
{
	struct fixture_pool *f = &s->pool;

	s->n_pending = 0;
	s->n_commits = 0;
	s->again = false;
	s->timer_is_armed = false;
	memset(s->open, 0, sizeof s->open);
	CU_ASSERT_EQUAL_FATAL(pool_attach(f->pool, f->meta, f->meta_bytes, f->state, f->state_bytes,
					  &f->options, &f->nr_bad),
			      0);
	session_init(s->session, f->pool, &s->limits, 2);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(f->pool, id))
			shell_event(s,
				    &(struct session_event){.kind = EVENT_ADOPTED,
							    .client = id,
							    .ctl = has_ctls ? f->ctl[id] : NULL});
}

/* --- actions ------------------------------------------------------------------------------------
 */

static void pend(struct shell *s, const struct session_event *event)
{
	CU_ASSERT_FATAL(s->n_pending < SHELL_PENDING_MAX);
	s->pending[s->n_pending++] = *event;
}

static void keep_reply(struct shell *s, const struct session_action *action)
{
	CU_ASSERT_EQUAL(action->message.kind, MESSAGE_REPLY);
	CU_ASSERT(s->open[action->conn]);
	s->reply[s->n_replies++ % SHELL_REPLIES_MAX] =
		(struct shell_reply){.conn = action->conn,
				     .fds = action->fds,
				     .read_only = action->read_only,
				     .reply = action->message.reply};
}

static void prepare(struct shell *s, const struct session_action *action)
{
	struct session_event event = {.kind = EVENT_PREPARED,
				      .conn = action->conn,
				      .client = action->client,
				      .status = s->prepare_status,
				      .text = "no memory",
				      .ctl_ino = action->client,
				      .token = {action->client, 77}};

	if (s->prepare_status == 0) {
		CU_ASSERT_PTR_NULL(s->pool.ctl[action->client]);
		event.ctl = fixture_memory_new(
			shm_ctl_bytes(action->max_threads, pool_meta(s->pool.pool)->nr_frames));
		CU_ASSERT_PTR_NOT_NULL_FATAL(event.ctl);
		s->pool.ctl[action->client] = event.ctl;
		for (uint32_t t = 0; t < action->max_threads; t++)
			for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
				*fixture_pool_bottom(&s->pool, action->client, t, m) =
					MAGAZINE_INDEX_START;
	}
	s->released[action->client] = false;
	pend(s, &event);
}

static void release(struct shell *s, client_id client)
{
	fixture_memory_free(s->pool.ctl[client]);
	s->pool.ctl[client] = NULL;
	s->released[client] = true;
}

static void commit(struct shell *s, const struct pool_commit *wanted)
{
	if (s->commits == COMMITS_LATER) {
		CU_ASSERT_FATAL(s->n_commits < POOL_MAX_COMMITS);
		s->commit[s->n_commits++] = *wanted;
		return;
	}
	pend(s, &(struct session_event){.kind = EVENT_COMMITTED,
					.commit = *wanted,
					.status = s->commits == COMMITS_FAIL ? -ENOMEM : 0,
					.text = s->commit_text});
}

static void perform(struct shell *s, const struct session_action *action)
{
	switch (action->kind) {
	case ACTION_SEND:
		keep_reply(s, action);
		break;
	case ACTION_UPCALL:
		if (shell_keep_pressure(s, action))
			break;
		CU_ASSERT_FATAL(s->n_upcalls < SHELL_UPCALLS_MAX);
		CU_ASSERT_FALSE(s->released[action->client]);
		s->upcall[s->n_upcalls++] =
			(struct shell_upcall){.client = action->client, .message = action->message};
		break;
	case ACTION_CLOSE:
		CU_ASSERT(s->open[action->conn]);
		s->open[action->conn] = false;
		break;
	case ACTION_PREPARE:
		prepare(s, action);
		break;
	case ACTION_RELEASE:
		release(s, action->client);
		break;
	case ACTION_REATTACH:
		pend(s, &(struct session_event){.kind = EVENT_REATTACHED,
						.conn = action->conn,
						.client = action->client,
						.status = s->reattach_status,
						.ctl = pool_client_ctl(s->pool.pool, action->client)
							       ? NULL
							       : s->pool.ctl[action->client]});
		break;
	case ACTION_HEADS:
	case ACTION_TABLE:
		pend(s, &(struct session_event){.kind = action->kind == ACTION_HEADS ? EVENT_HEADS
										     : EVENT_TABLE,
						.conn = action->conn,
						.client = action->client,
						.thread = action->thread,
						.nr_slots = action->nr_slots,
						.cookie = action->cookie,
						.status = s->heads_status});
		break;
	case ACTION_COMMIT:
		commit(s, &action->commit);
		break;
	case ACTION_BARRIER:
	case ACTION_NR_KINDS:
		break;
	case ACTION_AGAIN:
		s->again = true;
		break;
	case ACTION_TIMER:
		s->timer_is_armed = true;
		s->timer_ns = action->at_ns;
		s->n_timers++;
		break;
	case ACTION_LOG:
		memcpy(s->log, action->text, sizeof s->log);
		break;
	}
}

/* One step and its actions; true if a barrier is the last. */
static bool step(struct shell *s, const struct session_event *event)
{
	struct session_event timed = *event;
	uint32_t n;

	timed.now_ns = s->now_ns;
	timed.real_ns = s->now_ns;
	session_step(s->session, &timed, &s->actions);
	s->n_steps++;
	/* A claim without a barrier would meet the death of its client. */
	CU_ASSERT_EQUAL(pool_nr_claims(s->pool.pool) > 0, s->session->steal.purpose != STEAL_NONE);
	n = s->actions.n;
	if (n > s->most_actions)
		s->most_actions = n;
	for (uint32_t i = 0; i < n; i++)
		perform(s, &s->actions.item[i]);
	for (uint32_t i = 0; i + 1 < n; i++)
		CU_ASSERT_NOT_EQUAL(s->actions.item[i].kind, ACTION_BARRIER);
	return n && s->actions.item[n - 1].kind == ACTION_BARRIER;
}

static void step_with_barriers(struct shell *s, const struct session_event *event)
{
	bool barrier = step(s, event);

	for (uint32_t i = 0; barrier; i++) {
		CU_ASSERT_FATAL(i < SHELL_STEPS_MAX);
		s->n_barriers++;
		barrier = step(s, &(struct session_event){.kind = EVENT_BARRIER,
							  .status = s->barrier_status});
	}
}

void shell_again(struct shell *s)
{
	s->again = false;
	step_with_barriers(s, &(struct session_event){.kind = EVENT_AGAIN});
}

void shell_event(struct shell *s, const struct session_event *event)
{
	step_with_barriers(s, event);
	for (uint32_t i = 0; s->n_pending || (s->again && !s->hold_again); i++) {
		struct session_event next = s->pending[0];

		CU_ASSERT_FATAL(i < SHELL_STEPS_MAX);
		if (s->n_pending == 0) {
			shell_again(s);
			continue;
		}
		s->n_pending--;
		memmove(&s->pending[0], &s->pending[1], s->n_pending * sizeof s->pending[0]);
		step_with_barriers(s, &next);
	}
}

void shell_advance(struct shell *s, uint64_t ns)
{
	uint64_t until = s->now_ns + ns;

	for (uint32_t i = 0; s->timer_is_armed && s->timer_ns <= until; i++) {
		CU_ASSERT_FATAL(i < SHELL_STEPS_MAX);
		if (s->timer_ns > s->now_ns)
			s->now_ns = s->timer_ns;
		s->timer_is_armed = false;
		shell_event(s, &(struct session_event){.kind = EVENT_TICK});
	}
	s->now_ns = until;
}

bool shell_commit_ends(struct shell *s, bool ok, const char *text)
{
	struct session_event event = {.kind = EVENT_COMMITTED,
				      .commit = s->commit[0],
				      .status = ok ? 0 : -ENOMEM,
				      .text = text};

	if (s->n_commits == 0)
		return false;
	s->n_commits--;
	s->commit[0] = s->commit[1];
	shell_event(s, &event);
	return true;
}

/* --- connections --------------------------------------------------------------------------------
 */
uint32_t shell_connect(struct shell *s, uint32_t uid, uint32_t pid)
{
	struct session_event event = {.kind = EVENT_ACCEPTED, .conn = s->next_conn};

	while (s->open[event.conn])
		event.conn = (event.conn + 1) % SESSION_MAX_CONNECTIONS;
	s->next_conn = (event.conn + 1) % SESSION_MAX_CONNECTIONS;
	s->open[event.conn] = true;
	s->peer.uid = s->peer.gid = uid;
	s->peer.pid = pid;
	event.peer = s->peer;
	shell_event(s, &event);
	return event.conn;
}

struct shell_client shell_attach_as(struct shell *s, uint32_t uid, const char *name,
				    uint64_t max_frames)
{
	struct message hello = {.kind = MESSAGE_HELLO,
				.hello = {.version_min = PROTOCOL_VERSION,
					  .version_max = PROTOCOL_VERSION,
					  .max_threads = FIXTURE_THREADS,
					  .max_frames = max_frames}};
	struct message create = {.kind = MESSAGE_PCP_CREATE};
	struct shell_client client = {.conn = shell_connect(s, uid, s->next_conn + 100)};
	const struct message_reply *reply;

	strncpy(hello.hello.name, name, MESSAGE_NAME_BYTES - 1);
	reply = shell_ask(s, client.conn, &hello);
	CU_ASSERT_EQUAL_FATAL(reply->status, 0);
	client.id = reply->client;
	s->pool.seq[client.id] = 0;
	CU_ASSERT_EQUAL_FATAL(shell_ask(s, client.conn, &create)->status, 0);
	return client;
}

uint32_t shell_observe(struct shell *s, uint32_t uid)
{
	struct message hello = shell_hello(HELLO_OBSERVER);
	uint32_t conn = shell_connect(s, uid, 1);

	CU_ASSERT_EQUAL_FATAL(shell_ask(s, conn, &hello)->status, 0);
	return conn;
}

void shell_hang_up(struct shell *s, uint32_t conn)
{
	s->open[conn] = false;
	shell_event(s, &(struct session_event){.kind = EVENT_CLOSED, .conn = conn});
}

void shell_kill(struct shell *s, struct shell_client client)
{
	shell_event(s, &(struct session_event){.kind = EVENT_DIED, .client = client.id});
}

/* --- messages -----------------------------------------------------------------------------------
 */

struct message shell_hello(uint32_t flags)
{
	return (struct message){.kind = MESSAGE_HELLO,
				.hello = {.version_min = PROTOCOL_VERSION,
					  .version_max = PROTOCOL_VERSION,
					  .flags = flags,
					  .max_threads = 4,
					  .name = "story"}};
}

uint64_t shell_say(struct shell *s, uint32_t conn, const struct message *message)
{
	struct message numbered = *message;

	numbered.id = s->next_id++;
	shell_event(s, &(struct session_event){
			       .kind = EVENT_MESSAGE, .conn = conn, .message = &numbered});
	return numbered.id;
}

const struct message_reply *shell_reply(const struct shell *s, uint32_t conn, uint64_t id)
{
	uint32_t n = s->n_replies < SHELL_REPLIES_MAX ? s->n_replies : SHELL_REPLIES_MAX;

	for (uint32_t i = 0; i < n; i++)
		if (s->reply[i].conn == conn && s->reply[i].reply.id == id)
			return &s->reply[i].reply;
	return NULL;
}

const struct message_reply *shell_ask(struct shell *s, uint32_t conn, const struct message *message)
{
	const struct message_reply *reply = shell_reply(s, conn, shell_say(s, conn, message));

	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	return reply;
}

uint32_t shell_count_replies(const struct shell *s, uint32_t conn)
{
	uint32_t n = s->n_replies < SHELL_REPLIES_MAX ? s->n_replies : SHELL_REPLIES_MAX;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += s->reply[i].conn == conn;
	return count;
}

const struct message *shell_next_upcall(struct shell *s, client_id client)
{
	for (uint32_t i = 0; i < s->n_upcalls; i++)
		if (!s->upcall[i].taken && s->upcall[i].client == client) {
			s->upcall[i].taken = true;
			return &s->upcall[i].message;
		}
	return NULL;
}

uint32_t shell_count_upcalls(const struct shell *s, client_id client)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->n_upcalls; i++)
		count += s->upcall[i].client == client;
	return count;
}

void shell_shrink_done(struct shell *s, client_id client, const struct message *upcall,
		       uint64_t nr_objects, uint64_t nr_scanned, uint64_t nr_freed)
{
	struct message done = {.kind = MESSAGE_SHRINK_DONE,
			       .id = upcall->id,
			       .shrink_done = {.cache = upcall->shrink.cache,
					       .nr_objects = nr_objects,
					       .nr_scanned = nr_scanned,
					       .nr_freed = nr_freed,
					       .nr_frames = nr_freed}};

	shell_event(s, &(struct session_event){
			       .kind = EVENT_UPCALL_DONE, .client = client, .message = &done});
}

/* --- requests -----------------------------------------------------------------------------------
 */

uint64_t shell_alloc_on(struct shell *s, struct shell_client client, uint32_t lane, order_t order,
			uint32_t timeout_ms)
{
	return shell_say(s, client.conn,
			 &(struct message){.kind = MESSAGE_ALLOC,
					   .alloc = {.lane = lane,
						     .seq = ++s->pool.seq[client.id],
						     .order = order,
						     .timeout_ms = timeout_ms}});
}

const struct message_reply *shell_alloc(struct shell *s, struct shell_client client, order_t order,
					uint32_t flags)
{
	uint64_t id = shell_say(s, client.conn,
				&(struct message){.kind = MESSAGE_ALLOC,
						  .alloc = {.seq = ++s->pool.seq[client.id],
							    .order = order,
							    .flags = flags,
							    .timeout_ms = 1000}});

	return shell_reply(s, client.conn, id);
}

const struct message_reply *shell_free(struct shell *s, struct shell_client client, pfn_t pfn,
				       order_t order)
{
	return shell_ask(
		s, client.conn,
		&(struct message){
			.kind = MESSAGE_FREE,
			.free = {.seq = ++s->pool.seq[client.id], .pfn = pfn, .order = order}});
}

const struct message_reply *shell_refill(struct shell *s, struct shell_client client,
					 uint32_t magazine, uint32_t flags)
{
	uint64_t id = shell_say(
		s, client.conn,
		&(struct message){
			.kind = MESSAGE_PCP_REFILL,
			.pcp_refill = {.magazine = magazine, .flags = flags, .timeout_ms = 1000}});

	return shell_reply(s, client.conn, id);
}

const struct message_reply *shell_register(struct shell *s, struct shell_client client,
					   uint32_t cache)
{
	return shell_ask(s, client.conn,
			 &(struct message){.kind = MESSAGE_CACHE_REGISTER,
					   .cache_register = {.cache = cache, .name = "cache"}});
}

uint64_t shell_fill(struct shell *s, struct shell_client client, uint64_t left)
{
	const struct shm_lane *lane = &pool_state_client(s->pool.pool, client.id)->lanes[63];
	uint64_t n = 0, result;

	/* Straight to the core: a story begins when the pool is full. */
	while (pool_nr_free(s->pool.pool) > left) {
		int r = pool_alloc(s->pool.pool, client.id, 0, MIGRATE_UNMOVABLE, 63, lane->seq + 1,
				   &result);

		CU_ASSERT_EQUAL_FATAL(r, 0);
		n++;
	}
	return n;
}
