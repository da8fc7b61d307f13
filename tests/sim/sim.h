/* tests/sim/sim.h - a daemon, fifty processes and all that may go wrong, in one thread and from one
 * seed.
 *
 * The product's core and session run over plain memory behind a fake shell; around them is a world
 * of events on a fake clock. Whatever takes time in the real one (a message, a commit, the news of
 * a death) is an event in a queue with a random delay, so that a seed gives one order of everything
 * and gives it again.
 *
 *   lists.h    the kinds of events, of faults that are counted, and of controls
 *   queue.c    the events, the random numbers, the trace, failure
 *   world.c    memory and configuration of one run; the CTLs
 *   net.c      connections: two queues in order, and their ends
 *   server.c   the shell: events to the session, actions performed, which may fail or be late
 *   crash.c    the server dies between two stores or two actions, and its successor takes over
 *   client.c   processes: come, attach, lose the connection, resume, stop, die
 *   thread.c   what the threads of an honest process do; one request at a time
 *   reply.c    what they make of the answers
 *   magazine.c their ends of the magazines, a pop that stops half way included
 *   trade.c    share, transfer, import, put
 *   shrink.c    caches and what they answer to Shrink: the truth, late, never
 *   purgeable.c  purge tables: new, pin, unpin, rearm, take, drop
 *   fair.c     limits and weights, and that a purge keeps min
 *   liar.c     processes that send, write and answer anything
 *   admin.c    Check, Drain, Reclaim, Set, Why, Look and Status by an observer
 *   owner.c    who holds which frame, as the processes see it
 *   check.c    the invariants, after each step and at the end
 *   run.c      one seed, many seeds, coverage
 *
 * What must hold: the audit (I1 to I8); a frame that an honest process got is nobody else's and has
 * memory behind it; each request is answered once and in time; an honest process is never refused
 * what is its own, nor called hostile; once all is calm each gets its answers, what all gave back
 * is free, and when all are dead all is.
 *
 * A failure is noted once (sim_fail()) and ends the run. One thread, one arena for all seeds. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H
#include "client/client_private.h"
#include "daemon/core/pool_private.h"
#include "daemon/session/session_private.h"
#include "tests/sim/lists.h"

#define SIM_CLIENTS 50u
#define SIM_THREADS_MAX 3u
#define SIM_CONNS 256u /* more than all can have open, dead ones included */
#define SIM_CTLS 192u
#define SIM_FRAMES_MAX 16384u
#define SIM_EVENTS_MAX 8192u
#define SIM_MESSAGES_MAX 2048u
#define SIM_HELD_MAX 256u
#define SIM_HELD_ROOM 64u /* for answers that are on their way */
#define SIM_SLOTS 32u     /* of a purge table, that a process uses */
#define SIM_NAMES 4u
#define SIM_NOTES_MAX 8u
#define SIM_UPCALLS_MAX 70u
#define SIM_DUES_MAX 96u
#define SIM_TRACE_MAX 64u
#define SIM_CACHES 2u /* of a process */
#define SIM_NONE UINT32_MAX

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

struct sim_reply {
	uint64_t id;
	int32_t status;
	uint32_t client, shrink_self;
	uint32_t ctl; /* that came with it; SIM_NONE: none */
	uint64_t token[2], count, result;
};

struct sim_note { /* a handle on its way from one process to another */
	uint64_t handle;
	uint32_t from;
	uint64_t from_life;
	bool is_transfer; /* the reference came with it */
};

struct sim_event {
	uint64_t at_ns;
	uint64_t order; /* among those of one moment: first come first served */
	enum sim_event_kind kind;
	uint32_t who;
	uint32_t thread;
	uint64_t stamp; /* of the connection, life or server that it belongs to; else it is void */
	union {
		uint32_t message; /* its number in the store */
		struct sim_reply reply;
		struct sim_note note;
		struct message_shrink shrink; /* with upcall */
		struct message_shrink_done done;
		struct pool_commit commit;
	};
	uint64_t upcall; /* id */
};

/* --- connections --- */

struct sim_due { /* a request that the server has and has not answered */
	uint64_t id;
	uint64_t until_ns;
	enum message_kind kind;
};

struct sim_conn {
	bool is_open; /* at the server */
	bool is_connecting;
	uint64_t stamp;
	uint32_t client; /* whose: this process of it */
	uint64_t life;
	uint32_t pid;
	uint64_t to_server_ns, to_client_ns; /* nothing overtakes */
	uint32_t n_due;
	struct sim_due due[SIM_DUES_MAX];
};

