/* daemon/session/session.h - the one way into the daemon: session_step(event) -> actions.
 *
 * The shell (wire and host) turns the world into a struct session_event, time included, calls
 * session_step() and performs the returned actions in their order. Nothing here makes a system
 * call, reads a clock or allocates: a whole daemon with its clients runs in one thread of a test,
 * and a seed replays it.
 *
 * Connections. The shell numbers them from 0 to SESSION_MAX_CONNECTIONS - 1 and says which is which
 * in every event:
 *
 *              ACCEPTED            Hello               PREPARED ok
 *   (closed) ------------> NEW ------------> ATTACHING ------------> CLIENT
 *       ^                   | Resume          REATTACHED ok             |
 *       |                   +--------------> RESUMING ----------> CLIENT
 *       |                   | Hello observer                            |
 *       |                   +--------------> OBSERVER                   |
 *       +---- CLOSED, deadline, refused -------+------------------------+
 *
 * A client (its id, frames and record) outlives its connection: it ends by Goodbye or when its
 * pidfd says that the process is dead (DIED), never by EOF alone. The sweep of its frames runs in
 * slices, one a step, driven by ACTION_AGAIN.
 *
 * Work that the pure side cannot do is an action that comes back as an event with the same cookie:
 *   ACTION_PREPARE  -> EVENT_PREPARED   make the CTL, commit the client's STATE
 *   ACTION_REATTACH -> EVENT_REATTACHED a new event socket, and the CTL if a Resume carried it, at
 * once ACTION_HEADS    -> EVENT_HEADS      give memory to a thread's heads in META, at once
 *   ACTION_TABLE    -> EVENT_TABLE      give memory to slots of a client's purge table, at once
 *   ACTION_COMMIT   -> EVENT_COMMITTED  on the thread pool, in any order
 *   ACTION_BARRIER  -> EVENT_BARRIER    at once, before any other event: a steal is one
 * uninterrupted step ACTION_AGAIN    -> EVENT_AGAIN      after the other events that wait now
 *
 * Threading: one thread. Memory: the caller's, given to session_init(). */
#ifndef DAEMON_SESSION_SESSION_H
#define DAEMON_SESSION_SESSION_H
#include "daemon/core/pool.h"
#include "paged/message.h"

#include <stdbool.h>

#define SESSION_MAX_CONNECTIONS                                                                    \
	2048u /* clients and observers; lower refuses users, higher costs 100 bytes each */
#define SESSION_MAX_ACTIONS                                                                        \
	256u                     /* of one step; a step that needs more stops and asks for AGAIN   \
				  */
#define SESSION_MAX_PARKED 4096u /* requests that wait for frames; more are told -EAGAIN */

struct session;

#define SESSION_EVENTS(X)                                                                          \
	X(ACCEPTED, "accepted") /* conn, peer */                                                   \
	X(MESSAGE, "message")   /* conn, message: from the call socket */                          \
	X(MALFORMED,                                                                               \
	  "malformed")      /* conn, text: not a message of ours; the connection is to end */      \
	X(CLOSED, "closed") /* conn: EOF or error; the shell has closed it */                      \
	X(UPCALL_DONE, "upcall done") /* client, message: from its event socket */                 \
	X(EVENTS_CLOSED,                                                                           \
	  "events closed") /* client: its event socket is at EOF, or it let 64 upcalls pile up */  \
	X(DIED, "died")    /* client: its pidfd fired */                                           \
	X(PREPARED, "prepared")     /* client, status, ctl, ctl_dev, ctl_ino, token */             \
	X(HEADS, "heads")           /* conn, client, thread, cookie, status */                     \
	X(TABLE, "table")           /* conn, client, cookie, nr_slots, status */                   \
	X(ADOPTED, "adopted")       /* client, status, ctl: see session_init() */                  \
	X(REATTACHED, "reattached") /* conn, client, status, ctl or NULL */                        \
	X(COMMITTED, "committed")   /* commit, status, text */                                     \
	X(BARRIER, "barrier")       /* status: 0 or -errno of membarrier() */                      \
	X(TICK, "tick")             /* the timer of ACTION_TIMER, or just time */                  \
	X(AGAIN, "again")                                                                          \
	X(RUNG, "rung")         /* after session_is_rung() */                                      \
	X(LIMITS, "limits")     /* limits: the configuration was read again */                     \
	X(PRESSURE, "pressure") /* level: how short of memory the machine is, if that changed */
