/* daemon/core/recovery.c - from META and STATE alone back to lists and counts, after a stop or a
 * crash at any store.
 *
 * In this order, because each step relies on the one before:
 *   the journal was replayed (pool_attach), so words, tops and lanes agree with each other;
 *   top = saved_top wherever a claim was under way: the owner has its frames back;
 *   clients that were ATTACHED are so again (the session decides who still lives), DYING ones are
 * swept by the session; the walk over the heads of every zone builds free lists and owners' lists
 * and counts; edges that name no SHARED block go, SHARED blocks without an edge become FREE; free
 * buddies that a crash kept apart merge. A walk that meets what no crash leaves (TAIL where a head
 * must be, a wrong alignment, a block across the end of its zone) marks the frames up to the next
 * OWNED or SHARED word, always a head, or the zone's end BAD; so does a block that was granted in
 * a hole, for itself. Needs no client. */
#include "daemon/core/pool_private.h"

#include "paged/bits.h"

static void restore_tops(struct pool *pool, client_id client)
{
	for (uint32_t thread = 0; thread < SHM_MAX_THREADS; thread++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
			uint64_t *saved = pool_saved_top(pool, client, thread, m);

			if (*saved == 0)
				continue;
			shm_store(&pool_head(pool, client, thread, m)->top, *saved);
			shm_store(saved, 0);
		}
}

static void restore_client(struct pool *pool, client_id client)
{
	const struct shm_record *record = &pool_state_client(pool, client)->record;
	struct pool_client *slot = &pool->client[client];
	struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t status = shm_load(&pool->status[client - 1]);

	slot->owned = PFN_NONE;
	shown->nr_owned = 0;
	shown->nr_shared = 0;
	if (status == SHM_RECORD_FREE) {
		shm_store32(&shown->state, SHM_CLIENT_FREE);
		return;
	}
	restore_tops(pool, client);
	slot->max_threads = (uint32_t)bits_min(record->max_threads, SHM_MAX_THREADS);
	slot->state = status == SHM_RECORD_ATTACHED ? CLIENT_ATTACHED : CLIENT_DYING;
	/* Without a CTL no magazine may be looked at: the threads come back with the resume. */
	shm_store32(&shown->state,
		    status == SHM_RECORD_ATTACHED ? SHM_CLIENT_AWAY : SHM_CLIENT_DYING);
}

static bool head_is_sane(const struct page_word *word, pfn_t pfn, pfn_t end)
{
	return word->state > PAGE_TAIL && word->state < PAGE_NR_STATES &&
	       word->order <= ORDER_MAX && (pfn & ((1u << word->order) - 1)) == 0 &&
	       (uint64_t)pfn + (1u << word->order) <= end;
}

/* [from, to) becomes a row of BAD heads. Returns its frames. */
static uint64_t mark_bad(struct pool *pool, pfn_t from, pfn_t to)
{
	for (pfn_t pfn = from; pfn < to;) {
		order_t order = buddy_fit(pfn, to);

		page_set(pool->buddy.map, pfn,
			 (struct page_word){.state = PAGE_BAD,
					    .order = order,
					    .gen = page_get(pool->buddy.map, pfn).gen});
		pfn += 1u << order;
	}
	return to - from;
}

/* The next word that is a head for sure, or the zone's end. Reads every word: the price of damage.
 */
static pfn_t next_sure_head(const struct pool *pool, pfn_t pfn, pfn_t end)
{
	for (pfn++; pfn < end; pfn++) {
		struct page_word word = page_get(pool->buddy.map, pfn);

		if ((word.state == PAGE_OWNED || word.state == PAGE_SHARED) &&
		    head_is_sane(&word, pfn, end))
			return pfn;
	}
	return end;
}

/* A BAD block that reaches over a sure head: its order is wrong. They are few, so each word is
 * read; of other blocks that would be the whole map. */
static bool swallows(const struct pool *pool, const struct page_word *word, pfn_t pfn)
{
	pfn_t end = pfn + (1u << word->order);

	return word->state == PAGE_BAD && next_sure_head(pool, pfn, end) < end;
}

/* Granted without memory behind it: the word or the type of its pageblock is wrong. */
static bool is_in_doubt(const struct pool *pool, const struct page_word *word, pfn_t pfn)
{
	return (word->state == PAGE_OWNED || word->state == PAGE_SHARED) &&
	       buddy_type(&pool->buddy, pfn) == MIGRATE_HOLE;
}

