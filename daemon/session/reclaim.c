/* daemon/session/reclaim.c - reclaim runs: magazines first, then shrinkers, priority by priority.
 *
 *   free < low            background: idle magazines, then shrinkers, until free > high
 *   a request waits       direct: all magazines under one barrier, then shrinkers
 *   an administrator      as direct, until so many frames came back
 *
 * A run asks every cache for its proportion at priority 12, waits for the answers or their
 * deadline, then 11, down to 0. After each answer the client's magazines are stolen, because what
 * its scan freed lies there: only frames that really came back count. A cache that does not answer
 * delays nobody: its upcall is one of many in flight, its deadline bounds it, and after three
 * misses the breaker leaves it alone. A run without any success waits before the next. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

/* Lower: a pool that nobody can help is scanned in vain more often. Higher: help that comes late is
 * seen later. */
#define RETRY_NS UINT64_C(100000000)
#define LATE_NS UINT64_C(1000000) /* a TICK may be this early */

static struct shm_cache *cache_at(const struct session *session, uint32_t cache)
{
	return &pool_caches(session->pool)[cache];
}

static bool can_be_asked(const struct session *session, uint32_t cache)
{
	const struct shm_cache *c = cache_at(session, cache);

	return c->state != SHM_CACHE_FREE && session->client[c->client].events_open &&
	       !session->upcall[cache].active;
}

/* Frames that are still wanted; 0: the run has reached its goal. */
static uint64_t missing(const struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;
	uint64_t free = pool_nr_free(session->pool);
	uint64_t goal = pool_watermark_high(session->pool) + park_demand(session);
	uint64_t wanted = goal > free ? goal - free : 0;

	if (reclaim->admin_target > reclaim->nr_returned)
		wanted = bits_max(wanted, reclaim->admin_target - reclaim->nr_returned);
	return wanted;
}

static bool is_wanted(const struct session *session)
{
	return session->reclaim.admin_target ||
	       (session->now_ns >= session->reclaim.retry_ns &&
		(park_demand(session) ||
		 pool_nr_free(session->pool) < pool_watermark_low(session->pool)));
}

static void begin(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	reclaim->running = true;
	reclaim->direct = park_demand(session) || reclaim->admin_target;
	reclaim->stage = reclaim->direct ? RECLAIM_ALL_MAGAZINES : RECLAIM_IDLE_MAGAZINES;
	reclaim->priority = SHRINK_PRIORITY_EASY;
	reclaim->nr_returned = 0;
	if (!reclaim->direct)
		pool_count(session->pool, COUNTER_kswapd_wake, 1);
}

static void end(struct session *session, bool reached)
{
	struct reclaim *reclaim = &session->reclaim;

	reclaim->running = false;
	reclaim->retry_ns = reached ? 0 : session->now_ns + (reclaim->direct ? RETRY_NS : TICK_NS);
	if (reclaim->admin_target)
		admin_reclaimed(session);
	reclaim->admin_target = 0;
}

/* --- upcalls -------------------------------------------------------------------------------------
 */

static void send_upcall(struct session *session, uint32_t cache, uint64_t nr_to_scan,
			uint64_t nr_frames)
{
	struct shm_cache *c = cache_at(session, cache);
	struct session_action *action = session_push(session, ACTION_UPCALL);
	struct upcall *upcall = &session->upcall[cache];

	*upcall = (struct upcall){.active = true,
				  .id = session->next_upcall_id++,
				  .asked = nr_to_scan,
				  .sent_ns = session->now_ns,
				  .deadline_ns =
					  session->now_ns + session->limits.shrink_deadline_ns};
	action->client = c->client;
	action->message = (struct message){.kind = MESSAGE_SHRINK,
					   .id = upcall->id,
					   .shrink = {.cache = c->id,
						      .priority = session->reclaim.priority,
						      .nr_to_scan = nr_to_scan,
						      .nr_frames = nr_frames,
						      .deadline_ns = upcall->deadline_ns}};
	session->reclaim.outstanding++;
	shm_store32(&c->state, SHM_CACHE_BUSY);
	shm_add(&c->nr_upcalls, 1);
	pool_count(session->pool, COUNTER_shrink_upcalls, 1);
}

/* Was the cache ever counted? Until then nobody knows what it holds. */
static bool is_counted(const struct shm_cache *cache)
{
	return cache->latency_max_ns > 0;
}

