/* pagectl/connect.c - the connection of an observer to the daemon.
 *
 * $PAGED_SOCKET replaces the search rather than leading it: who names a socket means that daemon,
 * and `reclaim` on another one, because the named one happens to be down, would be a surprise. */
#include "pagectl/connect.h"

#include "proto/codec.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define CANDIDATES_MAX 2u

/* Lower: a busy daemon counts as down. Higher: who waits for a stopped one waits longer. */
#define HELLO_TIMEOUT_MS 5000u
/* Reclaim runs shrinkers, each with a deadline, and Check walks every block: lower cuts them off,
 * higher lets a daemon that hangs hold us longer. */
#define CALL_TIMEOUT_MS 120000u

/* Adds to a text that may be full already. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t text_bytes,
							 const char *format, ...)
{
	size_t used = strnlen(text, text_bytes);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, text_bytes - used, format, args);
	va_end(args);
}

static void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void set_timeout(int fd, uint32_t ms)
{
	struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

/* Returns a connected socket, or -errno; *ret_address says where it leads. */
static int try_connect(const char *dir, const char *file, uint32_t timeout_ms,
		       struct sockaddr_un *ret_address)
{
	__attribute__((cleanup(cleanup_close))) int fd = -1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int connected, length, r;

	length = snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", dir, file);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	set_timeout(fd, timeout_ms);
	do
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*ret_address = address;
	connected = fd;
	fd = -1;
	return connected;
}

/* Who may use the socket at path, if that can be seen. */
static void write_access(const char *path, char *text, size_t text_bytes)
{
	const struct group *group;
	struct stat st;

	if (stat(path, &st) < 0) {
		snprintf(text, text_bytes, "its directory is not for this user");
		return;
	}
	group = getgrgid(st.st_gid);
	snprintf(text, text_bytes, "the socket is not for this user (mode %04o, group ",
		 st.st_mode & 07777u);
	if (group)
		append(text, text_bytes, "%s", group->gr_name);
	else
		append(text, text_bytes, "%u", st.st_gid);
	append(text, text_bytes, "): join the group, or see [socket] mode");
}

/* What connect() failed with, in words. True if a daemon that starts would change that. */
static bool explain(int error, const char *path, char *text, size_t text_bytes)
{
	const char *words = strerror(error);
	struct stat st;

	if (error == EACCES) {
		write_access(path, text, text_bytes);
		return false;
	}
	if (error == ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		words = "is not a socket";
	else if (error == ECONNREFUSED)
		words = "nobody listens (the file is stale)";
	else if (error == ENAMETOOLONG)
		words = "the path is longer than the 107 bytes that a socket may have";
	else if (error == EPROTOTYPE)
		words = "a socket of another kind, not paged's";
	else if (error == EAGAIN)
		words = "the daemon accepts nobody (hung, or overrun)";
	snprintf(text, text_bytes, "%s", words);
	return true;
}

/* Tries the places in their order. Returns a connected socket, or -1 with all that was tried. */
static int find_daemon(const char *path, const char *runtime_dir, uint32_t timeout_ms,
		       struct sockaddr_un *ret_address, char *text, size_t text_bytes)
{
	const char *dir[CANDIDATES_MAX] = {NULL, NULL}, *file[CANDIDATES_MAX];
	const char *env = getenv("PAGED_SOCKET"), *xdg = getenv("XDG_RUNTIME_DIR");
	bool start_helps = true;
	uint32_t n = 0;

	if (!path && !runtime_dir && env && env[0])
		path = env;
	if (path || runtime_dir) {
		dir[n] = path ? "" : runtime_dir;
		file[n++] = path ? path : "/paged.sock";
	} else {
		if (xdg && xdg[0]) {
			dir[n] = xdg;
			file[n++] = "/paged/paged.sock";
		}
		dir[n] = "";
		file[n++] = "/run/paged/paged.sock";
	}
	snprintf(text, text_bytes, "no daemon answers. Tried:\n");
	for (uint32_t i = 0; i < n; i++) {
		int fd = try_connect(dir[i], file[i], timeout_ms, ret_address);
		char whole[PATH_MAX], why[160];

		if (fd >= 0)
			return fd;
		snprintf(whole, sizeof(whole), "%s%s", dir[i], file[i]);
		start_helps &= explain(-fd, whole, why, sizeof(why));
		append(text, text_bytes, "  %.300s: %s\n", whole, why);
	}
	if (start_helps)
		append(text, text_bytes,
		       "Start one with `paged` (your own or, as root, the system's), or name its "
		       "socket\nwith --socket PATH or $PAGED_SOCKET.");
	else
		text[strlen(text) - 1] = '\0'; /* the last newline: it is printed with one */
	return -1;
}

/* Takes at most one descriptor out of header; more, or another one, are closed. */
static int take_fd(struct msghdr *header)
{
	int taken = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (taken < 0)
				taken = fd;
			else
				close(fd);
		}
	}
	return taken;
}

static int send_message(int fd, const struct message *message, char *text, size_t text_bytes)
{
	uint8_t buffer[4096]; /* the requests of an observer are small */
	size_t bytes;
	ssize_t n;
	int r = codec_encode(message, buffer, sizeof(buffer), &bytes);

	if (r < 0) {
		snprintf(text, text_bytes, "the request does not fit into a message");
		return r;
	}
	do
		n = send(fd, buffer, bytes, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		r = -errno;
		if (r == -EPIPE || r == -ECONNRESET)
			return 0; /* closed, but what it said before is still to be received */
		snprintf(text, text_bytes, "cannot send to the daemon: %s", strerror(-r));
		return r;
	}
	return 0;
}

