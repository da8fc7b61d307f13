/* daemon/core/pool_check.c - the audit: recount everything from zero and compare with what is kept.
 *
 * Reads words, lists, edges and magazines as they are now, never what was counted before, and names
 * the first invariant that does not hold. It is the oracle of the model and simulation tests and
 * the online `pagectl check`. */
#include "daemon/core/magazine.h"
#include "paged/bits.h"

#include <string.h>

struct audit {
	const struct pool *pool;
	char *text;
	uint32_t text_bytes;
	uint32_t at;
	uint64_t owned[SHM_MAX_CLIENTS + 1];  /* frames of OWNED heads */
	uint64_t blocks[SHM_MAX_CLIENTS + 1]; /* OWNED heads */
	uint64_t shared[SHM_MAX_CLIENTS + 1]; /* frames of edges */
	uint64_t given[SHM_MAX_CLIENTS + 1];  /* those of them that wait for an import */
	uint32_t edges[SHM_MAX_CLIENTS + 1];  /* entries that count for it */
};

static void put_text(struct audit *audit, const char *s)
{
	while (*s && audit->at + 1 < audit->text_bytes)
		audit->text[audit->at++] = *s++;
	if (audit->text_bytes)
		audit->text[audit->at] = '\0';
}

static void put_number(struct audit *audit, uint64_t n)
{
	char digits[21];
	uint32_t i = sizeof digits - 1;

	digits[i] = '\0';
	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	put_text(audit, &digits[i]);
}

/* "I4: walk meets tail at pfn 17" */
static int broken(struct audit *audit, const char *what, const char *unit, uint64_t n)
{
	put_text(audit, what);
	put_text(audit, unit);
	put_number(audit, n);
	return POOL_CORRUPT;
}

/* What the walk over one zone counted. */
struct zone_count {
	uint64_t frames, managed, free, hole, reserved;
	uint32_t blocks[ORDER_COUNT][MIGRATE_TYPES]; /* FREE and not ISOLATED */
};

static int count_head(struct audit *audit, pfn_t pfn, struct page_word word,
		      struct zone_count *count)
{
	uint64_t frames = UINT64_C(1) << word.order;
	enum migratetype type = buddy_type(&audit->pool->buddy, pfn);

	count->frames += frames;
	count->managed += word.state == PAGE_RESERVED || word.state == PAGE_BAD ? 0 : frames;
	count->reserved += word.state == PAGE_RESERVED ? frames : 0;
	switch (word.state) {
	case PAGE_FREE:
		count->free += frames;
		count->hole += type == MIGRATE_HOLE ? frames : 0;
		if (!(word.flags & PAGE_ISOLATED))
			count->blocks[word.order][type]++;
		return 0;
	case PAGE_OWNED:
		if (word.owner < 1 || word.owner > SHM_MAX_CLIENTS ||
		    audit->pool->client[word.owner].state < CLIENT_ATTACHED)
			return broken(audit, "I1: owned by a client that does not exist", ", pfn ",
				      pfn);
		if (type == MIGRATE_HOLE)
			return broken(audit, "I2: granted without memory behind it", ", pfn ", pfn);
		audit->owned[word.owner] += frames;
		audit->blocks[word.owner]++;
		return 0;
	case PAGE_SHARED:
		if (edge_count(audit->pool, pfn, word.gen) == 0)
			return broken(audit, "I1: shared without an edge", ", pfn ", pfn);
		return 0;
	case PAGE_RESERVED:
	case PAGE_BAD:
		return 0;
	case PAGE_TAIL:
	case PAGE_NR_STATES:
		break;
	}
	return broken(audit, "I4: the walk meets a word that is no head", ", pfn ", pfn);
}

