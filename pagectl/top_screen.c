/* pagectl/top_screen.c - `pagectl top` on a terminal.
 *
 *   line 0      instance, daemon, size, time
 *        1      the segment as a bar
 *        2, 3   what the bar's letters mean, and how much of each
 *        4      pressure and watermarks
 *        5      PSI
 *        6, 7   rates
 *        9 ...  zones, then the table with the focus; both tables where there are lines for them
 *        last   keys
 *
 * Everything is said in letters and numbers; colour only repeats it, so that nothing is lost
 * without: with NO_COLOR set, or on a terminal that has none. */
#include "pagectl/top.h"

#include "pagectl/human.h"
#include "pagectl/status.h"
#include "paged/bits.h"

#include <ncurses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LINES 9u
/* From so many lines on both clients and caches are shown: fewer, and each would be too short. */
#define BOTH_LINES 36u
#define ZONES_SHOWN 3u /* of at most 8, where lines are few */

enum { COLOR_OF_PARTS = 1, COLOR_WARN = 1 + TOP_PARTS, COLOR_SORT };

static void start_colors(void)
{
	static const short part_color[TOP_PARTS] = {
		[TOP_USED] = COLOR_BLUE,       [TOP_SHARED] = COLOR_CYAN,
		[TOP_PURGEABLE] = COLOR_GREEN, [TOP_MAGAZINES] = COLOR_MAGENTA,
		[TOP_FREE] = COLOR_WHITE,      [TOP_HOLES] = COLOR_WHITE,
		[TOP_BAD] = COLOR_RED,
	};
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && no_color[0]) || !has_colors() || start_color() == ERR)
		return;
	(void)use_default_colors();
	for (short i = 0; i < (short)TOP_PARTS; i++)
		(void)init_pair((short)(COLOR_OF_PARTS + i), part_color[i], -1);
	(void)init_pair(COLOR_WARN, COLOR_RED, -1);
	(void)init_pair(COLOR_SORT, COLOR_CYAN, -1);
}

static bool refuse_terminal(void)
{
	const char *term = getenv("TERM");

	fprintf(stderr, "pagectl: top cannot use this terminal (TERM=%s)\n", term ? term : "");
	return false;
}

bool top_screen_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("pagectl: top needs a terminal; for programs there is pagectl top --json\n",
		      stderr);
		return false;
	}
	if (!newterm(NULL, stdout, stdin))
		return refuse_terminal();
	if (!tigetstr("cup")) { /* curses would draw on one that cannot place its cursor */
		(void)endwin();
		return refuse_terminal();
	}
	(void)cbreak();
	(void)noecho();
	(void)nodelay(stdscr, TRUE);
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	/* Lower: a slow line turns an arrow key into Escape. Higher: Escape alone is felt. */
	(void)set_escdelay(50);
	start_colors();
	return true;
}

void top_screen_close(void)
{
	(void)endwin();
}

/* Writes at a place, and no further than the line. */
__attribute__((format(printf, 3, 4))) static void put(uint32_t y, uint32_t x, const char *format,
						      ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (y < (uint32_t)LINES && x < (uint32_t)COLS)
		(void)mvaddnstr((int)y, (int)x, text, COLS - (int)x);
}

static uint32_t cursor_x(void)
{
	return (uint32_t)getcurx(stdscr);
}

/* --- the head ------------------------------------------------------------------------------- */

static void draw_title(const struct top *top)
{
	const struct shm_meta_header *h = &top->now->header;
	time_t seconds = (time_t)(top->now->clock_ns / 1000000000u);
	uint64_t up_ns =
		top->now->clock_ns > h->started_ns ? top->now->clock_ns - h->started_ns : 0;
	char when[16] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		(void)strftime(when, sizeof(when), "%H:%M:%S", &tm);
	(void)attron(A_BOLD);
	put(0, 0, "paged %s", human_clean(h->instance, sizeof(h->instance)).s);
	(void)attroff(A_BOLD);
	put(0, cursor_x(), "  pid %u, up %s, epoch %llu  %s of %s", h->daemon_pid,
	    human_age(up_ns / 1000000000u).s, (unsigned long long)h->epoch,
	    human_size((uint64_t)h->online_frames << h->page_shift).s,
	    human_size(UINT64_C(1) << h->page_shift).s);
	put(0, (uint32_t)COLS - (uint32_t)strlen(when), "%s", when);
}

