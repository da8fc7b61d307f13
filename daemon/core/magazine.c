/* daemon/core/magazine.c - magazines are made, filled and watched: create, refill, tick.
 *
 * A grant writes slots below top, where the owner does not look, and then, in one journal, the
 * words and top: the store of top publishes the frames. Crash points: in the splits (the walk finds
 * heads), after the slots (nobody sees them), in the journal (redone). Sizes are pcp.c's; taking
 * back is steal.c's. */
#include "daemon/core/magazine.h"

#include "daemon/core/pcp.h"
#include "paged/bits.h"

int magazine_find(const struct pool *pool, client_id client, uint32_t thread, uint32_t number,
		  struct magazine *ret_magazine)
{
	const struct pool_client *owner = &pool->client[client];

	if (thread >= owner->max_threads || !(owner->threads >> thread & 1))
		return POOL_BAD_THREAD;
	if (number >= MAGAZINE_COUNT)
		return POOL_BAD_MAGAZINE;
	ret_magazine->client = client;
	ret_magazine->thread = thread;
	ret_magazine->number = number;
	ret_magazine->order = magazine_order(number);
	ret_magazine->head = pool_head(pool, client, thread, number);
	ret_magazine->bottom =
		(const uint64_t *)(void *)(owner->ctl + shm_ctl_bottom_offset(thread, number));
	ret_magazine->slot =
		(uint32_t *)(void *)(owner->ctl + shm_ctl_slots_offset(thread, number));
	ret_magazine->mask = ret_magazine->head->capacity - 1;
	return 0;
}

struct magazine magazine_get(const struct pool *pool, client_id client, uint32_t thread,
			     uint32_t number)
{
	struct magazine magazine;
	int r = magazine_find(pool, client, thread, number, &magazine);

	PAGED_CHECK(r == 0);
	return magazine;
}

int pool_pcp_create(struct pool *pool, client_id client, uint32_t thread)
{
	struct pool_client *owner = &pool->client[client];
	struct shm_record *record = &pool_state_client(pool, client)->record;
	struct shm_client *shown = pool_meta_client(pool, client);

	if (thread >= owner->max_threads)
		return POOL_BAD_THREAD;
	if (owner->threads >> thread & 1)
		return 0;
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		struct shm_head *head = pool_head(pool, client, thread, m);
		uint32_t batch = pcp_magazine_batch(m, pool->batch);

		*head = (struct shm_head){.top = MAGAZINE_INDEX_START,
					  .bottom_seen = MAGAZINE_INDEX_START,
					  .capacity = magazine_slots_first(m),
					  .batch = batch,
					  .high_base = pcp_high_base(m, batch),
					  .high = pcp_high_base(m, batch)};
		shm_store(pool_saved_top(pool, client, thread, m), 0);
		shm_store((uint64_t *)(void *)(owner->ctl + shm_ctl_bottom_offset(thread, m)),
			  MAGAZINE_INDEX_START);
	}
	owner->threads |= UINT64_C(1) << thread;
	shm_store(&record->threads, owner->threads);
	shm_store32(&shown->nr_threads, (uint32_t)__builtin_popcountll(owner->threads));
	pool->nr_threads++;
	return 0;
}

/* --- grant --------------------------------------------------------------------------------------
 */

static enum migratetype magazine_type(const struct magazine *magazine)
{
	return magazine->number == MAGAZINE_COLD ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
}

/* Takes up to n heads of the magazine's order out of the zones into batch_pfn; returns how many. */
static uint32_t collect(struct pool *pool, const struct magazine *magazine, uint32_t n)
{
	struct zonelist list = zonelist_of(pool, magazine->client);
	uint32_t got = 0;

	for (uint32_t at = 0; at < list.n; at++) {
		uint64_t room = zonelist_room(pool, &list, at) >> magazine->order;
		uint32_t end = (uint32_t)bits_min(n, got + room);

		while (got < end) {
			order_t most = magazine->order + bits_log2(end - got);
			pfn_t pfn;
			uint32_t row;

			if (!buddy_take_row(&pool->buddy, list.zone[at], magazine->order,
					    most < ORDER_MAX ? most : ORDER_MAX,
					    magazine_type(magazine), &pfn, &row))
				break;
			for (uint32_t i = 0; i < row; i++)
				pool->batch_pfn[got++] = pfn + (i << magazine->order);
		}
	}
	return got;
}

/* Makes the n heads in batch_pfn the client's and puts them below top. */
static void grant(struct pool *pool, const struct magazine *magazine, uint32_t n)
{
	struct shm_head *head = magazine->head;
	uint64_t top = head->top;

	for (uint32_t i = 0; i < n; i++)
		shm_store32(&magazine->slot[(top - 1 - i) & magazine->mask], pool->batch_pfn[i]);
	journal_owned_words(pool, pool->batch_pfn, n, magazine->client);
	journal_add(pool, JOURNAL_TOP,
		    magazine_index(magazine->client, magazine->thread, magazine->number), top - n);
	journal_commit(pool);
	quota_charge_blocks(pool, magazine->client, pool->batch_pfn, n, magazine->order);
	shm_add(&head->nr_granted, (uint64_t)n << magazine->order);
	pool_add(pool, COUNTER_pgalloc, (uint64_t)n << magazine->order);
}