static int check_list(struct audit *audit, uint32_t z, order_t order, enum migratetype type,
		      uint32_t wanted)
{
	const struct buddy *buddy = &audit->pool->buddy;
	pfn_t prev = PFN_NONE, pfn = buddy->lists[z][order][type];
	uint32_t n = 0;

	for (; pfn != PFN_NONE && n <= wanted; n++) {
		struct page_word word;

		if (pfn >= buddy->nr_frames)
			return broken(audit, "I1: a free list leads out of the map", ", pfn ", pfn);
		word = page_get(buddy->map, pfn);
		if (word.state != PAGE_FREE || word.order != order || word.flags ||
		    buddy_type(buddy, pfn) != type)
			return broken(audit, "I1: a free list holds what is not a free block of it",
				      ", pfn ", pfn);
		if (buddy->map[pfn].prev != prev)
			return broken(audit, "I1: a free list is not linked back", ", pfn ", pfn);
		prev = pfn;
		pfn = buddy->map[pfn].next;
	}
	if (n != wanted)
		return broken(audit, "I1: free blocks that are on no list", ", order ", order);
	if (buddy->zones[z].nr_blocks[order][type] != wanted)
		return broken(audit, "I5: the count of free blocks is wrong", ", order ", order);
	return 0;
}

static int check_zone(struct audit *audit, uint32_t z)
{
	const struct buddy *buddy = &audit->pool->buddy;
	const struct shm_zone *zone = &buddy->zones[z];
	struct zone_count count;
	int r = 0;

	memset(&count, 0, sizeof count);
	for (pfn_t pfn = zone->start_pfn; pfn < zone->end_pfn && !r;) {
		struct page_word word = page_get(buddy->map, pfn);

		if (word.state == PAGE_TAIL || word.state >= PAGE_NR_STATES ||
		    word.order > ORDER_MAX || (pfn & ((1u << word.order) - 1)) ||
		    (uint64_t)pfn + (1u << word.order) > zone->end_pfn)
			return broken(audit, "I4: heads do not tile the zone", ", pfn ", pfn);
		PAGED_DEBUG_CHECK(page_head(buddy->map, pfn) == pfn);
		r = count_head(audit, pfn, word, &count);
		pfn += 1u << word.order;
	}
	for (order_t order = 0; order < ORDER_COUNT && !r; order++)
		for (uint32_t type = 0; type < MIGRATE_TYPES && !r; type++)
			r = check_list(audit, z, order, (enum migratetype)type,
				       count.blocks[order][type]);
	if (r)
		return r;
	if (count.managed != zone->managed)
		return broken(audit, "I5: managed is wrong", ", counted ", count.managed);
	if (count.reserved != buddy->nr_reserved[z])
		return broken(audit, "I5: the count of what is out of use is wrong", ", counted ",
			      count.reserved);
	if (count.free != zone->nr_free || count.hole != zone->nr_hole)
		return broken(audit, "I5: nr_free or nr_hole is wrong", ", counted free ",
			      count.free);
	return 0;
}

static int count_edges(struct audit *audit)
{
	const struct pool *pool = audit->pool;

	for (uint32_t i = 0; i < pool->edge_fresh; i++) {
		const struct shm_edge *edge = &pool->edges[i];
		pfn_t pfn = (pfn_t)(edge->frame >> 32);
		struct page_word word;

		if (edge->client == 0)
			continue;
		if (edge->client > SHM_MAX_CLIENTS ||
		    pool->client[edge->client].state < CLIENT_ATTACHED)
			return broken(audit, "I1: an edge of nobody", ", edge ", i);
		word = pfn < pool->nr_frames ? page_get(pool->buddy.map, pfn)
					     : (struct page_word){.state = PAGE_TAIL};
		if (word.state != PAGE_SHARED || word.gen != (uint32_t)edge->frame)
			return broken(audit, "I1: an edge that names no shared block", ", pfn ",
				      pfn);
		audit->shared[edge->client] += UINT64_C(1) << word.order;
		if (pool->edge_payer[i] & EDGE_GIVEN)
			audit->given[edge->client] += UINT64_C(1) << word.order;
		if ((pool->edge_payer[i] & ~EDGE_GIVEN) > SHM_MAX_CLIENTS)
			return broken(audit, "I8: an edge that counts for nobody", ", edge ", i);
		audit->edges[pool->edge_payer[i] & ~EDGE_GIVEN]++;
	}
	return 0;
}

