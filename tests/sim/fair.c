/* tests/sim/fair.c - min, low, high, max and weight: who gives them, and that a purge keeps min.
 *
 * Limits come by sections of the configuration, which the weather changes, and by Set. What is
 * checked is the daemon's own account: in a step in which frames of a client were purged, it is
 * charged no less than its min afterwards. A step grants and steals before it purges, so nothing
 * but a purge can be the reason if it is. */
#include "tests/sim/sim.h"

#include <string.h>

/* A number of frames around what a process likes to have; 0 now and then. */
static uint64_t some_frames(struct sim *s)
{
	return sim_chance(s, 4) ? 0 : sim_below(s, s->nr_frames / SIM_CLIENTS * 3);
}

/* The sections of the configuration, each for the processes of one name. */
void fair_draw_rules(struct sim *s, struct session_limits *limits)
{
	limits->nr_rules = sim_below(s, 4);
	for (uint32_t i = 0; i < limits->nr_rules; i++) {
		struct limits_rule *rule = &limits->rule[i];

		memset(rule, 0, sizeof *rule);
		rule->criteria = sim_chance(s, 4) ? RULE_UID : RULE_NAME;
		rule->uid = 1000;
		memcpy(rule->name, "process ?", 9);
		if (!sim_chance(s, 3))
			rule->name[8] = (char)('a' + sim_below(s, SIM_NAMES));
		memcpy(rule->match, "a section", 9);
		rule->given = sim_below(s, 32) & ~(uint32_t)SHM_SET_MAX;
		rule->min = some_frames(s);
		rule->low = some_frames(s);
		rule->high = some_frames(s);
		rule->weight = sim_below(s, 400);
	}
}

/* Never a max that would keep a process from taking what another gives it. */
void fair_draw_set(struct sim *s, struct message_set *set)
{
	set->key = sim_chance(s, 4) ? sim_below(s, SET_NR_KEYS + 1) : sim_below(s, SET_MAX);
	set->client = sim_below(s, SIM_CLIENTS + 10);
	set->value = some_frames(s);
	if (set->key == SET_MAX)
		set->value += 200;
	else if (set->key == SET_PRESSURE)
		set->value = sim_below(s, 5);
	else if (set->key == SET_SIZE)
		set->value = s->nr_frames / 2 + sim_below(s, s->nr_frames / 2 + 10);
	if (sim_chance(s, 5))
		set->value = SET_DEFAULT;
}

/* --- min ----------------------------------------------------------------------------------------
 */

void fair_note(struct sim *s)
{
	s->last_before = s->pool->last_table;
	for (client_id id = 1; id <= s->last_before; id++) {
		struct shm_client *shown = pool_client(s->pool, id);
		struct sim_share *before = &s->before[id];

		before->nr_purged = shown->nr_purged;
		before->min = shown->min;
		if (s->control == CONTROL_BELOW_MIN)
			shown->min = 0;
	}
}

/* After a step, whether or not the server outlived it. */
void fair_restore(struct sim *s)
{
	for (client_id id = 1; s->control == CONTROL_BELOW_MIN && id <= s->last_before; id++)
		if (pool_client(s->pool, id)->min == 0)
			pool_client(s->pool, id)->min = s->before[id].min;
}

void fair_check(struct sim *s)
{
	for (client_id id = 1; id <= s->last_before; id++) {
		const struct shm_client *shown = pool_client(s->pool, id);
		const struct sim_share *before = &s->before[id];
		uint64_t min = shown->min < before->min ? shown->min : before->min;
		uint64_t charged = shown->nr_owned + shown->nr_shared;

		if (shown->nr_purged <= before->nr_purged || !pool_client_is_attached(s->pool, id))
			continue;
		if (min)
			sim_cover(s, FAULT_PURGED_WITH_MIN);
		if (charged < min)
			sim_fail(s, "client %u has a min of %lu frames, and was purged to %lu", id,
				 (unsigned long)min, (unsigned long)charged);
	}
}
