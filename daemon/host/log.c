/* daemon/host/log.c - see log.h. */
#include "daemon/host/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(struct log *log, bool foreground)
{
	log->level = LOG_LEVEL_INFO;
	if (stderr_is_journal())
		log->style = LOG_STYLE_JOURNAL;
	else if (foreground || isatty(STDERR_FILENO))
		log->style = LOG_STYLE_TERMINAL;
	else
		log->style = LOG_STYLE_PLAIN;
}

static const char *level_word(enum session_log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	case LOG_LEVEL_NOTICE:
		return "notice: ";
	case LOG_LEVEL_INFO:
		break;
	}
	return "";
}

static int print_prefix(const struct log *log, enum session_log_level level, char *line)
{
	struct timespec now;
	struct tm tm;

	switch (log->style) {
	case LOG_STYLE_JOURNAL:
		return snprintf(line, LINE_BYTES, "<%d>", (int)level);
	case LOG_STYLE_PLAIN:
		break;
	case LOG_STYLE_TERMINAL:
		(void)clock_gettime(CLOCK_REALTIME, &now);
		(void)localtime_r(&now.tv_sec, &tm);
		return snprintf(line, LINE_BYTES, "%02d:%02d:%02d.%03ld %s", tm.tm_hour, tm.tm_min,
				tm.tm_sec, now.tv_nsec / 1000000, level_word(level));
	}
	return snprintf(line, LINE_BYTES, "paged: %s", level_word(level));
}

void log_print(const struct log *log, enum session_log_level level, const char *format, ...)
{
	char line[LINE_BYTES + 1];
	va_list arguments;
	size_t n;

	if (level > log->level)
		return;
	n = (size_t)print_prefix(log, level, line);
	va_start(arguments, format);
	(void)vsnprintf(line + n, LINE_BYTES - n, format, arguments);
	va_end(arguments);
	n = strlen(line);
	line[n++] = '\n';
	/* One write, so that lines of two threads do not mix; if it fails there is nobody to tell.
	 */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
