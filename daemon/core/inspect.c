/* daemon/core/inspect.c - frames, magazines and purge tables, read for people. */
#include "daemon/core/inspect.h"

#include "daemon/core/magazine.h"
#include "daemon/core/purge.h"
#include "paged/bits.h"

#include <string.h>

/* --- the block -----------------------------------------------------------------------------------
 */

int inspect_frame(const struct pool *pool, pfn_t pfn, struct inspect_frame *ret_frame)
{
	struct inspect_frame frame = {0};
	struct page_word word;

	if (pfn >= pool->nr_frames)
		return POOL_BAD_PFN;
	frame.head = page_head(pool->buddy.map, pfn);
	word = page_get(pool->buddy.map, frame.head);
	frame.order = word.order;
	frame.gen = word.gen;
	frame.state = word.state;
	frame.isolated = word.flags & PAGE_ISOLATED;
	frame.owner = word.state == PAGE_OWNED ? word.owner : CLIENT_NONE;
	frame.type = buddy_type(&pool->buddy, pfn);
	memcpy(frame.zone, pool->buddy.zones[buddy_zone_of(&pool->buddy, pfn)].name,
	       sizeof frame.zone);
	if (word.state == PAGE_SHARED)
		frame.n_sharers =
			edge_clients(pool, frame.head, frame.gen, frame.sharer, INSPECT_SHARERS);
	*ret_frame = frame;
	return 0;
}

bool inspect_is_same(const struct inspect_frame *a, const struct inspect_frame *b)
{
	return a->head == b->head && a->order == b->order && a->gen == b->gen &&
	       a->state == b->state && a->owner == b->owner && a->n_sharers == b->n_sharers;
}

/* --- magazines -----------------------------------------------------------------------------------
 */

/* Slots are counted off *left. */
static enum inspect_found look_into(const struct magazine *magazine, pfn_t head, uint32_t *left)
{
	uint64_t top = magazine->head->top, bottom = shm_load(magazine->bottom);
	uint64_t n;

	if (!magazine_bottom_is_sane(magazine, bottom, top))
		return INSPECT_UNKNOWN;
	n = magazine_count(bottom, top);
	if (n > *left)
		return INSPECT_UNKNOWN;
	*left -= (uint32_t)n;
	for (uint64_t i = top; i < top + n; i++)
		if (shm_load32(&magazine->slot[i & magazine->mask]) == head)
			return INSPECT_FOUND;
	return INSPECT_ABSENT;
}

enum inspect_found inspect_magazines(const struct pool *pool, const struct inspect_frame *frame,
				     uint32_t *ret_thread, uint32_t *ret_magazine)
{
	enum inspect_found found = INSPECT_ABSENT;
	const struct pool_client *owner;
	uint32_t left = INSPECT_SLOTS;

	if (frame->state != PAGE_OWNED || frame->order > MAGAZINE_ORDER_MAX)
		return INSPECT_ABSENT;
	owner = &pool->client[frame->owner];
	if (owner->state != CLIENT_ATTACHED || !owner->ctl)
		return INSPECT_UNKNOWN;
	for (uint32_t t = 0; t < owner->max_threads; t++)
		for (uint32_t m = 0; owner->threads >> t & 1 && m < MAGAZINE_COUNT; m++) {
			struct magazine magazine;
			enum inspect_found here;

			if (magazine_order(m) != frame->order)
				continue;
			magazine = magazine_get(pool, frame->owner, t, m);
			here = look_into(&magazine, frame->head, &left);
			if (here == INSPECT_FOUND) {
				*ret_thread = t;
				*ret_magazine = m;
				return INSPECT_FOUND;
			}
			found = here == INSPECT_UNKNOWN ? here : found;
		}
	return found;
}

/* --- purge tables --------------------------------------------------------------------------------
 */

/* May the client have an entry that is, or was, of the frame? */
static bool is_candidate(const struct pool *pool, const struct inspect_frame *frame,
			 client_id client)
{
	uint32_t index;

	if (!purge_has_table(pool, client))
		return false;
	switch (frame->state) {
	case PAGE_OWNED:
		return client == frame->owner;
	case PAGE_SHARED:
		return edge_find(pool, frame->head, frame->gen, client, &index);
	case PAGE_FREE:
		return true;
	case PAGE_TAIL:
	case PAGE_RESERVED:
	case PAGE_BAD:
	case PAGE_NR_STATES:
		break;
	}
	return false;
}

