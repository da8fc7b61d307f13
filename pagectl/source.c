/* pagectl/source.c - see source.h. */
#include "pagectl/source.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

/* Between two tries. Lower: scrapes of many askers knock all the time; higher: a new server is
 * seen later. */
#define RETRY_NS UINT64_C(1000000000)

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void source_init(struct source *source, const struct pagectl *ctl)
{
	*source = (struct source){.socket = ctl->socket, .runtime_dir = ctl->runtime_dir};
}

static void disconnect(struct source *source)
{
	if (!source->is_connected)
		return;
	shm_view_detach(&source->view);
	connection_close(&source->connection);
	source->is_connected = false;
}

void source_done(struct source *source)
{
	disconnect(source);
}

/* The daemon says nothing unasked: what can be read is the end. */
static bool has_ended(const struct source *source)
{
	char byte;
	ssize_t n;

	do
		n = recv(source->connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n >= 0 || errno != EAGAIN;
}

static void connect_anew(struct source *source)
{
	char text[CONNECT_TEXT_BYTES];
	uint64_t now = now_ns();

	if (source->tried_ns && now - source->tried_ns < RETRY_NS)
		return;
	source->tried_ns = now;
	if (connection_open(&source->connection, source->socket, source->runtime_dir, text,
			    sizeof(text)))
		return;
	if (shm_view_attach(&source->view, source->connection.meta_fd, text, sizeof(text))) {
		connection_close(&source->connection);
		return;
	}
	source->is_connected = true;
	source->nr_connects++;
	source->tried_ns = 0;
}

const struct shm_view *source_look(struct source *source)
{
	if (source->is_connected && has_ended(source))
		disconnect(source);
	if (!source->is_connected)
		connect_anew(source);
	return source->is_connected ? &source->view : NULL;
}
