/* daemon/session/handshake.c - connections come and go: accepted, Hello or Resume, closed.
 *
 *              accepted            Hello               prepared
 *   (CLOSED) ------------> NEW ------------> ATTACHING ------------> CLIENT
 *       ^                   | Resume          reattached                |
 *       |                   +--------------> RESUMING ------------> CLIENT
 *       |                   | Hello observer                            |
 *       |                   +--------------> OBSERVER                   |
 *       +---- closed, deadline, refused -------+------------------------+
 *
 * A client outlives its connection; how it ends is client.c's. */
#include "daemon/core/quota.h"
#include "daemon/session/session_private.h"
#include "paged/bits.h"

#include <errno.h>
#include <string.h>

/* Connections that only root and the user who runs the daemon get, so that pagectl can look at what
 * is wrong. Lower: two of them may be in each other's way; higher: fewer are left for others. */
#define CONNECTIONS_KEPT 8u

/* The only writer of a connection's state. */
static void connection_move(struct session *session, uint32_t conn, enum connection_state to)
{
	static const uint32_t allowed[CONNECTION_NR_STATES] = {
		[CONNECTION_CLOSED] = 1u << CONNECTION_NEW,
		[CONNECTION_NEW] = 1u << CONNECTION_CLOSED | 1u << CONNECTION_ATTACHING |
				   1u << CONNECTION_RESUMING | 1u << CONNECTION_OBSERVER,
		[CONNECTION_RESUMING] = 1u << CONNECTION_CLOSED | 1u << CONNECTION_CLIENT,
		[CONNECTION_ATTACHING] = 1u << CONNECTION_CLOSED | 1u << CONNECTION_CLIENT,
		[CONNECTION_CLIENT] = 1u << CONNECTION_CLOSED,
		[CONNECTION_OBSERVER] = 1u << CONNECTION_CLOSED,
	};
	struct connection *c = &session->connection[conn];

	PAGED_CHECK(allowed[c->state] >> to & 1);
	session->nr_handshakes += to == CONNECTION_NEW;
	session->nr_handshakes -= c->state == CONNECTION_NEW;
	session->nr_connections += c->state == CONNECTION_CLOSED;
	session->nr_connections -= to == CONNECTION_CLOSED;
	c->state = to;
}

static uint32_t connections_of(const struct session *session, uint32_t uid)
{
	uint32_t n = 0;

	for (uint32_t conn = 0; conn < SESSION_MAX_CONNECTIONS; conn++)
		n += session->connection[conn].state != CONNECTION_CLOSED &&
		     session->connection[conn].peer.uid == uid;
	return n;
}

/* Half-open connections; ret_conns has room for all. */
static uint32_t list_handshakes(const struct session *session, uint32_t *ret_conns)
{
	uint32_t n = 0;

	for (uint32_t conn = 0; conn < SESSION_MAX_CONNECTIONS; conn++)
		if (session->connection[conn].state == CONNECTION_NEW)
			ret_conns[n++] = conn;
	return n;
}

static bool is_admin(const struct session *session, uint32_t conn)
{
	uint32_t uid = session->connection[conn].peer.uid;

	return uid == 0 || uid == session->limits.admin_uid;
}

/* Half-open connections that somebody is in the way of others with. */
struct hoard {
	uint32_t of_user, of_process;
	uint32_t oldest; /* of that process: the first to come to its deadline */
};

static struct hoard measure_hoard(const struct session *session, const uint32_t *conns, uint32_t n,
				  uint32_t conn)
{
	const struct connection *all = session->connection;
	struct hoard hoard = {.oldest = conn};

	for (uint32_t i = 0; i < n; i++) {
		if (all[conns[i]].peer.uid != all[conn].peer.uid)
			continue;
		hoard.of_user++;
		if (all[conns[i]].peer.pid != all[conn].peer.pid)
			continue;
		hoard.of_process++;
		if (all[conns[i]].deadline_ns < all[hoard.oldest].deadline_ns)
			hoard.oldest = conns[i];
	}
	return hoard;
}

