/* tests/model/test_walk.c - a whole daemon and twenty clients that do anything, in one thread.
 *
 * Events come at random: what a correct client does, numbers that no client may send, lies in CTL,
 * deaths, lost connections, resumes, late and absurd answers, commits and barriers that fail, a
 * server that is replaced. Nobody may panic the daemon or flood it, no frame may be lost, and the
 * audit holds every 64 steps. Everything follows from the seed, which is printed: --seed N --ops N
 * replays it. */
#include "tests/support/fixture_session.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

#define NR_FRAMES 8192u
#define WALKERS 20u
#define STEPS UINT64_C(400000)
#define CHECK_EVERY 64u

struct walker {
	struct shell_client at;
	bool is_attached; /* as far as the walk knows */
	bool is_connected;
	bool lied; /* its bottoms prove nothing any more */
	uint32_t pid;
};

struct walk {
	struct shell *shell;
	uint64_t random;
	struct walker walker[WALKERS];
};

static uint32_t below(struct walk *w, uint32_t n)
{
	return fixture_random(&w->random) % n;
}

static uint64_t any64(struct walk *w)
{
	static const uint64_t edges[] = {
		0, 1, UINT32_MAX, UINT64_MAX, MAGAZINE_INDEX_START, UINT64_C(1) << 56};

	if (below(w, 2))
		return edges[below(w, sizeof edges / sizeof *edges)];
	return (uint64_t)fixture_random(&w->random) << 32 | fixture_random(&w->random);
}

/* Mostly a small number, now and then any. */
static uint32_t field(struct walk *w, uint32_t usual)
{
	return below(w, 12) ? below(w, usual) : (uint32_t)any64(w);
}

/* --- what the shell has ended ------------------------------------------------------------------
 */

static void look(struct walk *w)
{
	for (uint32_t i = 0; i < WALKERS; i++) {
		struct walker *x = &w->walker[i];

		x->is_attached &= pool_client_is_attached(w->shell->pool.pool, x->at.id) &&
				  !w->shell->released[x->at.id];
		x->is_connected &= w->shell->open[x->at.conn];
	}
}

/* --- events ------------------------------------------------------------------------------------
 */

