/* daemon/core/journal.c - fill, commit, apply; see journal.h. */
#include "daemon/core/journal.h"

#include "daemon/core/pool_private.h"

static uint64_t *magazine_target(const struct pool *pool, uint64_t index, bool saved)
{
	uint64_t client = index >> 16;
	uint32_t thread = index >> 8 & 0xffu, magazine = index & 0xffu;

	if (client < 1 || client > SHM_MAX_CLIENTS || thread >= SHM_MAX_THREADS ||
	    magazine >= MAGAZINE_COUNT)
		return NULL;
	return saved ? pool_saved_top(pool, (client_id)client, thread, magazine)
		     : &pool_head(pool, (client_id)client, thread, magazine)->top;
}

static uint64_t *lane_target(const struct pool *pool, uint64_t index, bool seq)
{
	uint64_t client = index >> 8;
	uint32_t lane = index & 0xffu;
	struct shm_lane *target;

	if (client < 1 || client > SHM_MAX_CLIENTS || lane >= SHM_MAX_LANES)
		return NULL;
	target = &pool_state_client(pool, (client_id)client)->lanes[lane];
	return seq ? &target->seq : &target->result;
}

#define INDEX_BITS 56u /* of an item's where: the rest says of what */
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)

/* The word that an item goes to; NULL for one that no server of ours wrote. */
static uint64_t *item_target(const struct pool *pool, uint64_t where)
{
	uint64_t index = where & INDEX_MASK;

	switch ((enum journal_where)(where >> INDEX_BITS)) {
	case JOURNAL_WORD:
		return index < pool->nr_frames ? &pool->buddy.map[index].word : NULL;
	case JOURNAL_TOP:
		return magazine_target(pool, index, false);
	case JOURNAL_SAVED_TOP:
		return magazine_target(pool, index, true);
	case JOURNAL_LANE_SEQ:
		return lane_target(pool, index, true);
	case JOURNAL_LANE_RESULT:
		return lane_target(pool, index, false);
	case JOURNAL_EDGE_FRAME:
		return index < pool->edges_end ? &pool->edges[index].frame : NULL;
	case JOURNAL_EDGE_CLIENT:
		return index < pool->edges_end ? &pool->edges[index].client : NULL;
	}
	return NULL;
}

static void add(struct pool *pool, enum journal_where where, uint64_t index, uint64_t value)
{
	struct shm_journal_item *item = &pool->journal->item[pool->n_journal++];

	shm_store(&item->where, (uint64_t)where << INDEX_BITS | index);
	shm_store(&item->value, value);
}

void journal_add(struct pool *pool, enum journal_where where, uint64_t index, uint64_t value)
{
	PAGED_CHECK(pool->n_journal < SHM_JOURNAL_ITEMS);
	add(pool, where, index, value);
}

void journal_word(struct pool *pool, pfn_t pfn, struct page_word word)
{
	journal_add(pool, JOURNAL_WORD, pfn, page_word_pack(word));
}

void journal_owned_words(struct pool *pool, const pfn_t *pfn, uint32_t n, client_id client)
{
	const struct shm_page *map = pool->buddy.map;

	PAGED_CHECK(pool->n_journal + (uint64_t)n <= SHM_JOURNAL_ITEMS);
	for (uint32_t i = 0; i < n; i++)
		add(pool, JOURNAL_WORD, pfn[i],
		    page_word_pack(page_owned_word(map, pfn[i], client)));
}

void journal_free_words(struct pool *pool, const pfn_t *pfn, uint32_t n, order_t order)
{
	const struct shm_page *map = pool->buddy.map;

	PAGED_CHECK(pool->n_journal + (uint64_t)n <= SHM_JOURNAL_ITEMS);
	for (uint32_t i = 0; i < n; i++)
		add(pool, JOURNAL_WORD, pfn[i], page_word_pack(page_free_word(map, pfn[i], order)));
}

void journal_lane(struct pool *pool, client_id client, uint32_t lane, uint64_t seq, uint64_t result)
{
	if (lane >= SHM_MAX_LANES)
		return;
	/* The result first: a seq that is there promises its result, though the journal makes both
	 * one. */
	journal_add(pool, JOURNAL_LANE_RESULT, (uint64_t)client << 8 | lane, result);
	journal_add(pool, JOURNAL_LANE_SEQ, (uint64_t)client << 8 | lane, seq);
}

static void apply(struct pool *pool, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		const struct shm_journal_item *item = &pool->journal->item[i];
		uint64_t index = item->where & INDEX_MASK;

		/* Nearly all are words; they were looked at by replay, or are ours. */
		if (item->where >> INDEX_BITS == JOURNAL_WORD)
			shm_store(&pool->buddy.map[index].word, item->value);
		else
			shm_store(item_target(pool, item->where), item->value);
	}
	shm_store(&pool->journal->n, 0);
}

void journal_commit(struct pool *pool)
{
	uint32_t n = pool->n_journal;

	pool->n_journal = 0;
	if (n == 0)
		return;
	shm_store(&pool->journal->n, n);
	apply(pool, n);
}

bool journal_replay(struct pool *pool)
{
	uint64_t n = shm_load(&pool->journal->n);

	if (n > SHM_JOURNAL_ITEMS)
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!item_target(pool, pool->journal->item[i].where))
			return false;
	apply(pool, n);
	return true;
}