/* --- processes --- */

struct sim_block {
	pfn_t pfn;
	order_t order;
	uint32_t refs;  /* 0: its own; else a reference, counted by the process */
	uint32_t gen;   /* with refs */
	uint32_t cache; /* 0: in none */
	bool is_known;  /* others have its handle */
};

struct sim_slot { /* of a purge table, as its process sees it */
	struct sim_block block;
	bool is_used;
	bool is_lost; /* purged, and the map of owners knows */
	uint32_t pins;
	uint32_t gen; /* of the frame: its content is what it was while that is the same */
};

enum sim_thread_state { THREAD_IDLE, THREAD_WAITS, THREAD_IN_POP, THREAD_ENDED };

struct sim_thread {
	enum sim_thread_state state;
	bool is_created; /* its magazines exist */
	uint64_t stamp;  /* of its next THREAD event; others are void */
	uint64_t id;     /* of the request that it waits for */
	struct message request;
	uint64_t seq;           /* of its lane */
	struct sim_block block; /* that the request is about */
	struct sim_note note;   /* likewise */
	uint32_t to;            /* of a transfer, with its life; SIM_NONE: a share */
	uint64_t to_life;
	uint32_t magazine; /* of a pop that stands half way */
	bool has_stored;   /* ... and has moved bottom */
	uint64_t seen_bottom, seen_top;
	struct magazine magazines[MAGAZINE_COUNT];
};

struct sim_upcall {
	uint64_t id;
	struct message_shrink shrink;
};

enum sim_life { LIFE_NONE, LIFE_HELLO, LIFE_ATTACHED, LIFE_AWAY, LIFE_RESUME };
enum sim_mood { MOOD_TRUE, MOOD_LATE, MOOD_NEVER };

struct sim_client {
	enum sim_life state;
	bool is_liar;
	bool is_admin;
	enum sim_mood mood;
	uint64_t life; /* stamp of this process */
	uint32_t pid;
	uint64_t stopped_until_ns;
	uint32_t conn;
	uint64_t conn_stamp; /* 0: none */
	uint64_t handshake_id;
	client_id id;
	uint64_t token[2];
	uint32_t ctl; /* SIM_NONE: none yet */
	uint32_t max_threads;
	uint32_t nr_backoffs;
	uint64_t appetite; /* frames that it likes to have */
	uint64_t nr_frames;
	pageclient view; /* what magazine.c of the library wants to know */
	struct sim_thread thread[SIM_THREADS_MAX];
	uint32_t n_held;
	struct sim_block held[SIM_HELD_MAX];
	uint32_t n_deferred; /* given back, but no magazine had room */
	struct sim_block deferred[SIM_HELD_MAX];
	uint32_t nr_slots, n_slots; /* there are, in use */
	struct sim_slot slot[SIM_SLOTS];
	uint64_t nr_lost; /* frames that it found purged */
	uint32_t n_notes, n_notes_due;
	struct sim_note notes[SIM_NOTES_MAX];
	uint32_t caches; /* bit: registered */
	uint32_t n_upcalls;
	struct sim_upcall upcalls[SIM_UPCALLS_MAX];
};
#define SIM_ADMIN SIM_CLIENTS /* its number */

/* --- the server --- */

struct sim_watch { /* what the shell has of a client */
	bool is_open;
	bool events_open;
	uint32_t client; /* the process that it watches, with its life */
	uint64_t life;
	uint32_t ctl;
};

struct sim_server {
	bool is_up;
	uint64_t epoch; /* stamp */
	uint64_t timer_stamp;
	bool again;
	uint32_t dies_in; /* steps: it will die at a store of one of them; 0: no such plan */
	bool in_steal;
	bool dies_in_actions;
	bool dies_in_purge;
	struct session_limits limits;
	uint32_t n_pending;
	struct session_event pending[SESSION_MAX_ACTIONS];
	struct sim_watch watch[SHM_MAX_CLIENTS + 1];
	struct session_actions actions;
};

struct sim_share { /* of a client, before a step */
	uint64_t nr_purged, min;
};