static void come(struct walk *w, struct walker *x)
{
	struct message hello = {.kind = MESSAGE_HELLO,
				.hello = {.version_min = field(w, 2),
					  .version_max = field(w, 4),
					  .flags = field(w, 8) & ~(uint32_t)HELLO_OBSERVER,
					  .max_threads = 1 + field(w, 3),
					  .max_frames = below(w, 3) ? 0 : below(w, 2000),
					  .name = "walker"}};
	uint64_t id;
	const struct message_reply *reply;

	if (x->is_connected)
		return;
	/* A process that is gone for good before the next takes its place. */
	if (x->is_attached)
		shell_kill(w->shell, x->at);
	x->is_attached = false;
	x->pid = 1000 + below(w, 1u << 20);
	x->at.conn = shell_connect(w->shell, below(w, 20) ? SHELL_UID : 0, x->pid);
	x->is_connected = w->shell->open[x->at.conn];
	if (!x->is_connected)
		return;
	id = shell_say(w->shell, x->at.conn, &hello);
	reply = shell_reply(w->shell, x->at.conn, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	if (reply->status)
		return;
	x->at.id = reply->client;
	x->is_attached = true;
	x->lied = false;
	w->shell->pool.seq[x->at.id] = 0;
	(void)shell_say(w->shell, x->at.conn, &(struct message){.kind = MESSAGE_PCP_CREATE});
}

static void come_back(struct walk *w, struct walker *x)
{
	struct message resume = {.kind = MESSAGE_RESUME,
				 .resume = {.client = below(w, 10) ? x->at.id : field(w, 30),
					    .token = {x->at.id, below(w, 10) ? 77 : 78}}};

	if (!x->is_attached)
		return;
	x->at.conn = shell_connect(w->shell, SHELL_UID, x->pid);
	x->is_connected = w->shell->open[x->at.conn];
	if (x->is_connected)
		(void)shell_say(w->shell, x->at.conn, &resume);
}

/* The head of the client's list is a frame that it owns, whether in a magazine or not. */
static pfn_t some_pfn(struct walk *w, const struct walker *x)
{
	if (below(w, 2) && w->shell->pool.pool->client[x->at.id].owned != PFN_NONE)
		return w->shell->pool.pool->client[x->at.id].owned;
	return field(w, NR_FRAMES);
}

static void fill_message(struct walk *w, const struct walker *x, struct message *m)
{
	uint64_t seq = below(w, 300) ? ++w->shell->pool.seq[x->at.id] : any64(w);
	pfn_t pfn = some_pfn(w, x);
	uint32_t lane = field(w, SHM_MAX_LANES);

	switch ((unsigned int)m->kind) {
	case MESSAGE_HELLO:
		m->hello.version_max = PROTOCOL_VERSION;
		break;
	case MESSAGE_PCP_CREATE:
		m->pcp_create.thread = field(w, 2);
		break;
	case MESSAGE_PCP_REFILL:
		m->pcp_refill =
			(struct message_pcp_refill){field(w, 2), field(w, MAGAZINE_COUNT),
						    field(w, 100), field(w, 8), field(w, 3000)};
		break;
	case MESSAGE_PCP_DRAIN:
		m->pcp_drain = (struct message_pcp_drain){field(w, 2), field(w, MAGAZINE_COUNT)};
		break;
	case MESSAGE_ALLOC:
		m->alloc = (struct message_alloc){lane, seq, field(w, 11),
						  below(w, 2) ? 0 : field(w, 8), field(w, 3000)};
		break;
	case MESSAGE_FREE:
		m->free = (struct message_free){
			lane, seq, pfn,
			pfn < NR_FRAMES && below(w, 4)
				? fixture_pool_word(&w->shell->pool, pfn).order
				: field(w, 11)};
		break;
	case MESSAGE_CACHE_REGISTER:
		m->cache_register.cache = field(w, 5);
		m->cache_register.seeks = field(w, 4);
		m->cache_register.batch = field(w, 500);
		m->cache_register.name[0] = below(w, 9) ? 'c' : '\0';
		break;
	case MESSAGE_CACHE_UNREGISTER:
		m->cache_unregister.cache = field(w, 5);
		break;
	case MESSAGE_SHARE:
		m->share = (struct message_share){lane, seq, pfn, field(w, WALKERS + 3)};
		break;
	case MESSAGE_IMPORT:
		m->import = (struct message_import){lane, seq, (uint64_t)pfn << 32 | field(w, 9)};
		break;
	case MESSAGE_PUT:
		m->put = (struct message_put){lane, seq, pfn};
		break;
	case MESSAGE_RECLAIM:
		m->reclaim.nr_frames = below(w, 2) ? below(w, 500) : any64(w);
		break;
	case MESSAGE_DRAIN:
		m->drain.client = field(w, WALKERS);
		break;
	default:
		break;
	}
}

static void say_something(struct walk *w, struct walker *x)
{
	static const enum message_kind often[] = {
		MESSAGE_ALLOC, MESSAGE_ALLOC,         MESSAGE_ALLOC,      MESSAGE_FREE,
		MESSAGE_FREE,  MESSAGE_PCP_REFILL,    MESSAGE_PCP_REFILL, MESSAGE_PCP_DRAIN,
		MESSAGE_SHARE, MESSAGE_CACHE_REGISTER};
	struct message message;

	if (!x->is_connected || !x->is_attached)
		return;
	memset(&message, 0, sizeof message);
	message.kind = below(w, 4) ? often[below(w, sizeof often / sizeof *often)]
				   : (enum message_kind)below(w, MESSAGE_NR_KINDS);
	/* Goodbye is a life's last word: not so often. */
	if (message.kind == MESSAGE_GOODBYE && below(w, 10))
		return;
	fill_message(w, x, &message);
	(void)shell_say(w->shell, x->at.conn, &message);
}

/* Pops and pushes, as the owner does; or writes what it likes. */
static void use_magazine(struct walk *w, struct walker *x)
{
	struct fixture_pool *f = &w->shell->pool;
	uint32_t magazine = below(w, MAGAZINE_COUNT);
	uint32_t n = below(w, 40);
	pfn_t pfn;

	if (!x->is_attached || !(f->pool->client[x->at.id].threads & 1) || !f->ctl[x->at.id])
		return;
	if (below(w, 60) == 0) {
		x->lied = true;
		*fixture_pool_bottom(f, x->at.id, 0, magazine) = any64(w);
		return;
	}
	while (n--) {
		if (below(w, 2)) {
			(void)fixture_pool_pop(f, x->at.id, 0, magazine);
			continue;
		}
		pfn = some_pfn(w, x);
		if (!x->lied && fixture_pool_count(f, x->at.id, 0, magazine) < 48)
			fixture_pool_push(f, x->at.id, 0, magazine, pfn);
	}
}

static void answer_upcalls(struct walk *w, struct walker *x)
{
	const struct message *upcall;

	if (!x->is_attached || below(w, 3) == 0)
		return;
	while (x->is_attached && (upcall = shell_next_upcall(w->shell, x->at.id))) {
		if (below(w, 4))
			shell_shrink_done(w->shell, x->at.id, upcall, below(w, 3000),
					  upcall->shrink.nr_to_scan, below(w, 50));
		else
			shell_shrink_done(w->shell, x->at.id, upcall, any64(w), any64(w), any64(w));
		look(w);
	}
}

static void answer_all(struct walk *w)
{
	for (uint32_t i = 0; i < WALKERS; i++)
		answer_upcalls(w, &w->walker[i]);
	if (w->shell->n_upcalls > SHELL_UPCALLS_MAX / 2)
		w->shell->n_upcalls = 0;
}

static void end_somehow(struct walk *w, struct walker *x)
{
	if (x->is_connected && below(w, 2)) {
		x->is_connected = false;
		shell_hang_up(w->shell, x->at.conn);
	} else if (x->is_attached && below(w, 2)) {
		shell_kill(w->shell, x->at);
	} else if (x->is_attached) {
		shell_event(w->shell, &(struct session_event){.kind = EVENT_EVENTS_CLOSED,
							      .client = x->at.id});
	} else if (x->is_connected) {
		shell_event(w->shell,
			    &(struct session_event){.kind = EVENT_MALFORMED, .conn = x->at.conn});
	}
}

static void weather(struct walk *w)
{
	struct shell *s = w->shell;
	uint32_t what = below(w, 100);

	s->barrier_status = below(w, 30) ? 0 : -22;
	s->prepare_status = below(w, 30) ? 0 : -12;
	s->heads_status = below(w, 30) ? 0 : -12;
	s->commits = below(w, 2) ? COMMITS_AT_ONCE : below(w, 5) ? COMMITS_LATER : COMMITS_FAIL;
	if (what < 60)
		shell_advance(s, below(w, 8) ? below(w, 20) * MS : below(w, 1500) * MS);
	else if (what < 90)
		(void)shell_commit_ends(s, below(w, 8), "the walk");
	else if (what < 92 && below(w, 6) == 0) {
		shell_restart(s, below(w, 2));
		s->n_upcalls = 0;
	}
}

/* --- the walk ----------------------------------------------------------------------------------
 */

static void one_step(struct walk *w)
{
	struct walker *x = &w->walker[below(w, WALKERS)];
	uint32_t what = below(w, 1000);

	look(w);
	if (what < 60)
		come(w, x);
	else if (what < 80)
		come_back(w, x);
	else if (what < 600)
		say_something(w, x);
	else if (what < 740)
		use_magazine(w, x);
	else if (what < 880)
		answer_all(w);
	else if (what < 895)
		end_somehow(w, x);
	else
		weather(w);
}

/* The audit holds for honest clients: what a liar left in its bottoms is put right first. */
static bool is_sound(struct walk *w)
{
	struct fixture_pool *f = &w->shell->pool;

	for (uint32_t i = 0; i < WALKERS; i++) {
		const struct walker *x = &w->walker[i];

		for (uint32_t m = 0;
		     x->lied && x->is_attached && f->ctl[x->at.id] && m < MAGAZINE_COUNT; m++)
			*fixture_pool_bottom(f, x->at.id, 0, m) =
				pool_head(f->pool, x->at.id, 0, m)->top;
	}
	return fixture_pool_audit(f, __LINE__, __FILE__) &&
	       w->shell->most_actions <= SESSION_MAX_ACTIONS;
}

/* So that a walk that stands still is seen. */
static void tell(const struct walk *w)
{
	static const enum counter told[] = {
		COUNTER_rpc_requests,   COUNTER_rpc_refused,     COUNTER_pgalloc,
		COUNTER_pgsteal,        COUNTER_allocstall,      COUNTER_oom,
		COUNTER_shrink_upcalls, COUNTER_shrink_timeouts, COUNTER_client_attach,
		COUNTER_client_resume,  COUNTER_client_death,    COUNTER_hostile,
		COUNTER_nr_bad_free,    COUNTER_pgcommit_fail};

	for (uint32_t i = 0; i < sizeof told / sizeof *told; i++)
		(void)printf("%s %lu ", counter_name(told[i]),
			     (unsigned long)fixture_pool_counter(&w->shell->pool, told[i]));
	for (uint32_t i = 0; i < 6; i++)
		CU_ASSERT(fixture_pool_counter(&w->shell->pool, told[i]) > 0);
}

static void end_walk(struct walk *w)
{
	struct shell *s = w->shell;

	s->commits = COMMITS_AT_ONCE;
	s->barrier_status = 0;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(s->pool.pool, id))
			shell_event(s, &(struct session_event){.kind = EVENT_DIED, .client = id});
	while (shell_commit_ends(s, true, NULL))
		;
	shell_advance(s, 15 * SECOND);
	CU_ASSERT(session_is_idle(s->session));
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	CU_ASSERT_EQUAL(s->session->parked_first, PARKED_NONE);
	CU_ASSERT_EQUAL(s->session->reclaim.outstanding, 0);
	CU_ASSERT_EQUAL(pool_nr_free(s->pool.pool), NR_FRAMES);
}

static void clients_that_do_anything_break_nothing(void)
{
	uint64_t steps = runner_ops(STEPS), seed = runner_seed(1), n;
	struct walk w = {.random = seed * 2 + 1};

	(void)printf("\n    seed %lu, %lu steps ... ", (unsigned long)seed, (unsigned long)steps);
	w.shell = shell_open_empty(NR_FRAMES, COMMITS_AT_ONCE);
	for (n = 1; n <= steps; n++) {
		one_step(&w);
		look(&w);
		if (n % CHECK_EVERY == 0 && !is_sound(&w)) {
			(void)printf("unsound after %lu\n", (unsigned long)n);
			break;
		}
	}
	tell(&w);
	end_walk(&w);
	shell_close(w.shell);
}

CU_TestInfo test_walk[] = {
	{"clients that do anything break nothing", clients_that_do_anything_break_nothing},
	CU_TEST_INFO_NULL,
};
