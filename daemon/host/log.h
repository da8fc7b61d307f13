/* daemon/host/log.h - one line on stderr for each thing that an administrator would want to know.
 *
 * In a terminal, or with --foreground: "12:30:01 warning: ...". Under the journal (JOURNAL_STREAM
 * names our stderr): "<4>...", which it turns into a priority. Otherwise the words without a time.
 * Only the shell logs, and each failure once, where it stops. */
#ifndef DAEMON_HOST_LOG_H
#define DAEMON_HOST_LOG_H
#include "daemon/session/session.h"

#include <stdbool.h>

enum log_style { LOG_STYLE_TERMINAL, LOG_STYLE_PLAIN, LOG_STYLE_JOURNAL };

struct log {
	enum log_style style;
	enum session_log_level level; /* what is less important is dropped */
};

void log_init(struct log *log, bool foreground);

/* Any thread. The line is written at once and cut at 1 KiB; a full pipe loses it. */
__attribute__((format(printf, 3, 4))) void
log_print(const struct log *log, enum session_log_level level, const char *format, ...);

#endif
