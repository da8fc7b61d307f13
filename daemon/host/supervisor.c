/* daemon/host/supervisor.c - see supervisor.h. */
#include "daemon/host/supervisor.h"

#include "daemon/host/notify.h"
#include "paged/bits.h"
#include "paged/crash_point.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Who has served so long has not died of its start. Lower: a server that dies of its first request
 * is restarted for ever; higher: one that somebody kills now and then is waited for. */
#define SERVED_MS 1000u
/* Deaths in a row without that. Lower: bad luck ends the service; higher: nobody is told. */
#define DEATHS_MAX 10u
#define PAUSE_FIRST_MS 10u
#define PAUSE_MAX_MS 1000u
/* From such a kill to the start after the next one. Lower: who kills each server at once has us
 * start them all the time, 5 to 10 ms of a processor each; higher: clients wait longer after the
 * second of two kills in a row. */
#define KILLED_EVERY_MS 25u
/* Without an ALIVE, ten of which are due. Lower: a machine that swaps kills a sane server; higher:
 * clients wait for a hung one. */
#define SILENCE_MS 10000u
/* To write a core. */
#define ABORT_MS 2000u

struct supervisor {
	const struct supervisor_options *options;
	sigset_t mask; /* as it was */
	int signal_fd;
	pid_t server;
	bool ready;        /* this server */
	bool was_ready;    /* any so far */
	bool told_to_stop; /* by a signal of ours; the next one kills */
	int last_signal;   /* that told us to, and was the one too many; 0: none was */
	bool stopping;
	bool aborted;
	uint32_t n_deaths;      /* in a row */
	uint64_t killed_ms;     /* when one was that served, from outside, the last time */
	uint64_t ready_ms;      /* when this server was */
	uint64_t deadline_ms;   /* of its silence, once ready */
	struct control control; /* fd: our end of this server's, -1 once it closed its own; the rest
				   is for the next one */
};

enum { GO_ON = -1 }; /* no exit status */

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int supervisor_renew(const struct supervisor_options *options, enum server_exit status)
{
	enum segments_backing backing =
		status == SERVER_NO_ROOM ? SEGMENTS_MEMFD : options->segments->options.backing;
	char text[SHM_TEXT_BYTES];
	int r = segments_reopen(options->segments, backing, text, sizeof(text));

	if (r)
		log_print(options->log, LOG_LEVEL_ERROR, "%s", text);
	CRASH_POINT(SUPERVISOR_RENEWED);
	return r;
}

/* --- the server, as a fork ------------------------------------------------------------------ */

/* In the new process: it is nobody's supervisor. */
static int be_server(struct supervisor *supervisor, int fd, pid_t parent)
{
	struct control *control = &supervisor->control;
	int status = SERVER_FAILED;

	close_fd(&supervisor->signal_fd);
	control->fd = fd;
	supervisor->options->endpoint->passed = true;
	(void)sigprocmask(SIG_SETMASK, &supervisor->mask, NULL);
	CRASH_POINT(SERVER_BORN);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		status = supervisor->options->serve(supervisor->options->arg, control);
	control_close(control);
	return status;
}

/* Returns GO_ON in the supervisor; in the server its exit status. */
static int start_server(struct supervisor *supervisor)
{
	const struct log *log = supervisor->options->log;
	pid_t self = getpid();
	int pair[2];

	supervisor->ready = false;
	supervisor->aborted = false;
	supervisor->server = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_print(log, LOG_LEVEL_ERROR, "no socket for a server: %s", strerror(errno));
		return GO_ON;
	}
	(void)fflush(NULL);
	supervisor->server = fork();
	if (supervisor->server == 0) {
		(void)close(pair[0]);
		return be_server(supervisor, pair[1], self);
	}
	CRASH_POINT(SUPERVISOR_FORKED);
	if (supervisor->server < 0) {
		log_print(log, LOG_LEVEL_ERROR, "no process for a server: %s", strerror(errno));
		(void)close(pair[0]);
	}
	(void)close(pair[1]);
	supervisor->control.fd = supervisor->server < 0 ? -1 : pair[0];
	return GO_ON;
}

/* --- what it says --------------------------------------------------------------------------- */

static void on_ready(struct supervisor *supervisor)
{
	if (supervisor->ready)
		return;
	CRASH_POINT(SUPERVISOR_READY);
	supervisor->ready = true;
	supervisor->was_ready = true;
	supervisor->ready_ms = now_ms();
	supervisor->deadline_ms = supervisor->ready_ms + SILENCE_MS;
	supervisor->options->segments->settled = true;
}

static void on_stopping(struct supervisor *supervisor)
{
	supervisor->stopping = true;
	/* While we listen: after that the name may be another daemon's. */
	endpoint_unlink(supervisor->options->endpoint);
}

/* fd -1: no longer. */
static void keep_ctl(struct supervisor *supervisor, client_id client, int fd)
{
	int *kept = &supervisor->control.ctl[client];

	if (*kept >= 0)
		store_drop_ctl(client);
	close_fd(kept);
	*kept = fd;
	CRASH_POINT(SUPERVISOR_KEPT);
	if (fd >= 0)
		store_keep_ctl(client, fd);
}

