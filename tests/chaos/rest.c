/* tests/chaos/rest.c - see run.h. */
#include "tests/chaos/run.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define REST_MS 60000u
/* Each lets the libraries move what they hold back; what is left after them is lost. */
#define ROUNDS 6u

static uint64_t deadline(uint32_t ms)
{
	return chaos_now_ns() + ms * MS;
}

static bool thread_rests(const struct board *board, const struct keeper_thread *thread)
{
	/* acquire; pairs with the release in hand_rest() */
	return __atomic_load_n(&thread->rested, __ATOMIC_ACQUIRE) == board->round;
}

static bool keeper_rests(const struct board *board, const struct keeper *keeper)
{
	/* acquire; pairs with the release in keeper.c */
	if (__atomic_load_n(&keeper->state, __ATOMIC_ACQUIRE) != KEEPER_RUNNING)
		return false;
	for (uint32_t t = 0; t < CHAOS_THREADS; t++)
		if (!thread_rests(board, &keeper->thread[t]))
			return false;
	return __atomic_load_n(&keeper->scanning, __ATOMIC_SEQ_CST) == 0; /* see store_scan() */
}

static uint32_t count_restless(const struct board *board)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CHAOS_KEEPERS; i++)
		n += !keeper_rests(board, &board->keeper[i]);
	return n;
}

static void tell_restless(struct run *run)
{
	for (uint32_t i = 0; i < CHAOS_KEEPERS; i++) {
		const struct keeper *keeper = &run->board->keeper[i];

		if (keeper_rests(run->board, keeper))
			continue;
		report_failure(run, "client %u (pid %d, state %u, %u callbacks) does not rest", i,
			       run->cast.actor[i].pid, keeper->state, keeper->scanning);
		for (uint32_t t = 0; t < CHAOS_THREADS; t++)
			if (!thread_rests(run->board, &keeper->thread[t]))
				report_failure(run, "  its thread %u is in: %s", t,
					       doing_name(keeper->thread[t].doing));
	}
}

/* Another round of rest, until all are there. */
static bool begin_rest(struct run *run)
{
	uint64_t until = deadline(REST_MS);

	cast_stop(&run->cast, false);
	board_set_phase(run->board, CHAOS_REST);
	while (count_restless(run->board) > 0 && !run->fatal) {
		if (chaos_now_ns() > until || run->interrupted) {
			if (!run->interrupted)
				tell_restless(run);
			run->fatal = true;
			return false;
		}
		run_attend(run, 2);
	}
	return !run->fatal;
}

/* `pagectl COMMAND` must succeed. */
static void command(struct run *run, const char *name)
{
	char text[1024];
	int status = daemon_ctl(&run->daemon, name, text, sizeof(text));

	if (status != 0)
		report_failure(run, "pagectl %s: %d: %s", name, status, text);
}

/* The segments are those of the beginning. */
static void check_segments(struct run *run)
{
	if (run->walker.view.header->instance_id != run->walker.instance_id ||
	    daemon_segments(&run->daemon, ".old", false) > 0) {
		report_failure(run, "the segment was replaced");
		run->fatal = true;
	}
}

void rest_look(struct run *run)
{
	struct walk walk = {0};

	check_segments(run);
	for (uint32_t i = 0; i < ROUNDS && (i == 0 || walk.lost > 0) && !run->fatal; i++) {
		if (!begin_rest(run))
			return;
		command(run, "drain");
		walk = walker_walk(&run->walker, run->board);
	}
	command(run, "check");
	run->tally.rests++;
	run->tally.lost += walk.lost;
	run->tally.doubled += walk.doubled;
	run->tally.claimed = walk.claimed;
	if (walk.lost || walk.doubled)
		run->fatal = true; /* more of it would be the same again */
	board_set_phase(run->board, CHAOS_RUN);
}

/* --- the end -------------------------------------------------------------------------------- */

/* What the dead had comes back in slices. */
static void await_free(struct run *run)
{
	uint64_t until = deadline(CHAOS_PATIENCE_MS);

	while ((walker_clients(&run->walker) > 0 || walker_not_free(&run->walker) > 0) &&
	       chaos_now_ns() < until && !run->interrupted)
		run_attend(run, 5);
	run->tally.lost += walker_not_free(&run->walker);
	if (walker_clients(&run->walker) > 0)
		report_failure(run, "%u clients are left in META", walker_clients(&run->walker));
}

/* A run in which the segment was never short has shown nothing about purges. */
static void check_purges(struct run *run)
{
	const struct counts *count = &run->board->count;

	run->tally.purged = walker_purged(&run->walker);
	if (run->tally.rests > 0 && (run->tally.purged == 0 || board_read(&count->pinned) == 0 ||
				     board_read(&count->rebuilt) == 0))
		report_failure(run,
			       "%llu frames were purged, %llu pins succeeded, %llu slots were "
			       "built again: none of them may be 0",
			       (unsigned long long)run->tally.purged,
			       (unsigned long long)board_read(&count->pinned),
			       (unsigned long long)board_read(&count->rebuilt));
}

static void stop_daemon(struct run *run)
{
	uint64_t until = deadline(CHAOS_PATIENCE_MS);
	pid_t pid = run->daemon.pid;
	int status = 0;

	if (pid == 0)
		return;
	run->daemon.pid = 0; /* run_attend() is not to wait for it */
	(void)kill(pid, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (chaos_now_ns() > until) {
			report_failure(run, "the daemon does not stop");
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			return;
		}
		run_attend(run, 5);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		report_failure(run, "the daemon's end: %d",
			       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

void rest_end(struct run *run)
{
	uint64_t until = deadline(REST_MS);

	cast_stop(&run->cast, false);
	board_set_phase(run->board, CHAOS_STOP);
	while (cast_alive(&run->cast, CHAOS_KEEPERS) > 0 && chaos_now_ns() < until &&
	       !run->interrupted && !run->fatal)
		run_attend(run, 5);
	if (cast_alive(&run->cast, CHAOS_KEEPERS) > 0 && !run->interrupted && !run->fatal)
		report_failure(run, "%u clients do not come to their end",
			       cast_alive(&run->cast, CHAOS_KEEPERS));
	cast_end(&run->cast);
	if (run->interrupted || run->fatal)
		return;
	await_free(run);
	command(run, "check");
	check_segments(run);
	stop_daemon(run);
	check_purges(run);
	run->tally.own_deaths = daemon_own_deaths(&run->daemon);
}