/* Frames of all caches that can be asked, to share out what is missing; at least 1. */
static uint64_t frames_in_caches(const struct session *session)
{
	uint64_t frames = 1;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (can_be_asked(session, i))
			frames += bits_min(cache_at(session, i)->nr_frames,
					   pool_nr_frames(session->pool));
	return frames;
}

static uint64_t share_of(const struct session *session, const struct shm_cache *cache,
			 uint64_t wanted, uint64_t total)
{
	uint64_t frames = bits_min(cache->nr_frames, pool_nr_frames(session->pool));

	(void)session;
	return (wanted * frames + total - 1) / total;
}

/* Asks every cache at the run's priority; true if any was asked. */
static bool ask_all(struct session *session)
{
	uint64_t wanted = missing(session), total = frames_in_caches(session);
	bool asked = false;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache *cache = cache_at(session, i);
		uint64_t n = 0;

		if (!can_be_asked(session, i) || !shrinker_is_ready(cache, session->now_ns))
			continue;
		if (!session_has_room(session, 1)) {
			session->again = true;
			break;
		}
		if (is_counted(cache)) {
			n = shrinker_plan(cache, session->reclaim.priority);
			if (n == 0)
				continue;
		}
		send_upcall(session, i, n, n ? share_of(session, cache, wanted, total) : 0);
		asked = true;
	}
	return asked;
}

/* --- the run -------------------------------------------------------------------------------------
 */

/* One more thing to do for the run; false if there is nothing to do until something comes back. */
static bool advance(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	bool idle_only = reclaim->stage == RECLAIM_IDLE_MAGAZINES;

	if (missing(session) == 0) {
		end(session, true);
		return false;
	}
	if (reclaim->stage != RECLAIM_SHRINK) {
		reclaim->stage = RECLAIM_SHRINK;
		if (pool_claim_all(session->pool, CLIENT_NONE, idle_only)) {
			session_barrier(session, STEAL_RECLAIM);
			return false;
		}
		if (!idle_only) {
			park_stolen(session);
			session->again = true;
		}
		return true;
	}
	pool_count(session->pool, COUNTER_pageoutrun, 1);
	if (ask_all(session))
		return false;
	if (reclaim->priority == 0) {
		end(session, false);
		return false;
	}
	reclaim->priority--;
	return true;
}

void reclaim_pump(struct session *session)
{
	if (!session->reclaim.running) {
		if (!is_wanted(session))
			return;
		begin(session);
	} else if (!session->reclaim.direct && park_demand(session)) {
		session->reclaim.direct = true;
		session->reclaim.stage = RECLAIM_ALL_MAGAZINES;
	}
	if (session->reclaim.outstanding && session->reclaim.stage == RECLAIM_SHRINK)
		return;
	while (session->reclaim.running && advance(session))
		;
}

/* The wave is answered: the next one asks for more. */
static void wave_done(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	PAGED_CHECK(reclaim->outstanding > 0);
	if (--reclaim->outstanding == 0 && reclaim->priority > 0)
		reclaim->priority--;
}

static void credit(struct session *session, uint32_t cache, uint64_t frames)
{
	shrinker_returned(session->pool, cache_at(session, cache), frames);
	pool_count(session->pool, COUNTER_pgsteal_slab, frames);
}

void reclaim_settled(struct session *session, const struct steal *steal, uint64_t frames)
{
	session->reclaim.nr_returned += frames;
	if (steal->purpose == STEAL_RECLAIM) {
		if (session->reclaim.direct)
			park_stolen(session);
		return;
	}
	/* What else lay in the magazines came back too, but not through the shrinker. */
	credit(session, steal->cache, bits_min(frames, steal->count));
}

void reclaim_came_back(struct session *session, client_id client, uint64_t frames)
{
	for (uint32_t i = 0; session->reclaim.outstanding && i < SHM_MAX_CACHES; i++)
		if (session->upcall[i].active && cache_at(session, i)->client == client) {
			session->upcall[i].came_back += frames;
			session->reclaim.nr_returned += frames;
			return;
		}
}

/* Brings back what a scan of cache freed: that many frames of the magazines of the thread that ran
 * it. Those of other threads are in use, and would be asked for again at once. */
