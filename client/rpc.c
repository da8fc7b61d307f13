/* client/rpc.c - many callers, one socket, no thread: leader and followers.
 *
 *   send ---> [calls under way] ---> wait:  nobody reads -> lead: poll, receive, hand out by id
 *                                           somebody reads -> sleep on the call's own condition
 *
 * A leader whose reply has come, or whose time is up, stops reading and wakes one waiter, who leads
 * on. Messages are sent under the lock: a datagram is whole or not at all, and what is sent is
 * under way before its answer can come. */
#include "client/client_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

int rpc_init(struct rpc *rpc)
{
	rpc->buffer = malloc(MESSAGE_BYTES_MAX);
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

void rpc_end(pageclient *client)
{
	struct rpc *rpc = &client->rpc;

	(void)pthread_mutex_lock(&rpc->lock);
	rpc->ended = true;
	while (rpc->calls)
		rpc_finish_locked(rpc, rpc->calls, -ENOTCONN);
	(void)pthread_mutex_unlock(&rpc->lock);
}

/* One try under the lock. -EAGAIN: the daemon does not read. */
static int rpc_try_send(pageclient *client, struct rpc_call *call, struct message *request)
{
	struct rpc *rpc = &client->rpc;
	int r;

	(void)pthread_mutex_lock(&rpc->lock);
	if (rpc->ended) {
		(void)pthread_mutex_unlock(&rpc->lock);
		return -ENOTCONN;
	}
	rpc_link_locked(rpc, call);
	request->id = call->id;
	r = socket_send(client->call_fd, request);
	if (r < 0)
		rpc_unlink_locked(rpc, call);
	(void)pthread_mutex_unlock(&rpc->lock);
	return r;
}

int rpc_send(pageclient *client, struct rpc_call *call, struct message *request,
	     uint64_t deadline_ns)
{
	int r;

	while ((r = rpc_try_send(client, call, request)) == -EAGAIN) {
		r = clock_poll(client->call_fd, POLLOUT, deadline_ns);
		if (r < 0)
			return error_set(r, "the daemon does not read its socket: is it stopped?");
	}
	if (r == -ENOTCONN)
		client_away(client);
	return r < 0 ? error_set(r, r == -ENOTCONN
					    ? "the daemon went away: its frames stay readable"
					    : "the request could not be sent")
		     : 0;
}

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

/* Reads one message for whomever it is. Called with the lock held and nobody reading; returns so.
 * 0: look again. -ETIMEDOUT. -ENOTCONN: the connection is to be ended. */
static int rpc_lead_locked(pageclient *client, uint64_t deadline_ns)
{
	struct rpc *rpc = &client->rpc;
	struct message message;
	int r;

	rpc->reading = true;
	(void)pthread_mutex_unlock(&rpc->lock);
	r = clock_poll(client->call_fd, POLLIN, deadline_ns);
	if (r == 0)
		r = socket_receive(client->call_fd, rpc->buffer, &message, NULL, NULL);
	(void)pthread_mutex_lock(&rpc->lock);
	rpc->reading = false;
	if (r == -EAGAIN)
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
		client_away(client);
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

int rpc_request(pageclient *client, struct message *request, uint64_t timeout_ms,
		struct message_reply *ret_reply)
{
	uint64_t deadline = clock_deadline_ns(timeout_ms);
	struct rpc_call call;
	int r;

	rpc_call_init(&call);
	r = rpc_send(client, &call, request, deadline);
	if (r == 0) {
		r = rpc_wait(client, &call, deadline);
		rpc_forget(client, &call);
	}
	if (r == 0) {
		*ret_reply = call.reply;
		r = call.reply.status < 0 ? error_set(call.reply.status, "%s", call.reply.text) : 0;
	}
	rpc_call_done(&call);
	return r;
}
