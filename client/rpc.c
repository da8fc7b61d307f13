/* client/rpc.c - many callers, one socket, no thread: leader and followers.
 *
 *   send ---> [calls under way] ---> wait:  nobody reads -> lead: poll, receive, hand out by id
 *                                           somebody reads -> sleep on the call's own condition
 *
 * A leader whose reply has come, or whose time is up, stops reading and wakes one waiter, who leads
 * on. Messages are sent under the lock: a datagram is whole or not at all, and what is sent is
 * under way before its answer can come.
 *
 * When the connection ends (away.c) every call under way ends with -ENOTCONN. Those that are waited
 * for go on: rpc_finish() waits for the next connection and sends the request again. The socket is
 * not replaced before all have left poll(): it looks descriptors up again when it wakes, but is on
 * the wait queue of the file that it began with, so who comes to run late would find the new
 * connection, with nothing to read, and sleep on for all its patience. */
#include "client/client_private.h"
#include "client/socket.h"
#include "client/spin.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

int rpc_init(struct rpc *rpc)
{
	rpc->buffer = malloc(MESSAGE_BYTES_MAX);
	rpc->generation = 1;
	clock_cond_init(&rpc->left);
	(void)pthread_mutex_init(&rpc->lock, NULL);
	return rpc->buffer ? 0 : error_set(-ENOMEM, "no memory for the connection's buffer");
}

void rpc_done(struct rpc *rpc)
{
	free(rpc->buffer);
	rpc->buffer = NULL;
}

void rpc_call_init(struct rpc_call *call)
{
	memset(call, 0, offsetof(struct rpc_call, reply));
	clock_cond_init(&call->cond);
}

void rpc_call_done(struct rpc_call *call)
{
	(void)pthread_cond_destroy(&call->cond);
}

/* The lock is held by the caller of all that ends in _locked. */
static void rpc_link_locked(struct rpc *rpc, struct rpc_call *call)
{
	call->id = ++rpc->last_id;
	call->done = false;
	call->r = 0;
	call->prev = NULL;
	call->next = rpc->calls;
	if (call->next)
		call->next->prev = call;
	rpc->calls = call;
}

static void rpc_unlink_locked(struct rpc *rpc, struct rpc_call *call)
{
	if (call->next)
		call->next->prev = call->prev;
	if (call->prev)
		call->prev->next = call->next;
	else
		rpc->calls = call->next;
	call->id = 0;
}

static void rpc_finish_locked(struct rpc *rpc, struct rpc_call *call, int r)
{
	rpc_unlink_locked(rpc, call);
	call->r = r;
	call->done = true;
	(void)pthread_cond_signal(&call->cond);
}

/* Wakes one waiter to read on. */
static void rpc_promote_locked(struct rpc *rpc)
{
	if (rpc->reading)
		return;
	for (struct rpc_call *call = rpc->calls; call; call = call->next) {
		if (call->waiting) {
			(void)pthread_cond_signal(&call->cond);
			return;
		}
	}
}

static void rpc_enter_poll_locked(struct rpc *rpc)
{
	rpc->nr_polling++;
	(void)pthread_mutex_unlock(&rpc->lock);
}

/* Takes the lock again. */
static void rpc_leave_poll(struct rpc *rpc)
{
	(void)pthread_mutex_lock(&rpc->lock);
	if (--rpc->nr_polling == 0)
		(void)pthread_cond_broadcast(&rpc->left);
}

void rpc_await_pollers_locked(struct rpc *rpc)
{
	while (rpc->nr_polling)
		(void)clock_wait(&rpc->left, &rpc->lock, UINT64_MAX);
}

uint64_t rpc_generation(const pageclient *client)
{
	/* acquire; pairs with the release in resume.c */
	return __atomic_load_n(&client->rpc.generation, __ATOMIC_ACQUIRE);
}

static void rpc_end_locked(struct rpc *rpc)
{
	rpc->ended = true;
	while (rpc->calls)
		rpc_finish_locked(rpc, rpc->calls, -ENOTCONN);
}

void client_away(pageclient *client, uint64_t generation)
{
	struct rpc *rpc = &client->rpc;
	bool ended;

	(void)pthread_mutex_lock(&rpc->lock);
	ended = !rpc->ended && rpc->generation == generation;
	if (ended) {
		/* At EOF a socket is readable for ever: out of the set with it. shutdown() wakes a
		 * leader. */
		dispatch_unwatch(client, client->call_fd);
		(void)shutdown(client->call_fd, SHUT_RDWR);
		client_set_state(client, PAGECLIENT_AWAY);
		rpc_end_locked(rpc);
	}
	(void)pthread_mutex_unlock(&rpc->lock);
	if (ended)
		client_wake(client);
}

