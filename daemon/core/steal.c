/* daemon/core/steal.c - the daemon takes frames out of magazines: claim, the shell's barrier,
 * settle.
 *
 * The owner pushes and pops at bottom (CTL), we grant and steal at top (META). Neither side makes
 * an atomic read-modify-write. Why a steal is right (DESIGN section 4, tests/model):
 *
 *   owner (fast.h)                         daemon
 *   bottom = b - 1                         saved_top = t; top = t + n          claim
 *   compiler barrier                       membarrier()                        the shell's
 *   load top; b - 1 < top: give back       load bottom; take up to bottom      settle
 *
 * After the barrier either the owner's store of bottom is visible to us, or our store of top to it:
 * a frame cannot be taken from both ends. A conflict is always settled for the owner: it keeps what
 * it popped, we take less.
 *
 * Slices. A pass over all magazines of all clients may meet 704 000 of them (1000 clients of 64
 * threads), and millions of frames: 50 ms to look at them all and 400 ms to settle. So it goes on
 * in slices, each with a claim, a barrier and a settle of its own, and others are served between
 * them. A pass over all starts where the one before ended, so that who has a low number does not
 * pay for all. What moves between two slices is not missed: it is in use.
 *
 * Crash points: after saved_top, after top (recovery: top = saved_top), in the journal of a chunk
 * (redone; the rest of the claim goes back with saved_top), before the merges (the walk merges). */
#include "daemon/core/magazine.h"
#include "daemon/core/pfn_sort.h"
#include "paged/bits.h"
#include "paged/probe.h"

/* Work of a slice is counted in blocks that are settled and magazines that are looked at, 50 to 100
 * ns each. A claim costs so much beside its blocks; lower: slices with many claims take longer than
 * a millisecond; higher: they end early. */
#define CLAIM_WORK 8u
static_assert(POOL_SLICE_WORK / (CLAIM_WORK + 1) < POOL_MAX_CLAIMS,
	      "a slice ends before the table does");

int pool_drain_request(struct pool *pool, client_id client, uint32_t thread, uint32_t number,
		       uint64_t *ret_count, bool *ret_steal)
{
	struct magazine magazine;
	uint64_t bottom;
	int r = magazine_find(pool, client, thread, number, &magazine);

	if (r)
		return r;
	bottom = shm_load(magazine.bottom);
	if (!magazine_bottom_is_sane(&magazine, bottom, magazine.head->top)) {
		pool_note_hostile(pool, client);
		return POOL_HOSTILE;
	}
	if (magazine.head->scale > 0)
		magazine.head->scale--;
	magazine_set_high(pool, &magazine);
	shm_store(&magazine.head->bottom_seen, bottom);
	*ret_count = magazine_count(bottom, magazine.head->top);
	*ret_steal = *ret_count >= magazine.head->high;
	pool_add(pool, COUNTER_pcp_drain, 1);
	return 0;
}

static void claim(struct pool *pool, const struct magazine *magazine, uint64_t n_wanted)
{
	struct shm_head *head = magazine->head;
	uint64_t all = (uint64_t)magazine_high_max(head->capacity) + magazine_n_max(head->capacity);

	pool->claim[pool->n_claims++] = (struct pool_claim){
		(uint32_t)magazine_index(magazine->client, magazine->thread, magazine->number),
		(uint32_t)bits_min(n_wanted, all)};
	shm_store(pool_saved_top(pool, magazine->client, magazine->thread, magazine->number),
		  head->top);
	shm_store(&head->top, head->top + all);
}

int pool_claim(struct pool *pool, client_id client, uint32_t thread, uint32_t number,
	       uint64_t n_wanted)
{
	struct magazine magazine;
	int r = magazine_find(pool, client, thread, number, &magazine);

	if (r)
		return r;
	if (pool->n_claims == POOL_MAX_CLAIMS)
		return POOL_TABLE_FULL;
	if (*pool_saved_top(pool, client, thread, number))
		return POOL_BUSY;
	claim(pool, &magazine, n_wanted);
	pool->claim[pool->n_claims - 1].magazine |= CLAIM_ASKED;
	return 0;
}

/* Is there something to claim? *ret_count: blocks that seem to be in it; 0 with an owner in the
 * middle of a pop, or a liar. Only a look: a lie here costs a barrier, and settle looks again. */
static bool look(const struct pool *pool, const struct magazine *magazine, uint64_t *ret_count)
{
	uint64_t bottom = shm_load(magazine->bottom), top = magazine->head->top;

	if (bottom == top ||
	    *pool_saved_top(pool, magazine->client, magazine->thread, magazine->number))
		return false;
	*ret_count = magazine_count(bottom, top);
	return true;
}

/* Claims n blocks unasked: they were not in demand. What the owner asks us to take still counts: it
 * comes back for it, and high has to grow until its burst fits. */
static void claim_unasked(struct pool *pool, const struct magazine *magazine, uint64_t n)
{
	magazine->head->streak -= bits_min(magazine->head->streak, n);
	claim(pool, magazine, n);
}