static void draw_bar(const struct top *top)
{
	uint64_t frames[TOP_PARTS];
	uint32_t cells[TOP_PARTS], x = 1;

	top_parts(top->now, frames);
	top_bar_plan(frames, (uint32_t)COLS - 2, cells);
	put(1, 0, "[");
	for (uint32_t i = 0; i < TOP_PARTS; i++) {
		(void)attron(COLOR_PAIR(COLOR_OF_PARTS + i));
		for (uint32_t n = 0; n < cells[i]; n++)
			(void)mvaddch(1, (int)x++, (chtype)top_part_letter((enum top_part)i));
		(void)attroff(COLOR_PAIR(COLOR_OF_PARTS + i));
	}
	put(1, (uint32_t)COLS - 1, "]");
}

/* The bar's letters: four parts in the first line, the rest in the second. */
static void draw_legend(const struct top *top)
{
	uint64_t frames[TOP_PARTS];
	uint32_t shift = top->now->header.page_shift;

	top_parts(top->now, frames);
	for (uint32_t i = 0; i < TOP_PARTS; i++) {
		uint32_t y = i < TOP_FREE ? 2 : 3;

		if (i == TOP_BAD && !frames[i])
			continue;
		put(y, i == TOP_USED || i == TOP_FREE ? 1 : cursor_x() + 3, "%s", "");
		(void)attron(COLOR_PAIR(COLOR_OF_PARTS + i));
		put(y, cursor_x(), "%c", top_part_letter((enum top_part)i));
		(void)attroff(COLOR_PAIR(COLOR_OF_PARTS + i));
		put(y, cursor_x(), " %s %s", top_part_name((enum top_part)i),
		    human_size(frames[i] << shift).s);
	}
}

static void draw_pressure(const struct top *top)
{
	const struct shm_meta_header *h = &top->now->header;
	struct top_levels levels = top_levels(top->now);
	bool is_short = levels.free < levels.low;

	put(4, 1, "pressure %s (own %s, machine %s)", status_pressure(h->level),
	    status_pressure(h->own_level), status_pressure(h->machine_level));
	put(4, cursor_x() + 2, "free is ");
	if (is_short)
		(void)attron(COLOR_PAIR(COLOR_WARN) | A_BOLD);
	put(4, cursor_x(), "%s", levels.text);
	(void)attroff(COLOR_PAIR(COLOR_WARN) | A_BOLD);
	put(5, 1, "psi");
	for (uint32_t k = 0; k < SHM_PSI_KINDS; k++) {
		const uint16_t *avg = h->psi.avg[k];

		put(5, cursor_x() + 1, "%s %u.%02u %u.%02u %u.%02u ", k ? "full" : "some",
		    avg[0] / 100u, avg[0] % 100u, avg[1] / 100u, avg[1] % 100u, avg[2] / 100u,
		    avg[2] % 100u);
	}
	put(5, cursor_x() + 1, "%% of the last 10, 60, 300 s");
}

/* At most 4 wide: "999", "9.9k", "120k", "45M". */
static struct human rate_short(double rate)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	struct human human;
	uint32_t i = 0;

	for (; rate >= 999.5 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		rate /= 1000;
	(void)snprintf(human.s, sizeof(human.s), i && rate < 9.95 ? "%.1f%s" : "%.0f%s", rate,
		       units[i]);
	return human;
}

