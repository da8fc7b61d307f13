/* daemon/session/shrink.c - upcalls to shrinkers: who is asked for how much, and the answers.
 *
 * A wave asks the caches of one tier at one priority. What is missing is shared out by weight,
 * frames by cost, and each cache is asked for the kernel's proportion of its size, at most for its
 * share or one batch. The wave ends when as much is on its way as is missing; the next one begins
 * where it ended, so that the first rows of the table pay no more than the others. A client is
 * never asked for more than what keeps it in its tier, all its caches and upcalls together.
 *
 * A cache that does not answer delays nobody: its upcall is one of many in flight, its deadline
 * bounds it, the run waits for a wave for a short time only, and after three misses the breaker
 * leaves the cache alone. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"
#include "paged/probe.h"

#define LATE_NS UINT64_C(1000000) /* a TICK may be this early */
/* Lower: callbacks of ordinary length are passed over, and the others pay for them. Higher: one
 * client that hangs holds up all who wait for frames. */
#define WAVE_NS UINT64_C(50000000)

static struct shm_cache *cache_at(const struct session *session, uint32_t cache)
{
	return &pool_caches(session->pool)[cache];
}

/* Was the cache ever counted? Until then nobody knows what it holds. */
static bool is_counted(const struct shm_cache *cache)
{
	return cache->latency_max_ns > 0;
}

/* It said that it had next to nothing, and that was some time ago. */
static bool is_stale(const struct session *session, uint32_t cache)
{
	const struct shm_cache *c = cache_at(session, cache);

	return c->nr_objects < c->batch &&
	       session->now_ns >= session->upcall[cache].sent_ns + TICK_NS;
}

/* Who holds nothing is below any min, but nothing protects it: it may be counted. */
static enum pool_tier tier_of(const struct session *session, client_id client)
{
	enum pool_tier tier = pool_client_tier(session->pool, client);

	if (tier == POOL_TIER_PROTECTED && pool_client(session->pool, client)->min == 0)
		return POOL_TIER_NORMAL;
	return tier;
}

static bool can_be_asked(const struct session *session, uint32_t cache)
{
	const struct reclaim *reclaim = &session->reclaim;
	const struct shm_cache *c = cache_at(session, cache);

	return (reclaim->cache == CACHE_ALL || reclaim->cache == cache) &&
	       reclaim_is_of(reclaim, c->client) && session->client[c->client].events_open &&
	       !session->upcall[cache].active && tier_of(session, c->client) == reclaim->tier;
}

/* Frames that the client may still be asked for. */
static uint64_t room_of(const struct session *session, client_id client)
{
	uint64_t excess = pool_client_excess(session->pool, client);
	uint64_t coming = session->client[client].coming;

	return excess > coming ? excess - coming : 0;
}

uint64_t shrink_coming(const struct session *session)
{
	uint64_t frames = 0;

	for (uint32_t i = 0; session->reclaim.outstanding && shrinker_next(session->pool, i, &i);
	     i++) {
		const struct upcall *upcall = &session->upcall[i];

		if (upcall->active && upcall->until_ns)
			frames += upcall->frames - bits_min(upcall->frames, upcall->came_back);
	}
	return frames;
}

/* --- shares --------------------------------------------------------------------------------------
 */

/* The client's purgeable frames. */
static void weigh_client(const struct session *session, client_id client,
			 struct shrink_weights *weights)
{
	const struct shm_client *shown = pool_client(session->pool, client);
	uint64_t frames;

	if (shown->nr_purgeable == 0 || !reclaim_is_of(&session->reclaim, client) ||
	    !pool_client_is_attached(session->pool, client) ||
	    pool_client_tier(session->pool, client) > session->reclaim.tier)
		return;
	frames = bits_min(pool_purgeable(session->pool, client),
			  pool_client_excess(session->pool, client));
	weights->purgeable += frames;
	weights->purgeable_weight +=
		shrinker_weight(frames, shown->rebuild_ns ? shown->rebuild_ns : SHRINK_COST_NS);
}

static uint64_t frames_to_ask(const struct session *session, uint32_t cache)
{
	const struct shm_cache *c = cache_at(session, cache);

	return bits_min(c->nr_frames, room_of(session, c->client));
}

struct shrink_weights shrink_weigh(const struct session *session)
{
	/* The sum over all clients: behind the last who has some nobody is looked at. */
	uint64_t left = pool_meta(session->pool)->nr_purgeable;
	struct shrink_weights weights = {0};

