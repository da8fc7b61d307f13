/* daemon/session/limits.c - min, low, high, max and weight of a client: where they come from.
 *
 * From three places, each over the one before, key by key:
 *   the configuration   every [client MATCH] section that fits, in the order of the files: the
 *                       later one wins; [limits] client_max is the max of whom none gives one
 *   the client          max_frames of its Hello lowers max, and only that
 *   an administrator    Set, kept in the client's record in STATE until it ends, so that a new
 *                       server applies it, too
 *
 * They are looked up when a client attaches, comes back or is set, and for all clients when the
 * configuration was read again. A user's process names itself, so a name is no proof; user, group
 * and unit are the kernel's and the service manager's word.
 *
 * The min of all clients together is kept below the segment without its high watermark, or reclaim
 * could not reach that from anybody. What cannot be kept is cut: who was there first keeps what it
 * has. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>
#include <string.h>

/* --- matching ------------------------------------------------------------------------------------
 */

/* `*` stands for any number of characters, `?` for one. Linear: only the last star is tried again.
 */
static bool glob_fits(const char *glob, const char *text)
{
	const char *star = NULL, *from = text;

	while (*text) {
		if (*glob == '*') {
			star = glob++;
			from = text;
		} else if (*glob == '?' || *glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

/* By any of its groups, as files are: which of them is the primary one a user may choose. */
static bool is_in_group(const struct limits_who *who, uint32_t gid)
{
	for (uint32_t i = 0; i < who->groups->n; i++)
		if (who->groups->gid[i] == gid)
			return true;
	return who->gid == gid;
}

bool limits_match(const struct limits_rule *rule, const struct limits_who *who)
{
	return (!(rule->criteria & RULE_UID) || rule->uid == who->uid) &&
	       (!(rule->criteria & RULE_GID) || is_in_group(who, rule->gid)) &&
	       (!(rule->criteria & RULE_UNIT) || strcmp(rule->unit, who->unit) == 0) &&
	       (!(rule->criteria & RULE_NAME) || glob_fits(rule->name, who->name));
}

static struct limits_who who_is(const struct session *session, client_id client)
{
	const struct shm_client *shown = pool_client(session->pool, client);

	return (struct limits_who){.uid = shown->uid,
				   .gid = shown->gid,
				   .groups = &session->groups[client],
				   .name = shown->name,
				   .unit = session->unit[client]};
}

static bool may_only_observe(const struct session *session, const struct limits_who *who)
{
	bool observe_only = false;

	for (uint32_t i = 0; i < session->limits.nr_rules; i++) {
		const struct limits_rule *rule = &session->limits.rule[i];

		if (rule->given & RULE_GIVES_ACCESS && limits_match(rule, who))
			observe_only = rule->observe_only;
	}
	return observe_only;
}

bool limits_observe_only(const struct session *session, const struct session_peer *peer,
			 const char *name)
{
	return may_only_observe(session, &(struct limits_who){.uid = peer->uid,
							      .gid = peer->gid,
							      .groups = &peer->groups,
							      .name = name,
							      .unit = peer->unit});
}

/* --- what is in force ----------------------------------------------------------------------------
 */

static void set_from(struct pool_limits *limits, const char *from)
{
	memset(limits->from, 0, sizeof limits->from);
	for (uint32_t i = 0; from[i] && i + 1 < sizeof limits->from; i++)
		limits->from[i] = from[i];
}

/* What the keys that are given say, of a rule or a record. */
struct given {
	uint32_t keys; /* SHM_SET_* */
	uint32_t weight;
	uint64_t min, low, high, max;
};

static void take_given(struct pool_limits *limits, const struct given *given, const char *from)
{
	if (given->keys & SHM_SET_MIN)
		limits->min = given->min;
	if (given->keys & SHM_SET_LOW)
		limits->low = given->low;
	if (given->keys & SHM_SET_HIGH)
		limits->high = given->high;
	if (given->keys & SHM_SET_MAX)
		limits->max = given->max;
	if (given->keys & SHM_SET_WEIGHT)
		limits->weight = given->weight;
	if (given->keys)
		set_from(limits, from);
}

static void take_rules(const struct session *session, client_id client, struct pool_limits *limits)
{
	struct limits_who who = who_is(session, client);

	for (uint32_t i = 0; i < session->limits.nr_rules; i++) {
		const struct limits_rule *rule = &session->limits.rule[i];

		if (limits_match(rule, &who))
			take_given(limits,
				   &(struct given){.keys = rule->given,
						   .weight = rule->weight,
						   .min = rule->min,
						   .low = rule->low,
						   .high = rule->high,
						   .max = rule->max},
				   rule->match);
	}
}

/* Frames that the min of this client may be at most: what the others leave. */
static uint64_t room_for_min(const struct session *session, client_id client)
{
	uint64_t kept = pool_watermark_high(session->pool), all = pool_nr_managed(session->pool);

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (id != client && pool_client_is_attached(session->pool, id))
			kept += pool_client(session->pool, id)->min;
	return all > kept ? all - kept : 0;
}

static struct pool_limits limits_of(const struct session *session, client_id client)
{
	const struct shm_record *record = pool_client_record(session->pool, client);
	struct pool_limits limits = {.max = session->limits.client_max_frames};

	if (limits.max)
		set_from(&limits, "limits.client_max");
	take_rules(session, client, &limits);
	if (record->max_frames && (limits.max == 0 || record->max_frames < limits.max)) {
		limits.max = record->max_frames;
		if (limits.from[0] == '\0')
			set_from(&limits, "the client");
	}
	take_given(&limits,
		   &(struct given){.keys = record->set,
				   .weight = record->set_weight,
				   .min = record->set_min,
				   .low = record->set_low,
				   .high = record->set_high,
				   .max = record->set_max},
		   "set");
	return limits;
}

/* Where its requests start: as the last section that fits says, if one does. */
static void apply_zone(struct session *session, client_id client)
{
	struct limits_who who = who_is(session, client);
	const char *zone = "";

	for (uint32_t i = 0; i < session->limits.nr_rules; i++) {
		const struct limits_rule *rule = &session->limits.rule[i];

		if (rule->given & SHM_SET_ZONE && limits_match(rule, &who))
			zone = rule->zone;
	}
	pool_client_set_zone(session->pool, client, zone);
}

void limits_apply(struct session *session, client_id client)
{
	struct pool_limits limits = limits_of(session, client);
	uint64_t room = room_for_min(session, client);

	if (limits.min > room) {
		session_log(session, LOG_LEVEL_WARNING, LOG_ID_CLIENT_MIN_CUT, client,
			    "client %u (%s): of its min of %l frames only %l can be kept; the rest "
			    "is kept for others",
			    client, pool_client(session->pool, client)->name, limits.min, room);
		limits.min = room;
	}
	pool_client_set_limits(session->pool, client, &limits);
	apply_zone(session, client);
}

/* Who attached before keeps its frames, and says itself when it is done. */
static void tell_who_stays(struct session *session)
{
	client_id first = CLIENT_NONE;
	uint32_t n = 0;

	for (client_id id = SHM_MAX_CLIENTS; id >= 1; id--) {
		struct limits_who who = who_is(session, id);

		if (!pool_client_is_attached(session->pool, id) || !may_only_observe(session, &who))
			continue;
		first = id;
		n++;
	}
	if (n)
		session_log(session, LOG_LEVEL_WARNING, LOG_ID_CLIENTS_STAY, CLIENT_NONE,
			    "access = observe is for those that come: %u clients that it would "
			    "refuse now stay attached until they close, the first is %u (%s)",
			    n, first, pool_client(session->pool, first)->name);
}

void limits_apply_all(struct session *session)
{
	/* What was kept for one may be free for another now. */
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(session->pool, id))
			shm_store(&pool_client(session->pool, id)->min, 0);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(session->pool, id))
			limits_apply(session, id);
	tell_who_stays(session);
}

/* --- Set -----------------------------------------------------------------------------------------
 */

struct other_limit {
	const char *name; /* NULL: none */
	uint64_t frames;
};

/* The limit in force that the value would contradict. */
static struct other_limit contradicted(const struct session *session, const struct message_set *set)
{
	const struct shm_client *shown = pool_client(session->pool, (client_id)set->client);
	bool is_floor = set->key == SET_MIN || set->key == SET_LOW;
	bool is_ceiling = (set->key == SET_HIGH || set->key == SET_MAX) && set->value > 0;

	if (set->key == SET_MIN && set->value > shown->high)
		return (struct other_limit){"high", shown->high};
	if (is_floor && set->value > shown->max)
		return (struct other_limit){"max", shown->max};
	if (is_ceiling && set->value < shown->min)
		return (struct other_limit){"min", shown->min};
	if (is_ceiling && set->key == SET_MAX && set->value < shown->low)
		return (struct other_limit){"low", shown->low};
	return (struct other_limit){NULL, 0};
}

static bool judge_order(struct session *session, uint32_t conn, uint64_t id,
			const struct message_set *set)
{
	struct other_limit other = contradicted(session, set);

	if (!other.name)
		return true;
	session_refuse(session, conn, id, -EINVAL,
		       "%l frames are %s than the client's %s, which is %l; set that first",
		       set->value, set->value > other.frames ? "more" : "less", other.name,
		       other.frames);
	return false;
}

/* Why the value would be wrong; false: it has been said. */
static bool judge(struct session *session, uint32_t conn, uint64_t id,
		  const struct message_set *set)
{
	uint64_t all = pool_nr_managed(session->pool);
	uint64_t room = room_for_min(session, (client_id)set->client);

	if (set->value == SET_DEFAULT)
		return true;
	if (set->key == SET_WEIGHT && set->value > 10000)
		session_refuse(session, conn, id, -EINVAL,
			       "weight %l is more than 10000; a number from 0 to that would be "
			       "right, and 0 is no share",
			       set->value);
	else if (set->key != SET_WEIGHT && set->value > all)
		session_refuse(session, conn, id, -EINVAL,
			       "%l frames are more than the %l of the segment", set->value, all);
	else if (set->key == SET_MIN && set->value > room)
		session_refuse(session, conn, id, -ENOSPC,
			       "a min of %l frames cannot be kept: others have theirs, and the "
			       "watermark is kept free; at most %l would be right",
			       set->value, room);
	else
		return judge_order(session, conn, id, set);
	return false;
}

void limits_set(struct session *session, uint32_t conn, uint64_t id, const struct message_set *set)
{
	static const uint32_t bits[SET_NR_KEYS] = {
		[SET_MIN] = SHM_SET_MIN, [SET_LOW] = SHM_SET_LOW,       [SET_HIGH] = SHM_SET_HIGH,
		[SET_MAX] = SHM_SET_MAX, [SET_WEIGHT] = SHM_SET_WEIGHT,
	};

	if (set->client > SHM_MAX_CLIENTS ||
	    !pool_client_is_attached(session->pool, (client_id)set->client)) {
		session_refuse(session, conn, id, -ESRCH,
			       "no client %u is attached; pagectl clients lists them", set->client);
		return;
	}
	if (!judge(session, conn, id, set))
		return;
	pool_client_override(session->pool, (client_id)set->client, bits[set->key],
			     set->value == SET_DEFAULT ? NULL : &set->value);
	limits_apply(session, (client_id)set->client);
	session_reply(session, conn, id);
}
