/* client/near.h - the near end of the slow calls: what needs no daemon and no more than the inline
 * path.
 *
 * The inline path is for one block. Many at once come here first: where the thread's descriptor is
 * published (C2) and nothing waits to be done by the next slow call, the magazine of that order may
 * be used as it is. All or nothing: what is not simply there, or has no room in a row, goes the way
 * of magazine.c, which has the protocol in full. */
#ifndef CLIENT_NEAR_H
#define CLIENT_NEAR_H
#include "client/client_private.h"
#include "client/slots.h"

/* The magazine of this thread for blocks of order without flags; NULL: take the long way. */
static inline const struct pageclient_magazine_v1 *near_magazine(const pageclient *client,
								 unsigned order, unsigned flags)
{
	const struct pageclient_fast_v1 *fast = pageclient_fast_v1;
	const struct member *member = (const struct member *)(const void *)fast;

	if (!fast || fast->client != client || order >= PAGECLIENT_ORDERS_V1 || flags != 0)
		return NULL;
	if (!member->is_near || client_state(client) > PAGECLIENT_AWAY)
		return NULL;
	return &member->near.magazine[order];
}

/* Are there n slots in a row from index on, before the ring's end? */
static inline bool near_row(const struct pageclient_magazine_v1 *magazine, uint64_t index, size_t n)
{
	return magazine->mask + 1 - (index & magazine->mask) >= n;
}

/* False: nothing was popped. */
static inline bool near_pop(const struct pageclient_magazine_v1 *magazine, const pageclient *client,
			    void **ret_frames, size_t n)
{
	const uint64_t *top = &magazine->head->top;
	uint64_t *where = magazine->bottom;
	uint64_t bottom = __atomic_load_n(where, __ATOMIC_RELAXED);
	uint64_t first = bottom - n;
	int64_t left =
		(int64_t)(bottom - shm_load(top)); /* acquire; pairs with the grant's store */

	if (left < 0 || (uint64_t)left < n || !near_row(magazine, first, n))
		return false;
	__atomic_store_n(where, first, __ATOMIC_RELAXED);
	__asm__ volatile("" ::: "memory"); /* pairs with membarrier() in the daemon's steal */
	/* acquire; pairs with the store of grant and steal */
	if ((int64_t)(first - shm_load(top)) < 0) {
		__atomic_store_n(where, bottom, __ATOMIC_RELAXED);
		return false;
	}
	slots_read(magazine->slot + (first & magazine->mask), n, client->data, client->page_shift,
		   ret_frames);
	return true;
}

/* Whether one of the offsets that have these bits together is none of a block of that order: there
 * are bits below those of the order, or above those of the segment, or SLOTS_BEYOND. So a free of
 * many refuses at once what cannot be a block. The inline path is frozen and looks at the order's
 * bits alone: what it took from outside of the segment lies in the magazine, where an allocation
 * may get it back, until the daemon drains that and counts it as a bad free. */
static inline bool near_is_foreign(const pageclient *client, uint64_t bits, order_t order)
{
	uint64_t inside = client->data_mask & (UINT64_MAX << (client->page_shift + order));

	return __builtin_expect((bits & ~inside) != 0, 0);
}

/* False: nothing was pushed. */
static inline bool near_push(const struct pageclient_magazine_v1 *magazine,
			     const pageclient *client, void *const *frames, size_t n, order_t order)
{
	const struct pageclient_head_v1 *head = magazine->head;
	uint64_t *where = magazine->bottom;
	uint64_t bottom = __atomic_load_n(where, __ATOMIC_RELAXED);
	/* acquire; pairs with the store of a steal: the slots below top have been read */
	int64_t room = (int64_t)(shm_load(&head->high) - (bottom - shm_load(&head->top)));
	uint64_t bits;

	if (room < 0 || (uint64_t)room < n || !near_row(magazine, bottom, n))
		return false;
	bits = client->slots_write(magazine->slot + (bottom & magazine->mask), n, client->data,
				   client->page_shift, frames, client->nr_frames);
	if (near_is_foreign(client, bits, order))
		return false;
	if (__tsan_release)
		__tsan_release(where);
	/* release; pairs with the acquire of bottom in the daemon's steal: it sees the slots */
	__atomic_store_n(where, bottom + n, __ATOMIC_RELEASE);
	return true;
}

#endif
