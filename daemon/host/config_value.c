/* daemon/host/config_value.c - the text of one value and what it means. Pure. */
#include "daemon/host/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What a process can map on x86-64 and arm64 with 4 levels; a larger size is a slip of the pen. */
#define ADDRESS_SPACE_BITS 47u

__attribute__((format(printf, 3, 4))) static int say(char *problem, size_t problem_bytes,
						     const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(problem, problem_bytes, format, arguments);
	va_end(arguments);
	return 1;
}

/* n in the largest unit of its type that leaves no rest. */
static void write_amount(enum config_type type, uint64_t n, char ret_text[24])
{
	static const char letters[] = "KMGT";
	const char *unit = type == CONFIG_US ? "us" : type == CONFIG_MS ? "ms" : "";
	char letter[2] = "";

	if (type == CONFIG_US && n && n % 1000 == 0) {
		n /= 1000;
		unit = "ms";
	}
	if (type == CONFIG_MS && n && n % 1000 == 0) {
		n /= 1000;
		unit = "s";
	}
	for (size_t i = 0; type == CONFIG_SIZE && letters[i] && n && n % 1024 == 0; i++) {
		n /= 1024;
		letter[0] = letters[i];
		unit = letter;
	}
	(void)snprintf(ret_text, 24, "%llu%s", (unsigned long long)n, unit);
}

void config_range(const struct config_info *info, char ret_range[CONFIG_RANGE_BYTES])
{
	char low[24], high[24];

	ret_range[0] = '\0';
	if (info->high == 0 || (info->type != CONFIG_NUMBER && info->type != CONFIG_MS &&
				info->type != CONFIG_US && info->type != CONFIG_SIZE))
		return;
	write_amount(info->type, info->low, low);
	write_amount(info->type, info->high, high);
	(void)snprintf(ret_range, CONFIG_RANGE_BYTES, "%s to %s", low, high);
}

/* Digits at the start of text; *ret_rest is what follows. false if there is none or they overflow
 * (then *ret_n is UINT64_MAX). */
static bool read_digits(const char *text, uint64_t *ret_n, const char **ret_rest)
{
	char *end;

	*ret_n = 0;
	*ret_rest = text;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_n = strtoull(text, &end, 10);
	*ret_rest = end;
	return errno == 0;
}

/* K, M, G, T, with or without "B" or "iB", as a shift; -1 for anything else. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *letter;

	if (unit[0] == '\0' || strcmp(unit, "B") == 0)
		return 0;
	letter = memchr(letters, unit[0], sizeof(letters) - 1);
	if (!letter || (unit[1] && strcmp(unit + 1, "B") != 0 && strcmp(unit + 1, "iB") != 0))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

static int parse_percent(uint64_t n, struct config_value *value, char *problem, size_t bytes)
{
	if (n == 0 || n > 100)
		return say(problem, bytes, "is not a share; 1%% to 100%% would be right");
	value->kind = CONFIG_IS_PERCENT;
	value->n = n;
	return 0;
}

static int parse_size(const struct config_info *info, const char *text, struct config_value *value,
		      char *problem, size_t bytes)
{
	char range[CONFIG_RANGE_BYTES];
	const char *rest;
	uint64_t n;
	bool ok = read_digits(text, &n, &rest);
	int shift = unit_shift(rest);

	config_range(info, range);
	if (ok && strcmp(rest, "%") == 0 && info->flags & CONFIG_MAY_PERCENT)
		return parse_percent(n, value, problem, bytes);
	if (rest == text || shift < 0)
		return say(problem, bytes, "is not a size; 512M, 4G%s would be right",
			   info->flags & CONFIG_MAY_PERCENT ? " or 25%" : " or 1048576");
	if (!ok || n > UINT64_C(1) << ADDRESS_SPACE_BITS || n << shift >> shift != n ||
	    n << shift > UINT64_C(1) << ADDRESS_SPACE_BITS)
		return say(problem, bytes,
			   "is larger than the address space; less than 128T would be right");
	n <<= shift;
	if (n == 0 && !(info->flags & CONFIG_MAY_ZERO))
		return say(problem, bytes, "must not be zero; %s would be right", info->text);
	if (n < info->low || (info->high && n > info->high))
		return say(problem, bytes, "is out of range; %s would be right", range);
	value->n = n;
	return 0;
}

/* Factor of a duration's unit; unit of the key itself ("ms" or "us") is 1, "" as well. 0: unknown.
 */
static uint64_t duration_factor(enum config_type type, const char *unit)
{
	if (unit[0] == '\0')
		return 1;
	if (strcmp(unit, "us") == 0)
		return type == CONFIG_US ? 1 : 0;
	if (strcmp(unit, "ms") == 0)
		return type == CONFIG_US ? 1000 : 1;
	if (strcmp(unit, "s") == 0)
		return type == CONFIG_US ? 1000000 : 1000;
	return 0;
}

