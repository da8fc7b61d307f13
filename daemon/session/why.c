/* daemon/session/why.c - who holds this, since when, and why has it not been reclaimed?
 *
 * The answer is text for an operator, a line for each fact, the most telling first, and a last line
 * that says what to do next. It fits into a reply: facts that do not are left out from the end, and
 * the last line never is. Numbers are those of META, which everybody can see; what the answer adds
 * is what follows from them, by the rules that reclaim itself goes by: the same functions judge.
 *
 * A client and a cache are answered at once. A frame has to be looked for in the purge tables, in
 * slices (daemon/core/inspect.h): one at a time, as with Drain. Who held the frame when the search
 * began may not hold it when it ends: then the operator is told to ask again, and not a guess. */
#include "daemon/session/why.h"

#include "paged/bits.h"

#include <errno.h>

#define CACHES_NAMED 2u /* of a client: more would push other facts out */

/* --- a client ------------------------------------------------------------------------------------
 */

static void say_state(struct why_answer *answer, client_id client)
{
	const struct shm_client *shown = why_client_of(answer, client);
	const struct session_client *live = &answer->session->client[client];

	if (!pool_client_is_attached(answer->session->pool, client)) {
		why_fact(answer, "%s has ended: its frames are being taken back",
			 why_who(answer, client).s);
		why_advise(answer, "wait: the sweep ends by itself");
		return;
	}
	if (live->conn == CONN_NONE) {
		why_fact(answer,
			 "%s, uid %u, is away: its process lives, its connection ended %s%s",
			 why_who(answer, client).s, shown->uid,
			 live->away_ns ? why_since(answer, live->away_ns).s
				       : "before this server began",
			 live->away_ns ? " ago" : "");
		why_advise(answer,
			   "it keeps its frames until it resumes or ends; to have them now, "
			   "end process %u",
			   shown->pid);
		return;
	}
	why_fact(answer, "%s, uid %u, attached %s ago, last request %s%s",
		 why_who(answer, client).s, shown->uid, why_since(answer, shown->attached_ns).s,
		 live->last_ns ? why_since(answer, live->last_ns).s : "before this server began",
		 live->last_ns ? " ago" : "");
}

/* A breaker whose time is over closes when the cache is asked next. */
static bool is_left_alone(const struct session *session, const struct shm_cache *cache)
{
	return cache->state == SHM_CACHE_OPEN && cache->breaker_until_ns > session->now_ns;
}

/* When the first of the client's requests that wait was parked; 0: none waits. */
static uint64_t waits_since(const struct session *session, client_id client)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		if (session->parked[i].client == client)
			return session->parked[i].since_ns;
	return 0;
}

struct caches {
	uint64_t n, frames;
	bool any_open;
};

/* The client's caches, those with an open breaker by name. */
static struct caches say_caches(struct why_answer *answer, client_id client)
{
	const struct session *session = answer->session;
	struct caches caches = {0};
	uint32_t named = 0;

	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		const struct shm_cache *cache = &pool_caches(session->pool)[i];

		if (cache->client != client)
			continue;
		caches.n++;
		caches.frames += cache->nr_frames;
		if (!is_left_alone(session, cache))
			continue;
		caches.any_open = true;
		if (named++ >= CACHES_NAMED)
			continue;
		why_fact(answer, "cache %u (%s) missed %u deadlines: left alone for %s", cache->id,
			 cache->name, cache->nr_missed, why_breaker(answer, cache).s);
	}
	return caches;
}

