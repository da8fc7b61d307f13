/* daemon/session/session.c - the step: one event, then the pump, then the timer.
 *
 * An event changes what it names. The pump then does what may follow from any event, in an order in
 * which each part can use what the one before freed: end liars, sweep the dead, commit ahead,
 * reclaim, serve those who wait. All of it is bounded; what does not fit in this step asks for
 * AGAIN. While a steal waits for its barrier the pump rests, so that nothing comes between claim
 * and settle. A pass over many magazines takes one slice a step, and goes on when those have been
 * served who came meanwhile. */
#include "daemon/session/session.h"

#include "daemon/session/session_private.h"
#include "paged/bits.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct session_client) * SHM_MAX_CLIENTS < 65536, "a session stays small");

size_t session_bytes(void)
{
	return sizeof(struct session);
}

const char *session_event_name(enum session_event_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		SESSION_EVENTS(X)
#undef X
	};

	return kind < EVENT_NR_KINDS ? names[kind] : "?";
}

const char *session_action_name(enum session_action_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		SESSION_ACTIONS(X)
#undef X
	};

	return kind < ACTION_NR_KINDS ? names[kind] : "?";
}

/* --- actions -------------------------------------------------------------------------------------
 */

/* Room that only replies, ends and the step's last actions may use: they cannot wait. */
#define ACTIONS_KEPT 64u

bool session_has_room(const struct session *session, uint32_t n)
{
	return session->actions->n + n + ACTIONS_KEPT <= SESSION_MAX_ACTIONS;
}

struct session_action *session_push(struct session *session, enum session_action_kind kind)
{
	struct session_action *action;

	PAGED_CHECK(session->actions->n < SESSION_MAX_ACTIONS);
	action = &session->actions->item[session->actions->n++];
	memset(action, 0, offsetof(struct session_action, text));
	action->text[0] = '\0';
	action->kind = kind;
	return action;
}

struct message_reply *session_reply(struct session *session, uint32_t conn, uint64_t id)
{
	struct session_action *action = session_push(session, ACTION_SEND);

	action->conn = conn;
	action->message.kind = MESSAGE_REPLY;
	action->message.reply.id = id;
	return &action->message.reply;
}

void session_refuse(struct session *session, uint32_t conn, uint64_t id, int status,
		    const char *format, ...)
{
	struct message_reply *reply = session_reply(session, conn, id);
	va_list args;

	reply->status = status;
	va_start(args, format);
	text_format(reply->text, sizeof reply->text, format, args);
	va_end(args);
	pool_count(session->pool, COUNTER_rpc_refused, 1);
}

void session_log(struct session *session, enum session_log_level level, enum session_log_id id,
		 client_id client, const char *format, ...)
{
	struct session_action *action;
	va_list args;

	if (!session_has_room(session, 1))
		return;
	action = session_push(session, ACTION_LOG);
	action->level = level;
	action->log_id = id;
	action->client = client;
	va_start(args, format);
	text_format(action->text, sizeof action->text, format, args);
	va_end(args);
}

void session_barrier(struct session *session, enum steal_purpose purpose)
{
	PAGED_CHECK(session->steal.purpose == STEAL_NONE);
	session->steal.purpose = purpose;
}

bool session_claim(struct session *session, struct pool_pass *pass, enum steal_purpose purpose)
{
	struct slices *slices = &session->slices;

	if (pool_pass_is_done(pass))
		return false;
	if (slices->taken || (slices->waits != STEAL_NONE && slices->waits != purpose) ||
	    (pass->has_begun && !slices->may_go_on)) {
		if (slices->waits == STEAL_NONE)
			slices->waits = purpose;
		session->again = true;
		return true;
	}
	slices->taken = true;
	slices->waits = STEAL_NONE;
	if (pool_claim_pass(session->pool, pass))
		session_barrier(session, purpose);
	else if (pool_pass_is_done(pass))
		return false;
	session->again |= !pool_pass_is_done(pass);
	return true;
}

/* A barrier and what follows it belong to the step before. */
static void slices_begin(struct session *session, const struct session_event *event)
{
	if (event->kind == EVENT_BARRIER)
		return;
	session->slices.taken = false;
	session->slices.may_go_on = event->kind == EVENT_AGAIN;
}

/* Who waited for a slice and did not take this one wants none any more. */
static void slices_end(struct session *session)
{
	if (session->slices.may_go_on && !session->slices.taken)
		session->slices.waits = STEAL_NONE;
}

/* --- start ---------------------------------------------------------------------------------------
 */