/* An entry of the frame. Of several the one that still stands for it counts, then the one that was
 * purged last. */
static void note(const struct pool *pool, struct inspect_search *search, client_id client,
		 uint32_t slot, struct purge_entry entry)
{
	struct inspect_entry *best = &search->entry;
	uint32_t age = purge_age(pool->meta->generation, entry.stamp);
	bool is_purged = entry.pins > PURGE_PINS_MAX;

	if (search->found && (is_purged == best->is_purged ? age >= best->age : is_purged))
		return;
	search->found = true;
	*best = (struct inspect_entry){.client = client,
				       .slot = slot,
				       .pins = is_purged ? 0 : entry.pins,
				       .is_purged = is_purged,
				       .age = age,
				       .cost_ns = pool->client[client].cost.in_force_ns};
}

static void find_in(const struct pool *pool, struct inspect_search *search, client_id client,
		    uint32_t to)
{
	const uint64_t *table = purge_table(pool, client);

	for (uint32_t i = search->slot; i < to; i++) {
		struct purge_entry entry = purge_unpack(shm_load(&table[i]));

		if (entry.pfn == search->frame.head)
			note(pool, search, client, i, entry);
	}
}

/* The order of victim.h: tier by tier, in a tier by age / cost. Products stay below 2^59. */
static void count_in(const struct pool *pool, struct inspect_search *search, client_id client,
		     uint32_t to)
{
	const uint64_t *table = purge_table(pool, client);
	enum pool_tier tier = pool_client_tier(pool, client);
	enum pool_tier mine = pool_client_tier(pool, search->entry.client);
	uint64_t key = (search->entry.age + UINT64_C(1)) * pool->client[client].cost.in_force_ns;

	for (uint32_t i = search->slot; i < to; i++) {
		struct purge_entry entry = purge_unpack(shm_load(&table[i]));
		uint64_t age = purge_age(pool->meta->generation, entry.stamp);

		if (entry.pfn == PFN_NONE || entry.pins != 0)
			continue;
		search->n_before +=
			tier < mine || (age + 1) * bits_max(search->entry.cost_ns, 1) > key;
	}
}

/* Does this pass go through the client's table? */
static bool is_of_pass(const struct pool *pool, const struct inspect_search *search,
		       client_id client)
{
	if (!search->counting)
		return is_candidate(pool, &search->frame, client);
	return purge_has_table(pool, client) &&
	       pool_client_tier(pool, client) <= pool_client_tier(pool, search->entry.client);
}

int inspect_begin(const struct pool *pool, pfn_t pfn, struct inspect_search *ret_search)
{
	struct inspect_search search = {.client = 1};
	int r = inspect_frame(pool, pfn, &search.frame);

	if (r)
		return r;
	*ret_search = search;
	return 0;
}

/* The first pass is through; false: nothing is to be counted. */
static bool begin_count(struct inspect_search *search)
{
	if (search->counting || !search->found || search->entry.is_purged || search->entry.pins)
		return false;
	search->counting = true;
	search->client = 1;
	search->slot = 0;
	return true;
}

bool inspect_go_on(const struct pool *pool, struct inspect_search *search)
{
	uint32_t left = INSPECT_SLICE;

	for (; search->client <= pool->last_table; search->client++, search->slot = 0) {
		client_id client = (client_id)search->client;
		uint32_t to;

		if (!is_of_pass(pool, search, client))
			continue;
		to = (uint32_t)bits_min(pool->client[client].purge_slots,
					(uint64_t)search->slot + left);
		left -= to > search->slot ? to - search->slot : 0;
		if (search->counting)
			count_in(pool, search, client, to);
		else
			find_in(pool, search, client, to);
		search->slot = to;
		if (to < pool->client[client].purge_slots)
			return false;
	}
	return !begin_count(search);
}