/* --- sending --- */

void patience_init(struct patience *patience, uint64_t answer_ms, uint64_t away_ms)
{
	patience->answer_ms = answer_ms;
	patience->answer_ns = clock_deadline_ns(answer_ms);
	patience->away_ns = away_ms ? clock_deadline_ns(away_ms) : 0;
}

/* One try under the lock. -EAGAIN: the daemon does not read. */
static int rpc_try_send(pageclient *client, struct rpc_call *call, struct message *request)
{
	struct rpc *rpc = &client->rpc;
	int r = -ENOTCONN;

	(void)pthread_mutex_lock(&rpc->lock);
	call->generation = rpc->generation;
	if (!rpc->ended) {
		rpc_link_locked(rpc, call);
		request->id = call->id;
		r = socket_send(client->call_fd, request);
		if (r < 0)
			rpc_finish_locked(rpc, call, -ENOTCONN);
	} else {
		call->done = true;
		call->r = r;
	}
	(void)pthread_mutex_unlock(&rpc->lock);
	return r;
}

/* Waits until the daemon reads again, or its connection ends. */
static int rpc_await_room(pageclient *client, uint64_t generation, uint64_t deadline_ns)
{
	struct rpc *rpc = &client->rpc;
	int r = 0;

	(void)pthread_mutex_lock(&rpc->lock);
	if (!rpc->ended && rpc->generation == generation) {
		rpc_enter_poll_locked(rpc);
		r = clock_poll(client->call_fd, POLLOUT, deadline_ns);
		rpc_leave_poll(rpc);
	}
	(void)pthread_mutex_unlock(&rpc->lock);
	return r;
}

static int rpc_send(pageclient *client, struct rpc_call *call, struct message *request,
		    uint64_t deadline_ns)
{
	int r;

	while ((r = rpc_try_send(client, call, request)) == -EAGAIN) {
		r = rpc_await_room(client, call->generation, deadline_ns);
		if (r < 0)
			return error_set(r, "the daemon does not read its socket: is it stopped?");
	}
	if (r == -ENOTCONN)
		client_away(client, call->generation);
	else if (r < 0)
		(void)error_set(r, "the request could not be sent");
	return r;
}

int rpc_begin(pageclient *client, struct rpc_call *call, struct message *request,
	      struct patience *patience)
{
	int r = -ENOTCONN;

	for (uint32_t i = 0; i < CLIENT_REPEATS && r == -ENOTCONN; i++) {
		if (client_state(client) != PAGECLIENT_CONNECTED) {
			r = client_connect(client, patience->away_ns);
			if (r < 0)
				return r;
			patience->answer_ns = clock_deadline_ns(patience->answer_ms);
		}
		r = rpc_send(client, call, request, patience->answer_ns);
	}
	return r == -ENOTCONN ? error_set(-EAGAIN, "the daemon comes and goes: its log says why")
			      : r;
}

void rpc_post(pageclient *client, struct message *request)
{
	struct rpc *rpc = &client->rpc;

	(void)pthread_mutex_lock(&rpc->lock);
	request->id = ++rpc->last_id;
	if (!rpc->ended)
		(void)socket_send(client->call_fd, request);
	(void)pthread_mutex_unlock(&rpc->lock);
}

/* --- waiting --- */

static void rpc_deliver_locked(struct rpc *rpc, const struct message *message)
{
	for (struct rpc_call *call = rpc->calls; call; call = call->next) {
		if (call->id == message->reply.id) {
			call->reply = message->reply;
			rpc_finish_locked(rpc, call, 0);
			return;
		}
	}
}

/* Looks for as long as the daemon looks for us. -EAGAIN: there is nothing yet. */
static int rpc_spin(pageclient *client, struct message *ret_message)
{
	struct spin *spin = &client->rpc.spin;
	uint64_t begin = clock_now_ns();
	uint64_t now = begin;
	int r = -EAGAIN;

	while (r == -EAGAIN && now - begin < spin->window_ns && spin_is_worth(client)) {
		r = socket_receive(client->call_fd, client->rpc.buffer, ret_message);
		now = clock_now_ns();
	}
	if (r != -EAGAIN)
		spin_won(spin, now - begin);
	return r;
}

