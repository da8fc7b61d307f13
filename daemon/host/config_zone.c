/* daemon/host/config_zone.c - the sections [zone NAME]: sizes, NUMA nodes, and who falls back to
 * whom.
 *
 * Zones lie one after the other in the order of the files; what is left is zone normal. A key of a
 * zone that stands twice has its last value. */
#include "daemon/host/config.h"
#include "daemon/host/instance.h"

#include <string.h>
#include <unistd.h>

#define NODES_MAX 1024u /* the kernel's */

enum { KEY_SIZE, KEY_NODE, KEY_FALLBACK, KEY_RESERVE, NR_KEYS };
static const struct config_info keys[NR_KEYS] = {
	[KEY_SIZE] = {.section = "zone",
		      .key = "size",
		      .text = "1G",
		      .choices = "",
		      .help = "",
		      .type = CONFIG_SIZE,
		      .flags = CONFIG_MAY_PERCENT},
	[KEY_NODE] = {.section = "zone",
		      .key = "node",
		      .text = "0",
		      .choices = "",
		      .help = "",
		      .type = CONFIG_NUMBER,
		      .high = NODES_MAX - 1,
		      .flags = CONFIG_MAY_NONE},
	[KEY_FALLBACK] = {.section = "zone",
			  .key = "fallback",
			  .text = "normal",
			  .choices = "",
			  .help = "",
			  .type = CONFIG_TEXT,
			  .flags = CONFIG_MAY_AUTO | CONFIG_MAY_NONE},
	[KEY_RESERVE] = {.section = "zone",
			 .key = "reserve",
			 .text = "32",
			 .choices = "",
			 .help = "",
			 .type = CONFIG_NUMBER,
			 .low = 1,
			 .high = 65536,
			 .flags = CONFIG_MAY_NONE},
};

static struct config_value *value_of(struct config_zone *zone, uint32_t key)
{
	struct config_value *const values[NR_KEYS] = {
		[KEY_SIZE] = &zone->size,
		[KEY_NODE] = &zone->node,
		[KEY_FALLBACK] = &zone->fallback,
		[KEY_RESERVE] = &zone->reserve,
	};

	return values[key];
}

/* --- a line ----------------------------------------------------------------------------------- */

/* The zone of that name, made if it is new and there is room. */
static struct config_zone *zone_find(struct config *config, const char *name)
{
	struct config_zone *zone;

	for (uint32_t i = 0; i < config->nr_zones; i++)
		if (strcmp(config->zone[i].name, name) == 0)
			return &config->zone[i];
	if (config->nr_zones == CONFIG_MAX_ZONES)
		return NULL;
	zone = &config->zone[config->nr_zones++];
	(void)snprintf(zone->name, sizeof(zone->name), "%s", name);
	return zone;
}

/* `[zone NAME]` itself: what is wrong with it is said here, once, and not for each of its keys. */
static void begin(struct config *config, const char *file, uint32_t line, const char *section,
		  const char *name, struct config_errors *errors)
{
	struct config_zone *zone;

	if (!instance_name_is_valid(name) || strcmp(name, "normal") == 0) {
		config_error(errors, file, line, section, "",
			     "is no name of a zone; [zone NAME] with letters, digits, '_', '.' and "
			     "'-', at most 31, and not normal (the rest) would be right");
		return;
	}
	zone = zone_find(config, name);
	if (!zone) {
		config_error(errors, file, line, section, "",
			     "too many zones; at most %u would be right", CONFIG_MAX_ZONES);
	} else if (zone->size.line == 0) { /* where to point if its size never comes */
		(void)snprintf(zone->size.file, sizeof(zone->size.file), "%s", file);
		zone->size.line = line;
	}
}

void config_set_zone(struct config *config, const char *file, uint32_t line, const char *section,
		     const char *key, const char *text, struct config_errors *errors)
{
	const char *name = section + strlen("zone");
	struct config_zone *zone;

	name += strspn(name, " ");
	if (!key) {
		begin(config, file, line, section, name, errors);
		return;
	}
	for (uint32_t i = 0; i < NR_KEYS; i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		zone = instance_name_is_valid(name) ? zone_find(config, name) : NULL;
		if (zone)
			config_set_value(&keys[i], value_of(zone, i), file, line, section, text,
					 errors);
		return;
	}
	config_error(errors, file, line, section, key,
		     "no such key; size, node, fallback or reserve would be right");
}

