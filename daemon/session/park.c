/* daemon/session/park.c - requests for frames that have to wait.
 *
 * A parked request holds nothing and is not in STATE: its client repeats it after a crash. They are
 * served first come first served, but a request may pass one of a greater order, so that a huge
 * block does not keep single frames from everybody. Each waits for one of three things:
 *
 *   NO_COMMIT   memory for a hole: the commit is under way
 *   OVER_QUOTA  its own client's magazines, stolen once, then its own oldest purgeable frames; then
 *               it is refused, with EAGAIN if its own shrinkers could help
 *   NO_FRAMES   reclaim, up to its deadline; it is refused at once if only its own shrinkers could
 *               help (EAGAIN: waiting would be a deadlock), or if nobody could, or nobody may be
 *               asked because of its min (ENOMEM). Purgeable frames of anybody are help. At its
 *               deadline who may run its own shrinkers is told to (EAGAIN), others ENOMEM. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>

/* Frames that are purged for a refill of a client at its max. Lower: every few allocations take a
 * round; higher: more of its cache goes for one. */
#define QUOTA_BATCH 32u

void park_init(struct session *session)
{
	session->parked_first = PARKED_NONE;
	session->parked_last = PARKED_NONE;
	session->parked_free = 0;
	for (uint32_t i = 0; i < SESSION_MAX_PARKED; i++)
		session->parked[i].next = i + 1 < SESSION_MAX_PARKED ? i + 1 : PARKED_NONE;
}

static order_t order_of(const struct parked *request)
{
	return request->is_alloc ? request->alloc.order : magazine_order(request->refill.magazine);
}

order_t park_order(const struct parked *request)
{
	return order_of(request);
}

static uint32_t flags_of(const struct parked *request)
{
	return request->is_alloc ? request->alloc.flags : request->refill.flags;
}

/* --- answers -------------------------------------------------------------------------------------
 */

static int attempt(struct session *session, const struct parked *request)
{
	const struct message_alloc *alloc = &request->alloc;
	const struct message_pcp_refill *refill = &request->refill;
	enum migratetype type =
		alloc->flags & REQUEST_RECLAIMABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
	struct message_reply *reply;
	uint64_t result;
	int r;

	if (request->is_alloc)
		r = pool_alloc(session->pool, request->client, alloc->order, type, alloc->lane,
			       alloc->seq, &result);
	else
		r = pool_refill(session->pool, request->client, refill->thread, refill->magazine,
				refill->want, &result);
	if (r)
		return r;
	reply = session_reply(session, request->conn, request->id);
	if (request->is_alloc) {
		reply->result = result;
		return 0;
	}
	reply->count = result;
	bell_watch(session,
		   &(struct pool_place){request->client, refill->thread, refill->magazine});
	return 0;
}

static void refuse_self(struct session *session, const struct parked *request)
{
	uint64_t frames = UINT64_C(1) << order_of(request);
	uint32_t at = session->actions->n;

	session_refuse(session, request->conn, request->id, -EAGAIN,
		       "only this client's own caches could give frames back%s; shrink them, or "
		       "allocate with PAGECLIENT_MAY_SHRINK",
		       session->now_ns >= request->deadline_ns ? ": nobody else did in time" : "");
	session->actions->item[at].message.reply.shrink_self =
		(uint32_t)bits_max(frames, PAGEBLOCK_FRAMES / 8);
}

static void refuse_no_frames(struct session *session, const struct parked *request)
{
	const struct shm_meta_header *meta = pool_meta(session->pool);
	char owners[SHM_TEXT_BYTES], back[SHM_TEXT_BYTES];
	bool kept = reclaim_others_are_protected(session, request->client);

	report_owners(session, owners, sizeof owners);
	report_write(session, back, sizeof back);
	session_refuse(
		session, request->conn, request->id, -ENOMEM,
		"no block of order %u: %l of %l frames are free, %l of them kept back%s%s%s; "
		"came back: %s%s",
		order_of(request), pool_nr_free(session->pool), pool_nr_managed(session->pool),
		pool_watermark_min(session->pool),
		kept ? "; all that others hold is protected by their min" : "",
		meta->limit[0] ? "; the last commit failed: " : "", meta->limit, back, owners);
	shm_add(&pool_client(session->pool, request->client)->nr_oom, 1);
	pool_count(session->pool, COUNTER_oom, 1);
	pressure_failed(session, order_of(request));
}

