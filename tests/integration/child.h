/* tests/integration/child.h - processes of a test: forked, told what to do by numbers over a
 * socket, and never left behind (they die with the test). */
#ifndef TESTS_INTEGRATION_CHILD_H
#define TESTS_INTEGRATION_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

struct child {
	pid_t pid;
	int fd; /* to the other side */
};

/* What the child does; fd is its end. The value is its exit status. */
typedef int child_body(int fd, void *arg);

/* False if there is no process to be had; then nothing is to be ended. */
bool child_start(struct child *child, child_body *body, void *arg);

/* Numbers both ways; child_hear() waits for one. False: the other side is gone or late. The same
 * calls serve both sides, the child's with its fd. */
bool child_say(int fd, uint64_t value);
bool child_hear(int fd, uint64_t *ret_value);
/* child_hear() of a number that is known. */
bool child_expect(int fd, uint64_t value);

/* Ends it if it waits for our next number, and takes its exit status; -signal if one killed it,
 * -1000 if it did not end in time (it is killed then). */
int child_end(struct child *child);
/* SIGKILL; returns when it is gone. */
void child_kill(struct child *child);
/* SIGSTOP and SIGCONT; return when all its threads are stopped, or go on. */
bool child_stop(const struct child *child);
bool child_continue(const struct child *child);

/* In a child: says what was not true and ends it. */
#define CHILD_CHECK(x)                                                                             \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			(void)fprintf(stderr, "%s:%d: in a child: %s\n", __FILE__, __LINE__, #x);  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
