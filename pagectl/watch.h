/* pagectl/watch.h - a command that is shown again and again: --watch. */
#ifndef PAGECTL_WATCH_H
#define PAGECTL_WATCH_H
#include "pagectl/pagectl.h"

/* Runs ctl->command now, and after each interval, until the output cannot be written; a signal ends
 * the process. On a terminal each one takes the place of the one before; else an empty line is
 * between them, or none with --json. While there is no daemon it says so, once. Returns an enum
 * pagectl_exit. */
int watch(struct pagectl *ctl);

#endif
