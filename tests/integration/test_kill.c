/* tests/integration/test_kill.c - clients that are killed, stopped, and go on. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"
#include "tests/integration/worker.h"
#include "tests/support/runner.h"

#include <CUnit/CUnit.h>
#include <signal.h>

extern CU_TestInfo test_kill[];

#define WORKERS 3u
#define THREADS 3u
#define KILLS 100u

static const char config[] = "[segment]\nsize = 512M\n[pcp]\nbatch = 16\n";

struct crowd {
	struct fixture fixture;
	struct observer observer;
	struct worker_board *board;
	struct child child[WORKERS];
	struct worker_plan plan[WORKERS];
	uint32_t serial;
	uint64_t random;
};

static bool crowd_start(struct crowd *crowd, uint32_t i)
{
	crowd->plan[i] = (struct worker_plan){
		.fixture = &crowd->fixture,
		.board = crowd->board,
		.seed = worker_random(&crowd->random) >> 8,
		.number = ++crowd->serial,
		.threads = THREADS,
		.report = worker_random(&crowd->random) % 3000,
	};
	return worker_start(&crowd->child[i], &crowd->plan[i]);
}

static bool crowd_open(struct crowd *crowd)
{
	bool good;

	*crowd = (struct crowd){.random = runner_seed(0x5EEDF00D) | 1, .board = worker_board_new()};
	good = fixture_open(&crowd->fixture, config) &&
	       observer_open(&crowd->observer, &crowd->fixture);
	CU_ASSERT_TRUE(good);
	for (uint32_t i = 0; good && i < WORKERS; i++)
		good = crowd_start(crowd, i);
	return good;
}

/* All gone: every frame is free again, and nobody ever saw another's marks. */
static void crowd_close(struct crowd *crowd)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(child_end(&crowd->child[i]), 0);
	CU_ASSERT_TRUE(observer_all_free(&crowd->observer));
	CU_ASSERT_TRUE(fixture_check(&crowd->fixture));
	CU_ASSERT_EQUAL(crowd->board->mismatches, 0);
	CU_ASSERT_EQUAL(crowd->board->failures, 0);
	CU_ASSERT_EQUAL(shm_view_counter(&crowd->observer.view, COUNTER_nr_bad_free), 0);
	CU_ASSERT_EQUAL(shm_view_counter(&crowd->observer.view, COUNTER_hostile), 0);
	observer_close(&crowd->observer);
	fixture_close(&crowd->fixture);
	worker_board_free(crowd->board);
}

static bool is_forgotten(const struct crowd *crowd, pid_t pid)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (observer_find(&crowd->observer, pid, NULL))
		if (!clock_pause(until))
			return false;
	return true;
}

/* With everybody stopped the numbers stand still: what the dead had is nobody's any more. */
static bool all_accounted_for(const struct crowd *crowd)
{
	bool good = true;

	for (uint32_t i = 0; i < WORKERS; i++)
		good &= crowd->child[i].pid < 0 || child_stop(&crowd->child[i]);
	good &= observer_settles(&crowd->observer) && fixture_check(&crowd->fixture);
	for (uint32_t i = 0; i < WORKERS; i++)
		good &= crowd->child[i].pid < 0 || child_continue(&crowd->child[i]);
	return good;
}

/* One in eight dies as soon as it is there, the others after some operations. */
static bool kill_one(struct crowd *crowd, uint32_t i)
{
	pid_t pid = crowd->child[i].pid;
	bool good = true;

	if (worker_random(&crowd->random) % 8)
		good = child_expect(crowd->child[i].fd, 1);
	good &= fixture_check(&crowd->fixture); /* during load */
	child_kill(&crowd->child[i]);
	return good && is_forgotten(crowd, pid) && all_accounted_for(crowd);
}

static void hundred_kills_lose_no_frame(void)
{
	struct crowd crowd;
	bool good = crowd_open(&crowd);

	for (uint32_t n = 0; good && n < KILLS; n++) {
		uint32_t i = (uint32_t)(worker_random(&crowd.random) % WORKERS);

		good = kill_one(&crowd, i);
		CU_ASSERT_TRUE(good);
		if (!good)
			(void)fprintf(stderr, "kill %u of worker %u\n", n, crowd.plan[i].number);
		good &= crowd_start(&crowd, i);
	}
	crowd_close(&crowd);
}

static bool has_begun(const struct crowd *crowd)
{
	bool all = true;

	for (uint32_t i = 0; i < WORKERS; i++)
		all &= child_expect(crowd->child[i].fd, 1);
	return all;
}

/* Drains of a client that is stopped at whatever instruction it was; the others go on meanwhile. */
static void stopped_client_is_drained_and_goes_on(void)
{
	struct crowd crowd;
	bool good = crowd_open(&crowd);

	good = good && has_begun(&crowd);
	CU_ASSERT_TRUE(good);
	for (uint32_t n = 0; good && n < 20; n++) {
		uint64_t before = crowd.board->operations;
		struct program ctl;

		good = child_stop(&crowd.child[0]);
		fixture_ctl(&crowd.fixture, &ctl, "drain", NULL);
		good &= ctl.status == 0;
		program_done(&ctl);
		good &= fixture_check(&crowd.fixture);
		for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
		     crowd.board->operations < before + 100 && (good &= clock_pause(until));)
			;
		good &= fixture_check(&crowd.fixture) && child_continue(&crowd.child[0]);
		CU_ASSERT_TRUE(good);
	}
	CU_ASSERT_TRUE(shm_view_counter(&crowd.observer.view, COUNTER_pgsteal) > 0);
	crowd_close(&crowd);
}

/* Nothing of the client's memory is needed: it dies stopped, right after it was drained. */
static void stopped_client_dies_after_a_drain(void)
{
	struct crowd crowd;
	bool good = crowd_open(&crowd) && has_begun(&crowd);
	pid_t pid = crowd.child[1].pid;
	struct program ctl;

	CU_ASSERT_TRUE(good);
	CU_ASSERT_TRUE(child_stop(&crowd.child[1]));
	fixture_ctl(&crowd.fixture, &ctl, "drain", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	child_kill(&crowd.child[1]);
	CU_ASSERT_TRUE(is_forgotten(&crowd, pid));
	CU_ASSERT_TRUE(all_accounted_for(&crowd));
	CU_ASSERT_TRUE(crowd_start(&crowd, 1));
	crowd_close(&crowd);
}

static void drains_at_full_load_take_nothing_that_is_held(void)
{
	struct crowd crowd;
	bool good = crowd_open(&crowd) && has_begun(&crowd);

	for (uint32_t n = 0; good && n < 100; n++) {
		struct program ctl;

		fixture_ctl(&crowd.fixture, &ctl, "drain", NULL);
		good = ctl.status == 0;
		program_done(&ctl);
	}
	CU_ASSERT_TRUE(good);
	CU_ASSERT_TRUE(fixture_check(&crowd.fixture));
	crowd_close(&crowd);
}

CU_TestInfo test_kill[] = {
	{"hundred kills lose no frame", hundred_kills_lose_no_frame},
	{"stopped client is drained and goes on", stopped_client_is_drained_and_goes_on},
	{"stopped client dies after a drain", stopped_client_dies_after_a_drain},
	{"drains at full load take nothing that is held",
	 drains_at_full_load_take_nothing_that_is_held},
	CU_TEST_INFO_NULL,
};
