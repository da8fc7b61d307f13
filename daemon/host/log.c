/* daemon/host/log.c - see log.h.
 *
 * An event goes to the journal by its own protocol (sd_journal_sendv), for a line on stderr cannot
 * carry fields; if that fails, as in a container without a journal socket, it is a line. */
#include "daemon/host/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef PAGED_SYSTEMD
#include <systemd/sd-journal.h>

static int send_to_journal(const struct iovec *fields, int n)
{
	return sd_journal_sendv(fields, n);
}
#else
static int send_to_journal(const struct iovec *fields, int n)
{
	(void)fields;
	return -n;
}
#endif

#define LINE_BYTES 1024
#define OWN_FIELDS 5 /* of every event: message, priority, id, identifier, instance */

static const struct {
	const char *id;
	uint32_t burst;
} kinds[LOG_NR_IDS] = {
#define X(name, id, burst, fields) [LOG_ID_##name] = {id, burst},
#include "daemon/session/log_ids.def"
#undef X
};

const char *log_id_text(enum session_log_id id)
{
	return kinds[id].id;
}

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(struct log *log, struct log_limits *limits, bool foreground)
{
	*log = (struct log){.level = LOG_LEVEL_INFO, .limits = limits};
	if (limits) {
		memset(limits, 0, sizeof(*limits));
		(void)pthread_mutex_init(&limits->lock, NULL);
	}
	if (stderr_is_journal())
		log->style = LOG_STYLE_JOURNAL;
	else if (foreground || isatty(STDERR_FILENO))
		log->style = LOG_STYLE_TERMINAL;
	else
		log->style = LOG_STYLE_PLAIN;
}

/* --- lines ------------------------------------------------------------------------------------ */

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

static void write_line(const struct log *log, enum session_log_level level, const char *words)
{
	char line[LINE_BYTES + 1];
	size_t n = (size_t)print_prefix(log, level, line);

	(void)snprintf(line + n, LINE_BYTES - n, "%s", words);
	n = strlen(line);
	line[n++] = '\n';
	/* One write, so that lines of two threads do not mix; if it fails there is nobody to tell.
	 */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void log_print(const struct log *log, enum session_log_level level, const char *format, ...)
{
	char words[LINE_BYTES];
	va_list arguments;

	if (level > log->level)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	write_line(log, level, words);
}

/* --- events ----------------------------------------------------------------------------------- */

bool log_limit_take(struct log_limit *limit, uint32_t burst, uint64_t now_ns,
		    uint32_t *ret_suppressed)
{
	if (limit->n == 0 || now_ns - limit->since_ns >= LOG_INTERVAL_NS) {
		limit->since_ns = now_ns;
		limit->n = 0;
	}
	if (limit->n >= burst) {
		limit->suppressed++;
		return false;
	}
	limit->n++;
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}

static bool take(const struct log *log, enum session_log_id id, uint32_t *ret_suppressed)
{
	struct log_limits *limits = log->limits;
	struct timespec now;
	bool ok;

	*ret_suppressed = 0;
	if (!limits)
		return true;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)pthread_mutex_lock(&limits->lock);
	ok = log_limit_take(&limits->kind[id], kinds[id].burst,
			    (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec,
			    ret_suppressed);
	(void)pthread_mutex_unlock(&limits->lock);
	return ok;
}

void log_field(struct log_fields *fields, const char *format, ...)
{
	va_list arguments;

	if (fields->n == LOG_MAX_FIELDS)
		return;
	va_start(arguments, format);
	(void)vsnprintf(fields->text[fields->n++], LOG_FIELD_BYTES, format, arguments);
	va_end(arguments);
}

/* Returns as sd_journal_sendv(). */
static int send_event(const struct log *log, enum session_log_level level, enum session_log_id id,
		      const struct log_fields *fields, const char *words)
{
	struct iovec iov[OWN_FIELDS + LOG_MAX_FIELDS];
	char own[OWN_FIELDS][LINE_BYTES + 16];
	int n = 0;

	(void)snprintf(own[n++], sizeof(own[0]), "MESSAGE=%s", words);
	(void)snprintf(own[n++], sizeof(own[0]), "PRIORITY=%d", (int)level);
	(void)snprintf(own[n++], sizeof(own[0]), "MESSAGE_ID=%s", log_id_text(id));
	(void)snprintf(own[n++], sizeof(own[0]), "SYSLOG_IDENTIFIER=paged");
	if (log->instance[0])
		(void)snprintf(own[n++], sizeof(own[0]), "PAGED_INSTANCE=%s", log->instance);
	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){own[i], strlen(own[i])};
	for (uint32_t i = 0; fields && i < fields->n; i++) {
		union {
			const char *from;
			void *to;
		} text = {.from = fields->text[i]}; /* an iovec takes no const */

		iov[n++] = (struct iovec){text.to, strlen(text.from)};
	}
	return send_to_journal(iov, n);
}

void log_event(const struct log *log, enum session_log_level level, enum session_log_id id,
	       const struct log_fields *fields, const char *format, ...)
{
	char words[LINE_BYTES];
	va_list arguments;
	uint32_t suppressed;
	size_t n;

	if (level > log->level || !take(log, id, &suppressed))
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	n = strlen(words);
	if (suppressed)
		(void)snprintf(words + n, sizeof(words) - n, " (%u more of this kind before)",
			       suppressed);
	if (log->style != LOG_STYLE_JOURNAL || send_event(log, level, id, fields, words) < 0)
		write_line(log, level, words);
}