static void draw_rates(const struct top *top)
{
	static const struct {
		const char *name;
		enum counter counter;
	} rates[2][6] = {
		{{"alloc", COUNTER_pgalloc},
		 {"free", COUNTER_pgfree},
		 {"refill", COUNTER_pcp_refill},
		 {"steal", COUNTER_pgsteal},
		 {"purge", COUNTER_pgpurge},
		 {"refault", COUNTER_workingset_refault}},
		{{"upcall", COUNTER_shrink_upcalls},
		 {"back", COUNTER_pgsteal_slab},
		 {"wait", COUNTER_allocstall},
		 {"oom", COUNTER_oom},
		 {"commit", COUNTER_pgcommit},
		 {"rpc", COUNTER_rpc_requests}},
	};

	for (uint32_t line = 0; line < 2; line++) {
		put(6 + line, 1, "%-7s", line ? "" : "per s");
		for (uint32_t i = 0; i < sizeof(rates[0]) / sizeof(rates[0][0]); i++) {
			double rate =
				top_counter_rate(top->before, top->now, rates[line][i].counter);

			put(6 + line, 8 + 12 * i, "%s %s", rates[line][i].name, rate_short(rate).s);
		}
	}
}

/* --- tables --------------------------------------------------------------------------------- */

static void draw_titles(const struct top *top, enum top_tables which, uint32_t y)
{
	const struct top_table *table = &top->table[which];
	uint32_t x = 0;

	(void)attron(A_REVERSE);
	(void)mvhline((int)y, 0, ' ', COLS);
	for (uint32_t i = 0; i < table->n_columns; i++) {
		int width = (int)top->width[which][i];
		bool is_key = i == table->sort && which == top->focus;

		if (!width)
			continue;
		if (is_key)
			(void)attron(A_BOLD | A_UNDERLINE);
		put(y, x, table->columns[i].is_text ? "%-*.*s" : "%*.*s", width, width,
		    table->columns[i].title);
		(void)attroff(A_BOLD | A_UNDERLINE);
		x += (uint32_t)width + 1;
	}
	(void)attroff(A_REVERSE);
}

/* Titles at line y and rows below it, at most n_lines together. */
static void draw_table(struct top *top, enum top_tables which, uint32_t y, uint32_t n_lines)
{
	const struct top_table *table = &top->table[which];
	uint32_t shown, *scroll = &top->scroll[which];

	top_table_fit(table, (uint32_t)COLS, top->width[which]);
	draw_titles(top, which, y);
	shown = (uint32_t)bits_min(table->n_rows, n_lines - 1);
	*scroll = (uint32_t)bits_min(*scroll, table->n_rows - shown);
	for (uint32_t i = 0; i < shown; i++) {
		const struct top_row *row = &table->rows[*scroll + i];
		uint32_t x = 0;

		for (uint32_t k = 0; k < table->n_columns; k++) {
			int width = (int)top->width[which][k];

			if (!width)
				continue;
			put(y + 1 + i, x, table->columns[k].is_text ? "%-*.*s" : "%*.*s", width,
			    width, row->cell[k]);
			x += (uint32_t)width + 1;
		}
	}
	if (!table->n_rows)
		put(y + 1, 0, "no %s", table->name);
}

static void draw_tables(struct top *top)
{
	uint32_t lines = (uint32_t)LINES, y = HEAD_LINES, rest;
	uint32_t n_zones = top->table[TOP_ZONES].n_rows;
	enum top_tables main_table = top->focus == TOP_CACHES ? TOP_CACHES : TOP_CLIENTS;

	if (lines < BOTH_LINES && top->focus != TOP_ZONES)
		n_zones = (uint32_t)bits_min(n_zones, ZONES_SHOWN);
	draw_table(top, TOP_ZONES, y, 1 + n_zones);
	y += 2 + n_zones;
	rest = lines - 1 - y;
	if (lines < BOTH_LINES) {
		draw_table(top, main_table, y, rest);
		return;
	}
	draw_table(top, TOP_CLIENTS, y, rest / 2);
	draw_table(top, TOP_CACHES, y + rest / 2 + 1, rest - rest / 2 - 1);
}