void session_init(struct session *session, struct pool *pool, const struct session_limits *limits,
		  uint64_t seed)
{
	memset(session, 0, sizeof *session);
	session->pool = pool;
	session->limits = *limits;
	session->random = seed | 1;
	session->next_upcall_id = 1;
	park_init(session);
	session->reclaim.admin_conn = CONN_NONE;
	session->reclaim.cache = CACHE_ALL;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		session->client[id].conn = CONN_NONE;
		session->nr_clients += pool_client_is_attached(pool, id);
		session->dying[id] = pool_client_is_dying(pool, id);
		session->nr_dying += session->dying[id];
	}
	shrinker_recover(pool);
	resize_init(session);
}

bool session_is_idle(const struct session *session)
{
	return session->nr_dying == 0 && session->steal.purpose == STEAL_NONE &&
	       pool_nr_commits(session->pool) == 0;
}

/* --- the pump ------------------------------------------------------------------------------------
 */

/* Starts commits for a request of order; true if there is one to start. */
static bool push_commit(struct session *session, order_t order, enum migratetype type)
{
	struct pool_commit commit;
	bool any = false;

	while (session_has_room(session, 1) &&
	       pool_plan_commit(session->pool, order, type, &commit)) {
		session_push(session, ACTION_COMMIT)->commit = commit;
		any = true;
		if (!pool_stock_is_low(session->pool) && order == 0)
			break;
	}
	return any;
}

static void pump_commits(struct session *session)
{
	/* A run that cannot be made whole is looked for by a walk over the zone: not at every
	 * event. And it keeps nobody with a smaller request from a commit. */
	order_t below =
		session->now_ns >= session->next_search_ns ? ORDER_COUNT : PAGEBLOCK_ORDER + 1;
	enum migratetype type;
	order_t order;

	while (pool_nr_commits(session->pool) < POOL_MAX_COMMITS &&
	       park_wants_commit(session, below, &order, &type)) {
		if (!push_commit(session, order, type) && order > PAGEBLOCK_ORDER) {
			session->next_search_ns = session->now_ns + SEARCH_NS;
			session->again = true; /* it waits for frames, as it finds out now */
		}
		below = order;
	}
	if (pool_stock_is_low(session->pool))
		(void)push_commit(session, 0, MIGRATE_UNMOVABLE);
}

static void pump(struct session *session)
{
	if (session->steal.purpose != STEAL_NONE)
		return;
	client_end_hostile(session);
	client_sweep(session);
	park_serve(session);
	/* Serving looks into magazines, too. Never with claims under way. */
	if (session->steal.purpose == STEAL_NONE)
		client_end_hostile(session);
	pump_commits(session);
	if (session->steal.purpose == STEAL_NONE)
		if (reclaim_pump(session))
			park_serve(session);
	if (session->steal.purpose == STEAL_NONE)
		admin_pump(session);
	if (session->steal.purpose == STEAL_NONE)
		resize_pump(session);
	if (session->steal.purpose == STEAL_NONE)
		compact_pump(session);
	if (session->steal.purpose == STEAL_NONE)
		why_pump(session);
}

static void settle(struct session *session, const struct session_event *event)
{
	struct steal steal = session->steal;
	uint64_t frames = 0;

	shrink_before_steal(session);
	if (event->status == 0)
		frames = pool_settle(session->pool);
	else
		pool_unclaim(session->pool);
	if (steal.purpose != STEAL_DRAIN && steal.purpose != STEAL_SHRINK)
		shrink_after_steal(session);
	session->steal.purpose = STEAL_NONE;
	switch (steal.purpose) {
	case STEAL_DRAIN:
		dispatch_drained(session, &steal, frames);
		break;
	case STEAL_RECLAIM:
	case STEAL_SHRINK:
		reclaim_settled(session, &steal, frames);
		break;
	case STEAL_ADMIN:
		admin_drained(session, frames);
		break;
	case STEAL_QUOTA:
	case STEAL_RESIZE:
	case STEAL_NONE:
		break;
	}
}

static void tick(struct session *session)
{
	session->timer_ns = 0; /* it fired, perhaps a little early: arm it again whatever is due */
	handshake_expire(session);
	park_expire(session);
	reclaim_expire(session);
	if (session->now_ns < session->next_tick_ns)
		return;
	pool_tick(session->pool);
	bell_tick(session);
	stall_tick(session);
	session->next_tick_ns = session->now_ns + TICK_NS;
}

