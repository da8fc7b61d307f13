/* tests/integration/screen.h - a terminal of a test's own, with a program on it.
 *
 * A pty, and of all terminals that curses knows the simplest: a vt52, which moves the cursor,
 * clears, and prints. So what is on the screen is known exactly, at any size, and the program
 * draws it by the same calls as on any other. Waits look at the screen again whenever something
 * was written, until CLOCK_PATIENCE_MS. The program dies with the test. */
#ifndef TESTS_INTEGRATION_SCREEN_H
#define TESTS_INTEGRATION_SCREEN_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SCREEN_LINES_MAX 60u
#define SCREEN_COLUMNS_MAX 220u
#define SCREEN_RAW_BYTES 65536u

struct screen {
	pid_t pid; /* 0: it has ended */
	int fd;
	uint32_t lines, columns;
	uint32_t y, x;
	uint32_t n_escape; /* bytes of a sequence that have come so far */
	uint8_t escape[4];
	char line[SCREEN_LINES_MAX][SCREEN_COLUMNS_MAX + 1]; /* blanks where nothing is */
	uint32_t n_raw;
	char raw[SCREEN_RAW_BYTES]; /* the first bytes that it wrote, a string */
};

/* Starts argv (NULL at its end) on a terminal of that size, with TERM=term and the environment's
 * other variables; no_color sets NO_COLOR. With a term that is not vt52 only raw means anything. */
bool screen_open(struct screen *screen, uint32_t lines, uint32_t columns, const char *term,
		 bool no_color, const char *const *argv);
/* Kills it if it has not ended. */
void screen_close(struct screen *screen);

/* Waits until some line has this text; -1 if none gets it in time, and says what is there. */
int screen_wait(struct screen *screen, const char *text);
/* Waits until the line with `above` is above the line with `below`. */
bool screen_wait_order(struct screen *screen, const char *above, const char *below);
/* Waits until no line has it. */
bool screen_wait_gone(struct screen *screen, const char *text);
/* Waits until it has written these bytes, within the first SCREEN_RAW_BYTES. */
bool screen_wait_raw(struct screen *screen, const char *bytes);
/* The line that has it at this moment, -1 if none. */
int screen_find(const struct screen *screen, const char *text);

void screen_type(struct screen *screen, const char *keys);
/* A new size; what was on it is gone, as the program is to draw all of it again. */
void screen_resize(struct screen *screen, uint32_t lines, uint32_t columns);

/* Waits for its end: the exit status, -signal, or -1000. */
int screen_end(struct screen *screen);

#endif
