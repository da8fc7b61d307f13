/* daemon/host/config_client.c - the sections [client MATCH]: limits of the clients that fit.
 *
 * MATCH is one or more of uid=, gid=, unit= and name=, separated by spaces; a client has to fit all
 * of them. Users and groups are names or numbers. A unit is a service of the system's manager, as
 * /proc/PID/cgroup has it: what runs in a user's own manager is of unit user@UID.service, so that
 * no user can call a service of theirs as one of the system's. A name is the client's own choice,
 * with * and ?.
 *
 * Each section is an entry of its own, in the order of the files, also if its MATCH was there
 * before: what is read later wins, key by key (daemon/session/limits.c). */
#include "daemon/host/config.h"
#include "paged/bits.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static const struct config_info keys[CONFIG_NR_CLIENT_KEYS] = {
#define X(key_, bit_, type_, high_, flags_)                                                        \
	[CONFIG_CLIENT_##                                                                          \
		key_] = {.section = "client",                                                      \
			 .key = #key_,                                                             \
			 .text = CONFIG_##type_ == CONFIG_SIZE   ? "1G"                            \
				 : CONFIG_##type_ == CONFIG_TEXT ? "normal"                        \
								 : "100",                          \
			 .choices = CONFIG_##type_ == CONFIG_CHOICE ? "full|observe" : "",         \
			 .help = "",                                                               \
			 .type = CONFIG_##type_,                                                   \
			 .high = high_,                                                            \
			 .flags = flags_},
	CONFIG_CLIENT_KEYS(X)
#undef X
};

/* --- MATCH -----------------------------------------------------------------------------------
 */

/* A decimal number, all of text; false: it is none. */
static bool read_id(const char *text, uint32_t *ret_id)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	n = strtoul(text, &end, 10);
	if (*end || n >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)n;
	return true;
}

/* Each returns NULL, or what would be right. */
static const char *take_uid(struct limits_rule *rule, const char *text)
{
	const struct passwd *user;

	rule->criteria |= RULE_UID;
	if (read_id(text, &rule->uid))
		return NULL;
	user = getpwnam(text);
	if (!user)
		return "there is no such user; one of /etc/passwd, or its number, would be right";
	rule->uid = user->pw_uid;
	return NULL;
}

static const char *take_gid(struct limits_rule *rule, const char *text)
{
	const struct group *group;

	rule->criteria |= RULE_GID;
	if (read_id(text, &rule->gid))
		return NULL;
	group = getgrnam(text);
	if (!group)
		return "there is no such group; one of /etc/group, or its number, would be right";
	rule->gid = group->gr_gid;
	return NULL;
}

static const char *take_unit(struct limits_rule *rule, const char *text)
{
	rule->criteria |= RULE_UNIT;
	if (!strchr(text, '.') || strlen(text) >= sizeof(rule->unit))
		return "is no unit; NAME.service or NAME.scope, at most 63 bytes, would be right";
	(void)snprintf(rule->unit, sizeof(rule->unit), "%s", text);
	return NULL;
}

static const char *take_name(struct limits_rule *rule, const char *text)
{
	rule->criteria |= RULE_NAME;
	if (text[0] == '\0' || strlen(text) >= sizeof(rule->name))
		return "is no name; 1 to 31 bytes, with * and ?, would be right";
	(void)snprintf(rule->name, sizeof(rule->name), "%s", text);
	return NULL;
}

/* One `what=value`; NULL or what would be right. */
static const char *take_criterion(struct limits_rule *rule, const char *text)
{
	static const struct {
		const char *what;
		const char *(*take)(struct limits_rule *rule, const char *text);
		uint32_t bit;
	} takers[] = {{"uid=", take_uid, RULE_UID},
		      {"gid=", take_gid, RULE_GID},
		      {"unit=", take_unit, RULE_UNIT},
		      {"name=", take_name, RULE_NAME}};

	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		size_t n = strlen(takers[i].what);

		if (strncmp(text, takers[i].what, n) != 0)
			continue;
		if (rule->criteria & takers[i].bit)
			return "stands there twice; once would be right";
		return takers[i].take(rule, text + n);
	}
	return "is no criterion; uid=, gid=, unit= or name= would be right";
}

