/* tests/integration/test_top.c - pagectl top on terminals of three sizes, and over a restart. */
#include "tests/integration/holder.h"
#include "tests/integration/screen.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_top[];

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n";

struct stage {
	struct fixture f;
	struct holder holders[2];
	struct child child[2];
	struct screen screen;
};

static bool show(struct stage *s, uint32_t lines, uint32_t columns, const char *term, bool no_color)
{
	const char *const argv[] = {fixture_pagectl(), "--socket", s->f.socket, "top", NULL};

	return screen_open(&s->screen, lines, columns, term, no_color, argv);
}

/* A daemon and two clients: aaa, with little, is the first; bbb has much, and a cache. */
static struct stage *stage_open(uint32_t lines, uint32_t columns)
{
	struct stage *s = calloc(1, sizeof(*s));
	uint64_t n;

	if (!s)
		abort();
	CU_ASSERT_TRUE(fixture_open(&s->f, config));
	s->holders[0] = (struct holder){&s->f, "aaa", HOLDER_KEEPS, 200, 0};
	s->holders[1] = (struct holder){&s->f, "bbb", HOLDER_PRUNES, 4000, 0};
	for (int i = 0; i < 2; i++)
		CU_ASSERT_TRUE(holder_start(&s->child[i], &s->holders[i], &n));
	CU_ASSERT_TRUE(show(s, lines, columns, "vt52", false));
	return s;
}

static void stage_close(struct stage *s)
{
	screen_close(&s->screen);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(child_end(&s->child[i]), 0);
	fixture_close(&s->f);
	free(s);
}

static void it_fits_80x24(void)
{
	struct stage *s = stage_open(24, 80);
	const struct screen *screen = &s->screen;

	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa")); /* by OWNED */
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "q quit"), 23);
	CU_ASSERT_EQUAL(strncmp(screen->line[0], "paged it-", 9), 0);
	CU_ASSERT_EQUAL(screen->line[1][0], '[');
	CU_ASSERT_EQUAL(screen->line[1][79], ']');
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->line[1], "###"));
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->line[1], "___"));
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->line[2], "# used 1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->line[4], "free is above high"));
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->line[5], "psi some 0.00 0.00 0.00 "));
	CU_ASSERT_TRUE(screen_find(screen, "ZONE") > 0);
	CU_ASSERT_TRUE(screen_find(screen, "SOME10") > 0);
	CU_ASSERT_EQUAL(screen_find(screen, "CACHE"), -1);
	stage_close(s);
}

static void keys_sort_and_choose(void)
{
	struct stage *s = stage_open(24, 80);

	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	screen_type(&s->screen, "r");
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "aaa", "bbb"));
	screen_type(&s->screen, "<<"); /* from OWNED over STATE to CLIENT: the order stays ... */
	screen_type(&s->screen, "r");  /* ... and is turned round */
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	screen_type(&s->screen, "\t");
	CU_ASSERT_TRUE(screen_wait(&s->screen, "shrinker") > 0);
	CU_ASSERT_TRUE(screen_wait_gone(&s->screen, "aaa"));
	screen_type(&s->screen, "h");
	CU_ASSERT_TRUE(screen_wait(&s->screen, "the other way round") > 0);
	screen_type(&s->screen, "h");
	CU_ASSERT_TRUE(screen_wait_gone(&s->screen, "the other way round"));
	screen_type(&s->screen, " ");
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "paused"), 23);
	screen_type(&s->screen, "q");
	CU_ASSERT_EQUAL(screen_end(&s->screen), 0);
	stage_close(s);
}

static void a_large_terminal_shows_more(void)
{
	struct stage *s = stage_open(50, 200);

	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "aaa", "shrinker"));
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "q quit"), 49);
	CU_ASSERT_TRUE(screen_find(&s->screen, "THR") > 0);
	CU_ASSERT_TRUE(screen_find(&s->screen, "FREED/s") > 0);
	CU_ASSERT_EQUAL(s->screen.line[1][199], ']');
	stage_close(s);
}

static void a_small_terminal_is_told_so(void)
{
	struct stage *s = stage_open(10, 40);

	CU_ASSERT_EQUAL(screen_wait(&s->screen, "pagectl top needs 80x24."), 0);
	CU_ASSERT_TRUE(screen_wait(&s->screen, "This terminal has 40x10.") > 0);
	screen_resize(&s->screen, 24, 80);
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "q quit"), 23);
	screen_resize(&s->screen, 23, 100);
	CU_ASSERT_TRUE(screen_wait(&s->screen, "This terminal has 100x23.") > 0);
	screen_resize(&s->screen, 2, 10); /* and nothing is written beside it */
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "pagectl to"), 0);
	screen_resize(&s->screen, 40, 120);
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "aaa", "shrinker"));
	screen_type(&s->screen, "q");
	CU_ASSERT_EQUAL(screen_end(&s->screen), 0);
	stage_close(s);
}

