/* tests/chaos/keeper.h - an honest client: a process with hands, a probe, and a cache.
 *
 * It attaches, repeating that while no daemon listens, works until CHAOS_STOP, gives everything
 * back, detaches and ends with 0. Whatever else is killed meanwhile is the library's affair: only
 * its contract is relied on here. */
#ifndef TESTS_CHAOS_KEEPER_H
#define TESTS_CHAOS_KEEPER_H
#include "tests/chaos/board.h"

/* In a process of its own; the value is its exit status. */
int keeper_run(struct board *board, uint32_t number);

#endif
