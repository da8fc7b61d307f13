/* pagectl/follow.c - see follow.h. */
#include "pagectl/follow.h"

#include <poll.h>

/* Lower: a server that is busy counts as away. Higher: a key is answered that much later while the
 * daemon is stopped. */
#define AGAIN_TIMEOUT_MS 300u

static bool has_hung_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0;
}

bool follow_daemon_stands(const struct pagectl *ctl)
{
	return ctl->connection.fd < 0 || !has_hung_up(ctl->connection.fd);
}

bool follow_daemon(struct pagectl *ctl)
{
	struct connection connection;
	struct shm_view view;
	char text[CONNECT_TEXT_BYTES];

	if (ctl->connection.fd >= 0 && !has_hung_up(ctl->connection.fd))
		return true;
	connection_close(&ctl->connection);
	if (connection_open_within(&connection, ctl->socket, ctl->runtime_dir, AGAIN_TIMEOUT_MS,
				   text, sizeof(text)) != CONNECT_OK)
		return false;
	if (shm_view_attach(&view, connection.meta_fd, text, sizeof(text)) < 0) {
		connection_close(&connection);
		return false;
	}
	shm_view_detach(&ctl->view);
	ctl->view = view;
	ctl->connection = connection;
	return true;
}

bool follow_wait(const struct pagectl *ctl, int fd, uint32_t timeout_ms)
{
	/* poll() leaves out descriptors below 0 */
	struct pollfd fds[2] = {{.fd = ctl->connection.fd, .events = POLLRDHUP},
				{.fd = fd, .events = POLLIN}};

	return poll(fds, 2, (int)timeout_ms) > 0 && fds[1].revents;
}
