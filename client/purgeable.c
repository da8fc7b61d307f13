/* client/purgeable.c - frames that the daemon may take without asking; the entry and its states are
 * in shm/purge.h.
 *
 * A slot is a number in the purge table and a generation that only this process knows, so a stale
 * handle finds another generation and never a stranger's frame. Pin and unpin take no lock: a pin
 * compares the generation before and after it has got hold of the entry. What begins, ends or
 * re-arms a slot holds purge.lock, so generation and entry do not change between two looks.
 *
 * The table lies in CTL and grows by requests, made without the lock: they may be repeated, and
 * whoever comes late finds it large enough. The daemon learns what rebuilds cost from a page beside
 * the table. */
#include "client/client_private.h"
#include "client/purge_inline.h"

#include "paged/bits.h"

#include <errno.h>
#include <sched.h>

/* First size of the table: a page. It doubles. */
#define PURGE_FIRST 512u
/* A purge that is under way takes the daemon a microsecond, or a turn of the scheduler if it was
 * preempted in it. Lower: a re-arm fails beside a living daemon; higher: it waits longer beside one
 * that is stopped. */
#define PURGE_SPINS 1000u
#define PURGE_WAIT_MS 100u

/* --- a frame goes into a slot --- */

/* The block is this process's to put into a slot; a shared one is lent to it. */
static int frame_enter(pageclient *client, const void *frame, pfn_t *ret_pfn, order_t *ret_order,
		       bool *ret_shared)
{
	bool private = client_state(client) == PAGECLIENT_PRIVATE;
	int r = client_frame_pfn(client, frame, ret_pfn);

	*ret_shared = false;
	*ret_order = 0;
	if (r == 0 && (private ? private_block(client, *ret_pfn, ret_order)
			       : client_block(client, *ret_pfn, ret_order)))
		return 0;
	*ret_shared = true;
	r = r < 0 || private ? -EINVAL : share_lend(client, *ret_pfn);
	if (r == -EBUSY)
		return error_set(r, "this process holds the shared frame more than once, or has it "
				    "in a slot already: put all references but one");
	if (r < 0)
		return error_set(-EINVAL, "the address is not the start of a block of this client");
	return 0;
}

/* More slots, by a request; the lock is not held. */
static int grow_table(pageclient *client, uint32_t nr_slots)
{
	uint32_t wanted = (uint32_t)bits_min(bits_max((uint64_t)nr_slots * 2, PURGE_FIRST),
					     client->purge.nr_max);
	struct message request = {.kind = MESSAGE_PURGE_TABLE, .purge_table = {.nr_slots = wanted}};
	struct message_reply reply;
	int r;

	if (nr_slots >= client->purge.nr_max)
		return error_set(-ENOSPC,
				 "all %u purgeable slots are in use: drop some, or raise "
				 "max_purgeable",
				 nr_slots);
	r = rpc_request(client, &request, client->options.call_timeout_ms,
			client->options.call_timeout_ms, &reply);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&client->purge.lock);
	if (reply.count > client->purge.nr_slots)
		client->purge.nr_slots = (uint32_t)bits_min(reply.count, client->purge.nr_max);
	(void)pthread_mutex_unlock(&client->purge.lock);
	return 0;
}

/* A free slot, with the lock held; or -errno, without it. */
static int slot_get(pageclient *client, uint32_t *ret_index)
{
	for (;;) {
		uint32_t nr_slots;
		int r = 0;

		(void)pthread_mutex_lock(&client->purge.lock);
		if (!client->purge.slot)
			r = purge_table_make(client);
		*ret_index = r == 0 ? purge_slot_begin(client) : SLOT_NONE;
		if (*ret_index != SLOT_NONE)
			return 0;
		nr_slots = client->purge.nr_slots;
		(void)pthread_mutex_unlock(&client->purge.lock);
		if (r == 0)
			r = grow_table(client, nr_slots);
		if (r < 0)
			return r;
	}
}

