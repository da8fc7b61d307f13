/* daemon/core/share.c - shared blocks: an edge {pfn, gen, client} in STATE for each client that
 * refers to one.
 *
 * The reference count of a SHARED block is the number of its edges; clients never write it. Share,
 * import, transfer and put change edges, word and lane in one journal; the block is FREE with the
 * last edge. After a crash an edge whose word is not SHARED with its generation is garbage, and
 * SHARED without an edge is FREE (edge_rebuild, recovery.c).
 *
 * Edges are found by pfn through hash chains that are private to the server.
 *
 * Who pays. Frames are charged to who has the edge (I8). An entry of the table counts for who had
 * it made: the client itself, or the sender of a transfer until the receiver imports the block.
 * That import is the receiver's consent; what it was given and has not imported is at most as much
 * as it could still take, so that gifts never leave it without room. A sender that dies leaves its
 * entries to the receivers; a restart of the server takes all that was given for imported. */
#include "daemon/core/pool_private.h"
#include "daemon/core/quota.h"
#include "paged/bits.h"

/* Unused edges that have memory: one message takes one. Lower: Shares fail while memory is asked
 * for; higher: it is given before it is needed. */
#define EDGES_AHEAD 64u

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

/* The entry at index, an edge of client to a block of order, counts for payer from now on. */
static void count_edge(struct pool *pool, uint32_t index, client_id payer, client_id client,
		       order_t order)
{
	bool is_given = payer != client;

	pool->edge_payer[index] = (uint16_t)(payer | (is_given ? EDGE_GIVEN : 0));
	pool->client[payer].nr_edges++;
	pool->client[client].nr_given += is_given ? UINT64_C(1) << order : 0;
}

static void uncount_edge(struct pool *pool, uint32_t index, client_id client, order_t order)
{
	uint32_t payer = pool->edge_payer[index];

	pool->client[payer & ~EDGE_GIVEN].nr_edges--;
	pool->client[client].nr_given -= payer & EDGE_GIVEN ? UINT64_C(1) << order : 0;
}

static void link_edge(struct pool *pool, uint32_t index)
{
	uint32_t *bucket = &pool->edge_bucket[bucket_of(edge_pfn(&pool->edges[index]))];

	pool->edge_next[index] = *bucket;
	*bucket = index;
	pool->nr_edges++;
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
	pool->nr_edges--;
}

void edge_init(struct pool *pool)
{
	for (uint32_t b = 0; b < POOL_EDGE_BUCKETS; b++)
		pool->edge_bucket[b] = EDGE_NONE;
	pool->edge_free = EDGE_NONE;
	pool->edge_fresh = 0;
	pool->nr_edges = 0;
}

/* The word of a head; TAIL if pfn is none. */
static struct page_word head_at(const struct pool *pool, pfn_t pfn)
{
	if (pfn >= pool->nr_frames || page_head(pool->buddy.map, pfn) != pfn)
		return (struct page_word){.state = PAGE_TAIL};
	return page_get(pool->buddy.map, pfn);
}

void edge_rebuild(struct pool *pool)
{
	edge_init(pool);
	for (uint32_t i = pool->edges_end; i-- > 0;) {
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
		word = head_at(pool, edge_pfn(edge));
		if (edge->client <= SHM_MAX_CLIENTS &&
		    pool->client[edge->client].state != CLIENT_UNUSED &&
		    word.state == PAGE_SHARED && word.gen == edge_gen(edge)) {
			link_edge(pool, i);
			count_edge(pool, i, (client_id)edge->client, (client_id)edge->client,
				   word.order);
			continue;
		}
		shm_store(&edge->client, 0);
		pool->edge_next[i] = pool->edge_free;
		pool->edge_free = i;
	}
}

/* An unused entry for payer, still unused: journal it, then take it with use_edge(). */
static int find_unused(const struct pool *pool, client_id payer, uint32_t *ret_index)
{
	static const struct quota_rule rule = {
		.capacity = SHM_MAX_EDGES, .alpha = 1, .spare = SHM_MAX_CLIENTS};

	if (pool->nr_edges == SHM_MAX_EDGES)
		return POOL_TABLE_FULL;
	if (!quota_admits(&rule, pool->nr_edges, pool->client[payer].nr_edges))
		return POOL_OVER_SHARE;
	if (pool->edge_free == EDGE_NONE && pool->edge_fresh == pool->edges_end)
		return POOL_TABLE_FULL; /* no memory for more */
	*ret_index = pool->edge_free != EDGE_NONE ? pool->edge_free : pool->edge_fresh;
	return 0;
}

bool pool_wants_edges(const struct pool *pool, uint32_t *ret_from, uint32_t *ret_to)
{
	if (pool->edges_end == SHM_MAX_EDGES || pool->nr_edges + EDGES_AHEAD <= pool->edges_end)
		return false;
	*ret_from = pool->edges_end;
	*ret_to = (uint32_t)bits_min(pool->edges_end + SHM_EDGES_STEP, SHM_MAX_EDGES);
	return true;
}