/* The next message, without the lock. 0; -EAGAIN: look again; -ETIMEDOUT; -errno. */
static int rpc_receive(pageclient *client, uint64_t deadline_ns, struct message *ret_message)
{
	struct spin *spin = &client->rpc.spin;
	bool is_worth = deadline_ns != 0 && spin_is_worth(client);
	uint64_t begin;
	int r = -EAGAIN;

	if (!is_worth)
		return socket_await(client->call_fd, client->rpc.buffer, ret_message, deadline_ns);
	spin_follow(spin, spin_max_ns(client));
	r = rpc_spin(client, ret_message);
	if (r != -EAGAIN)
		return r;
	begin = clock_now_ns();
	r = socket_await(client->call_fd, client->rpc.buffer, ret_message, deadline_ns);
	spin_lost(spin, clock_now_ns() - begin);
	return r;
}

/* Reads one message for whomever it is. Called with the lock held and nobody reading; returns so.
 * 0: look again. -ETIMEDOUT. -ENOTCONN: the connection is to be ended. */
static int rpc_lead_locked(pageclient *client, uint64_t deadline_ns)
{
	struct rpc *rpc = &client->rpc;
	uint64_t generation = rpc->generation;
	struct message message;
	int r;

	rpc->reading = true;
	rpc_enter_poll_locked(rpc);
	r = rpc_receive(client, deadline_ns, &message);
	rpc_leave_poll(rpc);
	rpc->reading = false;
	if (r == -EAGAIN || (r < 0 && r != -ETIMEDOUT && rpc->generation != generation))
		return 0;
	if (r < 0)
		return r == -ETIMEDOUT ? r : -ENOTCONN;
	if (message.kind == MESSAGE_REPLY)
		rpc_deliver_locked(rpc, &message);
	return 0;
}

static int rpc_follow_locked(struct rpc *rpc, struct rpc_call *call, uint64_t deadline_ns)
{
	int r;

	call->waiting = true;
	r = clock_wait(&call->cond, &rpc->lock, deadline_ns);
	call->waiting = false;
	return r;
}

int rpc_wait(pageclient *client, struct rpc_call *call, uint64_t deadline_ns)
{
	struct rpc *rpc = &client->rpc;
	int r = 0;

	(void)pthread_mutex_lock(&rpc->lock);
	while (!call->done && r == 0)
		r = rpc->reading ? rpc_follow_locked(rpc, call, deadline_ns)
				 : rpc_lead_locked(client, deadline_ns);
	if (call->done)
		r = call->r;
	rpc_promote_locked(rpc);
	(void)pthread_mutex_unlock(&rpc->lock);
	if (r == -ENOTCONN) {
		client_away(client, call->generation);
		return error_set(r, "the daemon went away: its frames stay readable");
	}
	return r < 0 ? error_set(r, "the daemon does not answer: is it stopped?") : 0;
}

void rpc_forget(pageclient *client, struct rpc_call *call)
{
	struct rpc *rpc = &client->rpc;

	(void)pthread_mutex_lock(&rpc->lock);
	if (call->id != 0)
		rpc_unlink_locked(rpc, call);
	(void)pthread_mutex_unlock(&rpc->lock);
}

int rpc_finish(pageclient *client, struct rpc_call *call, struct message *request,
	       struct patience *patience)
{
	for (uint32_t i = 0; i < CLIENT_REPEATS; i++) {
		int r = rpc_wait(client, call, patience->answer_ns);

		if (r != -ENOTCONN)
			return r;
		r = rpc_begin(client, call, request, patience);
		if (r < 0)
			return r;
	}
	return error_set(-EAGAIN,
			 "the daemon ended the connection at each of %u tries: its log "
			 "says why",
			 CLIENT_REPEATS);
}

int rpc_request(pageclient *client, struct message *request, uint64_t answer_ms, uint64_t away_ms,
		struct message_reply *ret_reply)
{
	struct patience patience;
	struct rpc_call call;
	int r;

	patience_init(&patience, answer_ms, away_ms);
	rpc_call_init(&call);
	r = rpc_begin(client, &call, request, &patience);
	if (r == 0) {
		r = rpc_finish(client, &call, request, &patience);
		if (r < 0) /* else it is not under way any more */
			rpc_forget(client, &call);
	}
	if (r == 0) {
		*ret_reply = call.reply;
		r = call.reply.status < 0 ? error_set(call.reply.status, "%s", call.reply.text) : 0;
	}
	rpc_call_done(&call);
	return r;
}