static void on_message(struct supervisor *supervisor, const struct control_message *message, int fd)
{
	enum control_kind kind = (enum control_kind)message->kind;

	switch (kind) {
	case CONTROL_READY:
		on_ready(supervisor);
		break;
	case CONTROL_ALIVE:
		supervisor->deadline_ms = now_ms() + SILENCE_MS;
		break;
	case CONTROL_STOPPING:
		on_stopping(supervisor);
		break;
	case CONTROL_KEEP:
	case CONTROL_DROP:
		keep_ctl(supervisor, message->client, fd);
		break;
	case CONTROL_RELOADING:
	case CONTROL_NR_KINDS:
		break;
	}
	control_notify(kind, message->text);
}

/* All that is there. It cannot go on for ever without a server that does nothing else. */
static void hear(struct supervisor *supervisor)
{
	struct control_message message;
	int fd, r;

	while (supervisor->control.fd >= 0) {
		r = control_receive(supervisor->control.fd, &message, &fd);
		if (r == 0)
			return;
		if (r == 1)
			on_message(supervisor, &message, fd);
		else if (r == -EBADMSG)
			log_print(supervisor->options->log, LOG_LEVEL_ERROR,
				  "the server (pid %d) says what no server says",
				  supervisor->server);
		else
			close_fd(&supervisor->control.fd);
	}
}

/* --- signals -------------------------------------------------------------------------------- */

static void on_stop_signal(struct supervisor *supervisor, int number)
{
	on_stopping(supervisor);
	CRASH_POINT(SUPERVISOR_STOPPING);
	if (supervisor->server > 0)
		(void)kill(supervisor->server, supervisor->told_to_stop ? SIGKILL : number);
	if (supervisor->told_to_stop)
		supervisor->last_signal = number;
	supervisor->told_to_stop = true;
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			on_stop_signal(supervisor, (int)info.ssi_signo);
		} else if (info.ssi_signo == SIGHUP) {
			supervisor->control.reload = true;
			if (supervisor->server > 0)
				(void)kill(supervisor->server, SIGHUP);
		}
	}
}

static int open_signals(struct supervisor *supervisor)
{
	sigset_t ours;

	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGINT);
	(void)sigaddset(&ours, SIGHUP);
	(void)sigaddset(&ours, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &ours, &supervisor->mask);
	supervisor->signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	return supervisor->signal_fd < 0 ? -errno : 0;
}

/* --- its life ------------------------------------------------------------------------------- */

/* Waits for a signal, a message or the time. */
static void wait_for_news(const struct supervisor *supervisor, uint64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = supervisor->signal_fd, .events = POLLIN},
				{.fd = supervisor->control.fd, .events = POLLIN}};
	uint64_t now = now_ms();
	uint64_t left = until_ms > now ? until_ms - now : 0;

	(void)poll(fds, 2, until_ms == UINT64_MAX ? -1 : (int)bits_min(left, INT32_MAX));
}

/* It hangs, unless it is we who could not listen. woken_ms: before what it said was heard. */
static void end_silence(struct supervisor *supervisor, uint64_t until_ms, uint64_t woken_ms)
{
	struct log_fields fields = {0};

	if (!supervisor->ready || now_ms() < supervisor->deadline_ms)
		return;
	if (woken_ms > until_ms + SERVED_MS) {
		supervisor->deadline_ms = woken_ms + SILENCE_MS;
		return;
	}
	log_field(&fields, "PAGED_SERVER_PID=%d", supervisor->server);
	log_event(supervisor->options->log, LOG_LEVEL_ERROR, LOG_ID_SERVER_HANGS, &fields,
		  supervisor->aborted ? "the server (pid %d) is killed"
				      : "the server (pid %d) hangs: it is aborted",
		  supervisor->server);
	(void)kill(supervisor->server, supervisor->aborted ? SIGKILL : SIGABRT);
	supervisor->aborted = true;
	supervisor->deadline_ms = woken_ms + ABORT_MS;
}

