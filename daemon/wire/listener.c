/* daemon/wire/listener.c - the listening socket.
 *
 * Errors of accept() are weather: a peer that went away again is skipped, and when descriptors or
 * memory run out accepting pauses, because the socket stays readable and the loop would spin. */
#include "daemon/wire/wire_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_WAKE 16u /* lower: a wake for each; higher: the others wait */
#define PAUSE_MS 100u        /* lower spins, higher lets people wait who could be served */

static void listener_on_poll(uv_poll_t *poll, int status, int events);

static void listener_resume(uv_timer_t *timer)
{
	struct wire *wire = timer->data;

	(void)uv_poll_start(&wire->listen_poll, UV_READABLE, listener_on_poll);
}

static void listener_pause(struct wire *wire)
{
	(void)uv_poll_stop(&wire->listen_poll);
	(void)uv_timer_start(&wire->accept_timer, listener_resume, PAUSE_MS, 0);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events)
{
	struct wire *wire = poll->data;

	(void)events;
	if (status < 0) { /* libuv stopped watching */
		listener_pause(wire);
		return;
	}
	for (uint32_t i = 0; i < ACCEPTS_PER_WAKE && !wire->is_closing; i++) {
		int fd = accept4(wire->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			conn_open(wire, fd);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR && errno != ECONNABORTED) {
			listener_pause(wire);
			return;
		}
	}
}

int listener_open(struct wire *wire)
{
	const int off = 0;
	int r;

	/* A socket from the service manager may have it set; then every message would come with
	 * control data. */
	(void)setsockopt(wire->options.listen_fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	r = uv_poll_init(wire->loop, &wire->listen_poll, wire->options.listen_fd);
	if (r < 0)
		return r;
	wire->listen_poll.data = wire;
	(void)uv_poll_start(&wire->listen_poll, UV_READABLE, listener_on_poll); /* cannot fail */
	return 0;
}

static void listener_on_closed(uv_handle_t *handle)
{
	wire_unref(handle->data);
}

void listener_close(struct wire *wire)
{
	uv_close((uv_handle_t *)&wire->listen_poll, listener_on_closed);
	close(wire->options.listen_fd);
}
