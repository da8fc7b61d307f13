/* daemon/session/reclaim.c - the ladder: what is taken, from where, in which order.
 *
 *   free < low            background: idle magazines, then purge and shrinkers, until free > high
 *   a request waits       what it needs is purged at once; else direct: all magazines under one
 *                         barrier, then purge and shrinkers
 *   an administrator      as direct, until so many frames came back; of all, a client or a cache
 *
 * A purge needs no client and no barrier, so that a request for which there is something to purge
 * is served in the step that parked it. What a run purges and nobody waits for is taken in steps of
 * their own (AGAIN), when the replies of this one are out.
 *
 * Then come waves, tier by tier (fairness), from priority 12 down to 0. In each wave the purgeable
 * frames give their share of what is missing by their weight, which is frames by cost, and the
 * caches are asked for theirs (shrink.c). So neither kind pays for the other: where caches are
 * cheap they give more, where they are dear they are asked later, and where nobody answers the next
 * wave purges the rest. After each answer the client's magazines are stolen, because what its scan
 * freed lies there: only frames that really came back count.
 *
 * Hysteresis. Each run has its own goal and ends when that is reached; nobody is asked for more
 * than is missing and not on its way already, from whatever run, and one batch. What is on its way
 * counts for no longer than callbacks of ordinary length take: who hangs is not counted on. A run
 * without any success waits before the next. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"
#include "paged/probe.h"

/* Lower: a pool that nobody can help is scanned in vain more often. Higher: help that comes late is
 * seen later. */
#define RETRY_NS UINT64_C(100000000)
/* Frames that are purged in one step for those who wait, and for nobody. Lower: more steps for a
 * burst. Higher: who waits, or comes meanwhile, waits longer; 64 are some 8 us. */
#define PURGE_DIRECT 64u
#define PURGE_STEP 64u
#define PURGE_ADMIN 4096u

/* --- how much ------------------------------------------------------------------------------------
 */

/* Frames that are still wanted; 0: the run has reached its goal. */
static uint64_t lacking(const struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;
	uint64_t free = pool_nr_free(session->pool);
	uint64_t goal = pool_watermark_high(session->pool) + park_demand(session);
	uint64_t left = goal > free ? goal - free : 0;

	left = bits_max(left, reclaim->wanted);
	if (reclaim->admin_target && reclaim->client != CLIENT_NONE)
		left = 0; /* a run that is limited to one client is for nobody else */
	if (reclaim->admin_target > reclaim->nr_returned)
		left = bits_max(left, reclaim->admin_target - reclaim->nr_returned);
	return left;
}

uint64_t reclaim_missing(const struct session *session)
{
	uint64_t left = lacking(session), coming = shrink_coming(session);

	return left > coming ? left - coming : 0;
}

static bool is_wanted(const struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;

	return reclaim->admin_target ||
	       (session->now_ns >= reclaim->retry_ns &&
		(park_demand(session) || reclaim->wanted ||
		 pool_nr_free(session->pool) < pool_watermark_low(session->pool)));
}

void reclaim_is_needed(struct session *session)
{
	session->reclaim.retry_ns = 0;
	session->reclaim.may_purge = true;
	if (park_demand(session) > 0)
		return;
	report_reset(session);
	pool_purge_anew(session->pool, CLIENT_NONE);
}

void reclaim_want(struct session *session, uint64_t n_frames)
{
	session->reclaim.wanted = bits_max(session->reclaim.wanted, n_frames);
}

static void came_back(struct session *session, uint64_t frames)
{
	struct reclaim *reclaim = &session->reclaim;

	reclaim->nr_returned += frames;
	reclaim->wanted -= bits_min(reclaim->wanted, frames);
}

/* Whom a run is for, as tracers are told: the first of all who wait; nobody if an administrator
 * asked. It costs a load where nobody traces. */
static client_id first_waiting(const struct session *session)
{
	return session->parked_first == PARKED_NONE ? CLIENT_NONE
						    : session->parked[session->parked_first].client;
}

/* --- purge ---------------------------------------------------------------------------------------
 */

/* Purges up to n frames. true: that was all there is to do now; false: it goes on in another step.
 */
