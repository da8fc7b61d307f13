/* tests/integration/child.c - see child.h. */
#include "tests/integration/child.h"

#include "tests/integration/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOT_ENDED (-1000)

bool child_start(struct child *child, child_body *body, void *arg)
{
	int fds[2];
	pid_t pid;

	*child = (struct child){.pid = -1, .fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return false;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(fds[0]);
		_exit(body(fds[1], arg));
	}
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return false;
	}
	*child = (struct child){.pid = pid, .fd = fds[0]};
	return true;
}

bool child_say(int fd, uint64_t value)
{
	return send(fd, &value, sizeof(value), MSG_NOSIGNAL) == (ssize_t)sizeof(value);
}

bool child_hear(int fd, uint64_t *ret_value)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	if (poll(&pollfd, 1, (int)CLOCK_PATIENCE_MS) != 1)
		return false;
	return recv(fd, ret_value, sizeof(*ret_value), 0) == (ssize_t)sizeof(*ret_value);
}

bool child_expect(int fd, uint64_t value)
{
	uint64_t heard;

	return child_hear(fd, &heard) && heard == value;
}

/* Waits for a change of state of the child, as waitid() has it, up to the deadline. */
static bool wait_change(const struct child *child, int options, siginfo_t *ret_info)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		ret_info->si_pid = 0;
		if (waitid(P_PID, (id_t)child->pid, ret_info, options | WNOHANG) < 0)
			return false;
		if (ret_info->si_pid == child->pid)
			return true;
	}
	return false;
}

/* The death is an event on a pidfd; where that is missing wait_change() looks again and again. */
static bool wait_death(const struct child *child)
{
	int fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	bool died;

	if (fd < 0)
		return true;
	died = poll(&pollfd, 1, (int)CLOCK_PATIENCE_MS) == 1;
	(void)close(fd);
	return died;
}

static int take_status(struct child *child)
{
	siginfo_t info = {0};
	int status = NOT_ENDED;

	if (wait_death(child) && wait_change(child, WEXITED, &info)) {
		status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	} else {
		(void)kill(child->pid, SIGKILL);
		(void)waitpid(child->pid, NULL, 0);
	}
	(void)close(child->fd);
	*child = (struct child){.pid = -1, .fd = -1};
	return status;
}

int child_end(struct child *child)
{
	if (child->pid <= 0)
		return NOT_ENDED;
	(void)shutdown(child->fd, SHUT_RDWR);
	return take_status(child);
}

void child_kill(struct child *child)
{
	if (child->pid <= 0)
		return;
	(void)kill(child->pid, SIGKILL);
	(void)take_status(child);
}

bool child_stop(const struct child *child)
{
	siginfo_t info = {0};

	return child->pid > 0 && kill(child->pid, SIGSTOP) == 0 &&
	       wait_change(child, WSTOPPED, &info);
}

bool child_continue(const struct child *child)
{
	siginfo_t info = {0};

	return child->pid > 0 && kill(child->pid, SIGCONT) == 0 &&
	       wait_change(child, WCONTINUED, &info);
}
