/* tests/chaos/cast.c - see cast.h. */
#include "tests/chaos/cast.h"

#include "tests/chaos/child.h"
#include "tests/chaos/hostile.h"
#include "tests/chaos/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the board without one ------------------------------------------------------------------ */

static void letters_release(struct keeper *keeper, enum letter_state from)
{
	for (uint32_t i = 0; i < CHAOS_LETTERS; i++) {
		uint32_t state = (uint32_t)from;

		/* relaxed; who was at it is dead */
		(void)__atomic_compare_exchange_n(&keeper->inbox[i].state, &state, LETTER_EMPTY,
						  false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
}

/* What a dead keeper claimed is the pool's. Letters to it stay: its follower may open them. */
static void forget(struct board *board, uint32_t number)
{
	struct keeper *keeper = &board->keeper[number];

	__atomic_store_n(&keeper->state, (uint32_t)KEEPER_STARTING, __ATOMIC_RELEASE);
	memset(keeper, 0, offsetof(struct keeper, inbox));
	letters_release(keeper, LETTER_READING);
	if (number < CHAOS_HONEST)
		letters_release(&board->keeper[number ^ 1], LETTER_WRITING);
}

/* --- starting ------------------------------------------------------------------------------- */

static int play(const struct cast *cast, uint32_t number, uint32_t incarnation)
{
	if (number < CHAOS_KEEPERS)
		return keeper_run(cast->board, number);
	if (number < CAST_HOG)
		return scribbler_run(cast->board, number - CAST_FIRST_SCRIBBLER, incarnation);
	if (number == CAST_DRAINER)
		return drainer_run(cast->board, incarnation);
	return hog_run(cast->board, incarnation);
}

static void start(struct cast *cast, uint32_t number)
{
	struct actor *actor = &cast->actor[number];
	pid_t parent = getpid();

	actor->incarnation++;
	actor->killed = false;
	if (number < CHAOS_KEEPERS) {
		forget(cast->board, number);
		cast->board->keeper[number].incarnation = actor->incarnation;
	}
	(void)fflush(NULL);
	actor->pid = fork();
	if (actor->pid == 0) {
		child_settle(parent);
		_exit(play(cast, number, actor->incarnation));
	}
	if (actor->pid < 0) {
		actor->pid = 0;
		board_complain(cast->board, "no process: %s", strerror(errno));
	}
	if (number == CHAOS_STOPPER)
		cast->stopped = false;
}

void cast_start(struct cast *cast, struct board *board)
{
	*cast = (struct cast){.board = board};
	for (uint32_t i = 0; i < CAST_SIZE; i++)
		start(cast, i);
}

/* --- ending --------------------------------------------------------------------------------- */

static void judge_end(struct cast *cast, uint32_t number, int status)
{
	const struct actor *actor = &cast->actor[number];

	if (number >= CHAOS_KEEPERS || (actor->killed && WIFSIGNALED(status)))
		return;
	if (WIFSIGNALED(status))
		board_complain(cast->board, "client %u (pid %d) died by SIG%s in %s", number,
			       actor->pid, sigabbrev_np(WTERMSIG(status)),
			       doing_name(cast->board->keeper[number].thread[0].doing));
	else if (board_phase(cast->board) != CHAOS_STOP || WEXITSTATUS(status) != 0)
		board_complain(cast->board, "client %u (pid %d) ended with %d", number, actor->pid,
			       WEXITSTATUS(status));
}

void cast_reap(struct cast *cast)
{
	for (uint32_t i = 0; i < CAST_SIZE; i++) {
		struct actor *actor = &cast->actor[i];
		int status;

		if (actor->pid && waitpid(actor->pid, &status, WNOHANG) == actor->pid) {
			judge_end(cast, i, status);
			actor->pid = 0;
		}
		if (actor->pid == 0 && board_phase(cast->board) != CHAOS_STOP)
			start(cast, i);
	}
}

bool cast_kill(struct cast *cast, uint32_t number)
{
	struct actor *actor = &cast->actor[number];

	if (actor->pid == 0 || actor->killed)
		return false;
	actor->killed = true;
	(void)kill(actor->pid, SIGKILL);
	return true;
}

void cast_stop(struct cast *cast, bool stopped)
{
	if (cast->actor[CHAOS_STOPPER].pid && cast->stopped != stopped)
		(void)kill(cast->actor[CHAOS_STOPPER].pid, stopped ? SIGSTOP : SIGCONT);
	cast->stopped = stopped;
}

uint32_t cast_alive(const struct cast *cast, uint32_t n)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < n; i++)
		alive += cast->actor[i].pid != 0;
	return alive;
}

void cast_end(struct cast *cast)
{
	for (uint32_t i = 0; i < CAST_SIZE; i++)
		if (cast->actor[i].pid)
			(void)kill(cast->actor[i].pid, SIGKILL);
	for (uint32_t i = 0; i < CAST_SIZE; i++) {
		if (cast->actor[i].pid)
			(void)waitpid(cast->actor[i].pid, NULL, 0);
		cast->actor[i].pid = 0;
	}
}