/* One message, or the end. ECONNRESET is said once: what came before the end comes after it. Who is
 * stopped and goes on waits again: of a call with a timeout the kernel only says EINTR. */
static ssize_t receive_bytes(int fd, struct msghdr *header)
{
	ssize_t n;

	do
		n = recvmsg(fd, header, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == ECONNRESET || errno == EINTR));
	return n < 0 ? -errno : n;
}

/* Receives the reply to request `id`. *ret_fd is the descriptor that came with it, or -1. */
static int receive_reply(int fd, uint64_t id, struct message_reply *ret_reply, int *ret_fd,
			 char *text, size_t text_bytes)
{
	__attribute__((cleanup(cleanup_close))) int got_fd = -1;
	uint8_t buffer[MESSAGE_BYTES_MAX];
	alignas(struct cmsghdr) char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct iovec iov = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct message message;
	const char *why = "truncated";
	ssize_t n = receive_bytes(fd, &header);
	int r = n < 0 ? (int)n : n == 0 ? -ECONNRESET : 0;

	if (r == -EAGAIN) {
		snprintf(text, text_bytes,
			 "the daemon accepted and does not answer: is it stopped?");
		return -ETIMEDOUT;
	}
	if (r < 0) {
		snprintf(text, text_bytes, "the daemon closed the connection: %s", strerror(-r));
		return r;
	}
	got_fd = take_fd(&header);
	r = header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : 0;
	if (r == 0)
		r = codec_decode(buffer, (size_t)n, &message, &why);
	/* A refusal of the connection as such has id 0: it was said before Hello was read. */
	if (r == 0 &&
	    (message.kind != MESSAGE_REPLY ||
	     (message.reply.id != id && (message.reply.id != 0 || message.reply.status >= 0)))) {
		why = "not the reply to the request";
		r = -EBADMSG;
	}
	if (r != 0) {
		snprintf(text, text_bytes, "the daemon sent what is no answer of paged: %s", why);
		return r;
	}
	*ret_reply = message.reply;
	*ret_fd = got_fd;
	got_fd = -1;
	return 0;
}

/* Says Hello on fd. Returns 0 with META's descriptor, or -errno with a text. */
static int greet(int fd, int *ret_meta_fd, char *text, size_t text_bytes)
{
	struct message hello = {.kind = MESSAGE_HELLO, .id = 1};
	struct message_reply reply;
	int meta_fd = -1;
	int r;

	hello.hello.version_min = PROTOCOL_VERSION_MIN;
	hello.hello.version_max = PROTOCOL_VERSION;
	hello.hello.flags = HELLO_OBSERVER;
	snprintf(hello.hello.name, sizeof(hello.hello.name), "pagectl");
	r = send_message(fd, &hello, text, text_bytes);
	if (r == 0)
		r = receive_reply(fd, 1, &reply, &meta_fd, text, text_bytes);
	if (r != 0)
		return r;
	if (reply.status == 0 && meta_fd >= 0) {
		*ret_meta_fd = meta_fd;
		return 0;
	}
	cleanup_close(&meta_fd);
	r = reply.status < 0 ? reply.status : -EPROTO;
	snprintf(text, text_bytes, "the daemon refuses: %s",
		 reply.text[0]      ? reply.text
		 : reply.status < 0 ? strerror(-r)
				    : "it sent no descriptor of its counters");
	return r;
}

int connection_open_within(struct connection *connection, const char *socket_path,
			   const char *runtime_dir, uint32_t timeout_ms, char *text,
			   size_t text_bytes)
{
	__attribute__((cleanup(cleanup_close))) int fd = -1;
	char why[MESSAGE_TEXT_BYTES + 64];
	struct sockaddr_un address;
	int meta_fd = -1;
	int r;

	fd = find_daemon(socket_path, runtime_dir, timeout_ms, &address, text, text_bytes);
	if (fd < 0)
		return CONNECT_UNREACHABLE;
	r = greet(fd, &meta_fd, why, sizeof(why));
	if (r < 0) {
		snprintf(text, text_bytes, "%s: %s", address.sun_path, why);
		return r == -ETIMEDOUT ? CONNECT_UNREACHABLE : CONNECT_REFUSED;
	}
	set_timeout(fd, CALL_TIMEOUT_MS);
	*connection =
		(struct connection){.fd = fd, .meta_fd = meta_fd, .next_id = 2, .address = address};
	fd = -1;
	return CONNECT_OK;
}

int connection_open(struct connection *connection, const char *socket_path, const char *runtime_dir,
		    char *text, size_t text_bytes)
{
	return connection_open_within(connection, socket_path, runtime_dir, HELLO_TIMEOUT_MS, text,
				      text_bytes);
}

void connection_close(struct connection *connection)
{
	cleanup_close(&connection->fd);
	cleanup_close(&connection->meta_fd);
	connection->fd = -1;
	connection->meta_fd = -1;
}

int connection_call(struct connection *connection, struct message *request,
		    struct message_reply *ret_reply, char *text, size_t text_bytes)
{
	int fd = -1;
	int r;

	request->id = connection->next_id++;
	r = send_message(connection->fd, request, text, text_bytes);
	if (r == 0)
		r = receive_reply(connection->fd, request->id, ret_reply, &fd, text, text_bytes);
	if (r == 0)
		cleanup_close(&fd); /* an observer's calls bring none */
	return r;
}