struct sim_coverage {
	uint64_t faults[SIM_NR_FAULTS];
	uint64_t events[EVENT_NR_KINDS];
	uint64_t actions[ACTION_NR_KINDS];
	uint64_t messages[MESSAGE_NR_KINDS];
	uint64_t world[SIM_NR_EVENTS];
	uint64_t seeds, steps;
};

struct sim_trace {
	uint64_t at_ns;
	const char *what;
	uint64_t a, b, c;
};

struct sim {
	uint64_t seed, random;
	enum sim_control control;
	bool is_loud; /* each event is printed as it happens */
	bool failed;
	char why[512];
	uint64_t now_ns, end_ns;
	bool is_calm;     /* no more faults; all give back what they have */
	bool is_full;     /* ENOSPC */
	bool has_orphans; /* a transfer met a process that had ended */
	bool had_liars;
	struct sim_coverage *coverage;

	uint64_t next_order, next_stamp, next_id;
	uint32_t next_pid;
	uint32_t n_events;
	struct sim_event event[SIM_EVENTS_MAX]; /* a heap by at_ns and order */
	uint32_t n_messages_free;
	uint32_t message_free[SIM_MESSAGES_MAX];
	uint64_t n_traces;
	struct sim_trace trace[SIM_TRACE_MAX];

	struct pool_options options;
	uint32_t page_shift;
	uint32_t nr_frames;
	uint32_t max_threads;
	char *meta, *state, *ctls;
	uint64_t meta_bytes, state_bytes;
	uint64_t meta_room, state_room; /* of the arena */
	struct pool *pool;
	struct session *session;
	bool ctl_of_server[SIM_CTLS], ctl_of_client[SIM_CTLS];

	struct sim_server server;
	struct sim_conn conn[SIM_CONNS];
	struct sim_client client[SIM_CLIENTS + 1];
	struct sim_share before[SHM_MAX_CLIENTS + 1]; /* of those that may have a purge table */
	client_id last_before;
	uint64_t steps;
	uint32_t holder[SIM_FRAMES_MAX]; /* owner.c */
	uint16_t references[SIM_FRAMES_MAX];
	bool has_memory[SIM_FRAMES_MAX >> PAGEBLOCK_ORDER];
	struct message message[SIM_MESSAGES_MAX]; /* the last: not cleared for each run */
};

/* --- queue.c ------------------------------------------------------------------------------------
 */

/* A number below n, which is not 0. */
uint32_t sim_below(struct sim *s, uint32_t n);
/* True one time in n. */
bool sim_chance(struct sim *s, uint32_t n);
/* Mostly near least, now and then up to `most`. */
uint64_t sim_delay(struct sim *s, uint64_t least_ns, uint64_t most_ns);
uint64_t sim_any64(struct sim *s);
uint64_t sim_stamp(struct sim *s);
/* An event after delay_ns, for the caller to fill in; who and stamp as given. Never NULL. */
struct sim_event *sim_after(struct sim *s, uint64_t delay_ns, enum sim_event_kind kind,
			    uint32_t who, uint64_t stamp);
struct sim_event *sim_at(struct sim *s, uint64_t at_ns, enum sim_event_kind kind, uint32_t who,
			 uint64_t stamp);
/* The event comes again, later. */
void sim_postpone(struct sim *s, const struct sim_event *event, uint64_t at_ns);
/* Takes the next event out; false: there is none. */
bool sim_next(struct sim *s, struct sim_event *ret_event);
uint32_t sim_keep_message(struct sim *s, const struct message *message);
void sim_drop_message(struct sim *s, uint32_t number);
/* `what` has up to three %lu for a, b and c, and lives for ever. */
void sim_trace(struct sim *s, const char *what, uint64_t a, uint64_t b, uint64_t c);
void sim_print_trace(const struct sim *s);
/* Notes the first failure. */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_cover(struct sim *s, enum sim_fault fault);
const char *sim_fault_name(enum sim_fault fault);
const char *sim_event_name(enum sim_event_kind kind);
const char *sim_control_text(enum sim_control control);

/* --- world.c ------------------------------------------------------------------------------------
 */

/* The arena, for any number of runs. NULL: no memory. */
struct sim *sim_new(struct sim_coverage *coverage);
void sim_free(struct sim *s);
/* A fresh segment and empty world for the seed. */
void world_begin(struct sim *s, uint64_t seed, enum sim_control control);
/* A blank CTL, the server's and the client's. */
uint32_t world_ctl_take(struct sim *s);
char *world_ctl(const struct sim *s, uint32_t ctl);

