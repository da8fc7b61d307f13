/* tests/unit/test_fairness.c - daemon/session/limits: whose limits are whose, and that reclaim
 * keeps to them. */
#include "daemon/wire/unit.h"
#include "tests/unit/ladder_fixture.h"

static const struct limits_rule of_user = {.criteria = RULE_UID,
					   .uid = SHELL_UID,
					   .given = SHM_SET_MIN | SHM_SET_MAX,
					   .min = 100,
					   .max = 2000,
					   .match = "uid=1000"};
static const struct limits_rule of_name = {.criteria = RULE_NAME | RULE_UID,
					   .uid = SHELL_UID,
					   .name = "red*",
					   .given = SHM_SET_MIN | SHM_SET_WEIGHT,
					   .min = 300,
					   .weight = 7,
					   .match = "name=red* uid=1000"};

static const struct shm_client *shown(struct shell *s, struct shell_client c)
{
	return pool_client(s->pool.pool, c.id);
}

/* --- matching --- */

static bool fits(const char *glob, const char *name)
{
	struct limits_rule rule = {.criteria = RULE_NAME};

	strcpy(rule.name, glob);
	return limits_match(&rule, &(struct limits_who){.groups = &(struct session_groups){.n = 0},
							.name = name,
							.unit = ""});
}

static void names_fit_globs(void)
{
	CU_ASSERT(fits("redis", "redis"));
	CU_ASSERT_FALSE(fits("redis", "redis2"));
	CU_ASSERT(fits("redis*", "redis"));
	CU_ASSERT(fits("*", ""));
	CU_ASSERT(fits("*is*x", "redisisx"));
	CU_ASSERT(fits("r?dis", "redis"));
	CU_ASSERT_FALSE(fits("r?dis", "rdis"));
	CU_ASSERT_FALSE(fits("", "a"));
	CU_ASSERT(fits("a*b*c", "aXbbYbc"));
	CU_ASSERT_FALSE(fits("a*b*c", "aXbbYb"));
}

static void all_criteria_of_a_section_have_to_fit(void)
{
	struct limits_rule rule = {.criteria = RULE_UID | RULE_GID | RULE_UNIT,
				   .uid = 5,
				   .gid = 6,
				   .unit = "db.service"};

	struct session_groups groups = {.n = 2, .gid = {7, 8}};
	struct limits_who who = {
		.uid = 5, .gid = 6, .groups = &groups, .name = "x", .unit = "db.service"};

	CU_ASSERT(limits_match(&rule, &who));
	who.uid = 4;
	CU_ASSERT_FALSE(limits_match(&rule, &who));
	who.uid = 5;
	who.gid = 7;
	CU_ASSERT_FALSE(limits_match(&rule, &who));
	groups.gid[1] = 6; /* it need not be the primary one */
	CU_ASSERT(limits_match(&rule, &who));
	who.unit = "db2.service";
	CU_ASSERT_FALSE(limits_match(&rule, &who));
	who.unit = "";
	CU_ASSERT_FALSE(limits_match(&rule, &who));
}

static void a_unit_is_the_systems_and_no_users(void)
{
	char unit[SESSION_UNIT_BYTES];

	unit_parse("0::/system.slice/db.service\n", unit);
	CU_ASSERT_STRING_EQUAL(unit, "db.service");
	unit_parse("0::/user.slice/user-1.slice/user@1.service/app.slice/db.service\n", unit);
	CU_ASSERT_STRING_EQUAL(unit, "user@1.service");
	unit_parse("4:memory:/x.service\n1:name=systemd:/system.slice/a-b.slice/w@1.service/sub\n",
		   unit);
	CU_ASSERT_STRING_EQUAL(unit, "w@1.service");
	unit_parse("0::/user.slice/user-0.slice/session-3.scope", unit);
	CU_ASSERT_STRING_EQUAL(unit, "session-3.scope");
	unit_parse("0::/\n", unit);
	CU_ASSERT_STRING_EQUAL(unit, "");
	unit_parse("0::/docker/db.service\n", unit);
	CU_ASSERT_STRING_EQUAL(unit, "");
	unit_parse("", unit);
	CU_ASSERT_STRING_EQUAL(unit, "");
	unit_parse("nonsense", unit);
	CU_ASSERT_STRING_EQUAL(unit, "");
	unit_parse("0::/system.slice/"
		   "a-name-of-a-service-that-is-longer-than-it-may-be-to-fit-into-it.service\n",
		   unit);
	CU_ASSERT_STRING_EQUAL(unit, "");
}