uint64_t pool_claim_thread(struct pool *pool, client_id client, uint32_t thread, uint64_t n_wanted)
{
	uint64_t frames = 0;

	if (!pool_client_is_attached(pool, client) || thread >= SHM_MAX_THREADS ||
	    !(pool->client[client].threads >> thread & 1))
		return 0;
	/* Nobody has more: a sum that wraps would tell of no claim where there is one. */
	n_wanted = bits_min(n_wanted, pool->nr_frames);
	for (uint32_t m = 0; m < MAGAZINE_COUNT && frames < n_wanted; m++) {
		struct magazine magazine = magazine_get(pool, client, thread, m);
		uint64_t n;

		/* Never a claim of 0: that is to mean that nothing is claimed, and nobody would
		 * settle it. */
		if (pool->n_claims == POOL_MAX_CLAIMS || !look(pool, &magazine, &n) || n == 0)
			continue;
		n = bits_min(n, ((n_wanted - frames - 1) >> magazine.order) + 1);
		claim_unasked(pool, &magazine, n);
		frames += n << magazine.order;
	}
	return frames;
}

struct pool_pass pool_pass_begin(const struct pool *pool, client_id client, bool idle_only)
{
	bool is_all = client == CLIENT_NONE;

	if (is_all)
		client = pool->claim_from ? pool->claim_from : 1;
	return (struct pool_pass){.client = client,
				  .n_clients = is_all ? SHM_MAX_CLIENTS : 1,
				  .is_all = is_all,
				  .idle_only = idle_only};
}

/* Moves the pass on to a magazine that exists, if it is not at one; false: there is none left. */
static bool pass_seek(const struct pool *pool, struct pool_pass *pass)
{
	while (pass->n_clients) {
		const struct pool_client *slot = &pool->client[pass->client];
		uint64_t threads = slot->state == CLIENT_ATTACHED ? slot->threads : 0;
		uint32_t skip;

		if (pass->magazine == MAGAZINE_COUNT) {
			pass->magazine = 0;
			pass->thread++;
		}
		threads = pass->thread < SHM_MAX_THREADS ? threads >> pass->thread : 0;
		if (threads) {
			skip = (uint32_t)__builtin_ctzll(threads);
			pass->thread += skip;
			pass->magazine = skip ? 0 : pass->magazine;
			return true;
		}
		pass->client = pass->client % SHM_MAX_CLIENTS + 1;
		pass->thread = 0;
		pass->magazine = 0;
		pass->n_taken = 0;
		pass->n_asked = 0;
		pass->n_clients--;
	}
	return false;
}

/* Blocks of the order that the pass may take of its client. */
static uint64_t pass_room(const struct pool *pool, const struct pool_pass *pass, order_t order)
{
	uint64_t kept = pool_meta_client(pool, pass->client)->min + pass->n_asked;
	uint64_t charged = quota_charged(pool, pass->client);

	if (!pass->keeps_min)
		return UINT64_MAX;
	return charged > kept ? (charged - kept) >> order : 0;
}

/* Looks at the pass's magazine and claims up to n_most blocks of it; returns the work. The pass
 * stays there if there is more, but not for an owner that fills it up as fast as we take. */
static uint64_t claim_next(struct pool *pool, struct pool_pass *pass, uint64_t n_most)
{
	struct magazine magazine = magazine_get(pool, pass->client, pass->thread, pass->magazine);
	uint64_t n = 0, n_left = magazine.head->capacity - pass->n_taken;
	uint64_t bottom = shm_load(magazine.bottom);

	n_left = bits_min(n_left, pass_room(pool, pass, magazine.order));
	if (n_left && (!pass->idle_only || magazine.head->idle >= MAGAZINE_IDLE_TICKS) &&
	    look(pool, &magazine, &n)) {
		uint64_t n_wanted = bits_min(bits_min(n, n_left), n_most);

		claim_unasked(pool, &magazine, n_wanted);
		pass->n_asked += n_wanted << magazine.order;
		if (n > n_wanted && n_left > n_wanted) {
			pass->n_taken += (uint32_t)n_wanted;
			return n_most + 1;
		}
		n = n_wanted + CLAIM_WORK;
	}
	/* Nor is what was taken before given back: nobody looked at it in time. */
	if (!pass->idle_only && magazine.head->top == bottom)
		shm_store(&magazine.head->bottom_seen, bottom);
	pass->magazine++;
	pass->n_taken = 0;
	return n + 1;
}

uint32_t pool_claim_pass(struct pool *pool, struct pool_pass *pass)
{
	uint32_t before = pool->n_claims;
	uint64_t work = 0;

	pass->has_begun = true;
	pass->n_asked = 0; /* what was asked for before has come back, or not */
	while (work < POOL_SLICE_WORK && pool->n_claims < POOL_MAX_CLAIMS && pass_seek(pool, pass))
		work += claim_next(pool, pass, POOL_SLICE_WORK - work);
	/* Who was in this slice is not the first of the next pass. */
	if (pass->is_all)
		pool->claim_from = pass->client % SHM_MAX_CLIENTS + 1;
	return pool->n_claims - before;
}

