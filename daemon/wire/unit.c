/* daemon/wire/unit.c - see daemon/wire/unit.h. */
#include "daemon/wire/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_BYTES 4096 /* 12 hierarchies of v1; what lies behind is not seen */

static bool ends_with(const char *text, size_t bytes, const char *end)
{
	size_t n = strlen(end);

	return bytes > n && memcmp(text + bytes - n, end, n) == 0;
}

/* The path of a line of systemd's hierarchy: "0::PATH", or "N:name=systemd:PATH" of v1. NULL: it is
 * of another one. */
static const char *path_of(const char *line)
{
	static const char *const kinds[] = {":name=systemd:", "::"};
	const char *colon = strchr(line, ':');

	for (size_t i = 0; colon && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(colon, kinds[i], strlen(kinds[i])) == 0)
			return colon + strlen(kinds[i]);
	return NULL;
}

/* The first part of the path that is no slice, if it is a unit that fits. */
static bool find_unit(const char *path, char ret_unit[SESSION_UNIT_BYTES])
{
	while (*path == '/') {
		const char *part = path + 1;
		size_t n = strcspn(part, "/\n");

		path = part + n;
		if (ends_with(part, n, ".slice"))
			continue;
		if (n >= SESSION_UNIT_BYTES ||
		    (!ends_with(part, n, ".service") && !ends_with(part, n, ".scope")))
			return false;
		memcpy(ret_unit, part, n);
		return true;
	}
	return false;
}

void unit_parse(const char *text, char ret_unit[SESSION_UNIT_BYTES])
{
	memset(ret_unit, 0, SESSION_UNIT_BYTES);
	for (const char *line = text; line && *line;) {
		const char *path = path_of(line);

		if (path && find_unit(path, ret_unit))
			return;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

static int read_cgroups(uint32_t pid, char *text, size_t bytes)
{
	char path[32];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, bytes) < 0 ? -errno : 0;
	while (n == -EINTR);
	(void)close(fd);
	return (int)n;
}

int unit_of(uint32_t pid, char ret_unit[SESSION_UNIT_BYTES])
{
	char text[CGROUP_BYTES] = "";
	int r = read_cgroups(pid, text, sizeof(text) - 1);

	unit_parse(text, ret_unit);
	return r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM ? 0 : r;
}
