/* tests/crash/crash_point.c - how the test's daemon dies: at the point that a file names, once.
 *
 * PAGED_CRASH_AT is the file's path. It may come at any time. Who reaches the point that it names
 * removes it and is killed, so that it is gone exactly if the point was hit, and the next process
 * passes. */
#include "paged/crash_point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define X(name, what) #name,
	CRASH_POINTS(X)
#undef X
};

void crash_point_reach(enum crash_point point)
{
	const char *path = getenv("PAGED_CRASH_AT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[64] = "";
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n > 0 && strcmp(text, names[point]) == 0 && unlink(path) == 0)
		(void)kill(getpid(), SIGKILL);
}
