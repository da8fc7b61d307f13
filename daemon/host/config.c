/* daemon/host/config.c - the table of keys, what a line of a file does to it, and how it is shown.
 */
#include "daemon/host/config.h"

#include "daemon/host/instance.h"
#include "paged/bits.h"
#include "paged/check.h"

#include <stdarg.h>
#include <string.h>

static const struct config_info table[CONFIG_NR_KEYS] = {
#define X(section_, key_, type_, text_, low_, high_, choices_, flags_, help_)                      \
	{.section = #section_,                                                                     \
	 .key = #key_,                                                                             \
	 .text = text_,                                                                            \
	 .choices = choices_,                                                                      \
	 .help = help_,                                                                            \
	 .type = CONFIG_##type_,                                                                   \
	 .low = low_,                                                                              \
	 .high = high_,                                                                            \
	 .flags = flags_},
	CONFIG_KEYS(X)
#undef X
};

static const struct config_info zone_size = {.section = "zone",
					     .key = "size",
					     .text = "1G",
					     .choices = "",
					     .help = "",
					     .type = CONFIG_SIZE,
					     .flags = CONFIG_MAY_PERCENT};

/* Keys of the design that have no effect yet. Section "client" is not there at all yet. */
static const struct {
	const char *section, *key;
} not_yet[] = {
	{"segment", "size_max"}, {"pcp", "high_fraction"}, {"zone", "node"},
	{"zone", "fallback"},    {"reclaim", "scrub"},     {"reclaim", "give_back_after"},
};

const struct config_info *config_info(enum config_key key)
{
	PAGED_CHECK(key < CONFIG_NR_KEYS);
	return &table[key];
}

void config_init(struct config *config)
{
	char problem[CONFIG_ERROR_BYTES];

	memset(config, 0, sizeof(*config));
	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++) {
		int r = config_parse(&table[i], table[i].text, &config->value[i], problem,
				     sizeof(problem));

		PAGED_CHECK(r == 0);
	}
}

void config_error(struct config_errors *errors, const char *file, uint32_t line,
		  const char *section, const char *key, const char *format, ...)
{
	char *text;
	size_t n = 0;
	va_list arguments;

	if (errors->n++ >= CONFIG_MAX_ERRORS)
		return;
	text = errors->text[errors->n - 1];
	if (line)
		n = (size_t)snprintf(text, CONFIG_ERROR_BYTES, "%.200s:%u: ", file, line);
	else if (*file)
		n = (size_t)snprintf(text, CONFIG_ERROR_BYTES, "%.200s: ", file);
	if (*section)
		n += (size_t)snprintf(text + n, CONFIG_ERROR_BYTES - n, "%.64s%s%.64s: ", section,
				      *key ? "." : "", key);
	va_start(arguments, format);
	(void)vsnprintf(text + n, CONFIG_ERROR_BYTES - n, format, arguments);
	va_end(arguments);
}

/* --- one line ------------------------------------------------------------------------------- */

static bool is_not_yet(const char *section, const char *key)
{
	for (size_t i = 0; i < sizeof(not_yet) / sizeof(not_yet[0]); i++)
		if (strcmp(not_yet[i].section, section) == 0 && strcmp(not_yet[i].key, key) == 0)
			return true;
	return false;
}

static bool is_section(const char *section)
{
	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++)
		if (strcmp(table[i].section, section) == 0)
			return true;
	return false;
}

/* The keys of a section as a sentence: "size, page_size, backing". */
static void list_keys(const char *section, char *ret_list, size_t bytes)
{
	size_t n = 0;

	ret_list[0] = '\0';
	for (uint32_t i = 0; i < CONFIG_NR_KEYS && n < bytes; i++)
		if (strcmp(table[i].section, section) == 0)
			n += (size_t)snprintf(ret_list + n, bytes - n, "%s%s", n ? ", " : "",
					      table[i].key);
}

