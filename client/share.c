/* client/share.c - frames that several processes hold.
 *
 *   share     OWNED by us  -> SHARED, we hold one reference      -> handle travels by any channel
 *   transfer  OWNED by us  -> SHARED, the other client holds it; we hold none
 *   import    handle       -> we hold a reference, and one more with each import
 *   put       one reference of ours ends; the daemon hears of it with our last one
 *
 * The daemon knows one edge per frame and client; how often this process holds it is counted here.
 * A put that brings the count to 0 and an import of the same frame must not overtake each other on
 * the way to the daemon, so both hold shares.lock across their request; it is recursive because a
 * lane that is settled may have to put what an earlier import got (lane.c). */
#include "client/client_private.h"

#include <errno.h>
#include <stdlib.h>

/* First size of the table, a power of two; it doubles when half full. */
#define SHARE_TABLE_FIRST 64u

int share_open(pageclient *client)
{
	pthread_mutexattr_t attributes;

	(void)pthread_mutexattr_init(&attributes);
	(void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&client->shares.lock, &attributes);
	(void)pthread_mutexattr_destroy(&attributes);
	client->shares.entry = calloc(SHARE_TABLE_FIRST, sizeof(*client->shares.entry));
	if (!client->shares.entry)
		return error_set(-ENOMEM, "no memory for the table of shared frames");
	client->shares.capacity = SHARE_TABLE_FIRST;
	return 0;
}

void share_close(pageclient *client)
{
	free(client->shares.entry);
	client->shares.entry = NULL;
}

void share_lock(pageclient *client)
{
	(void)pthread_mutex_lock(&client->shares.lock);
}

bool share_try_lock(pageclient *client)
{
	return pthread_mutex_trylock(&client->shares.lock) == 0;
}

void share_unlock(pageclient *client)
{
	(void)pthread_mutex_unlock(&client->shares.lock);
}

/* --- the table; shares.lock is held --- */

static uint32_t share_hash(uint32_t pfn, uint32_t capacity)
{
	return (pfn * UINT32_C(2654435761)) >> 7 & (capacity - 1);
}

/* The entry of pfn, or the free one where it would go. */
static struct share_entry *share_find(struct share_entry *entry, uint32_t capacity, uint32_t pfn)
{
	uint32_t i = share_hash(pfn, capacity);

	while (entry[i].count != 0 && entry[i].pfn != pfn)
		i = (i + 1) & (capacity - 1);
	return &entry[i];
}

/* There is room for one more entry. */
static int share_reserve(pageclient *client)
{
	uint32_t capacity = client->shares.capacity * 2;
	struct share_entry *before = client->shares.entry;
	struct share_entry *entry;

	if (client->shares.nr < client->shares.capacity / 2)
		return 0;
	entry = calloc(capacity, sizeof(*entry));
	if (!entry)
		return error_set(-ENOMEM, "no memory for the table of shared frames");
	for (uint32_t i = 0; i < client->shares.capacity; i++) {
		const struct share_entry *old = &before[i];

		if (old->count != 0)
			*share_find(entry, capacity, old->pfn) = *old;
	}
	client->shares.entry = entry;
	client->shares.capacity = capacity;
	free(before); /* last: a child forked now must not free it again when it closes */
	return 0;
}

static void share_add(pageclient *client, uint32_t pfn)
{
	struct share_entry *entry = share_find(client->shares.entry, client->shares.capacity, pfn);

	client->shares.nr += entry->count == 0;
	if (entry->count == 0)
		*entry = (struct share_entry){.pfn = pfn};
	entry->count++;
}

/* Ends an entry; those behind it that were pushed on by it move up. */
static void share_remove(pageclient *client, struct share_entry *entry)
{
	struct share_entry *table = client->shares.entry;
	uint32_t mask = client->shares.capacity - 1;
	uint32_t i = (uint32_t)(entry - table);

	client->shares.nr--;
	client->shares.nr_ended++;
	table[i].count = 0;
	for (i = (i + 1) & mask; table[i].count != 0; i = (i + 1) & mask) {
		struct share_entry moved = table[i];

		table[i].count = 0;
		*share_find(table, mask + 1, moved.pfn) = moved;
	}
}