static void draw_keys(const struct top *top)
{
	static const char keys[] = " q quit  Tab table  < > sort by  r reverse  Up Down scroll"
				   "  Space pause  h help";
	uint32_t y = (uint32_t)LINES - 1;

	if (!top->is_here) {
		(void)attron(COLOR_PAIR(COLOR_WARN) | A_BOLD);
		put(y, 0, " no daemon answers: these are the last numbers; trying again    q quit");
		(void)attroff(COLOR_PAIR(COLOR_WARN) | A_BOLD);
		return;
	}
	(void)attron(A_DIM);
	put(y, 0, "%s", top->is_paused ? " paused: Space goes on  q quit" : keys);
	(void)attroff(A_DIM);
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"q, Esc       end",
		"Tab          the next table: zones, clients, caches; keys work on that one",
		"<, > (, .)   sort by the column to the left, to the right; also the arrows",
		"r            the other way round",
		"Up, Down     scroll, also PgUp and PgDn",
		"Space        pause, and go on",
		"h, ?         this text, and back",
		"",
		"used         owned by clients, and none of the next two",
		"purgeable    may be taken without asking: unpinned entries of purge tables",
		"magazines    owned by a client and in stock, as the daemon saw it last",
		"holes        free, with no memory behind them yet",
		"TAKEN/s      frames that reclaim took from a client",
		"BACK/s       frames that came back from a cache",
		"SOME10       % of the last 10 s in which a request waited for frames",
	};

	for (uint32_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put(HEAD_LINES + i - 1, 2, "%s", lines[i]);
}

void top_screen_draw(struct top *top)
{
	(void)erase();
	if ((uint32_t)COLS < TOP_MIN_COLUMNS || (uint32_t)LINES < TOP_MIN_LINES) {
		put(0, 0, "pagectl top needs %ux%u.", TOP_MIN_COLUMNS, TOP_MIN_LINES);
		put(1, 0, "This terminal has %dx%d.", COLS, LINES);
		put(2, 0, "Make it larger, or q quits.");
		(void)refresh();
		return;
	}
	draw_title(top);
	draw_bar(top);
	draw_legend(top);
	draw_pressure(top);
	draw_rates(top);
	if (top->want_help)
		draw_help();
	else
		draw_tables(top);
	draw_keys(top);
	(void)refresh();
}

/* --- keys ----------------------------------------------------------------------------------- */

enum top_key top_screen_key(void)
{
	static const struct {
		int code;
		enum top_key key;
	} keys[] = {
		{'q', TOP_KEY_QUIT},          {27, TOP_KEY_QUIT},
		{'\t', TOP_KEY_NEXT_TABLE},   {'<', TOP_KEY_LEFT},
		{',', TOP_KEY_LEFT},          {KEY_LEFT, TOP_KEY_LEFT},
		{'>', TOP_KEY_RIGHT},         {'.', TOP_KEY_RIGHT},
		{KEY_RIGHT, TOP_KEY_RIGHT},   {'r', TOP_KEY_REVERSE},
		{KEY_UP, TOP_KEY_UP},         {'k', TOP_KEY_UP},
		{KEY_DOWN, TOP_KEY_DOWN},     {'j', TOP_KEY_DOWN},
		{KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
		{' ', TOP_KEY_PAUSE},         {'h', TOP_KEY_HELP},
		{'?', TOP_KEY_HELP},          {KEY_RESIZE, TOP_KEY_RESIZE},
		{'\f', TOP_KEY_REFRESH},
	};
	int code = getch();

	/* Terminals differ in what they keep when their size changes: all of it is drawn again. */
	if (code == '\f' || code == KEY_RESIZE)
		(void)clearok(stdscr, TRUE);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].key;
	return TOP_KEY_NONE;
}
