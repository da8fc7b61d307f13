/* bench/peers/server.h - somebody else's daemon (redis, memcached, RouDi), private to a benchmark:
 * in a new folder, with its sockets and files in it, on a CPU of our choice. It ends with us. */
#ifndef BENCH_PEERS_SERVER_H
#define BENCH_PEERS_SERVER_H
#include "bench/bench.h"

struct server {
	pid_t pid; /* 0: does not run */
	char folder[PATH_MAX - 32];
	char socket[PATH_MAX]; /* <folder>/server.sock, if it makes one there */
};

/* argv[0] is looked for in PATH. "@" alone stands for the folder, "@NAME" for a file in it. file is
 * written to "@conf" before, if not NULL. Returns 0, or -EOPNOTSUPP where there is no such program.
 */
int server_start(struct bench *bench, int cpu, const char *const *argv, const char *file,
		 struct server *ret_server);
/* A connection to its socket, as soon as it listens. Returns the descriptor or -errno. */
int server_connect(struct bench *bench, struct server *server);
/* SIGTERM, and the folder is removed. One that does not run is nothing. */
void server_stop(struct server *server);

#endif
