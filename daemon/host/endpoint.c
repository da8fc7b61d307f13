/* daemon/host/endpoint.c - see endpoint.h. */
#include "daemon/host/endpoint.h"

#include "daemon/host/notify.h"
#include "paged/crash_point.h"
#include "paged/refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Clients that start together, and those that come while there is no server; the kernel caps it at
 * somaxconn. Lower: somebody is refused. */
#define BACKLOG 4096
/* A server whose supervisor was killed is killed, too; that takes moments. */
#define DEATH_WAIT_MS 5000
#define DEATH_STEP_MS 5

/* The path of a key: as it says, or `file` in the runtime directory. */
static int plan_path(const struct config_value *value, const struct instance *instance,
		     const char *file, struct endpoint *ret_endpoint, char *text, size_t text_bytes)
{
	const char *directory = instance->directory;
	size_t n;

	if (value->kind == CONFIG_IS_NUMBER) {
		directory = "";
		file = value->text;
	}
	ret_endpoint->fd = -1;
	ret_endpoint->passed = false;
	n = strlen(directory) + strlen(file);
	if (n >= sizeof(ret_endpoint->path))
		return refuse(-ENAMETOOLONG, text, text_bytes,
			      "the socket's path %s%s has %zu bytes; at most %zu would be right: "
			      "choose a shorter --runtime-dir or [socket] path",
			      directory, file, n, sizeof(ret_endpoint->path) - 1);
	memcpy(ret_endpoint->path, directory, strlen(directory));
	memcpy(ret_endpoint->path + strlen(directory), file, strlen(file) + 1);
	return 0;
}

int endpoint_plan(const struct config *config, const struct instance *instance,
		  struct endpoint *ret_endpoint, char *text, size_t text_bytes)
{
	ret_endpoint->type = SOCK_SEQPACKET;
	return plan_path(&config->value[CONFIG_socket_path], instance, "/paged.sock", ret_endpoint,
			 text, text_bytes);
}

int endpoint_plan_pressure(const struct config *config, const struct instance *instance,
			   struct endpoint *ret_endpoint, char *text, size_t text_bytes)
{
	const struct config_value *value = &config->value[CONFIG_socket_pressure];

	*ret_endpoint = (struct endpoint){.fd = -1, .type = SOCK_STREAM};
	if (value->kind == CONFIG_IS_NONE)
		return 0;
	return plan_path(value, instance, "/pressure.sock", ret_endpoint, text, text_bytes);
}

/* Connects without waiting. 0: somebody listens, *ret_pid says who. */
static int try_connect(const struct endpoint *endpoint, pid_t *ret_pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t n = sizeof(peer);
	int fd = socket(AF_UNIX, endpoint->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", endpoint->path);
	r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0)
		*ret_pid = peer.pid;
	(void)close(fd);
	return r;
}

/* Also if nobody has waited for it yet, or if that cannot be told at the moment: worth a wait. */
static bool is_dead(pid_t pid)
{
	struct pollfd death = {.fd = pid > 0 ? pidfd_open(pid, 0) : -1, .events = POLLIN};
	bool dead = death.fd < 0 ? pid > 0 : poll(&death, 1, 0) == 1;

	if (death.fd >= 0)
		(void)close(death.fd);
	return dead;
}

/* try_connect(), and again while it is a dead one's socket that answers. */
static int try_connect_patiently(const struct endpoint *endpoint, pid_t *ret_pid)
{
	int r = try_connect(endpoint, ret_pid);

	for (int waited = 0; r == 0 && waited < DEATH_WAIT_MS && is_dead(*ret_pid);
	     waited += DEATH_STEP_MS) {
		(void)poll(NULL, 0, DEATH_STEP_MS);
		r = try_connect(endpoint, ret_pid);
	}
	return r;
}

