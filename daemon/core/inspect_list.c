/* daemon/core/inspect_list.c - frames of magazines and of purge tables, in slices. */
#include "daemon/core/inspect_list.h"

#include "daemon/core/magazine.h"
#include "daemon/core/purge.h"
#include "paged/bits.h"

#include <string.h>

/* Adds the block at pfn if the client owns it. false: it does not fit, and is for the next slice.
 */
static bool add(const struct pool *pool, client_id client, pfn_t pfn, struct inspect_list *list)
{
	struct inspect_run *last = list->n_runs ? &list->run[list->n_runs - 1] : NULL;
	struct page_word word;

	if (pfn >= pool->nr_frames)
		return true;
	word = pool_word(pool, pfn);
	if (word.state != PAGE_OWNED || word.owner != client)
		return true;
	if (last && (uint64_t)last->first + last->n_frames == pfn) {
		last->n_frames += 1u << word.order;
		return true;
	}
	if (list->n_runs == INSPECT_RUNS)
		return false;
	list->run[list->n_runs++] = (struct inspect_run){pfn, 1u << word.order};
	return true;
}

/* --- magazines -----------------------------------------------------------------------------------
 */

/* From the slot *offset above top on, which follows; slots are counted off *left. false: the slice
 * ends here. */
static bool add_magazine(const struct pool *pool, client_id client, const struct magazine *magazine,
			 uint64_t *offset, uint32_t *left, struct inspect_list *list)
{
	uint64_t top = magazine->head->top, bottom = shm_load(magazine->bottom), n;

	if (!magazine_bottom_is_sane(magazine, bottom, top))
		return true;
	for (n = magazine_count(bottom, top); *offset < n; ++*offset, --*left) {
		uint64_t index = (top + *offset) & magazine->mask;

		if (!*left || !add(pool, client, shm_load32(&magazine->slot[index]), list))
			return false;
	}
	return true;
}

/* at is the number of a magazine and, in its lower half, a slot of it. */
void inspect_list_magazines(const struct pool *pool, client_id client, uint64_t at,
			    struct inspect_list *ret_list)
{
	const struct pool_client *owner = &pool->client[client];
	uint64_t index = at >> 32, offset = at & UINT32_MAX;
	uint32_t left = INSPECT_LIST_SLICE;

	memset(ret_list, 0, sizeof(*ret_list));
	ret_list->at = INSPECT_LIST_END;
	if (owner->state != CLIENT_ATTACHED || !owner->ctl)
		return;
	for (; index < (uint64_t)owner->max_threads * MAGAZINE_COUNT; index++, offset = 0) {
		uint32_t thread = (uint32_t)(index / MAGAZINE_COUNT);
		struct magazine magazine;

		if (!(owner->threads >> thread & 1))
			continue;
		magazine = magazine_get(pool, client, thread, (uint32_t)(index % MAGAZINE_COUNT));
		if (add_magazine(pool, client, &magazine, &offset, &left, ret_list))
			continue;
		ret_list->at = index << 32 | offset;
		return;
	}
}

/* --- purge tables --------------------------------------------------------------------------------
 */

/* at is a slot. */
void inspect_list_purgeable(const struct pool *pool, client_id client, uint64_t at,
			    struct inspect_list *ret_list)
{
	const uint64_t *table;
	uint64_t to;

	memset(ret_list, 0, sizeof(*ret_list));
	ret_list->at = INSPECT_LIST_END;
	if (!purge_has_table(pool, client) || at >= pool->client[client].purge_slots)
		return;
	table = purge_table(pool, client);
	to = bits_min(at + INSPECT_LIST_SLICE, pool->client[client].purge_slots);
	for (; at < to; at++) {
		struct purge_entry entry = purge_unpack(shm_load(&table[at]));

		if (entry.pins == 0 && !add(pool, client, entry.pfn, ret_list))
			break;
	}
	if (at < pool->client[client].purge_slots)
		ret_list->at = at;
}
