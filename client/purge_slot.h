/* client/purge_slot.h - the slots of a client's purge table: which are in use, the generations that
 * make handles stale, and what the daemon is told about rebuilding.
 *
 * The entries (shm/purge.h) lie in CTL. What the library keeps beside them is private memory, where
 * nobody can forge it. A slot begins and ends under purge_table.lock; who only pins compares the
 * generation before and after instead. */
#ifndef CLIENT_PURGE_SLOT_H
#define CLIENT_PURGE_SLOT_H
#include "paged/ids.h"
#include "shm/layout.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#include <pageclient/pageclient.h>
#pragma GCC visibility pop

#define SLOT_NONE UINT32_MAX
/* In place of a handle, for share_lend() and share_pass(): a slot that is just being filled. */
#define SLOT_SOON UINT64_C(0xffffffff)

struct purge_slot {
	uint32_t generation; /* atomic; of the handle: another one is stale */
	uint32_t next;       /* free slots */
	uint32_t missed_us;  /* atomic; when a pin found it purged, 0: not since it has a frame */
	bool shared;         /* it stands for the reference of a shared frame */
};

struct purge_table {
	pthread_mutex_t lock;          /* a slot begins, ends or is armed again */
	uint64_t *entry;               /* in CTL, or our own memory when PRIVATE */
	struct shm_purge_header *told; /* in CTL, or NULL: what the daemon may know */
	struct purge_slot *slot;       /* nr_max of them; address space until used */
	uint32_t nr_max;
	uint32_t nr_slots; /* with memory behind them */
	uint32_t nr_used;  /* atomic: were ever used */
	uint32_t free;     /* first of those that are free again, SLOT_NONE: none */
};

void purge_open(pageclient *client);
void purge_close(pageclient *client);
/* Slots that have a frame. O(slots used). */
uint64_t purge_count(pageclient *client);

/* With the lock held: the table is made before its first slot. 0 or -ENOMEM with the error set. */
int purge_table_make(pageclient *client);
/* With the lock held: a free slot, which purge_new() is to fill; SLOT_NONE: the table has to grow.
 */
uint32_t purge_slot_begin(pageclient *client);
/* With the lock held: its handles are stale from now on. */
void purge_slot_end(pageclient *client, uint32_t index);
pageclient_slot purge_slot_handle(const pageclient *client, uint32_t index);

/* Any thread. 0, and the slot was current a moment ago; -ESTALE with the error set. */
int purge_slot_find(const pageclient *client, pageclient_slot slot);
/* Was pfn purged from the slot, or is it about to be? Any number for a slot; no error is set. */
bool purge_slot_has_lost(const pageclient *client, pageclient_slot slot, pfn_t pfn);
/* A pin found the slot purged; word is its entry. Only the first one since counts. */
void purge_tell_refault(pageclient *client, pageclient_slot slot, uint64_t word);
/* It has a block of order again. */
void purge_tell_rebuild(pageclient *client, pageclient_slot slot, order_t order);

#endif
