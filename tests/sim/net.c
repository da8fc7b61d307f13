/* tests/sim/net.c - connections: a queue in each direction that nothing overtakes, and two ends.
 *
 * What was sent before an end arrives before the end. What arrives at an end that is closed is
 * lost, as are the answers to a process that hung up. Each request that reached the server is due
 * until it is answered or its connection ends. */
#include "tests/sim/sim.h"

#include <string.h>

#define LATENCY_LEAST (5 * US)
#define LATENCY_MOST (2 * MS)
/* How late an answer may be beyond what its request allows: the timer's own delay, and a little. */
#define SLACK (10 * MS)
#define RECLAIM_MOST (10 * SECOND)

static uint64_t arrival(struct sim *s, uint64_t *last_ns)
{
	uint64_t at = s->now_ns + sim_delay(s, LATENCY_LEAST, LATENCY_MOST);

	*last_ns = at > *last_ns ? at : *last_ns;
	return *last_ns;
}

static struct sim_conn *conn_of(struct sim *s, uint32_t client)
{
	const struct sim_client *x = &s->client[client];
	struct sim_conn *c = &s->conn[x->conn];

	return x->conn_stamp && c->stamp == x->conn_stamp ? c : NULL;
}

/* --- the client's end ---------------------------------------------------------------------------
 */

void net_connect(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t conn = 0;

	while (s->conn[conn].is_open || s->conn[conn].is_connecting)
		PAGED_CHECK(++conn < SIM_CONNS);
	s->conn[conn] = (struct sim_conn){.is_connecting = true,
					  .client = client,
					  .life = x->life,
					  .pid = x->pid,
					  .stamp = sim_stamp(s)};
	x->conn = conn;
	x->conn_stamp = s->conn[conn].stamp;
	(void)sim_at(s, arrival(s, &s->conn[conn].to_server_ns), SIM_CONNECT, conn, x->conn_stamp);
}

void net_send(struct sim *s, uint32_t client, const struct message *message)
{
	struct sim_conn *c = conn_of(s, client);
	struct sim_event *event;

	if (!c)
		return;
	event = sim_at(s, arrival(s, &c->to_server_ns), SIM_REQUEST, s->client[client].conn,
		       c->stamp);
	event->message = sim_keep_message(s, message);
}

void net_hang_up(struct sim *s, uint32_t client)
{
	struct sim_conn *c = conn_of(s, client);

	if (c)
		(void)sim_at(s, arrival(s, &c->to_server_ns), SIM_SERVER_EOF,
			     s->client[client].conn, c->stamp);
	s->client[client].conn_stamp = 0;
}

/* --- the server's end ---------------------------------------------------------------------------
 */

static struct sim_conn *reached(struct sim *s, const struct sim_event *event)
{
	struct sim_conn *c = &s->conn[event->who];

	return c->is_open && c->stamp == event->stamp ? c : NULL;
}

void net_connected(struct sim *s, const struct sim_event *event)
{
	struct sim_conn *c = &s->conn[event->who];
	struct session_event accepted = {.kind = EVENT_ACCEPTED, .conn = event->who};

	/* The supervisor holds the listening socket: who comes while no server is there waits. */
	if (!s->server.is_up) {
		sim_postpone(s, event, s->now_ns + MS / 2);
		c->to_server_ns = s->now_ns + MS / 2;
		return;
	}
	c->is_connecting = false;
	c->is_open = true;
	accepted.peer.pid = c->pid;
	accepted.peer.uid = s->client[c->client].is_admin ? 0 : 1000;
	server_event(s, &accepted);
}

/* By when the request has to be answered. */
static uint64_t due_until(const struct sim *s, const struct message *message)
{
	uint64_t most = s->server.limits.alloc_timeout_max_ns;
	uint64_t wait = 0;

	if (message->kind == MESSAGE_ALLOC)
		wait = message->alloc.timeout_ms * MS;
	else if (message->kind == MESSAGE_PCP_REFILL)
		wait = message->pcp_refill.timeout_ms * MS;
	else if (message->kind == MESSAGE_RECLAIM)
		wait = most = RECLAIM_MOST;
	return s->now_ns + (wait < most ? wait : most) + SLACK;
}

