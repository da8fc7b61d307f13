/* daemon/core/magazine.c - magazines are made, filled and watched: create, refill, tick.
 *
 * A grant writes slots below top, where the owner does not look, and then, in one journal, the
 * words and top: the store of top publishes the frames. Crash points: in the splits (the walk finds
 * heads), after the slots (nobody sees them), in the journal (redone). Sizes are pcp.c's; taking
 * back is steal.c's.
 *
 * A grant at a doorbell's ring meets an owner that pops and pushes meanwhile. It does not disturb
 * it: the owner looks at no slot below the top that it saw, and what it has pushed since bottom was
 * read is no more than high, so the ring, which has room for a claim and a grant at once, never
 * closes. Only its size must not change under an owner that does not wait. */
#include "daemon/core/magazine.h"

#include "daemon/core/pcp.h"
#include "paged/bits.h"
#include "paged/probe.h"

/* What an owner that waits gets before the rest of its bulk. Lower: it comes to an empty magazine
 * again while that is under way. Higher: it waits longer for the first frame. */
#define RING_FIRST 64u

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

/* What high would be if the ring had room for it. */
static uint64_t high_wanted(const struct pool *pool, const struct magazine *magazine)
{
	const struct shm_head *head = magazine->head;
	uint64_t bulk = (uint64_t)head->batch << head->scale;

	return bits_min(bits_max((uint64_t)head->high_base << head->scale, head->streak + bulk),
			thread_limit(pool, magazine->order));
}

static uint32_t capacity_wanted(const struct pool *pool, const struct magazine *magazine)
{
	const struct shm_head *head = magazine->head;

	return pcp_capacity(head->capacity, magazine_slots_max(magazine->number),
			    (uint64_t)head->batch << head->scale, high_wanted(pool, magazine));
}

/* The refill found the magazine empty, so demand is there: the ring may grow (nobody looks at it:
 * the owner waits in the refill with bottom == top), and high with it. */
