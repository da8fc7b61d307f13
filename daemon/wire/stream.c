/* daemon/wire/stream.c - see daemon/wire/stream.h.
 *
 * Of the descriptors that a client sends at most one is installed: recvmsg() is given room for one,
 * and the kernel drops the others and says MSG_CTRUNC. Only a Resume may carry it. A flood of them
 * costs us a close() each. */
#include "daemon/wire/stream.h"

#include "proto/codec.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A struct message takes less than 1 KiB on the wire. Lower: our own replies would not fit. */
#define SEND_BYTES 2048u

/* Packets thrown away before a close; a peer that has more unread ones gets its ECONNRESET. */
#define DISCARD_MAX 256u

static void stream_on_poll(uv_poll_t *poll, int status, int events);

static void stream_watch(struct stream *stream)
{
	int wanted = 0;

	if (stream->state == STREAM_CLOSED)
		return;
	if (stream->state != STREAM_DRAINING)
		wanted |= UV_READABLE;
	if (!outbox_is_empty(&stream->outbox))
		wanted |= UV_WRITABLE;
	if (wanted == stream->watched)
		return;
	stream->watched = wanted;
	(void)uv_poll_start(&stream->poll, wanted, stream_on_poll);
}

/* The peer cannot be told anything any more. shutdown() makes the socket readable, so that the loop
 * comes back to it and reads what is left until EOF. */
static void stream_mute(struct stream *stream)
{
	stream->state = STREAM_MUTE;
	outbox_done(&stream->outbox);
	(void)shutdown(stream->fd, SHUT_RDWR);
	stream_watch(stream);
}

/* The descriptor in a packet, or -1. */
static int packet_fd(struct msghdr *packet)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(packet);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len >= CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* Decodes a packet of n bytes and tells the owner. */
static void stream_tell(struct stream *stream, const struct msghdr *packet, size_t n, int fd)
{
	struct message message;
	const char *text = NULL;

	if (packet->msg_flags & MSG_TRUNC)
		text = "message larger than 65536 bytes";
	else if (packet->msg_flags & MSG_CTRUNC)
		text = "a message with more than one descriptor";
	else if (codec_decode(stream->buffer, n, &message, &text) == 0)
		text = fd >= 0 && message.kind != MESSAGE_RESUME
			       ? "only a Resume may carry a descriptor"
			       : NULL;
	if (text)
		stream->ops->malformed(stream, text);
	else
		stream->ops->message(stream, &message, fd);
}

/* Reads one packet, if there is one, and tells the owner. */
static void stream_read(struct stream *stream)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = stream->buffer, .iov_len = MESSAGE_BYTES_MAX};
	struct msghdr packet = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* not CMSG_SPACE: the kernel would fill its padding with a second */
		.msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t n;
	int fd;

	n = recvmsg(stream->fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n < 0 && errno == ECONNRESET && !stream->was_reset) {
		stream->was_reset = true;
		return;
	}
	fd = n < 0 ? -1 : packet_fd(&packet);
	if (n > 0)
		stream_tell(stream, &packet, (size_t)n, fd);
	else /* an empty packet looks like EOF, but may carry a descriptor */
		stream->ops->ended(stream);
	if (fd >= 0)
		close(fd);
}

static bool stream_is_reading(const struct stream *stream)
{
	return stream->state == STREAM_OPEN || stream->state == STREAM_MUTE;
}

static void stream_flush(struct stream *stream)
{
	int r = outbox_flush(&stream->outbox, stream->fd);

	if (r == 0 || r == -EAGAIN)
		return;
	if (stream->state == STREAM_DRAINING)
		outbox_done(&stream->outbox);
	else
		stream_mute(stream);
}

static void stream_on_poll(uv_poll_t *poll, int status, int events)
{
	struct stream *stream = poll->data;

	if (status < 0) { /* libuv stopped watching; the next system call will say why */
		stream->watched = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if ((events & UV_WRITABLE) && !outbox_is_empty(&stream->outbox))
		stream_flush(stream);
	if (stream->state == STREAM_DRAINING && outbox_is_empty(&stream->outbox)) {
		stream->ops->ended(stream);
		return;
	}
	/* One packet. Most have one, and a second read would be a system call to learn that; where
	 * there are more the loop comes again, after the others had their turn. */
	if ((events & UV_READABLE) && stream_is_reading(stream))
		stream_read(stream);
	stream_watch(stream);
}

static void stream_on_closed(uv_handle_t *handle)
{
	struct stream *stream = handle->data;

	stream->ops->closed(stream);
}

int stream_open(struct stream *stream, uv_loop_t *loop, int fd, const struct stream_ops *ops,
		void *owner, uint8_t *buffer)
{
	int r = uv_poll_init(loop, &stream->poll, fd);

	if (r < 0)
		return r;
	stream->poll.data = stream;
	stream->state = STREAM_OPEN;
	stream->fd = fd;
	stream->watched = 0;
	stream->was_reset = false;
	stream->ops = ops;
	stream->owner = owner;
	stream->buffer = buffer;
	stream_watch(stream);
	return 0;
}

void stream_close(struct stream *stream)
{
	if (stream->state == STREAM_CLOSED)
		return;
	stream->state = STREAM_CLOSED;
	outbox_done(&stream->outbox);
	uv_close((uv_handle_t *)&stream->poll, stream_on_closed);
	close(stream->fd); /* after uv_close(), which takes it out of the epoll set */
	stream->fd = -1;
}

void stream_send(struct stream *stream, const struct message *message, const int *fds,
		 uint32_t n_fds)
{
	uint8_t bytes[SEND_BYTES];
	size_t n_bytes;
	int r;

	if (stream->state != STREAM_OPEN)
		return;
	r = codec_encode(message, bytes, sizeof(bytes), &n_bytes);
	if (r == 0) {
		r = outbox_is_empty(&stream->outbox)
			    ? outbox_send(stream->fd, bytes, n_bytes, fds, n_fds)
			    : -EAGAIN;
		if (r == -EAGAIN)
			r = outbox_push(&stream->outbox, bytes, n_bytes, fds, n_fds);
	}
	if (r < 0)
		stream_mute(stream);
	else
		stream_watch(stream);
}

bool stream_drain(struct stream *stream)
{
	if (stream->state != STREAM_OPEN || outbox_is_empty(&stream->outbox))
		return true;
	stream->state = STREAM_DRAINING;
	stream_watch(stream);
	return false;
}

void stream_hurry(struct stream *stream)
{
	if (stream->state == STREAM_DRAINING)
		(void)outbox_flush(&stream->outbox, stream->fd);
}

void stream_discard(struct stream *stream)
{
	if (stream->state == STREAM_CLOSED)
		return;
	(void)shutdown(stream->fd, SHUT_RD); /* the peer can add nothing from here on */
	for (uint32_t i = 0; i < DISCARD_MAX; i++) {
		uint8_t byte;

		if (recv(stream->fd, &byte, 1, MSG_DONTWAIT) <= 0)
			break;
	}
}