static void refuse_quota(struct session *session, const struct parked *request)
{
	const struct shm_client *client = pool_client(session->pool, request->client);
	uint64_t frames = UINT64_C(1) << order_of(request);

	if (frames > client->max) {
		session_refuse(session, request->conn, request->id, -ENOMEM,
			       "a block of order %u has %l frames, more than the %l that this "
			       "client may have",
			       order_of(request), frames, client->max);
		return;
	}
	if (reclaim_self_could_help(session, request->client)) {
		refuse_self(session, request);
		return;
	}
	session_refuse(session, request->conn, request->id, -ENOMEM,
		       "this client has %l frames and shares %l, its max is %l: free some, or "
		       "raise its limit",
		       client->nr_owned, client->nr_shared, client->max);
	shm_add(&pool_client(session->pool, request->client)->nr_oom, 1);
	pool_count(session->pool, COUNTER_oom, 1);
}

static void refuse_for_good(struct session *session, const struct parked *request, int condition)
{
	if (condition == POOL_OVER_QUOTA)
		refuse_quota(session, request);
	else if (condition == POOL_NO_FRAMES || condition == POOL_NO_COMMIT)
		refuse_no_frames(session, request);
	else
		session_refuse(session, request->conn, request->id,
			       condition_status((enum pool_condition)condition), "%s: %s",
			       request->is_alloc ? "Alloc" : "PcpRefill",
			       pool_condition_text((enum pool_condition)condition));
}

/* --- the queue -----------------------------------------------------------------------------------
 */

/* The only writer of a parked request's condition: what all of them want of reclaim follows. */
static void set_condition(struct session *session, struct parked *request, int condition)
{
	uint64_t frames = UINT64_C(1) << order_of(request);

	if (request->condition == POOL_NO_FRAMES)
		session->demand -= frames;
	request->condition = condition;
	if (condition == POOL_NO_FRAMES)
		session->demand += frames;
}

static void remove_parked(struct session *session, uint32_t i)
{
	struct parked *request = &session->parked[i];

	set_condition(session, request, POOL_OK);
	stall_leave(session, request);
	if (request->prev == PARKED_NONE)
		session->parked_first = request->next;
	else
		session->parked[request->prev].next = request->next;
	if (request->next == PARKED_NONE)
		session->parked_last = request->prev;
	else
		session->parked[request->next].prev = request->prev;
	session->client[request->client].nr_parked--;
	request->next = session->parked_free;
	session->parked_free = i;
}

/* The request waits for reclaim from now on. */
static void count_stall(struct session *session, const struct parked *request)
{
	shm_add(&pool_client(session->pool, request->client)->nr_stall, 1);
	pool_count(session->pool, COUNTER_allocstall, 1);
}

static void append(struct session *session, const struct parked *request, int condition)
{
	uint32_t i = session->parked_free;
	struct parked *at = &session->parked[i];

	if (condition == POOL_NO_FRAMES)
		reclaim_is_needed(session);
	session->parked_free = at->next;
	*at = *request;
	at->condition = POOL_OK;
	set_condition(session, at, condition);
	at->next = PARKED_NONE;
	at->prev = session->parked_last;
	if (session->parked_last == PARKED_NONE)
		session->parked_first = i;
	else
		session->parked[session->parked_last].next = i;
	session->parked_last = i;
	session->client[request->client].nr_parked++;
	stall_follow(session, at);
	if (condition == POOL_NO_COMMIT)
		pool_count(session->pool, COUNTER_commitstall, 1);
	if (condition == POOL_NO_FRAMES)
		count_stall(session, at);
}

static bool is_wait(int condition)
{
	return condition == POOL_NO_FRAMES || condition == POOL_NO_COMMIT ||
	       condition == POOL_OVER_QUOTA;
}

/* Does somebody of this order or a smaller one wait for frames already? What no order can be is
 * refused and never waits. */
