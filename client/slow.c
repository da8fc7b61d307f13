/* client/slow.c - allocation when the inline path does not do: another client's descriptor, an
 * empty magazine, orders above 0, flags, many frames at once.
 *
 *   alloc_blocks -> magazine orders: pop, refill, pop ...            (take_from_magazine)
 *                -> all others: one Alloc request each               (take_by_request)
 *                -> told to shrink itself: own scan callbacks, again (alloc_blocks)
 *                -> no daemon from the start: private.c
 *
 * Frames are handed out in the state in which they were given back, as malloc does; ZERO clears. */
#include "client/client_private.h"

#include "client/near.h"
#include "paged/bits.h"
#include "paged/probe.h"

#include <errno.h>

struct want {
	order_t order;
	unsigned flags;
	uint32_t magazine; /* MAGAZINE_NONE: by request */
	size_t n;
	void **frames;
	size_t done;
	uint64_t shrink; /* with -EAGAIN: frames that only own shrinkers can bring */
};

static uint32_t want_magazine(order_t order, unsigned flags)
{
	if (order == 0)
		return flags & (PAGECLIENT_COLD | PAGECLIENT_RECLAIMABLE) ? MAGAZINE_COLD
									  : MAGAZINE_HOT;
	if (order <= MAGAZINE_ORDER_MAX && !(flags & PAGECLIENT_RECLAIMABLE))
		return MAGAZINE_ORDER_1 + order - 1;
	return MAGAZINE_NONE;
}

static int want_check(pageclient *client, unsigned order, unsigned flags)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	if (order > ORDER_MAX)
		return error_set(-EINVAL, "order %u is above the largest, %u", order, ORDER_MAX);
	if (flags & ~(unsigned)CLIENT_ALLOC_FLAGS)
		return error_set(-EINVAL, "flags 0x%x are none that this library knows",
				 flags & ~(unsigned)CLIENT_ALLOC_FLAGS);
	if (thread_is_scanning(client))
		return error_set(-EDEADLK, "a callback of a cache must not allocate: it is there "
					   "to give frames back");
	if (client->options.flags & PAGECLIENT_READ_ONLY)
		return error_set(-EROFS, "a client opened READ_ONLY imports frames and allocates "
					 "none");
	return 0;
}

/* The magazines of pcp exist, or are made unless the caller will not wait. */
static int want_pcp(pageclient *client, struct pcp *pcp, unsigned flags)
{
	if (pcp->created)
		return 0;
	if (flags & PAGECLIENT_NOWAIT)
		return error_set(-EAGAIN, "this thread has no magazine yet: its first allocation "
					  "needs the daemon");
	return pcp_create(client, pcp, client->options.call_timeout_ms,
			  client->options.call_timeout_ms);
}

/* What there is without the daemon. From a magazine that is barred nothing can be had; what was
 * freed meanwhile lies in the deferred list. */
static size_t take_what_is_here(pageclient *client, struct pcp *pcp, struct want *want)
{
	void **frames = want->frames + want->done;
	size_t n = want->n - want->done;
	size_t got = 0;

	if (!pcp_is_barred(client, pcp, want->magazine))
		return magazine_pop(&pcp->magazine[want->magazine], client, frames, n);
	while (got < n && (frames[got] = deferred_take(client, want->order)))
		got++;
	return got;
}

static int take_from_magazine(pageclient *client, struct pcp *pcp, struct want *want)
{
	int r;

	for (uint32_t tries = 0; tries < CLIENT_REFILL_TRIES; tries++) {
		size_t n = take_what_is_here(client, pcp, want);

		want->done += n;
		if (want->done == want->n)
			return 0;
		if (want->flags & PAGECLIENT_NOWAIT)
			return error_set(-EAGAIN, "the magazine is empty and NOWAIT was asked for");
		if (n > 0)
			tries = 0;
		r = pcp_refill(client, pcp, want->magazine, want->n - want->done, want->flags,
			       &want->shrink);
		if (r < 0)
			return r;
	}
	return error_set(-EAGAIN, "each refill was taken back at once: memory is very short");
}

static int take_by_request(pageclient *client, struct pcp *pcp, struct want *want)
{
	uint64_t timeout_ms = client->options.alloc_timeout_ms;
	struct message_reply reply;
	int r;

	if (want->flags & PAGECLIENT_NOWAIT)
		return error_set(-EAGAIN, "blocks of this kind come from the daemon, and NOWAIT "
					  "was asked for");
	while (want->done < want->n) {
		struct message request = {
			.kind = MESSAGE_ALLOC,
			.alloc = {.order = want->order,
				  .flags = pcp_request_flags(want->flags),
				  .timeout_ms = client->options.alloc_timeout_ms},
		};

		reply.shrink_self = 0;
		r = lane_request(client, pcp, &request, timeout_ms + CLIENT_GRACE_MS,
				 client->options.call_timeout_ms, &reply);
		if (r < 0) {
			want->shrink = r == -EAGAIN ? reply.shrink_self : 0;
			return r;
		}
		pcp_tell_acquired();
		want->frames[want->done++] =
			client->data + ((reply.result >> 32) << client->page_shift);
	}
	return 0;
}