static void steal_freed(struct session *session, uint32_t cache, uint32_t thread,
			uint64_t nr_frames)
{
	const struct shm_cache *c = cache_at(session, cache);

	if (pool_claim_thread(session->pool, c->client, thread, nr_frames) == 0)
		return;
	session_barrier(session, STEAL_SHRINK);
	session->steal.cache = cache;
	session->steal.count = nr_frames;
}

void reclaim_upcall_done(struct session *session, client_id client, const struct message *message)
{
	const struct message_shrink_done *done = &message->shrink_done;
	struct upcall *upcall;
	uint64_t latency, came_back;
	uint32_t cache;

	if (message->kind != MESSAGE_SHRINK_DONE ||
	    !pool_client_is_attached(session->pool, client) ||
	    !shrinker_find(session->pool, client, done->cache, &cache))
		return;
	upcall = &session->upcall[cache];
	if (message->id != upcall->id)
		return;
	latency = bits_max(session->now_ns - upcall->sent_ns, 1);
	pool_count(session->pool, COUNTER_slabs_scanned, bits_min(done->nr_scanned, upcall->asked));
	shrinker_done(session->pool, cache_at(session, cache), upcall->asked, done->nr_objects,
		      bits_min(done->nr_scanned, upcall->asked), done->nr_freed, latency);
	if (upcall->active) {
		upcall->active = false;
		wave_done(session);
	}
	upcall->id = 0;
	/* A scan that fills its magazine drains it on the way: that part is there already. */
	came_back = bits_min(upcall->came_back, done->nr_frames);
	credit(session, cache, came_back);
	steal_freed(session, cache, done->thread, done->nr_frames - came_back);
}

void reclaim_forget_cache(struct session *session, uint32_t cache)
{
	if (session->upcall[cache].active)
		wave_done(session);
	session->upcall[cache] = (struct upcall){0};
}

void reclaim_forget_client(struct session *session, client_id client)
{
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (cache_at(session, i)->state != SHM_CACHE_FREE &&
		    cache_at(session, i)->client == client)
			reclaim_forget_cache(session, i);
}

/* The answer is overdue. One that still comes is taken; until then the run goes on without it. */
static void miss(struct session *session, uint32_t cache)
{
	struct shm_cache *c = cache_at(session, cache);
	struct upcall *upcall = &session->upcall[cache];

	upcall->active = false;
	wave_done(session);
	pool_count(session->pool, COUNTER_shrink_timeouts, 1);
	if (!shrinker_missed(c, upcall->asked, session->now_ns, session->limits.breaker_ns))
		return;
	pool_count(session->pool, COUNTER_breaker_open, 1);
	session_log(session, LOG_LEVEL_WARNING,
		    "cache %s of client %u missed %u deadlines in a row: left alone for %l ms",
		    c->name, c->client, c->nr_missed,
		    (c->breaker_until_ns - session->now_ns) / 1000000);
}

void reclaim_expire(struct session *session)
{
	for (uint32_t i = 0; session->reclaim.outstanding && i < SHM_MAX_CACHES; i++)
		if (session->upcall[i].active &&
		    session->now_ns + LATE_NS >= session->upcall[i].deadline_ns)
			miss(session, i);
}

uint64_t reclaim_deadline(const struct session *session)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t i = 0; session->reclaim.outstanding && i < SHM_MAX_CACHES; i++)
		if (session->upcall[i].active)
			at = bits_min(at, session->upcall[i].deadline_ns);
	if (!session->reclaim.running && session->reclaim.retry_ns > session->now_ns)
		at = bits_min(at, session->reclaim.retry_ns);
	return at;
}

/* --- who could help ------------------------------------------------------------------------------
 */

static bool could_help(const struct session *session, uint32_t cache)
{
	const struct shm_cache *c = cache_at(session, cache);

	return c->state != SHM_CACHE_FREE && c->state != SHM_CACHE_OPEN &&
	       session->client[c->client].events_open &&
	       (!is_counted(c) || c->nr_objects > 0 || session->upcall[cache].active);
}

bool reclaim_others_could_help(const struct session *session, client_id client)
{
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (could_help(session, i) && cache_at(session, i)->client != client)
			return true;
	return false;
}

bool reclaim_self_could_help(const struct session *session, client_id client)
{
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		const struct shm_cache *c = cache_at(session, i);

		/* Whether it answers upcalls is no matter: the client itself is about to run it. */
		if (c->state != SHM_CACHE_FREE && c->client == client &&
		    (!is_counted(c) || c->nr_objects > 0))
			return true;
	}
	return false;
}