/* Memory first, then the number: a crash in between has it given once more. */
void pool_edges_given(struct pool *pool, uint32_t to)
{
	PAGED_CHECK(to >= pool->edges_end && to <= SHM_MAX_EDGES);
	pool->edges_end = to;
	shm_store(&pool->state->edges_given, to);
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

uint32_t edge_clients(const struct pool *pool, pfn_t pfn, uint32_t gen, client_id *ret_clients,
		      uint32_t n_max)
{
	uint32_t n = 0;

	for (uint32_t i = pool->edge_bucket[bucket_of(pfn)]; i != EDGE_NONE;
	     i = pool->edge_next[i]) {
		if (edge_pfn(&pool->edges[i]) != pfn || edge_gen(&pool->edges[i]) != gen)
			continue;
		if (n < n_max)
			ret_clients[n] = (client_id)pool->edges[i].client;
		n++;
	}
	return n;
}

/* Journals the edge {handle, client} at index. */
static void journal_edge(struct pool *pool, uint32_t index, uint64_t handle, client_id client)
{
	journal_add(pool, JOURNAL_EDGE_FRAME, index, handle);
	journal_add(pool, JOURNAL_EDGE_CLIENT, index, client);
}

/* May `to` be charged for a block of order that `from` gives up? OVER_QUOTA or GIFTS_WAIT. */
static int judge_gift(const struct pool *pool, client_id from, client_id to, order_t order)
{
	uint64_t room = quota_room(pool, to), frames = UINT64_C(1) << order;

	if (from == to)
		return 0;
	if (room < frames)
		return POOL_OVER_QUOTA;
	return pool->client[to].nr_given + frames > room - frames ? POOL_GIFTS_WAIT : 0;
}

/* An edge of client moves to another client, or ends if that one has an edge already. */
static int transfer_edge(struct pool *pool, client_id client, pfn_t pfn, client_id to,
			 uint32_t lane, uint64_t seq, uint64_t handle, order_t order)
{
	uint32_t mine, theirs;
	bool has = find_edge(pool, pfn, to, &theirs);
	int r = 0;

	if (!find_edge(pool, pfn, client, &mine))
		return POOL_NOT_OWNED;
	if (!has)
		r = judge_gift(pool, client, to, order);
	if (r)
		return r;
	if (client != to)
		journal_add(pool, JOURNAL_EDGE_CLIENT, mine, has ? CLIENT_NONE : to);
	journal_lane(pool, client, lane, seq, handle);
	journal_commit(pool);
	if (client == to)
		return 0;
	uncount_edge(pool, mine, client, order);
	quota_release_shared(pool, client, order);
	if (has) {
		unlink_edge(pool, mine, pfn);
		return 0;
	}
	count_edge(pool, mine, client, to, order);
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
	r = judge_gift(pool, client, to, word.order);
	if (r == 0)
		r = find_unused(pool, client, &index);
	if (r)
		return r;
	journal_edge(pool, index, handle, to);
	journal_word(
		pool, pfn,
		(struct page_word){.state = PAGE_SHARED, .order = word.order, .gen = word.gen});
	journal_lane(pool, client, lane, seq, handle);
	journal_commit(pool);
	use_edge(pool, index);
	count_edge(pool, index, client, to, word.order);
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
	if (!has)
		r = find_unused(pool, client, &index);
	if (r)
		return r;
	result = (uint64_t)pfn << 32 | word.order;
	if (!has)
		journal_edge(pool, index, handle, client);
	journal_lane(pool, client, lane, seq, result);
	journal_commit(pool);
	if (has) {
		uncount_edge(pool, index, client, word.order);
	} else {
		use_edge(pool, index);
		quota_charge_shared(pool, client, word.order);
	}
	count_edge(pool, index, client, client, word.order);
	*ret_result = result;
	return 0;
}

/* The edge at index ends, and with the last one (true) the block. lane: as journal_lane(). */
static bool end_edge(struct pool *pool, uint32_t index, client_id client, uint32_t lane,
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
	uncount_edge(pool, index, client, word.order);
	quota_release_shared(pool, client, word.order);
	if (last) {
		buddy_give(&pool->buddy, pfn);
		pool_add(pool, COUNTER_nr_shared, -(UINT64_C(1) << word.order));
		pool_add(pool, COUNTER_pgfree, UINT64_C(1) << word.order);
	}
	return last;
}

bool edge_find(const struct pool *pool, pfn_t pfn, uint32_t gen, client_id client,
	       uint32_t *ret_index)
{
	uint32_t index;

	if (!find_edge(pool, pfn, client, &index) || edge_gen(&pool->edges[index]) != gen)
		return false;
	*ret_index = index;
	return true;
}

bool edge_end(struct pool *pool, uint32_t index, client_id client)
{
	return end_edge(pool, index, client, SHM_MAX_LANES, 0);
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
	(void)end_edge(pool, index, client, lane, seq);
	return 0;
}

/* The sender dies: the entry counts for the receiver, to whom it still is a gift. */
static void leave_entry(struct pool *pool, uint32_t index, client_id sender)
{
	client_id receiver = (client_id)pool->edges[index].client;

	if ((pool->edge_payer[index] & ~EDGE_GIVEN) != sender)
		return;
	pool->edge_payer[index] = (uint16_t)(receiver | EDGE_GIVEN);
	pool->client[sender].nr_edges--;
	pool->client[receiver].nr_edges++;
}

bool edge_drop_client(struct pool *pool, client_id client, uint32_t n)
{
	for (uint32_t i = 0; i < pool->edge_fresh; i++) {
		if (pool->edges[i].client == CLIENT_NONE)
			continue;
		if (pool->edges[i].client != client) {
			leave_entry(pool, i, client);
			continue;
		}
		if (n-- == 0)
			return false;
		(void)end_edge(pool, i, client, SHM_MAX_LANES, 0);
	}
	return true;
}
