/* pagectl/top.h - the state of a running `pagectl top`, and the half of it that draws.
 *
 *   top.c         the loop: time, keys, samples
 *   top_screen.c  ncurses: draws a struct top, reads a key
 *   top_model.c, top_rows.c, top_table.c, top_sample.c   what there is to draw */
#ifndef PAGECTL_TOP_H
#define PAGECTL_TOP_H
#include "pagectl/pagectl.h"
#include "pagectl/top_model.h"

/* Smaller terminals are told so and shown nothing. */
#define TOP_MIN_COLUMNS 80u
#define TOP_MIN_LINES 24u

struct top {
	struct pagectl *ctl;
	struct top_sample *before, *now;
	struct top_table table[TOP_TABLES];
	uint32_t width[TOP_TABLES][TOP_COLUMNS_MAX]; /* of columns, as they were drawn last */
	uint32_t scroll[TOP_TABLES];                 /* rows above the first that is shown */
	enum top_tables focus;                       /* whose rows the keys sort and scroll */
	uint32_t interval_s;
	bool is_here; /* the daemon */
	bool is_paused;
	bool want_help;
	bool want_end;
};

/* What a key asks for. */
enum top_key {
	TOP_KEY_NONE,
	TOP_KEY_QUIT,
	TOP_KEY_NEXT_TABLE,
	TOP_KEY_LEFT,
	TOP_KEY_RIGHT,
	TOP_KEY_REVERSE,
	TOP_KEY_UP,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_PAUSE,
	TOP_KEY_HELP,
	TOP_KEY_REFRESH,
	TOP_KEY_RESIZE,
};

/* Takes the terminal. False, with a sentence on stderr, if there is none or it cannot be used. */
bool top_screen_open(void);
void top_screen_close(void);

/* Draws all of it. Sets top->width, and keeps top->scroll inside the tables. */
void top_screen_draw(struct top *top);

/* The key that was pressed, NONE if there is none or it means nothing; never waits. */
enum top_key top_screen_key(void);

#endif