static void committed(struct session *session, const struct session_event *event)
{
	struct shm_meta_header *meta = pool_meta(session->pool);

	pool_commit_done(session->pool, &event->commit, event->status == 0);
	if (event->status && event->commit.kind == POOL_COMMIT_PUNCH) {
		session_log(session, LOG_LEVEL_WARNING, LOG_ID_PUNCH_FAILED, CLIENT_NONE,
			    "frames could not be given back: %s",
			    event->text ? event->text : "no reason given");
		return;
	}
	if (event->status == 0 || event->status == -ECANCELED) /* it was never tried: we stop */
		return;
	memset(meta->limit, 0, sizeof meta->limit);
	for (uint32_t i = 0; event->text && event->text[i] && i + 1 < sizeof meta->limit; i++)
		meta->limit[i] = event->text[i];
	session_log(session, LOG_LEVEL_WARNING, LOG_ID_COMMIT_FAILED, CLIENT_NONE,
		    "no memory for more frames: %s", meta->limit);
}

static void set_limits(struct session *session, const struct session_limits *limits)
{
	session->limits = *limits;
	limits_apply_all(session);
}

/* The next moment at which time alone changes something. */
static void set_timer(struct session *session)
{
	uint64_t at = session->next_tick_ns;

	if (session->nr_handshakes)
		at = bits_min(at, session->now_ns + TICK_NS / 4);
	if (session->next_search_ns > session->now_ns && session->parked_first != PARKED_NONE)
		at = bits_min(at, session->next_search_ns);
	at = bits_min(at, park_deadline(session));
	at = bits_min(at, reclaim_deadline(session));
	if (at == session->timer_ns && at > session->now_ns)
		return;
	session->timer_ns = at;
	session_push(session, ACTION_TIMER)->at_ns = at;
}

static void take_event(struct session *session, const struct session_event *event)
{
	switch (event->kind) {
	case EVENT_ACCEPTED:
		handshake_accepted(session, event);
		break;
	case EVENT_MESSAGE:
		dispatch_message(session, event);
		break;
	case EVENT_MALFORMED:
		pool_count(session->pool, COUNTER_rpc_malformed, 1);
		session_refuse(session, event->conn, 0, condition_status(POOL_HOSTILE), "%s",
			       event->text ? event->text : "not a message of this protocol");
		handshake_end(session, event->conn);
		break;
	case EVENT_CLOSED:
		handshake_closed(session, event->conn);
		break;
	case EVENT_UPCALL_DONE:
		reclaim_upcall_done(session, event->client, event->message);
		break;
	case EVENT_EVENTS_CLOSED:
		session->client[event->client].events_open = false;
		reclaim_forget_client(session, event->client);
		break;
	case EVENT_DIED:
		client_end(session, event->client);
		pool_count(session->pool, COUNTER_client_death, 1);
		break;
	case EVENT_PREPARED:
		handshake_prepared(session, event);
		break;
	case EVENT_ADOPTED:
		client_adopted(session, event);
		break;
	case EVENT_REATTACHED:
		handshake_reattached(session, event);
		break;
	case EVENT_HEADS:
		dispatch_heads_ready(session, event);
		break;
	case EVENT_TABLE:
		dispatch_table_ready(session, event);
		break;
	case EVENT_COMMITTED:
		committed(session, event);
		break;
	case EVENT_BARRIER:
		settle(session, event);
		break;
	case EVENT_TICK:
		tick(session);
		break;
	case EVENT_RUNG:
		bell_rung(session);
		break;
	case EVENT_LIMITS:
		set_limits(session, event->limits);
		break;
	case EVENT_PRESSURE:
		pressure_reported(session, event->level);
		break;
	case EVENT_AGAIN:
	case EVENT_NR_KINDS:
		break;
	}
}

/* The time since the step before. */
static void account(struct session *session)
{
	if (!session->has_begun) {
		stall_begin(session);
		pressure_begin(session);
	}
	session->has_begun = true;
	stall_account(session);
}

void session_step(struct session *session, const struct session_event *event,
		  struct session_actions *actions)
{
	PAGED_CHECK((session->steal.purpose == STEAL_NONE) == (event->kind != EVENT_BARRIER));
	actions->n = 0;
	session->actions = actions;
	session->now_ns = event->now_ns;
	session->real_ns = event->real_ns;
	session->again = false;
	slices_begin(session, event);
	account(session);
	take_event(session, event);
	pump(session);
	slices_end(session);
	stall_met(session);
	pressure_pump(session);
	pool_publish(session->pool);
	set_timer(session);
	if (session->again)
		session_push(session, ACTION_AGAIN);
	if (session->steal.purpose != STEAL_NONE)
		session_push(session, ACTION_BARRIER);
}
