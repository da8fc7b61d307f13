/* bench/peers/contestant.c - see contestant.h. */
#include "bench/peers/contestant.h"

#include "bench/peers/roudi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lower fails on a slow machine; higher only delays the news that a peer hangs. */
#define ANSWER_MS 60000
#define END_NS UINT64_C(5000000000)
#define LINE_BYTES 256u

struct contestant_state {
	struct contestant contestant;
	struct server roudi;
};

/* --- the process ---------------------------------------------------------------------------- */

static _Noreturn void become_peer(const struct entry *entry, int cpu, const char *socket,
				  const int in[2], const int out[2])
{
	static const char *const order[] = {"lifo", "fifo", "random"};
	static const char *const touch[] = {"plain", "touch", "head"};
	char path[PATH_MAX], program[PATH_MAX], frames[16], where[16];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	path[n > 0 ? n : 0] = '\0';
	if (strrchr(path, '/'))
		*strrchr(path, '/') = '\0';
	(void)snprintf(program, sizeof(program), "%.*s/peer_%s", PATH_MAX - 32, path,
		       entry->subject->program);
	(void)snprintf(frames, sizeof(frames), "%u", entry->benchmark.n_frames);
	(void)snprintf(where, sizeof(where), "%d", cpu);
	if (*entry->subject->environment)
		(void)putenv(strdup(entry->subject->environment));
	if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0 ||
	    dup2(quiet, STDERR_FILENO) < 0)
		_exit(1);
	(void)execl(program, program, peer_kind_name(entry->kind), frames, order[entry->order],
		    touch[entry->touch], where, socket, (char *)NULL);
	(void)dprintf(STDOUT_FILENO, "no %s\n",
		      errno == ENOENT ? "not built: its package is not installed"
				      : strerror(errno));
	_exit(1);
}

/* One line, without its end. */
static int read_line(struct bench *bench, const struct contestant *contestant,
		     char line[LINE_BYTES])
{
	size_t n = 0;

	while (n < LINE_BYTES - 1) {
		struct pollfd wait = {.fd = contestant->out, .events = POLLIN};

		if (poll(&wait, 1, ANSWER_MS) <= 0)
			return bench_fail(bench, -EOPNOTSUPP, "it does not answer");
		if (read(contestant->out, &line[n], 1) != 1)
			return bench_fail(bench, -EOPNOTSUPP, "it ended without a word");
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return strncmp(line, "no ", 3) == 0 ? bench_fail(bench, -EOPNOTSUPP, "%s", line + 3) : 0;
}

int contestant_start(struct bench *bench, const struct entry *entry, int cpu, const char *socket,
		     struct contestant *ret_contestant)
{
	struct contestant contestant = {0};
	char line[LINE_BYTES];
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return bench_fail(bench, -errno, "a pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = bench_fail(bench, -errno, "a pipe: %s", strerror(errno));
		(void)close(in[0]);
		(void)close(in[1]);
		return r;
	}
	contestant.pid = fork();
	if (contestant.pid == 0)
		become_peer(entry, cpu, socket, in, out);
	r = contestant.pid < 0 ? bench_fail(bench, -errno, "a process: %s", strerror(errno)) : 0;
	(void)close(in[0]);
	(void)close(out[1]);
	contestant.in = in[1];
	contestant.out = out[0];
	if (r == 0)
		r = read_line(bench, &contestant, line);
	if (r < 0) {
		contestant_stop(&contestant);
		return r;
	}
	*ret_contestant = contestant;
	return 0;
}

int contestant_ask(struct bench *bench, const struct contestant *contestant, uint64_t n)
{
	return dprintf(contestant->in, "%llu\n", (unsigned long long)n) > 0
		       ? 0
		       : bench_fail(bench, -EOPNOTSUPP, "it ended without a word");
}

int contestant_answer(struct bench *bench, const struct contestant *contestant,
		      struct sample *ret_sample)
{
	unsigned long long ns, ops;
	char line[LINE_BYTES];
	int r = read_line(bench, contestant, line);

	if (r < 0)
		return r;
	if (sscanf(line, "%llu %llu", &ns, &ops) != 2 || ops == 0)
		return bench_fail(bench, -EPROTO, "its answer was \"%s\"", line);
	*ret_sample = (struct sample){ns, ops};
	return 0;
}

void contestant_stop(struct contestant *contestant)
{
	uint64_t begin = bench_now_ns();
	bool killed = false;

	(void)close(contestant->in);
	(void)close(contestant->out);
	if (contestant->pid <= 0)
		return;
	while (waitpid(contestant->pid, NULL, WNOHANG) == 0) {
		if (!killed && bench_now_ns() - begin > END_NS) {
			(void)kill(contestant->pid, SIGKILL);
			killed = true;
		}
		(void)sched_yield();
	}
}

/* --- hooks of struct benchmark -------------------------------------------------------------- */

int contestant_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	const struct entry *entry = entry_of(benchmark);
	struct contestant_state *state;
	struct fixture *fixture = NULL;
	int r = 0;

	if (benchmark->n_frames > entry->subject->max_frames)
		return bench_fail(bench, -EOPNOTSUPP, "as with %u frames, only longer",
				  entry->subject->max_frames);
	state = calloc(1, sizeof(*state));
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	if (entry->subject->needs == NEEDS_DAEMON)
		r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture);
	else if (entry->subject->needs == NEEDS_ROUDI)
		r = roudi_start(bench, &state->roudi);
	if (r == 0)
		r = contestant_start(bench, entry, bench->place.client_cpu,
				     fixture ? fixture->socket : "", &state->contestant);
	if (r < 0) {
		server_stop(&state->roudi);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

int contestant_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	struct contestant_state *contestant = state;
	int r = contestant_ask(bench, &contestant->contestant, n);

	(void)benchmark;
	return r < 0 ? r : contestant_answer(bench, &contestant->contestant, ret_sample);
}

void contestant_teardown(struct bench *bench, void *state)
{
	struct contestant_state *contestant = state;

	(void)bench;
	contestant_stop(&contestant->contestant);
	server_stop(&contestant->roudi);
	free(contestant);
}
