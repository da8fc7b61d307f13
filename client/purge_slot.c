/* client/purge_slot.c - see purge_slot.h. */
#include "client/purge_slot.h"

#include "client/client_private.h"
#include "client/purge_inline.h"
#include "paged/bits.h"

#include <errno.h>
#include <sys/mman.h>

void purge_open(pageclient *client)
{
	(void)pthread_mutex_init(&client->purge.lock, NULL);
	client->purge.free = SLOT_NONE;
}

void purge_close(pageclient *client)
{
	uint64_t bytes = (uint64_t)client->purge.nr_max * sizeof(*client->purge.slot);

	if (client->purge.slot)
		(void)munmap(client->purge.slot, bytes);
	if (client->purge.entry && client->private_pool)
		(void)munmap(client->purge.entry, (uint64_t)client->purge.nr_max * 8);
	client->purge.slot = NULL;
	client->purge.entry = NULL;
}

static void *map_table(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* The first slot: address space for all that there may be. The lock is held. */
int purge_table_make(pageclient *client)
{
	uint32_t wanted = client->options.max_purgeable;
	uint32_t nr_max =
		wanted ? (uint32_t)bits_min(wanted, client->nr_frames) : client->nr_frames;
	bool private = client_state(client) == PAGECLIENT_PRIVATE;

	client->purge.nr_max = nr_max;
	client->purge.slot = map_table((uint64_t)nr_max * sizeof(*client->purge.slot));
	if (client->purge.slot && private)
		client->purge.entry = map_table((uint64_t)nr_max * 8);
	else if (client->purge.slot)
		client->purge.entry =
			(uint64_t *)(void *)(client->ctl +
					     shm_ctl_table_offset(client->max_threads));
	if (!client->purge.entry) {
		purge_close(client);
		return error_set(-ENOMEM,
				 "no address space for %u purgeable slots: set "
				 "max_purgeable, or raise ulimit -v",
				 nr_max);
	}
	if (private)
		__atomic_store_n(&client->purge.nr_slots, nr_max, __ATOMIC_RELEASE);
	else
		client->purge.told =
			(struct shm_purge_header *)(void *)(client->ctl +
							    shm_ctl_purge_offset(
								    client->max_threads));
	return 0;
}

/* --- slots; the lock is held --- */

pageclient_slot purge_slot_handle(const pageclient *client, uint32_t index)
{
	/* relaxed; it changes under the lock only, which is held */
	uint32_t generation =
		__atomic_load_n(&client->purge.slot[index].generation, __ATOMIC_RELAXED);

	return (uint64_t)generation << 32 | index;
}

/* SLOT_NONE: the table has to grow. */
uint32_t purge_slot_begin(pageclient *client)
{
	uint32_t index = client->purge.free;

	if (index != SLOT_NONE) {
		client->purge.free = client->purge.slot[index].next;
		return index;
	}
	if (!client->purge.entry || client->purge.nr_used == client->purge.nr_slots)
		return SLOT_NONE;
	index = client->purge.nr_used;
	client->purge.slot[index].generation = 1;
	/* release; pairs with the acquire in purge_slot_find(): the generation is there */
	__atomic_store_n(&client->purge.nr_used, index + 1, __ATOMIC_RELEASE);
	return index;
}

/* Its handles are stale from now on. */
void purge_slot_end(pageclient *client, uint32_t index)
{
	struct purge_slot *slot = &client->purge.slot[index];
	uint32_t generation = slot->generation + 1;

	/* release; a pin that sees it before or after its own sees that the slot has ended */
	__atomic_store_n(&slot->generation, generation ? generation : 1, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->missed_us, 0, __ATOMIC_RELAXED);
	slot->next = client->purge.free;
	client->purge.free = index;
}

/* 0, and the slot is current now; -ESTALE. */
int purge_slot_find(const pageclient *client, pageclient_slot slot)
{
	if (purge_slot_is_known(client, slot))
		return 0;
	return error_set(-ESTALE, "the purgeable slot has ended: it was taken or dropped");
}

bool purge_slot_has_lost(const pageclient *client, pageclient_slot slot, pfn_t pfn)
{
	struct purge_entry entry;

	if (!purge_slot_is_known(client, slot))
		return false;
	entry = purge_unpack(shm_load(purge_slot_entry(client, slot)));
	return entry.pfn == pfn && entry.pins > PURGE_PINS_MAX &&
	       purge_slot_is_current(client, slot);
}

/* --- what the daemon is told --- */

static uint32_t now_us(void)
{
	return (uint32_t)(clock_now_ns() / 1000) | 1u; /* never 0, which is "not missed" */
}

static void told_add(uint64_t *word, uint64_t n)
{
	/* relaxed; numbers that grow */
	(void)__atomic_add_fetch(word, n, __ATOMIC_RELAXED);
}

/* A pin found the slot purged. Only the first one since counts. */
void purge_tell_refault(pageclient *client, pageclient_slot slot, uint64_t word)
{
	struct shm_purge_header *told = client->purge.told;
	uint32_t *missed_us = &client->purge.slot[(uint32_t)slot].missed_us;
	uint32_t not_missed = 0, now = now_us();

	/* seq_cst; against a re-arm, which exchanges the entry and then this: one of the two sees
	 * the other, so that no time is left behind for the next rebuild to be measured from. */
	if (!told || !__atomic_compare_exchange_n(missed_us, &not_missed, now, false,
						  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	if (!purge_slot_has_lost(client, slot, purge_unpack(word).pfn)) {
		(void)__atomic_compare_exchange_n(missed_us, &now, 0, false, __ATOMIC_RELAXED,
						  __ATOMIC_RELAXED);
		return;
	}
	told_add(&told->nr_refault, 1);
	told_add(&told->refault_age, purge_age(purge_generation(client), purge_unpack(word).stamp));
}

/* It was built again. */
void purge_tell_rebuild(pageclient *client, pageclient_slot slot, order_t order)
{
	struct shm_purge_header *told = client->purge.told;
	/* seq_cst; as above */
	uint32_t missed_us = __atomic_exchange_n(&client->purge.slot[(uint32_t)slot].missed_us, 0,
						 __ATOMIC_SEQ_CST);

	if (!told || missed_us == 0)
		return;
	told_add(&told->rebuilt_ns, (uint64_t)(now_us() - missed_us) * 1000);
	told_add(&told->nr_rebuilt, UINT64_C(1) << order);
}

uint64_t purge_count(pageclient *client)
{
	uint64_t n = 0;

	(void)pthread_mutex_lock(&client->purge.lock);
	for (uint32_t i = 0; i < client->purge.nr_used; i++) {
		struct purge_entry entry = purge_unpack(shm_load(&client->purge.entry[i]));

		n += entry.pfn != PFN_NONE && entry.pins <= PURGE_PINS_MAX;
	}
	(void)pthread_mutex_unlock(&client->purge.lock);
	return n;
}