enum session_event_kind {
#define X(name, text) EVENT_##name,
	SESSION_EVENTS(X)
#undef X
		EVENT_NR_KINDS
};

/* As enum pageclient_level. */
enum session_level { LEVEL_NONE, LEVEL_LOW, LEVEL_MEDIUM, LEVEL_CRITICAL };

#define SESSION_UNIT_BYTES 64u /* a longer name of a systemd unit is none */

/* Supplementary groups of a process. In how many it may be. Lower: of one in many groups some that
 * a section names do not count; higher: 4 bytes for each connection and client. */
#define SESSION_MAX_GROUPS 32u
struct session_groups {
	uint32_t n;
	uint32_t gid[SESSION_MAX_GROUPS];
};

struct session_peer { /* of SO_PEERCRED and /proc/PID/stat, read again after the pidfd was open */
	uint32_t pid;
	uint32_t uid;
	uint32_t gid;
	uint64_t pid_start;
	struct session_groups groups;  /* beside gid */
	char unit[SESSION_UNIT_BYTES]; /* of the system's services, by /proc/PID/cgroup; "": none */
};

/* A [client MATCH] section: of the clients that fit all of its criteria. */
enum { /* limits_rule.criteria */
       RULE_UID = 1u << 0,
       RULE_GID = 1u << 1,
       RULE_UNIT = 1u << 2,
       RULE_NAME = 1u << 3,
};
/* Of limits_rule.given, beside SHM_SET_*: observe_only counts. */
#define RULE_GIVES_ACCESS (1u << 16)
struct limits_rule {
	uint32_t criteria;
	uint32_t uid, gid;
	char unit[SESSION_UNIT_BYTES];
	char name[SHM_NAME_BYTES]; /* with * and ? */
	uint32_t given;            /* bit SHM_SET_*: the section has that key */
	uint32_t weight;
	uint64_t min, low, high, max; /* frames; high and max 0: none */
	char zone[SHM_NAME_BYTES];    /* requests start from there */
	bool observe_only;            /* it may not attach a client */
	char match[SHM_NAME_BYTES];   /* as people are told of it */
};
/* Whom the criteria are compared with. */
struct limits_who {
	uint32_t uid, gid;
	const struct session_groups *groups;
	const char *name, *unit; /* NUL-terminated */
};
#define SESSION_MAX_RULES 32u /* [client] sections; lower refuses large installations */

/* What Config is answered with: lines that the shell wrote and does not touch until after the next
 * LIMITS. */
struct session_config {
	uint32_t nr_lines;
	uint32_t serial; /* another one with other lines */
	const char (*line)[MESSAGE_TEXT_BYTES];
};

/* What the configuration says and SIGHUP may change. */
struct session_limits {
	uint32_t connections;        /* of one uid; 0: as many as quota.h gives it */
	uint32_t handshakes;         /* connections without a finished Hello */
	uint64_t handshake_ns;       /* a connection that has not said Hello by then is closed */
	uint64_t client_max_frames;  /* quota of a client; 0: none */
	uint64_t shrink_deadline_ns; /* of one upcall */
	uint64_t breaker_ns; /* first pause after three missed deadlines; doubles, at most 60 s */
	uint64_t alloc_timeout_max_ns; /* bound on what a client may ask for */
	uint64_t give_back_ns; /* under machine pressure what was free for so long is punched; 0:
				  never */
	uint32_t admin_uid;    /* beside root, who may Reclaim, Drain, Set and Check */
	uint32_t nr_rules;     /* in the order of the files: the later ones win */
	struct limits_rule rule[SESSION_MAX_RULES];
	struct session_config config;
};

struct session_event {
	enum session_event_kind kind;
	uint64_t now_ns;  /* CLOCK_MONOTONIC */
	uint64_t real_ns; /* CLOCK_REALTIME, for what people read */
	uint32_t conn;
	client_id client;
	uint32_t thread;
	uint32_t nr_slots;
	uint64_t cookie;
	int status;
	const struct message *message;
	const char *text;
	bool has_fd; /* MESSAGE: a Resume carried fd, which is the shell's and lives through the
			step */
	int fd;
	struct session_peer peer;
	void *ctl; /* PREPARED: the mapping of the new CTL, the shell's until ACTION_RELEASE */
	uint64_t ctl_dev;
	uint64_t ctl_ino;
	uint64_t token[2]; /* PREPARED: random */
	struct pool_commit commit;
	const struct session_limits *limits;
	uint32_t level; /* PRESSURE: enum session_level */
};