/* What was purged from a slot is not held any more, though the slot remembers it: the frame may be
 * anybody's by now, ours too. What we ask of it comes after the purge, since the daemon does one
 * thing at a time, and recovery ends what a dead one began. */
static bool share_is_lost(const pageclient *client, const struct share_entry *entry)
{
	return entry->count != 0 && entry->lent &&
	       purge_slot_has_lost(client, entry->lent, entry->pfn);
}

bool share_is_held(const pageclient *client, uint32_t pfn)
{
	const struct share_entry *entry =
		share_find(client->shares.entry, client->shares.capacity, pfn);

	return entry->count != 0 && !share_is_lost(client, entry);
}

/* As share_find(), and a lost one ends: entries that were found before may have moved. */
static struct share_entry *share_look(pageclient *client, uint32_t pfn)
{
	struct share_entry *entry = share_find(client->shares.entry, client->shares.capacity, pfn);

	if (!share_is_lost(client, entry))
		return entry;
	share_remove(client, entry);
	return share_find(client->shares.entry, client->shares.capacity, pfn);
}

void share_forget(pageclient *client, uint32_t pfn)
{
	(void)share_look(client, pfn);
}

int share_lend(pageclient *client, uint32_t pfn)
{
	struct share_entry *entry;
	int r = -EINVAL;

	share_lock(client);
	entry = share_look(client, pfn);
	if (entry->count == 1 && !entry->lent) {
		entry->lent = SLOT_SOON;
		r = 0;
	} else if (entry->count > 0) {
		r = -EBUSY;
	}
	share_unlock(client);
	return r;
}

void share_pass(pageclient *client, uint32_t pfn, pageclient_slot from, pageclient_slot to)
{
	struct share_entry *entry;

	share_lock(client);
	entry = share_find(client->shares.entry, client->shares.capacity, pfn);
	if (entry->count == 1 && entry->lent == from)
		entry->lent = to;
	share_unlock(client);
}

/* Is the frame's reference in the purge table? Then nothing else may count on it. */
static int share_check_lent(pageclient *client, uint32_t pfn)
{
	const struct share_entry *entry = share_look(client, pfn);

	if (entry->count == 0 || !entry->lent)
		return 0;
	return error_set(-EBUSY, "the frame is in a purgeable slot of this process: take it out "
				 "with pageclient_purgeable_take() first");
}

/* --- requests --- */

static int share_check(pageclient *client)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	if (client_state(client) == PAGECLIENT_PRIVATE)
		return error_set(-ENOTCONN, "private memory cannot be shared: start the daemon and "
					    "open again");
	return 0;
}

/* This thread's pcp, for its lane, and the table: in this order. */
static int share_begin(pageclient *client, struct member **ret_member)
{
	int r = share_check(client);

	if (r == 0)
		r = member_enter(client, ret_member);
	if (r < 0)
		return r;
	pcp_lock((*ret_member)->pcp);
	share_lock(client);
	return 0;
}

static void share_end(pageclient *client, struct member *member)
{
	share_unlock(client);
	pcp_unlock(member->pcp);
}

static int share_request(pageclient *client, struct pcp *pcp, struct message *request,
			 struct message_reply *ret_reply)
{
	int r;

	pcp_tell_released(client, pcp);
	r = lane_request(client, pcp, request, client->options.call_timeout_ms,
			 client->options.call_timeout_ms, ret_reply);
	pcp_tell_acquired();
	return r;
}

/* A share (to_client CLIENT_NONE) adds our first reference; a transfer takes our only one. */
static int share_locked(pageclient *client, struct pcp *pcp, pfn_t pfn, uint32_t to_client,
			uint64_t *ret_handle)
{
	struct message request = {.kind = MESSAGE_SHARE,
				  .share = {.pfn = pfn, .to_client = to_client}};
	struct share_entry *entry;
	struct message_reply reply;
	int r = share_reserve(client);

	if (r == 0)
		r = share_check_lent(client, pfn);
	if (r < 0)
		return r;
	entry = share_find(client->shares.entry, client->shares.capacity, pfn);
	if (to_client != CLIENT_NONE && entry->count > 1)
		return error_set(-EBUSY,
				 "this process holds the frame %u times: put all references "
				 "but one before the transfer",
				 entry->count);
	r = share_request(client, pcp, &request, &reply);
	if (r < 0)
		return r;
	if (to_client == CLIENT_NONE && entry->count == 0)
		share_add(client, pfn);
	if (to_client != CLIENT_NONE && entry->count == 1)
		share_remove(client, entry);
	*ret_handle = reply.result;
	return 0;
}