/* Has it ended? Nothing wakes us again if the answer is lost: the signal was taken. */
static bool reap(pid_t server, int *ret_status)
{
	pid_t pid;

	do
		pid = waitpid(server, ret_status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	return pid == server;
}

/* Until it has ended; its wait status. */
static int attend(struct supervisor *supervisor)
{
	for (;;) {
		uint64_t until = supervisor->ready ? supervisor->deadline_ms : UINT64_MAX;
		uint64_t woken;
		int status;

		wait_for_news(supervisor, until);
		woken = now_ms();
		hear(supervisor);
		take_signals(supervisor);
		end_silence(supervisor, until, woken);
		if (!reap(supervisor->server, &status))
			continue;
		hear(supervisor);
		close_fd(&supervisor->control.fd);
		return status;
	}
}

static void log_death(const struct supervisor *supervisor, int status)
{
	const struct log *log = supervisor->options->log;
	struct log_fields fields = {0};

	if (supervisor->server < 0)
		return; /* it never was */
	log_field(&fields, "PAGED_SERVER_PID=%d", supervisor->server);
	if (WIFSIGNALED(status))
		log_field(&fields, "PAGED_SIGNAL=%d", WTERMSIG(status));
	else
		log_field(&fields, "PAGED_STATUS=%d", WEXITSTATUS(status));
	if (supervisor->last_signal && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		log_print(log, LOG_LEVEL_NOTICE, "second SIG%s: stopped at once",
			  sigabbrev_np(supervisor->last_signal));
		return;
	}
	if (WIFSIGNALED(status))
		log_event(log, LOG_LEVEL_ERROR, LOG_ID_SERVER_DIED, &fields,
			  "the server (pid %d) was killed by SIG%s%s", supervisor->server,
			  sigabbrev_np(WTERMSIG(status)),
			  supervisor->stopping ? "" : "; another one takes over");
	else
		log_event(log, LOG_LEVEL_ERROR, LOG_ID_SERVER_DIED, &fields,
			  "the server (pid %d) ended with status %d%s", supervisor->server,
			  WEXITSTATUS(status),
			  supervisor->stopping ? "" : "; another one takes over");
}

/* It served, and somebody ended it: the kernel for want of memory, or a hand. What it did is no
 * reason not to start another at once. */
static bool is_killed_from_outside(const struct supervisor *supervisor, int status)
{
	return supervisor->ready && !supervisor->aborted && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

/* One more death: how long to wait before the next start. False: it was one too many. */
static bool plan_pause(struct supervisor *supervisor, int status, uint64_t *ret_ms)
{
	struct log_fields fields = {0};
	uint64_t next_ms = supervisor->killed_ms + KILLED_EVERY_MS, now = now_ms();

	if (is_killed_from_outside(supervisor, status)) {
		*ret_ms = next_ms > now ? next_ms - now : 0;
		supervisor->killed_ms = now;
		return true;
	}
	if (supervisor->ready && now_ms() - supervisor->ready_ms >= SERVED_MS)
		supervisor->n_deaths = 0;
	if (++supervisor->n_deaths >= DEATHS_MAX) {
		log_field(&fields, "PAGED_DEATHS=%u", supervisor->n_deaths);
		log_event(supervisor->options->log, LOG_LEVEL_ERROR, LOG_ID_SUPERVISOR_GAVE_UP,
			  &fields,
			  "%u servers in a row died before they had served for a second: giving up",
			  supervisor->n_deaths);
		return false;
	}
	*ret_ms = supervisor->n_deaths < 2
			  ? 0
			  : bits_min(PAUSE_FIRST_MS << (supervisor->n_deaths - 2), PAUSE_MAX_MS);
	return true;
}

static void pause_ms(struct supervisor *supervisor, uint64_t ms)
{
	uint64_t until = now_ms() + ms;

	supervisor->server = -1;
	take_signals(supervisor);
	while (!supervisor->stopping && now_ms() < until) {
		wait_for_news(supervisor, until);
		take_signals(supervisor);
	}
}

/* The server has ended. GO_ON: start another; else our exit status. */
static int after_death(struct supervisor *supervisor, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	bool renew = code == SERVER_AGAIN || code == SERVER_NO_ROOM;
	uint64_t ms;

	/* Our own signal may have met it before its first or after its last instruction. */
	if (code == SERVER_STOPPED ||
	    (supervisor->stopping && (code == -SIGTERM || code == -SIGINT)))
		return SERVER_STOPPED;
	if (!renew && code > 0 && !supervisor->was_ready)
		return code;
	if (!renew || supervisor->stopping)
		log_death(supervisor, status);
	if (supervisor->stopping || !plan_pause(supervisor, status, &ms))
		return SERVER_FAILED;
	if (renew) {
		for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
			if (supervisor->control.ctl[id] >= 0)
				keep_ctl(supervisor, id, -1);
		if (supervisor_renew(supervisor->options, (enum server_exit)code))
			return SERVER_FAILED;
	}
	CRASH_POINT(SUPERVISOR_BEREFT);
	notify_status("the server died, another one takes over");
	pause_ms(supervisor, ms);
	return supervisor->stopping ? SERVER_STOPPED : GO_ON;
}

int supervisor_run(const struct supervisor_options *options)
{
	struct supervisor supervisor = {.options = options};
	int status = GO_ON;

	control_init(&supervisor.control);
	store_take_ctls(options->store, supervisor.control.ctl);
	if (open_signals(&supervisor)) {
		log_print(options->log, LOG_LEVEL_ERROR, "no signalfd: %s", strerror(errno));
		return SERVER_FAILED;
	}
	while (status == GO_ON) {
		status = start_server(&supervisor);
		if (supervisor.server == 0)
			return status;
		status = after_death(&supervisor,
				     supervisor.server > 0 ? attend(&supervisor) : SIGKILL);
	}
	control_close(&supervisor.control);
	close_fd(&supervisor.signal_fd);
	return status;
}