int endpoint_probe(const struct endpoint *endpoint, char *text, size_t text_bytes)
{
	struct stat st;
	pid_t pid = 0;
	int r;

	if (endpoint->passed)
		return 0;
	if (lstat(endpoint->path, &st) < 0)
		return errno == ENOENT ? 0
				       : refuse(-errno, text, text_bytes, "the socket %s: %s",
						endpoint->path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return refuse(
			-EEXIST, text, text_bytes,
			"%s exists and is not a socket; remove it or choose another [socket] path",
			endpoint->path);
	r = try_connect_patiently(endpoint, &pid);
	if (r == 0)
		return refuse(-EADDRINUSE, text, text_bytes, "already running (pid %d) on %s", pid,
			      endpoint->path);
	if (r == -EAGAIN) /* its backlog is full, so it lives */
		return refuse(-EADDRINUSE, text, text_bytes, "already running on %s",
			      endpoint->path);
	if (r == -EPROTOTYPE)
		return refuse(-EADDRINUSE, text, text_bytes,
			      "another program listens on %s; choose another [socket] path",
			      endpoint->path);
	if (r != -ECONNREFUSED && r != -ENOENT)
		return refuse(r, text, text_bytes, "the socket %s: %s", endpoint->path,
			      strerror(-r));
	return 0;
}

static int find_group(const char *name, gid_t *ret_gid)
{
	const struct group *group = getgrnam(name);
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	if (group)
		*ret_gid = group->gr_gid;
	else if (*name && *end == '\0' && n < UINT32_MAX)
		*ret_gid = (gid_t)n;
	else
		return -ENOENT;
	return 0;
}

void endpoint_check(const struct config *config, struct config_errors *errors)
{
	const struct config_value *group = &config->value[CONFIG_socket_group];
	gid_t gid;

	if (group->kind == CONFIG_IS_NUMBER && find_group(group->text, &gid))
		config_error(
			errors, group->file, group->line, "socket", "group",
			"there is no group \"%.64s\"; one of /etc/group, or its number, would be "
			"right",
			group->text);
}

static int set_access(const struct endpoint *endpoint, const struct config *config, char *text,
		      size_t text_bytes)
{
	const struct config_value *group = &config->value[CONFIG_socket_group];
	gid_t gid;

	if (group->kind == CONFIG_IS_NUMBER) {
		if (find_group(group->text, &gid))
			return refuse(-ENOENT, text, text_bytes,
				      "%s:%u: socket.group: there is no group \"%s\"", group->file,
				      group->line, group->text);
		if (chown(endpoint->path, (uid_t)-1, gid) < 0)
			return refuse(-errno, text, text_bytes,
				      "the socket cannot belong to group %s: %s", group->text,
				      strerror(errno));
	}
	if (chmod(endpoint->path, (mode_t)config->value[CONFIG_socket_mode].n) < 0)
		return refuse(-errno, text, text_bytes, "the socket's mode: %s", strerror(errno));
	return 0;
}

/* Binds with a mode that lets nobody in before set_access() has said who may. */
static int bind_closed(const struct endpoint *endpoint)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask = umask(0177);
	int r;

	memcpy(address.sun_path, endpoint->path, sizeof(address.sun_path));
	r = bind(endpoint->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	return r;
}

static int open_own(struct endpoint *endpoint, const struct config *config, char *text,
		    size_t text_bytes)
{
	int r = endpoint_probe(endpoint, text, text_bytes);

	if (r)
		return r;
	if (unlink(endpoint->path) < 0 && errno != ENOENT) /* stale, as the probe found */
		return refuse(-errno, text, text_bytes, "the stale socket %s cannot be removed: %s",
			      endpoint->path, strerror(errno));
	endpoint->fd = socket(AF_UNIX, endpoint->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (endpoint->fd < 0)
		return refuse(-errno, text, text_bytes, "a socket: %s", strerror(errno));
	r = bind_closed(endpoint);
	if (r)
		return refuse(r, text, text_bytes, "the socket %s cannot be made: %s",
			      endpoint->path, strerror(-r));
	CRASH_POINT(ENDPOINT_BOUND);
	r = set_access(endpoint, config, text, text_bytes);
	if (r == 0 && listen(endpoint->fd, BACKLOG) < 0)
		r = refuse(-errno, text, text_bytes, "the socket %s: %s", endpoint->path,
			   strerror(errno));
	if (r)
		(void)unlink(endpoint->path);
	return r;
}

static void take_stored(void *arg, const char *name, int fd)
{
	store_put(arg, name, fd);
}

int endpoint_take_passed(struct endpoint *endpoint, struct store *store, char *text,
			 size_t text_bytes)
{
	int r = notify_take_passed(take_stored, store, &endpoint->fd, text, text_bytes);

	if (r || endpoint->fd < 0)
		return r;
	endpoint->passed = true;
	endpoint->path[0] = '\0';
	return fcntl(endpoint->fd, F_SETFL, O_NONBLOCK) < 0
		       ? refuse(-errno, text, text_bytes, "the passed socket: %s", strerror(errno))
		       : 0;
}

int endpoint_open(struct endpoint *endpoint, const struct config *config, char *text,
		  size_t text_bytes)
{
	int r = endpoint->passed ? 0 : open_own(endpoint, config, text, text_bytes);

	if (r && endpoint->fd >= 0) {
		(void)close(endpoint->fd);
		endpoint->fd = -1;
	}
	return r;
}

void endpoint_sweep(const struct endpoint *endpoint)
{
	struct stat st;
	pid_t pid;

	if (endpoint->path[0] && lstat(endpoint->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    try_connect(endpoint, &pid) == -ECONNREFUSED)
		(void)unlink(endpoint->path);
}

void endpoint_unlink(struct endpoint *endpoint)
{
	if (!endpoint->passed && endpoint->path[0])
		(void)unlink(endpoint->path);
	endpoint->path[0] = '\0';
}

void endpoint_close(struct endpoint *endpoint)
{
	endpoint_unlink(endpoint);
	if (endpoint->fd >= 0)
		(void)close(endpoint->fd);
	endpoint->fd = -1;
}
