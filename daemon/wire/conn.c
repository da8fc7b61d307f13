/* daemon/wire/conn.c - call sockets.
 *
 * A conn has a number while the session knows of it: from ACCEPTED until CLOSED or wire_end(). An
 * ended conn whose last words still wait lives on without a number for at most a second. The number
 * goes back before CLOSED is told, so that whatever the session does in answer finds no conn. */
#include "daemon/wire/peer.h"
#include "daemon/wire/wire_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct conn *conn_find(struct wire *wire, uint32_t index)
{
	return index < SESSION_MAX_CONNECTIONS ? wire->conns[index] : NULL;
}

static void conn_release_index(struct conn *conn)
{
	struct wire *wire = conn->wire;

	if (conn->index == WIRE_NO_INDEX)
		return;
	wire->conns[conn->index] = NULL;
	wire->free_index[wire->n_free++] = (uint16_t)conn->index;
	conn->index = WIRE_NO_INDEX;
}

static void conn_stop_draining(struct conn *conn)
{
	struct wire *wire = conn->wire;
	struct conn *last = wire->draining[--wire->n_draining];

	wire->draining[conn->drain_slot] = last;
	last->drain_slot = conn->drain_slot;
	if (wire->n_draining == 0)
		(void)uv_timer_stop(&wire->drain_timer);
}

static void conn_close(struct conn *conn)
{
	if (conn->stream.state == STREAM_DRAINING)
		conn_stop_draining(conn);
	conn_release_index(conn);
	stream_discard(&conn->stream);
	stream_close(&conn->stream);
	if (conn->pidfd >= 0)
		close(conn->pidfd);
	conn->pidfd = -1;
}

static void conn_on_message(struct stream *stream, const struct message *message, int fd)
{
	struct conn *conn = stream->owner;
	struct session_event event = {.kind = EVENT_MESSAGE,
				      .conn = conn->index,
				      .message = message,
				      .has_fd = fd >= 0,
				      .fd = fd};

	wire_emit(conn->wire, &event);
}

static void conn_on_malformed(struct stream *stream, const char *text)
{
	struct conn *conn = stream->owner;
	struct session_event event = {.kind = EVENT_MALFORMED, .conn = conn->index, .text = text};

	wire_emit(conn->wire, &event);
}

static void conn_on_ended(struct stream *stream)
{
	struct conn *conn = stream->owner;
	struct session_event event = {.kind = EVENT_CLOSED, .conn = conn->index};

	conn_close(conn);
	if (event.conn != WIRE_NO_INDEX)
		wire_emit(conn->wire, &event);
}

static void conn_on_closed(struct stream *stream)
{
	struct conn *conn = stream->owner;
	struct wire *wire = conn->wire;

	free(conn);
	wire_unref(wire);
}

static const struct stream_ops conn_ops = {
	.message = conn_on_message,
	.malformed = conn_on_malformed,
	.ended = conn_on_ended,
	.closed = conn_on_closed,
};

/* Everything of a new conn that can fail. Returns NULL with nothing left behind but fd. */
static struct conn *conn_new(struct wire *wire, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->wire = wire;
	if (peer_open(fd, &conn->peer, &conn->pidfd) < 0) {
		free(conn);
		return NULL;
	}
	outbox_init(&conn->stream.outbox, wire->options.queue_bytes, UINT32_MAX);
	if (stream_open(&conn->stream, wire->loop, fd, &conn_ops, conn, wire->buffer) < 0) {
		close(conn->pidfd);
		free(conn);
		return NULL;
	}
	return conn;
}

void conn_open(struct wire *wire, int fd)
{
	struct session_event event = {.kind = EVENT_ACCEPTED};
	struct conn *conn = wire->n_free > 0 ? conn_new(wire, fd) : NULL;

	if (!conn) { /* full, or the peer is gone already, or we are short of something */
		close(fd);
		return;
	}
	wire->n_open++;
	conn->index = wire->free_index[--wire->n_free];
	wire->conns[conn->index] = conn;
	event.conn = conn->index;
	event.peer = conn->peer;
	wire_emit(wire, &event);
}

void wire_send(struct wire *wire, uint32_t index, const struct message *message, const int *fds,
	       uint32_t n_fds)
{
	struct conn *conn = conn_find(wire, index);

	if (conn)
		stream_send(&conn->stream, message, fds, n_fds);
}

void wire_end(struct wire *wire, uint32_t index)
{
	struct conn *conn = conn_find(wire, index);

	if (!conn)
		return;
	if (wire->n_draining == WIRE_DRAINING_MAX || stream_drain(&conn->stream)) {
		conn_close(conn);
		return;
	}
	conn_release_index(conn);
	conn->drain_slot = wire->n_draining;
	conn->drain_until_ms = uv_now(wire->loop) + WIRE_DRAIN_MS;
	wire->draining[wire->n_draining++] = conn;
	if (wire->n_draining == 1)
		(void)uv_timer_start(&wire->drain_timer, conn_on_drain_timer, WIRE_DRAIN_TICK_MS,
				     WIRE_DRAIN_TICK_MS);
}

void conn_on_drain_timer(uv_timer_t *timer)
{
	struct wire *wire = timer->data;
	uint64_t now_ms = uv_now(wire->loop);

	for (uint32_t i = wire->n_draining; i-- > 0;) { /* backwards: closing moves the last here */
		struct conn *conn = wire->draining[i];

		if (conn->drain_until_ms > now_ms)
			continue;
		stream_hurry(&conn->stream); /* timers come first, and we may be the late ones */
		conn_close(conn);
	}
}

void conn_close_all(struct wire *wire)
{
	while (wire->n_draining > 0)
		conn_close(wire->draining[wire->n_draining - 1]);
	for (uint32_t i = 0; i < SESSION_MAX_CONNECTIONS; i++) {
		if (wire->conns[i])
			conn_close(wire->conns[i]);
	}
}
