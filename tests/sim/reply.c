/* tests/sim/reply.c - what a thread makes of the answer to its request, and of a connection that
 * was lost with it. An honest process is told "no" for want of frames, and for nothing else. */
#include "tests/sim/sim.h"

#include <errno.h>

/* True if the answer is one of want; else it must be 0. */
static bool is_want(struct sim *s, uint32_t client, const struct sim_thread *thread,
		    const struct sim_reply *reply)
{
	if (reply->status == 0)
		return false;
	if (reply->status == -ENOMEM)
		sim_cover(s, FAULT_TOLD_ENOMEM);
	else if (reply->status == -EAGAIN)
		sim_cover(s, FAULT_TOLD_EAGAIN);
	else
		sim_fail(s, "process %u is refused a request of kind %d: %d", client,
			 (int)thread->request.kind, reply->status);
	return true;
}

static void must_be_ok(struct sim *s, uint32_t client, const struct sim_thread *thread,
		       const struct sim_reply *reply)
{
	if (reply->status)
		sim_fail(s, "process %u is refused a request of kind %d about frame %u: %d", client,
			 (int)thread->request.kind, thread->request.free.pfn, reply->status);
}

static void created(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	if (is_want(s, client, x, reply))
		return;
	magazine_bind(s, client, thread);
	x->is_created = true;
}

static void refilled(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_thread *x = &s->client[client].thread[thread];
	const struct message_pcp_refill *refill = &x->request.pcp_refill;

	magazine_bind(s, client, thread);
	if (!is_want(s, client, x, reply))
		(void)magazine_take(s, client, thread, refill->magazine, 1 + sim_below(s, 8));
}

static void drained(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];
	struct sim_block block = x->thread[thread].block;

	must_be_ok(s, client, &x->thread[thread], reply);
	if (magazine_give(s, client, thread, block))
		return;
	sim_cover(s, FAULT_DEFERRED);
	if (x->n_deferred < SIM_HELD_MAX)
		x->deferred[x->n_deferred++] = block;
	else
		PAGED_CHECK(owner_hold(s, client, block));
}

static void allocated(struct sim *s, uint32_t client, uint32_t thread,
		      const struct sim_reply *reply)
{
	const struct sim_thread *x = &s->client[client].thread[thread];
	struct sim_block block = {.pfn = (pfn_t)(reply->result >> 32),
				  .order = x->request.alloc.order};

	if (is_want(s, client, x, reply))
		return;
	owner_gains(s, client, block.pfn, block.order);
	if (!s->failed)
		PAGED_CHECK(owner_hold(s, client, block));
}

static void registered(struct sim *s, uint32_t client, const struct sim_thread *thread,
		       const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];
	uint32_t bit = 1u << thread->request.cache_register.cache;

	must_be_ok(s, client, thread, reply);
	x->caches |= bit;
}

void reply_taken(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	switch ((unsigned int)x->request.kind) {
	case MESSAGE_PCP_CREATE:
		created(s, client, thread, reply);
		break;
	case MESSAGE_PCP_REFILL:
		refilled(s, client, thread, reply);
		break;
	case MESSAGE_PCP_DRAIN:
		drained(s, client, thread, reply);
		break;
	case MESSAGE_ALLOC:
		allocated(s, client, thread, reply);
		break;
	case MESSAGE_SHARE:
		trade_shared(s, client, thread, reply);
		break;
	case MESSAGE_IMPORT:
		trade_imported(s, client, thread, reply);
		break;
	case MESSAGE_PURGE_TABLE:
		if (!is_want(s, client, x, reply))
			purgeable_table(s, client, reply->count);
		break;
	case MESSAGE_CACHE_REGISTER:
		registered(s, client, x, reply);
		break;
	default:
		must_be_ok(s, client, x, reply);
		break;
	}
}

void reply_lost(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++) {
		struct sim_thread *thread = &x->thread[t];

		if (thread->state != THREAD_WAITS)
			continue;
		if (thread->request.kind == MESSAGE_PCP_REFILL) {
			/* It happened or it did not: what is there is there. */
			magazine_bind(s, client, t);
			thread->state = THREAD_IDLE;
			thread_wake(s, client, t, sim_delay(s, 10 * US, MS));
			continue;
		}
		sim_cover(s, FAULT_REPEATED);
		thread_send(s, client, t);
	}
}