static void set_value(const struct config_info *info, struct config_value *value, const char *file,
		      uint32_t line, const char *section, const char *text,
		      struct config_errors *errors)
{
	char problem[CONFIG_ERROR_BYTES];

	if (config_parse(info, text, value, problem, sizeof(problem))) {
		config_error(errors, file, line, section, info->key, "\"%.64s\" %s", text, problem);
		return;
	}
	(void)snprintf(value->file, sizeof(value->file), "%s", file);
	value->line = line;
}

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
static void begin_zone(struct config *config, const char *file, uint32_t line, const char *section,
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

static void set_zone(struct config *config, const char *file, uint32_t line, const char *section,
		     const char *key, const char *text, struct config_errors *errors)
{
	const char *name = section + strlen("zone");
	struct config_zone *zone;

	name += strspn(name, " ");
	if (!key) {
		begin_zone(config, file, line, section, name, errors);
		return;
	}
	if (is_not_yet("zone", key)) {
		config_error(errors, file, line, section, key, "not supported yet; leave it out");
		return;
	}
	if (strcmp(key, "size") != 0) {
		config_error(errors, file, line, section, key, "no such key; size would be right");
		return;
	}
	zone = instance_name_is_valid(name) ? zone_find(config, name) : NULL;
	if (zone)
		set_value(&zone_size, &zone->size, file, line, section, text, errors);
}

static void set_key(struct config *config, const char *file, uint32_t line, const char *section,
		    const char *key, const char *text, struct config_errors *errors)
{
	char list[CONFIG_ERROR_BYTES];

	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++)
		if (strcmp(table[i].section, section) == 0 && strcmp(table[i].key, key) == 0) {
			set_value(&table[i], &config->value[i], file, line, section, text, errors);
			return;
		}
	list_keys(section, list, sizeof(list));
	if (is_not_yet(section, key))
		config_error(errors, file, line, section, key, "not supported yet; leave it out");
	else
		config_error(errors, file, line, section, key, "no such key; %s would be right",
			     list);
}

void config_set(struct config *config, const char *file, uint32_t line, const char *section,
		const char *key, const char *text, struct config_errors *errors)
{
	if (strncmp(section, "zone", 4) == 0 && (section[4] == ' ' || section[4] == '\0'))
		set_zone(config, file, line, section, key, text, errors);
	else if (strncmp(section, "client", 6) == 0 && (section[6] == ' ' || section[6] == '\0')) {
		if (!key) /* once for the section, not for each of its keys */
			config_error(errors, file, line, section, "",
				     "not supported yet; limits.client_max is the max of every "
				     "client");
	} else if (*section == '\0') {
		config_error(errors, file, line, key ? key : "", "",
			     "stands before the first section; [segment] above it would be right");
	} else if (!is_section(section)) {
		if (!key)
			config_error(errors, file, line, section, "",
				     "no such section; segment, socket, pcp, zone NAME, reclaim "
				     "and limits would be right");
	} else if (key) {
		set_key(config, file, line, section, key, text, errors);
	}
}

/* --- all of it ------------------------------------------------------------------------------ */

uint64_t config_page_size(const struct config *config)
{
	static const uint64_t sizes[] = {4096, 16384, 65536}; /* as the choices of page_size */

	return sizes[config->value[CONFIG_segment_page_size].n];
}

uint64_t config_segment_bytes(const struct config *config, uint64_t machine_bytes,
			      struct config_errors *errors)
{
	const struct config_value *size = &config->value[CONFIG_segment_size];
	uint64_t pageblock = config_page_size(config) << PAGEBLOCK_ORDER;
	uint64_t limit = config_page_size(config) << 32; /* the pfn of all ones is no frame's */
	uint64_t bytes = config_bytes(size, machine_bytes);

