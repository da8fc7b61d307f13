/* tests/crash/step.c - see step.h. */
#include "tests/crash/step.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct world *w;
	enum step_kind kind;
	uint64_t before[WORLD_FRAMES_MAX], after[WORLD_FRAMES_MAX];
	struct photo last;
	struct step_result result;
};

/* A child that runs op between two SIGSTOPs. */
static pid_t start(struct world *w, void (*op)(struct world *w))
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	(void)raise(SIGSTOP);
	op(w);
	(void)raise(SIGSTOP);
	_exit(0);
}

bool step_wait(pid_t pid, int *ret_signal)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
	return WIFSTOPPED(status);
}

static void finish(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

bool step_watch(struct world *w, void (*op)(struct world *w), bool (*look)(void *arg), void *arg)
{
	pid_t pid = start(w, op);
	int signal;

	if (!step_wait(pid, &signal))
		return false;
	while (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && step_wait(pid, &signal) &&
	       signal == SIGTRAP && look(arg))
		;
	finish(pid);
	return true;
}

/* Memory and ownership after an undisturbed run, which is undone. */
static bool find_after(struct run *run, void (*op)(struct world *w))
{
	struct photo before = photo_new(run->w);
	pid_t pid = start(run->w, op);
	int signal;
	bool ok = step_wait(pid, &signal);

	if (ok) {
		(void)ptrace(PTRACE_CONT, pid, NULL, NULL);
		ok = step_wait(pid, &signal) && signal == SIGSTOP;
	} else {
		run->result.skipped = true;
	}
	world_ownership(run->w, run->w->meta, run->after);
	photo_restore(run->w, &before);
	photo_free(&before);
	if (ok)
		finish(pid);
	return ok;
}

static const char *judge_ownership(const struct run *run)
{
	uint64_t now[WORLD_FRAMES_MAX];
	bool is_before = true, is_after = true;
	uint32_t nr_frames =
		((const struct shm_meta_header *)(const void *)run->w->meta)->nr_frames;

	world_ownership(run->w, run->w->copy_meta, now);
	for (pfn_t pfn = 0; pfn < nr_frames; pfn++) {
		is_before &= now[pfn] == run->before[pfn];
		is_after &= now[pfn] == run->after[pfn];
		if (now[pfn] != run->before[pfn] && now[pfn] != run->after[pfn])
			return "a frame has an owner that it had neither before nor after";
	}
	if (run->kind == STEP_ATOMIC && !is_before && !is_after)
		return "half of the operation happened";
	return NULL;
}

/* Recovers what a kill at this instruction would leave. false: it cannot be. */
static bool judge(struct run *run)
{
	char text[160];
	const char *wrong = world_recover(run->w, text, sizeof text);

	if (!wrong)
		wrong = judge_ownership(run);
	if (!wrong)
		wrong = world_check_magazines(run->w);
	run->result.recoveries++;
	if (!wrong)
		return true;
	(void)snprintf(run->result.error, sizeof run->result.error, "instruction %lu: %s",
		       (unsigned long)run->result.instructions, wrong);
	return false;
}

static void step_through(struct run *run, pid_t pid)
{
	int signal = 0;

	while (run->result.error[0] == '\0') {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || !step_wait(pid, &signal) ||
		    signal == SIGSTOP)
			return;
		if (signal != SIGTRAP) {
			(void)snprintf(run->result.error, sizeof run->result.error,
				       "the operation ended with signal %d", signal);
			return;
		}
		run->result.instructions++;
		if (!photo_differs(run->w, &run->last))
			continue;
		photo_take(run->w, &run->last);
		(void)judge(run);
	}
}

/* The child is killed while it runs, after n more instructions. */
static void kill_in_earnest(struct run *run, void (*op)(struct world *w), uint64_t n,
			    const struct photo *before)
{
	pid_t pid = start(run->w, op);
	int signal;

	if (!step_wait(pid, &signal))
		return;
	for (uint64_t i = 0; i < n; i++)
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || !step_wait(pid, &signal))
			break;
	finish(pid);
	(void)judge(run);
	photo_restore(run->w, before);
}

#define EARNEST 4u

struct step_result step_run(struct world *w, void (*op)(struct world *w), enum step_kind kind)
{
	struct run *run = calloc(1, sizeof *run);
	struct photo before = photo_new(w);
	struct step_result result;
	pid_t pid;
	int signal;

	if (!run)
		abort();
	run->w = w;
	run->kind = kind;
	world_ownership(w, w->meta, run->before);
	if (find_after(run, op)) {
		run->last = photo_new(w);
		pid = start(w, op);
		if (step_wait(pid, &signal))
			step_through(run, pid);
		finish(pid);
		photo_restore(w, &before);
		for (uint64_t i = 1; i < EARNEST && run->result.error[0] == '\0'; i++)
			kill_in_earnest(run, op, run->result.instructions * i / EARNEST, &before);
		photo_free(&run->last);
	}
	photo_free(&before);
	op(w);
	result = run->result;
	free(run);
	return result;
}

void step_check(struct world *w, const char *name, void (*op)(struct world *w), enum step_kind kind)
{
	struct step_result result = step_run(w, op, kind);

	if (result.skipped) {
		printf("  %s: ptrace is not permitted here, skipped\n", name);
		return;
	}
	printf("  %-28s %6lu kill points, %5lu recoveries %s\n", name,
	       (unsigned long)result.instructions, (unsigned long)result.recoveries, result.error);
	CU_ASSERT_EQUAL(result.error[0], '\0');
	CU_ASSERT(result.instructions > 100 && result.recoveries > 2);
}
