/* daemon/host/control.c - see control.h. */
#include "daemon/host/control.h"

#include "daemon/host/notify.h"
#include "daemon/host/store.h"
#include "paged/bits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two ALIVEs at most. Lower: idle wake-ups; higher: a server that hangs is found later. */
#define ALIVE_MS 1000u

const char *control_kind_name(enum control_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		CONTROL_KINDS(X)
#undef X
	};

	return kind < CONTROL_NR_KINDS ? names[kind] : "?";
}

void control_init(struct control *ret_control)
{
	uint64_t watchdog_ms = notify_watchdog_ms();

	*ret_control = (struct control){.fd = -1, .alive_ms = ALIVE_MS};
	if (watchdog_ms)
		ret_control->alive_ms = (uint32_t)bits_max(bits_min(ALIVE_MS, watchdog_ms / 2), 1);
	for (client_id id = 0; id <= SHM_MAX_CLIENTS; id++)
		ret_control->ctl[id] = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void control_close_ctls(struct control *control)
{
	for (client_id id = 0; id <= SHM_MAX_CLIENTS; id++)
		close_fd(&control->ctl[id]);
}

void control_close(struct control *control)
{
	close_fd(&control->fd);
	control_close_ctls(control);
}

/* --- the server's end ----------------------------------------------------------------------- */

static int send_message(const struct control *control, struct control_message *message, int fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec bytes = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr packet = {.msg_iov = &bytes, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *rights;

		packet.msg_control = space;
		packet.msg_controllen = sizeof(space);
		rights = CMSG_FIRSTHDR(&packet);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	do
		n = sendmsg(control->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void control_tell(const struct control *control, enum control_kind kind, const char *text)
{
	struct control_message message = {.kind = kind};

	(void)snprintf(message.text, sizeof(message.text), "%s", text ? text : "");
	if (control->fd >= 0)
		(void)send_message(control, &message, -1);
	else
		control_notify(kind, message.text);
}

int control_keep(const struct control *control, client_id client, int fd)
{
	struct control_message message = {.kind = fd >= 0 ? CONTROL_KEEP : CONTROL_DROP,
					  .client = client};

	if (control->fd >= 0)
		return send_message(control, &message, fd);
	store_drop_ctl(client);
	if (fd >= 0)
		store_keep_ctl(client, fd);
	return 0;
}

/* --- the supervisor's ----------------------------------------------------------------------- */

/* The one descriptor that came with it, -1 if there is none. What else came is closed. */
static int take_fd(struct msghdr *packet)
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(packet);
	int fds[2] = {-1, -1}; /* as many as the padding of one leaves room for */
	size_t n = 0;

	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
		n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(fds[0]);
	if (n)
		memcpy(fds, CMSG_DATA(rights), bits_min(n, 2) * sizeof(fds[0]));
	if (n > 1)
		close_fd(&fds[0]);
	close_fd(&fds[1]);
	return fds[0];
}

static bool is_good(const struct control_message *message, int fd)
{
	bool has_client = message->client >= 1 && message->client <= SHM_MAX_CLIENTS;

	switch ((enum control_kind)message->kind) {
	case CONTROL_KEEP:
		return has_client && fd >= 0;
	case CONTROL_DROP:
		return has_client && fd < 0;
	case CONTROL_READY:
	case CONTROL_RELOADING:
	case CONTROL_STOPPING:
	case CONTROL_ALIVE:
		return message->client == 0 && fd < 0;
	case CONTROL_NR_KINDS:
		break;
	}
	return false;
}

static void clean_text(struct control_message *message)
{
	message->text[CONTROL_TEXT_BYTES - 1] = '\0';
	for (char *c = message->text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

int control_receive(int fd, struct control_message *ret_message, int *ret_fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {0};
	struct control_message message = {0};
	struct iovec bytes = {.iov_base = &message, .iov_len = sizeof(message)};
	struct msghdr packet = {.msg_iov = &bytes,
				.msg_iovlen = 1,
				.msg_control = space,
				.msg_controllen = sizeof(space)};
	ssize_t n;
	int got;

	do
		n = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	got = take_fd(&packet);
	if (n == 0)
		return -EPIPE;
	if (n != (ssize_t)sizeof(message) || packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !is_good(&message, got)) {
		close_fd(&got);
		return -EBADMSG;
	}
	clean_text(&message);
	*ret_message = message;
	*ret_fd = got;
	return 1;
}

void control_notify(enum control_kind kind, const char *text)
{
	switch (kind) {
	case CONTROL_READY:
		notify_ready(text);
		break;
	case CONTROL_RELOADING:
		notify_reloading();
		break;
	case CONTROL_STOPPING:
		notify_stopping();
		break;
	case CONTROL_ALIVE:
		notify_alive(text && text[0] ? text : NULL);
		break;
	case CONTROL_KEEP:
	case CONTROL_DROP:
	case CONTROL_NR_KINDS:
		break;
	}
}
