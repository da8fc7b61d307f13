/* tests/fault/guest.c - see guest.h. */
#include "tests/fault/guest.h"

#include "tests/fault/work.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool perform(struct work *work, enum guest_step step)
{
	int r;

	switch (step) {
	case GUEST_OPEN:
		return work_open(work, &r);
	case GUEST_ATTACH:
		return work->client || work_open_surely(work);
	case GUEST_HOLD:
		return work_hold(work);
	case GUEST_TRY:
		return work_try(work);
	case GUEST_SURELY:
		return work_surely(work) && work_verify(work);
	case GUEST_CLOSE:
		work_close(work);
		return true;
	}
	return false;
}

/* Answers are texts; the empty one, a single 0, is good. */
_Noreturn static void live(int fd, const char *socket)
{
	char text[HOST_TEXT_BYTES] = "";
	struct work work = {.socket = socket, .text = text, .text_bytes = sizeof(text)};
	uint8_t step;

	while (recv(fd, &step, 1, 0) == 1) {
		text[0] = '\0';
		if (!perform(&work, (enum guest_step)step) && !text[0])
			(void)snprintf(text, sizeof(text), "step %u failed", step);
		(void)send(fd, text, strlen(text) + 1, MSG_NOSIGNAL);
	}
	_exit(0);
}

bool guest_start(struct guest *guest, const struct host *host)
{
	pid_t parent = getpid();
	int pair[2];

	*guest = (struct guest){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	guest->pid = fork();
	if (guest->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(pair[0]);
		if (getppid() == parent)
			live(pair[1], host->socket);
		_exit(1);
	}
	(void)close(pair[1]);
	guest->fd = pair[0];
	return guest->pid > 0;
}

void guest_tell(const struct guest *guest, enum guest_step step)
{
	uint8_t byte = (uint8_t)step;

	(void)send(guest->fd, &byte, 1, MSG_NOSIGNAL);
}

int guest_heard(const struct guest *guest, uint32_t ms, char ret_text[HOST_TEXT_BYTES])
{
	struct pollfd answer = {.fd = guest->fd, .events = POLLIN};
	char text[HOST_TEXT_BYTES];
	ssize_t n;

	if (poll(&answer, 1, (int)ms) != 1)
		return 0;
	n = recv(guest->fd, text, sizeof(text), 0);
	if (n == 1)
		return 1;
	(void)snprintf(ret_text, HOST_TEXT_BYTES, "client: %.400s", n > 1 ? text : "it died");
	return -1;
}

bool guest_does(const struct guest *guest, enum guest_step step, char ret_text[HOST_TEXT_BYTES])
{
	int r;

	guest_tell(guest, step);
	r = guest_heard(guest, 2 * HOST_PATIENCE_MS, ret_text);
	if (r == 0)
		(void)snprintf(ret_text, HOST_TEXT_BYTES, "client: hangs in step %d", (int)step);
	return r == 1;
}

void guest_kill(struct guest *guest)
{
	if (guest->pid <= 0)
		return;
	(void)kill(guest->pid, SIGKILL);
	(void)waitpid(guest->pid, NULL, 0);
	(void)close(guest->fd);
	guest->pid = 0;
}