static bool parse_match(struct config_client *client, const char *file, uint32_t line,
			const char *section, const char *match, struct config_errors *errors)
{
	char words[CONFIG_TEXT_BYTES];
	char *rest = words;

	(void)snprintf(words, sizeof(words), "%s", match);
	for (char *word; (word = strtok_r(rest, " \t", &rest));) {
		const char *problem = take_criterion(&client->rule, word);

		if (!problem)
			continue;
		config_error(errors, file, line, section, "", "\"%.40s\" %s", word, problem);
		return false;
	}
	if (client->rule.criteria == 0)
		config_error(errors, file, line, section, "",
			     "fits nobody; [client name=redis*] or with uid=, gid=, unit=, joined "
			     "by spaces, would be right");
	return client->rule.criteria != 0;
}

/* --- a line -----------------------------------------------------------------------------------
 */

static void begin(struct config *config, const char *file, uint32_t line, const char *section,
		  const char *match, struct config_errors *errors)
{
	struct config_client *client = &config->client[config->nr_clients];

	config->client_is_open = false;
	if (config->nr_clients == CONFIG_MAX_CLIENTS) {
		config_error(errors, file, line, section, "",
			     "too many [client] sections; at most %u would be right",
			     CONFIG_MAX_CLIENTS);
		return;
	}
	memset(client, 0, sizeof(*client));
	if (!parse_match(client, file, line, section, match, errors))
		return;
	(void)snprintf(client->match, sizeof(client->match), "%s", match);
	/* Cut: it is for people, and `match` has all of it. */
	(void)snprintf(client->rule.match, sizeof(client->rule.match), "%.31s", match);
	(void)snprintf(client->file, sizeof(client->file), "%s", file);
	client->line = line;
	config->client_is_open = true;
	config->nr_clients++;
}

void config_set_client(struct config *config, const char *file, uint32_t line, const char *section,
		       const char *key, const char *text, struct config_errors *errors)
{
	const char *match = section + strlen("client");

	match += strspn(match, " \t");
	if (!key) {
		begin(config, file, line, section, match, errors);
		return;
	}
	if (!config->client_is_open)
		return; /* what is wrong with the section has been said */
	for (uint32_t i = 0; i < CONFIG_NR_CLIENT_KEYS; i++)
		if (strcmp(keys[i].key, key) == 0) {
			config_set_value(&keys[i], &config->client[config->nr_clients - 1].value[i],
					 file, line, section, text, errors);
			return;
		}
	config_error(errors, file, line, section, key,
		     "no such key; min, low, high, max, weight, zone or access would be right");
}

/* --- what it means ----------------------------------------------------------------------------
 */

static bool is_given(const struct config_client *client, enum config_client_key key)
{
	return client->value[key].line > 0;
}

static uint64_t bytes_of(const struct config_client *client, enum config_client_key key,
			 uint64_t segment_bytes)
{
	return config_bytes(&client->value[key], segment_bytes);
}

/* One key of a section that may not be more than another, where both are given. */
static void check_order(const struct config_client *client, enum config_client_key less,
			enum config_client_key more, uint64_t segment_bytes,
			struct config_errors *errors)
{
	const struct config_value *a = &client->value[less], *b = &client->value[more];
	char section[sizeof("client ") + CONFIG_TEXT_BYTES];

	if (!is_given(client, less) || !is_given(client, more) ||
	    bytes_of(client, less, segment_bytes) <= bytes_of(client, more, segment_bytes))
		return;
	(void)snprintf(section, sizeof(section), "client %s", client->match);
	config_error(errors, a->file, a->line, section, keys[less].key,
		     "\"%s\" is more than its %s, \"%s\"; at most that would be right", a->text,
		     keys[more].key, b->text);
}

static void check_min(const struct config *config, const struct config_client *client,
		      uint64_t segment_bytes, struct config_errors *errors)
{
	const struct config_value *min = &client->value[CONFIG_CLIENT_min];
	uint64_t free = config_bytes(&config->value[CONFIG_reclaim_min_free], segment_bytes);
	char section[sizeof("client ") + CONFIG_TEXT_BYTES];

	if (bytes_of(client, CONFIG_CLIENT_min, segment_bytes) <= segment_bytes - free)
		return;
	(void)snprintf(section, sizeof(section), "client %s", client->match);
	config_error(errors, min->file, min->line, section, "min",
		     "\"%s\" is more than the segment has beside min_free; at most %lluM would be "
		     "right",
		     min->text, (unsigned long long)((segment_bytes - free) >> 20));
}

