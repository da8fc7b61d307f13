/* client/magazine.c - the owner's end of a magazine, many frames at a time.
 *
 *        stolen by the daemon      granted        popped and pushed by the owner
 *   ------------------------> top ............................ bottom ------>
 *
 * The protocol is that of pageclient/fast.h, for one frame; here for n. A pop claims [bottom - n,
 * bottom) by one store of bottom, then looks at top. The daemon claims by a store of top, then
 * membarrier(), then looks at bottom. So of two claims that overlap at least one side sees the
 * other's: if the owner's store came first the daemon sees it after its barrier and settles for
 * what is below; else the owner sees top above its claim, keeps what lies from top on, and gives
 * the rest back by storing bottom = top, or, where nothing is left, the bottom it began with. That
 * is a plain store, because the daemon takes only what lies below the bottom that it saw. A claim
 * is never longer than what lay there a moment before, so bottom stays near top. */
#include "client/client_private.h"

#include "client/near.h"
#include "paged/bits.h"

void magazine_attach(struct magazine *magazine, pageclient *client, uint32_t thread,
		     uint32_t number)
{
	magazine->head = shm_view_head(&client->view, client->id, thread, number);
	magazine->bottom =
		(uint64_t *)(void *)(client->ctl + shm_ctl_bottom_offset(thread, number));
	magazine->slot = (uint32_t *)(void *)(client->ctl + shm_ctl_slots_offset(thread, number));
	magazine->mask = shm_load32(&magazine->head->capacity) - 1u;
}

/* Claims up to n slots. Returns how many are the owner's now, from *ret_first on. */
static size_t magazine_claim(struct magazine *magazine, size_t n, uint64_t *ret_first)
{
	uint64_t bottom = __atomic_load_n(magazine->bottom, __ATOMIC_RELAXED);
	uint64_t top = shm_load(&magazine->head->top); /* acquire; pairs with the grant's store */
	int64_t left = (int64_t)(bottom - top);
	uint64_t first;

	if (left <= 0)
		return 0;
	n = (size_t)bits_min(n, (uint64_t)left);
	first = bottom - n;
	__atomic_store_n(magazine->bottom, first, __ATOMIC_RELAXED);
	__asm__ volatile("" ::: "memory");    /* pairs with membarrier() in the daemon's steal */
	top = shm_load(&magazine->head->top); /* acquire; pairs with the store of grant and steal */
	*ret_first = first;
	if ((int64_t)(first - top) >= 0)
		return n;
	if ((int64_t)(bottom - top) <= 0) {
		__atomic_store_n(magazine->bottom, bottom, __ATOMIC_RELAXED);
		return 0;
	}
	__atomic_store_n(magazine->bottom, top, __ATOMIC_RELAXED);
	*ret_first = top;
	return (size_t)(bottom - top);
}

/* Slots that lie in a row from index on. */
static size_t row_at(const struct magazine *magazine, uint64_t index, size_t n)
{
	return (size_t)bits_min(n, magazine->mask + 1 - (index & magazine->mask));
}

size_t magazine_pop(struct magazine *magazine, const pageclient *client, void **ret_frames,
		    size_t n)
{
	uint64_t first = 0;
	size_t row;

	n = magazine_claim(magazine, n, &first);
	row = row_at(magazine, first, n);
	slots_read(magazine->slot + (first & magazine->mask), row, client->data, client->page_shift,
		   ret_frames);
	if (row < n) /* the ring's end lies between them */
		slots_read(magazine->slot, n - row, client->data, client->page_shift,
			   ret_frames + row);
	return n;
}

/* How many of n, from the first on, are addresses of blocks of that order. */
static size_t count_blocks(const pageclient *client, void *const *frames, size_t n, uint64_t unit)
{
	size_t i = 0;

	for (; i < n; i++) {
		uint64_t offset =
			(uint64_t)(uintptr_t)frames[i] - (uint64_t)(uintptr_t)client->data;

		if (offset >= client->data_bytes || (offset & (unit - 1)) != 0)
			break;
	}
	return i;
}

/* Writes frames into slots from bottom on, where nobody looks before bottom is stored. Returns how
 * many are good; all of them, mostly, so that is looked at afterwards, and at all together. */
static size_t write_all(struct magazine *magazine, const pageclient *client, uint64_t bottom,
			void *const *frames, size_t n, order_t order)
{
	size_t row = row_at(magazine, bottom, n);
	uint64_t bits =
		client->slots_write(magazine->slot + (bottom & magazine->mask), row, client->data,
				    client->page_shift, frames, client->nr_frames);

	if (row < n) /* the ring's end lies between them */
		bits |= client->slots_write(magazine->slot, n - row, client->data,
					    client->page_shift, frames + row, client->nr_frames);
	return near_is_foreign(client, bits, order)
		       ? count_blocks(client, frames, n,
				      (uint64_t)1 << (client->page_shift + order))
		       : n;
}

size_t magazine_push(struct magazine *magazine, const pageclient *client, void *const *frames,
		     size_t n, order_t order, enum magazine_stop *ret_stop)
{
	uint64_t bottom = __atomic_load_n(magazine->bottom, __ATOMIC_RELAXED);
	/* acquire; pairs with the store of a steal: the slots below top have been read */
	uint64_t top = shm_load(&magazine->head->top);
	int64_t room = (int64_t)(shm_load(&magazine->head->high) - (bottom - top));
	size_t most = room > 0 ? (size_t)bits_min(n, (uint64_t)room) : 0;
	size_t take = write_all(magazine, client, bottom, frames, most, order);

	*ret_stop = take < most ? MAGAZINE_STOP_FOREIGN
		    : take < n  ? MAGAZINE_STOP_FULL
				: MAGAZINE_STOP_NONE;
	if (__tsan_release)
		__tsan_release(magazine->bottom);
	/* release; pairs with the acquire of bottom in the daemon's steal: it sees the slots */
	if (take > 0)
		__atomic_store_n(magazine->bottom, bottom + take, __ATOMIC_RELEASE);
	return take;
}
