/* tests/unit/test_pressure.c - daemon/session/stall and pressure: who is stalled for how long,
 * which level that is, who is told, and what the machine gets back. All under the fixture's clock.
 */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

extern CU_TestInfo test_pressure[];

#define NR_FRAMES 4096u

static struct shell *open_shell(uint64_t give_back_ns)
{
	struct shell *s = shell_open(NR_FRAMES);

	s->limits.give_back_ns = give_back_ns;
	s->limits.shrink_deadline_ns = 1000 * SECOND; /* a callback that hangs may help one day */
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
	return s;
}

static const struct shm_psi *psi_of(struct shell *s, client_id client)
{
	return client == CLIENT_NONE ? &pool_meta(s->pool.pool)->psi
				     : &pool_client(s->pool.pool, client)->psi;
}

static uint64_t some_us(struct shell *s, client_id client)
{
	return psi_of(s, client)->total_us[SHM_PSI_SOME];
}

static uint64_t full_us(struct shell *s, client_id client)
{
	return psi_of(s, client)->total_us[SHM_PSI_FULL];
}

/* All that may be granted is a's, and c has a cache that hangs: who waits for it, waits. */
struct story {
	struct shell *s;
	struct shell_client a, b, c;
	pfn_t pfn; /* one of a's frames */
};

static struct story begin_story(void)
{
	struct story story = {.s = open_shell(0)};
	struct shell *s = story.s;

	story.a = shell_attach(s, "a", 0);
	story.b = shell_attach(s, "b", 0);
	story.c = shell_attach(s, "c", 0);
	CU_ASSERT_EQUAL(shell_register(s, story.c, 1)->status, 0);
	story.pfn = (pfn_t)(shell_alloc(s, story.a, 0, 0)->result >> 32);
	(void)shell_fill(s, story.a, pool_watermark_min(s->pool.pool));
	shell_advance(s, 2 * SECOND); /* whoever was active is not any more */
	return story;
}

static uint64_t wait_for(struct shell *s, struct shell_client client, uint32_t lane)
{
	return shell_alloc_on(s, client, lane, 0, 9000);
}

static void give_one(struct story *story)
{
	CU_ASSERT_EQUAL(shell_free(story->s, story->a, story->pfn, 0)->status, 0);
}

/* --- PSI --- */

static void a_parked_request_stalls_its_client(void)
{
	struct story story = begin_story();
	struct shell *s = story.s;
	uint64_t before = some_us(s, CLIENT_NONE);
	uint64_t id = wait_for(s, story.b, 1);

	CU_ASSERT_PTR_NULL(shell_reply(s, story.b.conn, id));
	CU_ASSERT(session_is_stalled(s->session));
	shell_advance(s, 300 * MS);
	CU_ASSERT_EQUAL(session_stalled_ns(s->session, SHM_PSI_SOME, s->now_ns) / 1000,
			before + 300000);
	give_one(&story);
	CU_ASSERT_PTR_NOT_NULL(shell_reply(s, story.b.conn, id));
	CU_ASSERT_FALSE(session_is_stalled(s->session));
	shell_advance(s, 5 * SECOND);
	CU_ASSERT_EQUAL(some_us(s, CLIENT_NONE), before + 300000);
	CU_ASSERT_EQUAL(some_us(s, story.b.id), 300000);
	CU_ASSERT_EQUAL(full_us(s, story.b.id), 300000); /* one thread */
	CU_ASSERT_EQUAL(some_us(s, story.a.id), 0);
	CU_ASSERT_EQUAL(pool_zone(s->pool.pool, 0)->psi.total_us[SHM_PSI_SOME], before + 300000);
	CU_ASSERT(psi_of(s, CLIENT_NONE)->avg[SHM_PSI_SOME][0] > 0);
	shell_close(s);
}

static void it_is_full_once_the_others_are_idle(void)
{
	struct story story = begin_story();
	struct shell *s = story.s;
	uint64_t some = some_us(s, CLIENT_NONE), full = full_us(s, CLIENT_NONE);
	struct message status = {.kind = MESSAGE_STATUS};

	(void)wait_for(s, story.b, 1);
	shell_advance(s, 100 * MS); /* full: a has been idle for long */
	CU_ASSERT_EQUAL(shell_ask(s, story.a.conn, &status)->status, 0);
	shell_advance(s, 1500 * MS); /* a second of it a counts as active */
	give_one(&story);
	CU_ASSERT_EQUAL(some_us(s, CLIENT_NONE) - some, 1600000);
	CU_ASSERT_EQUAL(full_us(s, CLIENT_NONE) - full, 600000);
	shell_close(s);
}

