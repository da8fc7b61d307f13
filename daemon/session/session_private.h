/* daemon/session/session_private.h - what the files of daemon/session share.
 *
 * session.c    the step: one event, then the pump (what may follow from any event), then the timer
 * handshake.c  connections come and go: Hello and Resume
 * client.c     clients come back and end
 * dispatch.c   a client's requests, judged and handed to the core
 * park.c       requests that wait for frames, first come first served
 * reclaim.c    background and direct reclaim: magazines, then shrinkers by upcalls
 * admin.c      Reclaim, Drain, Check
 * condition.c  the core's conditions as wire codes and sentences */
#ifndef DAEMON_SESSION_SESSION_PRIVATE_H
#define DAEMON_SESSION_SESSION_PRIVATE_H
#include "daemon/core/shrinker.h"
#include "daemon/session/session.h"
#include "paged/check.h"

#include <stdarg.h>

#define CONN_NONE UINT32_MAX
#define PARKED_NONE UINT32_MAX
#define TICK_NS UINT64_C(1000000000)
#define PARKED_PER_CLIENT SHM_MAX_LANES /* one in flight per lane */
/* Lower: a large block that cannot be had costs a walk over the zone more often. Higher: it is
 * found later. */
#define SEARCH_NS UINT64_C(10000000)
#define SWEEP_BLOCKS                                                                               \
	4096u /* of one slice: 0.2 to 0.4 ms, so that nobody waits longer for a death */

/* X(name): the states of a connection; the diagram is in session.h. */
#define CONNECTION_STATES(X)                                                                       \
	X(CLOSED)                                                                                  \
	X(NEW)                                                                                     \
	X(ATTACHING)                                                                               \
	X(RESUMING)                                                                                \
	X(CLIENT)                                                                                  \
	X(OBSERVER)
enum connection_state {
#define X(name) CONNECTION_##name,
	CONNECTION_STATES(X)
#undef X
		CONNECTION_NR_STATES
};

struct connection {
	enum connection_state state;
	client_id client;
	uint64_t deadline_ns; /* NEW: of the Hello */
	uint64_t hello_id;    /* ATTACHING, RESUMING: the request to answer */
	bool read_only;
	struct session_peer peer;
	struct pool_client_options wanted; /* ATTACHING */
};

/* A request for frames: a refill or an Alloc. */
struct parked {
	uint32_t next, prev; /* in the order of their coming, or the free list */
	uint32_t conn;
	client_id client;
	uint64_t id;
	uint64_t deadline_ns;
	uint64_t since_ns;
	int condition; /* why it waits */
	bool stole;    /* its client's magazines were stolen for it already */
	bool is_alloc;
	struct message_pcp_refill refill;
	struct message_alloc alloc;
};

struct upcall {
	bool active;
	bool in_wave; /* the run waits for it */
	uint64_t id;
	uint64_t asked;
	uint64_t sent_ns;
	uint64_t deadline_ns;
	uint64_t came_back; /* frames that its client drained or freed since, while it was active */
};

enum steal_purpose {
	STEAL_NONE,
	STEAL_DRAIN,
	STEAL_RECLAIM,
	STEAL_SHRINK,
	STEAL_QUOTA,
	STEAL_ADMIN
};

/* What the barrier that is under way is for. */
struct steal {
	enum steal_purpose purpose;
	uint32_t conn;
	uint64_t id;
	uint64_t count; /* DRAIN: frames in the magazine before. SHRINK: frames that the scan says
			 * it freed */
	uint32_t cache; /* SHRINK: row */
};

enum reclaim_stage { RECLAIM_IDLE_MAGAZINES, RECLAIM_SHRINK, RECLAIM_ALL_MAGAZINES };

struct reclaim {
	bool running;
	bool direct; /* somebody waits: magazines in use are taken too */
	enum reclaim_stage stage;
	uint32_t priority;
	uint32_t outstanding;   /* upcalls in flight */
	uint32_t in_wave;       /* those of them that the run waits for ... */
	uint64_t wave_until_ns; /* ... until then */
	uint32_t next_cache; /* the wave goes on from there when there is room; 0: all were asked */
	uint64_t nr_returned;  /* frames of this run */
	uint64_t before_wave;  /* nr_returned when the caches were last asked */
	bool last_wave;        /* that was at priority 0: without success the run ends */
	uint64_t retry_ns;     /* nothing came back: not before then */
	uint64_t admin_target; /* frames that an administrator asked for */
	uint32_t admin_conn;
	uint64_t admin_id;
};

struct session_client {
	uint32_t conn;
	bool events_open;
	uint32_t nr_parked;
};

