/* daemon/host/machine_watch.c - $MEMORY_PRESSURE_WATCH, and the text of a PSI file. */
#include "daemon/host/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WRITE_MAX 256u /* a trigger has some 30 bytes; a longer one is no trigger */

/* --- base64 --------------------------------------------------------------------------------- */

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

ssize_t machine_decode(const char *text, unsigned char *buffer, size_t bytes)
{
	size_t length = strlen(text), n = 0;

	if (length % 4)
		return -EINVAL;
	for (; *text; text += 4) {
		int a = digit(text[0]), b = digit(text[1]), c = digit(text[2]), d = digit(text[3]);
		int pads = (text[2] == '=' && text[3] == '=') ? 2 : text[3] == '=';

		if (a < 0 || b < 0 || (pads < 2 && c < 0) || (pads < 1 && d < 0) ||
		    (pads && text[4]) || n + 3 - (size_t)pads > bytes)
			return -EINVAL;
		buffer[n++] = (unsigned char)(a << 2 | b >> 4);
		if (pads < 2)
			buffer[n++] = (unsigned char)(b << 4 | c >> 2);
		if (pads < 1)
			buffer[n++] = (unsigned char)(c << 6 | d);
	}
	return (ssize_t)n;
}

/* --- PSI ------------------------------------------------------------------------------------ */

/* The total of the line that begins with kind. */
static bool find_total(const char *text, const char *kind, uint64_t *ret_us)
{
	const char *line = strstr(text, kind);
	const char *total = line ? strstr(line, "total=") : NULL;
	char *end;

	if (!total || (line != text && line[-1] != '\n'))
		return false;
	*ret_us = strtoull(total + 6, &end, 10);
	return end > total + 6;
}

bool machine_parse_psi(const char *text, uint64_t *ret_some_us, uint64_t *ret_full_us)
{
	return find_total(text, "some ", ret_some_us) && find_total(text, "full ", ret_full_us);
}

/* --- the file, FIFO or socket ---------------------------------------------------------------- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r)
		(void)close(fd);
	return r ? r : fd;
}

static int open_watch(const char *path, bool writes, struct machine_watch *watch)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	watch->is_psi = S_ISREG(st.st_mode);
	if (S_ISSOCK(st.st_mode)) {
		watch->fd = connect_to(path);
		return watch->fd < 0 ? watch->fd : 0;
	}
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return -EBADF;
	/* A FIFO that we could write to ourselves is never at its end. */
	watch->fd = open(path, (writes || S_ISFIFO(st.st_mode) ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				       O_NONBLOCK);
	return watch->fd < 0 ? -errno : 0;
}

enum machine_watch_result machine_watch_open(const char *watch, const char *write_text,
					     struct machine_watch *ret_watch, char *text,
					     size_t text_bytes)
{
	struct machine_watch opened = {.fd = -1};
	unsigned char bytes[WRITE_MAX];
	ssize_t n = 0;
	int r = 0;

	if (!watch || !*watch)
		return WATCH_NONE;
	if (strcmp(watch, "/dev/null") == 0)
		return WATCH_OFF;
	if (watch[0] != '/')
		r = -EINVAL;
	if (r == 0 && write_text)
		n = machine_decode(write_text, bytes, sizeof(bytes));
	if (n < 0)
		r = (int)n;
	if (r == 0)
		r = open_watch(watch, n > 0, &opened);
	if (r == 0 && n > 0 && write(opened.fd, bytes, (size_t)n) != n)
		r = errno ? -errno : -EIO;
	if (r) {
		if (opened.fd >= 0)
			(void)close(opened.fd);
		(void)snprintf(text, text_bytes, "MEMORY_PRESSURE_WATCH=%.128s: %s", watch,
			       n < 0 ? "MEMORY_PRESSURE_WRITE is not base64 of a trigger"
				     : strerror(-r));
		return WATCH_FAILED;
	}
	*ret_watch = opened;
	return WATCH_OPEN;
}