#define SESSION_ACTIONS(X)                                                                         \
	X(SEND, "send")       /* conn, message: a reply; fds says which descriptors go with it */  \
	X(UPCALL, "upcall")   /* client, message: on its event socket */                           \
	X(CLOSE, "close")     /* conn: after what was sent; no CLOSED event follows */             \
	X(PREPARE, "prepare") /* conn, client, max_threads: CTL, event socket and pidfd watch      \
				 belong to client from now */                                      \
	X(RELEASE, "release") /* client: unmap its CTL, close its descriptors */                   \
	X(REATTACH,                                                                                \
	  "reattach") /* conn, client: of a Resume; the fd that came with it is its CTL */         \
	X(HEADS,                                                                                   \
	  "heads") /* conn, client, thread, cookie: give memory to the thread's heads in META */   \
	X(TABLE, "table")   /* conn, client, cookie, from_slot, nr_slots: of its purge table */    \
	X(COMMIT, "commit") /* commit */                                                           \
	X(BARRIER, "barrier")                                                                      \
	X(AGAIN, "again")                                                                          \
	X(TIMER, "timer") /* at_ns: a TICK by then; replaces the one before */                     \
	X(LOG, "log")     /* level, log_id, client or CLIENT_NONE, text */
enum session_action_kind {
#define X(name, text) ACTION_##name,
	SESSION_ACTIONS(X)
#undef X
		ACTION_NR_KINDS
};

enum session_fds {
	FDS_NONE,
	FDS_OBSERVER, /* META */
	FDS_CLIENT,   /* META, DATA, CTL, event socket */
	FDS_RESUMED,  /* event socket */
};
enum session_log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};
enum session_log_id { /* the kinds of journal entries that have a MESSAGE_ID, the shell's too */
#define X(name, id, burst, fields) LOG_ID_##name,
#include "daemon/session/log_ids.def"
#undef X
		      LOG_NR_IDS
};

struct session_action {
	enum session_action_kind kind;
	uint32_t conn;
	client_id client;
	uint32_t thread;
	uint32_t max_threads;
	uint32_t from_slot, nr_slots; /* TABLE: memory for the slots from the one to the other */
	uint64_t cookie;
	bool read_only; /* SEND with FDS_CLIENT: DATA is opened O_RDONLY */
	enum session_fds fds;
	enum session_log_level level;
	enum session_log_id log_id;
	uint64_t at_ns;
	struct pool_commit commit;
	struct message message;
	char text[SHM_TEXT_BYTES];
};

struct session_actions {
	uint32_t n;
	struct session_action item[SESSION_MAX_ACTIONS];
};

/* Readies a session over an attached pool; both stay the caller's and live as long as it. seed
 * feeds what wants to be random. Cannot fail.
 *
 * The clients that the pool still knows are AWAY. For each the shell looks for the process that
 * pool_client_record() names and tells ADOPTED, before it serves: status 0 if it lives and is
 * watched (DIED follows one day), with its CTL if that is at hand, else NULL until a Resume brings
 * it; -ESRCH if it is gone. */
void session_init(struct session *session, struct pool *pool, const struct session_limits *limits,
		  uint64_t seed);

/* Takes one event and fills actions, whose n it sets first. Bounded: at most SESSION_MAX_ACTIONS
 * actions, one slice of work. No event can make it fail; what a client did wrong becomes a reply, a
 * CLOSE or a counter. */
void session_step(struct session *session, const struct session_event *event,
		  struct session_actions *actions);

/* Has a client that was heard from in the last second rung its doorbell? Is a magazine that was
 * filled in the last second half empty? If so, RUNG refills without a request. For a shell that
 * looks while it is awake, between two steps: at bells all the time (a line that nobody writes), at
 * magazines now and then, for a look takes the line from its owner's processor. */
bool session_is_rung(const struct session *session);
bool session_is_low(const struct session *session);

/* Bytes of a struct session, for callers that allocate it; its fields are in session_private.h. */
size_t session_bytes(void);

/* True if nothing is under way that a stop would cut short: no sweep, no claim, no commit. */
bool session_is_idle(const struct session *session);

/* PSI of the segment: the total of kind up to now_ns, which is not before the last step; and
 * whether it grows. For the shell's triggers, between two steps. */
uint64_t session_stalled_ns(const struct session *session, enum shm_psi_kind kind, uint64_t now_ns);
bool session_is_stalled(const struct session *session);

const char *session_event_name(enum session_event_kind kind);
const char *session_action_name(enum session_action_kind kind);

#endif