static bool purge(struct session *session, uint64_t n, client_id client, uint64_t *ret_frames)
{
	struct reclaim *reclaim = &session->reclaim;
	bool again = false;

	*ret_frames = pool_purge(session->pool, n, client, &again);
	came_back(session, *ret_frames);
	reclaim->report.purged += *ret_frames;
	reclaim->purged |= *ret_frames > 0;
	session->again |= again;
	if (!again && *ret_frames < n)
		reclaim->dry = true;
	return !again;
}

/* The next victims are looked for in steps that nobody waits for: a request finds them ready. */
static void look_ahead(struct session *session)
{
	if (!session->slices.may_go_on || session->reclaim.looked_ahead)
		return;
	pool_purge_ahead(session->pool);
	session->reclaim.looked_ahead = true;
}

/* What those who wait need, and some for those who come next. true: frames came back, or it goes on
 * in another step. */
static bool purge_for_demand(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	uint64_t free = pool_nr_free(session->pool), left = lacking(session), frames = 0;
	uint64_t floor = pool_watermark_min(session->pool) + park_demand(session);
	uint64_t need = floor > free ? floor - free : 0;
	bool done = true;

	if (left) {
		if (!reclaim->running)
			PAGED_PROBE(mm_vmscan_direct_reclaim_begin, first_waiting(session), left);
		done = purge(session, bits_min(left, bits_max(need, PURGE_DIRECT)), CLIENT_NONE,
			     &frames);
		if (!reclaim->running)
			PAGED_PROBE(mm_vmscan_direct_reclaim_end, frames);
	}
	if (left == 0 || (done && frames == 0)) {
		/* Who still waits though enough is free needs a larger block. */
		reclaim->may_purge = false;
		park_purged(session);
		return false;
	}
	session->again = true;
	return true;
}

bool reclaim_for_ring(struct session *session, uint64_t n_frames)
{
	/* Who rings takes what it wants, so that is missing even if the rest is on its way. */
	uint64_t left = bits_max(reclaim_missing(session), n_frames), frames;
	bool again;

	/* What is missing is a larger block, or one of another zone: no few frames help. */
	if (pool_nr_free(session->pool) >= pool_watermark_high(session->pool) + PURGE_DIRECT)
		return false;
	PAGED_PROBE(mm_vmscan_direct_reclaim_begin, CLIENT_NONE, left);
	/* No part of a run: these frames are gone at once, and a search is not gone on with. */
	frames = pool_purge(session->pool, bits_min(left, PURGE_DIRECT), CLIENT_NONE, &again);
	pool_purge_anew(session->pool, CLIENT_NONE);
	PAGED_PROBE(mm_vmscan_direct_reclaim_end, frames);
	return frames > 0;
}

/* What of that which is missing falls to purgeable frames: their part of the weight. */
static uint64_t weigh_share(const struct session *session)
{
	struct shrink_weights weights = shrink_weigh(session);
	uint64_t n = reclaim_missing(session);
	double sum = (double)(weights.purgeable_weight + weights.caches_weight);

	/* What is there is an estimate, and it may say that there is nothing: once in a run it is
	 * looked at, in the tier where nothing else is left. */
	if (weights.purgeable == 0 && weights.caches == 0)
		return session->reclaim.tier == POOL_TIER_SPARED ? n : 0;
	if (weights.caches_weight)
		n = (uint64_t)((double)n * (double)weights.purgeable_weight / sum);
	return bits_min(n, weights.purgeable);
}

/* The share of the purgeable frames in this wave; false: it goes on in another step. */
static bool purge_share(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	struct reclaim_wave *wave = &reclaim->wave;
	uint64_t step = reclaim->admin_target ? PURGE_ADMIN : PURGE_STEP, n, frames;

	if (reclaim->cache != CACHE_ALL || reclaim->dry)
		return true;
	if (!wave->weighed)
		wave->share = weigh_share(session);
	wave->weighed = true;
	n = bits_min(wave->share, reclaim_missing(session));
	if (n == 0)
		return true;
	session->again = true;
	if (!session->slices.may_go_on || reclaim->purged || reclaim->looked_ahead)
		return false;
	if (purge(session, bits_min(n, step), reclaim->client, &frames) && frames == 0)
		return true;
	wave->share -= bits_min(wave->share, frames);
	return false;
}

/* --- the run -------------------------------------------------------------------------------------
 */

