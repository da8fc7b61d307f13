/* daemon/host/log.h - one line on stderr for each thing that an administrator would want to know.
 *
 * In a terminal, or with --foreground: "12:30:01 warning: ...". Under the journal (JOURNAL_STREAM
 * names our stderr): "<4>...", which it turns into a priority. Otherwise the words without a time.
 * Only the shell logs, and each failure once, where it stops.
 *
 * What somebody may want to be woken by is an event: a kind of daemon/session/log_ids.def, whose
 * entry in the journal has its MESSAGE_ID, PAGED_INSTANCE and fields of its own, and which
 * packaging/paged.catalog explains (`journalctl -x`). Events are bounded by kind: what is beyond
 * the burst of 30 seconds is counted, and told with the next one of its kind. */
#ifndef DAEMON_HOST_LOG_H
#define DAEMON_HOST_LOG_H
#include "daemon/session/session.h"

#include <pthread.h>
#include <stdbool.h>

#define LOG_MAX_FIELDS 8u
#define LOG_FIELD_BYTES 192u
#define LOG_INTERVAL_NS UINT64_C(30000000000)

enum log_style { LOG_STYLE_TERMINAL, LOG_STYLE_PLAIN, LOG_STYLE_JOURNAL };

/* How many of a kind were logged in this interval, and how many more there were. */
struct log_limit {
	uint64_t since_ns;
	uint32_t n, suppressed;
};

struct log_limits {
	pthread_mutex_t lock;
	struct log_limit kind[LOG_NR_IDS];
};

struct log {
	enum log_style style;
	enum session_log_level level;  /* what is less important is dropped */
	char instance[SHM_NAME_BYTES]; /* "" until it is known */
	struct log_limits *limits;     /* NULL: none */
};

struct log_fields {
	uint32_t n;
	char text[LOG_MAX_FIELDS][LOG_FIELD_BYTES]; /* "NAME=value" */
};

void log_init(struct log *log, struct log_limits *limits, bool foreground);

/* Any thread. The line is written at once and cut at 1 KiB; a full pipe loses it. */
__attribute__((format(printf, 3, 4))) void
log_print(const struct log *log, enum session_log_level level, const char *format, ...);

/* The same of an event; fields may be NULL. */
__attribute__((format(printf, 5, 6))) void
log_event(const struct log *log, enum session_log_level level, enum session_log_id id,
	  const struct log_fields *fields, const char *format, ...);

/* Adds "NAME=value", cut to LOG_FIELD_BYTES; what is one too many is left out. */
__attribute__((format(printf, 2, 3))) void log_field(struct log_fields *fields, const char *format,
						     ...);

/* May one more be logged at now_ns? Then *ret_suppressed is how many were not since the last. Pure.
 */
bool log_limit_take(struct log_limit *limit, uint32_t burst, uint64_t now_ns,
		    uint32_t *ret_suppressed);

/* MESSAGE_ID as 32 hex digits. */
const char *log_id_text(enum session_log_id id);

#endif