	if (size->kind == CONFIG_IS_AUTO)
		bytes = machine_bytes / 4;
	if (size->kind != CONFIG_IS_NUMBER)
		bytes = bits_clamp(bytes, pageblock, limit - pageblock);
	if (bytes < pageblock)
		config_error(errors, size->file, size->line, "segment", "size",
			     "\"%s\" is less than a pageblock; %lluM or more would be right",
			     size->text, (unsigned long long)(pageblock >> 20));
	else if (bytes >= limit)
		config_error(errors, size->file, size->line, "segment", "size",
			     "\"%s\" is 2^32 frames or more; less than %lluT would be right, or "
			     "a larger page_size",
			     size->text, (unsigned long long)(limit >> 40));
	return bytes & ~(pageblock - 1);
}

void config_check_sizes(const struct config *config, uint64_t segment_bytes,
			struct config_errors *errors)
{
	uint64_t pageblock = config_page_size(config) << PAGEBLOCK_ORDER;
	const struct config_value *min_free = &config->value[CONFIG_reclaim_min_free];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < config->nr_zones; i++) {
		const struct config_zone *zone = &config->zone[i];
		char section[SHM_NAME_BYTES + sizeof("zone ")];
		uint64_t bytes = config_bytes(&zone->size, segment_bytes);

		(void)snprintf(section, sizeof(section), "zone %s", zone->name);
		if (bytes < pageblock)
			config_error(errors, zone->size.file, zone->size.line, section, "size",
				     "a zone has at least one pageblock; %lluM or more would be "
				     "right",
				     (unsigned long long)(pageblock >> 20));
		else if (bytes > segment_bytes - sum)
			config_error(errors, zone->size.file, zone->size.line, section, "size",
				     "\"%s\" makes the zones larger than the segment; at most "
				     "%lluM would be right",
				     zone->size.text,
				     (unsigned long long)((segment_bytes - sum) >> 20));
		else
			sum += bytes;
	}
	if (config_bytes(min_free, segment_bytes) > segment_bytes / 2)
		config_error(
			errors, min_free->file, min_free->line, "reclaim", "min_free",
			"\"%s\" is more than half of the segment; at most %lluM would be right",
			min_free->text, (unsigned long long)(segment_bytes >> 21));
}

/* Text in lines of at most 96 bytes, each after "# ". */
static void print_help(const char *help, FILE *file)
{
	while (*help) {
		size_t n = strlen(help);

		if (n > 94) {
			for (n = 94; n > 0 && help[n] != ' ';)
				n--;
		}
		(void)fprintf(file, "# %.*s\n", (int)n, help);
		help += n;
		help += strspn(help, " ");
	}
}

void config_print(const struct config *config, FILE *file)
{
	char range[CONFIG_RANGE_BYTES];
	const char *section = "";

	(void)fputs("# paged.conf - every key with its default; none is required. Drop-ins in "
		    "paged.conf.d/*.conf are\n# read after it. `paged --check-config` explains "
		    "what is wrong, with file and line.\n",
		    file);
	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++) {
		if (strcmp(section, table[i].section) != 0)
			(void)fprintf(file, "\n[%s]\n", table[i].section);
		section = table[i].section;
		print_help(table[i].help, file);
		config_range(&table[i], range);
		if (table[i].choices[0])
			(void)fprintf(file, "# One of %s.\n", table[i].choices);
		if (range[0])
			(void)fprintf(file, "# %s%s.\n", range,
				      table[i].flags & CONFIG_MAY_AUTO   ? ", or auto"
				      : table[i].flags & CONFIG_MAY_NONE ? ", or none"
									 : "");
		(void)fprintf(file, "%s%s = %s\n", config->value[i].line ? "" : "#", table[i].key,
			      config->value[i].text);
	}
	if (config->nr_zones == 0)
		(void)fputs("\n# Zones lie one after the other; what is left is zone normal. A "
			    "size or percent of the segment.\n#[zone NAME]\n#size = 1G\n",
			    file);
	for (uint32_t i = 0; i < config->nr_zones; i++)
		(void)fprintf(file, "\n[zone %s]\nsize = %s\n", config->zone[i].name,
			      config->zone[i].size.text);
}
