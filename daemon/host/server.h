/* daemon/host/server.h - loop, wire, session, pool and segments joined into one daemon.
 *
 *   wire, timer, check, work done  ->  server_event()  ->  session_step()  ->  perform.c
 *                                          ^                                       |
 *                                          +---------- follow-up events -----------+
 *
 * One event at a time: session_step() fills the one list of actions, perform.c carries all of it
 * out, and what an action answers at once (BARRIER, PREPARED, HEADS) waits in a short ring until
 * then. A BARRIER goes to the ring's front: a steal is one uninterrupted step. Only after the ring
 * is empty does the loop see the next event.
 *
 * Slow work (COMMIT) runs on the uv thread pool, in one of POOL_MAX_COMMITS jobs, and comes back as
 * an event on the loop. AGAIN is a one-shot uv_check: all sockets that are ready come first.
 *
 * Start: segments_attach(), which waits for the lock, the pool, session, signals and wire; then the
 * clients of an earlier server, each with its CTL if the supervisor kept it, and only then READY.
 *
 * Stop: SIGTERM or SIGINT closes wire and all handles; the loop ends when the last work is done and
 * the last handle closed. A second signal has its default effect, unless there is a supervisor:
 * then a signal for both of us comes twice, and it is the supervisor who loses patience. */
#ifndef DAEMON_HOST_SERVER_H
#define DAEMON_HOST_SERVER_H
#include "daemon/host/config.h"
#include "daemon/host/control.h"
#include "daemon/host/endpoint.h"
#include "daemon/host/log.h"
#include "daemon/host/machine.h"
#include "daemon/host/psi_socket.h"
#include "daemon/host/segments.h"
#include "daemon/wire/wire.h"

/* Answers of one step that wait: at most one for each of its actions. */
#define SERVER_MAX_PENDING SESSION_MAX_ACTIONS

struct server_client { /* what ACTION_PREPARE made and ACTION_RELEASE gives back */
	void *ctl;
	uint64_t ctl_bytes;
	uint64_t ctl_used_bytes; /* as last looked at */
	int ctl_fd;
	int event_fd; /* far end of its event socket, until it is sent */
	bool is_open;
	bool is_kept; /* the supervisor has ctl_fd, or one of an earlier client */
};

struct server;

struct server_job { /* a COMMIT under way */
	uv_work_t work;
	struct server *server;
	struct pool_commit commit;
	int status;
	bool busy;
	char text[SHM_TEXT_BYTES];
};

struct server_options {
	const struct log *log;
	const char *config_file; /* NULL: the system's files, if read_system */
	bool read_system;
	const char *instance;      /* whose file is read after those; NULL: none */
	struct config *config;     /* replaced by SIGHUP */
	struct segments *segments; /* open */
	struct endpoint *endpoint;
	struct endpoint *pressure; /* not open yet: of the server's own socket */
	struct control *control;
};

struct server {
	struct server_options options;
	uv_loop_t loop;
	uv_timer_t timer;
	uv_timer_t alive;
	uv_check_t again_check;
	uv_idle_t again_idle;  /* keeps the loop from sleeping while AGAIN waits */
	uv_check_t tick_check; /* a TICK that is due: after what there is to read */
	uv_idle_t tick_idle;
	uint32_t tick_turns; /* that the TICK may still wait for what there is to read ... */
	bool heard;          /* ... if this turn of the loop read something */
	uv_signal_t terminate, interrupt, hangup;
	struct wire *wire;             /* NULL once stopping */
	struct machine *machine;       /* the same */
	struct psi_socket *psi_socket; /* the same, and where there is none */
	struct session *session;
	struct pool *pool;
	uint64_t looked_ns;          /* the last look at magazines */
	uint64_t born_ns;            /* CLOCK_MONOTONIC: when the lock was ours */
	uint64_t epoch;              /* ours: nobody else's while we live */
	uint64_t limits_bytes;       /* the size that the session's limits are made for */
	struct session_config lines; /* what Config is answered with */
	char status[64];             /* that the service manager was told last */
	bool serving;
	bool stopping;
	bool stepping;
	const struct session_event *event; /* being stepped: a Resume's descriptor is in it */
	bool edges_short;                  /* no memory for more, until the next tick */
	uint32_t ctl_next;                 /* where the next look at CTL memory begins */
	uint32_t n_pending;
	struct session_event pending[SERVER_MAX_PENDING];
	char pending_text[SHM_TEXT_BYTES]; /* of the pending PREPARED that failed */
	struct server_job job[POOL_MAX_COMMITS];
	struct server_client client[SHM_MAX_CLIENTS + 1];
	struct session_actions actions;
};

/* Serves until it is told to stop. Takes over the endpoint's descriptor and what control kept.
 * Returns 0 after an orderly stop; if it could not start -errno with a text, or a verdict of
 * segments.h with its reason. */
int server_run(const struct server_options *options, char *text, size_t text_bytes);

/* --- between the files of the server -------------------------------------------------------- */

/* Steps the session and performs what it asks for, until nothing is pending. Fills in the time. */
void server_event(struct server *server, const struct session_event *event);
/* An answer to an action that is being performed. first: before all others. */
enum server_place { SERVER_FIRST, SERVER_LAST };
void server_pend(struct server *server, const struct session_event *event, enum server_place place);

/* server.c: ACTION_AGAIN and ACTION_TIMER. */
void server_again(struct server *server);
void server_timer(struct server *server, uint64_t at_ns);

/* birth.c: attaches segments and pool. Returns as server_run() does. */
int server_attach(struct server *server, char *text, size_t text_bytes);
/* birth.c: tells the session of the clients of an earlier server, and everybody that we serve. A
 * client of which it cannot be told whether it lives is -errno with a text: nothing was taken from
 * it. */
int server_begin(struct server *server, char *text, size_t text_bytes);

/* perform.c: carries out one action. */
void server_perform(struct server *server, const struct session_action *action);
/* Looks at the memory of some CTLs. Once a tick. */
void server_account_ctl(struct server *server);
void server_release(struct server *server, client_id client);
/* The CTL of a client that has none yet, mapped, if fd is one of the very file that the client was
 * attached with; else -EBADF. Takes fd over in any case. */
int server_take_ctl(struct server *server, client_id client, int fd);
/* Tells the supervisor of CTLs that it does not know of, or need not keep any more. */
void server_keep_ctls(struct server *server);

/* pressure.c: watches the machine, serves the pressure socket. Neither is needed to serve frames:
 * what cannot be is logged. */
void server_open_pressure(struct server *server);
void server_close_pressure(struct server *server);

/* signals.c */
int server_open_signals(struct server *server);
/* From now on signals change nothing (supervised), or have their default effect. */
void server_rest_signals(struct server *server);
void server_close_signals(struct server *server);
/* Reads the configuration again. */
void server_reload(struct server *server);
/* Tells the session its limits, after the configuration or the size has changed. */
void server_tell_limits(struct server *server);
/* What the session is told of the configuration, with new lines for Config; the old ones are to be
 * freed when it was. */
struct session_config server_make_limits(struct server *server, struct session_limits *ret_limits);
/* As busy_poll has it on this machine. */
uint32_t server_busy_poll_us(const struct config *config);
/* What the session wants to know of a configuration. */
void server_limits(const struct config *config, uint64_t segment_bytes, uint32_t page_shift,
		   struct session_limits *ret_limits);
/* server.c: begins the stop. Idempotent. */
void server_stop(struct server *server);

#endif
