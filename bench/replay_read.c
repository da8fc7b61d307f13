/* bench/replay_read.c - the text of a trace, plain or gzip, line by line; see replay_trace.h. */
#include "bench/replay_trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define LINE_BYTES 1024u
#define CLIENT_BYTES 63u
#define KEY_BYTES 255u
#define FIELDS 5u
#define BUFFER_BYTES (1u << 17)

struct reader {
	const char *path;
	uint64_t line;
	uint64_t time_ns;
	char *text;
	size_t text_bytes;
};

__attribute__((format(printf, 3, 4))) static int fail(struct reader *reader, int r,
						      const char *format, ...)
{
	size_t n = (size_t)snprintf(reader->text, reader->text_bytes, "%.128s:%llu: ", reader->path,
				    (unsigned long long)reader->line);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reader->text + n, reader->text_bytes - n, format, arguments);
	va_end(arguments);
	return r;
}

static int parse_whole(struct reader *reader, const char *name, const char *field, uint64_t max,
		       uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(field, &end, 10);
	if (*field < '0' || *field > '9' || *end)
		return fail(reader, -EINVAL, "%s: \"%.64s\" is not a whole number", name, field);
	if (errno || *ret_number > max)
		return fail(reader, -ERANGE, "%s: %.64s is more than %llu", name, field,
			    (unsigned long long)max);
	return 0;
}

/* In ns, so that times are compared exactly. */
static int parse_time(struct reader *reader, char *field)
{
	char *dot = strchr(field, '.');
	uint64_t seconds, fraction = 0, unit = 1000000000;
	int r;

	if (dot)
		*dot++ = '\0';
	r = parse_whole(reader, "time", field, 18000000000, &seconds);
	if (r < 0)
		return r;
	for (; dot && *dot; dot++) {
		if (*dot < '0' || *dot > '9')
			return fail(reader, -EINVAL, "time: \"%.64s\" is not a fraction", dot);
		unit /= 10;
		fraction += unit * (uint64_t)(*dot - '0');
	}
	if (seconds * 1000000000 + fraction < reader->time_ns)
		return fail(reader, -EINVAL, "time: %s is before the line above it", field);
	reader->time_ns = seconds * 1000000000 + fraction;
	return 0;
}

static int parse_name(struct reader *reader, const char *name, const char *field, size_t max,
		      size_t *ret_bytes)
{
	*ret_bytes = strlen(field);
	if (*ret_bytes == 0)
		return fail(reader, -EINVAL, "%s: nothing there", name);
	if (*ret_bytes > max)
		return fail(reader, -EINVAL, "%s: %zu bytes, more than %zu", name, *ret_bytes, max);
	return 0;
}

static int parse_line(struct reader *reader, char *text, struct trace_line *ret_line)
{
	char *field[FIELDS];
	unsigned n = 0;
	int r;

	for (char *at = text; at && n <= FIELDS; n++) {
		if (n < FIELDS)
			field[n] = at;
		at = strchr(at, ',');
		if (at)
			*at++ = '\0';
	}
	if (n != FIELDS && n != FIELDS - 1)
		return fail(reader, -EINVAL, "%u field%s%s; wanted are time,client,key,size[,cost]",
			    n, n == 1 ? "" : "s", n > FIELDS ? " or more" : "");
	*ret_line = (struct trace_line){.client = field[1], .key = field[2]};
	r = parse_time(reader, field[0]);
	if (r == 0)
		r = parse_name(reader, "client", field[1], CLIENT_BYTES, &ret_line->client_bytes);
	if (r == 0)
		r = parse_name(reader, "key", field[2], KEY_BYTES, &ret_line->key_bytes);
	if (r == 0)
		r = parse_whole(reader, "size", field[3], TRACE_MAX_BYTES, &ret_line->size_bytes);
	if (r == 0 && n == FIELDS)
		r = parse_whole(reader, "cost", field[4], 1000000000000, &ret_line->cost_ns);
	return r;
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* Why there is no more, if that is not the end of the file. */
static int check_end(struct reader *reader, gzFile file)
{
	int condition;
	const char *text = gzerror(file, &condition);

	if (condition == Z_ERRNO)
		return fail(reader, -errno, "%s", strerror(errno));
	if (condition != Z_OK && condition != Z_STREAM_END)
		return fail(reader, -EIO, "damaged or cut off: %s", text);
	return 0;
}

static int read_lines(struct reader *reader, gzFile file, struct trace_builder *builder)
{
	char text[LINE_BYTES];
	int r = 0;

	while (r == 0 && gzgets(file, text, sizeof(text))) {
		size_t n = strcspn(text, "\n");
		struct trace_line line;

		reader->line++;
		if (n == sizeof(text) - 1)
			return fail(reader, -EINVAL, "longer than %u bytes", LINE_BYTES - 2);
		/* Half a line is nothing to complain of where the file is cut off. */
		r = text[n] == '\n' ? 0 : check_end(reader, file);
		if (r < 0)
			return r;
		text[n] = '\0';
		if (n > 0 && text[n - 1] == '\r')
			text[n - 1] = '\0';
		if (text[0] == '\0' || text[0] == '#' ||
		    (reader->line == 1 && strncmp(text, "time,", 5) == 0))
			continue;
		r = parse_line(reader, text, &line);
		if (r < 0)
			return r;
		r = trace_add(builder, &line);
	}
	if (r == -E2BIG)
		return fail(reader, r, "more than %u clients; --clients N folds them",
			    TRACE_MAX_CLIENTS);
	return r < 0 ? fail(reader, r, "%s",
			    r == -ENOMEM ? "no memory for so long a trace" : "too many requests")
		     : 0;
}

int trace_read(const char *path, uint32_t fold, struct trace *ret_trace, char *text,
	       size_t text_bytes)
{
	struct reader reader = {.path = path, .text = text, .text_bytes = text_bytes};
	struct trace_builder builder = {.fold = fold};
	gzFile file =
		strcmp(path, "-") == 0 ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rbe");
	int r;

	if (!file) {
		r = errno ? -errno : -ENOMEM;
		(void)snprintf(text, text_bytes, "%.128s: %s", path, strerror(-r));
		return r;
	}
	(void)gzbuffer(file, BUFFER_BYTES);
	r = read_lines(&reader, file, &builder);
	if (r == 0)
		r = check_end(&reader, file);
	if (r == 0 && builder.trace.n == 0)
		r = fail(&reader, -ENODATA, "no request in it");
	(void)gzclose(file);
	if (r < 0) {
		trace_builder_free(&builder);
		return r;
	}
	trace_take(&builder, ret_trace);
	return 0;
}
