/* client/socket.c - one message, one datagram of a SOCK_SEQPACKET socket.
 *
 * The sockets are blocking as such and every call on them says MSG_DONTWAIT; waiting is
 * clock_poll()'s. But for socket_await(): where there is time a recv() waits for so long itself,
 * which is one system call instead of two. Only connect() uses the socket's own timeout: a
 * non-blocking connect to a full backlog of a Unix socket fails with EAGAIN, and no poll tells when
 * to try again. */
#include "client/socket.h"

#include "client/cancel.h"
#include "client/client_private.h"

#include "proto/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int socket_set_timeout(int fd, uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns();
	uint64_t left_us = deadline_ns > now ? (deadline_ns - now) / 1000 + 1 : 1;
	struct timeval timeout = {0}; /* zero is for ever */

	if (deadline_ns != UINT64_MAX) {
		timeout.tv_sec = (time_t)(left_us / 1000000);
		timeout.tv_usec = (suseconds_t)(left_us % 1000000);
	}
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ? -errno : 0;
}

static int socket_address(const char *path, struct sockaddr_un *ret_address)
{
	size_t length = strlen(path);

	if (length >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, length + 1);
	return 0;
}

/* Longest recv() that waits; a longer wait is several. Lower: an idle wait wakes up more often.
 * Higher: waits that end before, which cost a poll() more, are more. */
#define SOCKET_WAIT_MS 500u

/* So that socket_await() may leave the waiting to recv(). */
static int socket_set_wait(int fd)
{
	struct timeval timeout = {.tv_usec = SOCKET_WAIT_MS * 1000};

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ? -errno : 0;
}

int socket_try_connect(const char *path, int *ret_fd)
{
	CANCEL_OFF;
	struct sockaddr_un address;
	int r = socket_address(path, &address);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fcntl(fd, F_SETFL, 0) < 0)
		r = -errno;
	if (r == 0)
		r = socket_set_wait(fd);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int socket_connect(const char *path, uint64_t deadline_ns, int *ret_fd)
{
	CANCEL_OFF;
	struct sockaddr_un address;
	int r = socket_address(path, &address);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do {
		r = socket_set_timeout(fd, deadline_ns);
		if (r == 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
			r = -errno;
	} while (r == -EINTR && clock_now_ns() < deadline_ns);
	if (r == 0)
		r = socket_set_wait(fd);
	if (r < 0) {
		(void)close(fd);
		return r == -EAGAIN || r == -EINTR ? -ETIMEDOUT : r;
	}
	*ret_fd = fd;
	return 0;
}

static int socket_sent(ssize_t n)
{
	if (n >= 0)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? -ENOTCONN : -errno;
}

int socket_send(int fd, const struct message *message)
{
	CANCEL_OFF;
	uint8_t buffer[CLIENT_REQUEST_BYTES];
	size_t bytes;
	ssize_t n;
	int r = codec_encode(message, buffer, sizeof(buffer), &bytes);

	if (r < 0)
		return r;
	do {
		n = send(fd, buffer, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return socket_sent(n);
}

int socket_send_fd(int fd, const struct message *message, int passed_fd)
{
	CANCEL_OFF;
	uint8_t buffer[CLIENT_REQUEST_BYTES];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec part = {.iov_base = buffer};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control)};
	ssize_t n;
	int r = codec_encode(message, buffer, sizeof(buffer), &part.iov_len);

	if (r < 0)
		return r;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(passed_fd));
	memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(passed_fd));
	do {
		n = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return socket_sent(n);
}

/* Takes the descriptors out of a received header; closes those that are too many. */
static uint32_t socket_take_fds(struct msghdr *header, int *fds)
{
	uint32_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < MESSAGE_FDS_MAX)
				fds[n++] = fd;
			else
				(void)close(fd);
		}
	}
	return n;
}

/* A packet of n bytes, or what errno says. ECONNRESET is said once: what the daemon had said before
 * it closed comes after it. */
static bool socket_is_again(ssize_t n)
{
	return n < 0 && (errno == EINTR || errno == ECONNRESET);
}

static int socket_decode(ssize_t n, const uint8_t *buffer, struct message *ret_message)
{
	const char *text;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -ENOTCONN;
	return (size_t)n > MESSAGE_BYTES_MAX ? -EBADMSG
					     : codec_decode(buffer, (size_t)n, ret_message, &text);
}

int socket_receive_fds(int fd, uint8_t *buffer, struct message *ret_message, int *fds,
		       uint32_t *ret_n_fds)
{
	CANCEL_OFF;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct iovec part = {.iov_base = buffer, .iov_len = MESSAGE_BYTES_MAX};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
	uint32_t n_fds;
	ssize_t n;
	int r;

	do {
		header.msg_controllen = sizeof(control);
		n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	} while (socket_is_again(n));
	n_fds = n < 0 ? 0 : socket_take_fds(&header, fds);
	r = socket_decode(n, buffer, ret_message);
	for (uint32_t i = 0; r < 0 && i < n_fds; i++)
		(void)close(fds[i]);
	if (r == 0)
		*ret_n_fds = n_fds;
	return r;
}

/* The kernel drops descriptors that a recv() cannot take. A signal ends a recv() that waits, and
 * another would wait for its whole time anew: with signals more frequent than that, for ever. So
 * that is -EAGAIN, and who waits looks at the clock. */
static int socket_receive_with(int fd, uint8_t *buffer, struct message *ret_message, int flags)
{
	CANCEL_OFF;
	ssize_t n;

	do {
		n = recv(fd, buffer, MESSAGE_BYTES_MAX, flags | MSG_TRUNC);
	} while (n < 0 && errno == ECONNRESET);
	return socket_decode(n, buffer, ret_message);
}

int socket_receive(int fd, uint8_t *buffer, struct message *ret_message)
{
	return socket_receive_with(fd, buffer, ret_message, MSG_DONTWAIT);
}

int socket_await(int fd, uint8_t *buffer, struct message *ret_message, uint64_t deadline_ns)
{
	bool waits = clock_now_ns() + SOCKET_WAIT_MS * UINT64_C(1000000) <= deadline_ns;
	int r = waits ? 0 : clock_poll(fd, POLLIN, deadline_ns);

	if (r < 0)
		return r;
	return socket_receive_with(fd, buffer, ret_message, waits ? 0 : MSG_DONTWAIT);
}