	for (client_id id = 1; left && id <= SHM_MAX_CLIENTS; id++) {
		weigh_client(session, id, &weights);
		left -= bits_min(left, pool_client(session->pool, id)->nr_purgeable);
	}
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		struct shm_cache *cache = cache_at(session, i);
		uint64_t frames;

		if (!can_be_asked(session, i) || !shrinker_is_ready(cache, session->now_ns))
			continue;
		frames = frames_to_ask(session, i);
		weights.caches += frames;
		weights.caches_weight += shrinker_weight(frames, shrinker_cost(cache));
	}
	return weights;
}

/* What of `missing` frames falls to the cache, in frames, rounded up. */
static uint64_t share_of(const struct session *session, uint32_t cache, uint64_t missing,
			 uint64_t total)
{
	const struct shm_cache *c = cache_at(session, cache);
	uint64_t frames = frames_to_ask(session, cache);
	double share = (double)missing * (double)shrinker_weight(frames, shrinker_cost(c)) /
		       (double)bits_max(total, 1);

	return share < (double)frames ? (uint64_t)share + 1 : frames;
}

/* --- asking --------------------------------------------------------------------------------------
 */

static void send_upcall(struct session *session, uint32_t cache, uint64_t nr_to_scan,
			uint64_t nr_frames)
{
	struct shm_cache *c = cache_at(session, cache);
	struct session_action *action = session_push(session, ACTION_UPCALL);
	struct upcall *upcall = &session->upcall[cache];
	uint32_t run = session->reclaim.report.run;
	uint64_t asked = upcall->run == run ? upcall->run_asked : 0;
	uint64_t back = upcall->run == run ? upcall->run_back : 0;
	uint64_t frames = bits_min(shrinker_frames(c, nr_to_scan), bits_max(nr_frames, c->batch));

	*upcall =
		(struct upcall){.active = true,
				.in_wave = true,
				.id = session->next_upcall_id++,
				.asked = nr_to_scan,
				.sent_ns = session->now_ns,
				.deadline_ns = session->now_ns + session->limits.shrink_deadline_ns,
				.until_ns = session->now_ns + WAVE_NS,
				.frames = frames,
				.run = run,
				.run_asked = asked + nr_frames,
				.run_back = back};
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
	session->client[c->client].coming += frames;
	shrinker_asked(c, session->real_ns);
	pool_count(session->pool, COUNTER_shrink_upcalls, 1);
	PAGED_PROBE(mm_shrink_slab_start, c->client, c->id, session->reclaim.priority, nr_to_scan);
}

/* Asks one cache, if it is its turn. Returns the frames that are expected of it. */
static uint64_t ask(struct session *session, uint32_t cache, uint64_t missing, uint64_t total)
{
	struct shm_cache *c = cache_at(session, cache);
	uint64_t room = room_of(session, c->client), share, n;

	if (!is_counted(c) || is_stale(session, cache)) {
		send_upcall(session, cache, 0, 0);
		return 0;
	}
	if (room == 0)
		return 0;
	share = bits_max(share_of(session, cache, missing, total), 1);
	n = shrinker_plan(c, session->reclaim.priority, shrinker_objects(c, share) + 1);
	/* A batch may be more than the client has to give. */
	n = bits_min(n, shrinker_objects(c, room));
	if (n == 0)
		return 0;
	send_upcall(session, cache, n, share);
	return session->upcall[cache].frames;
}

/* The next row of the wave; false: all were visited. */
static bool next_row(const struct session *session, struct reclaim_wave *wave, uint32_t *ret_cache)
{
	if (!shrinker_next(session->pool, wave->cursor, ret_cache)) {
		if (wave->wrapped || wave->first == 0)
			return false;
		wave->wrapped = true;
		wave->cursor = 0;
		if (!shrinker_next(session->pool, 0, ret_cache))
			return false;
	}
	wave->cursor = *ret_cache + 1;
	return !wave->wrapped || *ret_cache < wave->first;
}

bool shrink_ask(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	struct reclaim_wave *wave = &reclaim->wave;
	uint64_t missing = reclaim_missing(session), left = missing;
	uint64_t total = shrink_weigh(session).caches_weight;
	uint32_t i;

	if (!wave->asking) {
		wave->cursor = wave->first;
		wave->wrapped = false;
	}
	wave->asking = false;
	wave->until_ns = session->now_ns + WAVE_NS;
	while (left && next_row(session, wave, &i)) {
		if (!can_be_asked(session, i) ||
		    !shrinker_is_ready(cache_at(session, i), session->now_ns))
			continue;
		if (!session_has_room(session, 1)) {
			wave->asking = true;
			wave->cursor = i;
			session->again = true;
			return true;
		}
		left -= bits_min(left, ask(session, i, missing, total));
	}
	/* Those behind it are the first of the next wave. */
	if (left == 0 && missing)
		wave->first = wave->cursor < SHM_MAX_CACHES ? wave->cursor : 0;
	return reclaim->in_wave > 0;
}

