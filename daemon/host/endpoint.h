/* daemon/host/endpoint.h - the socket that clients connect to.
 *
 * A file in its place is looked at before it is touched: a socket that a live daemon listens on is
 * an error that names its pid, one that nobody listens on is stale and removed, and anything else
 * is not ours to remove. A listener whose process is dead already is a server that its supervisor's
 * death takes along: it is waited for. */
#ifndef DAEMON_HOST_ENDPOINT_H
#define DAEMON_HOST_ENDPOINT_H
#include "daemon/host/config.h"
#include "daemon/host/instance.h"
#include "daemon/host/store.h"

#include <sys/un.h>

struct endpoint {
	int fd;      /* -1: not open */
	int type;    /* SOCK_SEQPACKET; SOCK_STREAM for the one of psi_socket.h */
	bool passed; /* by the service manager, or to a server by its supervisor: not ours to remove
		      */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" if the manager passed it */
};

/* Is there such a group? Adds to errors. */
void endpoint_check(const struct config *config, struct config_errors *errors);

/* Where the socket is to be. -ENAMETOOLONG with a text that says the limit. */
int endpoint_plan(const struct config *config, const struct instance *instance,
		  struct endpoint *ret_endpoint, char *text, size_t text_bytes);

/* Where the pressure socket is to be; its path is "" if there is to be none. */
int endpoint_plan_pressure(const struct config *config, const struct instance *instance,
			   struct endpoint *ret_endpoint, char *text, size_t text_bytes);

/* Takes the listening socket that the service manager passed, if it did: then it is that one, and
 * who listens on it is the manager. What it had stored goes to store. -errno with a text if it
 * passed something else. */
int endpoint_take_passed(struct endpoint *endpoint, struct store *store, char *text,
			 size_t text_bytes);

/* -EADDRINUSE with a text if a live daemon has it. Removes nothing. */
int endpoint_probe(const struct endpoint *endpoint, char *text, size_t text_bytes);

/* Opens it, unless it was passed: listening, non-blocking. -errno with a text. */
int endpoint_open(struct endpoint *endpoint, const struct config *config, char *text,
		  size_t text_bytes);

/* Removes the file if it is a socket that nobody listens on: what a server left that was killed. */
void endpoint_sweep(const struct endpoint *endpoint);
/* Removes the file, if we made it. Idempotent. */
void endpoint_unlink(struct endpoint *endpoint);
/* The same, and closes what nobody took over (fd is -1 once wire has it). */
void endpoint_close(struct endpoint *endpoint);

#endif