static int parse_number(const struct config_info *info, const char *text,
			struct config_value *value, char *problem, size_t bytes)
{
	char range[CONFIG_RANGE_BYTES];
	const char *rest;
	uint64_t factor = 0;
	uint64_t n;
	bool ok = read_digits(text, &n, &rest);

	config_range(info, range);
	if (info->type != CONFIG_NUMBER)
		factor = duration_factor(info->type, rest);
	else if (rest[0] == '\0')
		factor = 1;
	if (rest == text || factor == 0)
		return say(problem, bytes, "is not a %s; %s would be right",
			   info->type == CONFIG_NUMBER ? "number" : "time", range);
	if (!ok || n > info->high || n * factor > info->high || n * factor < info->low)
		return say(problem, bytes, "is out of range; %s would be right", range);
	value->n = n * factor;
	return 0;
}

static int parse_choice(const struct config_info *info, const char *text,
			struct config_value *value, char *problem, size_t bytes)
{
	size_t length = strlen(text);
	uint64_t place = 0;

	for (const char *choice = info->choices; *choice; place++) {
		size_t n = strcspn(choice, "|");

		if (n == length && strncmp(choice, text, n) == 0) {
			value->n = place;
			return 0;
		}
		choice += n + (choice[n] == '|');
	}
	return say(problem, bytes, "is none of its values; %s would be right", info->choices);
}

static int parse_mode(const struct config_info *info, const char *text, struct config_value *value,
		      char *problem, size_t bytes)
{
	size_t length = strlen(text);

	if (length == 0 || length > 5 || strspn(text, "01234567") != length)
		return say(problem, bytes, "is not an octal mode; 0660 would be right");
	value->n = strtoull(text, NULL, 8);
	if (value->n > info->high)
		return say(problem, bytes, "is out of range; 0000 to 0777 would be right");
	return 0;
}

static int parse_path(const struct config_info *info, const char *text, char *problem, size_t bytes)
{
	if (text[0] != '/')
		return say(problem, bytes,
			   "is not absolute; a path that begins with / would be right");
	if (strlen(text) > info->high)
		return say(problem, bytes, "has %zu bytes; at most %llu would be right",
			   strlen(text), (unsigned long long)info->high);
	return 0;
}

int config_parse(const struct config_info *info, const char *text, struct config_value *ret_value,
		 char *problem, size_t problem_bytes)
{
	struct config_value value = {.kind = CONFIG_IS_NUMBER};
	int r = 0;

	if (strlen(text) >= sizeof(value.text))
		return say(problem, problem_bytes, "has %zu bytes; at most %llu would be right",
			   strlen(text),
			   info->type == CONFIG_PATH ? (unsigned long long)info->high
						     : sizeof(value.text) - 1);
	(void)snprintf(value.text, sizeof(value.text), "%s", text);
	if (info->flags & CONFIG_MAY_AUTO && strcmp(text, "auto") == 0)
		value.kind = CONFIG_IS_AUTO;
	else if ((info->flags & CONFIG_MAY_NONE && strcmp(text, "none") == 0) ||
		 (info->flags & CONFIG_MAY_NEVER && strcmp(text, "never") == 0))
		value.kind = CONFIG_IS_NONE;
	else if (text[0] == '\0')
		r = say(problem, problem_bytes, "has no value; %s would be right", info->text);
	else
		switch (info->type) {
		case CONFIG_SIZE:
			r = parse_size(info, text, &value, problem, problem_bytes);
			break;
		case CONFIG_NUMBER:
		case CONFIG_MS:
		case CONFIG_US:
			r = parse_number(info, text, &value, problem, problem_bytes);
			break;
		case CONFIG_CHOICE:
			r = parse_choice(info, text, &value, problem, problem_bytes);
			break;
		case CONFIG_MODE:
			r = parse_mode(info, text, &value, problem, problem_bytes);
			break;
		case CONFIG_PATH:
			r = parse_path(info, text, problem, problem_bytes);
			break;
		case CONFIG_TEXT:
			break;
		}
	if (r == 0)
		*ret_value = value;
	return r;
}

uint64_t config_bytes(const struct config_value *value, uint64_t whole)
{
	switch (value->kind) {
	case CONFIG_IS_NUMBER:
		return value->n;
	case CONFIG_IS_PERCENT:
		return whole / 100 * value->n + whole % 100 * value->n / 100;
	case CONFIG_IS_AUTO:
	case CONFIG_IS_NONE:
		break;
	}
	return 0;
}