int pageclient_purgeable_new(pageclient *client, void *frame, pageclient_slot *ret_slot)
{
	uint32_t index;
	order_t order;
	bool shared;
	pfn_t pfn;
	int r = client_check(client);

	if (r == 0 && client_state(client) == PAGECLIENT_LOST)
		r = error_set(-ENOTCONN, "the daemon that knew this client is gone");
	if (r == 0)
		r = frame_enter(client, frame, &pfn, &order, &shared);
	if (r < 0)
		return r;
	r = slot_get(client, &index);
	if (r < 0) {
		if (shared)
			share_pass(client, pfn, SLOT_SOON, 0);
		return r;
	}
	client->purge.slot[index].shared = shared;
	purge_new(&client->purge.entry[index], pfn);
	*ret_slot = purge_slot_handle(client, index);
	(void)pthread_mutex_unlock(&client->purge.lock);
	if (shared)
		share_pass(client, pfn, SLOT_SOON, *ret_slot);
	return 0;
}

int pageclient_purgeable_cost(pageclient *client, uint64_t rebuild_ns)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	if (client_state(client) == PAGECLIENT_LOST)
		return error_set(-ENOTCONN, "the daemon that knew this client is gone");
	if (!client->ctl)
		return 0; /* PRIVATE: nothing is purged */
	__atomic_store_n(
		&((struct shm_purge_header *)(void *)(client->ctl +
						      shm_ctl_purge_offset(client->max_threads)))
			 ->declared_ns,
		rebuild_ns, __ATOMIC_RELAXED);
	return 0;
}

/* --- pin and unpin --- */

static void *pin_refuse(pageclient *client, pageclient_slot slot, enum purge_result result,
			uint64_t word)
{
	int r;

	if (!purge_slot_is_current(client, slot) || result == PURGE_IS_FREE) {
		r = error_set(-ESTALE, "the purgeable slot has ended: it was taken or dropped");
	} else if (result == PURGE_OVERFLOW) {
		r = error_set(-EOVERFLOW, "the slot is pinned %u times, as often as can be",
			      PURGE_PINS_MAX);
	} else {
		purge_tell_refault(client, slot, word);
		r = error_set(-ENODATA, "the frame was purged: rebuild it and arm the slot again");
	}
	errno = -r;
	return NULL;
}

static int pin_check(const pageclient *client, pageclient_slot slot)
{
	int r = client_check(client);

	if (r == 0 && client_state(client) == PAGECLIENT_LOST)
		r = error_set(-ENOTCONN, "the daemon that knew this client is gone, and all frames "
					 "with it");
	return r < 0 ? r : purge_slot_find(client, slot);
}

/* Would pin_check() find nothing? */
static inline bool pin_is_good(const pageclient *client, pageclient_slot slot)
{
	const uint32_t states =
		1u << PAGECLIENT_CONNECTED | 1u << PAGECLIENT_AWAY | 1u << PAGECLIENT_PRIVATE;

	return client && (states >> client_state(client) & 1) && purge_slot_is_known(client, slot);
}

/* Not pinned; or it has been, and then the slot ended. */
static __attribute__((noinline)) void *pin_failed(pageclient *client, pageclient_slot slot,
						  enum purge_result result, uint64_t word)
{
	if (result == PURGE_OK) {
		(void)purge_unpin(purge_slot_entry(client, slot), purge_generation(client));
		result = PURGE_IS_FREE;
	}
	return pin_refuse(client, slot, result, word);
}

static __attribute__((noinline)) void *pin_bad(pageclient *client, pageclient_slot slot)
{
	int r = pin_check(client, slot);

	if (r == 0) /* it has become good meanwhile */
		return pageclient_pin(client, slot);
	errno = -r;
	return NULL;
}

