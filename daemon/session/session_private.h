/* daemon/session/session_private.h - what the files of daemon/session share.
 *
 * session.c    the step: one event, then the pump (what may follow from any event), then the timer
 * handshake.c  connections come and go: Hello and Resume
 * client.c     clients come back and end
 * dispatch.c   a client's requests, judged and handed to the core
 * bell.c       refills that nobody sends a request for
 * park.c       requests that wait for frames, first come first served
 * reclaim.c    the ladder: background, direct and administrator's runs
 * shrink.c     one rung of it: upcalls to shrinkers and their answers
 * report.c     what a run asked of whom and what came back, as text
 * limits.c     min, low, high, max and weight of a client: configuration, own limit, Set
 * admin.c      Reclaim, Drain, Check, Set
 * why.c        Why: who holds this, and why was it not reclaimed?
 * condition.c  the core's conditions as wire codes and sentences */
#ifndef DAEMON_SESSION_SESSION_PRIVATE_H
#define DAEMON_SESSION_SESSION_PRIVATE_H
#include "daemon/core/inspect.h"
#include "daemon/core/shrinker.h"
#include "daemon/session/pressure.h"
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
	bool is_kept; /* of those kept for administrators: it attaches no client */
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
	int condition;        /* why it waits */
	bool stalls;          /* counted by stall.c: it waits for frames */
	bool steals;          /* `pass` over its client's own magazines began ... */
	bool stole_own;       /* ... and is done */
	bool stole;           /* all magazines were looked through since it waits */
	uint32_t n_compacted; /* tries to empty a run since it waits, in vain */
	bool purged;          /* of all purge tables nothing was left to take, since it waits */
	bool is_alloc;
	struct pool_pass pass;
	struct message_pcp_refill refill;
	struct message_alloc alloc;
};

struct upcall {
	bool active;
	bool in_wave; /* the run waits for it */
	uint64_t id, asked;
	uint64_t sent_ns, deadline_ns;
	uint64_t until_ns;  /* what it is to bring is counted on; 0: a tick found that over */
	uint64_t came_back; /* frames that its client drained or freed since, while it was active */
	uint64_t frames;    /* that it is expected to bring back */
	/* For the report of run number `run`, in frames. */
	uint32_t run;
	bool no_answer;
	uint64_t run_asked, run_back;
};

enum steal_purpose {
	STEAL_NONE,
	STEAL_DRAIN,
	STEAL_RECLAIM,
	STEAL_SHRINK,
	STEAL_QUOTA,
	STEAL_ADMIN,
	STEAL_RESIZE
};

/* What the barrier that is under way is for. */
struct steal {
	enum steal_purpose purpose;
	uint32_t conn;
	uint64_t id;
	uint64_t count; /* DRAIN: frames in the magazine before. SHRINK: freed, as the scan says */
	uint32_t cache; /* SHRINK: row */
	uint64_t came_back; /* SHRINK: what the scan had brought back before */
};

enum reclaim_stage { RECLAIM_IDLE_MAGAZINES, RECLAIM_SHRINK, RECLAIM_ALL_MAGAZINES };

/* What came back, of what: since somebody waits, or of one run. */
struct reclaim_report {
	uint32_t run;
	uint64_t magazines, purged, caches; /* frames */
};

/* The caches that a wave goes through: from `first` on, round the table. */
struct reclaim_wave {
	bool asking; /* there was no room for all: it goes on in the next step */
	bool wrapped;
	bool weighed; /* `share` is that of the purgeable frames, in frames */
	bool purged;  /* it has been taken */
	uint64_t share;
	uint32_t first, cursor;
	uint64_t until_ns; /* answers are waited for so long; 0: a tick found that over */
};

#define CACHE_ALL UINT32_MAX

