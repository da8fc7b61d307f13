/* daemon/wire/stream.h - one SOCK_SEQPACKET socket on the loop: messages in, messages out.
 *
 * What a call socket and an event socket have in common: a watcher, an outbox, and the reading and
 * sending of whole messages. Who embeds a stream gets its news through stream_ops.
 *
 * States, and what is watched:
 *
 *   OPEN  readable, and writable while the outbox holds something
 *    |--- stream_drain() ----> DRAINING  writable only; ops->ended once the outbox is empty
 *    |--- a send fails ------> MUTE      readable: what the peer said last is still read, then
 *    |                                   ops->ended; nothing is sent any more
 *    +--- stream_close() ----> CLOSED    ops->closed from the loop: now the memory may go
 *
 * Re-entrancy. Any function below may be called from inside any of the ops; the code that called
 * the op looks at the state again before it goes on, and memory lives until ops->closed. No
 * function below calls an op itself: a send that fails shuts the socket down, and the loop finds
 * out. One thread. */
#ifndef DAEMON_WIRE_STREAM_H
#define DAEMON_WIRE_STREAM_H
#include "daemon/wire/outbox.h"
#include "paged/message.h"

#include <uv.h>

struct stream;
struct stream_ops {
	/* fd: the descriptor that a Resume carries, ours and closed after the call; -1: none. */
	void (*message)(struct stream *stream, const struct message *message, int fd);
	void (*malformed)(struct stream *stream, const char *text);
	void (*ended)(struct stream *stream);  /* EOF, error or drained: the owner is to close it */
	void (*closed)(struct stream *stream); /* the watcher is gone */
};

enum stream_state { STREAM_OPEN, STREAM_DRAINING, STREAM_MUTE, STREAM_CLOSED };

struct stream {
	uv_poll_t poll;
	enum stream_state state;
	int fd; /* -1 when CLOSED */
	int watched;
	bool was_reset; /* ECONNRESET was read once; what the peer sent before is behind it */
	const struct stream_ops *ops;
	void *owner;
	uint8_t *buffer; /* MESSAGE_BYTES_MAX bytes to receive into, shared by all streams */
	struct outbox outbox;
};

/* Watches fd, which is the stream's from then on. Returns 0 or -errno; fd stays the caller's
 * then. The outbox is to be set up by the caller. */
int stream_open(struct stream *stream, uv_loop_t *loop, int fd, const struct stream_ops *ops,
		void *owner, uint8_t *buffer);
/* Idempotent. */
void stream_close(struct stream *stream);

/* Sends now or queues; ignored unless OPEN. */
void stream_send(struct stream *stream, const struct message *message, const int *fds,
		 uint32_t n_fds);
/* Reads no more. Returns true if nothing waits to be sent (the caller closes it), false if
 * ops->ended will tell. */
bool stream_drain(struct stream *stream);
/* Sends of what a draining stream has left all that its peer has room for: before it is closed. */
void stream_hurry(struct stream *stream);
/* Throws away what was received and not read. A socket that is closed over unread packets gives its
 * peer ECONNRESET before our last words. */
void stream_discard(struct stream *stream);

#endif