/* What could be taken of what it holds, and what could not. */
static void say_parts(struct why_answer *answer, client_id client)
{
	const struct shm_client *shown = why_client_of(answer, client);
	uint64_t held = shown->nr_owned + shown->nr_shared, known, rest, cached;
	struct caches caches = say_caches(answer, client);

	pool_count_magazines(answer->session->pool, client);
	known = shown->nr_magazine + shown->nr_purgeable + shown->nr_pinned;
	rest = held > known ? held - known : 0;
	cached = bits_min(caches.frames, rest);
	rest -= cached;
	why_fact(answer, "can be taken: %l in magazines, %l purgeable, some %l in %l caches",
		 shown->nr_magazine, shown->nr_purgeable, cached, caches.n);
	if (shown->nr_pinned)
		why_fact(answer, "%l are pinned: only their owner can unpin them",
			 shown->nr_pinned);
	if (rest)
		/* Entries of the table are counted, and each may be more than one frame. */
		why_fact(answer,
			 "%s%l are allocated, not purgeable, in no cache: only their owner can "
			 "free them",
			 shown->nr_purgeable + shown->nr_pinned ? "up to " : "", rest);
	if (caches.any_open)
		why_advise(answer,
			   "see why process %u does not answer: stopped, hung, or its "
			   "dispatch is not called",
			   shown->pid);
	if (held && rest * 2 > held)
		why_advise(answer,
			   "let its owner free frames or make them purgeable; pagectl set %u "
			   "max=N stops it from taking more",
			   client);
	if (shown->nr_magazine + shown->nr_purgeable + cached > 0)
		why_advise(answer, "to take some now: pagectl reclaim --client %u --frames N",
			   client);
	why_advise(answer, "nothing: it holds next to nothing that could be taken");
}

static void why_client(struct why_answer *answer, client_id client)
{
	const struct shm_client *shown = why_client_of(answer, client);
	const struct session *session = answer->session;
	uint32_t waiting = session->client[client].nr_parked;

	say_state(answer, client);
	why_fact(answer, "it holds %s: %l owned, %l shared",
		 why_frames(answer, shown->nr_owned + shown->nr_shared).s, shown->nr_owned,
		 shown->nr_shared);
	if (!pool_client_is_attached(session->pool, client))
		return;
	if (pool_client_tier(session->pool, client) == POOL_TIER_PROTECTED)
		why_say_tier(answer, client); /* what there is does not matter then */
	say_parts(answer, client);
	if (waiting)
		why_fact(answer, "%u of its requests wait for frames, the first for %s", waiting,
			 why_duration(session->now_ns - waits_since(session, client)).s);
	why_say_demand(answer);
	if (pool_client_tier(session->pool, client) != POOL_TIER_PROTECTED)
		why_say_tier(answer, client);
	if (shown->nr_reclaimed || shown->nr_purged)
		why_fact(answer, "taken from it so far: %l frames; %l were purged%s%s%s",
			 shown->nr_reclaimed, shown->nr_purged,
			 shown->purged_ns ? ", the last " : "",
			 shown->purged_ns ? why_since(answer, shown->purged_ns).s : "",
			 shown->purged_ns ? " ago" : "");
}

/* --- a cache -------------------------------------------------------------------------------------
 */

static void say_cache_state(struct why_answer *answer, const struct shm_cache *cache)
{
	const struct session *session = answer->session;
	client_id client = (client_id)cache->client;

	why_fact(answer, "cache %u (%s) of %s, registered %s ago", cache->id, cache->name,
		 why_who(answer, client).s, why_since(answer, cache->registered_ns).s);
	if (is_left_alone(session, cache)) {
		why_fact(answer, "its breaker is open after %u missed deadlines: left alone for %s",
			 cache->nr_missed, why_breaker(answer, cache).s);
		why_advise(answer,
			   "see why process %u does not answer: stopped, hung, or its "
			   "dispatch is not called",
			   why_client_of(answer, client)->pid);
	} else if (!session->client[client].events_open) {
		why_fact(answer, "its client has no event socket now: it cannot be asked");
		why_advise(answer, "wait until process %u resumes, or end it",
			   why_client_of(answer, client)->pid);
	}
}

static void say_asked(struct why_answer *answer, const struct shm_cache *cache, uint32_t row)
{
	const struct upcall *upcall = &answer->session->upcall[row];

	if (cache->asked_ns == 0) {
		why_fact(answer, "it was never asked");
		return;
	}
	why_fact(answer,
		 "asked %l times, last %s ago for %l objects: %s; of that run's %l frames "
		 "%l came back",
		 cache->nr_upcalls, why_since(answer, cache->asked_ns).s, upcall->asked,
		 upcall->active      ? "no answer yet"
		 : upcall->no_answer ? "no answer came"
				     : "it answered",
		 upcall->run_asked, upcall->run_back);
	why_fact(answer,
		 "so far %l objects were scanned, %l freed, %l frames came back; %l deadlines "
		 "missed",
		 cache->nr_scanned, cache->nr_freed, cache->nr_returned, cache->nr_timeouts);
	if (cache->nr_stopped || cache->nr_deferred)
		why_fact(answer, "%l scans said SHRINK_STOP; %l objects are deferred",
			 cache->nr_stopped, cache->nr_deferred);
	if (cache->nr_freed && cache->nr_returned == 0)
		why_advise(answer,
			   "nothing came back for what it freed: its callback frees objects "
			   "but no whole frames; see how it lays them out");
}

