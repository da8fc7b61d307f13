/* daemon/wire/wire.h - sockets, peers and queues: bytes and descriptors on one side, struct
 * session_event on the other.
 *
 * Wire owns the listening socket's watcher, one connection object per call socket, one per event
 * socket, one pidfd watcher per client, all on the caller's uv loop. It decodes, checks nothing but
 * form, and calls on_event; it performs what the shell tells it with the calls below and never
 * calls back from inside them. All of them may be called from inside on_event, also for the conn
 * or client that the event is about.
 *
 * Bounds: at most SESSION_MAX_CONNECTIONS call sockets (more are accepted and closed at once, so
 * that the backlog does not spin); at most queue_bytes queued for a peer that does not read: then
 * its connection ends (CLOSED; for an event socket EVENTS_CLOSED). One message is read per socket
 * and wake, so that nobody starves the others. EMFILE pauses accepting for 100 ms. */
#ifndef DAEMON_WIRE_WIRE_H
#define DAEMON_WIRE_WIRE_H
#include "daemon/session/session.h"

#include <uv.h>

struct wire;

struct wire_options {
	int listen_fd;         /* SOCK_SEQPACKET, listening, non-blocking; taken over */
	uint32_t queue_bytes;  /* per connection; 0: 256 KiB */
	uint32_t busy_poll_us; /* after a message the loop does not sleep for so long at most; 0:
				  never spins */
	/* While it spins; NULL: there is nothing to look at beside sockets. true: something was
	 * there and was dealt with, which counts as a message does. It comes between two events. */
	bool (*on_look)(void *arg, uint64_t now_ns);
	/* It spins from now on, and looks once more after it said that it does not: a call
	 * with false has to be a full barrier. NULL allowed.
	 */
	void (*on_awake)(void *arg, bool is_awake);
	void (*on_event)(void *arg,
			 const struct session_event *event); /* now_ns, real_ns are set by wire */
	void *arg;
};

/* Starts listening. Returns 0 or -errno, and then listen_fd is still the caller's; *ret_wire is the
 * caller's until wire_close(). */
int wire_open(uv_loop_t *loop, const struct wire_options *options, struct wire **ret_wire);
/* Closes everything, what waits to be sent included; the loop has to run until its handles are
 * closed, and the object frees itself then. No event follows. */
void wire_close(struct wire *wire);

/* The caller has work for the next turn of the loop, which so does not sleep: who looks whether we
 * are awake may know. To be said for each turn. */
void wire_works(struct wire *wire);

/* Queues a message on a call socket, with up to MESSAGE_FDS_MAX descriptors, which are duplicated
 * by the kernel when it is sent and stay the caller's, open until then: wire dup()s them if it has
 * to queue. A conn that is closed already is ignored. */
void wire_send(struct wire *wire, uint32_t conn, const struct message *message, const int *fds,
	       uint32_t n_fds);
/* Ends a call socket once what is queued has been sent (at most 1 s). No CLOSED event follows. */
void wire_end(struct wire *wire, uint32_t conn);

/* From now on conn belongs to client: makes its event socket (*ret_peer_fd is the far end, the
 * caller's, to be sent with the Hello or Resume reply and closed) and watches the pidfd of the
 * process at the other end of conn, which was opened when conn was accepted. What the client had
 * before ends. Returns 0, -ENOTCONN if conn is closed, -EBUSY if conn has a client, -errno. From
 * now on UPCALL_DONE, EVENTS_CLOSED and DIED name client. What is no message of ours on the event
 * socket closes it. */
int wire_client_open(struct wire *wire, uint32_t conn, client_id client, int *ret_peer_fd);
/* Watches the process of a client that has no connection: DIED follows. -ESRCH: it is gone; -errno:
 * it may live. */
int wire_client_watch(struct wire *wire, client_id client, uint32_t pid, uint64_t pid_start);
void wire_upcall(struct wire *wire, client_id client, const struct message *message);
void wire_client_close(struct wire *wire, client_id client);

#endif