void *pageclient_pin(pageclient *client, pageclient_slot slot)
{
	enum purge_result result;
	uint64_t word;

	if (!pin_is_good(client, slot))
		return pin_bad(client, slot);
	result = purge_pin(purge_slot_entry(client, slot), &word);
	if (result != PURGE_OK || !purge_slot_is_current(client, slot))
		return pin_failed(client, slot, result, word);
	return client->data + ((word >> 32) << client->page_shift);
}

static __attribute__((noinline)) void unpin_bad(const pageclient *client, pageclient_slot slot)
{
	int saved_errno = errno;

	if (pin_check(client, slot) == 0)
		(void)error_set(-EINVAL, "an unpin of a slot that is not pinned");
	errno = saved_errno;
}

void pageclient_unpin(pageclient *client, pageclient_slot slot)
{
	if (__tsan_release) /* it may be purged from here on, and come to another thread */
		__tsan_release(client);
	if (!pin_is_good(client, slot) ||
	    purge_unpin(purge_slot_entry(client, slot), purge_generation(client)) != PURGE_OK)
		unpin_bad(client, slot);
}

/* --- re-arm, take, drop --- */

static bool is_purged(uint64_t word)
{
	return (word & 255u) == PURGE_PURGED;
}

/* Waits, not long, for a purge that is under way. The entry as it is then. */
static uint64_t entry_settled(const pageclient *client, const uint64_t *entry)
{
	uint64_t word = shm_load(entry);
	uint64_t deadline_ns = 0;

	for (uint32_t i = 0; (word & 255u) == PURGE_PURGING; i++) {
		if (i == PURGE_SPINS)
			deadline_ns = clock_deadline_ns(PURGE_WAIT_MS);
		if (deadline_ns &&
		    (client_state(client) != PAGECLIENT_CONNECTED || clock_now_ns() >= deadline_ns))
			break;
		if (deadline_ns)
			(void)sched_yield();
		word = shm_load(entry);
	}
	return word;
}

/* What was purged from the slot is not held any more. That has to be known before the slot ends or
 * has another frame: nothing else tells that it is gone, and the frame may be ours again. */
static void slot_forget(pageclient *client, pageclient_slot slot)
{
	uint64_t word;

	share_lock(client); /* before purge.lock */
	(void)pthread_mutex_lock(&client->purge.lock);
	word = shm_load(purge_slot_entry(client, slot));
	if (purge_slot_is_known(client, slot) && is_purged(word)) {
		share_forget(client, purge_unpack(word).pfn);
		client->purge.slot[(uint32_t)slot].shared = false;
	}
	(void)pthread_mutex_unlock(&client->purge.lock);
	share_unlock(client);
}

/* 0: the slot is current and stays so, with the lock held; else -errno without it. *ret_word is its
 * entry; if that was purged it stands for nothing that was shared. */
static int slot_lock(pageclient *client, pageclient_slot slot, uint64_t *ret_word)
{
	for (;;) {
		int r = pin_check(client, slot);

		if (r < 0)
			return r;
		(void)pthread_mutex_lock(&client->purge.lock);
		r = purge_slot_find(client, slot);
		if (r == 0) {
			*ret_word = entry_settled(client, purge_slot_entry(client, slot));
			if (!client->purge.slot[(uint32_t)slot].shared || !is_purged(*ret_word))
				return 0;
		}
		(void)pthread_mutex_unlock(&client->purge.lock);
		if (r < 0)
			return r;
		slot_forget(client, slot);
	}
}

static int refuse_busy(uint64_t word)
{
	if ((word & 255u) == PURGE_PURGING)
		return error_set(-EAGAIN, "the daemon stopped, or died, while it purged this "
					  "slot: try again when it goes on");
	return error_set(-EBUSY, "the slot is pinned by %u", (unsigned)(word & 255u));
}

