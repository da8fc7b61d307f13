/* pagectl/watch.c - see watch.h. */
#include "pagectl/watch.h"

#include "pagectl/command.h"
#include "pagectl/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The sequences that every terminal of today knows; one that says it is dumb gets none. */
#define TO_TOP_LEFT "\033[H\033[2J"

static bool is_screen(const struct pagectl *ctl)
{
	const char *term = getenv("TERM");

	return !ctl->want_json && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

int watch(struct pagectl *ctl)
{
	uint32_t interval_ms = (ctl->interval_s ? ctl->interval_s : 1) * 1000u;
	bool was_here = true, on_screen = is_screen(ctl);
	const char *between = "";
	int r = PAGECTL_OK;

	while (r == PAGECTL_OK && !ferror(stdout)) {
		bool is_here = follow_daemon(ctl);

		if (is_here) {
			fputs(on_screen ? TO_TOP_LEFT : between, stdout);
			r = ctl->command->run(ctl);
			between = ctl->want_json ? "" : "\n";
		} else if (was_here) {
			fputs("pagectl: no daemon answers; waiting for one\n", stderr);
		}
		was_here = is_here;
		if (fflush(stdout))
			break;
		(void)follow_wait(ctl, -1, interval_ms);
	}
	return r;
}