/* --- what it means ---------------------------------------------------------------------------- */

/* Number of a zone, normal included; false: there is none of that name. */
static bool zone_number(const struct config *config, const char *name, uint32_t *ret_zone)
{
	for (*ret_zone = 0; *ret_zone < config->nr_zones; ++*ret_zone)
		if (strcmp(config->zone[*ret_zone].name, name) == 0)
			return true;
	return strcmp(name, "normal") == 0;
}

static void check_size(const struct config *config, const struct config_zone *zone,
		       uint64_t segment_bytes, uint64_t *sum, struct config_errors *errors)
{
	uint64_t pageblock = config_page_size(config) << PAGEBLOCK_ORDER;
	uint64_t bytes = config_bytes(&zone->size, segment_bytes);
	char section[SHM_NAME_BYTES + sizeof("zone ")];

	(void)snprintf(section, sizeof(section), "zone %s", zone->name);
	if (bytes < pageblock)
		config_error(errors, zone->size.file, zone->size.line, section, "size",
			     "a zone has at least one pageblock; %lluM or more would be right",
			     (unsigned long long)(pageblock >> 20));
	else if (bytes > segment_bytes - *sum)
		config_error(errors, zone->size.file, zone->size.line, section, "size",
			     "\"%s\" makes the zones larger than the segment; at most %lluM "
			     "would be right",
			     zone->size.text, (unsigned long long)((segment_bytes - *sum) >> 20));
	else
		*sum += bytes;
}

static void check_node(const struct config_zone *zone, struct config_errors *errors)
{
	char section[SHM_NAME_BYTES + sizeof("zone ")], path[64];

	if (!zone->node.line || zone->node.kind != CONFIG_IS_NUMBER)
		return;
	(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u",
		       (uint32_t)zone->node.n);
	if (access(path, F_OK) == 0)
		return;
	(void)snprintf(section, sizeof(section), "zone %s", zone->name);
	config_error(errors, zone->node.file, zone->node.line, section, "node",
		     "\"%s\": this machine has no such NUMA node; one of "
		     "/sys/devices/system/node, or none, would be right",
		     zone->node.text);
}

/* The zones that are named, in their order, into a list of numbers + 1. words is room for them;
 * *ret_wrong is the word of it that is wrong, "" if none is. */
static void read_fallback(const struct config *config, uint32_t i, char words[CONFIG_TEXT_BYTES],
			  uint8_t ret_list[SHM_MAX_ZONES], const char **ret_wrong)
{
	uint32_t zone, n = 0, seen = 1u << i;
	char *rest = words;

	*ret_wrong = "";
	memset(ret_list, 0, SHM_MAX_ZONES);
	(void)snprintf(words, CONFIG_TEXT_BYTES, "%s", config->zone[i].fallback.text);
	for (char *word; !**ret_wrong && (word = strtok_r(rest, " ,\t", &rest));) {
		if (!zone_number(config, word, &zone) || seen >> zone & 1)
			*ret_wrong = word;
		else
			ret_list[n++] = (uint8_t)(zone + 1);
		seen |= 1u << zone;
	}
}

static bool has_list(const struct config_zone *zone)
{
	return zone->fallback.line && zone->fallback.kind == CONFIG_IS_NUMBER;
}

static void check_fallback(const struct config *config, uint32_t i, struct config_errors *errors)
{
	const struct config_zone *zone = &config->zone[i];
	char words[CONFIG_TEXT_BYTES], section[SHM_NAME_BYTES + sizeof("zone ")];
	uint8_t list[SHM_MAX_ZONES];
	const char *wrong;

	if (!has_list(zone))
		return;
	read_fallback(config, i, words, list, &wrong);
	if (!*wrong)
		return;
	(void)snprintf(section, sizeof(section), "zone %s", zone->name);
	config_error(errors, zone->fallback.file, zone->fallback.line, section, "fallback",
		     "\"%.31s\" is no other zone, or stands there twice; names of zones in their "
		     "order, normal too, or none, or auto (all after it) would be right",
		     wrong);
}