struct reclaim {
	bool running;
	bool direct; /* somebody waits: magazines in use are taken too */
	bool dry;    /* in this run all purge tables were looked through in vain */
	/* Somebody waits, and what can be purged is not known to be nothing. */
	bool may_purge;
	bool purged;       /* frames, in this step */
	bool looked_ahead; /* for victims, in this step */
	enum reclaim_stage stage;
	struct pool_pass pass; /* over the magazines */
	enum pool_tier tier;   /* whose caches are asked */
	uint32_t priority;
	uint32_t outstanding; /* upcalls in flight */
	uint32_t in_wave;     /* those of them that the run waits for */
	struct reclaim_wave wave;
	uint64_t nr_returned;  /* frames of this run */
	uint64_t before_wave;  /* nr_returned when the caches were last asked */
	bool last_wave;        /* that was at priority 0: without success the tier is done */
	uint64_t retry_ns;     /* nothing came back: not before then */
	uint64_t wanted;       /* frames that somebody else than a request wants: reclaim_want() */
	uint64_t admin_target; /* frames that an administrator asked for, ... */
	client_id client;      /* ... of that client, CLIENT_NONE: all, ... */
	uint32_t cache;        /* ... of that row alone, CACHE_ALL: all */
	uint32_t admin_conn;
	uint64_t admin_id;
	struct reclaim_report report;
};

/* A Drain of an administrator. */
struct drain {
	bool active;
	struct pool_pass pass;
	uint32_t conn;
	uint64_t id;
	uint64_t nr_returned;
};

/* A Why that looks for a frame in the purge tables. */
struct why {
	bool active;
	uint32_t conn;
	uint64_t id;
	pfn_t pfn;
	struct inspect_search search;
};

/* Who may take the next slice of magazines: one between two events of the world, and of two who
 * want one, the one that was kept waiting. */
struct slices {
	bool may_go_on; /* this step is for those who are in the middle of a pass */
	bool taken;
	enum steal_purpose waits; /* was refused one */
};

struct session_client {
	uint32_t conn;
	bool events_open;
	uint32_t nr_parked;
	uint64_t last_ns, away_ns; /* CLOCK_REALTIME of its last request, of its last end of a
				      connection; 0: none */
	uint64_t coming;           /* frames that upcalls in flight are expected to bring back */
	uint64_t owned_before;     /* frames, as a steal was about to settle */
	uint32_t level;            /* that it was told last */
};

/* Whose doorbells are looked at. Lower: with more clients at work some are left to their requests.
 * Higher: a look takes longer than waking up would. */
#define BELL_CLIENTS 64u
struct bell_client {
	client_id client;
	uint32_t n_vain;   /* rings since the last tick that brought it nothing */
	uint64_t heard_ns; /* CLOCK_MONOTONIC: its last request or answered ring */
	uint64_t rings;    /* bit t: of thread t, taken and not answered yet */
};
/* Magazines that may soon be low. Lower: of many busy threads some come to an empty magazine.
 * Higher: a look takes longer. */
#define BELL_WATCHED 64u
struct bell {
	uint32_t n;
	uint32_t next; /* where the next round begins */
	struct bell_client heard[BELL_CLIENTS];
	uint32_t n_watched;
	uint32_t next_watched;
	struct bell_watched {
		struct pool_place place;
		uint64_t filled_ns; /* CLOCK_MONOTONIC */
	} watched[BELL_WATCHED];
};

struct compact_state {
	bool active;
	uint64_t next_ns; /* not before then */
};

