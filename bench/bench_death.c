/* bench/bench_death.c - see bench_death.h.
 *
 * A child takes the frames, says so, and is killed. The time is all there is between the kill and
 * the first look at META that finds every frame free: the kernel's teardown of the process, the
 * pidfd, and the daemon's sweep. */
#include "bench/bench_death.h"

#include "bench/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct death_state {
	struct fixture *fixture;
	struct shm_view view;
};

int death_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct death_state *state = calloc(1, sizeof(*state));
	int r;

	(void)benchmark;
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &state->fixture);
	if (r == 0)
		r = meta_attach(bench, state->fixture, &state->view);
	if (r < 0) {
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void death_teardown(struct bench *bench, void *state)
{
	struct death_state *death = state;

	(void)bench;
	shm_view_detach(&death->view);
	free(death);
}

/* In the child: says by a byte that it holds its frames, by ending that it could not. */
static _Noreturn void become_owner(struct bench *bench, const struct fixture *fixture,
				   uint32_t n_frames, int report)
{
	pageclient *client;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bench_open_client(bench, fixture, &client) < 0)
		_exit(1);
	for (uint32_t i = 0; i < n_frames; i++) {
		if (!pageclient_alloc(client, 0, 0))
			_exit(1);
	}
	if (write(report, "", 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

static int start_owner(struct bench *bench, const struct fixture *fixture, uint32_t n_frames,
		       pid_t *ret_pid)
{
	int report[2], r = 0;
	char byte;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return bench_fail(bench, -errno, "a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become_owner(bench, fixture, n_frames, report[1]);
	if (pid < 0)
		r = bench_fail(bench, -errno, "a process: %s", strerror(errno));
	(void)close(report[1]);
	if (r == 0 && read(report[0], &byte, 1) != 1) {
		(void)waitpid(pid, NULL, 0);
		r = bench_fail(bench, -ECHILD, "the owner did not get its %u frames", n_frames);
	}
	(void)close(report[0]);
	if (r == 0)
		*ret_pid = pid;
	return r;
}

int death_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample)
{
	struct death_state *death = state;
	struct sample sample = {0, n * benchmark->n_frames};

	for (uint64_t i = 0; i < n; i++) {
		uint64_t begin;
		pid_t pid = 0;
		int r = meta_wait_until_free(bench, &death->view);

		if (r == 0)
			r = start_owner(bench, death->fixture, benchmark->n_frames, &pid);
		if (r < 0)
			return r;
		begin = bench_now_ns();
		(void)kill(pid, SIGKILL);
		r = meta_wait_until_free(bench, &death->view);
		sample.ns += bench_now_ns() - begin;
		(void)waitpid(pid, NULL, 0);
		if (r < 0)
			return r;
	}
	*ret_sample = sample;
	return 0;
}