static void a_client_that_goes_takes_its_stall_along(void)
{
	struct story story = begin_story();
	struct shell *s = story.s;

	(void)wait_for(s, story.b, 1);
	(void)wait_for(s, story.b, 2);
	shell_advance(s, 100 * MS);
	shell_kill(s, story.b);
	CU_ASSERT_FALSE(session_is_stalled(s->session));
	CU_ASSERT_EQUAL(s->session->stall.nr_in_zone[0], 0);
	story.b = shell_attach(s, "next", 0);
	CU_ASSERT_EQUAL(some_us(s, story.b.id), 0);
	shell_close(s);
}

static void totals_go_on_in_the_next_server(void)
{
	struct story story = begin_story();
	struct shell *s = story.s;
	uint64_t before;

	(void)wait_for(s, story.b, 1);
	shell_advance(s, 2500 * MS);
	before = some_us(s, CLIENT_NONE);
	CU_ASSERT(before >= 2000000);
	shell_restart(s, true);
	shell_advance(s, 3 * SECOND);
	CU_ASSERT_EQUAL(some_us(s, CLIENT_NONE), before);
	shell_close(s);
}

/* --- levels --- */

static uint32_t level(struct shell *s)
{
	CU_ASSERT_EQUAL(pool_meta(s->pool.pool)->level, s->session->pressure.level);
	return pool_meta(s->pool.pool)->level;
}

/* The level that client heard of last, since this was last asked; -1: none. */
static int told(struct shell *s, struct shell_client client)
{
	int last = s->n_told[client.id] ? (int)s->told[client.id] : -1;

	s->n_told[client.id] = 0;
	return last;
}

static void levels_rise_at_once_and_fall_after_a_calm(void)
{
	struct shell *s = open_shell(0);
	struct shell_client a = shell_attach(s, "a", 0), b = shell_attach(s, "b", 0);
	pfn_t pfn = (pfn_t)(shell_alloc(s, a, 9, 0)->result >> 32);

	CU_ASSERT_EQUAL(level(s), LEVEL_NONE);
	(void)shell_fill(s, a, pool_watermark_low(s->pool.pool) - 1);
	shell_advance(s, SECOND);
	CU_ASSERT_EQUAL(level(s), LEVEL_LOW);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_LOW);
	CU_ASSERT_EQUAL(told(s, b), LEVEL_LOW);
	CU_ASSERT_EQUAL(shell_ask(s, b.conn, &(struct message){.kind = MESSAGE_STATUS})->level,
			LEVEL_LOW);
	CU_ASSERT_EQUAL(shell_alloc(s, b, 5, REQUEST_NOWAIT)->status, -EAGAIN);
	CU_ASSERT_EQUAL(shell_free(s, a, pfn, 9)->status, 0);
	CU_ASSERT_EQUAL(level(s), LEVEL_LOW);
	shell_advance(s, 900 * MS);
	CU_ASSERT_EQUAL(level(s), LEVEL_LOW);
	shell_advance(s, 2 * SECOND);
	CU_ASSERT_EQUAL(level(s), LEVEL_NONE);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_NONE);
	CU_ASSERT_EQUAL(told(s, b), LEVEL_NONE);
	shell_close(s);
}

static void who_waits_makes_it_medium_and_who_fails_critical(void)
{
	struct story story = begin_story();
	struct shell *s = story.s;
	uint64_t id = shell_alloc_on(s, story.b, 1, 0, 200);

	CU_ASSERT_EQUAL(level(s), LEVEL_MEDIUM);
	CU_ASSERT_EQUAL(told(s, story.a), LEVEL_MEDIUM);
	shell_advance(s, 250 * MS);
	CU_ASSERT_EQUAL(shell_reply(s, story.b.conn, id)->status, -ENOMEM);
	CU_ASSERT_EQUAL(level(s), LEVEL_CRITICAL);
	CU_ASSERT_EQUAL(told(s, story.a), LEVEL_CRITICAL);
	shell_advance(s, 5 * SECOND);
	CU_ASSERT_EQUAL(level(s), LEVEL_LOW); /* all is still a's */
	CU_ASSERT_EQUAL(told(s, story.a), LEVEL_LOW);
	shell_close(s);
}

static void a_block_too_large_for_the_pool_is_no_lack(void)
{
	struct shell *s = open_shell(0);
	struct shell_client a = shell_attach(s, "a", 0);

	CU_ASSERT(shell_alloc(s, a, 12, 0)->status < 0);
	CU_ASSERT(level(s) < LEVEL_CRITICAL);
	shell_close(s);
}

