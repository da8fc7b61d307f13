/* tests/integration/test_look.c - pagectl map, and what --watch shows again and again. */
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"
#include "tests/integration/screen.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern CU_TestInfo test_look[];

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n";
#define FRAMES 16384u

/* --- map ------------------------------------------------------------------------------------ */

/* Frames of all cells together; each cell has as many as the map says. */
static uint64_t frames_of_cells(const json_t *root)
{
	uint64_t sum = 0, per_cell = fixture_json_number(root, "frames_per_cell");
	size_t i, k;
	json_t *cell, *pair;

	json_array_foreach(json_object_get(root, "cells"), i, cell)
	{
		uint64_t n = 0;

		json_array_foreach(cell, k, pair) n +=
			(uint64_t)json_integer_value(json_array_get(pair, 1));
		CU_ASSERT_EQUAL(n, per_cell);
		sum += n;
	}
	return sum;
}

/* Frames of the kind that has value under key. */
static uint64_t frames_of(const json_t *root, const char *key, const char *value)
{
	size_t i;
	json_t *kind;

	json_array_foreach(json_object_get(root, "kinds"), i, kind)
	{
		const char *its = json_string_value(json_object_get(kind, key));

		if (its && strcmp(its, value) == 0)
			return (uint64_t)json_integer_value(json_object_get(kind, "frames"));
	}
	return 0;
}

static void the_map_has_each_frame_once(void)
{
	struct fixture f;
	struct holder holder = {&f, "shown", HOLDER_KEEPS, 3000, 0};
	struct child child;
	struct program ctl;
	json_t *root, *clients;
	uint64_t n, owned;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	root = fixture_ctl_json(&f, "map");
	clients = fixture_ctl_json(&f, "clients");
	owned = fixture_json_number(json_array_get(json_object_get(clients, "clients"), 0),
				    "owned");
	CU_ASSERT_EQUAL(frames_of_cells(root), FRAMES);
	CU_ASSERT_TRUE(owned >= 3000);
	CU_ASSERT_TRUE(json_is_true(json_object_get(root, "told_apart")));
	CU_ASSERT_EQUAL(frames_of(root, "name", "shown"), 3000);
	CU_ASSERT_EQUAL(frames_of(root, "state", "in magazines"), owned - 3000);
	fixture_ctl(&f, &ctl, "map", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "A owned by client 1 (shown): "));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "         0 "));
	CU_ASSERT_PTR_NULL(strchr(ctl.out, '\033'));
	CU_ASSERT_EQUAL(strcspn(ctl.out, "\n"), 11 + 64); /* of 80 columns */
	program_done(&ctl);
	json_decref(clients);
	json_decref(root);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* A thousand purgeable frames, of which a hundred are pinned. */
static void the_map_has_what_may_be_purged(void)
{
	struct fixture f;
	pageclient *client;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "cache");
	for (int i = 0; client && i < 1000; i++) {
		void *frame = pageclient_alloc(client, 0, PAGECLIENT_RECLAIMABLE);
		pageclient_slot slot;

		CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
		if (i >= 100)
			pageclient_unpin(client, slot);
	}
	root = fixture_ctl_json(&f, "map");
	CU_ASSERT_EQUAL(frames_of_cells(root), FRAMES);
	CU_ASSERT_EQUAL(frames_of(root, "state", "purgeable"), 900);
	CU_ASSERT_EQUAL(frames_of(root, "name", "cache"), 100);
	json_decref(root);
	pageclient_close(client);
	fixture_close(&f);
}

static void the_map_is_a_picture(void)
{
	struct fixture f;
	struct program ctl;
	char path[96], text[256] = "";
	FILE *file;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	(void)snprintf(path, sizeof(path), "%s/map.svg", f.directory);
	fixture_ctl(&f, &ctl, "map", "--out", path, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_STRING_EQUAL(ctl.out, "");
	program_done(&ctl);
	file = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL(file);
	if (file) {
		CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof(text), file));
		CU_ASSERT_EQUAL(strncmp(text, "<svg ", 5), 0);
		(void)fseek(file, -7, SEEK_END);
		CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof(text), file));
		CU_ASSERT_STRING_EQUAL(text, "</svg>\n");
		(void)fclose(file);
	}
	fixture_ctl(&f, &ctl, "map", "--out", "/no/such/folder/map.svg", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "map", "--out", "/dev/full", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	fixture_close(&f);
}

/* Blocks are split, merged and granted between its loads. */
static void the_map_adds_up_under_load(void)
{
	struct fixture f;
	struct worker_board *board = worker_board_new();
	struct worker_plan plan = {
		.fixture = &f, .board = board, .seed = 7, .number = 1, .threads = 2, .report = 200};
	struct child child;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(worker_start(&child, &plan));
	CU_ASSERT_TRUE(child_expect(child.fd, 1));
	for (int i = 0; i < 30; i++) {
		json_t *root = fixture_ctl_json(&f, "map");

		CU_ASSERT_EQUAL(frames_of_cells(root), FRAMES);
		json_decref(root);
	}
	CU_ASSERT_EQUAL(child_end(&child), 0);
	CU_ASSERT_EQUAL(board->mismatches, 0);
	worker_board_free(board);
	fixture_close(&f);
}