/* --- where limits come from --- */

static void later_sections_win_key_by_key(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct limits_rule rules[] = {of_user, of_name};
	struct shell_client a, b;

	set_rules(s, rules, 2);
	a = shell_attach(s, "redis", 0);
	b = shell_attach(s, "other", 0);
	CU_ASSERT_EQUAL(shown(s, a)->min, 300);
	CU_ASSERT_EQUAL(shown(s, a)->max, 2000);
	CU_ASSERT_EQUAL(shown(s, a)->weight, 7);
	CU_ASSERT_STRING_EQUAL(shown(s, a)->limits_from, "name=red* uid=1000");
	CU_ASSERT_EQUAL(shown(s, b)->min, 100);
	CU_ASSERT_EQUAL(shown(s, b)->weight, 0);
	CU_ASSERT_STRING_EQUAL(shown(s, b)->limits_from, "uid=1000");
	/* A reload changes those who are there. */
	set_rules(s, rules, 0);
	CU_ASSERT_EQUAL(shown(s, a)->min, 0);
	CU_ASSERT_EQUAL(shown(s, a)->max, NR_FRAMES);
	CU_ASSERT_STRING_EQUAL(shown(s, a)->limits_from, "");
	shell_close(s);
}

static void what_is_set_wins_and_survives_a_new_server(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct limits_rule rules[] = {of_user};
	struct shell_client a;
	uint32_t root = shell_observe(s, 0);

	set_rules(s, rules, 1);
	a = shell_attach(s, "redis", 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MIN, 500)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_WEIGHT, 3)->status, 0);
	CU_ASSERT_EQUAL(shown(s, a)->min, 500);
	CU_ASSERT_EQUAL(shown(s, a)->max, 2000);
	CU_ASSERT_STRING_EQUAL(shown(s, a)->limits_from, "set");
	shell_restart(s, true);
	CU_ASSERT_EQUAL(shown(s, a)->min, 500);
	CU_ASSERT_EQUAL(shown(s, a)->weight, 3);
	CU_ASSERT_EQUAL(shown(s, a)->max, 2000);
	root = shell_observe(s, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MIN, SET_DEFAULT)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_WEIGHT, SET_DEFAULT)->status, 0);
	CU_ASSERT_EQUAL(shown(s, a)->min, 100);
	CU_ASSERT_STRING_EQUAL(shown(s, a)->limits_from, "uid=1000");
	shell_close(s);
}

static void what_cannot_be_is_refused_with_what_would_be_right(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	uint32_t root = shell_observe(s, 0), stranger = shell_observe(s, SHELL_UID);
	const struct message_reply *reply;

	CU_ASSERT_EQUAL(ask_set(s, stranger, a.id, SET_MIN, 5)->status, -EPERM);
	CU_ASSERT_EQUAL(ask_set(s, root, 99, SET_MIN, 5)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask_set(s, root, UINT32_MAX, SET_MIN, 5)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_NR_KEYS, 5)->status, -EOPNOTSUPP);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_HIGH, NR_FRAMES + 1)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_WEIGHT, 10001)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MIN, 3000)->status, 0);
	reply = ask_set(s, root, a.id, SET_HIGH, 2999);
	CU_ASSERT_EQUAL(reply->status, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "less than the client's min, which is 3000"));
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MAX, 2999)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_HIGH, 3000)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MIN, 3001)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MAX, 3100)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_LOW, 3101)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_HIGH, 0)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MAX, 0)->status, 0);
	reply = ask_set(s, root, b.id, SET_MIN, 2000);
	CU_ASSERT_EQUAL(reply->status, -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "at most 1080 would be right"));
	CU_ASSERT_EQUAL(shown(s, b)->min, 0);
	shell_close(s);
}

static void who_comes_last_gets_what_is_left_of_min(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct limits_rule rule = of_user;
	struct shell_client a, b;

	rule.given = SHM_SET_MIN;
	rule.min = 3000;
	set_rules(s, &rule, 1);
	a = shell_attach(s, "a", 0);
	b = shell_attach(s, "b", 0);
	CU_ASSERT_EQUAL(shown(s, a)->min, 3000);
	CU_ASSERT_EQUAL(shown(s, b)->min, NR_FRAMES - 3000 - pool_watermark_high(s->pool.pool));
	shell_close(s);
}