static void follow_demand(struct pool *pool, struct magazine *magazine, bool empty)
{
	struct shm_head *head = magazine->head;

	if (empty) {
		shm_store32(&head->capacity, capacity_wanted(pool, magazine));
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
	/* A ring for the same was answered meanwhile: so is this, with what is there. */
	if (magazine_count(shm_load(magazine.bottom), magazine.head->top) > 0)
		return POOL_BUSY;
	return quota_room(pool, client) >> magazine.order == 0 ? POOL_OVER_QUOTA : 0;
}

/* How many a refill of the magazine brings it to. While the zone is short nobody gets more than a
 * batch ahead of need, nor as much as would make it short: caches would be pruned for that. */
static uint64_t refill_target(const struct pool *pool, const struct magazine *magazine,
			      uint32_t want)
{
	const struct shm_head *head = magazine->head;
	uint64_t free = pool_nr_free(pool), high = pool_watermark_high(pool);
	uint64_t spare = free > high ? (free - high) >> magazine->order : 0;
	uint64_t bulk = (uint64_t)head->batch << head->scale;
	uint64_t target = bits_max(bits_min(bulk, spare), head->batch);

	return bits_min(bits_max(target, want), magazine_n_max(head->capacity));
}

/* Up to n more; returns how many. */
static uint32_t fill(struct pool *pool, const struct magazine *magazine, uint64_t n)
{
	uint64_t room = quota_room(pool, magazine->client) >> magazine->order;
	uint32_t got = collect(pool, magazine, (uint32_t)bits_min(n, room));

	if (magazine->order == PAGEBLOCK_ORDER)
		pool_add(pool, got ? COUNTER_pgalloc_order9 : COUNTER_pgalloc_order9_fail,
			 bits_max(got, 1));
	if (got > 0) {
		grant(pool, magazine, got);
		magazine->head->streak += got;
	}
	return got;
}

/* Why the magazine was given nothing. */
static int shortage_of(struct pool *pool, const struct magazine *magazine)
{
	return quota_room(pool, magazine->client) >> magazine->order == 0
		       ? POOL_OVER_QUOTA
		       : pool_shortage(pool, magazine->client, magazine->order);
}

/* It was filled by n: the next time there is more, and more may be put back. */
static void refilled(struct pool *pool, const struct magazine *magazine, uint32_t n,
		     enum counter counter)
{
	struct shm_head *head = magazine->head;

	if (head->scale < PCP_SCALE_MAX)
		head->scale++;
	magazine_set_high(pool, magazine);
	pool_add(pool, counter, 1);
	PAGED_PROBE(mm_page_pcpu_refill, magazine->client, magazine->thread, magazine->number,
		    n << magazine->order);
}

int pool_refill(struct pool *pool, client_id client, uint32_t thread, uint32_t number,
		uint32_t want, uint64_t *ret_count)
{
	struct magazine magazine;
	struct shm_head *head;
	uint64_t bottom, count, target;
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
	target = refill_target(pool, &magazine, want);
	if (count >= target) {
		*ret_count = count;
		return 0;
	}
	n = fill(pool, &magazine, target - count);
	if (n > 0)
		refilled(pool, &magazine, n, COUNTER_pcp_refill);
	else if (count == 0)
		return shortage_of(pool, &magazine);
	head->idle = 0;
	shm_store(&head->bottom_seen, bottom);
	*ret_count = count + n;
	return 0;
}

/* --- doorbells -----------------------------------------------------------------------------------
 */

static uint64_t *bell_of(const struct pool *pool, client_id client)
{
	char *ctl = pool->client[client].ctl;

	return ctl ? (uint64_t *)(void *)(ctl + SHM_CTL_BELL_OFFSET) : NULL;
}

bool pool_is_rung(const struct pool *pool, client_id client)
{
	const uint64_t *bell = bell_of(pool, client);

	/* relaxed; a hint, and the exchange below has the order */
	return bell && __atomic_load_n(bell, __ATOMIC_RELAXED) != 0;
}

uint64_t pool_take_rings(struct pool *pool, client_id client)
{
	uint64_t *bell = bell_of(pool, client);
	uint64_t threads = pool->client[client].threads;

	/* acquire; pairs with the release in the client's ring(): what it wants is there */
	return bell ? __atomic_exchange_n(bell, 0, __ATOMIC_ACQUIRE) & threads : 0;
}

/* Fills a magazine whose owner may be popping from it at this moment, or wait for it: what it waits
 * for comes first. The ring keeps its size, for nobody knows where its owner looks. */
static int fill_ahead(struct pool *pool, const struct magazine *magazine, uint64_t count,
		      uint64_t want, uint32_t *ret_n)
{
	uint64_t target = refill_target(pool, magazine, (uint32_t)want);
	uint64_t first = bits_min(target, bits_max(want, RING_FIRST));
	uint32_t n = 0;

	if (count >= bits_max(target / 2, want))
		return POOL_BUSY;
	if (count == 0)
		n = fill(pool, magazine, first);
	if (count + n < target && (n > 0 || count > 0))
		n += fill(pool, magazine, target - count - n);
	*ret_n = n;
	return n > 0 ? 0 : shortage_of(pool, magazine);
}

bool pool_is_low(const struct pool *pool, const struct pool_place *place)
{
	struct magazine magazine;
	uint64_t bottom;

	if (magazine_find(pool, place->client, place->thread, place->magazine, &magazine) ||
	    pool_nr_free(pool) < pool_watermark_high(pool))
		return false;
	bottom = shm_load(magazine.bottom);
	/* What was stolen is not given back, and who frees needs none: only who takes gets more. */
	return (int64_t)(bottom - magazine.head->bottom_seen) < 0 &&
	       magazine_count(bottom, magazine.head->top) < refill_target(pool, &magazine, 0) / 2;
}

int pool_refill_ahead(struct pool *pool, const struct pool_place *place, uint32_t want,
		      uint32_t *ret_n)
{
	struct magazine magazine;
	uint64_t bottom, count;
	int r = magazine_find(pool, place->client, place->thread, place->magazine, &magazine);

	if (r)
		return r;
	bottom = shm_load(magazine.bottom);
	if (!magazine_bottom_is_sane(&magazine, bottom, magazine.head->top)) {
		pool_note_hostile(pool, place->client);
		return POOL_HOSTILE;
	}
	count = magazine_count(bottom, magazine.head->top);
	shm_store(&magazine.head->bottom_seen, bottom);
	/* A ring that is to grow waits for its owner's PcpRefill. */
	if (count == 0 && capacity_wanted(pool, &magazine) > magazine.head->capacity)
		return POOL_BUSY;
	magazine_set_high(pool, &magazine);
	r = fill_ahead(pool, &magazine, count, want, ret_n);
	if (r == 0) {
		refilled(pool, &magazine, *ret_n, COUNTER_pcp_prefetch);
		magazine.head->idle = 0;
	}
	return r;
}

void pool_drop_ring(const struct pool *pool, client_id client, uint32_t thread)
{
	uint64_t *bell = bell_of(pool, client), bit = UINT64_C(1) << thread % SHM_MAX_THREADS;

	/* relaxed; a hint, and the exchange above has the order */
	if (bell && __atomic_load_n(bell, __ATOMIC_RELAXED) & bit)
		(void)__atomic_fetch_and(bell, ~bit, __ATOMIC_RELAXED);
}

static uint64_t *ring_of(const struct pool *pool, client_id client, uint32_t thread)
{
	return (uint64_t *)(void *)(pool->client[client].ctl + shm_ctl_ring_offset(thread));
}

uint32_t pool_read_ring(const struct pool *pool, client_id client, uint32_t thread,
			struct pool_place *ret_place)
{
	uint64_t ring = shm_load(ring_of(pool, client, thread)); /* copied once (I10) */

	*ret_place = (struct pool_place){client, thread, (uint32_t)(ring >> SHM_RING_WANT_BITS)};
	return (uint32_t)ring;
}

void pool_refuse_ring(struct pool *pool, const struct pool_place *place)
{
	shm_store(ring_of(pool, place->client, place->thread), SHM_RING_REFUSED);
}

/* --- the tick ------------------------------------------------------------------------------------
 */

/* None where bottom lies. */
static uint64_t frames_in(const struct magazine *magazine, uint64_t bottom)
{
	uint64_t top = magazine->head->top;

	return magazine_bottom_is_sane(magazine, bottom, top)
		       ? magazine_count(bottom, top) << magazine->order
		       : 0;
}

/* A magazine whose bottom has not moved for MAGAZINE_IDLE_TICKS is idle: high loses an eighth of
 * what demand had added with each tick. */
static void tick_magazine(struct pool *pool, const struct magazine *magazine, uint64_t *frames)
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
	if (!magazine_bottom_is_sane(magazine, bottom, head->top))
		pool_note_hostile(pool, magazine->client);
	*frames += frames_in(magazine, bottom);
}

void pool_count_magazines(struct pool *pool, client_id client)
{
	uint64_t frames = 0;

	for (uint64_t left = pool->client[client].threads; left; left &= left - 1)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
			struct magazine magazine =
				magazine_get(pool, client, (uint32_t)__builtin_ctzll(left), m);

			frames += frames_in(&magazine, shm_load(magazine.bottom));
		}
	shm_store(&pool_meta_client(pool, client)->nr_magazine, frames);
}

void pool_tick(struct pool *pool)
{
	shm_store32(&pool->meta->generation, pool->meta->generation + 1);
	pool->commit_failed = false;
	pool->no_run = ORDER_COUNT;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		uint64_t frames = 0;

		if (pool->client[id].state != CLIENT_ATTACHED)
			continue;
		for (uint64_t left = pool->client[id].threads; left; left &= left - 1)
			for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
				struct magazine magazine =
					magazine_get(pool, id, (uint32_t)__builtin_ctzll(left), m);

				tick_magazine(pool, &magazine, &frames);
			}
		shm_store(&pool_meta_client(pool, id)->nr_magazine, frames);
	}
	victim_tick(pool);
}