/* There is one handshake too many: the newcomer has to go, or, if another user has more of them, or
 * another process of its user, the oldest of the process that has most. So who opens connections
 * and says no Hello is in nobody's way but its own. Others than administrators make room for one.
 * O(connections + handshakes squared). */
static uint32_t find_hoarder(const struct session *session, uint32_t newcomer)
{
	uint32_t conns[SESSION_MAX_CONNECTIONS];
	uint32_t n = list_handshakes(session, conns);
	struct hoard most = measure_hoard(session, conns, n, newcomer);
	uint32_t found = newcomer;

	for (uint32_t i = 0; i < n; i++) {
		struct hoard hoard = measure_hoard(session, conns, n, conns[i]);

		if (is_admin(session, newcomer) && !is_admin(session, conns[i]))
			hoard.of_user += n;
		if (hoard.of_user < most.of_user ||
		    (hoard.of_user == most.of_user && hoard.of_process <= most.of_process))
			continue;
		most = hoard;
		found = hoard.oldest;
	}
	return found;
}

static void refuse_hoarder(struct session *session, uint32_t newcomer)
{
	uint32_t conn = find_hoarder(session, newcomer);

	session_refuse(session, conn, 0, -EAGAIN,
		       "%u connections have not said Hello yet, as many as [limits] handshakes "
		       "allows, and most are of process %u; try again",
		       session->nr_handshakes - 1, session->connection[conn].peer.pid);
	pool_count(session->pool, COUNTER_connections_refused, 1);
	handshake_end(session, conn);
}

/* May the user of conn, which is counted already, have it? If not it has been told and is gone. An
 * administrator always gets one more to observe with, but for [limits] connections. */
static bool admit_connection(struct session *session, uint32_t conn)
{
	static const struct quota_rule rule = {
		.capacity = SESSION_MAX_CONNECTIONS - CONNECTIONS_KEPT, .alpha = 64, .spare = 16};
	struct connection *c = &session->connection[conn];
	uint32_t limit = session->limits.connections;
	uint32_t mine = connections_of(session, c->peer.uid) - 1;

	if (limit && mine >= limit) {
		session_refuse(
			session, conn, 0, -EUSERS,
			"user %u has %u connections already, as many as [limits] connections "
			"allows",
			c->peer.uid, limit);
	} else if (quota_admits(&rule, session->nr_connections - 1, mine)) {
		return true;
	} else if (is_admin(session, conn)) {
		c->is_kept = true;
		return true;
	} else {
		session_refuse(session, conn, 0, -EUSERS,
			       "user %u has %u of %u connections; the rest is for others",
			       c->peer.uid, mine, session->nr_connections - 1);
	}
	pool_count(session->pool, COUNTER_connections_refused, 1);
	handshake_end(session, conn);
	return false;
}

void handshake_accepted(struct session *session, const struct session_event *event)
{
	const struct session_limits *limits = &session->limits;
	struct connection *c;

	PAGED_CHECK(event->conn < SESSION_MAX_CONNECTIONS);
	c = &session->connection[event->conn];
	PAGED_CHECK(c->state == CONNECTION_CLOSED);
	*c = (struct connection){.client = CLIENT_NONE,
				 .peer = event->peer,
				 .deadline_ns = event->now_ns + limits->handshake_ns};
	connection_move(session, event->conn, CONNECTION_NEW);
	if (admit_connection(session, event->conn) && limits->handshakes &&
	    session->nr_handshakes > limits->handshakes)
		refuse_hoarder(session, event->conn);
}

static void disconnect(struct session *session, uint32_t conn)
{
	struct connection *c = &session->connection[conn];

	park_drop_conn(session, conn);
	admin_forget_conn(session, conn);
	why_forget_conn(session, conn);
	if (c->client != CLIENT_NONE && session->client[c->client].conn == conn) {
		session->client[c->client].conn = CONN_NONE;
		session->client[c->client].away_ns = session->real_ns;
		shm_store32(&pool_client(session->pool, c->client)->state, SHM_CLIENT_AWAY);
	}
	c->client = CLIENT_NONE;
	connection_move(session, conn, CONNECTION_CLOSED);
}

