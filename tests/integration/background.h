/* tests/integration/background.h - a program that goes on while the test looks at it: an exporter,
 * a Prometheus. What it prints goes to a file; it dies with the test. */
#ifndef TESTS_INTEGRATION_BACKGROUND_H
#define TESTS_INTEGRATION_BACKGROUND_H
#include <stdbool.h>
#include <sys/types.h>

struct background {
	pid_t pid; /* 0: none runs */
	int pidfd;
	char log[128];
};

/* argv ends with NULL; log is the file to print to, a new one. False: there is no process. */
bool background_start(struct background *background, const char *log, const char *const *argv);
/* Waits until it has printed text; false: it ended, or the time is up. */
bool background_says(const struct background *background, const char *text);
/* What it printed behind `text`, up to the end of the line; free() it. NULL: nothing. */
char *background_word_after(const struct background *background, const char *text);
/* All of that; free() it. */
char *background_text(const struct background *background);
/* Waits until it has ended; its status is background_end()'s. */
bool background_ends(const struct background *background);
/* Sends signal and waits: the exit status, -signal, -1000 if it had to be killed. Removes the log.
 */
int background_end(struct background *background, int signal);

#endif