static void it_stays_while_the_daemon_restarts(void)
{
	struct stage *s = stage_open(24, 80);
	pid_t server = fixture_server(&s->f);
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "pid %d,", server);
	CU_ASSERT_EQUAL(screen_wait(&s->screen, pid), 0);
	(void)kill(server, SIGKILL); /* the supervisor starts another one, on the same segment */
	CU_ASSERT_TRUE(screen_wait_gone(&s->screen, pid));
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "epoch 2"), 0);
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	for (int i = 0; i < 2; i++)
		child_kill(&s->child[i]);
	fixture_stop(&s->f);
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "no daemon answers"), 23);
	CU_ASSERT_TRUE(screen_find(&s->screen, "ZONE") > 0); /* what was is still there */
	CU_ASSERT_TRUE(fixture_start(&s->f));                /* with a segment of its own: memfd */
	CU_ASSERT_TRUE(screen_wait_gone(&s->screen, "no daemon answers"));
	CU_ASSERT_EQUAL(screen_wait(&s->screen, "epoch 1"), 0);
	screen_close(&s->screen);
	fixture_close(&s->f);
	free(s);
}

static void a_daemon_that_is_stopped_holds_no_key_up(void)
{
	struct stage *s = stage_open(24, 80);
	pid_t server = fixture_server(&s->f);

	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "bbb", "aaa"));
	(void)kill(server, SIGSTOP);
	screen_type(&s->screen, "r");
	CU_ASSERT_TRUE(screen_wait_order(&s->screen, "aaa", "bbb"));
	screen_type(&s->screen, "q");
	CU_ASSERT_EQUAL(screen_end(&s->screen), 0);
	(void)kill(server, SIGCONT);
	stage_close(s);
}

static void rows_scroll(void)
{
	pageclient *clients[14];
	struct stage *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	CU_ASSERT_TRUE(fixture_open(&s->f, config));
	for (int i = 0; i < 14; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "row-%02d", i);
		clients[i] = fixture_client(&s->f, name);
	}
	CU_ASSERT_TRUE(show(s, 24, 80, "vt52", false));
	CU_ASSERT_TRUE(screen_wait(&s->screen, "row-00") > 0);
	CU_ASSERT_EQUAL(screen_find(&s->screen, "row-13"), -1);
	screen_type(&s->screen, "jjjjjjjjjjjjjjjjjjjj"); /* beyond the end, which is the last row */
	CU_ASSERT_TRUE(screen_wait(&s->screen, "row-13") > 0);
	CU_ASSERT_TRUE(screen_wait_gone(&s->screen, "row-00"));
	screen_type(&s->screen, "kkkkkkkkkkkkkkkkkkkk");
	CU_ASSERT_TRUE(screen_wait(&s->screen, "row-00") > 0);
	screen_close(&s->screen);
	for (int i = 0; i < 14; i++)
		pageclient_close(clients[i]);
	fixture_close(&s->f);
	free(s);
}

static void colours_can_be_turned_off(void)
{
	struct stage *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	CU_ASSERT_TRUE(fixture_open(&s->f, config));
	CU_ASSERT_TRUE(show(s, 24, 80, "xterm", false));
	CU_ASSERT_TRUE(screen_wait_raw(&s->screen, "q quit"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->screen.raw, "\033[37m"));
	screen_close(&s->screen);
	CU_ASSERT_TRUE(show(s, 24, 80, "xterm", true));
	CU_ASSERT_TRUE(screen_wait_raw(&s->screen, "q quit"));
	CU_ASSERT_PTR_NULL(strstr(s->screen.raw, "\033[37m"));
	screen_close(&s->screen);
	fixture_close(&s->f);
	free(s);
}

/* Unknown, and one that only knows lines. */
static void terminals_that_cannot_do_it_are_refused(void)
{
	static const char *const terms[] = {"no-such-terminal", "dumb"};
	struct stage *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	CU_ASSERT_TRUE(fixture_open(&s->f, config));
	for (int i = 0; i < 2; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "cannot use this terminal (TERM=%s)", terms[i]);
		CU_ASSERT_TRUE(show(s, 24, 80, terms[i], false));
		CU_ASSERT_TRUE(screen_wait_raw(&s->screen, text));
		CU_ASSERT_EQUAL(screen_end(&s->screen), 1);
	}
	fixture_close(&s->f);
	free(s);
}

static void programs_get_json(void)
{
	struct fixture f;
	struct program ctl;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fixture_ctl(&f, &ctl, "top", NULL); /* no terminal here */
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	root = fixture_ctl_json(&f, "top");
	CU_ASSERT_EQUAL(fixture_json_number(root, "frames.used"), 0);
	CU_ASSERT_TRUE(fixture_json_number(root, "frames.holes") > 0);
	CU_ASSERT_TRUE(json_real_value(json_object_get(root, "seconds")) > 0.5);
	CU_ASSERT_TRUE(json_is_real(json_object_get(json_object_get(root, "per_s"), "pgalloc")));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "zones")), 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "clients")), 0);
	json_decref(root);
	fixture_close(&f);
}

CU_TestInfo test_top[] = {
	{"it fits 80x24", it_fits_80x24},
	{"keys sort and choose", keys_sort_and_choose},
	{"a large terminal shows more", a_large_terminal_shows_more},
	{"a small terminal is told so", a_small_terminal_is_told_so},
	{"it stays while the daemon restarts", it_stays_while_the_daemon_restarts},
	{"a daemon that is stopped holds no key up", a_daemon_that_is_stopped_holds_no_key_up},
	{"rows scroll", rows_scroll},
	{"colours can be turned off", colours_can_be_turned_off},
	{"terminals that cannot do it are refused", terminals_that_cannot_do_it_are_refused},
	{"programs get JSON", programs_get_json},
	CU_TEST_INFO_NULL,
};
