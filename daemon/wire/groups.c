/* daemon/wire/groups.c - see daemon/wire/groups.h. */
#include "daemon/wire/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13 */
#endif

#define STATUS_BYTES 16384 /* the line of the groups is the 9th; one of 1000 groups has 11000 */
#define GROUPS_LINE "\nGroups:"

static void add(struct session_groups *groups, uint32_t gid)
{
	if (groups->n < SESSION_MAX_GROUPS)
		groups->gid[groups->n++] = gid;
}

/* Into bytes that it may have to be asked twice for: there may be 65536. */
static int read_peer(int fd, gid_t **ret_gids, uint32_t *ret_n)
{
	socklen_t bytes = 0;
	gid_t *gids;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) < 0 && errno != ERANGE)
		return errno == ENODATA ? 0 : -errno; /* ENODATA: the peer has no credentials */
	if (bytes == 0)
		return 0;
	gids = malloc(bytes);
	if (!gids)
		return -ENOMEM;
	r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &bytes) < 0 ? -errno : 0;
	if (r < 0) {
		free(gids);
		return r;
	}
	*ret_gids = gids;
	*ret_n = (uint32_t)(bytes / sizeof(*gids));
	return 0;
}

int groups_of_peer(int fd, struct session_groups *ret_groups)
{
	gid_t *gids = NULL;
	uint32_t n = 0;
	int r = read_peer(fd, &gids, &n);

	*ret_groups = (struct session_groups){.n = 0};
	for (uint32_t i = 0; i < n; i++)
		add(ret_groups, gids[i]);
	free(gids);
	return r;
}

void groups_parse(const char *status, struct session_groups *ret_groups)
{
	const char *at = strstr(status, GROUPS_LINE);

	*ret_groups = (struct session_groups){.n = 0};
	for (at = at ? at + strlen(GROUPS_LINE) : ""; *at && *at != '\n';) {
		char *end;
		unsigned long gid = strtoul(at, &end, 10);

		if (end == at)
			return;
		/* A number that the end of the buffer cut is none. */
		if (*end == ' ' || *end == '\n')
			add(ret_groups, (uint32_t)gid);
		at = end + strspn(end, " \t");
	}
}

int groups_of(uint32_t pid, struct session_groups *ret_groups)
{
	char text[STATUS_BYTES] = "", path[32];
	int fd, r;

	*ret_groups = (struct session_groups){.n = 0};
	(void)snprintf(path, sizeof(path), "/proc/%u/status", pid);
	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES || errno == EPERM ? 0 : -errno;
	do
		r = read(fd, text, sizeof(text) - 1) < 0 ? -errno : 0;
	while (r == -EINTR);
	(void)close(fd);
	groups_parse(text, ret_groups);
	return r == -ESRCH ? 0 : r;
}