static uint64_t thread_limit(const struct pool *pool, order_t order)
{
	uint64_t threads = bits_max(pool->nr_threads, 1);

	return (pool->nr_managed / pool->max_high_divisor / threads) >> order;
}

void magazine_set_high(struct pool *pool, const struct magazine *magazine)
{
	shm_store(&magazine->head->high,
		  pcp_high(magazine->head, thread_limit(pool, magazine->order)));
}

/* The refill found the magazine empty, so demand is there: the ring may grow (nobody looks at it:
 * the owner waits in the refill with bottom == top), and high with it. */
static void follow_demand(struct pool *pool, struct magazine *magazine, bool empty)
{
	struct shm_head *head = magazine->head;
	uint64_t limit = thread_limit(pool, magazine->order);
	uint64_t bulk = (uint64_t)head->batch << head->scale;
	uint64_t wanted = bits_min(
		bits_max((uint64_t)head->high_base << head->scale, head->streak + bulk), limit);

	if (empty) {
		shm_store32(&head->capacity,
			    pcp_capacity(head->capacity, magazine_slots_max(magazine->number), bulk,
					 wanted));
		magazine->mask = head->capacity - 1;
	}
	magazine_set_high(pool, magazine);
}

int pool_judge_refill(const struct pool *pool, client_id client, uint32_t thread, uint32_t number)
{
	struct magazine magazine;
	int r = magazine_find(pool, client, thread, number, &magazine);

	if (r)
		return r;
	/* A magazine that holds something is answered with that. */
	if (magazine_count(shm_load(magazine.bottom), magazine.head->top) > 0)
		return 0;
	return quota_room(pool, client) >> magazine.order == 0 ? POOL_OVER_QUOTA : 0;
}

int pool_refill(struct pool *pool, client_id client, uint32_t thread, uint32_t number,
		uint32_t want, uint64_t *ret_count)
{
	struct magazine magazine;
	struct shm_head *head;
	uint64_t bottom, count, target, room;
	uint32_t n;
	int r = magazine_find(pool, client, thread, number, &magazine);

	if (r)
		return r;
	head = magazine.head;
	bottom = shm_load(magazine.bottom);
	if (!magazine_bottom_is_sane(&magazine, bottom, head->top)) {
		pool_note_hostile(pool, client);
		return POOL_HOSTILE;
	}
	count = magazine_count(bottom, head->top);
	follow_demand(pool, &magazine, bottom == head->top);
	/* While the zone is short nobody gets more than a batch ahead of need. */
	target = pool_nr_free(pool) < pool_watermark_high(pool)
			 ? head->batch
			 : (uint64_t)head->batch << head->scale;
	target = bits_max(target, want);
	target = bits_min(target, magazine_n_max(head->capacity));
	if (count >= target) {
		*ret_count = count;
		return 0;
	}
	room = quota_room(pool, client) >> magazine.order;
	n = collect(pool, &magazine, (uint32_t)bits_min(target - count, room));
	if (magazine.order == PAGEBLOCK_ORDER)
		pool_add(pool, n ? COUNTER_pgalloc_order9 : COUNTER_pgalloc_order9_fail,
			 bits_max(n, 1));
	if (n > 0) {
		grant(pool, &magazine, n);
		head->streak += n;
		if (head->scale < PCP_SCALE_MAX)
			head->scale++;
		magazine_set_high(pool, &magazine);
		pool_add(pool, COUNTER_pcp_refill, 1);
	} else if (count == 0) {
		if (room == 0)
			return POOL_OVER_QUOTA;
		return pool_shortage(pool, client, magazine.order);
	}
	head->idle = 0;
	shm_store(&head->bottom_seen, bottom);
	*ret_count = count + n;
	return 0;
}

/* --- the tick ------------------------------------------------------------------------------------
 */

/* A magazine whose bottom has not moved for MAGAZINE_IDLE_TICKS is idle: high loses an eighth of
 * what demand had added with each tick. */
static void tick_magazine(struct pool *pool, const struct magazine *magazine, uint64_t *count)
{
	struct shm_head *head = magazine->head;
	uint64_t bottom = shm_load(magazine->bottom);

	if (bottom != head->bottom_seen)
		head->idle = 0;
	else if (head->idle < UINT16_MAX)
		head->idle++;
	if (head->idle >= MAGAZINE_IDLE_TICKS) {
		head->streak -= (head->streak + 7) / 8;
		if (head->scale > 0)
			head->scale--;
		magazine_set_high(pool, magazine);
	}
	shm_store(&head->bottom_seen, bottom);
	if (magazine_bottom_is_sane(magazine, bottom, head->top))
		*count += magazine_count(bottom, head->top) << magazine->order;
	else
		pool_note_hostile(pool, magazine->client);
}

void pool_tick(struct pool *pool)
{
	shm_store32(&pool->meta->generation, pool->meta->generation + 1);
	pool->commit_failed = false;
	pool->no_run = ORDER_COUNT;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		uint64_t count = 0;

		if (pool->client[id].state != CLIENT_ATTACHED)
			continue;
		for (uint64_t left = pool->client[id].threads; left; left &= left - 1)
			for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
				struct magazine magazine =
					magazine_get(pool, id, (uint32_t)__builtin_ctzll(left), m);

				tick_magazine(pool, &magazine, &count);
			}
		shm_store(&pool_meta_client(pool, id)->nr_magazine, count);
	}
	victim_tick(pool);
}
