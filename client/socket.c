/* client/socket.c - one message, one datagram of a SOCK_SEQPACKET socket.
 *
 * The sockets are blocking as such and every call on them says MSG_DONTWAIT; waiting is
 * clock_poll()'s. But for socket_await(): where there is time a recvmsg() waits for so long itself,
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

/* Longest recvmsg() that waits; a longer wait is several. Lower: an idle wait wakes up more often.
 * Higher: waits that end before, which cost a poll() more, are more. */
#define SOCKET_WAIT_MS 500u

/* So that socket_await() may leave the waiting to recvmsg(). */
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

/* With the control message of control_bytes, 0 for none. */
static int socket_send_with(int fd, const struct message *message, void *control,
			    size_t control_bytes)
{
	CANCEL_OFF;
	uint8_t buffer[CLIENT_REQUEST_BYTES];
	struct iovec part = {.iov_base = buffer};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = control_bytes};
	int r;

	r = codec_encode(message, buffer, sizeof(buffer), &part.iov_len);
	if (r < 0)
		return r;
	do {
		r = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r == -EPIPE || r == -ECONNRESET ? -ENOTCONN : r;
}

int socket_send(int fd, const struct message *message)
{
	return socket_send_with(fd, message, NULL, 0);
}

int socket_send_fd(int fd, const struct message *message, int passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(passed_fd));
	memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(passed_fd));
	return socket_send_with(fd, message, &control, sizeof(control));
}

/* Takes the descriptors out of a received header; closes those that nobody wants. */
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
			if (fds && n < MESSAGE_FDS_MAX)
				fds[n++] = fd;
			else
				(void)close(fd);
		}
	}
	return n;
}

static int socket_receive_with(int fd, uint8_t *buffer, struct message *ret_message, int *fds,
			       uint32_t *ret_n_fds, int flags)
{
	CANCEL_OFF;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct iovec part = {.iov_base = buffer, .iov_len = MESSAGE_BYTES_MAX};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	const char *text = "";
	uint32_t n_fds;
	ssize_t n;
	int r;

	/* ECONNRESET is said once: what the daemon had said before it closed comes after it. */
	do {
		n = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -ENOTCONN;
	if (n == 0)
		return -ENOTCONN;
	n_fds = socket_take_fds(&header, fds);
	r = header.msg_flags & MSG_TRUNC ? -EBADMSG
					 : codec_decode(buffer, (size_t)n, ret_message, &text);
	for (uint32_t i = 0; r < 0 && i < n_fds; i++)
		(void)close(fds[i]);
	if (r < 0)
		return -EBADMSG;
	if (ret_n_fds)
		*ret_n_fds = n_fds;
	return 0;
}

int socket_receive(int fd, uint8_t *buffer, struct message *ret_message, int *fds,
		   uint32_t *ret_n_fds)
{
	return socket_receive_with(fd, buffer, ret_message, fds, ret_n_fds, MSG_DONTWAIT);
}

int socket_await(int fd, uint8_t *buffer, struct message *ret_message, uint64_t deadline_ns)
{
	bool waits = clock_now_ns() + SOCKET_WAIT_MS * UINT64_C(1000000) <= deadline_ns;
	int r = waits ? 0 : clock_poll(fd, POLLIN, deadline_ns);

	if (r < 0)
		return r;
	return socket_receive_with(fd, buffer, ret_message, NULL, NULL, waits ? 0 : MSG_DONTWAIT);
}