static void the_higher_of_own_and_machine_counts(void)
{
	struct shell *s = open_shell(0);
	struct shell_client a = shell_attach(s, "a", 0), late;

	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_MEDIUM});
	CU_ASSERT_EQUAL(level(s), LEVEL_MEDIUM);
	CU_ASSERT_EQUAL(pool_meta(s->pool.pool)->machine_level, LEVEL_MEDIUM);
	CU_ASSERT_EQUAL(pool_meta(s->pool.pool)->own_level, LEVEL_NONE);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_MEDIUM);
	late = shell_attach(s, "late", 0);
	CU_ASSERT_EQUAL(told(s, late), -1); /* its Hello was answered with it */
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, late.id)->level, LEVEL_MEDIUM);
	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_NONE});
	CU_ASSERT_EQUAL(level(s), LEVEL_NONE);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_NONE);
	CU_ASSERT_EQUAL(told(s, late), LEVEL_NONE);
	shell_close(s);
}

static void a_client_without_events_hears_of_it_when_it_is_back(void)
{
	struct shell *s = open_shell(0);
	struct shell_client a = shell_attach(s, "a", 0);

	shell_event(s, &(struct session_event){.kind = EVENT_EVENTS_CLOSED, .client = a.id});
	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_LOW});
	CU_ASSERT_EQUAL(told(s, a), -1);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, a.id)->level, LEVEL_LOW);
	pressure_resumed(s->session, a.id);
	s->session->client[a.id].events_open = true;
	shell_advance(s, 2 * SECOND);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_LOW);
	shell_close(s);
}

static void a_thousand_clients_are_told_in_bounded_steps(void)
{
	struct shell *s = open_shell(0);
	struct shell_client client[600];

	for (uint32_t i = 0; i < 600; i++)
		client[i] = shell_attach(s, "one", 0);
	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_LOW});
	for (uint32_t i = 0; i < 600; i++)
		CU_ASSERT_EQUAL(s->n_told[client[i].id], 1);
	shell_close(s);
}

/* --- the administrator --- */

static const struct message_reply *simulate(struct shell *s, uint32_t conn, uint64_t value)
{
	return shell_ask(s, conn,
			 &(struct message){.kind = MESSAGE_SET,
					   .set = {.key = SET_PRESSURE, .value = value}});
}

static void simulated_pressure_stands_for_the_machine(void)
{
	struct shell *s = open_shell(0);
	uint32_t root = shell_observe(s, 0), nobody = shell_observe(s, SHELL_UID);

	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_LOW});
	CU_ASSERT_EQUAL(simulate(s, nobody, LEVEL_CRITICAL)->status, -EPERM);
	CU_ASSERT_EQUAL(simulate(s, root, 4)->status, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(simulate(s, root, 4)->text, "3 (critical)"));
	CU_ASSERT_EQUAL(level(s), LEVEL_LOW);
	CU_ASSERT_EQUAL(simulate(s, root, LEVEL_CRITICAL)->status, 0);
	CU_ASSERT_EQUAL(level(s), LEVEL_CRITICAL);
	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = LEVEL_MEDIUM});
	CU_ASSERT_EQUAL(level(s), LEVEL_CRITICAL);
	CU_ASSERT_EQUAL(simulate(s, root, LEVEL_NONE)->status, 0);
	CU_ASSERT_EQUAL(level(s), LEVEL_NONE);
	CU_ASSERT_EQUAL(simulate(s, root, SET_DEFAULT)->status, 0);
	CU_ASSERT_EQUAL(level(s), LEVEL_MEDIUM);
	shell_close(s);
}

/* --- giving back --- */

static uint64_t committed(struct shell *s)
{
	return pool_meta(s->pool.pool)->committed_frames;
}

static void press(struct shell *s, uint32_t how)
{
	shell_event(s, &(struct session_event){.kind = EVENT_PRESSURE, .level = how});
}

static void idle_pageblocks_go_after_the_delay(void)
{
	struct shell *s = open_shell(5 * SECOND);

	CU_ASSERT_EQUAL(committed(s), NR_FRAMES);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT_EQUAL(committed(s), NR_FRAMES); /* no pressure, no need */
	press(s, LEVEL_LOW);
	shell_advance(s, 4 * SECOND);
	CU_ASSERT_EQUAL(committed(s), NR_FRAMES);
	shell_advance(s, 3 * SECOND);
	CU_ASSERT_EQUAL(committed(s), PAGEBLOCK_FRAMES); /* the small stock */
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_pgpunch), NR_FRAMES / 512 - 1);
	press(s, LEVEL_NONE);
	shell_advance(s, 2 * SECOND);
	CU_ASSERT(committed(s) >= 512); /* the stock of so small a pool */
	CU_ASSERT_FALSE(pool_stock_is_low(s->pool.pool));
	shell_close(s);
}

