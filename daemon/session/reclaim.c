/* daemon/session/reclaim.c - reclaim runs: magazines first, then shrinkers, priority by priority.
 *
 *   free < low            background: idle magazines, then shrinkers, until free > high
 *   a request waits       direct: all magazines under one barrier, then shrinkers
 *   an administrator      as direct, until so many frames came back
 *
 * A run asks every cache for its proportion at priority 12, waits for the answers, but not long,
 * then 11, down to 0. After each answer the client's magazines are stolen, because what its scan
 * freed lies there: only frames that really came back count. A cache that does not answer delays
 * nobody: its upcall is one of many in flight, its deadline bounds it, and after three misses the
 * breaker leaves it alone. A run without any success waits before the next. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

/* Lower: a pool that nobody can help is scanned in vain more often. Higher: help that comes late is
 * seen later. */
#define RETRY_NS UINT64_C(100000000)
#define LATE_NS UINT64_C(1000000) /* a TICK may be this early */
/* Lower: callbacks of ordinary length are passed over, and the others pay for them. Higher: one
 * client that hangs holds up all who wait for frames. */
#define WAVE_NS UINT64_C(50000000)

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

/* Nobody is waited for any more; who answers is taken when it comes. */
static void forget_wave(struct session *session)
{
	for (uint32_t i = 0; session->reclaim.in_wave && i < SHM_MAX_CACHES; i++)
		session->upcall[i].in_wave = false;
	session->reclaim.in_wave = 0;
	session->reclaim.next_cache = 0;
}

static void begin(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	forget_wave(session);
	reclaim->running = true;
	reclaim->direct = park_demand(session) || reclaim->admin_target;
	reclaim->stage = reclaim->direct ? RECLAIM_ALL_MAGAZINES : RECLAIM_IDLE_MAGAZINES;
	reclaim->priority = SHRINK_PRIORITY_EASY;
	reclaim->nr_returned = 0;
	reclaim->last_wave = false;
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
				  .in_wave = true,
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
	session->reclaim.in_wave++;
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
	uint64_t nr_frames = pool_nr_frames(session->pool);
	uint64_t frames = bits_min(cache->nr_frames, nr_frames);

	/* An administrator may want more than there is. */
	return (bits_min(wanted, nr_frames) * frames + total - 1) / total;
}

/* Asks every cache at the run's priority, or goes on where a step had no more room; true if there
 * is an answer to wait for, or more to ask in another step. */
static bool ask_all(struct session *session)
{
	uint64_t wanted = missing(session), total = frames_in_caches(session);
	struct reclaim *reclaim = &session->reclaim;
	uint32_t first = reclaim->next_cache;

	reclaim->next_cache = 0;
	reclaim->wave_until_ns = session->now_ns + WAVE_NS;
	for (uint32_t i = first; i < SHM_MAX_CACHES; i++) {
		struct shm_cache *cache = cache_at(session, i);
		uint64_t n = 0;

		if (!can_be_asked(session, i) || !shrinker_is_ready(cache, session->now_ns))
			continue;
		if (!session_has_room(session, 1)) {
			reclaim->next_cache = i;
			session->again = true;
			return true;
		}
		if (is_counted(cache)) {
			n = shrinker_plan(cache, session->reclaim.priority);
			if (n == 0)
				continue;
		}
		send_upcall(session, i, n, n ? share_of(session, cache, wanted, total) : 0);
	}
	return reclaim->in_wave > 0;
}

/* --- the run -------------------------------------------------------------------------------------
 */

/* One more thing to do for the run; false if there is nothing to do until something comes back. */
static bool advance(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	bool idle_only = reclaim->stage == RECLAIM_IDLE_MAGAZINES;

	/* Who still waits though enough is free needs a larger block: what lies in magazines may
	 * keep it apart, so they come first. */
	if (missing(session) == 0 && (reclaim->stage == RECLAIM_SHRINK || !park_demand(session))) {
		end(session, park_demand(session) == 0);
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
	if (reclaim->next_cache == 0) {
		if (reclaim->last_wave && reclaim->nr_returned == reclaim->before_wave) {
			end(session, false);
			return false;
		}
		pool_count(session->pool, COUNTER_pageoutrun, 1);
		reclaim->before_wave = reclaim->nr_returned;
	}
	if (ask_all(session)) {
		reclaim->last_wave = reclaim->priority == 0;
		return false;
	}
	if (reclaim->priority == 0) {
		end(session, false);
		return false;
	}
	reclaim->priority--;
	return true;
}

/* Is the run to wait for answers? */
static bool wave_is_awaited(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	if (reclaim->in_wave == 0 || reclaim->next_cache > 0 || reclaim->stage != RECLAIM_SHRINK)
		return false;
	if (session->now_ns < reclaim->wave_until_ns)
		return true;
	forget_wave(session);
	reclaim->priority -= reclaim->priority > 0;
	return false;
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
	if (wave_is_awaited(session))
		return;
	while (session->reclaim.running && advance(session))
		;
}

/* No more is to come for the upcall. If that was the last of its wave, the next one asks for more.
 */
static void upcall_ends(struct session *session, struct upcall *upcall)
{
	struct reclaim *reclaim = &session->reclaim;

	PAGED_CHECK(reclaim->outstanding > 0);
	upcall->active = false;
	reclaim->outstanding--;
	if (!upcall->in_wave)
		return;
	upcall->in_wave = false;
	if (--reclaim->in_wave == 0 && reclaim->next_cache == 0 && reclaim->priority > 0)
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
	if (message->id == 0 || message->id != upcall->id) /* 0: it was answered */
		return;
	latency = bits_max(session->now_ns - upcall->sent_ns, 1);
	pool_count(session->pool, COUNTER_slabs_scanned, bits_min(done->nr_scanned, upcall->asked));
	if (upcall->active) {
		shrinker_done(session->pool, cache_at(session, cache), upcall->asked,
			      done->nr_objects, bits_min(done->nr_scanned, upcall->asked),
			      done->nr_freed, latency);
		upcall_ends(session, upcall);
	} else {
		shrinker_late(session->pool, cache_at(session, cache), done->nr_objects,
			      bits_min(done->nr_scanned, upcall->asked), done->nr_freed, latency);
	}
	upcall->id = 0;
	/* A scan that fills its magazine drains it on the way: that part is there already. */
	came_back = bits_min(upcall->came_back, done->nr_frames);
	credit(session, cache, came_back);
	steal_freed(session, cache, done->thread, done->nr_frames - came_back);
}

void reclaim_forget_cache(struct session *session, uint32_t cache)
{
	struct shm_cache *c = cache_at(session, cache);

	if (session->upcall[cache].active)
		upcall_ends(session, &session->upcall[cache]);
	session->upcall[cache] = (struct upcall){0};
	/* No answer comes any more: once its client can be asked again, so can it. */
	if (c->state == SHM_CACHE_BUSY)
		shm_store32(&c->state, SHM_CACHE_READY);
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

	upcall_ends(session, upcall);
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
	if (session->reclaim.running && session->reclaim.in_wave)
		at = bits_min(at, session->reclaim.wave_until_ns);
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