void net_request(struct sim *s, const struct sim_event *event)
{
	struct sim_conn *c = &s->conn[event->who];
	struct message message = s->message[event->message];

	/* Sent to a connection that still waits to be accepted. */
	if (c->is_connecting && c->stamp == event->stamp) {
		sim_postpone(s, event, s->now_ns + MS / 2);
		return;
	}
	sim_drop_message(s, event->message);
	c = reached(s, event);
	if (!c || !s->server.is_up)
		return;
	if (c->n_due == SIM_DUES_MAX) /* a flood: its socket is full */
		return;
	c->due[c->n_due++] = (struct sim_due){message.id, due_until(s, &message), message.kind};
	s->coverage->messages[message.kind]++;
	server_event(s, &(struct session_event){
				.kind = EVENT_MESSAGE, .conn = event->who, .message = &message});
}

void net_garbage(struct sim *s, const struct sim_event *event)
{
	if (reached(s, event) && s->server.is_up)
		server_event(s, &(struct session_event){
					.kind = EVENT_MALFORMED, .conn = event->who, .text = "?"});
}

void net_eof(struct sim *s, const struct sim_event *event)
{
	struct sim_conn *c = &s->conn[event->who];

	if (c->is_connecting && c->stamp == event->stamp) {
		sim_postpone(s, event, s->now_ns + MS / 2);
		return;
	}
	c = reached(s, event);
	if (!c)
		return;
	c->is_open = false;
	c->n_due = 0;
	server_event(s, &(struct session_event){.kind = EVENT_CLOSED, .conn = event->who});
}

void net_close(struct sim *s, uint32_t conn)
{
	struct sim_conn *c = &s->conn[conn];

	if (!c->is_open)
		return;
	c->is_open = false;
	c->n_due = 0;
	(void)sim_at(s, arrival(s, &c->to_client_ns), SIM_CLIENT_EOF, c->client, c->stamp);
}

/* Takes the request off the list; false: it is not there. */
static bool take_due(struct sim_conn *c, uint64_t id)
{
	for (uint32_t i = 0; i < c->n_due; i++)
		if (c->due[i].id == id) {
			c->due[i] = c->due[--c->n_due];
			return true;
		}
	return false;
}

void net_reply(struct sim *s, uint32_t conn, const struct message_reply *reply, uint32_t ctl)
{
	struct sim_conn *c = &s->conn[conn];
	struct sim_event *event;

	if (!c->is_open) {
		sim_fail(s, "an answer to connection %u, which has ended", conn);
		return;
	}
	/* Without an id it is about the connection, which ends. */
	if (reply->id ? !take_due(c, reply->id) : reply->status == 0) {
		sim_fail(s, "an answer to request %lu of process %u, which waits for none",
			 (unsigned long)reply->id, c->client);
		return;
	}
	if (ctl != SIM_NONE)
		s->ctl_of_client[ctl] = true;
	event = sim_at(s, arrival(s, &c->to_client_ns), SIM_REPLY, c->client, c->stamp);
	event->reply = (struct sim_reply){.id = reply->id,
					  .status = reply->status,
					  .client = reply->client,
					  .shrink_self = reply->shrink_self,
					  .ctl = ctl,
					  .token = {reply->token[0], reply->token[1]},
					  .count = reply->count,
					  .result = reply->result};
}

void net_check_due(struct sim *s)
{
	for (uint32_t i = 0; i < SIM_CONNS; i++) {
		const struct sim_conn *c = &s->conn[i];

		for (uint32_t n = 0; c->is_open && n < c->n_due; n++)
			if (s->now_ns > c->due[n].until_ns && !s->client[c->client].is_liar)
				sim_fail(s, "request %lu of process %u, of kind %d, has no answer",
					 (unsigned long)c->due[n].id, c->client,
					 (int)c->due[n].kind);
	}
}
