/* client/near.h - the near end of the slow calls: what needs no daemon and no more than the inline
 * path.
 *
 * The inline path is for one frame of order 0 without flags. One block of order 1 to 9, and many at
 * once, come here first: where the thread's descriptor is published (C2) and nothing waits to be
 * done by the next slow call, the magazine of that order may be used as it is. */
#ifndef CLIENT_NEAR_H
#define CLIENT_NEAR_H
#include "client/client_private.h"

/* The magazine of this thread for blocks of order without flags; NULL: take the long way. */
static inline struct magazine *near_magazine(const pageclient *client, unsigned order,
					     unsigned flags)
{
	struct pageclient_fast_v1 *fast = pageclient_fast_v1;
	const struct member *member = (const struct member *)(const void *)fast;

	if (!fast || fast->client != client || order > MAGAZINE_ORDER_MAX || flags != 0)
		return NULL;
	if (!member->is_near || client_state(client) > PAGECLIENT_AWAY)
		return NULL;
	return &member->pcp->magazine[order ? MAGAZINE_COLD + order : MAGAZINE_HOT];
}

/* pageclient/fast.h's pop. NULL: it is empty. */
static inline void *near_pop(struct magazine *magazine, const pageclient *client)
{
	uint64_t bottom = __atomic_load_n(magazine->bottom, __ATOMIC_RELAXED) - 1;

	__atomic_store_n(magazine->bottom, bottom, __ATOMIC_RELAXED);
	__asm__ volatile("" ::: "memory"); /* pairs with membarrier() in the daemon's steal */
	/* acquire; pairs with the store of grant and steal */
	if ((int64_t)(bottom - shm_load(&magazine->head->top)) >= 0)
		return client->data +
		       ((size_t)magazine->slot[bottom & magazine->mask] << client->page_shift);
	__atomic_store_n(magazine->bottom, bottom + 1, __ATOMIC_RELAXED);
	return NULL;
}

/* A pfn counts exactly if its word is OWNED by the client: such a word is a head. But META is
 * sparse, and a look at the word of a frame in a block of the largest order that was never split
 * would give it memory, or be a SIGBUS where there is none: the first word of 1 << ORDER_MAX
 * frames, which is always there, tells whether they were. */
static inline bool near_block(const pageclient *client, pfn_t pfn, order_t *ret_order)
{
	pfn_t first = pfn >> ORDER_MAX << ORDER_MAX;
	struct page_word word;

	if (pfn >= client->nr_frames)
		return false;
	word = page_word_unpack(shm_load(&client->view.map[first].word));
	if (first != pfn) {
		if (word.order >= ORDER_MAX)
			return false;
		word = page_word_unpack(shm_load(&client->view.map[pfn].word));
	}
	if (word.state != PAGE_OWNED || word.owner != client->id)
		return false;
	*ret_order = word.order;
	return true;
}

#endif
