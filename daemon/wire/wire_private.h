/* daemon/wire/wire_private.h - what is inside a struct wire; for daemon/wire alone.
 *
 *   listener.c   accept(), and a pause when descriptors run out
 *   conn.c       call sockets by number, those that drain without one
 *   client.c     event socket and pidfd of a client
 *   wire.c       birth and death of it all, events out
 *   busy.c       busy polling
 *   stream.c     what call and event sockets have in common; outbox.c, peer.c below it
 *
 * Ownership. struct wire owns conns and clients; each is one allocation that embeds its libuv
 * handles and is freed in the last of their close callbacks. n_open counts what is not closed yet;
 * the wire itself goes with the last of them. A conn or client leaves its table at once when it is
 * closed, so that its number can be given again while its handles are still closing. */
#ifndef DAEMON_WIRE_WIRE_PRIVATE_H
#define DAEMON_WIRE_WIRE_PRIVATE_H
#include "daemon/wire/stream.h"
#include "daemon/wire/wire.h"
#include "paged/spin.h"

/* Connections that were ended and still have something to send. More are cut off at once: higher
 * lets peers that do not read hold more descriptors, for a second each. */
#define WIRE_DRAINING_MAX 64u
#define WIRE_DRAIN_MS 1000u /* lower cuts slow readers off, higher holds their descriptors */
#define WIRE_DRAIN_TICK_MS 100u

/* Upcalls that wait for a client that does not read, beside what the socket holds. */
#define WIRE_UPCALLS_MAX 64u
#define WIRE_QUEUE_BYTES (256u * 1024u)

#define WIRE_NO_INDEX UINT32_MAX

struct conn {
	struct stream stream;
	struct wire *wire;
	uint32_t index;      /* in wire->conns; WIRE_NO_INDEX once the session is done with it */
	uint32_t drain_slot; /* in wire->draining, while stream.state is DRAINING */
	uint64_t drain_until_ms; /* of uv_now() */
	int pidfd;               /* -1 once a client has it */
	struct session_peer peer;
};

struct wire_client {
	struct stream events;
	uv_poll_t pid_poll;
	int pidfd;
	struct wire *wire;
	client_id client;
	uint32_t n_handles; /* not closed yet */
	bool is_closed;     /* wire_client_close() was called: freed with the last handle */
};

struct busy {
	uv_idle_t idle; /* active while we spin: it keeps libuv from blocking */
	struct spin spin;
	bool is_fresh;    /* a message came since the last look */
	bool works;       /* the loop does not sleep in this turn whatever the spin says */
	uint64_t from_ns; /* of the spin, or of the sleep after it */
	uint64_t looked_ns;
	long n_preempted; /* as the kernel counted last */
};

struct wire {
	uv_loop_t *loop;
	struct wire_options options;
	uv_poll_t listen_poll;
	uv_timer_t accept_timer;
	uv_timer_t drain_timer;
	struct busy busy;
	uint32_t n_open; /* own handles, conns and clients whose memory is in use */
	bool is_closing;
	uint32_t n_free;
	uint16_t free_index[SESSION_MAX_CONNECTIONS]; /* a stack */
	struct conn *conns[SESSION_MAX_CONNECTIONS];
	uint32_t n_draining;
	struct conn *draining[WIRE_DRAINING_MAX];
	struct wire_client *clients[SHM_MAX_CLIENTS + 1];
	uint8_t buffer[MESSAGE_BYTES_MAX];
};

/* wire.c: stamps the event with the time and hands it over. */
void wire_emit(struct wire *wire, struct session_event *event);
/* wire.c: one of n_open is gone. */
void wire_unref(struct wire *wire);

/* busy.c: a message came at now_ns: do not sleep for a while. */
void busy_stay_awake(struct wire *wire, uint64_t now_ns);
void busy_open(struct wire *wire);
uint64_t wire_clock_ns(clockid_t clock);

/* listener.c */
int listener_open(struct wire *wire);
void listener_close(struct wire *wire);

/* conn.c: makes a conn of an accepted socket, which is conn's or closed afterwards. */
void conn_open(struct wire *wire, int fd);
struct conn *conn_find(struct wire *wire, uint32_t index);
void conn_on_drain_timer(uv_timer_t *timer);
void conn_close_all(struct wire *wire);

/* client.c */
void client_close_all(struct wire *wire);

#endif
