/* pagectl/top.c - `pagectl top`: samples, keys and time.
 *
 * One thread. It waits for the first of three: the end of the interval, a key (or a new size of the
 * terminal, which interrupts the wait), the end of the connection. Only the first and the last take
 * a new sample, so that keys change what is shown and not what the rates are of. */
#include "pagectl/top.h"

#include "pagectl/follow.h"
#include "pagectl/json.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_ROWS 10u /* that PgUp and PgDn scroll */
/* Lower: what was typed ahead is drawn key by key. Higher: a key that repeats holds up a sample. */
#define KEYS_PER_WAKE 32u

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void top_init(struct top *top, struct pagectl *ctl)
{
	memset(top, 0, sizeof(*top));
	top->ctl = ctl;
	top->interval_s = ctl->interval_s ? ctl->interval_s : 1;
	top->is_here = true;
	top->focus = TOP_CLIENTS;
	top->before = xrealloc(NULL, sizeof(*top->before));
	top->now = xrealloc(NULL, sizeof(*top->now));
	memset(top->before, 0, sizeof(*top->before));
	memset(top->now, 0, sizeof(*top->now));
	for (uint32_t i = 0; i < TOP_TABLES; i++) {
		enum top_tables which = (enum top_tables)i;

		top_table_init(&top->table[i], which,
			       xrealloc(NULL, top_rows_max(which) * sizeof(struct top_row)));
	}
}

static void top_done(struct top *top)
{
	for (uint32_t i = 0; i < TOP_TABLES; i++)
		free(top->table[i].rows);
	free(top->before);
	free(top->now);
}

static void fill(struct top *top)
{
	for (uint32_t i = 0; i < TOP_TABLES; i++)
		top_table_fill(&top->table[i], (enum top_tables)i, top->before, top->now);
}

/* Unless it is paused, or nobody is there: then what was last is shown on. */
static void take_sample(struct top *top)
{
	struct top_sample *oldest = top->before;

	top->is_here = follow_daemon(top->ctl);
	if (!top->is_here || top->is_paused)
		return;
	top->before = top->now;
	top->now = oldest;
	top_sample_read(top->now, &top->ctl->view);
	fill(top);
}

/* --- keys ----------------------------------------------------------------------------------- */

static void scroll_by(struct top *top, int rows)
{
	uint32_t *scroll = &top->scroll[top->focus];

	if (rows < 0)
		*scroll -= *scroll < (uint32_t)-rows ? *scroll : (uint32_t)-rows;
	else
		*scroll += (uint32_t)rows; /* drawing knows how far that goes */
}

static void sort_by(struct top *top, int step)
{
	struct top_table *table = &top->table[top->focus];

	top_table_move(table, top->width[top->focus], step);
	top_table_sort(table);
}

static void take_key(struct top *top, enum top_key key)
{
	switch (key) {
	case TOP_KEY_QUIT:
		top->want_end = true;
		break;
	case TOP_KEY_NEXT_TABLE:
		top->focus = (enum top_tables)((top->focus + 1u) % TOP_TABLES);
		break;
	case TOP_KEY_LEFT:
		sort_by(top, -1);
		break;
	case TOP_KEY_RIGHT:
		sort_by(top, 1);
		break;
	case TOP_KEY_REVERSE:
		top->table[top->focus].is_reversed = !top->table[top->focus].is_reversed;
		top_table_sort(&top->table[top->focus]);
		break;
	case TOP_KEY_UP:
		scroll_by(top, -1);
		break;
	case TOP_KEY_DOWN:
		scroll_by(top, 1);
		break;
	case TOP_KEY_PAGE_UP:
		scroll_by(top, -(int)PAGE_ROWS);
		break;
	case TOP_KEY_PAGE_DOWN:
		scroll_by(top, (int)PAGE_ROWS);
		break;
	case TOP_KEY_PAUSE:
		top->is_paused = !top->is_paused;
		break;
	case TOP_KEY_HELP:
		top->want_help = !top->want_help;
		break;
	case TOP_KEY_NONE:
	case TOP_KEY_REFRESH: /* these are drawn, and no more */
	case TOP_KEY_RESIZE:
		break;
	}
}

/* False: the terminal is gone, as when its window is closed. */
static bool take_keys(struct top *top)
{
	uint32_t n = 0;

	for (enum top_key key; n < KEYS_PER_WAKE && (key = top_screen_key()) != TOP_KEY_NONE; n++)
		take_key(top, key);
	return n > 0 || isatty(STDIN_FILENO);
}

static void loop(struct top *top)
{
	uint64_t next = now_ms() + top->interval_s * 1000u;

	while (!top->want_end) {
		uint64_t now = now_ms();
		bool any;

		top_screen_draw(top);
		any = follow_wait(top->ctl, STDIN_FILENO, now < next ? (uint32_t)(next - now) : 0);
		/* a resize is a key that curses makes, without a byte to read */
		if (!take_keys(top) && any)
			return;
		now = now_ms();
		if (now < next && (any || follow_daemon_stands(top->ctl)))
			continue;
		next = now + top->interval_s * 1000u;
		take_sample(top);
	}
}

/* --- for programs --------------------------------------------------------------------------- */

static json_t *table_json(const struct top_table *table)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < table->n_rows; i++) {
		json_t *object = json_object();

		for (uint32_t k = 0; k < table->n_columns; k++) {
			const struct top_column *column = &table->columns[k];

			if (column->is_text)
				json_put_string(object, column->json, table->rows[i].cell[k]);
			else
				json_put_real(object, column->json, table->rows[i].key[k]);
		}
		json_array_append_new(array, object);
	}
	return array;
}

static int print_json(const struct top *top)
{
	json_t *root = json_new(), *rates = json_object(), *parts = json_object();
	uint64_t frames[TOP_PARTS];

	top_parts(top->now, frames);
	for (uint32_t i = 0; i < TOP_PARTS; i++)
		json_put_number(parts, top_part_name((enum top_part)i), frames[i]);
	/* the first counters are gauges */
	for (uint32_t i = COUNTER_nr_shared + 1; i < COUNTER_COUNT; i++)
		json_put_real(rates, counter_name((enum counter)i),
			      top_counter_rate(top->before, top->now, (enum counter)i));
	json_put_number(root, "page_size", UINT64_C(1) << top->now->header.page_shift);
	json_put_real(root, "seconds", top_seconds(top->before, top->now));
	json_object_set_new(root, "frames", parts);
	json_object_set_new(root, "per_s", rates);
	for (uint32_t i = 0; i < TOP_TABLES; i++)
		json_object_set_new(root, top->table[i].name, table_json(&top->table[i]));
	return json_print(root);
}

int show_top(struct pagectl *ctl)
{
	struct top top;
	int r = PAGECTL_FAILED;

	top_init(&top, ctl);
	take_sample(&top);
	if (ctl->want_json) {
		(void)follow_wait(ctl, -1, top.interval_s * 1000u);
		take_sample(&top);
		r = print_json(&top);
	} else if (top_screen_open()) {
		loop(&top);
		top_screen_close();
		r = PAGECTL_OK;
	}
	top_done(&top);
	return r;
}