static void what_comes_and_goes_is_kept(void)
{
	struct shell *s = open_shell(5 * SECOND);
	struct shell_client a = shell_attach(s, "a", 0);
	pfn_t pfn[4];

	press(s, LEVEL_LOW);
	for (uint32_t second = 0; second < 12; second++) { /* 4 pageblocks, used now and then */
		for (uint32_t i = 0; i < 4; i++)
			pfn[i] = (pfn_t)(shell_alloc(s, a, 9, 0)->result >> 32);
		shell_advance(s, 10 * MS);
		for (uint32_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(shell_free(s, a, pfn[i], 9)->status, 0);
		shell_advance(s, SECOND);
	}
	CU_ASSERT_EQUAL(committed(s), 5 * PAGEBLOCK_FRAMES); /* and the stock */
	CU_ASSERT_EQUAL(fixture_pool_counter(&s->pool, COUNTER_pgcommit), NR_FRAMES / 512);
	shell_close(s);
}

static void never_is_never(void)
{
	struct shell *s = open_shell(0);
	struct shell_client a = shell_attach(s, "a", 0);

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_alloc(s, a, 9, 0);
	press(s, LEVEL_CRITICAL);
	shell_advance(s, 100 * SECOND);
	CU_ASSERT_EQUAL(committed(s), NR_FRAMES);
	CU_ASSERT_EQUAL(told(s, a), LEVEL_CRITICAL);
	shell_close(s);
}

static void caches_are_asked_for_a_part_while_the_machine_is_short(void)
{
	struct shell *s = open_shell(5 * SECOND);
	struct shell_client a = shell_attach(s, "a", 0);
	const struct message *upcall;
	uint32_t asked = 0;

	CU_ASSERT_EQUAL(shell_register(s, a, 1)->status, 0);
	(void)shell_fill(s, a, NR_FRAMES / 2);
	shell_advance(s, 10 * SECOND);
	CU_ASSERT_EQUAL(shell_count_upcalls(s, a.id), 0);
	press(s, LEVEL_MEDIUM);
	for (uint32_t i = 0; i < 40; i++) {
		while ((upcall = shell_next_upcall(s, a.id))) {
			asked++;
			shell_shrink_done(s, a.id, upcall, 1000, 0, 0);
		}
		shell_advance(s, 250 * MS);
	}
	CU_ASSERT(asked > 1);
	shell_close(s);
}

static void a_punch_that_fails_is_logged_and_no_limit(void)
{
	struct shell *s = open_shell(SECOND);

	s->commits = COMMITS_FAIL;
	press(s, LEVEL_LOW);
	shell_advance(s, 4 * SECOND);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->log, "could not be given back"));
	CU_ASSERT_STRING_EQUAL(pool_meta(s->pool.pool)->limit, "");
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
	s->commits = COMMITS_AT_ONCE;
	shell_close(s);
}

CU_TestInfo test_pressure[] = {
	{"a parked request stalls its client", a_parked_request_stalls_its_client},
	{"it is full once the others are idle", it_is_full_once_the_others_are_idle},
	{"a client that goes takes its stall along", a_client_that_goes_takes_its_stall_along},
	{"totals go on in the next server", totals_go_on_in_the_next_server},
	{"levels rise at once and fall after a calm", levels_rise_at_once_and_fall_after_a_calm},
	{"who waits makes it medium and who fails critical",
	 who_waits_makes_it_medium_and_who_fails_critical},
	{"a block too large for the pool is no lack", a_block_too_large_for_the_pool_is_no_lack},
	{"the higher of own and machine counts", the_higher_of_own_and_machine_counts},
	{"a client without events hears of it when it is back",
	 a_client_without_events_hears_of_it_when_it_is_back},
	{"a thousand clients are told in bounded steps",
	 a_thousand_clients_are_told_in_bounded_steps},
	{"simulated pressure stands for the machine", simulated_pressure_stands_for_the_machine},
	{"idle pageblocks go after the delay", idle_pageblocks_go_after_the_delay},
	{"what comes and goes is kept", what_comes_and_goes_is_kept},
	{"never is never", never_is_never},
	{"caches are asked for a part while the machine is short",
	 caches_are_asked_for_a_part_while_the_machine_is_short},
	{"a punch that fails is logged and no limit", a_punch_that_fails_is_logged_and_no_limit},
	CU_TEST_INFO_NULL,
};
