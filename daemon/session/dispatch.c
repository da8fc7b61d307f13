/* daemon/session/dispatch.c - a client's requests: judged, handed to the core, answered.
 *
 * Every field comes from a hostile process. What the core checks (pfn, order, lane, thread,
 * magazine) is not checked twice; what only we know (state, flags, names) is checked here. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>
#include <string.h>

/* Slots that one PurgeTable adds to a purge table: 0.1 ms of writing. Lower: a large table takes
 * more requests; higher: others wait for it. */
#define TABLE_STEP 65536u

struct request {
	struct session *session;
	uint32_t conn;
	client_id client;
	const struct message *message;
};

static struct message_reply *ok(const struct request *req)
{
	return session_reply(req->session, req->conn, req->message->id);
}

static void refuse(const struct request *req, int condition, const char *what)
{
	session_refuse(req->session, req->conn, req->message->id,
		       condition_status((enum pool_condition)condition), "%s: %s", what,
		       pool_condition_text((enum pool_condition)condition));
}

/* "Free of pfn 17, order 0: ..." */
static void refuse_block(const struct request *req, int condition, const char *what, uint32_t pfn,
			 uint32_t order)
{
	session_refuse(req->session, req->conn, req->message->id,
		       condition_status((enum pool_condition)condition),
		       "%s of pfn %u, order %u: %s", what, pfn, order,
		       pool_condition_text((enum pool_condition)condition));
}

/* True: the client attached read-only, and has been told that it gets no frames. */
static bool refuse_reader(const struct request *req)
{
	if (!(pool_client(req->session->pool, req->client)->flags & HELLO_READ_ONLY))
		return false;
	session_refuse(req->session, req->conn, req->message->id, -EROFS,
		       "this client attached read-only: it may import and put, not allocate");
	return true;
}

static void do_pcp_create(const struct request *req)
{
	uint32_t thread = req->message->pcp_create.thread;
	struct session_action *action;

	if (thread >= pool_client(req->session->pool, req->client)->max_threads) {
		refuse(req, POOL_BAD_THREAD, "PcpCreate");
		return;
	}
	action = session_push(req->session, ACTION_HEADS);
	action->conn = req->conn;
	action->client = req->client;
	action->thread = thread;
	action->cookie = req->message->id;
}

/* An allocation may be what asked for them: a shortage is ENOMEM whatever is short, and what failed
 * otherwise is none that it knows. */
static int heads_status(int status)
{
	return status == -EAGAIN ? -EAGAIN : -ENOMEM;
}

void dispatch_heads_ready(struct session *session, const struct session_event *event)
{
	int r = 0;

	/* The client may have gone while its heads were made. */
	if (!pool_client_is_attached(session->pool, event->client) ||
	    session->client[event->client].conn != event->conn)
		return;
	if (event->status == 0)
		r = pool_pcp_create(session->pool, event->client, event->thread);
	if (event->status || r)
		session_refuse(session, event->conn, event->cookie,
			       event->status ? heads_status(event->status)
					     : condition_status((enum pool_condition)r),
			       "PcpCreate: %s",
			       event->status ? (event->text ? event->text : "no memory")
					     : pool_condition_text((enum pool_condition)r));
	else
		session_reply(session, event->conn, event->cookie);
}

static void do_purge_table(const struct request *req)
{
	uint32_t wanted = req->message->purge_table.nr_slots, most;
	const struct shm_client *shown = pool_client(req->session->pool, req->client);
	struct session_action *action;

	if (wanted > pool_nr_frames(req->session->pool)) {
		refuse(req, POOL_TABLE_FULL, "PurgeTable");
		return;
	}
	if (wanted <= shown->purge_slots) {
		ok(req)->count = shown->purge_slots;
		return;
	}
	most = pool_purge_slots_most(req->session->pool, req->client);
	if (most <= shown->purge_slots) {
		session_refuse(req->session, req->conn, req->message->id, -ENOSPC,
			       "PurgeTable: the purge tables of uid %u have their share of what "
			       "all may have: drop slots, or close clients",
			       shown->uid);
		return;
	}
	/* The rest is for the next request, so that nobody waits for the writing of a large one. */
	wanted = (uint32_t)bits_min(bits_min(wanted, most),
				    (uint64_t)shown->purge_slots + TABLE_STEP);
	action = session_push(req->session, ACTION_TABLE);
	action->conn = req->conn;
	action->client = req->client;
	action->from_slot = shown->purge_slots;
	action->nr_slots = wanted;
	action->cookie = req->message->id;
}