/* One round in the pcp of this thread. */
static int take(pageclient *client, struct member *member, struct want *want)
{
	struct pcp *pcp = member->pcp;
	int r = 0;

	pcp_lock(pcp);
	lane_poke(client, pcp, want->magazine == MAGAZINE_NONE);
	/* relaxed; a hint: what is missed now is moved later */
	if (__atomic_load_n(&client->deferred.nr, __ATOMIC_RELAXED) != 0)
		deferred_flush(client, pcp);
	if (want->magazine != MAGAZINE_NONE)
		r = want_pcp(client, pcp, want->flags);
	if (r == 0)
		r = want->magazine == MAGAZINE_NONE ? take_by_request(client, pcp, want)
						    : take_from_magazine(client, pcp, want);
	pcp_unlock(pcp);
	member_publish(member);
	return r;
}

static int take_private(pageclient *client, struct want *want)
{
	while (want->done < want->n) {
		void *frame = private_alloc(client, want->order);

		if (!frame) {
			want->shrink = UINT64_C(1) << want->order;
			return want->flags & PAGECLIENT_MAY_SHRINK
				       ? -EAGAIN
				       : error_set(-ENOMEM, "the private memory of this client is "
							    "used up: give frames back or raise "
							    "max_frames");
		}
		want->frames[want->done++] = frame;
	}
	return 0;
}

static int take_any(pageclient *client, struct want *want)
{
	struct member *member;
	int r;

	want->shrink = 0;
	if (client_state(client) == PAGECLIENT_PRIVATE)
		return take_private(client, want);
	r = member_enter(client, &member);
	if (r == 0 && client_state(client) == PAGECLIENT_LOST) {
		member_publish(member); /* which takes the inline path away */
		return client_connect(client, 0);
	}
	return r < 0 ? r : take(client, member, want);
}

/* Fills want->frames; want->done says how many with an error too. */
static int alloc_blocks(pageclient *client, struct want *want)
{
	uint64_t deadline = 0; /* known once it is needed: the clock is not free */
	int r;

	r = take_any(client, want);
	for (uint32_t round = 0; round < CLIENT_SHRINK_ROUNDS; round++) {
		if (r != -EAGAIN || want->shrink == 0 || !(want->flags & PAGECLIENT_MAY_SHRINK))
			break;
		if (deadline == 0)
			deadline = clock_deadline_ns(client->options.alloc_timeout_ms);
		if (cache_shrink_self(client, want->shrink, deadline) == 0)
			return error_set(-ENOMEM, "no frames are free and this process's own "
						  "caches had none to give back");
		r = take_any(client, want);
	}
	if (want->flags & PAGECLIENT_ZERO) {
		for (size_t i = 0; i < want->done; i++)
			memset(want->frames[i], 0, (size_t)1 << (client->page_shift + want->order));
	}
	return r;
}

void *pageclient_alloc_slow(pageclient *client, unsigned order, unsigned flags)
{
	void *frame = NULL;
	struct want want = {.order = order, .flags = flags, .n = 1, .frames = &frame};
	int r;

	want.magazine = want_magazine(order, flags);
	PAGECLIENT_PROBE(mm_page_alloc_begin, order, flags);
	r = want_check(client, order, flags);
	if (r == 0)
		r = alloc_blocks(client, &want);
	PAGECLIENT_PROBE(mm_page_alloc_end, order, flags, -r);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	return frame;
}

static __attribute__((noinline)) size_t
alloc_many(pageclient *client, unsigned order, unsigned flags, void **ret_frames, size_t n_frames)
{
	struct want want = {.order = order, .flags = flags, .n = n_frames, .frames = ret_frames};
	int r;

	want.magazine = want_magazine(order, flags);
	r = want_check(client, order, flags);
	if (r == 0 && n_frames > 0)
		r = alloc_blocks(client, &want);
	if (r < 0)
		errno = -r;
	return want.done;
}

size_t pageclient_alloc_bulk(pageclient *client, unsigned order, unsigned flags, void **ret_frames,
			     size_t n_frames)
{
	const struct pageclient_magazine_v1 *magazine = near_magazine(client, order, flags);

	if (magazine && near_pop(magazine, client, ret_frames, n_frames))
		return n_frames;
	return alloc_many(client, order, flags, ret_frames, n_frames);
}
