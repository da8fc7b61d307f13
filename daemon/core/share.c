/* daemon/core/share.c - shared blocks: an edge {pfn, gen, client} in STATE for each client that
 * refers to one.
 *
 * The reference count of a SHARED block is the number of its edges; clients never write it. Share,
 * import, transfer and put change edges, word and lane in one journal; the block is FREE with the
 * last edge. After a crash an edge whose word is not SHARED with its generation is garbage, and
 * SHARED without an edge is FREE (edge_rebuild, recovery.c).
 *
 * Edges are found by pfn through hash chains that are private to the server. */
#include "daemon/core/pool_private.h"

static uint32_t bucket_of(pfn_t pfn)
{
	return (pfn * UINT32_C(2654435761)) >> 16; /* Fibonacci hashing, Knuth 6.4 */
}

static_assert(POOL_EDGE_BUCKETS == 1u << 16, "bucket_of gives 16 bits");

static pfn_t edge_pfn(const struct shm_edge *edge)
{
	return (pfn_t)(edge->frame >> 32);
}

static uint32_t edge_gen(const struct shm_edge *edge)
{
	return (uint32_t)edge->frame;
}

static void link_edge(struct pool *pool, uint32_t index)
{
	uint32_t *bucket = &pool->edge_bucket[bucket_of(edge_pfn(&pool->edges[index]))];

	pool->edge_next[index] = *bucket;
	*bucket = index;
}

/* Takes the edge out of its chain; its entry is free for the next one. */
static void unlink_edge(struct pool *pool, uint32_t index, pfn_t pfn)
{
	uint32_t *at = &pool->edge_bucket[bucket_of(pfn)];

	while (*at != index) {
		PAGED_CHECK(*at != EDGE_NONE);
		at = &pool->edge_next[*at];
	}
	*at = pool->edge_next[index];
	pool->edge_next[index] = pool->edge_free;
	pool->edge_free = index;
}

void edge_init(struct pool *pool)
{
	for (uint32_t b = 0; b < POOL_EDGE_BUCKETS; b++)
		pool->edge_bucket[b] = EDGE_NONE;
	pool->edge_free = EDGE_NONE;
	pool->edge_fresh = 0;
}

void edge_rebuild(struct pool *pool)
{
	edge_init(pool);
	for (uint32_t i = SHM_MAX_EDGES; i-- > 0;) {
		struct shm_edge *edge = &pool->edges[i];
		struct page_word word;

		if (edge->client == 0) {
			if (pool->edge_fresh > i) {
				pool->edge_next[i] = pool->edge_free;
				pool->edge_free = i;
			}
			continue;
		}
		if (pool->edge_fresh <= i)
			pool->edge_fresh = i + 1;
		word = edge_pfn(edge) < pool->nr_frames ? page_get(pool->buddy.map, edge_pfn(edge))
							: (struct page_word){.state = PAGE_TAIL};
		if (edge->client <= SHM_MAX_CLIENTS &&
		    pool->client[edge->client].state != CLIENT_UNUSED &&
		    word.state == PAGE_SHARED && word.gen == edge_gen(edge)) {
			link_edge(pool, i);
			continue;
		}
		shm_store(&edge->client, 0);
		pool->edge_next[i] = pool->edge_free;
		pool->edge_free = i;
	}
}

/* An unused entry, still unused: journal it, then take it with use_edge(). */
static bool find_unused(const struct pool *pool, uint32_t *ret_index)
{
	if (pool->edge_free != EDGE_NONE)
		*ret_index = pool->edge_free;
	else if (pool->edge_fresh < SHM_MAX_EDGES)
		*ret_index = pool->edge_fresh;
	else
		return false;
	return true;
}

static void use_edge(struct pool *pool, uint32_t index)
{
	if (index == pool->edge_free)
		pool->edge_free = pool->edge_next[index];
	else
		pool->edge_fresh = index + 1;
	link_edge(pool, index);
}

static bool find_edge(const struct pool *pool, pfn_t pfn, client_id client, uint32_t *ret_index)
{
	for (uint32_t i = pool->edge_bucket[bucket_of(pfn)]; i != EDGE_NONE; i = pool->edge_next[i])
		if (edge_pfn(&pool->edges[i]) == pfn &&
		    (client == CLIENT_NONE || pool->edges[i].client == client)) {
			*ret_index = i;
			return true;
		}
	return false;
}

uint32_t edge_count(const struct pool *pool, pfn_t pfn, uint32_t gen)
{
	uint32_t n = 0;

	for (uint32_t i = pool->edge_bucket[bucket_of(pfn)]; i != EDGE_NONE; i = pool->edge_next[i])
		n += edge_pfn(&pool->edges[i]) == pfn && edge_gen(&pool->edges[i]) == gen;
	return n;
}

/* Journals the edge {handle, client} at index. */
static void journal_edge(struct pool *pool, uint32_t index, uint64_t handle, client_id client)
{
	journal_add(pool, JOURNAL_EDGE_FRAME, index, handle);
	journal_add(pool, JOURNAL_EDGE_CLIENT, index, client);
}

/* May `to` be charged for a block of order that `from` gives up? */
static bool has_room(const struct pool *pool, client_id from, client_id to, order_t order)
{
	return from == to || quota_room(pool, to) >= UINT64_C(1) << order;
}