void dispatch_table_ready(struct session *session, const struct session_event *event)
{
	uint32_t nr_slots;
	int r = 0;

	/* The client may have gone while its table grew. */
	if (!pool_client_is_attached(session->pool, event->client) ||
	    session->client[event->client].conn != event->conn)
		return;
	if (event->status == 0)
		r = pool_purge_table(session->pool, event->client, event->nr_slots, &nr_slots);
	if (event->status || r)
		session_refuse(session, event->conn, event->cookie,
			       event->status ? event->status
					     : condition_status((enum pool_condition)r),
			       "PurgeTable: %s",
			       event->status ? (event->text ? event->text : "no memory")
					     : pool_condition_text((enum pool_condition)r));
	else
		session_reply(session, event->conn, event->cookie)->count = nr_slots;
}

static uint64_t deadline(const struct session *session, uint32_t timeout_ms)
{
	return session->now_ns +
	       bits_min((uint64_t)timeout_ms * 1000000, session->limits.alloc_timeout_max_ns);
}

/* The request is answered, refused or parked; which of the two it is is filled in by the caller. */
static void park(const struct request *req, struct parked *request, uint32_t timeout_ms)
{
	if (refuse_reader(req))
		return;
	request->conn = req->conn;
	request->client = req->client;
	request->id = req->message->id;
	request->since_ns = req->session->now_ns;
	request->deadline_ns = deadline(req->session, timeout_ms);
	park_request(req->session, request);
}

static void do_refill(const struct request *req)
{
	struct parked request = {.refill = req->message->pcp_refill};

	bell_asked(req->session, req->client, request.refill.thread);
	park(req, &request, request.refill.timeout_ms);
}

static void do_alloc(const struct request *req)
{
	struct parked request = {.is_alloc = true, .alloc = req->message->alloc};

	park(req, &request, request.alloc.timeout_ms);
}

static void do_pcp_drain(const struct request *req)
{
	const struct message_pcp_drain *drain = &req->message->pcp_drain;
	struct session *session = req->session;
	uint64_t count;
	bool steal;
	int r = pool_drain_request(session->pool, req->client, drain->thread, drain->magazine,
				   &count, &steal);

	if (r) {
		refuse(req, r, "PcpDrain");
		return;
	}
	/* Half of it: a thread that only frees comes back once per half a magazine. Of a huge one
	 * less, because others wait meanwhile. */
	if (!steal || pool_claim(session->pool, req->client, drain->thread, drain->magazine,
				 bits_min(count / 2 + 1, POOL_SLICE_WORK))) {
		ok(req)->count = count;
		return;
	}
	session_barrier(session, STEAL_DRAIN);
	session->steal.conn = req->conn;
	session->steal.id = req->message->id;
	session->steal.count = count;
}

void dispatch_drained(struct session *session, const struct steal *steal, uint64_t frames)
{
	struct message_reply *reply = session_reply(session, steal->conn, steal->id);

	reply->count = steal->count - bits_min(steal->count, frames);
	reclaim_came_back(session, session->connection[steal->conn].client, frames);
}

static void do_free(const struct request *req)
{
	const struct message_free *free = &req->message->free;
	const struct shm_client *shown = pool_client(req->session->pool, req->client);
	uint64_t before = shown->nr_owned;
	int r = pool_free(req->session->pool, req->client, free->pfn, free->order, free->lane,
			  free->seq);

	if (r) {
		refuse_block(req, r, "Free", free->pfn, free->order);
		return;
	}
	ok(req);
	/* Nothing if it was answered from its lane; then its order is no order, either. */
	reclaim_came_back(req->session, req->client, before - shown->nr_owned);
}

static void do_cache_register(const struct request *req)
{
	const struct message_cache_register *wanted = &req->message->cache_register;
	struct shrinker_options options = {.client = req->client,
					   .id = wanted->cache,
					   .seeks = wanted->seeks,
					   .batch = wanted->batch,
					   .rebuild_ns = wanted->rebuild_ns,
					   .real_ns = req->session->real_ns};
	uint32_t index;
	int r;

	if (wanted->cache == 0 || wanted->name[0] == '\0') {
		session_refuse(req->session, req->conn, req->message->id, -EINVAL,
			       "CacheRegister: a cache needs a number from 1 on and a name");
		return;
	}
	memcpy(options.name, wanted->name, sizeof options.name);
	r = shrinker_register(req->session->pool, &options, &index);
	if (r)
		refuse(req, r, "CacheRegister");
	else
		ok(req);
}

static void do_cache_unregister(const struct request *req)
{
	uint32_t index;

	/* One that is not there was unregistered before: the request may be repeated. */
	if (shrinker_find(req->session->pool, req->client, req->message->cache_unregister.cache,
			  &index)) {
		reclaim_forget_cache(req->session, index);
		shrinker_unregister(req->session->pool, index);
	}
	ok(req);
}