/* A resize on its way: frames that are somebody's are asked for in rounds. */
struct resize_round {
	bool active; /* an administrator wants to be told of the end, in the log */
	bool asking; /* this round is not through */
	uint32_t zone;
	struct pool_range range;
	struct pool_pass pass;
	uint64_t pause_ns, next_ns;
	uint64_t managed, follow_ns; /* the clients' limits are of that size; not again before */
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
	struct slices slices;
	struct reclaim reclaim;
	struct stall stall;
	struct pressure pressure;
	bool has_begun; /* a first step has told the time */
	struct drain drain;
	struct resize_round resize;
	struct compact_state compact;
	struct why why;
	uint32_t parked_first, parked_last, parked_free;
	uint64_t demand; /* frames that those parked for want of frames wait for */
	struct bell bell;
	uint8_t bell_place[SHM_MAX_CLIENTS + 1]; /* in bell.heard: its index + 1; 0: it is not */
	bool dying[SHM_MAX_CLIENTS + 1];
	char unit[SHM_MAX_CLIENTS + 1][SESSION_UNIT_BYTES]; /* the service that the client is of */
	struct session_groups groups[SHM_MAX_CLIENTS + 1];
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
/* client: whom it is about, CLIENT_NONE for nobody. */
void session_log(struct session *session, enum session_log_level level, enum session_log_id id,
		 client_id client, const char *format, ...);
/* Begins a steal of what was claimed: the barrier is the step's last action. */
void session_barrier(struct session *session, enum steal_purpose purpose);
/* Goes on with a pass over magazines. true: later, because a barrier is to come or this step has
 * had its slice; the step after asks again. false: the pass is done. */
bool session_claim(struct session *session, struct pool_pass *pass, enum steal_purpose purpose);

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
/* Ends the client that a Hello of that process with that nonce, not 0, has made before and that
 * nobody knows of: its process has never shown that it had the answer. */
void client_end_unanswered(struct session *session, const struct session_peer *peer,
			   uint64_t nonce);
void client_end_hostile(struct session *session);
void client_sweep(struct session *session);

/* --- bell.c -------------------------------------------------------------------------------------
 */

/* A request of an attached client came: its bell is worth a look for a second. */
void bell_heard(struct session *session, client_id client);
void bell_forget(struct session *session, client_id client);
/* A magazine was filled: its owner may go on as it began. */
void bell_watch(struct session *session, const struct pool_place *place);
void bell_tick(struct session *session);
/* Its thread asks by a request: a ring of before, that nobody came to, wants nothing more. */
void bell_asked(struct session *session, client_id client, uint32_t thread);
/* Answers a few rings. */
void bell_rung(struct session *session);

/* --- limits.c -----------------------------------------------------------------------------------
 */

/* The client's limits from its own wish, the configuration and what an administrator set. */
void limits_apply(struct session *session, client_id client);
void limits_apply_all(struct session *session);
/* Set of a client's key. */
void limits_set(struct session *session, uint32_t conn, uint64_t id, const struct message_set *set);
/* Do the rule's criteria all fit? */
bool limits_match(const struct limits_rule *rule, const struct limits_who *who);
/* Has the configuration said that a client of that name may not be attached by peer? */
bool limits_observe_only(const struct session *session, const struct session_peer *peer,
			 const char *name);

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
order_t park_order(const struct parked *request);
/* Frames that those wait for who need reclaim; 0: nobody does. */
uint64_t park_demand(const struct session *session);
/* All magazines were stolen, all purge tables looked through, or no run could be emptied: who still
 * waits has nothing more to hope for from there. */
void park_stolen(struct session *session);
void park_compacted(struct session *session);
void park_purged(struct session *session);
/* Does a request wait, magazines and all, that an emptied run would meet? */
bool park_wants_run(const struct session *session, order_t *ret_order);
/* The first that waits for a commit, of those of an order below `below`. */
bool park_wants_commit(const struct session *session, order_t below, order_t *ret_order,
		       enum migratetype *ret_type);

/* --- reclaim.c ----------------------------------------------------------------------------------
 */

/* One more piece of work; true: frames came back that those who wait may take at once. */
bool reclaim_pump(struct session *session);
/* One more request waits for frames: that is worth a new run. */
void reclaim_is_needed(struct session *session);
/* Purges some of the frames that a ring wants and some for who comes next. true: they came back. */
bool reclaim_for_ring(struct session *session, uint64_t n_frames);
/* So many frames more are to come back as in the background, from whoever has them. */
void reclaim_want(struct session *session, uint64_t n_frames);
void reclaim_settled(struct session *session, const struct steal *steal, uint64_t frames);
/* The client gave frames back by a request: while one of its caches is asked they are the scan's,
 * up to what that says it freed. */
void reclaim_came_back(struct session *session, client_id client, uint64_t frames);
uint64_t reclaim_deadline(const struct session *session);
/* Ends the run, and with it an administrator's Reclaim. */
void reclaim_end(struct session *session, bool reached);
/* Frames that are still wanted and not on their way; 0: there is nothing to ask for. */
uint64_t reclaim_missing(const struct session *session);
/* Is the run meant for this client's frames, too? */
static inline bool reclaim_is_of(const struct reclaim *reclaim, client_id client)
{
	return reclaim->client == CLIENT_NONE || reclaim->client == client;
}

/* --- shrink.c -----------------------------------------------------------------------------------
 */

/* What there is to take in the tiers up to the run's: frames, and what they weigh by their cost. */
struct shrink_weights {
	uint64_t purgeable, caches;               /* frames */
	uint64_t purgeable_weight, caches_weight; /* shrinker_weight() */
};
struct shrink_weights shrink_weigh(const struct session *session);
/* Asks caches at the run's priority and tier; true if there is an answer to wait for, or more to
 * ask in another step. */
bool shrink_ask(struct session *session);
/* Nobody is waited for any more; who answers is taken when it comes. */
void shrink_forget_wave(struct session *session);
/* The wave is over: the next one is at a lower priority. */
void shrink_end_wave(struct session *session);
/* Frames that are on their way. */
uint64_t shrink_coming(const struct session *session);
void reclaim_upcall_done(struct session *session, client_id client, const struct message *message);
void reclaim_forget_client(struct session *session, client_id client);
void reclaim_forget_cache(struct session *session, uint32_t cache);
void reclaim_expire(struct session *session);
/* Frames came back through the cache. */
void shrink_credit(struct session *session, uint32_t cache, uint64_t frames);
/* Around a steal of anybody's magazines: what it takes of a client whose scan is under way may be
 * what that scan freed, and is no more in the magazine when the answer comes. */
void shrink_before_steal(struct session *session);
void shrink_after_steal(struct session *session);
/* Could a shrinker of somebody else than client give frames back? */
bool reclaim_others_could_help(const struct session *session, client_id client);
bool reclaim_self_could_help(const struct session *session, client_id client);
/* Does all that others hold lie below their min, so that nothing may be taken? */
bool reclaim_others_are_protected(const struct session *session, client_id client);

/* --- report.c -----------------------------------------------------------------------------------
 */

void report_reset(struct session *session);
/* "16 from magazines, 100 purged, 12 from caches (redis of client 3: asked for 64, gave 12)" */
void report_write(const struct session *session, char *text, uint32_t bytes);
/* "; largest owners: 3 (redis, pid 17) 4711 frames, ..." */
void report_owners(const struct session *session, char *text, uint32_t bytes);
/* What a Reclaim of so many frames could take now, and from whom. Returns how many frames. */
uint64_t report_dry_run(struct session *session, uint64_t n_frames, client_id client,
			uint32_t cache, char *text, uint32_t bytes);

/* --- admin.c ------------------------------------------------------------------------------------
 */

void admin_dispatch(struct session *session, uint32_t conn, const struct message *message);
void admin_pump(struct session *session);
void admin_drained(struct session *session, uint64_t frames);
/* Nobody is there to be told. */
void admin_forget_conn(struct session *session, uint32_t conn);
void admin_reclaimed(struct session *session);

/* --- resize.c -----------------------------------------------------------------------------------
 */

void resize_init(struct session *session);
/* Set of the size, in frames; SET_DEFAULT: as it is configured. */
void resize_set(struct session *session, uint32_t conn, uint64_t id, uint64_t value);
void resize_pump(struct session *session);

/* --- compact.c ----------------------------------------------------------------------------------
 */

/* One slice of the search for a run, if somebody waits for one. */
void compact_pump(struct session *session);
/* Is it for a run, and not for more frames, that a request of that order waits? */
bool compact_may_help(const struct session *session, order_t order);

/* --- why.c --------------------------------------------------------------------------------------
 */

void why_dispatch(struct session *session, uint32_t conn, const struct message *message);
/* One slice of a search. */
void why_pump(struct session *session);
void why_forget_conn(struct session *session, uint32_t conn);

/* --- condition.c --------------------------------------------------------------------------------
 */

/* -errno for the wire. */
int condition_status(enum pool_condition condition);
/* Writes format into text as session_refuse() says; always terminated. */
void text_format(char *text, uint32_t text_bytes, const char *format, va_list args);
void text_print(char *text, uint32_t text_bytes, const char *format, ...);

#endif
