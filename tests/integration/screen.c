/* tests/integration/screen.c - see screen.h. */
#include "tests/integration/screen.h"

#include "tests/integration/clock.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a vt52 --------------------------------------------------------------------------------- */

static void clear_from(struct screen *screen, uint32_t y, uint32_t x)
{
	for (; x < screen->columns; x++)
		screen->line[y][x] = ' ';
}

static void clear_below(struct screen *screen, uint32_t y)
{
	for (; y < screen->lines; y++)
		clear_from(screen, y, 0);
}

static void clear_all(struct screen *screen)
{
	memset(screen->line, 0, sizeof(screen->line));
	clear_below(screen, 0);
	screen->y = screen->x = 0;
}

static void move_to(struct screen *screen, uint32_t y, uint32_t x)
{
	screen->y = y < screen->lines ? y : screen->lines - 1;
	screen->x = x < screen->columns ? x : screen->columns - 1;
}

static void take_escape(struct screen *screen)
{
	switch (screen->escape[0]) {
	case 'A':
		move_to(screen, screen->y ? screen->y - 1 : 0, screen->x);
		break;
	case 'B':
		move_to(screen, screen->y + 1, screen->x);
		break;
	case 'C':
		move_to(screen, screen->y, screen->x + 1);
		break;
	case 'D':
		move_to(screen, screen->y, screen->x ? screen->x - 1 : 0);
		break;
	case 'H':
		move_to(screen, 0, 0);
		break;
	case 'J':
		clear_from(screen, screen->y, screen->x);
		clear_below(screen, screen->y + 1);
		break;
	case 'K':
		clear_from(screen, screen->y, screen->x);
		break;
	case 'Y':
		move_to(screen, screen->escape[1] - 32u, screen->escape[2] - 32u);
		break;
	default: /* keypad modes, graphic letters */
		break;
	}
}

static void take_byte(struct screen *screen, uint8_t byte)
{
	if (screen->n_raw + 1 < SCREEN_RAW_BYTES)
		screen->raw[screen->n_raw++] = (char)byte;
	if (screen->n_escape) {
		screen->escape[screen->n_escape++ - 1] = byte;
		if (screen->escape[0] == 'Y' && screen->n_escape < 4)
			return;
		take_escape(screen);
		screen->n_escape = 0;
	} else if (byte == '\033') {
		screen->n_escape = 1;
	} else if (byte == '\r') {
		screen->x = 0;
	} else if (byte == '\n') {
		move_to(screen, screen->y + 1, screen->x);
	} else if (byte == '\b') {
		move_to(screen, screen->y, screen->x ? screen->x - 1 : 0);
	} else if (byte == '\t') {
		move_to(screen, screen->y, (screen->x | 7u) + 1);
	} else if (byte >= ' ') {
		screen->line[screen->y][screen->x] = (char)byte;
		move_to(screen, screen->y, screen->x + 1);
	}
}

/* --- its program ---------------------------------------------------------------------------- */

_Noreturn static void become(const char *const *argv, const char *term, bool no_color)
{
	char *copy[16] = {NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setenv("TERM", term, 1);
	(void)unsetenv("NO_COLOR");
	(void)unsetenv("LINES");
	(void)unsetenv("COLUMNS");
	if (no_color)
		(void)setenv("NO_COLOR", "1", 1);
	for (uint32_t i = 0; i < 15 && argv[i]; i++)
		copy[i] = strdup(argv[i]);
	execvp(copy[0], copy);
	_exit(127);
}

bool screen_open(struct screen *screen, uint32_t lines, uint32_t columns, const char *term,
		 bool no_color, const char *const *argv)
{
	struct winsize size = {.ws_row = (uint16_t)lines, .ws_col = (uint16_t)columns};

	memset(screen, 0, sizeof(*screen));
	screen->lines = lines;
	screen->columns = columns;
	clear_all(screen);
	(void)fflush(NULL);
	screen->pid = forkpty(&screen->fd, NULL, NULL, &size);
	if (screen->pid == 0)
		become(argv, term, no_color);
	CU_ASSERT_TRUE(screen->pid > 0);
	if (screen->pid < 0) {
		screen->pid = 0;
		screen->fd = -1;
		return false;
	}
	(void)fcntl(screen->fd, F_SETFD, FD_CLOEXEC);
	return true;
}

/* False: the program has closed its side, or nothing came in time. */
static bool read_some(struct screen *screen, uint64_t until)
{
	struct pollfd poll_fd = {.fd = screen->fd, .events = POLLIN};
	uint8_t bytes[4096];
	ssize_t n;

	if (screen->fd < 0 || poll(&poll_fd, 1, clock_left_ms(until)) <= 0)
		return false;
	n = read(screen->fd, bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++)
		take_byte(screen, bytes[i]);
	return n > 0;
}

int screen_find(const struct screen *screen, const char *text)
{
	for (uint32_t y = 0; y < screen->lines; y++)
		if (strstr(screen->line[y], text))
			return (int)y;
	return -1;
}

static void complain(const struct screen *screen, const char *what, const char *text)
{
	(void)fprintf(stderr, "%s \"%s\" on the screen:\n", what, text);
	for (uint32_t y = 0; y < screen->lines; y++)
		(void)fprintf(stderr, "|%s|\n", screen->line[y]);
}

int screen_wait(struct screen *screen, const char *text)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (screen_find(screen, text) < 0)
		if (!read_some(screen, until)) {
			complain(screen, "no", text);
			break;
		}
	return screen_find(screen, text);
}

bool screen_wait_order(struct screen *screen, const char *above, const char *below)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	for (;;) {
		int first = screen_find(screen, above), second = screen_find(screen, below);

		if (first >= 0 && second > first)
			return true;
		if (read_some(screen, until))
			continue;
		complain(screen, "in the wrong place:", above);
		return false;
	}
}

bool screen_wait_gone(struct screen *screen, const char *text)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (screen_find(screen, text) >= 0)
		if (!read_some(screen, until)) {
			complain(screen, "still", text);
			return false;
		}
	return true;
}

bool screen_wait_raw(struct screen *screen, const char *bytes)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (!strstr(screen->raw, bytes))
		if (!read_some(screen, until))
			return false;
	return true;
}

void screen_type(struct screen *screen, const char *keys)
{
	CU_ASSERT_EQUAL(write(screen->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

void screen_resize(struct screen *screen, uint32_t lines, uint32_t columns)
{
	struct winsize size = {.ws_row = (uint16_t)lines, .ws_col = (uint16_t)columns};

	screen->lines = lines;
	screen->columns = columns;
	clear_all(screen);
	CU_ASSERT_EQUAL(ioctl(screen->fd, TIOCSWINSZ, &size), 0);
}

int screen_end(struct screen *screen)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	int status = 0;
	bool late;

	while (read_some(screen, until)) /* until the other side is closed */
		;
	late = clock_left_ms(until) == 0;
	if (late)
		(void)kill(screen->pid, SIGKILL);
	(void)waitpid(screen->pid, &status, 0);
	(void)close(screen->fd);
	screen->pid = 0;
	screen->fd = -1;
	if (late)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void screen_close(struct screen *screen)
{
	if (!screen->pid)
		return;
	(void)kill(screen->pid, SIGKILL);
	(void)screen_end(screen);
}
