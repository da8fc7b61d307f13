/* tests/integration/program.h - runs a program to its end and keeps what it printed. */
#ifndef TESTS_INTEGRATION_PROGRAM_H
#define TESTS_INTEGRATION_PROGRAM_H
#include <stdbool.h>
#include <stddef.h>

#define PROGRAM_TEXT_BYTES (1u << 20) /* of `pagectl pcp --json` with 200 clients */
#define PROGRAM_ARGUMENTS_MAX 16u

struct program {
	int status;      /* exit status; -signal; -1000 not started or not ended in time */
	char *out, *err; /* always strings */
};

/* argv ends with NULL. Give it to program_done() afterwards, whatever happened. */
void program_run(struct program *ret_program, const char *const *argv);
void program_done(struct program *program);

/* In stderr: one line, and no more. */
bool program_said_one_line(const struct program *program);

#endif
