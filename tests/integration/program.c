/* tests/integration/program.c - see program.h. */
#include "tests/integration/program.h"

#include "tests/integration/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_ENDED (-1000)

struct capture {
	int fd;
	char *text;
	size_t n;
};

static void capture_read(struct capture *capture)
{
	ssize_t n =
		read(capture->fd, capture->text + capture->n, PROGRAM_TEXT_BYTES - 1 - capture->n);

	if (n > 0) {
		capture->n += (size_t)n;
		return;
	}
	(void)close(capture->fd);
	capture->fd = -1;
}

/* Until both are closed, that is: the program has ended. */
static bool capture_both(struct capture capture[2])
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (capture[0].fd >= 0 || capture[1].fd >= 0) {
		struct pollfd fds[2] = {{.fd = capture[0].fd, .events = POLLIN},
					{.fd = capture[1].fd, .events = POLLIN}};

		if (poll(fds, 2, clock_left_ms(until)) <= 0)
			return false;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				capture_read(&capture[i]);
	}
	return true;
}

_Noreturn static void become(const char *const *argv, const int out[2], const int err[2])
{
	char *copy[PROGRAM_ARGUMENTS_MAX + 1] = {NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0; i < PROGRAM_ARGUMENTS_MAX && argv[i]; i++)
		copy[i] = strdup(argv[i]);
	(void)dup2(out[1], STDOUT_FILENO);
	(void)dup2(err[1], STDERR_FILENO);
	execvp(copy[0], copy);
	_exit(127);
}

static int wait_status(pid_t pid, bool ended)
{
	int status;

	if (!ended)
		(void)kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !ended)
		return NOT_ENDED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void program_run(struct program *ret_program, const char *const *argv)
{
	struct capture capture[2] = {{.fd = -1, .text = calloc(1, PROGRAM_TEXT_BYTES)},
				     {.fd = -1, .text = calloc(1, PROGRAM_TEXT_BYTES)}};
	int out[2], err[2];
	pid_t pid;

	*ret_program = (struct program){NOT_ENDED, capture[0].text, capture[1].text};
	if (!capture[0].text || !capture[1].text || pipe2(out, O_CLOEXEC) < 0)
		abort(); /* a machine on which no test can run */
	if (pipe2(err, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0)
		become(argv, out, err);
	(void)close(out[1]);
	(void)close(err[1]);
	capture[0].fd = out[0];
	capture[1].fd = err[0];
	if (pid > 0)
		ret_program->status = wait_status(pid, capture_both(capture));
	for (int i = 0; i < 2; i++)
		if (capture[i].fd >= 0)
			(void)close(capture[i].fd);
}

void program_done(struct program *program)
{
	free(program->out);
	free(program->err);
	*program = (struct program){.status = NOT_ENDED};
}

bool program_said_one_line(const struct program *program)
{
	size_t n = strlen(program->err);

	return n > 1 && strchr(program->err, '\n') == program->err + n - 1;
}