void shrink_forget_wave(struct session *session)
{
	for (uint32_t i = 0; session->reclaim.in_wave && shrinker_next(session->pool, i, &i); i++)
		session->upcall[i].in_wave = false;
	session->reclaim.in_wave = 0;
	session->reclaim.wave.asking = false;
}

void shrink_end_wave(struct session *session)
{
	session->reclaim.wave.purged = false;
	session->reclaim.wave.weighed = false;
	session->reclaim.priority -= session->reclaim.priority > 0;
}

/* --- answers -------------------------------------------------------------------------------------
 */

/* No more is to come for the upcall. If that was the last of its wave, the next one asks for more.
 */
static void upcall_ends(struct session *session, uint32_t cache)
{
	struct upcall *upcall = &session->upcall[cache];
	struct session_client *client = &session->client[cache_at(session, cache)->client];
	struct reclaim *reclaim = &session->reclaim;

	PAGED_CHECK(reclaim->outstanding > 0);
	upcall->active = false;
	client->coming -= bits_min(client->coming, upcall->frames);
	reclaim->outstanding--;
	if (!upcall->in_wave)
		return;
	upcall->in_wave = false;
	if (--reclaim->in_wave == 0 && !reclaim->wave.asking)
		shrink_end_wave(session);
}

void shrink_credit(struct session *session, uint32_t cache, uint64_t frames)
{
	struct upcall *upcall = &session->upcall[cache];

	shrinker_returned(session->pool, cache_at(session, cache), frames);
	pool_count(session->pool, COUNTER_pgsteal_slab, frames);
	if (frames)
		PAGED_PROBE(mm_vmscan_reclaim_pages, cache_at(session, cache)->client, frames, 2);
	session->reclaim.report.caches += frames;
	upcall->run_back += frames;
}

void shrink_before_steal(struct session *session)
{
	for (uint32_t i = 0; session->reclaim.outstanding && shrinker_next(session->pool, i, &i);
	     i++) {
		client_id client = cache_at(session, i)->client;

		session->client[client].owned_before = pool_client(session->pool, client)->nr_owned;
	}
}

/* The first scan of a client has it all: which one freed what is unknown until they answer. */
void shrink_after_steal(struct session *session)
{
	for (uint32_t i = 0; session->reclaim.outstanding && shrinker_next(session->pool, i, &i);
	     i++) {
		client_id id = cache_at(session, i)->client;
		struct session_client *client = &session->client[id];
		uint64_t owned = pool_client(session->pool, id)->nr_owned;

		if (!session->upcall[i].active || client->owned_before <= owned)
			continue;
		session->upcall[i].came_back += client->owned_before - owned;
		client->owned_before = owned;
	}
}

/* Brings back what a scan of cache freed: that many frames of the magazines of the thread that ran
 * it. Those of other threads are in use, and would be asked for again at once. */
static void steal_freed(struct session *session, uint32_t cache, uint32_t thread,
			uint64_t nr_frames, uint64_t came_back)
{
	struct shm_cache *c = cache_at(session, cache);

	if (pool_claim_thread(session->pool, c->client, thread, nr_frames) == 0) {
		if (session->upcall[cache].asked)
			shrinker_brought(c, came_back);
		return;
	}
	session_barrier(session, STEAL_SHRINK);
	session->steal.cache = cache;
	session->steal.count = nr_frames;
	session->steal.came_back = came_back;
}

