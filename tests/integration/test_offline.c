/* tests/integration/test_offline.c - `pagectl check --offline`: the segments of a dead daemon, as
 * it left them at any moment. Not a byte of them is ever changed, nor is a page of memory added.
 * What damage does to it is in test_offline_damage.c. */
#include "daemon/core/journal.h"
#include "tests/integration/remains.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_offline[];

static void killed_daemon_left_what_is_sound_and_it_stays_so(void)
{
	struct worker_board *board = worker_board_new();
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	for (uint32_t i = 0; i < 8; i++) {
		struct worker_plan plan = {&f, board, 99 + i, i + 1, 3, 300 * i};
		struct remains_print print[3];
		struct child child;
		struct program ctl;
		json_t *root;

		CU_ASSERT_TRUE(worker_start(&child, &plan));
		CU_ASSERT_TRUE(child_expect(child.fd, 1));
		remains_kill(&f);
		child_kill(&child);
		remains_print(&f, print);
		root = remains_verdict(&f, true);
		CU_ASSERT_EQUAL(fixture_json_number(root, "clients.attached"), 1);
		CU_ASSERT_EQUAL(fixture_json_number(root, "in_doubt"), 0);
		CU_ASSERT_EQUAL(fixture_json_number(root, "states.free.frames") +
					fixture_json_number(root, "states.owned.frames") +
					fixture_json_number(root, "states.shared.frames"),
				16384);
		json_decref(root);
		remains_run(&f, &ctl, NULL, NULL);
		CU_ASSERT_EQUAL(ctl.status, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "ok: every invariant holds"));
		program_done(&ctl);
		CU_ASSERT_TRUE(remains_are(&f, print));
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_TRUE(fixture_check(&f));
	}
	CU_ASSERT_FALSE(fixture_log_has(&f, "new segment"));
	worker_board_free(board);
	fixture_close(&f);
}

/* A journal with one item that stores what is there, and a claim that was under way. */
static void what_recovery_has_to_settle_is_shown_and_left_alone(void)
{
	struct shm_state_header plan = {0};
	struct shm_journal_item item = {.where = (uint64_t)JOURNAL_WORD << 56};
	uint64_t one = 1, many = SHM_JOURNAL_ITEMS + 1, top = 0;
	struct shm_meta_header header;
	struct fixture f;
	struct holder holder;
	struct child child;
	struct remains_print print[3];
	json_t *root;
	int meta, state;

	CU_ASSERT_TRUE(remains_make(&f, &holder, &child));
	header = remains_header(&f);
	shm_state_plan(&plan);
	meta = remains_open_part(&f, "meta");
	state = remains_open_part(&f, "state");
	remains_get(meta, header.map_offset, &item.value, sizeof(item.value));
	remains_get(meta, header.heads_offset, &top, sizeof(top)); /* hot, thread 0, client 1 */
	remains_put(state, plan.journal_offset + offsetof(struct shm_journal, item), &item,
		    sizeof(item));
	remains_put(state, plan.journal_offset, &one, sizeof(one));
	remains_put(state, plan.clients_offset + offsetof(struct shm_state_client, saved_top), &top,
		    sizeof(top));
	remains_print(&f, print);
	root = remains_verdict(&f, true);
	CU_ASSERT_EQUAL(fixture_json_number(root, "journal_items"), 1);
	CU_ASSERT_EQUAL(fixture_json_number(root, "saved_tops"), 1);
	CU_ASSERT_EQUAL(fixture_json_number(root, "clients.attached"), 1);
	CU_ASSERT_EQUAL(fixture_json_number(root, "clients.dying"), 0);
	CU_ASSERT_TRUE(fixture_json_number(root, "states.owned.frames") >= 1000);
	json_decref(root);
	CU_ASSERT_TRUE(remains_are(&f, print));

	remains_put(state, plan.journal_offset, &many, sizeof(many));
	remains_broken(&f, "I7: the journal is damaged");
	remains_put(state, plan.journal_offset, &one, sizeof(one));
	(void)close(meta);
	(void)close(state);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	remains_done(&f, &child);
}