void handshake_end(struct session *session, uint32_t conn)
{
	session_push(session, ACTION_CLOSE)->conn = conn;
	disconnect(session, conn);
}

void handshake_closed(struct session *session, uint32_t conn)
{
	PAGED_CHECK(conn < SESSION_MAX_CONNECTIONS);
	if (session->connection[conn].state != CONNECTION_CLOSED)
		disconnect(session, conn);
}

void handshake_expire(struct session *session)
{
	for (uint32_t conn = 0; session->nr_handshakes && conn < SESSION_MAX_CONNECTIONS; conn++) {
		const struct connection *c = &session->connection[conn];

		if (c->state != CONNECTION_NEW || session->now_ns < c->deadline_ns)
			continue;
		if (!session_has_room(session, 2)) {
			session->again = true;
			return;
		}
		session_refuse(session, conn, 0, -ETIMEDOUT, "no Hello within %l ms",
			       session->limits.handshake_ns / 1000000);
		handshake_end(session, conn);
	}
}

/* --- Hello ---------------------------------------------------------------------------------------
 */

static void hello_observer(struct session *session, uint32_t conn, uint64_t id)
{
	struct message_reply *reply = session_reply(session, conn, id);
	struct session_action *action = &session->actions->item[session->actions->n - 1];

	action->fds = FDS_OBSERVER;
	reply->version = PROTOCOL_VERSION;
	reply->daemon_version = pool_meta(session->pool)->daemon_version;
	connection_move(session, conn, CONNECTION_OBSERVER);
}

/* A client that lost its connection lives on with its process: who hangs up and comes again must
 * not fill the table. */
static uint32_t clients_of(const struct session *session, uint32_t uid)
{
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		n += pool_client_is_attached(session->pool, id) &&
		     pool_client_record(session->pool, id)->uid == uid;
	return n;
}

/* An id for one more client of conn's user; false: it has been told why not. */
static bool reserve_client(struct session *session, uint32_t conn, uint64_t id,
			   client_id *ret_client)
{
	static const struct quota_rule rule = {
		.capacity = SHM_MAX_CLIENTS, .alpha = 64, .spare = 4};
	const struct connection *c = &session->connection[conn];
	uint32_t limit = session->limits.connections, mine = clients_of(session, c->peer.uid);
	uint32_t used = session->nr_clients + session->nr_dying;

	if (limit && mine >= limit)
		session_refuse(session, conn, id, -EUSERS,
			       "user %u has %u clients already, with those that lost their "
			       "connection as many as [limits] connections allows",
			       c->peer.uid, limit);
	else if (c->is_kept)
		session_refuse(session, conn, id, -EUSERS,
			       "of the last connections, kept for administrators, none may attach "
			       "a client");
	else if (used < SHM_MAX_CLIENTS && !quota_admits(&rule, used, mine))
		session_refuse(session, conn, id, -EUSERS,
			       "user %u has %u of %u clients; the rest is for others", c->peer.uid,
			       mine, used);
	else if (pool_client_reserve(session->pool, ret_client))
		session_refuse(session, conn, id, -EUSERS, "%u clients are attached, no more fit",
			       SHM_MAX_CLIENTS);
	else
		return true;
	return false;
}

static void hello_client(struct session *session, uint32_t conn, uint64_t id,
			 const struct message_hello *hello)
{
	struct connection *c = &session->connection[conn];
	struct session_action *action;
	client_id client;

	client_end_unanswered(session, &c->peer, hello->nonce);
	if (!reserve_client(session, conn, id, &client)) {
		pool_count(session->pool, COUNTER_connections_refused, 1);
		handshake_end(session, conn);
		return;
	}
	c->client = client;
	c->hello_id = id;
	c->read_only = hello->flags & HELLO_READ_ONLY;
	c->wanted = (struct pool_client_options){
		.pid = c->peer.pid,
		.uid = c->peer.uid,
		.gid = c->peer.gid,
		.pid_start = c->peer.pid_start,
		.max_threads = hello->max_threads ? hello->max_threads : SHM_MAX_THREADS,
		.max_frames = hello->max_frames,
		.flags = hello->flags,
		.real_ns = session->real_ns,
		.hello_nonce = hello->nonce};
	memcpy(c->wanted.name, hello->name, sizeof c->wanted.name);
	connection_move(session, conn, CONNECTION_ATTACHING);
	action = session_push(session, ACTION_PREPARE);
	action->conn = conn;
	action->client = client;
	action->max_threads = c->wanted.max_threads;
}

