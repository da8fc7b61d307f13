/* tests/chaos/wire.c - see wire.h. */
#include "tests/chaos/wire.h"

#include "proto/codec.h"
#include "tests/support/received.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int wire_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

size_t wire_encode(const struct message *message, uint8_t *ret_bytes, size_t n_bytes)
{
	size_t n = 0;

	return codec_encode(message, ret_bytes, n_bytes, &n) == 0 ? n : 0;
}

bool wire_send(int fd, const struct message *message)
{
	uint8_t bytes[1024];
	size_t n = wire_encode(message, bytes, sizeof(bytes));

	return n > 0 && send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

int wire_receive(int fd, struct message *ret_message, int *fds, int ms)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct iovec part = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	const char *text;
	ssize_t n;

	for (uint32_t i = 0; fds && i < MESSAGE_FDS_MAX; i++)
		fds[i] = -1;
	if (poll(&pollfd, 1, ms) != 1)
		return -1;
	n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -1 : 0;
	received_fds(&header, fds);
	return codec_decode(buffer, (size_t)n, ret_message, &text) == 0 ? 1 : -1;
}