static bool must_queue(const struct session *session, const struct parked *request)
{
	if (order_of(request) > ORDER_MAX)
		return false;
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		if (session->parked[i].condition == POOL_NO_FRAMES &&
		    order_of(&session->parked[i]) <= order_of(request))
			return true;
	return false;
}

/* Why the request cannot be met, whatever others do; 0 if it waits for frames alone. */
static int judge(const struct session *session, const struct parked *request)
{
	if (request->is_alloc)
		return pool_judge_alloc(session->pool, request->client, request->alloc.order,
					request->alloc.lane, request->alloc.seq);
	return pool_judge_refill(session->pool, request->client, request->refill.thread,
				 request->refill.magazine);
}

/* Behind others who wait only those queue who wait for the same: not who asks for nonsense, or for
 * more than its max, or for an answer that it has missed. */
static int attempt_in_turn(struct session *session, const struct parked *request, bool must_wait)
{
	int r;

	if (!must_wait)
		return attempt(session, request);
	r = judge(session, request);
	if (r == POOL_BUSY)
		return attempt(session, request);
	return r ? r : POOL_NO_FRAMES;
}

void park_request(struct session *session, const struct parked *request)
{
	int r = attempt_in_turn(session, request, must_queue(session, request));

	if (r == 0)
		return;
	if (!is_wait(r))
		refuse_for_good(session, request, r);
	else if (flags_of(request) & REQUEST_NOWAIT)
		session_refuse(session, request->conn, request->id, -EAGAIN,
			       "nothing without waiting: %s",
			       pool_condition_text((enum pool_condition)r));
	else if (session->parked_free == PARKED_NONE ||
		 session->client[request->client].nr_parked >= PARKED_PER_CLIENT)
		session_refuse(session, request->conn, request->id, -EAGAIN,
			       "%u requests of this client wait already, as many as may",
			       session->client[request->client].nr_parked);
	else
		append(session, request, r);
}

/* Takes what the client's other magazines hold, once. true: more may come of it. */
static bool steal_own(struct session *session, struct parked *request)
{
	if (request->stole_own)
		return false;
	if (!request->steals) {
		request->pass = pool_pass_begin(session->pool, request->client, false);
		pool_purge_anew(session->pool, request->client); /* one before it gave up */
	}
	request->steals = true;
	request->stole_own = !session_claim(session, &request->pass, STEAL_QUOTA);
	return !request->stole_own;
}

/* Frames that a client over its max has to lose for the request, and for a refill some more. */
static uint64_t over_max(struct session *session, const struct parked *request)
{
	const struct shm_client *shown = pool_client(session->pool, request->client);
	uint64_t charged = shown->nr_owned + shown->nr_shared;
	uint64_t frames = UINT64_C(1) << order_of(request);

	if (frames > shown->max)
		return 0;
	if (!request->is_alloc)
		frames = bits_min(bits_max(frames, QUOTA_BATCH), shown->max);
	return charged + frames > shown->max ? charged + frames - shown->max : 0;
}

/* Makes room below the client's max from what is its own: magazines, then its oldest purgeable
 * frames. true: try again, now or when what is under way is done. */
static bool make_room(struct session *session, struct parked *request)
{
	uint64_t before = pool_client(session->pool, request->client)->nr_shared;
	bool again = false;

	if (steal_own(session, request))
		return true;
	if (over_max(session, request) == 0)
		return false;
	if (pool_purge(session->pool, over_max(session, request), request->client, &again) ||
	    pool_client(session->pool, request->client)->nr_shared < before)
		again = true;
	session->again |= again;
	return again;
}

/* What nobody may take of a client that is below its min, it may take itself. */
static bool may_steal_own(struct session *session, struct parked *request)
{
	return request->stole && pool_client(session->pool, request->client)->min > 0 &&
	       steal_own(session, request);
}

/* Is there nobody whom waiting could bring a frame of? */
static bool is_hopeless(const struct session *session, const struct parked *request)
{
	if (!request->stole || !request->purged || pool_purgeable(session->pool, CLIENT_NONE) > 0 ||
	    reclaim_others_could_help(session, request->client) ||
	    (request->n_compacted < pool_compact_tries(session->pool, order_of(request)) &&
	     compact_may_help(session, order_of(request))))
		return false;
	return reclaim_self_could_help(session, request->client) || session->nr_clients == 1 ||
	       reclaim_others_are_protected(session, request->client);
}