static bool owner_exists(const struct pool *pool, client_id owner)
{
	return owner >= 1 && owner <= SHM_MAX_CLIENTS && pool->client[owner].state != CLIENT_UNUSED;
}

static void take_in(struct pool *pool, struct shm_zone *zone, pfn_t pfn, struct page_word word)
{
	uint64_t frames = UINT64_C(1) << word.order;

	if (word.state == PAGE_OWNED && !owner_exists(pool, word.owner)) {
		word.state = PAGE_FREE;
		pool_note_damage(&pool->damage.orphans, pfn, frames);
	}
	switch (word.state) {
	case PAGE_OWNED:
		quota_charge_block(pool, word.owner, pfn, word.order);
		break;
	case PAGE_FREE:
		page_set(pool->buddy.map, pfn, page_free_word(pool->buddy.map, pfn, word.order));
		buddy_insert(&pool->buddy, pfn);
		break;
	case PAGE_SHARED:
		pool_add(pool, COUNTER_nr_shared, frames);
		break;
	case PAGE_RESERVED:
		buddy_take_in_reserved(&pool->buddy, (uint32_t)(zone - pool->buddy.zones), pfn);
		break;
	case PAGE_BAD:
		zone->managed -= frames;
		break;
	case PAGE_TAIL:
	case PAGE_NR_STATES:
		break;
	}
}

static uint64_t walk_zone(struct pool *pool, struct shm_zone *zone)
{
	uint64_t bad = 0;

	zone->managed = zone->end_pfn - zone->start_pfn;
	zone->nr_free = 0;
	zone->nr_hole = 0;
	for (order_t order = 0; order < ORDER_COUNT; order++)
		for (uint32_t type = 0; type < MIGRATE_TYPES; type++)
			zone->nr_blocks[order][type] = 0;
	for (pfn_t pfn = zone->start_pfn; pfn < zone->end_pfn;) {
		struct page_word word = page_get(pool->buddy.map, pfn);
		bool sane = head_is_sane(&word, pfn, zone->end_pfn) && !swallows(pool, &word, pfn);

		page_fetch_ahead(pool->buddy.map, pfn);
		if (!sane || is_in_doubt(pool, &word, pfn)) {
			pfn_t next = sane ? pfn + (1u << word.order)
					  : next_sure_head(pool, pfn, zone->end_pfn);

			bad += mark_bad(pool, pfn, next);
			pool_note_damage(&pool->damage.bad, pfn, next - pfn);
			zone->managed -= next - pfn;
			pfn = next;
			continue;
		}
		take_in(pool, zone, pfn, word);
		pfn += 1u << word.order;
	}
	return bad;
}

/* SHARED blocks have their edges counted; those without one are free. Free buddies merge. */
static void settle_zone(struct pool *pool, const struct shm_zone *zone)
{
	for (pfn_t pfn = zone->start_pfn; pfn < zone->end_pfn;) {
		struct page_word word = page_get(pool->buddy.map, pfn);

		page_fetch_ahead(pool->buddy.map, pfn);
		if (word.state == PAGE_SHARED && edge_count(pool, pfn, word.gen) == 0) {
			pool_add(pool, COUNTER_nr_shared, -(UINT64_C(1) << word.order));
			page_set(pool->buddy.map, pfn,
				 page_free_word(pool->buddy.map, pfn, word.order));
			buddy_insert(&pool->buddy, pfn);
			word.state = PAGE_FREE;
		}
		if (word.state == PAGE_FREE)
			pfn = buddy_merge(&pool->buddy, pfn);
		pfn += 1u << page_get(pool->buddy.map, pfn).order;
	}
}

static void charge_edges(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->edge_fresh; i++) {
		const struct shm_edge *edge = &pool->edges[i];

		if (edge->client == 0)
			continue;
		quota_charge_shared(pool, (client_id)edge->client,
				    page_get(pool->buddy.map, (pfn_t)(edge->frame >> 32)).order);
	}
}

uint64_t recovery_run(struct pool *pool)
{
	uint64_t bad = 0;

	shm_store(&pool->counters[COUNTER_nr_owned], 0);
	shm_store(&pool->counters[COUNTER_nr_shared], 0);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		restore_client(pool, id);
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		bad += walk_zone(pool, &pool->buddy.zones[z]);
	edge_rebuild(pool);
	charge_edges(pool);
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		settle_zone(pool, &pool->buddy.zones[z]);
	return bad;
}
