/* pagectl/act_config.c - config: every key in force, its value, what it means and where it stands.
 *
 * The daemon tells its configuration line by line (Config in paged/message.h), and a number that
 * changes with it: who sees it change asks for all of it again, so that no answer is half of one
 * and half of another. What an administrator changed since then is in META. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Reloads in the middle of a look before we give up: more would hide a loop of reloads. */
#define TRIES_MAX 8u
#define FIELDS 5u

enum field { FIELD_SECTION, FIELD_KEY, FIELD_VALUE, FIELD_MEANS, FIELD_ORIGIN };
static_assert(FIELD_ORIGIN + 1 == FIELDS, "one name for each");

struct line {
	char text[MESSAGE_TEXT_BYTES];
	const char *field[FIELDS]; /* in text */
};

struct lines {
	struct line *line;
	uint32_t n;
	uint64_t serial;
};

static void split(struct line *line)
{
	char *rest = line->text;

	for (uint32_t i = 0; i < FIELDS; i++) {
		char *word = strsep(&rest, "\n");

		line->field[i] = word ? word : "";
	}
}

/* Line `number` into lines. Returns an enum pagectl_exit; *ret_count is 0 if all that was asked for
 * has to be asked for again. */
static int ask(struct pagectl *ctl, uint32_t number, struct lines *lines, uint64_t *ret_count)
{
	struct message request = {.kind = MESSAGE_CONFIG, .config.number = number};
	struct message_reply reply;
	int r = act_call(ctl, &request, &reply);

	*ret_count = 0;
	if (r != PAGECTL_OK)
		return r;
	if (reply.status == -ENOENT && number)
		return PAGECTL_OK; /* there are fewer now */
	if (reply.status < 0)
		return act_refused(ctl, &reply);
	if (number && reply.result != lines->serial)
		return PAGECTL_OK;
	lines->serial = reply.result;
	lines->line = xrealloc(lines->line, (number + 1) * sizeof(*lines->line));
	memcpy(lines->line[number].text, reply.text, sizeof(reply.text));
	lines->n = number + 1;
	*ret_count = reply.count;
	return PAGECTL_OK;
}

static int ask_all(struct pagectl *ctl, struct lines *lines)
{
	for (uint32_t try = 0; try < TRIES_MAX; try++) {
		uint64_t count = 1;

		lines->n = 0;
		for (uint32_t i = 0; i < count; i++) {
			int r = ask(ctl, i, lines, &count);

			if (r != PAGECTL_OK)
				return r;
		}
		if (count)
			return PAGECTL_OK;
	}
	fputs("pagectl: the configuration changes all the time; try again\n", stderr);
	return PAGECTL_FAILED;
}

/* --- what was changed since ------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void add(struct lines *lines, const char *section,
						      const char *key, const char *origin,
						      const char *format, ...)
{
	struct line *line;
	char value[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	lines->line = xrealloc(lines->line, (lines->n + 1) * sizeof(*lines->line));
	line = &lines->line[lines->n++];
	snprintf(line->text, sizeof(line->text), "%.80s\n%s\n%s\n\n%s", section, key, value,
		 origin);
}

/* As a size that a configuration would take, exactly. */
static void add_frames(struct lines *lines, const struct pagectl *ctl, const char *section,
		       const char *key, uint64_t frames, const char *origin)
{
	static const char letters[] = "KMGT";
	uint64_t n = frames << ctl->view.header->page_shift >> 10;
	size_t letter = 0;

	for (; n && n % 1024 == 0 && letters[letter + 1]; letter++)
		n /= 1024;
	if (frames)
		add(lines, section, key, origin, "%llu%c", (unsigned long long)n, letters[letter]);
}

/* The limits in force of clients of which an administrator set some. */
static void add_clients(struct lines *lines, const struct pagectl *ctl)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		struct shm_client client = *shm_view_client(&ctl->view, id);
		char section[96];

		if (client.state == SHM_CLIENT_FREE ||
		    strncmp(client.limits_from, "set", sizeof(client.limits_from)) != 0)
			continue;
		snprintf(section, sizeof(section), "client %u (%s)", client.id,
			 human_clean(client.name, sizeof(client.name)).s);
		add_frames(lines, ctl, section, "min", client.min, "pagectl set");
		add_frames(lines, ctl, section, "low", client.low, "pagectl set");
		add_frames(lines, ctl, section, "high", client.high, "pagectl set");
		add_frames(lines, ctl, section, "max", client.max, "pagectl set");
		if (client.weight)
			add(lines, section, "weight", "pagectl set", "%u", client.weight);
	}
}

static void add_changes(struct lines *lines, const struct pagectl *ctl)
{
	const struct shm_meta_header *header = ctl->view.header;

	if (header->wanted_frames != header->configured_frames)
		add_frames(lines, ctl, "segment", "size", header->wanted_frames, "pagectl resize");
	add_clients(lines, ctl);
}

/* --- printing --------------------------------------------------------------------------------- */

static int print_json(const struct lines *lines)
{
	static const char *const names[FIELDS] = {"section", "key", "value", "means", "origin"};
	json_t *root = json_new(), *keys = json_array();

	for (uint32_t i = 0; i < lines->n; i++) {
		json_t *key = json_object();

		for (uint32_t k = 0; k < FIELDS; k++)
			if (k != FIELD_MEANS || lines->line[i].field[k][0])
				json_put_text(key, names[k], lines->line[i].field[k],
					      MESSAGE_TEXT_BYTES);
		json_array_append_new(keys, key);
	}
	json_object_set_new(root, "keys", keys);
	return json_print(root);
}

static int print_table(const struct lines *lines)
{
	static const struct table_column columns[] = {
		{"KEY", true, false},
		{"VALUE", true, false},
		{"MEANS", true, false},
		{"ORIGIN", true, false},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < lines->n; i++) {
		const struct line *line = &lines->line[i];

		table_cell(&table, "%s.%s", line->field[FIELD_SECTION], line->field[FIELD_KEY]);
		table_cell(&table, "%s", line->field[FIELD_VALUE]);
		table_cell(&table, "%s",
			   line->field[FIELD_MEANS][0] ? line->field[FIELD_MEANS] : "-");
		table_cell(&table, "%s", line->field[FIELD_ORIGIN]);
	}
	table_print(&table, table_terminal_width(), stdout);
	table_done(&table);
	return PAGECTL_OK;
}

int act_config(struct pagectl *ctl)
{
	struct lines lines = {0};
	int r = ask_all(ctl, &lines);

	if (r == PAGECTL_OK) {
		add_changes(&lines, ctl);
		for (uint32_t i = 0; i < lines.n; i++)
			split(&lines.line[i]);
		r = ctl->want_json ? print_json(&lines) : print_table(&lines);
	}
	free(lines.line);
	return r;
}