static void refuse_hopeless(struct session *session, const struct parked *request)
{
	if (reclaim_self_could_help(session, request->client))
		refuse_self(session, request);
	else
		refuse_no_frames(session, request);
}

void park_serve(struct session *session)
{
	order_t blocked = ORDER_COUNT;
	uint32_t next;
	int before;

	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = next) {
		struct parked *request = &session->parked[i];
		bool must_wait = order_of(request) >= blocked;

		next = request->next;
		if (must_wait && request->condition != POOL_OVER_QUOTA)
			continue;
		if (!session_has_room(session, 1)) {
			session->again = true;
			return;
		}
		before = request->condition;
		set_condition(session, request, attempt_in_turn(session, request, must_wait));
		stall_follow(session, request);
		if (request->condition == POOL_NO_FRAMES && before != POOL_NO_FRAMES) {
			count_stall(session, request);
			session->reclaim.may_purge = true;
		}
		if ((request->condition == POOL_OVER_QUOTA && make_room(session, request)) ||
		    (request->condition == POOL_NO_FRAMES && may_steal_own(session, request))) {
			if (session->steal.purpose != STEAL_NONE)
				return;
			continue;
		}
		if (request->condition == POOL_NO_FRAMES) {
			blocked = (order_t)bits_min(blocked, order_of(request));
			if (!is_hopeless(session, request))
				continue;
			refuse_hopeless(session, request);
		} else if (request->condition == POOL_NO_COMMIT) {
			continue;
		} else if (request->condition) {
			refuse_for_good(session, request, request->condition);
		}
		remove_parked(session, i);
	}
}

/* Others that could have helped did not: who may run its own shrinkers still can. */
static void refuse_late(struct session *session, const struct parked *request)
{
	if (request->condition == POOL_NO_FRAMES && flags_of(request) & REQUEST_MAY_SHRINK &&
	    reclaim_self_could_help(session, request->client))
		refuse_self(session, request);
	else
		refuse_for_good(session, request, request->condition);
}

void park_expire(struct session *session)
{
	uint32_t next;

	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = next) {
		struct parked *request = &session->parked[i];

		next = request->next;
		if (session->now_ns < request->deadline_ns)
			continue;
		if (!session_has_room(session, 1)) {
			session->again = true;
			return;
		}
		refuse_late(session, request);
		remove_parked(session, i);
	}
}

void park_stolen(struct session *session)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		session->parked[i].stole = true;
}

void park_compacted(struct session *session)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		session->parked[i].n_compacted += session->parked[i].stole;
}

void park_purged(struct session *session)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		session->parked[i].purged = true;
}

void park_drop_conn(struct session *session, uint32_t conn)
{
	uint32_t next;

	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = next) {
		next = session->parked[i].next;
		if (session->parked[i].conn == conn)
			remove_parked(session, i);
	}
}

uint64_t park_deadline(const struct session *session)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		at = bits_min(at, session->parked[i].deadline_ns);
	return at;
}

uint64_t park_demand(const struct session *session)
{
	return session->demand;
}

bool park_wants_run(const struct session *session, order_t *ret_order)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next) {
		const struct parked *request = &session->parked[i];
		order_t order = order_of(request);

		/* The first of all who wait: the others stand behind it. */
		if (request->condition != POOL_NO_FRAMES)
			continue;
		*ret_order = order;
		return request->stole && compact_may_help(session, order);
	}
	return false;
}

bool park_wants_commit(const struct session *session, order_t below, order_t *ret_order,
		       enum migratetype *ret_type)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next) {
		const struct parked *request = &session->parked[i];

		if (request->condition != POOL_NO_COMMIT || order_of(request) >= below)
			continue;
		*ret_order = order_of(request);
		*ret_type = flags_of(request) & REQUEST_RECLAIMABLE ? MIGRATE_RECLAIMABLE
								    : MIGRATE_UNMOVABLE;
		return true;
	}
	return false;
}