static void do_share(const struct request *req)
{
	const struct message_share *share = &req->message->share;
	uint64_t handle;
	int r = pool_share(req->session->pool, req->client, share->pfn, share->to_client,
			   share->lane, share->seq, &handle);

	if (r)
		refuse_block(req, r, "Share", share->pfn, 0);
	else
		ok(req)->result = handle;
}

static void do_import(const struct request *req)
{
	const struct message_import *import = &req->message->import;
	uint64_t result;
	int r = pool_import(req->session->pool, req->client, import->handle, import->lane,
			    import->seq, &result);

	if (r)
		refuse_block(req, r, "Import", (uint32_t)(import->handle >> 32), 0);
	else
		ok(req)->result = result;
}

static void do_put(const struct request *req)
{
	const struct message_put *put = &req->message->put;
	int r = pool_put(req->session->pool, req->client, put->pfn, put->lane, put->seq);

	if (r)
		refuse_block(req, r, "Put", put->pfn, 0);
	else
		ok(req);
}

static void do_status(const struct request *req)
{
	const struct shm_client *shown = pool_client(req->session->pool, req->client);
	struct message_reply *reply = ok(req);

	pool_count_magazines(req->session->pool, req->client);
	reply->nr_owned = shown->nr_owned;
	reply->nr_shared = shown->nr_shared;
	reply->nr_bad_free = shown->nr_bad_free;
	reply->nr_magazine = shown->nr_magazine;
	reply->min = shown->min;
	reply->low = shown->low;
	reply->high = shown->high;
	reply->max = shown->max;
	reply->level = req->session->pressure.level;
	reply->nr_purged = shown->nr_purged;
}

static void do_goodbye(const struct request *req)
{
	ok(req);
	pool_count(req->session->pool, COUNTER_client_detach, 1);
	client_end(req->session, req->client);
}

static void dispatch_client(const struct request *req)
{
	static void (*const handlers[MESSAGE_NR_KINDS])(const struct request *) = {
		[MESSAGE_PCP_CREATE] = do_pcp_create,
		[MESSAGE_PCP_REFILL] = do_refill,
		[MESSAGE_PCP_DRAIN] = do_pcp_drain,
		[MESSAGE_ALLOC] = do_alloc,
		[MESSAGE_FREE] = do_free,
		[MESSAGE_CACHE_REGISTER] = do_cache_register,
		[MESSAGE_CACHE_UNREGISTER] = do_cache_unregister,
		[MESSAGE_SHARE] = do_share,
		[MESSAGE_IMPORT] = do_import,
		[MESSAGE_PUT] = do_put,
		[MESSAGE_STATUS] = do_status,
		[MESSAGE_GOODBYE] = do_goodbye,
		[MESSAGE_PURGE_TABLE] = do_purge_table,
	};

	if (req->session->client[req->client].last_ns == 0)
		pool_client_is_known(req->session->pool, req->client);
	req->session->client[req->client].last_ns = req->session->real_ns;
	bell_heard(req->session, req->client);
	if (handlers[req->message->kind])
		handlers[req->message->kind](req);
	else
		admin_dispatch(req->session, req->conn, req->message);
}

static void dispatch_new(struct session *session, uint32_t conn, const struct message *message)
{
	if (message->kind == MESSAGE_HELLO) {
		handshake_hello(session, conn, message);
		return;
	}
	if (message->kind == MESSAGE_RESUME) {
		handshake_resume(session, conn, message);
		return;
	}
	session_refuse(session, conn, message->id, -EPROTO,
		       "a request before Hello; say Hello first");
	handshake_end(session, conn);
}

void dispatch_message(struct session *session, const struct session_event *event)
{
	const struct connection *c = &session->connection[event->conn];
	struct request req = {session, event->conn, c->client, event->message};

	pool_count(session->pool, COUNTER_rpc_requests, 1);
	switch (c->state) {
	case CONNECTION_NEW:
		dispatch_new(session, event->conn, event->message);
		break;
	case CONNECTION_OBSERVER:
	case CONNECTION_CLIENT:
		if (event->message->kind == MESSAGE_HELLO || event->message->kind == MESSAGE_RESUME)
			handshake_hello(session, event->conn, event->message);
		else if (c->state == CONNECTION_CLIENT)
			dispatch_client(&req);
		else
			admin_dispatch(session, event->conn, event->message);
		break;
	case CONNECTION_ATTACHING:
	case CONNECTION_RESUMING:
	case CONNECTION_CLOSED:
	case CONNECTION_NR_STATES:
		break;
	}
}
