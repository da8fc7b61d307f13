/* client/resume.c - back to a daemon that was away, with the frames that this client has.
 *
 *   connect -> Resume {client, token} with the CTL -> reply with a new event socket -> switch
 *
 * The daemon ends the old connection before it answers, and drops what is unread on it. So once the
 * reply is there nothing that was sent before can happen any more: what is repeated then happens
 * once, and what META says of a ring's capacity is the last word.
 *
 * The switch puts the new sockets behind the old numbers (C6), so pageclient_fd() stays what it is.
 * Threads that still wait for the old call socket, which has ended, leave it first: see rpc.c. The
 * event socket belongs to dispatch, so it is left for it to take.
 *
 * -ESTALE says that there is no such client: the segment was replaced, or the client was taken for
 * dead. Its frames may be somebody else's by now, so there is no way back: LOST. */
#include "client/client_private.h"
#include "client/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RESUME_ID 1u
#define RESUME_FDS 1u /* of the reply: the event socket */

static void resume_drop(pageclient *client)
{
	int fd = client->away.fd;

	dispatch_unwatch(client, fd);
	client->away.fd = -1; /* first: a child forked now must not close the number again */
	(void)close(fd);
}

int resume_send(pageclient *client)
{
	struct message request = {.kind = MESSAGE_RESUME,
				  .id = RESUME_ID,
				  .resume = {.version_min = PROTOCOL_VERSION_MIN,
					     .version_max = PROTOCOL_VERSION,
					     .client = client->id,
					     .token = {client->token[0], client->token[1]}}};
	int r = socket_try_connect(client->socket_path, &client->away.fd);

	if (r < 0)
		return r;
	r = socket_send_fd(client->away.fd, &request, client->ctl_fd);
	if (r == 0)
		r = dispatch_watch(client, client->away.fd, EPOLLIN);
	if (r < 0)
		resume_drop(client);
	return r;
}

/* dup3() leaves no moment at which the number is another's; a wait for a file that another thread
 * is just opening with this number cannot be, since it is open. */
static void resume_replace(int from, int to)
{
	while (dup3(from, to, O_CLOEXEC) < 0 && errno == EINTR)
		continue;
}

static void resume_hand_event_fd(pageclient *client, int event_fd)
{
	int before;

	(void)pthread_mutex_lock(&client->away.lock);
	before = client->away.event_fd;
	client->away.event_fd = event_fd;
	(void)pthread_mutex_unlock(&client->away.lock);
	if (before >= 0)
		(void)close(before);
}

static void resume_switch(pageclient *client)
{
	struct rpc *rpc = &client->rpc;

	(void)pthread_mutex_lock(&rpc->lock);
	rpc_await_pollers_locked(rpc);
	resume_replace(client->away.fd, client->call_fd);
	resume_drop(client);
	(void)dispatch_watch(client, client->call_fd, EPOLLRDHUP);
	rpc->ended = false;
	/* release; pairs with the acquire in rpc_generation() */
	__atomic_store_n(&rpc->generation, rpc->generation + 1, __ATOMIC_RELEASE);
	client_set_state(client, PAGECLIENT_CONNECTED);
	(void)pthread_mutex_unlock(&rpc->lock);
}

static int resume_lose(pageclient *client)
{
	client_set_state(client, PAGECLIENT_LOST);
	client_wake(client);
	return -ESTALE;
}

/* Judges the reply. 0; -ESTALE; -errno: try again. */
static int resume_check(const pageclient *client, const struct message *message, uint32_t n_fds)
{
	const struct message_reply *reply = &message->reply;

	if (message->kind != MESSAGE_REPLY)
		return -EPROTO;
	if (reply->status < 0) /* of another id: the connection was refused as such */
		return reply->id == RESUME_ID || reply->status != -ESTALE ? reply->status : -EPROTO;
	if (reply->id != RESUME_ID || n_fds != RESUME_FDS)
		return -EPROTO;
	if (reply->version < PROTOCOL_VERSION_MIN || reply->version > PROTOCOL_VERSION)
		return -EPROTONOSUPPORT;
	return client->view.header->instance_id == client->instance_id ? 0 : -ESTALE;
}

static void resume_close_fds(const int *fds)
{
	for (uint32_t i = 0; i < MESSAGE_FDS_MAX; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
}

int resume_receive(pageclient *client)
{
	uint8_t *buffer = malloc(MESSAGE_BYTES_MAX);
	int fds[MESSAGE_FDS_MAX] = {-1, -1, -1, -1};
	struct message message;
	uint32_t n_fds = 0;
	int r = -ENOMEM;

	if (buffer)
		r = socket_receive_fds(client->away.fd, buffer, &message, fds, &n_fds);
	free(buffer);
	if (r == -EAGAIN)
		return -ETIMEDOUT; /* nothing there after all */
	if (r == 0) {
		r = resume_check(client, &message, n_fds);
		if (r < 0)
			resume_close_fds(fds);
	}
	if (r < 0)
		resume_drop(client);
	if (r == -ESTALE)
		return resume_lose(client);
	if (r < 0)
		return r;
	/* relaxed; a number for people */
	__atomic_store_n(&client->daemon_version, message.reply.daemon_version, __ATOMIC_RELAXED);
	resume_hand_event_fd(client, fds[0]);
	resume_switch(client);
	cache_reconcile(client);
	client_wake(client);
	return 0;
}
