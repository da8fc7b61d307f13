/* tests/support/log_file.c - see log_file.h. */
#include "tests/support/log_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BYTES (256u << 10)

char *log_file_read(const char *path)
{
	char *text = calloc(1, LOG_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!text)
		abort();
	if (fd >= 0) {
		if (read(fd, text, LOG_BYTES - 1) < 0)
			text[0] = '\0';
		(void)close(fd);
	}
	return text;
}

bool log_file_has(const char *path, const char *text)
{
	char *log = log_file_read(path);
	bool found = strstr(log, text);

	free(log);
	return found;
}
