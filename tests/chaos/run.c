/* tests/chaos/run.c - see run.h. */
#include "tests/chaos/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define PROGRESS_MS 10000u
#define COMMIT_MS 20u
#define PURGE_MS 100u
#define LOOK_MS 5u /* between two looks whether the daemon is back */

/* Each event has its own random numbers: one that is late does not change the others. */
enum event {
	EVENT_KILL_CLIENT,
	EVENT_KILL_SERVER,
	EVENT_KILL_AGAIN, /* the second of a pair */
	EVENT_KILL_SUPERVISOR,
	EVENT_STOP,
	EVENT_REST,
	EVENT_COUNT,
};

struct schedule {
	uint64_t at_ns[EVENT_COUNT]; /* UINT64_MAX: not planned */
	uint64_t random[EVENT_COUNT];
};

/* --- deaths that were not planned ----------------------------------------------------------- */

static void start_supervisor(struct run *run)
{
	if (!daemon_start(&run->daemon)) {
		report_failure(run, "no process for a supervisor: %s", strerror(errno));
		run->fatal = true;
	}
}

static void reap_supervisor(struct run *run)
{
	int status;

	if (run->daemon.pid == 0 || waitpid(run->daemon.pid, &status, WNOHANG) != run->daemon.pid)
		return;
	report_failure(run, "the supervisor (pid %d) ended by itself with %d", run->daemon.pid,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	run->daemon.pid = 0;
	run->fatal = run->tally.failures > 3;
	if (!run->fatal && board_phase(run->board) != CHAOS_STOP)
		start_supervisor(run);
}

/* Did the daemon answer a call that began after its last restart? */
static bool daemon_is_back(const struct run *run)
{
	/* relaxed; it only grows */
	return __atomic_load_n(&run->board->answered_ns, __ATOMIC_RELAXED) > run->board->restart_ns;
}

/* Once for each restart. A little later than the answer, so rather too much than too little. */
static void note_server_late(struct run *run)
{
	uint64_t waited;

	if (run->seen_back == run->board->restarts || !daemon_is_back(run))
		return;
	run->seen_back = run->board->restarts;
	waited = daemon_waited_ns(daemon_server(&run->daemon));
	if (waited > run->tally.server_late_ns)
		run->tally.server_late_ns = waited;
}

void run_attend(struct run *run, uint32_t ms)
{
	struct pollfd pollfd = {.fd = run->signal_fd, .events = POLLIN};
	struct signalfd_siginfo info;
	uint64_t due = chaos_now_ns() + ms * MS, now;

	if (poll(&pollfd, 1, (int)ms) == 1 &&
	    read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		run->interrupted |= info.ssi_signo != SIGCHLD;
	now = chaos_now_ns();
	if (now > due && now - due > run->tally.late_ns)
		run->tally.late_ns = now - due;
	note_server_late(run);
	cast_reap(&run->cast);
	reap_supervisor(run);
}

/* --- kills ---------------------------------------------------------------------------------- */

static void note_restart(struct run *run, enum restart kind)
{
	struct board *board = run->board;

	board->restart_kind = (uint32_t)kind;
	board->restart_ns = chaos_now_ns();
	/* release; pairs with the acquires in probe.c */
	(void)__atomic_add_fetch(&board->restarts, 1, __ATOMIC_RELEASE);
}

/* Moments that are too short to be met by chance. */
enum moment {
	MOMENT_ANY,
	MOMENT_COMMIT, /* in the middle of it, or just behind it, before the answer goes */
	MOMENT_PURGE,  /* in a run of them */
	MOMENT_COUNT,
};

static void kill_server(struct run *run, enum moment moment)
{
	pid_t server = daemon_server(&run->daemon);

	if (server == 0)
		return;
	if (moment == MOMENT_COMMIT)
		walker_await_commit(&run->walker, COMMIT_MS);
	else if (moment == MOMENT_PURGE)
		walker_await_purge(&run->walker, PURGE_MS);
	note_restart(run, RESTART_SERVER);
	(void)kill(server, SIGKILL);
	run->tally.server_kills++;
}

static void kill_supervisor(struct run *run)
{
	note_restart(run, RESTART_SUPERVISOR);
	(void)kill(run->daemon.pid, SIGKILL);
	(void)waitpid(run->daemon.pid, NULL, 0);
	run->daemon.pid = 0;
	run->tally.supervisor_kills++;
	start_supervisor(run);
}

/* --- events --------------------------------------------------------------------------------- */

static void plan(struct schedule *schedule, enum event event, uint64_t from_ns, uint32_t least_ms,
		 uint32_t most_ms)
{
	uint32_t span_us = (most_ms - least_ms) * 1000;

	schedule->at_ns[event] =
		from_ns + least_ms * MS +
		chaos_below(&schedule->random[event], span_us + 1) * UINT64_C(1000);
}

static void plan_all(struct schedule *schedule, const struct run *run)
{
	for (uint32_t i = 0; i < EVENT_COUNT; i++)
		schedule->random[i] = chaos_seed(run->options.seed, 5000 + i, 0);
	plan(schedule, EVENT_KILL_CLIENT, run->begun_ns, 300, 700);
	plan(schedule, EVENT_KILL_SERVER, run->begun_ns, 1000, 2800);
	plan(schedule, EVENT_KILL_SUPERVISOR, run->begun_ns, 5000, 15000);
	plan(schedule, EVENT_STOP, run->begun_ns, 10, 500);
	plan(schedule, EVENT_REST, run->begun_ns, PROGRESS_MS, PROGRESS_MS);
	schedule->at_ns[EVENT_KILL_AGAIN] = UINT64_MAX;
}

static void on_kill_server(struct run *run, struct schedule *schedule)
{
	uint64_t *random = &schedule->random[EVENT_KILL_SERVER];
	uint64_t now = chaos_now_ns();

	if (!daemon_is_back(run) || daemon_server(&run->daemon) == 0) {
		schedule->at_ns[EVENT_KILL_SERVER] = now + 5 * MS;
		return;
	}
	kill_server(run, (enum moment)chaos_below(random, MOMENT_COUNT));
	if (chaos_below(random, 8) == 0)
		plan(schedule, EVENT_KILL_AGAIN, now, 0, 20);
	plan(schedule, EVENT_KILL_SERVER, now, 1000, 2800);
}

static void on_kill_supervisor(struct run *run, struct schedule *schedule)
{
	uint64_t now = chaos_now_ns();

	if (!daemon_is_back(run)) {
		schedule->at_ns[EVENT_KILL_SUPERVISOR] = now + 5 * MS;
		return;
	}
	kill_supervisor(run);
	plan(schedule, EVENT_KILL_SUPERVISOR, now, 8000, 20000);
}

/* Most stops are short, as if at any instruction; some are long enough for the daemon to notice. */
static void on_stop(struct run *run, struct schedule *schedule)
{
	uint64_t now = chaos_now_ns();

	cast_stop(&run->cast, !run->cast.stopped);
	run->tally.stops += run->cast.stopped;
	if (run->cast.stopped && chaos_below(&schedule->random[EVENT_STOP], 4) == 0)
		plan(schedule, EVENT_STOP, now, 500, 4000);
	else
		plan(schedule, EVENT_STOP, now, 10, 400);
}

static void on_rest(struct run *run, struct schedule *schedule)
{
	uint64_t before = chaos_now_ns();
	uint64_t length;

	rest_look(run);
	report_progress(run);
	length = chaos_now_ns() - before;
	for (uint32_t i = 0; i < EVENT_COUNT; i++)
		if (schedule->at_ns[i] != UINT64_MAX)
			schedule->at_ns[i] += length;
	schedule->at_ns[EVENT_REST] = chaos_now_ns() + PROGRESS_MS * MS;
}

static void on_event(struct run *run, struct schedule *schedule, enum event event)
{
	uint64_t *random = &schedule->random[event];

	switch (event) {
	case EVENT_KILL_CLIENT:
		run->tally.client_kills += cast_kill(&run->cast, chaos_below(random, CHAOS_HONEST));
		plan(schedule, event, schedule->at_ns[event], 300, 700);
		break;
	case EVENT_KILL_SERVER:
		on_kill_server(run, schedule);
		break;
	case EVENT_KILL_AGAIN:
		kill_server(run, MOMENT_ANY);
		schedule->at_ns[event] = UINT64_MAX;
		break;
	case EVENT_KILL_SUPERVISOR:
		on_kill_supervisor(run, schedule);
		break;
	case EVENT_STOP:
		on_stop(run, schedule);
		break;
	case EVENT_REST:
		on_rest(run, schedule);
		break;
	case EVENT_COUNT:
		break;
	}
}

static void give_up_if_silent(struct run *run)
{
	if (run->board->restarts == 0 || daemon_is_back(run) ||
	    chaos_now_ns() < run->board->restart_ns + CHAOS_PATIENCE_MS * MS)
		return;
	report_failure(run, "nobody had an answer for %u s after restart %u",
		       CHAOS_PATIENCE_MS / 1000, run->board->restarts);
	run->fatal = true;
}

void run_schedule(struct run *run)
{
	uint64_t end = run->begun_ns + (uint64_t)(run->options.minutes * 60e9);
	struct schedule schedule;

	plan_all(&schedule, run);
	while (!run->interrupted && !run->fatal && chaos_now_ns() < end) {
		uint64_t now, next = end;

		for (uint32_t i = 0; i < EVENT_COUNT; i++)
			next = schedule.at_ns[i] < next ? schedule.at_ns[i] : next;
		now = chaos_now_ns();
		if (run->seen_back != run->board->restarts && next > now + LOOK_MS * MS)
			next = now + LOOK_MS * MS;
		run_attend(run, next > now ? (uint32_t)((next - now + MS - 1) / MS) : 0);
		now = chaos_now_ns();
		for (uint32_t i = 0; i < EVENT_COUNT && !run->fatal; i++)
			if (schedule.at_ns[i] <= now)
				on_event(run, &schedule, (enum event)i);
		give_up_if_silent(run);
	}
}
