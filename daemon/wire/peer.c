/* daemon/wire/peer.c - see daemon/wire/peer.h. */
#include "daemon/wire/peer.h"

#include "daemon/wire/groups.h"
#include "daemon/wire/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; the headers of Debian 12 are older than many kernels */
#endif

/* Field 22 of /proc/PID/stat counts from 1; the name, field 2, ends with the last ')'. */
#define STAT_START_TIME 22
#define STAT_BYTES 1024

static int stat_read(uint32_t pid, char *text, size_t size_bytes)
{
	char path[32];
	int fd;
	int n;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, size_bytes) < 0 ? -errno : 0;
	while (n == -EINTR);
	close(fd);
	return n;
}

/* Clock ticks since boot at which the process started; 0 where /proc does not show it. Any other
 * failure is none of the process: a client recorded with a wrong time would be taken for dead. */
static int peer_start_time(uint32_t pid, uint64_t *ret_ticks)
{
	char text[STAT_BYTES] = "";
	const char *at;
	int r = stat_read(pid, text, sizeof(text) - 1);

	if (r < 0 && r != -ENOENT && r != -ESRCH && r != -EACCES && r != -EPERM)
		return r;
	at = strrchr(text, ')');
	for (int field = 3; at && field <= STAT_START_TIME; field++)
		at = strchr(at + 1, ' ');
	*ret_ticks = at ? strtoull(at, NULL, 10) : 0;
	return 0;
}

static int peer_read(int fd, struct session_peer *ret_peer)
{
	struct ucred credentials;
	socklen_t bytes = sizeof(credentials);
	uint64_t start = 0;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
		return -errno;
	r = peer_start_time((uint32_t)credentials.pid, &start);
	if (r < 0)
		return r;
	*ret_peer = (struct session_peer){
		.pid = (uint32_t)credentials.pid,
		.uid = credentials.uid,
		.gid = credentials.gid,
		.pid_start = start,
	};
	return 0;
}

static int peer_pidfd(int fd, uint32_t pid, int *ret_pidfd)
{
	int pidfd = -1;
	socklen_t bytes = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) < 0) {
		if (errno != ENOPROTOOPT)
			return -errno;
		pidfd = pidfd_open((pid_t)pid, 0); /* close-on-exec by itself */
		if (pidfd < 0)
			return -errno;
	}
	*ret_pidfd = pidfd;
	return 0;
}

/* As poll() without waiting; -errno. */
static int poll_now(struct pollfd *pollfd)
{
	int n;

	do
		n = poll(pollfd, 1, 0) < 0 ? -errno : pollfd->revents != 0;
	while (n == -EINTR);
	return n;
}

/* The second reading: is it still the process of the first one, and alive? */
static int peer_check(int fd, const struct session_peer *peer, int pidfd)
{
	struct pollfd poll_pidfd = {.fd = pidfd, .events = POLLIN};
	struct session_peer again = {0};
	int r;

	r = peer_read(fd, &again);
	if (r < 0)
		return r;
	if (again.pid != peer->pid || again.uid != peer->uid || again.gid != peer->gid ||
	    again.pid_start != peer->pid_start)
		return -ESRCH;
	return poll_now(&poll_pidfd) == 0 ? 0 : -ESRCH;
}

int peer_open(int fd, struct session_peer *ret_peer, int *ret_pidfd)
{
	struct session_peer peer = {0};
	int pidfd = -1;
	int r;

	r = peer_read(fd, &peer);
	if (r < 0)
		return r;
	r = peer_pidfd(fd, peer.pid, &pidfd);
	if (r < 0)
		return r;
	r = groups_of_peer(fd, &peer.groups);
	if (r == 0)
		r = unit_of(peer.pid, peer.unit);
	if (r == 0)
		r = peer_check(fd, &peer, pidfd);
	if (r < 0) {
		close(pidfd);
		return r;
	}
	*ret_peer = peer;
	*ret_pidfd = pidfd;
	return 0;
}

/* Is what lives behind pidfd the process that started at pid_start? 0; -ESRCH: no; -errno. */
static int peer_is_still(uint32_t pid, uint64_t pid_start, int pidfd)
{
	struct pollfd poll_pidfd = {.fd = pidfd, .events = POLLIN};
	uint64_t start = 0;
	int r = peer_start_time(pid, &start);

	if (r < 0)
		return r;
	r = poll_now(&poll_pidfd);
	if (r < 0)
		return r;
	if (r > 0 || (start != pid_start && start != 0))
		return -ESRCH;
	return start == pid_start ? 0 : -EACCES; /* /proc showed it once: it lives, or another */
}

int peer_find(uint32_t pid, uint64_t pid_start, int *ret_pidfd)
{
	int pidfd = pid ? pidfd_open((pid_t)pid, 0) : -1;
	int r;

	if (pidfd < 0) /* the last two: the number is a thread's now */
		return pid == 0 || errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
	r = peer_is_still(pid, pid_start, pidfd);
	if (r < 0) {
		close(pidfd);
		return r;
	}
	*ret_pidfd = pidfd;
	return 0;
}
