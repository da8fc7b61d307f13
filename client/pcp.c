/* client/pcp.c - the magazines of one thread index: made, refilled and drained by the daemon.
 *
 * A refill may double the hot ring, but only while the ring is empty and its owner waits. An owner
 * that stopped waiting must not touch the ring before the answer is there: until then the magazine
 * is barred (refill_open). When the connection ends it stays barred until the next one is there:
 * only then an unanswered refill can happen no more, and the capacity in META is the last word. */
#include "client/client_private.h"
#include "client/spin.h"

#include "paged/bits.h"

#include <errno.h>
#include <stdlib.h>

struct pcp *pcp_new(uint32_t index, bool shared)
{
	struct pcp *pcp = calloc(1, sizeof(*pcp));

	if (!pcp)
		return NULL;
	pcp->index = index;
	pcp->shared = shared;
	(void)pthread_mutex_init(&pcp->lock, NULL);
	rpc_call_init(&pcp->refill);
	rpc_call_init(&pcp->drain);
	rpc_call_init(&pcp->lane.call);
	return pcp;
}

void pcp_done(struct pcp *pcp)
{
	rpc_call_done(&pcp->refill);
	rpc_call_done(&pcp->drain);
	rpc_call_done(&pcp->lane.call);
	(void)pthread_mutex_destroy(&pcp->lock);
}

int pcp_create(pageclient *client, struct pcp *pcp, uint64_t answer_ms, uint64_t away_ms)
{
	struct message request = {.kind = MESSAGE_PCP_CREATE, .pcp_create = {.thread = pcp->index}};
	struct message_reply reply;
	int r;

	if (pcp->created)
		return 0;
	r = rpc_request(client, &request, answer_ms, away_ms, &reply);
	if (r < 0)
		return r;
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
		magazine_attach(&pcp->magazine[m], client, pcp->index, m);
	pcp->shape = 1;
	pcp->created = true;
	return 0;
}

/* What came may have been pushed or unpinned by any thread of the process: acquire from every
 * bottom, and from the client for all slots. */
static void pcp_acquire_all(pageclient *client)
{
	if (!client->ctl)
		return;
	__tsan_acquire(client);
	(void)pthread_mutex_lock(&client->threads.lock);
	for (uint32_t i = 0; i < client->threads.nr; i++) {
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
			__tsan_acquire(client->ctl + shm_ctl_bottom_offset(i, m));
	}
	(void)pthread_mutex_unlock(&client->threads.lock);
}

void pcp_tell_acquired(void)
{
	if (__tsan_acquire)
		registry_visit(pcp_acquire_all);
}

void pcp_tell_released(const pageclient *client, const struct pcp *pcp)
{
	if (__tsan_release)
		__tsan_release(client->ctl + shm_ctl_bottom_offset(pcp->index, 0));
}

static void pcp_refill_end(struct pcp *pcp)
{
	struct magazine *magazine = &pcp->magazine[pcp->refill_magazine];
	uint64_t mask = shm_load32(&magazine->head->capacity) - 1u;

	pcp->shape += mask != magazine->mask;
	magazine->mask = mask;
	pcp->refill_open = false;
	pcp_tell_acquired();
}

/* Whether the refill can happen no more, r being what rpc_wait() says of it. The connection that it
 * was lost with had ended by then: one that is there now is a later one. */
static bool pcp_refill_is_over(const pageclient *client, int r)
{
	return r == 0 || (r == -ENOTCONN && client_state(client) == PAGECLIENT_CONNECTED);
}

bool pcp_is_barred(pageclient *client, struct pcp *pcp, uint32_t magazine)
{
	if (!pcp->refill_open || pcp->refill_magazine != magazine)
		return false;
	if (!pcp_refill_is_over(client, rpc_wait(client, &pcp->refill, 0)))
		return true;
	pcp_refill_end(pcp);
	return false;
}

