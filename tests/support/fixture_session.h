/* tests/support/fixture_session.h - a whole daemon in one thread: a session with a fake shell.
 *
 * The shell performs what the session asks for, as daemon/host does, but over plain memory and a
 * clock that only shell_advance() moves. What must come at once (barrier, CTL, heads) comes at
 * once; commits come at once, later or never, as the test wants. Replies and upcalls are kept until
 * the test looks, so that a test reads like a story:
 *
 *   struct shell_client a = shell_attach(s, "a", 0);
 *   CU_ASSERT_EQUAL(shell_alloc(s, a, 0, REQUEST_NOWAIT)->status, -EAGAIN);
 *
 * Failures are CUnit's. */
#ifndef TESTS_SUPPORT_FIXTURE_SESSION_H
#define TESTS_SUPPORT_FIXTURE_SESSION_H
#include "daemon/session/session_private.h"
#include "tests/support/fixture_pool.h"

#define SHELL_PENDING_MAX 64u
#define SHELL_REPLIES_MAX 8192u /* the oldest go first */
#define SHELL_UPCALLS_MAX 4096u
#define SHELL_STEPS_MAX                                                                            \
	100000u /* that one event may lead to without time passing: more is a loop */
#define SHELL_UID 1000u
#define SHELL_ADMIN_UID 500u

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum shell_commits { COMMITS_AT_ONCE, COMMITS_LATER, COMMITS_FAIL };

struct shell_reply {
	uint32_t conn;
	enum session_fds fds;
	bool read_only;
	struct message_reply reply;
};

struct shell_upcall {
	client_id client;
	bool taken;
	struct message message;
};

struct shell {
	struct fixture_pool pool;
	struct session *session;
	struct session_limits limits;
	uint64_t now_ns;
	bool timer_is_armed;
	uint64_t timer_ns;
	enum shell_commits commits;
	const char *commit_text;
	int barrier_status, prepare_status, heads_status, reattach_status;
	bool hold_again; /* AGAIN waits for shell_again() */
	bool again;
	uint32_t n_pending;
	struct session_event pending[SHELL_PENDING_MAX];
	uint32_t n_commits;
	struct pool_commit commit[POOL_MAX_COMMITS];
	uint32_t n_replies, n_upcalls;
	struct shell_reply reply[SHELL_REPLIES_MAX];
	struct shell_upcall upcall[SHELL_UPCALLS_MAX];
	bool open[SESSION_MAX_CONNECTIONS]; /* as the shell sees it */
	bool released[SHM_MAX_CLIENTS + 1];
	/* Pressure upcalls: the level of the last, and how many. The others are kept as upcalls. */
	uint32_t told[SHM_MAX_CLIENTS + 1], n_told[SHM_MAX_CLIENTS + 1];
	struct session_peer peer; /* who connects; its groups are for the test to set */
	uint32_t next_conn;
	uint64_t next_id;
	uint32_t most_actions; /* of one step so far */
	uint64_t n_steps, n_barriers, n_timers;
	char log[SHM_TEXT_BYTES]; /* the last */
	struct session_actions actions;
};

/* A Pressure upcall asks for no answer. */
static inline bool shell_keep_pressure(struct shell *s, const struct session_action *action)
{
	if (action->message.kind != MESSAGE_PRESSURE)
		return false;
	CU_ASSERT_FALSE(s->released[action->client]);
	s->told[action->client] = action->message.pressure.level;
	s->n_told[action->client]++;
	return true;
}

struct shell_client {
	uint32_t conn;
	client_id id;
};

/* A pool of nr_frames as fixture_pool_open() makes it, all of it committed. */
struct shell *shell_open(uint32_t nr_frames);
/* The same, nothing committed: commits decide. */
struct shell *shell_open_empty(uint32_t nr_frames, enum shell_commits commits);
/* Audits, and checks the bound on actions. */
void shell_close(struct shell *s);

/* The daemon is killed and another one takes over; the processes live on. The CTLs are at hand only
 * if they were inherited. */
void shell_restart(struct shell *s, bool has_ctls);

/* One event and all that follows at once. */
void shell_event(struct shell *s, const struct session_event *event);
/* Time passes; timers fire. */
void shell_advance(struct shell *s, uint64_t ns);
/* The oldest commit that waits ends. false: none waits. */
bool shell_commit_ends(struct shell *s, bool ok, const char *text);
/* One slice of the work that asked for AGAIN. */
void shell_again(struct shell *s);

/* --- connections and clients --- */

uint32_t shell_connect(struct shell *s, uint32_t uid, uint32_t pid);
struct shell_client shell_attach_as(struct shell *s, uint32_t uid, const char *name,
				    uint64_t max_frames);
static inline struct shell_client shell_attach(struct shell *s, const char *name,
					       uint64_t max_frames)
{
	return shell_attach_as(s, SHELL_UID, name, max_frames);
}
uint32_t shell_observe(struct shell *s, uint32_t uid);
void shell_hang_up(struct shell *s, uint32_t conn);
void shell_kill(struct shell *s, struct shell_client client);

/* --- messages --- */

/* A Hello of our version, for four threads, named "story". */
struct message shell_hello(uint32_t flags);
/* Sends it with a fresh id, which is returned. */
uint64_t shell_say(struct shell *s, uint32_t conn, const struct message *message);
/* The reply to request id on conn, NULL if there is none yet. */
const struct message_reply *shell_reply(const struct shell *s, uint32_t conn, uint64_t id);
/* Both; a reply must be there. */
const struct message_reply *shell_ask(struct shell *s, uint32_t conn,
				      const struct message *message);
/* How many replies came to conn. */
uint32_t shell_count_replies(const struct shell *s, uint32_t conn);

/* The oldest upcall to client that nobody took; NULL if there is none. */
const struct message *shell_next_upcall(struct shell *s, client_id client);
uint32_t shell_count_upcalls(const struct shell *s, client_id client);
/* The callbacks ran in thread 0 and freed as many frames as objects. */
void shell_shrink_done(struct shell *s, client_id client, const struct message *upcall,
		       uint64_t nr_objects, uint64_t nr_scanned, uint64_t nr_freed);

/* --- requests of one line --- */

/* On lane 0 with its next seq, waiting up to a second; the reply, or NULL: it is parked. */
const struct message_reply *shell_alloc(struct shell *s, struct shell_client client, order_t order,
					uint32_t flags);
/* Says the same without looking for the reply; on a lane of its own. Returns the id. */
uint64_t shell_alloc_on(struct shell *s, struct shell_client client, uint32_t lane, order_t order,
			uint32_t timeout_ms);
const struct message_reply *shell_free(struct shell *s, struct shell_client client, pfn_t pfn,
				       order_t order);
const struct message_reply *shell_refill(struct shell *s, struct shell_client client,
					 uint32_t magazine, uint32_t flags);
const struct message_reply *shell_register(struct shell *s, struct shell_client client,
					   uint32_t cache);
/* Takes order-0 frames until `left` of the pool are free; returns how many. */
uint64_t shell_fill(struct shell *s, struct shell_client client, uint64_t left);

#endif