/* word is what slot_lock() saw. */
static int rearm_locked(pageclient *client, pageclient_slot slot, uint64_t word, pfn_t pfn,
			bool shared, order_t order)
{
	if ((word & 255u) == PURGE_PURGING)
		return refuse_busy(word);
	if (!is_purged(word) || purge_rearm(purge_slot_entry(client, slot), pfn) != PURGE_OK)
		return error_set(-EEXIST, "the slot has its content: another thread was first; "
					  "free this frame and pin the slot");
	client->purge.slot[(uint32_t)slot].shared = shared;
	purge_tell_rebuild(client, slot, order);
	return 0;
}

int pageclient_purgeable_rearm(pageclient *client, pageclient_slot slot, void *frame)
{
	uint64_t word;
	order_t order;
	bool shared;
	pfn_t pfn;
	int r = pin_check(client, slot);

	if (r == 0)
		r = frame_enter(client, frame, &pfn, &order, &shared);
	if (r < 0)
		return r;
	r = slot_lock(client, slot, &word);
	if (r == 0) {
		r = rearm_locked(client, slot, word, pfn, shared, order);
		(void)pthread_mutex_unlock(&client->purge.lock);
	}
	if (shared)
		share_pass(client, pfn, SLOT_SOON, r == 0 ? slot : 0);
	return r;
}

/* Ends the slot's entry. With pins 0 also a purged one, and *ret_pfn is PFN_NONE. */
static enum purge_result entry_end(uint64_t *entry, uint32_t pins, bool shared, pfn_t *ret_pfn)
{
	enum purge_result result = purge_end(entry, pins, ret_pfn);

	if (result != PURGE_GONE || pins > 0 || shared)
		return result;
	purge_clear(entry);
	*ret_pfn = PFN_NONE;
	return PURGE_OK;
}

/* The slot with exactly that many pins ends. *ret_pfn and *ret_shared say what it had; PFN_NONE:
 * it was purged, which with pins is -ENODATA. */
static int slot_close(pageclient *client, pageclient_slot slot, uint32_t pins, pfn_t *ret_pfn,
		      bool *ret_shared)
{
	enum purge_result result;
	uint64_t word;

	do {
		int r = slot_lock(client, slot, &word);

		if (r < 0)
			return r;
		*ret_shared = client->purge.slot[(uint32_t)slot].shared;
		result = entry_end(purge_slot_entry(client, slot), pins, *ret_shared, ret_pfn);
		if (result == PURGE_OK)
			purge_slot_end(client, (uint32_t)slot);
		(void)pthread_mutex_unlock(&client->purge.lock);
		/* A purge that began since slot_lock() looked is waited for. */
	} while ((result == PURGE_GONE && *ret_shared) ||
		 (result == PURGE_BUSY && (word & 255u) == pins));
	if (result == PURGE_GONE)
		return -ENODATA;
	return result == PURGE_OK ? 0 : refuse_busy(word);
}

int pageclient_purgeable_take(pageclient *client, pageclient_slot slot, void **ret_frame)
{
	bool shared;
	pfn_t pfn;
	int r = slot_close(client, slot, 1, &pfn, &shared);

	if (r == -ENODATA)
		return error_set(r, "the frame was purged: there is nothing to take");
	if (r < 0)
		return r;
	if (shared)
		share_pass(client, pfn, slot, 0);
	*ret_frame = client->data + ((size_t)pfn << client->page_shift);
	return 0;
}

int pageclient_purgeable_drop(pageclient *client, pageclient_slot slot)
{
	order_t order = 0;
	void *frame;
	bool shared;
	pfn_t pfn;
	int r = slot_close(client, slot, 0, &pfn, &shared);

	if (r < 0 || pfn == PFN_NONE)
		return r;
	frame = client->data + ((size_t)pfn << client->page_shift);
	if (shared) {
		share_pass(client, pfn, slot, 0);
		return pageclient_put(client, frame);
	}
	if (client_state(client) == PAGECLIENT_PRIVATE)
		(void)private_block(client, pfn, &order);
	else
		(void)client_block(client, pfn, &order);
	pageclient_free(client, frame, order);
	return 0;
}