struct session {
	struct pool *pool;
	struct session_limits limits;
	uint64_t now_ns;
	uint64_t real_ns;
	uint64_t random;
	uint64_t next_tick_ns;
	uint64_t timer_ns; /* armed for; 0: not */
	uint64_t next_upcall_id;
	uint64_t next_search_ns; /* no run was found for a large block: not before then */
	struct session_actions *actions;
	bool again; /* ask for AGAIN at the end of the step */
	uint32_t nr_connections, nr_handshakes, nr_clients, nr_dying;
	struct steal steal;
	struct reclaim reclaim;
	uint32_t parked_first, parked_last, parked_free;
	bool dying[SHM_MAX_CLIENTS + 1];
	struct session_client client[SHM_MAX_CLIENTS + 1];
	struct upcall upcall[SHM_MAX_CACHES];
	struct connection connection[SESSION_MAX_CONNECTIONS];
	struct parked parked[SESSION_MAX_PARKED];
};

/* --- session.c: actions -------------------------------------------------------------------------
 */

/* The next action, blank but for its kind; NULL when the step has no room left: it asks for AGAIN
 * then. */
struct session_action *session_push(struct session *session, enum session_action_kind kind);
/* Is there room for n more actions? Work that can wait asks before it begins. */
bool session_has_room(const struct session *session, uint32_t n);
/* A reply to request id on conn, with status 0 and no text; what it carries is the caller's to fill
 * in. Never NULL. */
struct message_reply *session_reply(struct session *session, uint32_t conn, uint64_t id);
/* A refusal; the sentence is made as by printf of %s, %u (uint32_t) and %l (uint64_t) alone. Counts
 * rpc_refused. */
void session_refuse(struct session *session, uint32_t conn, uint64_t id, int status,
		    const char *format, ...);
void session_log(struct session *session, enum session_log_level level, const char *format, ...);
/* Begins a steal of what was claimed: the barrier is the step's last action. */
void session_barrier(struct session *session, enum steal_purpose purpose);

/* --- handshake.c --------------------------------------------------------------------------------
 */

void handshake_accepted(struct session *session, const struct session_event *event);
void handshake_hello(struct session *session, uint32_t conn, const struct message *message);
void handshake_prepared(struct session *session, const struct session_event *event);
void handshake_resume(struct session *session, uint32_t conn, const struct message *message);
void handshake_reattached(struct session *session, const struct session_event *event);
void client_adopted(struct session *session, const struct session_event *event);
void handshake_closed(struct session *session, uint32_t conn);
void handshake_expire(struct session *session);
/* The connection ends from our side. */
void handshake_end(struct session *session, uint32_t conn);
/* The client ends: its frames are swept in the slices of handshake_sweep(). */
void client_end(struct session *session, client_id client);
void client_end_hostile(struct session *session);
void client_sweep(struct session *session);
void client_set_limits(struct session *session, client_id client, uint64_t own_max);

/* --- dispatch.c ---------------------------------------------------------------------------------
 */

void dispatch_message(struct session *session, const struct session_event *event);
void dispatch_heads_ready(struct session *session, const struct session_event *event);
void dispatch_table_ready(struct session *session, const struct session_event *event);
void dispatch_drained(struct session *session, const struct steal *steal, uint64_t frames);

/* --- park.c -------------------------------------------------------------------------------------
 */

void park_init(struct session *session);
/* Answers the request if it can be met now, else refuses or parks it. */
void park_request(struct session *session, const struct parked *request);
void park_serve(struct session *session);
void park_expire(struct session *session);
void park_drop_conn(struct session *session, uint32_t conn);
uint64_t park_deadline(const struct session *session);
/* Frames that those wait for who need reclaim; 0: nobody does. */
uint64_t park_demand(const struct session *session);
/* All magazines were stolen: who still waits has nothing more to hope for from there. */
void park_stolen(struct session *session);
/* The first that waits for a commit, of those of an order below `below`. */
bool park_wants_commit(const struct session *session, order_t below, order_t *ret_order,
		       enum migratetype *ret_type);

/* --- reclaim.c ----------------------------------------------------------------------------------
 */

void reclaim_pump(struct session *session);
void reclaim_settled(struct session *session, const struct steal *steal, uint64_t frames);
/* The client gave frames back by a request: while one of its caches is asked they are the scan's,
 * up to what that says it freed. */
void reclaim_came_back(struct session *session, client_id client, uint64_t frames);
void reclaim_upcall_done(struct session *session, client_id client, const struct message *message);
void reclaim_forget_client(struct session *session, client_id client);
void reclaim_forget_cache(struct session *session, uint32_t cache);
void reclaim_expire(struct session *session);
uint64_t reclaim_deadline(const struct session *session);
/* Could a shrinker of somebody else than client give frames back? */
bool reclaim_others_could_help(const struct session *session, client_id client);
bool reclaim_self_could_help(const struct session *session, client_id client);

/* --- admin.c ------------------------------------------------------------------------------------
 */

void admin_dispatch(struct session *session, uint32_t conn, const struct message *message);
void admin_drained(struct session *session, const struct steal *steal, uint64_t frames);
void admin_reclaimed(struct session *session);

/* --- condition.c --------------------------------------------------------------------------------
 */

/* -errno for the wire. */
int condition_status(enum pool_condition condition);
/* Writes format into text as session_refuse() says; always terminated. */
void text_format(char *text, uint32_t text_bytes, const char *format, va_list args);
void text_print(char *text, uint32_t text_bytes, const char *format, ...);

#endif
