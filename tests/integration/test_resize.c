/* tests/integration/test_resize.c - a daemon that grows and shrinks while its clients work. */
#include "tests/integration/clock.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_resize[];

#define MIB_FRAMES 256u /* frames of a MiB */

static const char large[] = "[segment]\nsize = 512M\nsize_max = 768M\nbacking = posix\n";
static const char roomy[] = "[segment]\nsize = 32M\nsize_max = 96M\nbacking = posix\n";

static bool resize(const struct fixture *f, const char *size)
{
	struct program ctl;
	bool ok;

	fixture_ctl(f, &ctl, "resize", size, NULL);
	ok = ctl.status == 0;
	if (!ok)
		(void)fprintf(stderr, "resize %s: %s", size, ctl.err);
	program_done(&ctl);
	return ok;
}

static uint64_t status(const struct fixture *f, const char *field)
{
	json_t *root = fixture_ctl_json(f, "status");
	uint64_t n = fixture_json_number(root, field);

	json_decref(root);
	return n;
}

static bool reaches(const struct fixture *f, uint64_t frames)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); status(f, "online_frames") != frames;)
		if (!clock_pause(until))
			return false;
	return true;
}

static void sizes_change_within_size_max(void)
{
	struct program ctl;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, roomy));
	CU_ASSERT_EQUAL(status(&f, "online_frames"), 32 * MIB_FRAMES);
	CU_ASSERT_TRUE(resize(&f, "96M"));
	CU_ASSERT_TRUE(reaches(&f, 96 * MIB_FRAMES));
	CU_ASSERT_EQUAL(status(&f, "free"), 96 * MIB_FRAMES);
	CU_ASSERT_TRUE(resize(&f, "8M"));
	CU_ASSERT_TRUE(reaches(&f, 8 * MIB_FRAMES));
	CU_ASSERT_TRUE(resize(&f, "default"));
	CU_ASSERT_TRUE(reaches(&f, 32 * MIB_FRAMES));
	fixture_ctl(&f, &ctl, "resize", "97M", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "size_max"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "resize", "1K", NULL);
	CU_ASSERT_NOT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void what_is_wanted_outlives_the_daemon(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, roomy));
	CU_ASSERT_TRUE(resize(&f, "64M"));
	fixture_stop(&f);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_EQUAL(status(&f, "wanted_frames"), 64 * MIB_FRAMES);
	CU_ASSERT_TRUE(reaches(&f, 64 * MIB_FRAMES));
	fixture_stop(&f);
	fixture_configure(&f, "[segment]\nsize = 48M\nsize_max = 96M\nbacking = posix\n");
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_FALSE(fixture_log_has(&f, "new segment"));
	CU_ASSERT_TRUE(reaches(&f, 48 * MIB_FRAMES));
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void frames_in_use_are_waited_for(void)
{
	static void *frame[16 * MIB_FRAMES];
	struct fixture f;
	pageclient *client;
	uint32_t n = 0;

	CU_ASSERT_TRUE(fixture_open(&f, roomy));
	client = fixture_client(&f, "holder");
	while (n < 16 * MIB_FRAMES && (frame[n] = pageclient_alloc(client, 0, 0)))
		n++;
	CU_ASSERT_EQUAL(n, 16 * MIB_FRAMES);
	CU_ASSERT_TRUE(resize(&f, "8M"));
	CU_ASSERT_TRUE(status(&f, "online_frames") >= 16 * MIB_FRAMES);
	for (uint32_t i = 0; i < n; i++)
		memset(frame[i], (int)i, 64);
	while (n > 0)
		pageclient_free(client, frame[--n], 0);
	fixture_drain(&f);
	CU_ASSERT_TRUE(reaches(&f, 8 * MIB_FRAMES));
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

#define ROUNDS 12
#define WORKERS 2

static bool waits_for_operations(const struct worker_board *board, uint64_t n)
{
	uint64_t goal = __atomic_load_n(&board->operations, __ATOMIC_RELAXED) + n;

	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     __atomic_load_n(&board->operations, __ATOMIC_RELAXED) < goal;)
		if (!clock_pause(until))
			return false;
	return true;
}

/* A server that is killed on the way is followed by one that goes on. */
static void under_load(bool kill_servers)
{
	static const char *const sizes[] = {"768M", "512M", "384M", "640M"};
	struct worker_board *board = worker_board_new();
	struct worker_plan plan[WORKERS];
	struct child child[WORKERS];
	bool good = true;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, large));
	for (uint32_t i = 0; i < WORKERS; i++) {
		plan[i] = (struct worker_plan){.fixture = &f,
					       .board = board,
					       .seed = 7 + i,
					       .number = i + 1,
					       .threads = 2,
					       .report = UINT64_MAX};
		CU_ASSERT_TRUE_FATAL(worker_start(&child[i], &plan[i]));
	}
	for (uint32_t round = 0; good && round < ROUNDS; round++) {
		good = resize(&f, sizes[round % 4]) && waits_for_operations(board, 3000);
		if (kill_servers && round % 3 == 1)
			CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
		good = good && fixture_check(&f);
	}
	CU_ASSERT_TRUE(good);
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(child_end(&child[i]), 0);
	CU_ASSERT_EQUAL(board->mismatches, 0);
	CU_ASSERT_EQUAL(board->failures, 0);
	CU_ASSERT_TRUE(resize(&f, "32M"));
	CU_ASSERT_TRUE(reaches(&f, 32 * MIB_FRAMES));
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
	worker_board_free(board);
}

static void clients_work_on_while_the_size_changes(void)
{
	under_load(false);
}

static void servers_that_are_killed_meanwhile_are_followed_by_one_that_goes_on(void)
{
	under_load(true);
}

CU_TestInfo test_resize[] = {
	{"sizes change within size_max", sizes_change_within_size_max},
	{"what is wanted outlives the daemon", what_is_wanted_outlives_the_daemon},
	{"frames in use are waited for", frames_in_use_are_waited_for},
	{"clients work on while the size changes", clients_work_on_while_the_size_changes},
	{"servers that are killed meanwhile are followed by one that goes on",
	 servers_that_are_killed_meanwhile_are_followed_by_one_that_goes_on},
	CU_TEST_INFO_NULL,
};