static void file_of_others_is_refused(void)
{
	struct fixture f;
	char path[96];

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	remains_kill(&f);
	for (uint32_t i = 0; i < 3; i++) {
		fixture_segment_path(&f, remains_parts[i], path);
		CU_ASSERT_EQUAL(chmod(path, 0644), 0);
		remains_refused(&f, 1, "is not ours: a file, owner uid");
		CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	}
	fixture_segment_path(&f, "meta", path);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chown(path, 65534, (gid_t)-1), 0);
		remains_refused(&f, 1, "owner uid 65534");
		CU_ASSERT_EQUAL(chown(path, 0, (gid_t)-1), 0);
	} else {
		fixture_skip("a segment of another user", "only root can make one");
	}
	json_decref(remains_verdict(&f, true));
	fixture_close(&f);
}

static void running_daemon_is_asked_not_audited(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	remains_refused(&f, 1, "is running (pid ");
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_stop(&f);
	json_decref(remains_verdict(&f, true));
	fixture_close(&f);
}

static void no_segments_is_exit_3(void)
{
	struct fixture f;
	struct program ctl;

	fixture_make(&f, "[segment]\nsize = 64M\nbacking = memfd\n");
	remains_refused(&f, 3, "no segments of instance");
	CU_ASSERT_TRUE(fixture_start(&f));
	remains_refused(&f, 3, "with backing = memfd: such segments have no name");
	program_run(&ctl, (const char *[]){fixture_pagectl(), "check", "--offline", "--runtime-dir",
					   f.directory, NULL});
	CU_ASSERT_EQUAL(ctl.status, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "no segments of instance dir-"));
	program_done(&ctl);
	fixture_close(&f);
}

static void segment_that_was_put_aside_can_be_audited(void)
{
	struct fixture f;
	struct program ctl;
	char pattern[128];
	glob_t names = {0};

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	fixture_stop(&f);
	fixture_configure(&f, "[segment]\nsize = 32M\nbacking = posix\n");
	CU_ASSERT_TRUE(fixture_start(&f));
	(void)snprintf(pattern, sizeof(pattern), "/dev/shm/paged-%s-meta.old-*", f.instance);
	CU_ASSERT_EQUAL(glob(pattern, 0, NULL, &names), 0);
	if (names.gl_pathc == 1) {
		remains_run(&f, &ctl, "--aside", strstr(names.gl_pathv[0], ".old-") + 5);
		CU_ASSERT_EQUAL(ctl.status, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, ": 16384 frames"));
		program_done(&ctl);
	}
	globfree(&names);
	remains_run(&f, &ctl, "--aside", "12345");
	CU_ASSERT_EQUAL(ctl.status, 3);
	program_done(&ctl);
	fixture_close(&f);
}

/* Holes stay holes: the files get no memory by being looked at. */
static void segment_of_1_tib_stays_sparse(void)
{
	struct fixture f;
	struct remains_print before[2];
	struct stat st;
	char path[96];
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 1T\nbacking = posix\nheadroom = 0\n"));
	remains_kill(&f);
	for (uint32_t i = 0; i < 2; i++) {
		fixture_segment_path(&f, remains_parts[i], path);
		CU_ASSERT_EQUAL(stat(path, &st), 0);
		before[i].blocks = st.st_blocks;
	}
	root = remains_verdict(&f, true);
	CU_ASSERT_EQUAL(fixture_json_number(root, "states.free.frames"), 1u << 28);
	json_decref(root);
	for (uint32_t i = 0; i < 2; i++) {
		fixture_segment_path(&f, remains_parts[i], path);
		CU_ASSERT_EQUAL(stat(path, &st), 0);
		CU_ASSERT_EQUAL(st.st_blocks, before[i].blocks);
	}
	fixture_close(&f);
}

CU_TestInfo test_offline[] = {
	{"killed daemon left what is sound and it stays so",
	 killed_daemon_left_what_is_sound_and_it_stays_so},
	{"what recovery has to settle is shown and left alone",
	 what_recovery_has_to_settle_is_shown_and_left_alone},
	{"file of others is refused", file_of_others_is_refused},
	{"running daemon is asked, not audited", running_daemon_is_asked_not_audited},
	{"no segments is exit 3", no_segments_is_exit_3},
	{"segment that was put aside can be audited", segment_that_was_put_aside_can_be_audited},
	{"segment of 1 TiB stays sparse", segment_of_1_tib_stays_sparse},
	CU_TEST_INFO_NULL,
};