/* --- reclaim keeps to them --- */

static void a_storm_takes_nobody_below_its_min(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "quiet", 0), b = shell_attach(s, "storm", 0);
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;
	uint64_t n, id;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, a.id, SET_MIN, 1000)->status, 0);
	(void)shell_refill(s, a, MAGAZINE_HOT, 0);
	(void)shell_fill(s, a, NR_FRAMES - 1500);
	make_purgeable(s, a, 1200);
	n = fixture_pool_owned(&s->pool, a.id);
	shell_advance(s, 2 * SECOND); /* what can be purged is counted */
	for (uint32_t i = 0; i < 6000; i++) {
		id = shell_alloc_on(s, b, 0, 0, 100);
		while ((upcall = next_shrink(s, a.id)))
			(void)scan_frames(s, a, upcall, fixture_pool_owned(&s->pool, a.id) - 16);
		if (!shell_reply(s, b.conn, id))
			shell_advance(s, 200 * MS);
		CU_ASSERT_PTR_NOT_NULL_FATAL(shell_reply(s, b.conn, id));
		if (shell_reply(s, b.conn, id)->status)
			break;
	}
	CU_ASSERT_EQUAL(shell_reply(s, b.conn, id)->status, -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(shell_reply(s, b.conn, id)->text, "protected by their min"));
	CU_ASSERT(fixture_pool_owned(&s->pool, a.id) >= 1000);
	CU_ASSERT(fixture_pool_owned(&s->pool, a.id) < n);
	CU_ASSERT(shown(s, a)->nr_purged > 0);
	shell_close(s);
}

static void who_is_over_its_high_pays_first(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client a = shell_attach(s, "modest", 0), b = shell_attach(s, "greedy", 0);
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	CU_ASSERT_EQUAL(shell_register(s, b, 1)->status, 0);
	CU_ASSERT_EQUAL(ask_set(s, root, b.id, SET_HIGH, 1500)->status, 0);
	(void)shell_fill(s, a, NR_FRAMES - 2000);
	(void)shell_fill(s, b, pool_watermark_low(s->pool.pool) - 1);
	nudge(s);
	CU_ASSERT_PTR_NULL(next_shrink(s, a.id));
	while ((upcall = next_shrink(s, b.id)))
		(void)scan_frames(s, b, upcall, fixture_pool_owned(&s->pool, b.id));
	CU_ASSERT_PTR_NULL(next_shrink(s, a.id));
	CU_ASSERT(nr_free(s) >= pool_watermark_high(s->pool.pool));
	shell_close(s);
}

/* b may lose 50 before it is at its high; it is not asked for more, however much is wanted. */
static void nobody_is_asked_for_more_than_its_excess(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client b = shell_attach(s, "b", 0);
	struct message reclaim = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = 1000}};
	uint32_t root = shell_observe(s, 0);
	const struct message *upcall;

	CU_ASSERT_EQUAL(shell_register(s, b, 1)->status, 0);
	(void)shell_fill(s, b, NR_FRAMES - 2000);
	CU_ASSERT_EQUAL(ask_set(s, root, b.id, SET_MIN, 1950)->status, 0);
	(void)shell_say(s, root, &reclaim);
	upcall = next_shrink(s, b.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	shell_shrink_done(s, b.id, upcall, 2000, 0, 0);
	upcall = next_shrink(s, b.id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(upcall);
	CU_ASSERT(upcall->shrink.nr_frames <= 50);
	CU_ASSERT(upcall->shrink.nr_frames > 0);
	shell_close(s);
}

CU_TestInfo test_fairness[] = {
	{"names fit globs", names_fit_globs},
	{"all criteria of a section have to fit", all_criteria_of_a_section_have_to_fit},
	{"a unit is the system's and no user's", a_unit_is_the_systems_and_no_users},
	{"later sections win key by key", later_sections_win_key_by_key},
	{"what is set wins and survives a new server", what_is_set_wins_and_survives_a_new_server},
	{"what cannot be is refused with what would be right",
	 what_cannot_be_is_refused_with_what_would_be_right},
	{"who comes last gets what is left of min", who_comes_last_gets_what_is_left_of_min},
	{"a storm takes nobody below its min", a_storm_takes_nobody_below_its_min},
	{"who is over its high pays first", who_is_over_its_high_pays_first},
	{"nobody is asked for more than its excess", nobody_is_asked_for_more_than_its_excess},
	CU_TEST_INFO_NULL,
};