static void check_clients(const struct config *config, struct config_errors *errors)
{
	char section[sizeof("client ") + CONFIG_TEXT_BYTES];
	uint32_t zone;

	for (uint32_t i = 0; i < config->nr_clients; i++) {
		const struct config_client *client = &config->client[i];
		const struct config_value *value = &client->value[CONFIG_CLIENT_zone];

		if (!value->line || zone_number(config, value->text, &zone))
			continue;
		(void)snprintf(section, sizeof(section), "client %s", client->match);
		config_error(errors, value->file, value->line, section, "zone",
			     "\"%.31s\" is no zone; the name of a [zone NAME], or normal, would "
			     "be right",
			     value->text);
	}
}

void config_check_zones(const struct config *config, uint64_t segment_bytes,
			struct config_errors *errors)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < config->nr_zones; i++) {
		check_size(config, &config->zone[i], segment_bytes, &sum, errors);
		check_node(&config->zone[i], errors);
		check_fallback(config, i, errors);
	}
	check_clients(config, errors);
}

void config_plan_zone(const struct config *config, uint32_t i, struct pool_zone_options *ret_zone)
{
	const struct config_zone *zone = &config->zone[i];
	char words[CONFIG_TEXT_BYTES];
	const char *wrong;

	if (zone->node.line && zone->node.kind == CONFIG_IS_NUMBER) {
		ret_zone->has_node = true;
		ret_zone->node = (uint32_t)zone->node.n;
	}
	if (zone->reserve.line && zone->reserve.kind == CONFIG_IS_NUMBER)
		ret_zone->reserve_ratio = (uint32_t)zone->reserve.n;
	ret_zone->own_fallback = zone->fallback.line && zone->fallback.kind != CONFIG_IS_AUTO;
	if (has_list(zone))
		read_fallback(config, i, words, ret_zone->fallback, &wrong);
}

const struct config_info *config_zone_key(const struct config *config, uint32_t zone, uint32_t key,
					  const struct config_value **ret_value)
{
	const struct config_zone *from = &config->zone[zone];
	const struct config_value *const values[NR_KEYS] = {
		[KEY_SIZE] = &from->size,
		[KEY_NODE] = &from->node,
		[KEY_FALLBACK] = &from->fallback,
		[KEY_RESERVE] = &from->reserve,
	};

	if (key >= NR_KEYS)
		return NULL;
	*ret_value = values[key];
	return &keys[key];
}

static bool is_same_zone(const struct config *a, const struct config *b, uint32_t i)
{
	const struct config_value *one, *two;

	for (uint32_t k = 0; config_zone_key(a, i, k, &one) && config_zone_key(b, i, k, &two); k++)
		if (one->kind != two->kind || one->n != two->n || !one->text[0] != !two->text[0] ||
		    (keys[k].type == CONFIG_TEXT && strcmp(one->text, two->text) != 0))
			return false;
	return strcmp(a->zone[i].name, b->zone[i].name) == 0;
}

bool config_same_zones(const struct config *a, const struct config *b)
{
	if (a->nr_zones != b->nr_zones)
		return false;
	for (uint32_t i = 0; i < a->nr_zones; i++)
		if (!is_same_zone(a, b, i))
			return false;
	return true;
}

/* --- as a file -------------------------------------------------------------------------------- */

void config_print_zones(const struct config *config, FILE *file)
{
	if (config->nr_zones == 0)
		(void)fputs("\n# Zones lie one after the other; what is left is zone normal. size: "
			    "a size or percent of the\n# segment. node: its NUMA node. fallback: "
			    "zones to try when it is short, all after it by default.\n# reserve: "
			    "1/n of it is kept from requests that fall back to it. Requests start "
			    "from the first\n# zone, or where a [client MATCH] says zone = NAME.\n"
			    "#[zone NAME]\n#size = 1G\n#node = none\n#fallback = auto\n#reserve "
			    "= none\n",
			    file);
	for (uint32_t i = 0; i < config->nr_zones; i++) {
		struct config_zone zone = config->zone[i];

		(void)fprintf(file, "\n[zone %s]\n", zone.name);
		for (uint32_t k = 0; k < NR_KEYS; k++)
			if (value_of(&zone, k)->text[0])
				(void)fprintf(file, "%s = %s\n", keys[k].key,
					      value_of(&zone, k)->text);
	}
}