/* --- net.c --------------------------------------------------------------------------------------
 */

/* A new connection of the process, which ends its old one if it had any. */
void net_connect(struct sim *s, uint32_t client);
/* Sends over the connection that the process has. */
void net_send(struct sim *s, uint32_t client, const struct message *message);
void net_hang_up(struct sim *s, uint32_t client);
/* The server's end is closed: by the server, or with it. */
void net_close(struct sim *s, uint32_t conn);
/* ctl: that goes with it, or SIM_NONE. */
void net_reply(struct sim *s, uint32_t conn, const struct message_reply *reply, uint32_t ctl);
void net_connected(struct sim *s, const struct sim_event *event);
void net_request(struct sim *s, const struct sim_event *event);
void net_garbage(struct sim *s, const struct sim_event *event);
void net_eof(struct sim *s, const struct sim_event *event);
/* Fails if an honest process waits for longer than it may. */
void net_check_due(struct sim *s);

/* --- server.c and crash.c -----------------------------------------------------------------------
 */

/* One event and all that follows at once. The server may die in it. */
void server_event(struct sim *s, const struct session_event *event);
void server_world_event(struct sim *s, const struct sim_event *event);
void server_looks(struct sim *s); /* at doorbells */
/* True: the process whose record this is lives, and *ret_client is its number. */
bool server_find_process(const struct sim *s, uint32_t pid, uint32_t *ret_client);
/* Runs the step; false: the server died in it. */
bool crash_step(struct sim *s, const struct session_event *event);
void crash_now(struct sim *s);
void crash_planned(struct sim *s);
void crash_restart(struct sim *s);

/* --- client.c -----------------------------------------------------------------------------------
 */

void client_born(struct sim *s, uint32_t client);
/* The process ends: what it holds is nobody's from its own side, and the news of it travel. */
void client_killed(struct sim *s, uint32_t client);
void client_fate(struct sim *s, uint32_t client);
void client_reply(struct sim *s, const struct sim_event *event);
void client_eof(struct sim *s, const struct sim_event *event);
bool client_is_connected(const struct sim_client *x);

/* --- thread.c, reply.c, magazine.c --------------------------------------------------------------
 */

void thread_event(struct sim *s, const struct sim_event *event);
/* It does the next thing after delay_ns. */
void thread_wake(struct sim *s, uint32_t client, uint32_t thread, uint64_t delay_ns);
/* Sends the thread's request under a new id; it waits. */
void thread_send(struct sim *s, uint32_t client, uint32_t thread);
/* The request is numbered on the thread's lane and sent. */
void thread_send_once(struct sim *s, uint32_t client, uint32_t thread);
/* Gives a block back: by its magazine, which may be full, or on the deferred list. */
void thread_give(struct sim *s, uint32_t client, uint32_t thread, struct sim_block block);
void reply_taken(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply);
/* The connection is another one: what was asked is asked again. */
void reply_lost(struct sim *s, uint32_t client);

void magazine_bind(struct sim *s, uint32_t client, uint32_t thread);
/* Pops up to n blocks, which the process holds then. Returns how many. */
uint32_t magazine_take(struct sim *s, uint32_t client, uint32_t thread, uint32_t magazine,
		       uint32_t n);
/* False: full. */
bool magazine_give(struct sim *s, uint32_t client, uint32_t thread, struct sim_block block);
void magazine_ring(struct sim *s, uint32_t client, uint32_t thread, uint32_t number);
void magazine_begin_pop(struct sim *s, uint32_t client, uint32_t thread, uint32_t magazine);
void magazine_end_pop(struct sim *s, uint32_t client, uint32_t thread);

/* --- trade.c, purgeable.c, fair.c, shrink.c, liar.c, admin.c
 * ----------------------------------------------------------
 */

/* Each begins something on an idle thread; false: there is nothing of that kind to do. */
bool trade_share(struct sim *s, uint32_t client, uint32_t thread);
bool trade_transfer(struct sim *s, uint32_t client, uint32_t thread);
bool trade_import(struct sim *s, uint32_t client, uint32_t thread);
bool trade_put(struct sim *s, uint32_t client, uint32_t thread);
void trade_shared(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply);
void trade_imported(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply);
/* An import of the frame is on its way. */
bool trade_is_importing(const struct sim *s, uint32_t client, pfn_t pfn);
void trade_noted(struct sim *s, const struct sim_event *event);

