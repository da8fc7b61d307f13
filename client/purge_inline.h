/* client/purge_inline.h - what a pin and an unpin look at, for the two files that do; see
 * purge_slot.h. A lookup in a cache costs one of each. */
#ifndef CLIENT_PURGE_INLINE_H
#define CLIENT_PURGE_INLINE_H
#include "client/client_private.h"
#include "shm/purge.h"

/* Any thread: was the slot, which was used at some time, current a moment ago? */
static inline bool purge_slot_is_current(const pageclient *client, pageclient_slot slot)
{
	/* acquire; pairs with the release in purge_slot_end() */
	return __atomic_load_n(&client->purge.slot[(uint32_t)slot].generation, __ATOMIC_ACQUIRE) ==
	       (uint32_t)(slot >> 32);
}

/* The same for any number. */
static inline bool purge_slot_is_known(const pageclient *client, pageclient_slot slot)
{
	/* acquire; pairs with the release in purge_slot_begin() */
	return (uint32_t)slot < __atomic_load_n(&client->purge.nr_used, __ATOMIC_ACQUIRE) &&
	       purge_slot_is_current(client, slot);
}

static inline uint64_t *purge_slot_entry(const pageclient *client, pageclient_slot slot)
{
	return &client->purge.entry[(uint32_t)slot];
}

/* The generation clock. */
static inline uint32_t purge_generation(const pageclient *client)
{
	return client->view.header ? shm_load32(&client->view.header->generation) : 0;
}

#endif
