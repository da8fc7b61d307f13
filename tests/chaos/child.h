/* tests/chaos/child.h - what every process of a run begins with. */
#ifndef TESTS_CHAOS_CHILD_H
#define TESTS_CHAOS_CHILD_H
#include <sys/types.h>

/* In a new process: it dies with its parent, Ctrl-C is the parent's affair, and no signal is
 * blocked. Ends the process if the parent is gone already. */
void child_settle(pid_t parent);

#endif
