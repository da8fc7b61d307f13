/* bench/bench_rpc.c - see bench_rpc.h. */
#include "bench/bench_rpc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Status and its Reply as they travel, with an id of 3 bytes; strace shows them. */
#define REQUEST_BYTES 6u
#define REPLY_BYTES 17u

/* --- through library and daemon --- */

static int rpc_open(struct bench *bench, enum bench_daemon which, void **ret_state)
{
	struct fixture *fixture;
	pageclient *client;
	int r = bench_find_daemon(bench, which, &fixture);

	if (r == 0)
		r = bench_open_client(bench, fixture, &client);
	if (r == 0)
		*ret_state = client;
	return r;
}

int rpc_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	(void)benchmark;
	return rpc_open(bench, BENCH_DAEMON_PLAIN, ret_state);
}

int rpc_no_poll_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	(void)benchmark;
	return rpc_open(bench, BENCH_DAEMON_NO_POLL, ret_state);
}

void rpc_teardown(struct bench *bench, void *state)
{
	(void)bench;
	pageclient_close(state);
}

int rpc_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample)
{
	struct pageclient_status status;
	struct slices slices = slices_of(n);
	uint64_t some;
	int r = 0;

	(void)benchmark;
	PAGECLIENT_INIT(struct pageclient_status, &status);
	while ((some = slices_next(&slices)) > 0)
		for (uint64_t i = 0; r == 0 && i < some; i++)
			r = pageclient_read_status(state, &status);
	*ret_sample = slices_sum(&slices);
	if (r == 0 && status.state != PAGECLIENT_CONNECTED)
		r = -ENOTCONN;
	return r < 0 ? bench_fail(bench, r, "a Status request: %s", pageclient_error()) : 0;
}

/* --- the kernel alone --- */

struct raw_state {
	pid_t pid;
	int fd;
};

/* In the child, until the other end is closed. */
static _Noreturn void become_peer(int fd, int cpu)
{
	char buffer[REPLY_BYTES] = {0};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)place_take(cpu);
	while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
		if (send(fd, buffer, REPLY_BYTES, MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

int raw_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct raw_state *state = calloc(1, sizeof(*state));
	int pair[2], r = 0;

	(void)benchmark;
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = bench_fail(bench, -errno, "a pair of sockets: %s", strerror(errno));
		free(state);
		return r;
	}
	state->fd = pair[0];
	state->pid = fork();
	if (state->pid == 0) {
		(void)close(pair[0]);
		become_peer(pair[1], bench->place.daemon_cpu);
	}
	if (state->pid < 0)
		r = bench_fail(bench, -errno, "a process: %s", strerror(errno));
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void raw_teardown(struct bench *bench, void *state)
{
	struct raw_state *raw = state;

	(void)bench;
	(void)close(raw->fd);
	(void)waitpid(raw->pid, NULL, 0);
	free(raw);
}

int raw_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	    struct sample *ret_sample)
{
	struct raw_state *raw = state;
	char buffer[REPLY_BYTES] = {0};
	struct slices slices = slices_of(n);
	uint64_t some;

	(void)benchmark;
	while ((some = slices_next(&slices)) > 0) {
		for (uint64_t i = 0; i < some; i++)
			if (send(raw->fd, buffer, REQUEST_BYTES, MSG_NOSIGNAL) < 0 ||
			    recv(raw->fd, buffer, sizeof(buffer), 0) != REPLY_BYTES)
				return bench_fail(bench, -EIO, "the other process ended");
	}
	*ret_sample = slices_sum(&slices);
	return 0;
}

/* --- both on one CPU --- */

static int move(struct bench *bench, int cpu)
{
	int r = cpu == PLACE_ANYWHERE ? -EOPNOTSUPP : place_take(cpu);

	return r < 0 ? bench_fail(bench, r, "needs a CPU of its own: --pin") : 0;
}

/* Each ends on the client's CPU if it fails. */
static int setup_moved(struct bench *bench, const struct benchmark *benchmark,
		       int (*setup)(struct bench *, const struct benchmark *, void **),
		       void **ret_state)
{
	int r = move(bench, bench->place.daemon_cpu);

	if (r == 0)
		r = setup(bench, benchmark, ret_state);
	if (r < 0)
		(void)place_take(bench->place.client_cpu);
	return r;
}

int rpc_one_core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	return setup_moved(bench, benchmark, rpc_no_poll_setup, ret_state);
}

void rpc_one_core_teardown(struct bench *bench, void *state)
{
	rpc_teardown(bench, state);
	(void)place_take(bench->place.client_cpu);
}

int raw_one_core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	return setup_moved(bench, benchmark, raw_setup, ret_state);
}

void raw_one_core_teardown(struct bench *bench, void *state)
{
	raw_teardown(bench, state);
	(void)place_take(bench->place.client_cpu);
}
