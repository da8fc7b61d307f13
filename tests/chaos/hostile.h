/* tests/chaos/hostile.h - clients that try to hurt others; each in a process of its own. */
#ifndef TESTS_CHAOS_HOSTILE_H
#define TESTS_CHAOS_HOSTILE_H
#include "tests/chaos/board.h"

/* Attaches, and writes random bottoms and slots into its own CTL, punches holes into it, and sends
 * requests with random numbers, until it is disconnected or the phase is CHAOS_STOP. 0. */
int scribbler_run(struct board *board, uint32_t number, uint32_t incarnation);

/* Not hostile, but in nobody's interest: has the administrator's Drain all the time, so that
 * magazines are stolen while their owners pop and push. Until CHAOS_STOP. 0. */
int drainer_run(struct board *board, uint32_t incarnation);

/* Holds as many connections as it may: some say nothing, some half a Hello, some all of it; none
 * ever reads. Until CHAOS_STOP, or it has said enough Hellos: then the next one comes. 0. */
int hog_run(struct board *board, uint32_t incarnation);

#endif
