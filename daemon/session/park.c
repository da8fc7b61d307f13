/* daemon/session/park.c - requests for frames that have to wait.
 *
 * A parked request holds nothing and is not in STATE: its client repeats it after a crash. They are
 * served first come first served, but a request may pass one of a greater order, so that a huge
 * block does not keep single frames from everybody. Each waits for one of three things: NO_COMMIT
 * memory for a hole: the commit is under way OVER_QUOTA  its own client's magazines, stolen once;
 * then it is refused NO_FRAMES   reclaim, up to its deadline; it is refused at once if only its own
 * shrinkers could help (EAGAIN: waiting would be a deadlock) or if nobody could (ENOMEM) */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>

#define LARGEST_OWNERS 3u /* named in an ENOMEM report */

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
	if (request->is_alloc)
		reply->result = result;
	else
		reply->count = result;
	return 0;
}

static void refuse_self(struct session *session, const struct parked *request)
{
	uint64_t frames = UINT64_C(1) << order_of(request);
	uint32_t at = session->actions->n;

	session_refuse(session, request->conn, request->id, -EAGAIN,
		       "only this client's own caches could give frames back; shrink them, or "
		       "allocate with PAGECLIENT_MAY_SHRINK");
	session->actions->item[at].message.reply.shrink_self =
		(uint32_t)bits_max(frames, PAGEBLOCK_FRAMES / 8);
}

/* Finds the attached client that owns most, of those that own less than `below` (or as much, with a
 * higher id than `after`); 0 if there is none. */
static client_id next_largest(struct session *session, uint64_t below, client_id after)
{
	client_id found = CLIENT_NONE;
	uint64_t most = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		uint64_t owned = pool_client(session->pool, id)->nr_owned;

		if (!pool_client_is_attached(session->pool, id) || owned <= most || owned > below ||
		    (owned == below && id <= after))
			continue;
		most = owned;
		found = id;
	}
	return found;
}

/* "; largest owners: 3 (redis, pid 17) 4711 frames, ..." */
static void describe_owners(struct session *session, char *text, uint32_t bytes)
{
	uint64_t below = UINT64_MAX;
	client_id id = CLIENT_NONE;
	uint32_t at = 0;

	text[0] = '\0';
	for (uint32_t n = 0; n < LARGEST_OWNERS; n++) {
		const struct shm_client *client;

		id = next_largest(session, below, id);
		if (id == CLIENT_NONE)
			return;
		client = pool_client(session->pool, id);
		below = client->nr_owned;
		text_print(text + at, bytes - at, "%s%u (%s, pid %u) %l frames",
			   n ? ", " : "; largest owners: ", id, client->name, client->pid,
			   client->nr_owned);
		while (text[at])
			at++;
	}
}

static void refuse_no_frames(struct session *session, const struct parked *request)
{
	const struct shm_meta_header *meta = pool_meta(session->pool);
	char owners[SHM_TEXT_BYTES];

	describe_owners(session, owners, sizeof owners);
	session_refuse(session, request->conn, request->id, -ENOMEM,
		       "no block of order %u: %l of %l frames are free, %l of them kept back, %l "
		       "came back from reclaim%s%s%s",
		       order_of(request), pool_nr_free(session->pool),
		       pool_nr_frames(session->pool), pool_watermark_min(session->pool),
		       session->reclaim.nr_returned, owners,
		       meta->limit[0] ? "; the last commit failed: " : "", meta->limit);
	shm_add(&pool_client(session->pool, request->client)->nr_oom, 1);
	pool_count(session->pool, COUNTER_oom, 1);
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

static void remove_parked(struct session *session, uint32_t i)
{
	struct parked *request = &session->parked[i];

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

	session->parked_free = at->next;
	*at = *request;
	at->condition = condition;
	at->next = PARKED_NONE;
	at->prev = session->parked_last;
	if (session->parked_last == PARKED_NONE)
		session->parked_first = i;
	else
		session->parked[session->parked_last].next = i;
	session->parked_last = i;
	session->client[request->client].nr_parked++;
	if (condition == POOL_NO_FRAMES)
		session->reclaim.retry_ns = 0; /* a new need is worth a new run */
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

/* Takes what the client's other magazines hold, once. true: the barrier is asked for. */
static bool steal_own(struct session *session, struct parked *request)
{
	if (request->stole)
		return false;
	request->stole = true;
	if (pool_claim_all(session->pool, request->client, false) == 0)
		return false;
	session_barrier(session, STEAL_QUOTA);
	return true;
}

/* May the request go on waiting for frames? */
static bool is_hopeless(const struct session *session, const struct parked *request)
{
	if (!request->stole || reclaim_others_could_help(session, request->client))
		return false;
	return reclaim_self_could_help(session, request->client) || session->nr_clients == 1;
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
		request->condition = attempt_in_turn(session, request, must_wait);
		if (request->condition == POOL_NO_FRAMES && before != POOL_NO_FRAMES)
			count_stall(session, request);
		if (request->condition == POOL_OVER_QUOTA && steal_own(session, request))
			return;
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
		refuse_for_good(session, request, request->condition);
		remove_parked(session, i);
	}
}

void park_stolen(struct session *session)
{
	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		session->parked[i].stole = true;
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
	uint64_t frames = 0;

	for (uint32_t i = session->parked_first; i != PARKED_NONE; i = session->parked[i].next)
		if (session->parked[i].condition == POOL_NO_FRAMES)
			frames += UINT64_C(1) << order_of(&session->parked[i]);
	return frames;
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
