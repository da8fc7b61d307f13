/* daemon/wire/client.c - what a client has beside its call socket: the event socket for upcalls and
 * the pidfd that tells of its death.
 *
 * Both outlive the call socket. The event socket may end first; the pidfd is watched until the
 * session closes the client, because only the death of the process says that its frames may go.
 * Nothing but the pidfd becoming readable is death. */
#include "daemon/wire/peer.h"
#include "daemon/wire/wire_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct wire_client *client_find(struct wire *wire, client_id client)
{
	return client <= SHM_MAX_CLIENTS ? wire->clients[client] : NULL;
}

static void client_unref(struct wire_client *client)
{
	struct wire *wire = client->wire;

	client->n_handles--;
	if (!client->is_closed || client->n_handles > 0)
		return;
	free(client);
	wire_unref(wire);
}

static void client_on_message(struct stream *stream, const struct message *message, int fd)
{
	struct wire_client *client = stream->owner;
	struct session_event event = {
		.kind = EVENT_UPCALL_DONE, .client = client->client, .message = message};

	(void)fd; /* comes with a Resume only, which is nothing to say here: the session ignores it
		   */
	wire_emit(client->wire, &event);
}

static void client_on_ended(struct stream *stream)
{
	struct wire_client *client = stream->owner;
	struct session_event event = {.kind = EVENT_EVENTS_CLOSED, .client = client->client};

	stream_close(stream);
	wire_emit(client->wire, &event);
}

/* Who cannot answer an upcall gets none any more. */
static void client_on_malformed(struct stream *stream, const char *text)
{
	(void)text;
	client_on_ended(stream);
}

static void client_on_stream_closed(struct stream *stream)
{
	client_unref(stream->owner);
}

static const struct stream_ops client_ops = {
	.message = client_on_message,
	.malformed = client_on_malformed,
	.ended = client_on_ended,
	.closed = client_on_stream_closed,
};

static void client_on_pidfd(uv_poll_t *poll, int status, int events)
{
	struct wire_client *client = poll->data;
	struct session_event event = {.kind = EVENT_DIED, .client = client->client};

	if (status < 0 || !(events & UV_READABLE))
		return;
	(void)uv_poll_stop(poll);
	wire_emit(client->wire, &event);
}

static void client_on_pid_closed(uv_handle_t *handle)
{
	client_unref(handle->data);
}

/* Closes what is open and frees the client, at once if nothing is. */
static void client_close(struct wire_client *client)
{
	client->is_closed = true;
	client->n_handles++; /* so that it lives to the end of this function */
	if (client->events.fd >= 0)
		stream_close(&client->events);
	if (client->pidfd >= 0) {
		uv_close((uv_handle_t *)&client->pid_poll, client_on_pid_closed);
		close(client->pidfd);
		client->pidfd = -1;
	}
	client_unref(client);
}

/* The handle of the pidfd, which is the client's from then on. */
static int client_watch_pid(struct wire_client *client, int pidfd)
{
	int r = uv_poll_init(client->wire->loop, &client->pid_poll, pidfd);

	if (r < 0)
		return r;
	client->n_handles++;
	client->pid_poll.data = client;
	client->pidfd = pidfd;
	(void)uv_poll_start(&client->pid_poll, UV_READABLE, client_on_pidfd); /* cannot fail */
	return 0;
}

/* Both handles; pidfd and fd are the client's from then on. On failure what was opened is closed by
 * client_close(), and the descriptors that were not taken stay the caller's. */
static int client_watch(struct wire_client *client, int pidfd, int fd)
{
	struct wire *wire = client->wire;
	int r;

	outbox_init(&client->events.outbox, wire->options.queue_bytes, WIRE_UPCALLS_MAX);
	r = stream_open(&client->events, wire->loop, fd, &client_ops, client, wire->buffer);
	if (r < 0)
		return r;
	client->n_handles++;
	return client_watch_pid(client, pidfd);
}

static struct wire_client *client_new(struct wire *wire, client_id id)
{
	struct wire_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->wire = wire;
	client->client = id;
	client->pidfd = -1;
	client->events.fd = -1;
	wire->n_open++;
	return client;
}

int wire_client_open(struct wire *wire, uint32_t index, client_id id, int *ret_peer_fd)
{
	struct conn *conn = conn_find(wire, index);
	struct wire_client *client;
	int pair[2];
	int r;

	if (!conn)
		return -ENOTCONN;
	if (id == CLIENT_NONE || id > SHM_MAX_CLIENTS)
		return -EINVAL;
	if (conn->pidfd < 0)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	client = client_new(wire, id);
	r = client ? client_watch(client, conn->pidfd, pair[0]) : -ENOMEM;
	if (r < 0) {
		if (!client || client->events.fd < 0)
			close(pair[0]);
		close(pair[1]);
		if (client)
			client_close(client);
		return r;
	}
	conn->pidfd = -1;
	wire_client_close(wire, id); /* what it had before its Resume */
	wire->clients[id] = client;
	*ret_peer_fd = pair[1];
	return 0;
}

int wire_client_watch(struct wire *wire, client_id id, uint32_t pid, uint64_t pid_start)
{
	struct wire_client *client;
	int pidfd;
	int r = peer_find(pid, pid_start, &pidfd);

	if (r < 0)
		return r;
	client = client_new(wire, id);
	r = client ? client_watch_pid(client, pidfd) : -ENOMEM;
	if (r < 0) {
		close(pidfd);
		if (client)
			client_close(client);
		return r;
	}
	wire_client_close(wire, id);
	wire->clients[id] = client;
	return 0;
}

void wire_upcall(struct wire *wire, client_id id, const struct message *message)
{
	struct wire_client *client = client_find(wire, id);

	if (client && client->events.fd >= 0)
		stream_send(&client->events, message, NULL, 0);
}

void wire_client_close(struct wire *wire, client_id id)
{
	struct wire_client *client = client_find(wire, id);

	if (!client)
		return;
	wire->clients[id] = NULL;
	client_close(client);
}

void client_close_all(struct wire *wire)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		wire_client_close(wire, id);
}