uint32_t pool_nr_claims(const struct pool *pool)
{
	return pool->n_claims;
}

/* Copies the slots [from, to) once, keeps what is the client's to give back, counts what is not.
 * Sorted, what was freed twice lies side by side. */
static uint32_t copy_slots(struct pool *pool, const struct magazine *magazine, uint64_t from,
			   uint64_t to)
{
	uint32_t n = 0, kept = 0;

	for (uint64_t i = from; i != to; i++)
		pool->batch_pfn[n++] = shm_load32(&magazine->slot[i & magazine->mask]);
	pfn_sort(pool->batch_pfn, pool->spare_pfn, n);
	for (uint32_t i = 0; i < n; i++) {
		pfn_t pfn = pool->batch_pfn[i];
		struct page_word word;

		if (pfn < pool->nr_frames && (kept == 0 || pool->batch_pfn[kept - 1] != pfn)) {
			word = pool_word(pool, pfn);
			if (word.state == PAGE_OWNED && word.owner == magazine->client &&
			    word.order == magazine->order) {
				pool->batch_pfn[kept++] = pfn;
				continue;
			}
		}
		pool_note_bad_free(pool, magazine->client);
	}
	return kept;
}

/* One chunk of a claim: its frames become FREE and the claim shrinks to what is behind them, in one
 * journal. */
static uint32_t settle_chunk(struct pool *pool, const struct magazine *magazine, uint64_t from,
			     uint64_t to, bool last)
{
	uint64_t index = magazine_index(magazine->client, magazine->thread, magazine->number);
	uint32_t n = copy_slots(pool, magazine, from, to);

	journal_free_words(pool, pool->batch_pfn, n, magazine->order);
	if (last)
		journal_add(pool, JOURNAL_TOP, index, to);
	journal_add(pool, JOURNAL_SAVED_TOP, index, last ? 0 : to);
	journal_commit(pool);
	quota_release_blocks(pool, magazine->client, pool->batch_pfn, n, magazine->order);
	buddy_give_many(&pool->buddy, pool->batch_pfn, n);
	return n;
}

static uint64_t settle(struct pool *pool, const struct magazine *magazine, uint64_t n_wanted)
{
	struct shm_head *head = magazine->head;
	uint64_t *saved =
		pool_saved_top(pool, magazine->client, magazine->thread, magazine->number);
	uint64_t top = *saved, bottom = shm_load(magazine->bottom);
	uint64_t step = magazine_n_max(head->capacity), got = 0, end;

	if (!magazine_bottom_is_sane(magazine, bottom, top)) {
		pool_note_hostile(pool, magazine->client);
		bottom = top;
	}
	/* n_wanted is at most all that the claim covers; what lies behind it stays the owner's. */
	end = top + bits_min(magazine_count(bottom, top), n_wanted);
	do {
		uint64_t to = end - top > step ? top + step : end;

		got += settle_chunk(pool, magazine, top, to, to == end);
		top = to;
	} while (top != end);
	if (got)
		magazine_set_high(pool, magazine);
	shm_store(&head->bottom_seen, bottom);
	shm_add(&head->nr_stolen, got << magazine->order);
	return got << magazine->order;
}

static struct magazine claimed(const struct pool *pool, const struct pool_claim *claim)
{
	uint32_t index = claim->magazine & ~CLAIM_ASKED;

	return magazine_get(pool, index >> 16, index >> 8 & 0xffu, index & 0xffu);
}

uint64_t pool_settle(struct pool *pool)
{
	uint64_t frames = 0;

	for (uint32_t i = 0; i < pool->n_claims; i++) {
		struct magazine magazine = claimed(pool, &pool->claim[i]);
		uint64_t got = settle(pool, &magazine, pool->claim[i].n_wanted);

		frames += got;
		PAGED_PROBE(mm_page_pcpu_drain, magazine.client, magazine.thread, magazine.number,
			    got);
		if (pool->claim[i].magazine & CLAIM_ASKED) {
			pool_add(pool, COUNTER_pcp_drained, got);
			continue;
		}
		shm_add(&pool_meta_client(pool, magazine.client)->nr_reclaimed, got);
		pool_add(pool, COUNTER_pgsteal, got);
		if (got)
			PAGED_PROBE(mm_vmscan_reclaim_pages, magazine.client, got, 0);
	}
	pool->n_claims = 0;
	if (frames)
		pool->no_run = ORDER_COUNT;
	pool_add(pool, COUNTER_pgfree, frames);
	pool_add(pool, COUNTER_membarrier, 1);
	return frames;
}

void pool_unclaim(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_claims; i++) {
		struct magazine magazine = claimed(pool, &pool->claim[i]);
		uint64_t *saved =
			pool_saved_top(pool, magazine.client, magazine.thread, magazine.number);

		shm_store(&magazine.head->top, *saved);
		shm_store(saved, 0);
	}
	pool->n_claims = 0;
}
