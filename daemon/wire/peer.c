/* daemon/wire/peer.c - see daemon/wire/peer.h. */
#include "daemon/wire/peer.h"

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

static ssize_t stat_read(uint32_t pid, char *text, size_t size_bytes)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size_bytes);
	close(fd);
	return n;
}

/* Clock ticks since boot at which the process started; 0 if that cannot be read. */
static uint64_t peer_start_time(uint32_t pid)
{
	char text[STAT_BYTES];
	const char *at;
	ssize_t n = stat_read(pid, text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int field = 3; at && field <= STAT_START_TIME; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

static int peer_read(int fd, struct session_peer *ret_peer)
{
	struct ucred credentials;
	socklen_t bytes = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
		return -errno;
	*ret_peer = (struct session_peer){
		.pid = (uint32_t)credentials.pid,
		.uid = credentials.uid,
		.gid = credentials.gid,
		.pid_start = peer_start_time((uint32_t)credentials.pid),
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
	return poll(&poll_pidfd, 1, 0) == 0 ? 0 : -ESRCH;
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
	r = peer_check(fd, &peer, pidfd);
	if (r < 0) {
		close(pidfd);
		return r;
	}
	*ret_peer = peer;
	*ret_pidfd = pidfd;
	return 0;
}

int peer_find(uint32_t pid, uint64_t pid_start, int *ret_pidfd)
{
	struct pollfd poll_pidfd = {.events = POLLIN};

	poll_pidfd.fd = pid ? pidfd_open((pid_t)pid, 0) : -1;
	if (poll_pidfd.fd < 0)
		return -ESRCH;
	if (peer_start_time(pid) != pid_start || poll(&poll_pidfd, 1, 0) != 0) {
		close(poll_pidfd.fd);
		return -ESRCH;
	}
	*ret_pidfd = poll_pidfd.fd;
	return 0;
}