static int check_owner(struct audit *audit, client_id client)
{
	const struct pool *pool = audit->pool;
	const struct pool_client *slot = &pool->client[client];
	const struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t n = 0;

	for (pfn_t pfn = slot->owned; pfn != PFN_NONE && n <= audit->blocks[client];
	     pfn = pool->buddy.map[pfn].next, n++) {
		struct page_word word;

		if (pfn >= pool->nr_frames)
			return broken(audit, "I1: an owner's list leads out of the map", ", pfn ",
				      pfn);
		word = page_get(pool->buddy.map, pfn);
		if (word.state != PAGE_OWNED || word.owner != client)
			return broken(audit, "I1: an owner's list holds what it does not own",
				      ", pfn ", pfn);
	}
	if (n != audit->blocks[client])
		return broken(audit, "I1: owned blocks that are not on their owner's list",
			      ", client ", client);
	if (audit->owned[client] != shown->nr_owned || audit->shared[client] != shown->nr_shared)
		return broken(audit, "I8: the charge is not blocks plus edges", ", client ",
			      client);
	if (audit->edges[client] != slot->nr_edges || audit->given[client] != slot->nr_given)
		return broken(audit, "I8: edges are counted wrong", ", client ", client);
	return 0;
}

static int check_magazines(struct audit *audit, client_id client)
{
	const struct pool *pool = audit->pool;
	uint64_t threads = pool->client[client].threads;

	for (uint32_t i = 0; i < SHM_MAX_THREADS * MAGAZINE_COUNT; i++)
		if (shm_load(&pool_state_client(pool, client)->saved_top[i]) && !pool->n_claims)
			return broken(audit, "I6: a saved top outside a claim", ", client ",
				      client);
	for (; threads && !pool_meta_client(pool, client)->nr_hostile; threads &= threads - 1)
		for (uint32_t m = 0; m < MAGAZINE_COUNT && !pool->n_claims; m++) {
			struct magazine magazine =
				magazine_get(pool, client, (uint32_t)__builtin_ctzll(threads), m);
			uint64_t top = magazine.head->top;

			if (magazine_bottom_is_sane(&magazine, shm_load(magazine.bottom), top))
				continue;
			(void)broken(audit, "I6: bottom and top do not fit the ring", ", client ",
				     client);
			return POOL_HOSTILE;
		}
	return 0;
}

uint32_t pool_note_liars(struct pool *pool)
{
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		char text[1];
		struct audit audit = {.pool = pool, .text = text};

		if (pool->client[id].state != CLIENT_ATTACHED ||
		    check_magazines(&audit, id) != POOL_HOSTILE)
			continue;
		pool_note_hostile(pool, id);
		n++;
	}
	return n;
}

int pool_check(const struct pool *pool, char *text, uint32_t text_bytes)
{
	struct audit audit;
	int r = 0;

	memset(&audit, 0, sizeof audit);
	audit.pool = pool;
	audit.text = text;
	audit.text_bytes = text_bytes;
	put_text(&audit, "");
	if (shm_load(&pool->journal->n) != 0)
		return broken(&audit, "I7: the journal is not empty", ", items ", pool->journal->n);
	for (uint32_t z = 0; z < pool->buddy.nr_zones && !r; z++)
		r = check_zone(&audit, z);
	if (r)
		return r;
	r = count_edges(&audit);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS && !r; id++) {
		if (pool->client[id].state < CLIENT_ATTACHED) {
			if (audit.owned[id] || audit.shared[id])
				r = broken(&audit, "I1: frames of nobody", ", client ", id);
			continue;
		}
		r = check_owner(&audit, id);
		if (!r)
			r = check_magazines(&audit, id);
	}
	return r;
}