/* A pass over all magazines, or over the idle ones if nobody waits. */
static void begin_magazines(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	reclaim->stage = reclaim->direct ? RECLAIM_ALL_MAGAZINES : RECLAIM_IDLE_MAGAZINES;
	if (reclaim->cache != CACHE_ALL)
		reclaim->stage = RECLAIM_SHRINK;
	reclaim->pass = pool_pass_begin(session->pool, reclaim->client, !reclaim->direct);
	reclaim->pass.keeps_min = true;
}

static void begin_tier(struct session *session, enum pool_tier tier)
{
	struct reclaim *reclaim = &session->reclaim;

	reclaim->tier = tier;
	reclaim->priority = SHRINK_PRIORITY_EASY;
	reclaim->last_wave = false;
	reclaim->wave.purged = false;
	reclaim->wave.weighed = false;
}

static void begin(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	shrink_forget_wave(session);
	reclaim->running = true;
	reclaim->direct = park_demand(session) || reclaim->admin_target;
	reclaim->dry = park_demand(session) && !reclaim->may_purge; /* as was just found out */
	reclaim->nr_returned = 0;
	pool_purge_anew(session->pool, reclaim->client);
	if (!park_demand(session))
		report_reset(session);
	begin_magazines(session);
	begin_tier(session, POOL_TIER_OVER);
	if (reclaim->direct) {
		PAGED_PROBE(mm_vmscan_direct_reclaim_begin, first_waiting(session),
			    lacking(session));
	} else {
		pool_count(session->pool, COUNTER_kswapd_wake, 1);
		PAGED_PROBE(mm_vmscan_kswapd_wake, lacking(session));
	}
}

void reclaim_end(struct session *session, bool reached)
{
	struct reclaim *reclaim = &session->reclaim;
	uint64_t pause = reclaim->direct ? RETRY_NS : TICK_NS;

	if (shrink_coming(session))
		pause = RETRY_NS;
	if (reclaim->running && reclaim->direct)
		PAGED_PROBE(mm_vmscan_direct_reclaim_end, reclaim->nr_returned);
	else if (reclaim->running)
		PAGED_PROBE(mm_vmscan_kswapd_sleep, reclaim->nr_returned);
	reclaim->running = false;
	reclaim->retry_ns = reached ? 0 : session->now_ns + pause;
	reclaim->wanted = 0;
	if (reclaim->admin_target)
		admin_reclaimed(session);
	reclaim->admin_target = 0;
	reclaim->client = CLIENT_NONE;
	reclaim->cache = CACHE_ALL;
}

/* One more slice of the magazines; false if it is not the turn of the shrinkers yet. */
static bool take_magazines(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	bool later = session_claim(session, &reclaim->pass, STEAL_RECLAIM);

	if (!pool_pass_is_done(&reclaim->pass))
		return false;
	reclaim->stage = RECLAIM_SHRINK;
	if (!later && reclaim->direct && reclaim->client == CLIENT_NONE) {
		park_stolen(session);
		session->again = true;
	}
	return !later;
}

/* The tier has nothing more to give; false: neither has the next, or the slow ones of this one are
 * waited for: who only counts what came back loses nothing by the time that takes. */
static bool next_tier(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	if (reclaim->admin_target && reclaim->outstanding && !park_demand(session))
		return false;
	if (reclaim->tier == POOL_TIER_SPARED) {
		reclaim_end(session, false);
		return false;
	}
	begin_tier(session, (enum pool_tier)(reclaim->tier + 1));
	return true;
}

/* One more wave, or the rest of one; false if there is nothing to do until something comes back. */
static bool advance_wave(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	uint64_t before = reclaim->nr_returned;
	bool begins = !reclaim->wave.asking;

	if (!reclaim->wave.purged) {
		reclaim->wave.purged = purge_share(session);
		return reclaim->wave.purged;
	}
	if (begins && reclaim->last_wave && before == reclaim->before_wave)
		return next_tier(session);
	if (shrink_ask(session)) {
		reclaim->last_wave = reclaim->priority == 0;
		if (begins) {
			reclaim->before_wave = before;
			pool_count(session->pool, COUNTER_pageoutrun, 1);
		}
		return false;
	}
	if (reclaim->priority == 0)
		return next_tier(session);
	shrink_end_wave(session);
	return true;
}