static int share_frame(pageclient *client, const void *frame, uint32_t to_client,
		       uint64_t *ret_handle)
{
	struct member *member;
	pfn_t pfn;
	int r = share_begin(client, &member);

	if (r < 0)
		return r;
	r = client_frame_pfn(client, frame, &pfn);
	r = r < 0 ? error_set(-EINVAL, "the address is not the start of a frame of this client")
		  : share_locked(client, member->pcp, pfn, to_client, ret_handle);
	share_end(client, member);
	return r;
}

int pageclient_share(pageclient *client, void *frame, uint64_t *ret_handle)
{
	return share_frame(client, frame, CLIENT_NONE, ret_handle);
}

int pageclient_transfer(pageclient *client, void *frame, uint32_t to_client, uint64_t *ret_handle)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	if (to_client == CLIENT_NONE || to_client == client->id)
		return error_set(-EINVAL, "a transfer goes to another client's id, as its "
					  "pageclient_read_status() gives it");
	return share_frame(client, frame, to_client, ret_handle);
}

static int import_locked(pageclient *client, struct pcp *pcp, uint64_t handle, void **ret_frame,
			 unsigned *ret_order)
{
	struct message request = {.kind = MESSAGE_IMPORT, .import = {.handle = handle}};
	struct message_reply reply;
	int r = share_reserve(client);

	if (r == 0)
		r = share_check_lent(client, (uint32_t)(handle >> 32));
	if (r == 0)
		r = share_request(client, pcp, &request, &reply);
	if (r < 0)
		return r;
	share_add(client, (uint32_t)(reply.result >> 32));
	*ret_frame = client->data + ((reply.result >> 32) << client->page_shift);
	if (ret_order)
		*ret_order = (unsigned)(reply.result & 31u);
	return 0;
}

int pageclient_import(pageclient *client, uint64_t handle, void **ret_frame, unsigned *ret_order)
{
	struct member *member;
	int r = share_begin(client, &member);

	if (r < 0)
		return r;
	r = import_locked(client, member->pcp, handle, ret_frame, ret_order);
	share_end(client, member);
	return r;
}

/* A put that is under way is done: nobody can stop it any more. */
static int put_locked(pageclient *client, struct pcp *pcp, pfn_t pfn)
{
	struct message request = {.kind = MESSAGE_PUT, .put = {.pfn = pfn}};
	struct share_entry *entry;
	struct message_reply reply;
	int r = share_check_lent(client, pfn);

	if (r < 0)
		return r;
	entry = share_find(client->shares.entry, client->shares.capacity, pfn);
	if (entry->count > 1) {
		entry->count--;
		return 0;
	}
	r = share_request(client, pcp, &request, &reply);
	if (r < 0 && lane_is_open_with(&pcp->lane, &request))
		r = 0;
	if (r == 0 && entry->count == 1)
		share_remove(client, entry);
	return r;
}

int pageclient_put(pageclient *client, void *frame)
{
	struct member *member;
	pfn_t pfn;
	int r = share_begin(client, &member);

	if (r < 0)
		return r;
	r = client_frame_pfn(client, frame, &pfn);
	r = r < 0 ? error_set(-EINVAL, "the address is not the start of a frame of this client")
		  : put_locked(client, member->pcp, pfn);
	share_end(client, member);
	return r;
}

size_t pageclient_share_bulk(pageclient *client, void *const *frames, size_t n_frames,
			     uint64_t *ret_handles)
{
	size_t done = 0;
	int r = 0;

	while (done < n_frames && r == 0) {
		r = pageclient_share(client, frames[done], &ret_handles[done]);
		done += r == 0;
	}
	if (r < 0)
		errno = -r;
	return done;
}

size_t pageclient_import_bulk(pageclient *client, const uint64_t *handles, size_t n_handles,
			      void **ret_frames)
{
	size_t done = 0;
	int r = 0;

	while (done < n_handles && r == 0) {
		r = pageclient_import(client, handles[done], &ret_frames[done], NULL);
		done += r == 0;
	}
	if (r < 0)
		errno = -r;
	return done;
}