static void why_cache(struct why_answer *answer, uint32_t row)
{
	const struct shm_cache *cache = &pool_caches(answer->session->pool)[row];
	client_id client = (client_id)cache->client;

	say_cache_state(answer, cache);
	why_fact(answer, "some %s in %l objects; %s to build a frame again",
		 why_frames(answer, cache->nr_frames).s, cache->nr_objects,
		 why_duration(shrinker_cost(cache)).s);
	say_asked(answer, cache, row);
	why_say_tier(answer, client);
	why_say_demand(answer);
	if (cache->nr_objects == 0 && cache->asked_ns)
		why_advise(answer, "nothing: it counts no object that could be freed");
	why_advise(answer, "to ask it now: pagectl reclaim --cache %u:%u --frames N", cache->client,
		   cache->id);
}

/* --- requests ------------------------------------------------------------------------------------
 */

static void begin_search(struct session *session, uint32_t conn, const struct message *message)
{
	struct why *why = &session->why;
	int r;

	if (why->active) {
		session_refuse(session, conn, message->id, -EBUSY,
			       "another frame is being looked for; try again when that has ended");
		return;
	}
	r = inspect_begin(session->pool, message->why.number, &why->search);
	if (r) {
		session_refuse(session, conn, message->id, condition_status((enum pool_condition)r),
			       "no pfn %u; the segment has those from 0 to %l", message->why.number,
			       pool_nr_frames(session->pool) - 1);
		return;
	}
	why->active = true;
	why->conn = conn;
	why->id = message->id;
	why->pfn = message->why.number;
}

/* The answer has a text, which is not to be cleared at every step. */
static void why_go_on(struct session *session)
{
	struct why_answer answer = {.session = session};
	struct why *why = &session->why;
	struct inspect_frame now;

	if (!inspect_go_on(session->pool, &why->search)) {
		session->again = true;
		return;
	}
	why->active = false;
	if (inspect_frame(session->pool, why->pfn, &now) ||
	    !inspect_is_same(&now, &why->search.frame)) {
		session_refuse(session, why->conn, why->id, -EAGAIN,
			       "pfn %u changed hands while it was looked at; ask again", why->pfn);
		return;
	}
	why_say_frame(&answer, why->pfn, &why->search);
	why_send(&answer, why->conn, why->id);
}

void why_pump(struct session *session)
{
	if (session->why.active)
		why_go_on(session);
}

void why_forget_conn(struct session *session, uint32_t conn)
{
	if (session->why.conn == conn)
		session->why.active = false;
}

void why_dispatch(struct session *session, uint32_t conn, const struct message *message)
{
	const struct message_why *why = &message->why;
	uint32_t client = why->kind == WHY_CACHE ? why->client : why->number;
	struct why_answer answer = {.session = session};
	uint32_t row;

	if (why->kind == WHY_PFN) {
		begin_search(session, conn, message);
		return;
	}
	if (why->kind >= WHY_NR_KINDS) {
		session_refuse(session, conn, message->id, -EINVAL,
			       "Why of kind %u; a client, a cache or a pfn would be right",
			       why->kind);
		return;
	}
	if (client == 0 || client > SHM_MAX_CLIENTS ||
	    pool_client(session->pool, (client_id)client)->state == SHM_CLIENT_FREE) {
		session_refuse(session, conn, message->id, -ESRCH,
			       "there is no client %u; pagectl clients lists them", client);
		return;
	}
	if (why->kind == WHY_CLIENT) {
		why_client(&answer, (client_id)client);
	} else if (shrinker_find(session->pool, (client_id)client, why->number, &row)) {
		why_cache(&answer, row);
	} else {
		session_refuse(session, conn, message->id, -ESRCH,
			       "client %u has no cache %u; pagectl caches lists them", client,
			       why->number);
		return;
	}
	why_send(&answer, conn, message->id);
}