/* One more thing to do for the run; false if there is nothing to do until something comes back. */
static bool advance(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	/* Who still waits though enough is free needs a larger block: what lies in magazines may
	 * keep it apart, so they come first. */
	if (lacking(session) == 0 && (reclaim->stage == RECLAIM_SHRINK || !park_demand(session))) {
		reclaim_end(session, park_demand(session) == 0);
		return false;
	}
	if (reclaim->stage != RECLAIM_SHRINK)
		return take_magazines(session);
	return advance_wave(session);
}

/* Is the run to wait for answers? */
static bool wave_is_awaited(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;

	if (reclaim->in_wave == 0 || reclaim->wave.asking || reclaim->stage != RECLAIM_SHRINK)
		return false;
	if (reclaim->wave.until_ns)
		return true;
	shrink_forget_wave(session);
	shrink_end_wave(session);
	return false;
}

static bool is_limited(const struct reclaim *reclaim)
{
	return reclaim->client != CLIENT_NONE || reclaim->cache != CACHE_ALL;
}

static bool pump(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	bool demand = park_demand(session) > 0;

	if (demand && !reclaim->running && is_wanted(session))
		reclaim->may_purge = true;
	if (demand && reclaim->may_purge && purge_for_demand(session))
		return reclaim->purged;
	/* An administrator who wants the frames of one alone stands back for those who wait. */
	if (demand && reclaim->admin_target && is_limited(reclaim))
		reclaim_end(session, false);
	if (!reclaim->running) {
		if (!is_wanted(session))
			return false;
		begin(session);
	} else if (!reclaim->direct && demand) {
		reclaim->direct = true;
		begin_magazines(session);
	}
	if (wave_is_awaited(session))
		return false;
	while (reclaim->running && advance(session))
		;
	return reclaim->purged && session->steal.purpose == STEAL_NONE;
}

bool reclaim_pump(struct session *session)
{
	struct reclaim *reclaim = &session->reclaim;
	bool served;

	reclaim->purged = reclaim->looked_ahead = false;
	/* What is purged for nobody comes after what it would have to look at. */
	if (park_demand(session) == 0 && pool_purge_is_behind(session->pool))
		look_ahead(session);
	served = pump(session);
	if (pool_purge_is_looking(session->pool)) {
		if (!reclaim->purged)
			look_ahead(session);
		session->again = true;
	}
	return served;
}

/* --- what came back ------------------------------------------------------------------------------
 */

void reclaim_settled(struct session *session, const struct steal *steal, uint64_t frames)
{
	struct reclaim *reclaim = &session->reclaim;

	came_back(session, frames);
	if (steal->purpose == STEAL_RECLAIM) {
		reclaim->report.magazines += frames;
		if (reclaim->direct && reclaim->stage == RECLAIM_SHRINK &&
		    reclaim->client == CLIENT_NONE)
			park_stolen(session);
		return;
	}
	/* What else lay in the magazines came back too, but not through the shrinker. */
	shrink_credit(session, steal->cache, bits_min(frames, steal->count));
	shrinker_brought(&pool_caches(session->pool)[steal->cache],
			 steal->came_back + bits_min(frames, steal->count));
}

void reclaim_came_back(struct session *session, client_id client, uint64_t frames)
{
	if (session->reclaim.outstanding == 0 || pool_client(session->pool, client)->nr_caches == 0)
		return;
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++)
		if (session->upcall[i].active && pool_caches(session->pool)[i].client == client) {
			session->upcall[i].came_back += frames;
			came_back(session, frames);
			return;
		}
}

uint64_t reclaim_deadline(const struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;
	uint64_t at = UINT64_MAX;

	for (uint32_t i = 0; reclaim->outstanding && shrinker_next(session->pool, i, &i); i++) {
		const struct upcall *upcall = &session->upcall[i];

		if (!upcall->active)
			continue;
		at = bits_min(at, upcall->deadline_ns);
		if (upcall->until_ns)
			at = bits_min(at, upcall->until_ns);
	}
	if (reclaim->in_wave && reclaim->wave.until_ns)
		at = bits_min(at, reclaim->wave.until_ns);
	if (!reclaim->running && reclaim->retry_ns > session->now_ns)
		at = bits_min(at, reclaim->retry_ns);
	return at;
}
