/* client/lane.c - requests that change ownership happen once.
 *
 * The daemon remembers the last {seq, result} of a lane, so a request that is repeated on its lane
 * is answered and not done again, also by the daemon after the one that did it. Here: a lane has
 * one request under way. If its answer does not come in time, or the connection ended and the
 * daemon did not come back in time, the lane stays open, and whoever uses it next settles it first:
 * the same request again takes the late answer as its own; with another one what was gained in vain
 * is given back (a frame is freed, an import that nobody counted is put). A put and a free that
 * came late are done and have nothing to give back. So is a share, but one that was lost with its
 * connection is not repeated: it happened or it did not, the program was told that it may have, and
 * by now the frame may be in another use. */
#include "client/client_private.h"

#include <errno.h>

/* Do two requests of a lane ask for the same? seq and lane aside, but for a put: one that is on its
 * way was done for the program, and another one ends another reference. */
static bool lane_same(const struct message *a, const struct message *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == MESSAGE_ALLOC)
		return a->alloc.order == b->alloc.order && a->alloc.flags == b->alloc.flags;
	if (a->kind == MESSAGE_FREE)
		return a->free.pfn == b->free.pfn && a->free.order == b->free.order;
	if (a->kind == MESSAGE_SHARE)
		return a->share.pfn == b->share.pfn && a->share.to_client == b->share.to_client;
	if (a->kind == MESSAGE_IMPORT)
		return a->import.handle == b->import.handle;
	return a->kind == MESSAGE_PUT && a->put.pfn == b->put.pfn && a->put.seq == b->put.seq;
}

bool lane_is_open_with(const struct lane *lane, const struct message *request)
{
	return lane->open && lane_same(&lane->request, request);
}

static void lane_number(struct pcp *pcp, struct message *request)
{
	uint64_t seq = ++pcp->lane.seq;

	if (request->kind == MESSAGE_ALLOC) {
		request->alloc.lane = pcp->index;
		request->alloc.seq = seq;
	} else if (request->kind == MESSAGE_FREE) {
		request->free.lane = pcp->index;
		request->free.seq = seq;
	} else if (request->kind == MESSAGE_SHARE) {
		request->share.lane = pcp->index;
		request->share.seq = seq;
	} else if (request->kind == MESSAGE_IMPORT) {
		request->import.lane = pcp->index;
		request->import.seq = seq;
	} else {
		request->put.lane = pcp->index;
		request->put.seq = seq;
	}
}

/* Waits for the answer of the lane's request, and repeats it with the same number if need be. With
 * an error the lane stays open. */
static int lane_await(pageclient *client, struct lane *lane, struct patience *patience)
{
	int r = rpc_finish(client, &lane->call, &lane->request, patience);

	lane->open = r < 0;
	return r;
}

/* Sends request and waits. */
static int lane_do(pageclient *client, struct pcp *pcp, struct message *request,
		   struct patience *patience)
{
	struct lane *lane = &pcp->lane;
	int r;

	lane_number(pcp, request);
	r = rpc_begin(client, &lane->call, request, patience);
	if (r < 0) {
		lane->seq--;
		return r;
	}
	lane->request = *request;
	if (request->kind == MESSAGE_IMPORT || request->kind == MESSAGE_SHARE)
		lane->nr_ended = client->shares.nr_ended; /* its lock is held */
	return lane_await(client, lane, patience);
}

/* An import that nobody counted is put. shares.lock is held from the look on, so that nobody counts
 * it in between; a caller that does not wait for the daemon does not wait for those who do. */
static int lane_undo_import(pageclient *client, struct pcp *pcp, struct patience *patience)
{
	uint32_t pfn = (uint32_t)(pcp->lane.call.reply.result >> 32);
	struct message put = {.kind = MESSAGE_PUT, .put = {.pfn = pfn}};
	int r = 0;

	if (patience->away_ns != 0)
		share_lock(client);
	else if (!share_try_lock(client))
		r = -EBUSY;
	pcp->lane.open = true; /* until the put was sent */
	if (r < 0)
		return error_set(r, "another thread shares or imports");
	if (share_is_held(client, pfn))
		pcp->lane.open = false;
	else
		r = lane_do(client, pcp, &put, patience);
	share_unlock(client);
	return r;
}

/* Gives back what the settled request gained. */
static int lane_undo(pageclient *client, struct pcp *pcp, struct patience *patience)
{
	const struct lane *lane = &pcp->lane;

	if (lane->call.reply.status < 0)
		return 0;
	if (lane->request.kind == MESSAGE_IMPORT)
		return lane_undo_import(client, pcp, patience);
	if (lane->request.kind == MESSAGE_ALLOC)
		deferred_push(client, (pfn_t)(lane->call.reply.result >> 32));
	return 0;
}

/* The reference that the open request gained may have been put since, by another thread that had
 * got it again: they are one for the daemon. Then the answer is worth nothing. shares.lock is held.
 */
static bool lane_is_outdated(const pageclient *client, const struct lane *lane)
{
	const struct message *request = &lane->request;
	uint32_t pfn;

	if (request->kind == MESSAGE_IMPORT)
		pfn = (uint32_t)(request->import.handle >> 32);
	else if (request->kind == MESSAGE_SHARE && request->share.to_client == CLIENT_NONE)
		pfn = request->share.pfn;
	else
		return false;
	return lane->nr_ended != client->shares.nr_ended && !share_is_held(client, pfn);
}

/* Settles an open request before `next`. 0: the lane is free, or, with *ret_same, the answer of
 * next is in lane->call. */
static int lane_settle(pageclient *client, struct pcp *pcp, const struct message *next,
		       struct patience *patience, bool *ret_same)
{
	struct lane *lane = &pcp->lane;
	bool same = lane_same(&lane->request, next);
	int r;

	*ret_same = false;
	if (!lane->open)
		return 0;
	if (lane->request.kind == MESSAGE_SHARE && !same) {
		r = rpc_wait(client, &lane->call, patience->answer_ns);
		if (r == -ETIMEDOUT)
			return r;
		lane->open = false;
		return 0;
	}
	r = lane_await(client, lane, patience);
	if (r < 0)
		return r;
	*ret_same = same && !lane_is_outdated(client, lane);
	lane->open = same && !*ret_same; /* until it was sent anew */
	return same ? 0 : lane_undo(client, pcp, patience);
}

void lane_poke(pageclient *client, struct pcp *pcp, bool wants_block)
{
	struct lane *lane = &pcp->lane;
	enum message_kind kind = lane->request.kind;
	struct patience patience;

	if (!lane->open || client_state(client) != PAGECLIENT_CONNECTED)
		return;
	patience_init(&patience, 0, 0);
	if (kind == MESSAGE_FREE || kind == MESSAGE_PUT)
		(void)lane_await(client, lane, &patience);
	else if (kind == MESSAGE_ALLOC && !wants_block && lane_await(client, lane, &patience) == 0)
		(void)lane_undo(client, pcp, &patience);
}

int lane_request(pageclient *client, struct pcp *pcp, struct message *request, uint64_t answer_ms,
		 uint64_t away_ms, struct message_reply *ret_reply)
{
	struct patience patience;
	bool same;
	int r;

	patience_init(&patience, answer_ms, away_ms);
	r = lane_settle(client, pcp, request, &patience, &same);
	if (r == 0 && !same)
		r = lane_do(client, pcp, request, &patience);
	if (r < 0)
		return r;
	*ret_reply = pcp->lane.call.reply;
	if (ret_reply->status < 0)
		return error_set(ret_reply->status, "%s", ret_reply->text);
	return 0;
}