void handshake_hello(struct session *session, uint32_t conn, const struct message *message)
{
	const struct message_hello *hello = &message->hello;
	int status = 0;

	if (session->connection[conn].state != CONNECTION_NEW) {
		session_refuse(session, conn, message->id, -EALREADY,
			       "a second Hello on one connection; open another for another client");
		return;
	}
	if (hello->version_min > PROTOCOL_VERSION || hello->version_max < PROTOCOL_VERSION_MIN) {
		status = -EPROTONOSUPPORT;
		session_refuse(session, conn, message->id, status,
			       "versions %u to %u are not spoken here, only %u to %u",
			       hello->version_min, hello->version_max, PROTOCOL_VERSION_MIN,
			       PROTOCOL_VERSION);
	} else if (hello->flags & ~(uint32_t)(HELLO_OBSERVER | HELLO_READ_ONLY)) {
		status = -EINVAL;
		session_refuse(session, conn, message->id, status, "unknown Hello flags %u",
			       hello->flags);
	} else if (hello->max_threads > SHM_MAX_THREADS) {
		status = -EINVAL;
		session_refuse(session, conn, message->id, status, "max_threads is %u, at most %u",
			       hello->max_threads, SHM_MAX_THREADS);
	} else if (!(hello->flags & HELLO_OBSERVER) &&
		   limits_observe_only(session, &session->connection[conn].peer, hello->name)) {
		status = -EACCES;
		session_refuse(session, conn, message->id, status,
			       "a [client] section of the configuration says access = observe");
	}
	if (status)
		handshake_end(session, conn);
	else if (hello->flags & HELLO_OBSERVER)
		hello_observer(session, conn, message->id);
	else
		hello_client(session, conn, message->id, hello);
}

static void prepare_failed(struct session *session, const struct session_event *event)
{
	struct connection *c = &session->connection[event->conn];

	pool_client_unreserve(session->pool, event->client);
	session_push(session, ACTION_RELEASE)->client = event->client;
	c->client = CLIENT_NONE;
	session_refuse(session, event->conn, c->hello_id, event->status,
		       "the client could not be set up: %s", event->text ? event->text : "");
	handshake_end(session, event->conn);
}

void handshake_prepared(struct session *session, const struct session_event *event)
{
	struct connection *c = &session->connection[event->conn];
	struct session_action *action;
	struct message_reply *reply;

	PAGED_CHECK(c->state == CONNECTION_ATTACHING && c->client == event->client);
	if (event->status) {
		prepare_failed(session, event);
		return;
	}
	pool_client_attach(session->pool, event->client, &c->wanted, event->ctl, event->ctl_dev,
			   event->ctl_ino, event->token);
	memcpy(session->unit[event->client], c->peer.unit, SESSION_UNIT_BYTES);
	session->groups[event->client] = c->peer.groups;
	limits_apply(session, event->client);
	session->client[event->client] =
		(struct session_client){.conn = event->conn, .events_open = true};
	session->nr_clients++;
	stall_attached(session, event->client);
	pressure_attached(session, event->client);
	connection_move(session, event->conn, CONNECTION_CLIENT);
	reply = session_reply(session, event->conn, c->hello_id);
	action = &session->actions->item[session->actions->n - 1];
	action->fds = FDS_CLIENT;
	action->client = event->client;
	action->read_only = c->read_only;
	reply->version = PROTOCOL_VERSION;
	reply->client = event->client;
	reply->token[0] = event->token[0];
	reply->token[1] = event->token[1];
	reply->daemon_version = pool_meta(session->pool)->daemon_version;
	reply->max_threads = c->wanted.max_threads;
	reply->level = session->client[event->client].level;
	session_log(session, LOG_LEVEL_DEBUG, LOG_ID_CLIENT_ATTACHED, event->client,
		    "client %u (%s, pid %u, uid %u) attached", event->client, c->wanted.name,
		    c->wanted.pid, c->wanted.uid);
}