/* Some work on the purge table, which needs no server. */
void purgeable_act(struct sim *s, uint32_t client);
/* The table has so many slots now. */
void purgeable_table(struct sim *s, uint32_t client, uint64_t nr_slots);
/* Unpins all and drops all that the server does not purge at the moment. */
void purgeable_end_all(struct sim *s, uint32_t client);
/* Who has one of the frames in a slot whose entry says that it is gone has it no longer. */
void purgeable_settle(struct sim *s, pfn_t pfn, order_t order);
void purgeable_dies(struct sim *s, uint32_t client);
/* The process has a reference of the shared frame in a slot. */
bool purgeable_has(const struct sim *s, uint32_t client, pfn_t pfn);
/* The server is about to purge the entry. */
void purgeable_raced(void *arg, uint64_t *entry);
/* The server died: some use the entries that it left PURGING. */
void purgeable_left(struct sim *s);
/* Entries, processes and the map of frames agree. */
void purgeable_check(struct sim *s);

void fair_draw_rules(struct sim *s, struct session_limits *limits);
void fair_draw_set(struct sim *s, struct message_set *set);
/* Before a step, after it, and if the server outlived it. */
void fair_note(struct sim *s);
void fair_restore(struct sim *s);
void fair_check(struct sim *s);

bool shrink_change(struct sim *s, uint32_t client, uint32_t thread);
void shrink_fill(struct sim *s, uint32_t client);
void shrink_upcall(struct sim *s, const struct sim_event *event);
/* Answers the oldest upcall; false: there is none. */
bool shrink_answer(struct sim *s, uint32_t client, uint32_t thread);
void shrink_done(struct sim *s, const struct sim_event *event);

void liar_acts(struct sim *s, uint32_t client);
void admin_acts(struct sim *s);
void admin_reply(struct sim *s, const struct sim_reply *reply);

/* --- owner.c ------------------------------------------------------------------------------------
 */

/* The process got the block: of a magazine, or by Alloc. It must be nobody else's. */
void owner_gains(struct sim *s, uint32_t client, pfn_t pfn, order_t order);
/* It gave it back. */
void owner_gives(struct sim *s, uint32_t client, const struct sim_block *block);
/* The block is to be shared: from here on it has references. */
void owner_shares(struct sim *s, uint32_t client, const struct sim_block *block, uint32_t refs);
/* That was refused: it is the process's own again. */
void owner_unshares(struct sim *s, uint32_t client, const struct sim_block *block);
/* The same, where the receiver died meanwhile, and what it was to get was taken for gone. */
void owner_regains(struct sim *s, uint32_t client, const struct sim_block *block);
void owner_imports(struct sim *s, const struct sim_block *block);
void owner_puts(struct sim *s, const struct sim_block *block);
/* It gives or puts the block. */
void owner_lets_go(struct sim *s, uint32_t client, const struct sim_block *block);
/* All that the process holds is nobody's. */
void owner_dies(struct sim *s, uint32_t client);
/* Adds to, or takes out of, what the process holds. false: no room. */
bool owner_hold(struct sim *s, uint32_t client, struct sim_block block);
struct sim_block owner_unhold(struct sim *s, uint32_t client, uint32_t i);
/* Some block that the process holds and `wanted` accepts; SIM_NONE: there is none. */
uint32_t owner_pick(struct sim *s, uint32_t client, bool (*wanted)(const struct sim_block *));
bool owner_is_own(const struct sim_block *block); /* and in no cache */
bool owner_is_shared(const struct sim_block *block);

/* --- check.c and run.c --------------------------------------------------------------------------
 */

void check_step(struct sim *s);
void check_audit(struct sim *s, const char *when);
/* All is calm and given back; then all die. */
void check_end(struct sim *s);
/* Is there an honest process that still has something to do? */
bool check_is_busy(const struct sim *s);

/* One seed from beginning to end; false: it failed, and s->why says why. */
bool sim_run(struct sim *s, uint64_t seed, enum sim_control control);
/* n seeds from first on. Stops at the first that fails, prints it with its trace and the command
 * that replays it, and returns false. */
bool sim_run_many(struct sim *s, uint64_t first, uint64_t n);
void sim_print_coverage(const struct sim_coverage *coverage);
/* What never happened, of all that can; NULL: all did. */
const char *sim_never_seen(const struct sim_coverage *coverage);

#endif
