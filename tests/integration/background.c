/* tests/integration/background.c - see background.h. */
#include "tests/integration/background.h"

#include "tests/integration/clock.h"
#include "tests/integration/program.h"
#include "tests/support/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_ENDED (-1000)

_Noreturn static void become(const char *log, const char *const *argv)
{
	char *copy[PROGRAM_ARGUMENTS_MAX + 1] = {NULL};
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0; i < PROGRAM_ARGUMENTS_MAX && argv[i]; i++)
		copy[i] = strdup(argv[i]);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	execvp(copy[0], copy);
	_exit(127);
}

bool background_start(struct background *background, const char *log, const char *const *argv)
{
	*background = (struct background){.pidfd = -1};
	(void)snprintf(background->log, sizeof(background->log), "%s", log);
	background->pid = fork();
	if (background->pid == 0)
		become(background->log, argv);
	if (background->pid < 0)
		background->pid = 0;
	else
		background->pidfd = (int)syscall(SYS_pidfd_open, background->pid, 0);
	return background->pidfd >= 0;
}

static bool has_ended(const struct background *background, int timeout_ms)
{
	struct pollfd fd = {.fd = background->pidfd, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) > 0;
}

bool background_says(const struct background *background, const char *text)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		bool ended = has_ended(background, 0); /* before the last look */

		if (log_file_has(background->log, text))
			return true;
		if (ended)
			break;
	}
	return false;
}

char *background_word_after(const struct background *background, const char *text)
{
	char *log = log_file_read(background->log);
	char *found = log ? strstr(log, text) : NULL;
	char *word = NULL;

	if (found) {
		found += strlen(text);
		word = strndup(found, strcspn(found, "\n"));
	}
	free(log);
	return word;
}

char *background_text(const struct background *background)
{
	return log_file_read(background->log);
}

bool background_ends(const struct background *background)
{
	return has_ended(background, (int)CLOCK_PATIENCE_MS);
}

int background_end(struct background *background, int signal)
{
	int status = 0;
	bool ended;

	if (background->pid == 0)
		return NOT_ENDED;
	(void)kill(background->pid, signal);
	ended = has_ended(background, (int)CLOCK_PATIENCE_MS);
	if (!ended)
		(void)kill(background->pid, SIGKILL);
	(void)waitpid(background->pid, &status, 0);
	(void)close(background->pidfd);
	(void)unlink(background->log);
	background->pid = 0;
	if (!ended)
		return NOT_ENDED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
