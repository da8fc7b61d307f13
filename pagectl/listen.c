/* pagectl/listen.c - see listen.h. */
#include "pagectl/listen.h"

#include "paged/refuse.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define BACKLOG                                                                                    \
	16 /* lower: a burst of scrapes is refused; higher: strangers wait in the kernel           \
	    */

static void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t bytes)
{
	if (bind(fd, address, bytes) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

/* --- unix:PATH -------------------------------------------------------------------------------- */

/* A socket that nobody listens at any more; *address is its path. */
static bool is_stale(const struct sockaddr_un *address)
{
	__attribute__((cleanup(cleanup_close))) int fd = -1;
	struct stat st;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

static int open_unix(const char *path, int *ret_fd, char *text, size_t text_bytes)
{
	__attribute__((cleanup(cleanup_close))) int fd = -1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
		return refuse(-EINVAL, text, text_bytes,
			      "'%s' is no path of a socket; an absolute one of at most %zu bytes "
			      "would be right",
			      path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(-errno, text, text_bytes, "no socket: %s", strerror(errno));
	if (is_stale(&address))
		(void)unlink(path);
	r = bind_and_listen(fd, (const struct sockaddr *)&address, sizeof(address));
	if (r)
		return refuse(r, text, text_bytes, "cannot listen at %s: %s", path, strerror(-r));
	(void)snprintf(text, text_bytes, UNIX_PREFIX "%s", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* --- ADDR:PORT -------------------------------------------------------------------------------- */

/* "[::1]:80" and "127.0.0.1:80" into their parts. */
static bool split(const char *name, char *host, size_t host_bytes, const char **ret_port)
{
	const char *colon = strrchr(name, ':');
	size_t n = colon ? (size_t)(colon - name) : 0;

	if (n && name[0] == '[' && name[n - 1] == ']') {
		name++;
		n -= 2;
	}
	if (n == 0 || n >= host_bytes || colon[1] == '\0' ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
	    strtoul(colon + 1, NULL, 10) > 65535)
		return false;
	memcpy(host, name, n);
	host[n] = '\0';
	*ret_port = colon + 1;
	return true;
}

/* Where it listens now that the kernel has chosen a port. */
static void describe(int fd, char *text, size_t text_bytes)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	char host[64], port[8];
	bool is_v6;

	if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0 ||
	    getnameinfo((struct sockaddr *)&address, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	is_v6 = address.ss_family == AF_INET6;
	(void)snprintf(text, text_bytes, "http://%s%s%s:%s", is_v6 ? "[" : "", host,
		       is_v6 ? "]" : "", port);
}

static int open_address(const struct addrinfo *info, int *ret_fd)
{
	__attribute__((cleanup(cleanup_close))) int fd =
		socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;
	int r;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	r = bind_and_listen(fd, info->ai_addr, info->ai_addrlen);
	if (r)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int open_tcp(const char *name, int *ret_fd, char *text, size_t text_bytes)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found;
	const char *port;
	char host[128];
	int r;

	if (!split(name, host, sizeof(host), &port))
		return refuse(-EINVAL, text, text_bytes,
			      "'%s' is no address; 127.0.0.1:9000, [::1]:9000 or unix:/PATH would "
			      "be right",
			      name);
	r = getaddrinfo(host, port, &hints, &found);
	if (r)
		return refuse(-EINVAL, text, text_bytes, "%s: %s", host, gai_strerror(r));
	r = open_address(found, ret_fd); /* the first; a name with several is an odd choice */
	freeaddrinfo(found);
	if (r)
		return refuse(r, text, text_bytes, "cannot listen at %s: %s", name, strerror(-r));
	describe(*ret_fd, text, text_bytes);
	return 0;
}

int listen_open(const char *name, int *ret_fd, char *text, size_t text_bytes)
{
	if (strncmp(name, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return open_unix(name + strlen(UNIX_PREFIX), ret_fd, text, text_bytes);
	return open_tcp(name, ret_fd, text, text_bytes);
}

void listen_unlink(const char *name)
{
	if (strncmp(name, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		(void)unlink(name + strlen(UNIX_PREFIX));
}