void config_check_clients(const struct config *config, uint64_t segment_bytes,
			  struct config_errors *errors)
{
	for (uint32_t i = 0; i < config->nr_clients; i++) {
		const struct config_client *client = &config->client[i];

		check_min(config, client, segment_bytes, errors);
		check_order(client, CONFIG_CLIENT_min, CONFIG_CLIENT_high, segment_bytes, errors);
		check_order(client, CONFIG_CLIENT_min, CONFIG_CLIENT_max, segment_bytes, errors);
		check_order(client, CONFIG_CLIENT_low, CONFIG_CLIENT_max, segment_bytes, errors);
	}
}

void config_rules(const struct config *config, uint64_t segment_bytes, uint32_t page_shift,
		  struct session_limits *limits)
{
	limits->nr_rules = config->nr_clients;
	for (uint32_t i = 0; i < config->nr_clients; i++) {
		const struct config_client *client = &config->client[i];
		struct limits_rule *rule = &limits->rule[i];
		uint64_t *const frames[] = {[CONFIG_CLIENT_min] = &rule->min,
					    [CONFIG_CLIENT_low] = &rule->low,
					    [CONFIG_CLIENT_high] = &rule->high,
					    [CONFIG_CLIENT_max] = &rule->max};

		*rule = client->rule;
#define X(key_, bit_, type_, high_, flags_)                                                        \
	rule->given |= is_given(client, CONFIG_CLIENT_##key_) ? bit_ : 0;
		CONFIG_CLIENT_KEYS(X)
#undef X
		for (size_t k = 0; k < sizeof(frames) / sizeof(frames[0]); k++) {
			uint64_t bytes = bytes_of(client, (enum config_client_key)k, segment_bytes);

			*frames[k] = bytes ? bits_max(bytes >> page_shift, 1) : 0;
		}
		rule->weight = (uint32_t)client->value[CONFIG_CLIENT_weight].n;
		rule->observe_only = client->value[CONFIG_CLIENT_access].n == 1;
		if (is_given(client, CONFIG_CLIENT_zone))
			(void)snprintf(rule->zone, sizeof(rule->zone), "%.31s",
				       client->value[CONFIG_CLIENT_zone].text);
	}
}

const struct config_info *config_client_key(const struct config *config, uint32_t client,
					    uint32_t key, const struct config_value **ret_value)
{
	if (key >= CONFIG_NR_CLIENT_KEYS)
		return NULL;
	*ret_value = &config->client[client].value[key];
	return &keys[key];
}

bool config_same_clients(const struct config *a, const struct config *b)
{
	if (a->nr_clients != b->nr_clients)
		return false;
	for (uint32_t i = 0; i < a->nr_clients; i++) {
		const struct config_client *one = &a->client[i], *two = &b->client[i];

		if (memcmp(&one->rule, &two->rule, sizeof(one->rule)) != 0)
			return false;
		for (uint32_t k = 0; k < CONFIG_NR_CLIENT_KEYS; k++)
			if (one->value[k].kind != two->value[k].kind ||
			    one->value[k].n != two->value[k].n ||
			    (k == CONFIG_CLIENT_zone &&
			     strcmp(one->value[k].text, two->value[k].text) != 0) ||
			    !one->value[k].line != !two->value[k].line)
				return false;
	}
	return true;
}

void config_take_clients(struct config *config, const struct config *from)
{
	memcpy(config->client, from->client, sizeof(config->client));
	config->nr_clients = from->nr_clients;
}

void config_print_clients(const struct config *config, FILE *file)
{
	if (config->nr_clients == 0)
		(void)fputs(
			"\n# Limits of clients: min is never reclaimed, low is spared while others "
			"have more, above high a\n# client pays first, above max it gets nothing. "
			"Sizes or percent of the segment; weight: shares of\n# it. MATCH is uid=, "
			"gid= (any of its groups), unit=NAME.service or name=GLOB, joined by "
			"spaces.\n"
			"# All sections that fit count, the later ones win key by key. access: "
			"full, "
			"or observe, which may\n# look at META as pagectl does and attach no "
			"client; who is attached when this is read again\n# stays.\n"
			"#[client name=redis* uid=redis]\n#min = 64M\n#low = 10%\n#high = "
			"25%\n#max = 50%\n#weight = 100\n#access = full\n",
			file);
	for (uint32_t i = 0; i < config->nr_clients; i++) {
		const struct config_client *client = &config->client[i];

		(void)fprintf(file, "\n[client %s]\n", client->match);
		for (uint32_t k = 0; k < CONFIG_NR_CLIENT_KEYS; k++)
			if (client->value[k].line)
				(void)fprintf(file, "%s = %s\n", keys[k].key,
					      client->value[k].text);
	}
}
