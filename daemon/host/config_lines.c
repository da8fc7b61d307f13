/* daemon/host/config_lines.c - the configuration in force as lines, for `pagectl config`.
 *
 * One line for each key: section, key, value, what it means here, and where it stands, separated by
 * line breaks. Zones and clients have the keys that are given. A message has room for one such line
 * and not for all of them (MESSAGE_TEXT_BYTES), so they are asked for one by one; the serial tells
 * an asker that a reload came in between. */
#include "daemon/host/config.h"

#include "paged/bits.h"

#include <stdlib.h>
#include <string.h>

#define MEANING_BYTES 140u /* more, and the longest value leaves no room for its place */
/* Every key that there can be: a bound, not an expectation. */
#define ZONE_KEYS_MAX 4u
#define LINES_MAX                                                                                  \
	(CONFIG_NR_KEYS + CONFIG_MAX_ZONES * ZONE_KEYS_MAX +                                       \
	 CONFIG_MAX_CLIENTS * CONFIG_NR_CLIENT_KEYS)

static void write_size(uint64_t bytes, char ret_text[MEANING_BYTES])
{
	static const char letters[] = "KMGT";
	char letter[2] = "";

	for (size_t i = 0; letters[i] && bytes && bytes % 1024 == 0; i++) {
		bytes /= 1024;
		letter[0] = letters[i];
	}
	(void)snprintf(ret_text, MEANING_BYTES, "%llu%s", (unsigned long long)bytes, letter);
}

/* A key whose auto or none is known here. */
static void explain_word(enum config_key key, const struct config_facts *facts,
			 char ret_text[MEANING_BYTES])
{
	const char *text = NULL;

	if (key == CONFIG_segment_size)
		write_size(facts->segment_bytes, ret_text);
	else if (key == CONFIG_segment_size_max)
		write_size(facts->max_bytes, ret_text);
	else if (key == CONFIG_pcp_batch && facts->batch)
		(void)snprintf(ret_text, MEANING_BYTES, "%u", facts->batch);
	else if (key == CONFIG_pcp_busy_poll)
		(void)snprintf(ret_text, MEANING_BYTES, "%uus", facts->busy_poll_us);
	else if (key == CONFIG_segment_backing)
		text = facts->backing;
	else if (key == CONFIG_socket_path)
		text = facts->socket;
	else if (key == CONFIG_socket_pressure)
		text = facts->pressure;
	if (text)
		(void)snprintf(ret_text, MEANING_BYTES, "%s", text);
}

/* "" where the value says all of it. */
static void explain(const struct config_value *value, uint32_t key,
		    const struct config_facts *facts, char ret_text[MEANING_BYTES])
{
	bool of_machine = key == CONFIG_segment_size || key == CONFIG_segment_size_max;
	bool is_word = value->kind == CONFIG_IS_AUTO || strcmp(value->text, "auto") == 0;

	ret_text[0] = '\0';
	if (value->kind == CONFIG_IS_PERCENT && !of_machine)
		write_size(config_bytes(value, facts->segment_bytes), ret_text);
	else if (value->kind == CONFIG_IS_PERCENT || is_word ||
		 (of_machine && value->kind == CONFIG_IS_NONE))
		explain_word((enum config_key)key, facts, ret_text);
}

/* What a reload has left for the next start. */
static void explain_next(const struct config_value *next, char means[MEANING_BYTES])
{
	size_t n = strlen(means);

	if (next->text[0])
		(void)snprintf(means + n, MEANING_BYTES - n, "%s%s at the next start",
			       n ? "; " : "", next->text);
}

static void add(struct session_config *lines, char (*line)[MESSAGE_TEXT_BYTES], const char *section,
		const char *key, const struct config_value *value, const char *means)
{
	char origin[CONFIG_FILE_BYTES] = "default";

	if (value->line)
		(void)snprintf(origin, sizeof(origin), "%.200s:%u", value->file, value->line);
	(void)snprintf(line[lines->nr_lines++], MESSAGE_TEXT_BYTES, "%s\n%s\n%s\n%s\n%s", section,
		       key, value->text, means, origin);
}

/* The keys of a section that are given. */
static void add_section(struct session_config *lines, char (*line)[MESSAGE_TEXT_BYTES],
			const struct config *config, const struct config_facts *facts,
			const char *section, uint32_t number,
			const struct config_info *(*get)(const struct config *, uint32_t, uint32_t,
							 const struct config_value **))
{
	const struct config_value *value;
	const struct config_info *info;
	char means[MEANING_BYTES];

	for (uint32_t key = 0; (info = get(config, number, key, &value)); key++) {
		if (!value->text[0])
			continue;
		explain(value, CONFIG_NR_KEYS, facts, means);
		add(lines, line, section, info->key, value, means);
	}
}

void config_lines(const struct config *config, const struct config_facts *facts, uint32_t serial,
		  struct session_config *ret_config)
{
	char(*line)[MESSAGE_TEXT_BYTES] = calloc(LINES_MAX, sizeof(*line));
	char section[CONFIG_TEXT_BYTES + sizeof("client ")], means[MEANING_BYTES];

	*ret_config = (struct session_config){.serial = serial};
	if (!line)
		return;
	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++) {
		const struct config_info *info = config_info((enum config_key)i);

		explain(&config->value[i], i, facts, means);
		explain_next(&config->next[i], means);
		add(ret_config, line, info->section, info->key, &config->value[i], means);
	}
	for (uint32_t i = 0; i < config->nr_zones; i++) {
		(void)snprintf(section, sizeof(section), "zone %s", config->zone[i].name);
		add_section(ret_config, line, config, facts, section, i, config_zone_key);
	}
	for (uint32_t i = 0; i < config->nr_clients; i++) {
		(void)snprintf(section, sizeof(section), "client %s", config->client[i].match);
		add_section(ret_config, line, config, facts, section, i, config_client_key);
	}
	ret_config->line = (const char(*)[MESSAGE_TEXT_BYTES])line;
}

void config_free_lines(struct session_config *config)
{
	union {
		const char (*from)[MESSAGE_TEXT_BYTES];
		void *to;
	} line = {.from = config->line}; /* free() takes no const */

	free(line.to);
	*config = (struct session_config){.serial = config->serial};
}
