/* daemon/core/alloc.c - Alloc and Free of one block, each happening once.
 *
 * The word and the lane's {seq, result} are items of one journal, so a repeated request finds
 * either nothing done or its answer. A request that is refused changes nothing and leaves its lane
 * as it was: repeated, it is judged again. */
#include "daemon/core/pool_private.h"
#include "paged/probe.h"

int lane_check(const struct pool *pool, client_id client, uint32_t lane, uint64_t seq,
	       uint64_t *ret_result)
{
	const struct shm_lane *last;

	if (lane >= SHM_MAX_LANES)
		return POOL_BAD_LANE;
	last = &pool_state_client(pool, client)->lanes[lane];
	if (seq == last->seq && seq != 0) {
		*ret_result = last->result;
		return POOL_BUSY;
	}
	return seq < last->seq ? POOL_OLD_SEQ : 0;
}

static int judge_alloc(const struct pool *pool, client_id client, order_t order, uint32_t lane,
		       uint64_t seq, uint64_t *ret_answered)
{
	int r = lane_check(pool, client, lane, seq, ret_answered);

	if (r)
		return r;
	if (order > ORDER_MAX)
		return POOL_BAD_ORDER;
	return quota_room(pool, client) < UINT64_C(1) << order ? POOL_OVER_QUOTA : 0;
}

int pool_judge_alloc(const struct pool *pool, client_id client, order_t order, uint32_t lane,
		     uint64_t seq)
{
	uint64_t answered;

	return judge_alloc(pool, client, order, lane, seq, &answered);
}

int pool_alloc(struct pool *pool, client_id client, order_t order, enum migratetype type,
	       uint32_t lane, uint64_t seq, uint64_t *ret_result)
{
	struct page_word word;
	uint64_t result;
	pfn_t pfn;
	int r = judge_alloc(pool, client, order, lane, seq, ret_result);

	if (r)
		return r == POOL_BUSY ? 0 : r;
	r = pool_take_block(pool, client, order, type, &pfn);
	if (order == PAGEBLOCK_ORDER)
		pool_add(pool, r ? COUNTER_pgalloc_order9_fail : COUNTER_pgalloc_order9, 1);
	if (r)
		return r;
	word = page_owned_word(pool->buddy.map, pfn, client);
	result = (uint64_t)pfn << 32 | word.gen;
	journal_word(pool, pfn, word);
	journal_lane(pool, client, lane, seq, result);
	journal_commit(pool);
	quota_charge_block(pool, client, pfn, order);
	pool_add(pool, COUNTER_pgalloc, UINT64_C(1) << order);
	if (order > MAGAZINE_ORDER_MAX)
		pool_add(pool, COUNTER_pgalloc_huge, 1);
	PAGED_PROBE(mm_page_alloc, client, pfn, order, type);
	*ret_result = result;
	return 0;
}

/* Why client may not free pfn as a block of order; 0 if it may. */
static int judge_free(const struct pool *pool, client_id client, pfn_t pfn, order_t order)
{
	struct page_word word;

	if (pfn >= pool->nr_frames)
		return POOL_BAD_PFN;
	if (order > ORDER_MAX)
		return POOL_BAD_ORDER;
	word = pool_word(pool, pfn);
	if (word.state == PAGE_OWNED && word.owner == client)
		return word.order == order ? 0 : POOL_WRONG_ORDER;
	if (page_head(pool->buddy.map, pfn) != pfn)
		return POOL_NOT_HEAD;
	return word.state == PAGE_SHARED ? POOL_IS_SHARED : POOL_NOT_OWNED;
}

int pool_free(struct pool *pool, client_id client, pfn_t pfn, order_t order, uint32_t lane,
	      uint64_t seq)
{
	uint64_t result;
	int r = lane_check(pool, client, lane, seq, &result);

	if (r)
		return r == POOL_BUSY ? 0 : r;
	r = judge_free(pool, client, pfn, order);
	if (r) {
		pool_note_bad_free(pool, client);
		return r;
	}
	journal_word(pool, pfn, page_free_word(pool->buddy.map, pfn, order));
	journal_lane(pool, client, lane, seq, 0);
	journal_commit(pool);
	quota_release_block(pool, client, pfn, order);
	buddy_give(&pool->buddy, pfn);
	pool_add(pool, COUNTER_pgfree, UINT64_C(1) << order);
	PAGED_PROBE(mm_page_free, client, pfn, order);
	return 0;
}