/* mem_map is sparse, and a load from a hole of it would give it memory. */
static void looking_costs_no_memory(void)
{
	struct fixture f;
	struct program ctl;
	struct stat before, after;
	char path[96];

	CU_ASSERT_TRUE(
		fixture_open(&f, "[segment]\nsize = 2M\nsize_max = 256G\nbacking = posix\n"));
	fixture_segment_path(&f, "meta", path);
	CU_ASSERT_EQUAL(stat(path, &before), 0);
	fixture_ctl(&f, &ctl, "map", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "= reserved: "));
	program_done(&ctl);
	CU_ASSERT_EQUAL(stat(path, &after), 0);
	CU_ASSERT_EQUAL(after.st_blocks, before.st_blocks);
	fixture_close(&f);
}

static void the_map_has_colours_on_a_terminal_only(void)
{
	struct fixture f;
	struct screen *screen = calloc(1, sizeof(*screen));
	const char *argv[] = {fixture_pagectl(), "--socket", f.socket, "map", NULL};

	if (!screen)
		abort();
	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (int no_color = 0; no_color < 2; no_color++) {
		CU_ASSERT_TRUE(screen_open(screen, 24, 132, "xterm", no_color != 0, argv));
		CU_ASSERT_EQUAL(screen_end(screen), 0);
		CU_ASSERT_EQUAL(strstr(screen->raw, "\033[38;5;") == NULL, no_color != 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(screen->raw, "frames in a cell"));
	}
	CU_ASSERT_EQUAL(strcspn(screen->raw, "\r"), 11 + 112); /* of 132 columns */
	fixture_close(&f);
	free(screen);
}

/* --- watch ---------------------------------------------------------------------------------- */

static void watched_status_follows(void)
{
	struct fixture f;
	struct screen *screen = calloc(1, sizeof(*screen));
	const char *argv[] = {fixture_pagectl(), "--socket", f.socket, "status", "--watch", NULL};
	pageclient *client;
	char epoch[64];

	if (!screen)
		abort();
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(screen_open(screen, 50, 80, "xterm", false, argv));
	CU_ASSERT_TRUE(screen_wait_raw(screen, " 0 attached"));
	CU_ASSERT_EQUAL(strncmp(screen->raw, "\033[H\033[2J", 7), 0);
	client = fixture_client(&f, "one");
	CU_ASSERT_TRUE(screen_wait_raw(screen, " 1 attached"));
	pageclient_close(client);
	fixture_stop(&f);
	CU_ASSERT_TRUE(screen_wait_raw(screen, "no daemon answers; waiting for one"));
	CU_ASSERT_TRUE(fixture_start(&f));
	(void)snprintf(epoch, sizeof(epoch), "pid %d,", fixture_server(&f));
	CU_ASSERT_TRUE(screen_wait_raw(screen, epoch));
	screen_type(screen, "\003"); /* Ctrl-C */
	CU_ASSERT_EQUAL(screen_end(screen), -2);
	fixture_close(&f);
	free(screen);
}

static void watched_status_is_plain_where_nobody_looks(void)
{
	struct fixture f;
	struct screen *screen = calloc(1, sizeof(*screen));
	const char *argv[] = {fixture_pagectl(), "--socket", f.socket, "status",
			      "--watch",         "1",        "--json", NULL};
	const char *again;

	if (!screen)
		abort();
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(screen_open(screen, 50, 80, "xterm", false, argv));
	CU_ASSERT_TRUE(screen_wait_raw(screen, "}\r\n{"));
	CU_ASSERT_PTR_NULL(strchr(screen->raw, '\033'));
	again = strstr(screen->raw, "}\r\n{");
	CU_ASSERT_PTR_NOT_NULL(again);
	screen_close(screen);
	fixture_close(&f);
	free(screen);
}

static void wrong_words_are_usage(void)
{
	static const char *const lines[][4] = {
		{"status", "5"},
		{"status", "--watch=x"},
		{"status", "--watch", "0"},
		{"top", "x"},
		{"zones", "--watch"},
		{"status", "--watch=1", "2"},
		{"status", "--out", "f"},
		{"run"},
		{"run", "--json", "--", "true"},
		{"map", "5"},
		{"top", "86401"},
		{"map", "--json", "--out", "-"},
	};
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct program ctl;

		fixture_ctl(&f, &ctl, lines[i][0], lines[i][1], lines[i][2], lines[i][3], NULL);
		CU_ASSERT_EQUAL(ctl.status, 2);
		CU_ASSERT_TRUE(program_said_one_line(&ctl));
		if (ctl.status != 2)
			(void)fprintf(stderr, "pagectl %s: %d %s\n", lines[i][0], ctl.status,
				      ctl.err);
		program_done(&ctl);
	}
	fixture_close(&f);
}

CU_TestInfo test_look[] = {
	{"the map has each frame once", the_map_has_each_frame_once},
	{"the map has what may be purged", the_map_has_what_may_be_purged},
	{"the map is a picture", the_map_is_a_picture},
	{"the map adds up under load", the_map_adds_up_under_load},
	{"looking costs no memory", looking_costs_no_memory},
	{"the map has colours on a terminal only", the_map_has_colours_on_a_terminal_only},
	{"watched status follows", watched_status_follows},
	{"watched status is plain where nobody looks", watched_status_is_plain_where_nobody_looks},
	{"wrong words are usage", wrong_words_are_usage},
	CU_TEST_INFO_NULL,
};