/* --- Resume --------------------------------------------------------------------------------------
 */

/* Does the Resume come from the process that the client is, with the token that only it was given?
 * Time that does not depend on where two tokens differ. */
static bool may_resume(const struct session *session, const struct session_peer *peer,
		       const struct message_resume *resume)
{
	const struct shm_record *record = pool_client_record(session->pool, resume->client);

	return ((record->token[0] ^ resume->token[0]) | (record->token[1] ^ resume->token[1])) ==
		       0 &&
	       record->pid == peer->pid && record->uid == peer->uid &&
	       record->pid_start == peer->pid_start;
}

void handshake_resume(struct session *session, uint32_t conn, const struct message *message)
{
	const struct message_resume *resume = &message->resume;
	struct connection *c = &session->connection[conn];
	struct session_action *action;

	if (!pool_client_is_attached(session->pool, resume->client) ||
	    !may_resume(session, &c->peer, resume)) {
		session_refuse(session, conn, message->id, -ESTALE,
			       "no client %u with that token and process: its frames are gone; "
			       "open anew",
			       resume->client);
		handshake_end(session, conn);
		return;
	}
	/* The old connection ends, and what is unread on it is never served: the client repeats it.
	 */
	if (session->client[resume->client].conn != CONN_NONE)
		handshake_end(session, session->client[resume->client].conn);
	reclaim_forget_client(session, resume->client);
	c->client = resume->client;
	c->hello_id = message->id;
	connection_move(session, conn, CONNECTION_RESUMING);
	action = session_push(session, ACTION_REATTACH);
	action->conn = conn;
	action->client = resume->client;
}

/* Also where the client was ended, as a liar, in the step that took its Resume. */
static void reattach_failed(struct session *session, const struct session_event *event, int status,
			    const char *why)
{
	struct connection *c = &session->connection[event->conn];

	c->client = CLIENT_NONE;
	session_refuse(session, event->conn, c->hello_id, status,
		       "the client could not be resumed: %s", why);
	handshake_end(session, event->conn);
}

void handshake_reattached(struct session *session, const struct session_event *event)
{
	struct connection *c = &session->connection[event->conn];
	struct session_action *action;
	struct message_reply *reply;

	PAGED_CHECK(c->state == CONNECTION_RESUMING && c->client == event->client);
	if (!pool_client_is_attached(session->pool, event->client)) {
		reattach_failed(session, event, -ESTALE, "its frames are gone; open anew");
		return;
	}
	if (event->status || (!event->ctl && !pool_client_ctl(session->pool, event->client))) {
		reattach_failed(session, event, event->status ? event->status : -EBADF,
				event->text ? event->text : "its Resume must carry its CTL");
		return;
	}
	if (event->ctl)
		pool_client_adopt(session->pool, event->client, event->ctl);
	pool_client_is_known(session->pool, event->client);
	session->client[event->client].conn = event->conn;
	session->client[event->client].events_open = true;
	pressure_resumed(session, event->client);
	shm_store32(&pool_client(session->pool, event->client)->state, SHM_CLIENT_ATTACHED);
	connection_move(session, event->conn, CONNECTION_CLIENT);
	reply = session_reply(session, event->conn, c->hello_id);
	action = &session->actions->item[session->actions->n - 1];
	action->fds = FDS_RESUMED;
	action->client = event->client;
	reply->version = PROTOCOL_VERSION;
	reply->client = event->client;
	reply->daemon_version = pool_meta(session->pool)->daemon_version;
	reply->level = session->pressure.level;
	pool_count(session->pool, COUNTER_client_resume, 1);
}