/* An edge of client moves to another client, or ends if that one has an edge already. */
static int transfer_edge(struct pool *pool, client_id client, pfn_t pfn, client_id to,
			 uint32_t lane, uint64_t seq, uint64_t handle, order_t order)
{
	uint32_t mine, theirs;
	bool has = find_edge(pool, pfn, to, &theirs);

	if (!find_edge(pool, pfn, client, &mine))
		return POOL_NOT_OWNED;
	if (!has && !has_room(pool, client, to, order))
		return POOL_OVER_QUOTA;
	if (client != to)
		journal_add(pool, JOURNAL_EDGE_CLIENT, mine, has ? CLIENT_NONE : to);
	journal_lane(pool, client, lane, seq, handle);
	journal_commit(pool);
	if (client == to)
		return 0;
	quota_release_shared(pool, client, order);
	if (has)
		unlink_edge(pool, mine, pfn);
	else
		quota_charge_shared(pool, to, order);
	return 0;
}

int pool_share(struct pool *pool, client_id client, pfn_t pfn, client_id to, uint32_t lane,
	       uint64_t seq, uint64_t *ret_handle)
{
	struct page_word word;
	uint64_t handle;
	uint32_t index;
	int r = lane_check(pool, client, lane, seq, ret_handle);

	if (r)
		return r == POOL_BUSY ? 0 : r;
	if (pfn >= pool->nr_frames)
		return POOL_BAD_PFN;
	if (to == CLIENT_NONE)
		to = client;
	if (to > SHM_MAX_CLIENTS || pool->client[to].state != CLIENT_ATTACHED)
		return POOL_NO_CLIENT;
	word = pool_word(pool, pfn);
	handle = (uint64_t)pfn << 32 | word.gen;
	if (word.state == PAGE_SHARED) {
		r = transfer_edge(pool, client, pfn, to, lane, seq, handle, word.order);
		if (r == 0)
			*ret_handle = handle;
		return r;
	}
	if (word.state != PAGE_OWNED || word.owner != client)
		return POOL_NOT_OWNED;
	if (!has_room(pool, client, to, word.order))
		return POOL_OVER_QUOTA;
	if (!find_unused(pool, &index))
		return POOL_TABLE_FULL;
	journal_edge(pool, index, handle, to);
	journal_word(
		pool, pfn,
		(struct page_word){.state = PAGE_SHARED, .order = word.order, .gen = word.gen});
	journal_lane(pool, client, lane, seq, handle);
	journal_commit(pool);
	use_edge(pool, index);
	quota_release_block(pool, client, pfn, word.order);
	quota_charge_shared(pool, to, word.order);
	pool_add(pool, COUNTER_nr_shared, UINT64_C(1) << word.order);
	*ret_handle = handle;
	return 0;
}

int pool_import(struct pool *pool, client_id client, uint64_t handle, uint32_t lane, uint64_t seq,
		uint64_t *ret_result)
{
	pfn_t pfn = (pfn_t)(handle >> 32);
	struct page_word word;
	uint64_t result;
	uint32_t index;
	bool has;
	int r = lane_check(pool, client, lane, seq, ret_result);

	if (r)
		return r == POOL_BUSY ? 0 : r;
	if (pfn >= pool->nr_frames)
		return POOL_BAD_PFN;
	word = pool_word(pool, pfn);
	if (word.state != PAGE_SHARED || word.gen != (uint32_t)handle)
		return POOL_STALE;
	has = find_edge(pool, pfn, client, &index);
	if (!has && quota_room(pool, client) < UINT64_C(1) << word.order)
		return POOL_OVER_QUOTA;
	if (!has && !find_unused(pool, &index))
		return POOL_TABLE_FULL;
	result = (uint64_t)pfn << 32 | word.order;
	if (!has)
		journal_edge(pool, index, handle, client);
	journal_lane(pool, client, lane, seq, result);
	journal_commit(pool);
	if (!has) {
		use_edge(pool, index);
		quota_charge_shared(pool, client, word.order);
	}
	*ret_result = result;
	return 0;
}

/* The edge at index ends, and with the last one the block. lane: as journal_lane(). */
static void end_edge(struct pool *pool, uint32_t index, client_id client, uint32_t lane,
		     uint64_t seq)
{
	pfn_t pfn = edge_pfn(&pool->edges[index]);
	struct page_word word = page_get(pool->buddy.map, pfn);
	bool last = edge_count(pool, pfn, word.gen) == 1;

	journal_add(pool, JOURNAL_EDGE_CLIENT, index, CLIENT_NONE);
	if (last)
		journal_word(pool, pfn, page_free_word(pool->buddy.map, pfn, word.order));
	journal_lane(pool, client, lane, seq, 0);
	journal_commit(pool);
	unlink_edge(pool, index, pfn);
	quota_release_shared(pool, client, word.order);
	if (last) {
		buddy_give(&pool->buddy, pfn);
		pool_add(pool, COUNTER_nr_shared, -(UINT64_C(1) << word.order));
		pool_add(pool, COUNTER_pgfree, UINT64_C(1) << word.order);
	}
}

int pool_put(struct pool *pool, client_id client, pfn_t pfn, uint32_t lane, uint64_t seq)
{
	uint64_t result;
	uint32_t index;
	int r = lane_check(pool, client, lane, seq, &result);

	if (r)
		return r == POOL_BUSY ? 0 : r;
	if (pfn >= pool->nr_frames)
		return POOL_BAD_PFN;
	if (!find_edge(pool, pfn, client, &index))
		return POOL_NOT_OWNED;
	end_edge(pool, index, client, lane, seq);
	return 0;
}

bool edge_drop_client(struct pool *pool, client_id client, uint32_t n)
{
	for (uint32_t i = 0; i < pool->edge_fresh; i++) {
		if (pool->edges[i].client != client)
			continue;
		if (n-- == 0)
			return false;
		end_edge(pool, i, client, SHM_MAX_LANES, 0);
	}
	return true;
}
