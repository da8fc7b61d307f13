/* bench/peers/get.c - see get.h. */
#include "bench/peers/get.h"

#include "bench/peers/server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_BYTES 4096u
#define REPLY_BYTES (BLOCK_BYTES + 256u)

struct get_state {
	struct server server;
	int fd;
	const char *request;
	size_t request_bytes;
	size_t reply_bytes; /* of a hit */
	char reply[REPLY_BYTES];
};

/* Sends, and receives what is expected. */
static int call(struct bench *bench, struct get_state *state, const char *request,
		size_t request_bytes, size_t reply_bytes)
{
	size_t n = 0;

	if (send(state->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
		return bench_fail(bench, -EIO, "a request: %s", strerror(errno));
	while (n < reply_bytes) {
		ssize_t some = recv(state->fd, &state->reply[n], sizeof(state->reply) - n, 0);

		if (some <= 0)
			return bench_fail(bench, -EIO, "the server hung up");
		n += (size_t)some;
	}
	return n == reply_bytes ? 0 : bench_fail(bench, -EPROTO, "an answer of %zu bytes", n);
}

/* set: all before the block; expected: what the server says to it; hit: what a GET answers, but for
 * the block. */
static int fill(struct bench *bench, struct get_state *state, const char *set, const char *expected,
		const char *hit)
{
	char request[BLOCK_BYTES + 256];
	size_t n = strlen(set);
	int r;

	memcpy(request, set, n);
	memset(&request[n], 'x', BLOCK_BYTES);
	memcpy(&request[n + BLOCK_BYTES], "\r\n", 2);
	r = call(bench, state, request, n + BLOCK_BYTES + 2, strlen(expected));
	if (r == 0 && memcmp(state->reply, expected, strlen(expected)) != 0)
		r = bench_fail(bench, -EPROTO, "the block is not taken");
	state->reply_bytes = strlen(hit) + BLOCK_BYTES;
	if (r == 0)
		r = call(bench, state, state->request, state->request_bytes, state->reply_bytes);
	return r;
}

static int get_start(struct bench *bench, const char *const *argv, const char *request,
		     struct get_state **ret_state)
{
	struct get_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	state->request = request;
	state->request_bytes = strlen(request);
	r = server_start(bench, bench->place.client_cpu, argv, NULL, &state->server);
	if (r == 0)
		r = state->fd = server_connect(bench, &state->server);
	if (r < 0) {
		server_stop(&state->server);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

static void get_stop(struct get_state *state)
{
	(void)close(state->fd);
	server_stop(&state->server);
	free(state);
}

static int get_run(struct bench *bench, struct get_state *state, uint64_t n,
		   struct sample *ret_sample)
{
	struct slices slices = slices_of(n);
	uint64_t some;
	int r = 0;

	while ((some = slices_next(&slices)) > 0)
		for (uint64_t i = 0; r == 0 && i < some; i++)
			r = call(bench, state, state->request, state->request_bytes,
				 state->reply_bytes);
	*ret_sample = slices_sum(&slices);
	return r;
}

int redis_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	static const char *const argv[] = {"redis-server",
					   "--port",
					   "0",
					   "--unixsocket",
					   "@server.sock",
					   "--save",
					   "",
					   "--dir",
					   "@",
					   "--maxmemory-policy",
					   "allkeys-lru",
					   "--maxmemory",
					   "64mb",
					   "--appendonly",
					   "no",
					   NULL};
	struct get_state *state = NULL;
	int r = get_start(bench, argv, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &state);

	(void)benchmark;
	if (r == 0)
		r = fill(bench, state, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4096\r\n", "+OK\r\n",
			 "$4096\r\n\r\n");
	if (r < 0) {
		if (state)
			get_stop(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

int redis_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample)
{
	(void)benchmark;
	return get_run(bench, state, n, ret_sample);
}

void redis_teardown(struct bench *bench, void *state)
{
	(void)bench;
	get_stop(state);
}

int memcached_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	const struct passwd *user = getpwuid(geteuid()); /* it refuses to be root unasked */
	const char *const argv[] = {"memcached", "-s", "@server.sock",
				    "-m",        "64", "-t",
				    "1",         "-u", user ? user->pw_name : "nobody",
				    NULL};
	struct get_state *state = NULL;
	int r = get_start(bench, argv, "get k\r\n", &state);

	(void)benchmark;
	if (r == 0)
		r = fill(bench, state, "set k 0 0 4096\r\n", "STORED\r\n",
			 "VALUE k 0 4096\r\n\r\nEND\r\n");
	if (r < 0) {
		if (state)
			get_stop(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

int memcached_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample)
{
	(void)benchmark;
	return get_run(bench, state, n, ret_sample);
}

void memcached_teardown(struct bench *bench, void *state)
{
	(void)bench;
	get_stop(state);
}
