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

/* Keys of the design that have no effect yet. */
static const struct {
	const char *section, *key;
} not_yet[] = {
	{"pcp", "high_fraction"},
	{"reclaim", "scrub"},
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

void config_set_value(const struct config_info *info, struct config_value *value, const char *file,
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

static void set_key(struct config *config, const char *file, uint32_t line, const char *section,
		    const char *key, const char *text, struct config_errors *errors)
{
	char list[CONFIG_ERROR_BYTES];

	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++)
		if (strcmp(table[i].section, section) == 0 && strcmp(table[i].key, key) == 0) {
			config_set_value(&table[i], &config->value[i], file, line, section, text,
					 errors);
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
		config_set_zone(config, file, line, section, key, text, errors);
	else if (strncmp(section, "client", 6) == 0 && (section[6] == ' ' || section[6] == '\0')) {
		config_set_client(config, file, line, section, key, text, errors);
	} else if (*section == '\0') {
		config_error(errors, file, line, key ? key : "", "",
			     "stands before the first section; [segment] above it would be right");
	} else if (!is_section(section)) {
		if (!key)
			config_error(errors, file, line, section, "",
				     "no such section; segment, socket, pcp, zone NAME, reclaim, "
				     "limits and client MATCH would be right");
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

uint64_t config_segment_max_bytes(const struct config *config, uint64_t machine_bytes,
				  uint64_t segment_bytes, struct config_errors *errors)
{
	const struct config_value *most = &config->value[CONFIG_segment_size_max];
	uint64_t pageblock = config_page_size(config) << PAGEBLOCK_ORDER;
	uint64_t limit = config_page_size(config) << 32;
	uint64_t bytes = config_bytes(most, machine_bytes) & ~(pageblock - 1);

	if (most->kind == CONFIG_IS_NONE)
		return segment_bytes;
	if (bytes < segment_bytes)
		config_error(errors, most->file, most->line, "segment", "size_max",
			     "\"%s\" is less than the size; %lluM or more would be right",
			     most->text, (unsigned long long)(segment_bytes >> 20));
	else if (bytes >= limit)
		config_error(errors, most->file, most->line, "segment", "size_max",
			     "\"%s\" is 2^32 frames or more; less than %lluT would be right",
			     most->text, (unsigned long long)(limit >> 40));
	return bytes;
}

void config_check_sizes(const struct config *config, uint64_t segment_bytes,
			struct config_errors *errors)
{
	const struct config_value *min_free = &config->value[CONFIG_reclaim_min_free];

	config_check_zones(config, segment_bytes, errors);
	if (config_bytes(min_free, segment_bytes) > segment_bytes / 2)
		config_error(
			errors, min_free->file, min_free->line, "reclaim", "min_free",
			"\"%s\" is more than half of the segment; at most %lluM would be right",
			min_free->text, (unsigned long long)(segment_bytes >> 21));
	config_check_clients(config, segment_bytes, errors);
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
				      table[i].flags & CONFIG_MAY_AUTO    ? ", or auto"
				      : table[i].flags & CONFIG_MAY_NONE  ? ", or none"
				      : table[i].flags & CONFIG_MAY_NEVER ? ", or never"
									  : "");
		(void)fprintf(file, "%s%s = %s\n", config->value[i].line ? "" : "#", table[i].key,
			      config->value[i].text);
	}
	config_print_zones(config, file);
	config_print_clients(config, file);
}
