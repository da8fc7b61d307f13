/* daemon/host/supervisor.h - the process that outlives its server.
 *
 *   supervisor                                    server (a fork of it, no exec)
 *   socket, descriptors of the segments,  ----->  lock, map, recover, serve: server.h
 *   CTLs that were kept                   fork
 *                                        <-----   READY, RELOADING, STOPPING, ALIVE, KEEP, DROP
 *   SIGTERM, SIGINT, SIGHUP               ----->  the same signal
 *
 * Why: whatever a client brings the server to do, what is needed to serve again is in another
 * process, which never reads a byte that a client sent and maps nothing: one thread, one poll(), no
 * libuv. Clients that connect meanwhile wait in the listening socket's backlog.
 *
 * A server that died is followed by another: at once if it had served for a second, else after 0,
 * 10, 20, 40 ms ... 1 s; ten in a row, and the supervisor gives up (exit 1). One that was killed by
 * SIGKILL while it served, and not by us, has not crashed: it is followed at once, as often as that
 * happens; only after two kills within 25 ms after the rest of these, so that it takes no
 * processor. Before the first READY a server that ends with a status (instance running, no memory)
 * ends the supervisor with it: its error would be the same again. A server that has said nothing
 * for ten seconds hangs: SIGABRT, for the core, then SIGKILL. When it asks for new segments
 * (verdicts of segments.h) it gets them, and what was kept is dropped: it belongs to the old ones.
 *
 * The server dies with the supervisor (PR_SET_PDEATHSIG), in whatever way that ends. SIGTERM and
 * SIGINT are passed on and its orderly end is waited for; a second one kills it. */
#ifndef DAEMON_HOST_SUPERVISOR_H
#define DAEMON_HOST_SUPERVISOR_H
#include "daemon/host/control.h"
#include "daemon/host/endpoint.h"
#include "daemon/host/log.h"
#include "daemon/host/segments.h"

enum server_exit { /* exit status of a server, and of paged */
		   SERVER_STOPPED = 0,
		   SERVER_FAILED = 1, /* 2 is wrong usage */
		   SERVER_AGAIN = 3,  /* SEGMENTS_AGAIN */
		   SERVER_NO_ROOM = 4,
};

struct supervisor_options {
	const struct log *log;
	struct segments *segments; /* open, and only the descriptors */
	struct endpoint *endpoint; /* open */
	struct store *store;       /* CTLs of the daemon before, if they were stored */
	/* In the server: serves, and returns its exit status. */
	int (*serve)(void *arg, struct control *control);
	void *arg;
};

/* Keeps a server running until it is told to stop or has to give up. Returns the exit status; both
 * the supervisor and each of its servers return from here, and go on to clean up what is theirs. To
 * be called with one thread. */
int supervisor_run(const struct supervisor_options *options);

/* New segments for a server that ended with AGAIN or NO_ROOM. -errno after a log line. */
int supervisor_renew(const struct supervisor_options *options, enum server_exit status);

#endif