uint32_t pcp_request_flags(unsigned flags)
{
	return (flags & PAGECLIENT_MAY_SHRINK ? REQUEST_MAY_SHRINK : 0u) |
	       (flags & PAGECLIENT_RECLAIMABLE ? REQUEST_RECLAIMABLE : 0u);
}

static int pcp_refill_begin(pageclient *client, struct pcp *pcp, uint32_t magazine, size_t n_wanted,
			    unsigned flags, struct patience *patience)
{
	struct message request = {
		.kind = MESSAGE_PCP_REFILL,
		.pcp_refill = {.thread = pcp->index,
			       .magazine = magazine,
			       .want = (uint32_t)bits_min(n_wanted, UINT32_MAX),
			       .flags = pcp_request_flags(flags),
			       .timeout_ms = client->options.alloc_timeout_ms},
	};
	int r = rpc_begin(client, &pcp->refill, &request, patience);

	if (r < 0)
		return r;
	pcp->refill_open = true;
	pcp->refill_magazine = magazine;
	return 0;
}

static int pcp_refill_by_request(pageclient *client, struct pcp *pcp, uint32_t magazine,
				 size_t n_wanted, unsigned flags, uint64_t *ret_shrink)
{
	bool is_old = pcp->refill_open;
	struct patience patience;
	int r = 0;

	patience_init(&patience, (uint64_t)client->options.alloc_timeout_ms + CLIENT_GRACE_MS,
		      client->options.call_timeout_ms);
	if (!is_old)
		r = pcp_refill_begin(client, pcp, magazine, n_wanted, flags, &patience);
	if (r < 0)
		return r;
	r = rpc_wait(client, &pcp->refill, patience.answer_ns);
	if (r == -ENOTCONN && !pcp_refill_is_over(client, r)) {
		int connected = client_connect(client, patience.away_ns);

		if (connected < 0)
			return connected;
	}
	if (r == -ETIMEDOUT)
		return r;
	pcp_refill_end(pcp);
	if (r == -ENOTCONN || is_old)
		return 0; /* lost, or for another: the caller looks, and asks again */
	r = pcp->refill.reply.status;
	if (r == -EAGAIN)
		*ret_shrink = pcp->refill.reply.shrink_self;
	return r < 0 ? error_set(r, "%s", pcp->refill.reply.text) : 0;
}

int pcp_refill(pageclient *client, struct pcp *pcp, uint32_t magazine, size_t n_wanted,
	       unsigned flags, uint64_t *ret_shrink)
{
	enum spin_end end = SPIN_ASLEEP;
	uint64_t begin = 0;
	int r;

	if (!pcp->refill_open)
		end = spin_ring(client, pcp, magazine, n_wanted);
	if (end == SPIN_CAME) {
		pcp_tell_acquired();
		return 0;
	}
	if (end == SPIN_VAIN)
		begin = clock_now_ns();
	r = pcp_refill_by_request(client, pcp, magazine, n_wanted, flags, ret_shrink);
	if (end == SPIN_VAIN)
		spin_lost(&pcp->watch, clock_now_ns() - begin);
	return r;
}

int pcp_drain(pageclient *client, struct pcp *pcp, uint32_t magazine)
{
	struct patience patience;
	struct message request = {.kind = MESSAGE_PCP_DRAIN,
				  .pcp_drain = {.thread = pcp->index, .magazine = magazine}};
	int r;

	if (pcp->drain_open) {
		if (rpc_wait(client, &pcp->drain, 0) == -ETIMEDOUT)
			return -EALREADY;
		pcp->drain_open = false;
	}
	patience_init(&patience, bits_min(client->options.call_timeout_ms, CLIENT_FREE_WAIT_MS), 0);
	r = rpc_begin(client, &pcp->drain, &request, &patience);
	if (r < 0)
		return r;
	pcp->drain_open = true;
	r = rpc_wait(client, &pcp->drain, patience.answer_ns);
	if (r == -ETIMEDOUT)
		return r;
	pcp->drain_open = false;
	return r < 0 ? r : pcp->drain.reply.status;
}
