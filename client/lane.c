/* client/lane.c - requests that change ownership happen once.
 *
 * The daemon remembers the last {seq, result} of a lane, so a request that is repeated on its lane
 * is answered and not done again. Here: a lane has one request under way. If its answer does not
 * come in time the lane stays open, and whoever uses it next settles it first: the same request
 * again takes the late answer as its own; with another one what was gained in vain is given back (a
 * frame is freed, an import that nobody counted is put). A share, a put and a free that came late
 * are done and have nothing to give back. */
#include "client/client_private.h"

#include <errno.h>

/* Do two requests of a lane ask for the same? seq and lane aside. */
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
	return a->kind == MESSAGE_PUT && a->put.pfn == b->put.pfn;
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

/* Sends request and waits. -ETIMEDOUT: the lane is open. */
static int lane_do(pageclient *client, struct pcp *pcp, struct message *request,
		   uint64_t deadline_ns)
{
	struct lane *lane = &pcp->lane;
	int r;

	lane_number(pcp, request);
	r = rpc_send(client, &lane->call, request, deadline_ns);
	if (r < 0) {
		lane->seq--;
		return r;
	}
	lane->request = *request;
	lane->open = true;
	r = rpc_wait(client, &lane->call, deadline_ns);
	if (r != -ETIMEDOUT)
		lane->open = false;
	return r;
}

/* The request that would undo what the settled one gained; false if it gained nothing. */
static bool lane_plan_undo(pageclient *client, const struct lane *lane, struct message *ret_undo)
{
	const struct message_reply *reply = &lane->call.reply;
	uint32_t pfn = (uint32_t)(reply->result >> 32);

	memset(ret_undo, 0, sizeof(*ret_undo));
	if (reply->status < 0)
		return false;
	if (lane->request.kind == MESSAGE_ALLOC) {
		ret_undo->kind = MESSAGE_FREE;
		ret_undo->free.pfn = pfn;
		ret_undo->free.order = lane->request.alloc.order;
		return true;
	}
	if (lane->request.kind != MESSAGE_IMPORT || share_is_held(client, pfn))
		return false;
	ret_undo->kind = MESSAGE_PUT;
	ret_undo->put.pfn = pfn;
	return true;
}

/* Settles an open request before `next`. 0: the lane is free, or, with *ret_same, the answer of
 * next is in lane->call. */
static int lane_settle(pageclient *client, struct pcp *pcp, const struct message *next,
		       uint64_t deadline_ns, bool *ret_same)
{
	struct lane *lane = &pcp->lane;
	struct message undo;
	int r;

	*ret_same = false;
	if (!lane->open)
		return 0;
	r = rpc_wait(client, &lane->call, deadline_ns);
	if (r < 0)
		return r;
	lane->open = false;
	*ret_same = lane_same(&lane->request, next);
	if (*ret_same)
		return 0;
	share_lock(client); /* so that nobody imports between the look and the put */
	if (lane_plan_undo(client, lane, &undo))
		r = lane_do(client, pcp, &undo, deadline_ns);
	share_unlock(client);
	return r;
}

int lane_request(pageclient *client, struct pcp *pcp, struct message *request, uint64_t timeout_ms,
		 struct message_reply *ret_reply)
{
	uint64_t deadline = clock_deadline_ns(timeout_ms);
	bool same;
	int r;

	r = lane_settle(client, pcp, request, deadline, &same);
	if (r == 0 && !same)
		r = lane_do(client, pcp, request, deadline);
	if (r < 0)
		return r;
	*ret_reply = pcp->lane.call.reply;
	if (ret_reply->status < 0)
		return error_set(ret_reply->status, "%s", ret_reply->text);
	return 0;
}