void reclaim_upcall_done(struct session *session, client_id client, const struct message *message)
{
	const struct message_shrink_done *done = &message->shrink_done;
	struct upcall *upcall;
	uint64_t latency, came_back, scanned;
	uint32_t cache;

	if (message->kind != MESSAGE_SHRINK_DONE ||
	    !pool_client_is_attached(session->pool, client) ||
	    !shrinker_find(session->pool, client, done->cache, &cache))
		return;
	upcall = &session->upcall[cache];
	if (message->id == 0 || message->id != upcall->id) /* 0: it was answered */
		return;
	latency = bits_max(session->now_ns - upcall->sent_ns, 1);
	scanned = bits_min(done->nr_scanned, upcall->asked);
	pool_count(session->pool, COUNTER_slabs_scanned, scanned);
	PAGED_PROBE(mm_shrink_slab_end, client, done->cache, done->nr_freed, latency);
	if (upcall->active) {
		shrinker_done(session->pool, cache_at(session, cache), upcall->asked,
			      done->nr_objects, scanned, done->nr_freed, latency);
		upcall_ends(session, cache);
	} else {
		shrinker_late(session->pool, cache_at(session, cache), upcall->asked,
			      done->nr_objects, scanned, done->nr_freed, latency);
	}
	if (done->stopped)
		shrinker_stopped(cache_at(session, cache));
	upcall->id = 0;
	upcall->no_answer = false;
	/* A scan that fills its magazine drains it on the way: that part is there already. */
	came_back = bits_min(upcall->came_back, done->nr_frames);
	shrink_credit(session, cache, came_back);
	steal_freed(session, cache, done->thread, done->nr_frames - came_back, came_back);
}

void reclaim_forget_cache(struct session *session, uint32_t cache)
{
	struct shm_cache *c = cache_at(session, cache);

	if (session->upcall[cache].active)
		upcall_ends(session, cache);
	session->upcall[cache] = (struct upcall){0};
	if (session->reclaim.cache == cache) /* the row may be another's soon */
		reclaim_end(session, false);
	/* No answer comes any more: once its client can be asked again, so can it. */
	if (c->state == SHM_CACHE_BUSY)
		shm_store32(&c->state, SHM_CACHE_READY);
}

void reclaim_forget_client(struct session *session, client_id client)
{
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++)
		if (cache_at(session, i)->client == client)
			reclaim_forget_cache(session, i);
}

/* The answer is overdue. One that still comes is taken; until then the run goes on without it. */
static void miss(struct session *session, uint32_t cache)
{
	struct shm_cache *c = cache_at(session, cache);
	struct upcall *upcall = &session->upcall[cache];

	upcall_ends(session, cache);
	upcall->no_answer = true;
	pool_count(session->pool, COUNTER_shrink_timeouts, 1);
	if (!shrinker_missed(c, upcall->asked, session->now_ns, session->limits.breaker_ns))
		return;
	pool_count(session->pool, COUNTER_breaker_open, 1);
	session_log(session, LOG_LEVEL_WARNING, LOG_ID_CACHE_LEFT_ALONE, (client_id)c->client,
		    "cache %s of client %u missed %u deadlines in a row: left alone for %l ms",
		    c->name, c->client, c->nr_missed,
		    (c->breaker_until_ns - session->now_ns) / 1000000);
}

/* No other step gives up waiting: when a tick comes all has been read that lay in the sockets. Who
 * did not have the processor for a while has answers there that came in time. */
void reclaim_expire(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	if (reclaim->outstanding == 0)
		return;
	if (session->now_ns >= reclaim->wave.until_ns)
		reclaim->wave.until_ns = 0;
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		struct upcall *upcall = &session->upcall[i];

		if (session->now_ns >= upcall->until_ns)
			upcall->until_ns = 0;
		if (upcall->active && session->now_ns + LATE_NS >= upcall->deadline_ns)
			miss(session, i);
	}
}

/* --- who could help ------------------------------------------------------------------------------
 */

static bool could_help(const struct session *session, uint32_t cache)
{
	const struct shm_cache *c = cache_at(session, cache);

	return c->state != SHM_CACHE_OPEN && session->client[c->client].events_open &&
	       tier_of(session, c->client) != POOL_TIER_PROTECTED &&
	       (!is_counted(c) || c->nr_objects > 0 || is_stale(session, cache) ||
		session->upcall[cache].active);
}

bool reclaim_others_could_help(const struct session *session, client_id client)
{
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++)
		if (could_help(session, i) && cache_at(session, i)->client != client)
			return true;
	return false;
}

bool reclaim_self_could_help(const struct session *session, client_id client)
{
	if (pool_client(session->pool, client)->nr_caches == 0)
		return false;
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		const struct shm_cache *c = cache_at(session, i);

		/* Whether it answers upcalls is no matter: the client itself is about to run it. */
		if (c->client == client && (!is_counted(c) || c->nr_objects > 0))
			return true;
	}
	return false;
}

bool reclaim_others_are_protected(const struct session *session, client_id client)
{
	bool any = false;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		const struct shm_client *shown = pool_client(session->pool, id);

		if (id == client || !pool_client_is_attached(session->pool, id) ||
		    shown->nr_owned + shown->nr_shared == 0)
			continue;
		if (pool_client_tier(session->pool, id) != POOL_TIER_PROTECTED)
			return false;
		any = true;
	}
	return any;
}
