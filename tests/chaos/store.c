/* tests/chaos/store.c - a cache of frames whose contents can be rebuilt; see hand.h. */
#include "tests/chaos/hand.h"

#include <errno.h>

#define INSERT 12u

static char *memory_of(const struct store *store, const struct claim *claim)
{
	return pageclient_frame(store->client, claim->pfn);
}

void store_insert(struct hand *hand)
{
	struct store *store = hand->store;
	uint32_t n = 1 + chaos_below(&hand->random, INSERT);

	for (uint32_t i = 0; i < n; i++) {
		struct claim claim = {
			.kind = CLAIM_OWNED, .owner = hand->owner, .serial = ++hand->serial};
		void *memory;
		bool room;

		hand_doing(hand, DOING_ALLOC);
		memory = pageclient_alloc(hand->client, 0,
					  i % 4 ? 0
						: PAGECLIENT_RECLAIMABLE | PAGECLIENT_MAY_SHRINK);
		if (!memory) {
			hand_alloc_failed(hand, DOING_ALLOC, -errno);
			return;
		}
		claim.pfn = pageclient_pfn(hand->client, memory);
		tag_write(memory, hand->page_size, &claim);
		(void)pthread_mutex_lock(&store->lock);
		room = store->keeper->store_n < CHAOS_STORE;
		if (room)
			store->keeper->store[store->keeper->store_n++] = claim;
		(void)pthread_mutex_unlock(&store->lock);
		if (!room) {
			hand_doing(hand, DOING_FREE);
			pageclient_free(hand->client, memory, 0);
			return;
		}
	}
}

void store_hit(struct hand *hand)
{
	struct store *store = hand->store;

	(void)pthread_mutex_lock(&store->lock);
	if (store->keeper->store_n > 0) {
		const struct claim *claim =
			&store->keeper->store[chaos_below(&hand->random, store->keeper->store_n)];

		(void)tag_check(hand->board, memory_of(store, claim), hand->page_size, claim,
				"in a cache");
	}
	(void)pthread_mutex_unlock(&store->lock);
}

/* The lock is held. */
static void evict(struct store *store, uint32_t i)
{
	struct keeper *keeper = store->keeper;
	struct claim claim = keeper->store[i];

	(void)tag_check(store->board, memory_of(store, &claim), store->page_size, &claim,
			"evicted");
	keeper->store[i] = keeper->store[--keeper->store_n];
	keeper->store[keeper->store_n].kind = CLAIM_NONE;
	pageclient_free(store->client, memory_of(store, &claim), 0);
}

void store_empty(struct hand *hand)
{
	struct store *store = hand->store;

	(void)pthread_mutex_lock(&store->lock);
	while (store->keeper->store_n > 0)
		evict(store, store->keeper->store_n - 1);
	(void)pthread_mutex_unlock(&store->lock);
}

/* --- callbacks ------------------------------------------------------------------------------ */

uint64_t store_count(void *arg)
{
	const struct store *store = arg;
	/* relaxed; a hint for the daemon */
	uint32_t n = __atomic_load_n(&store->keeper->store_n, __ATOMIC_RELAXED);

	return n ? n : PAGECLIENT_SHRINK_EMPTY;
}

static int scan_locked(struct store *store, struct pageclient_scan *scan)
{
	uint64_t n = 0;

	while (n < scan->nr_to_scan && n < scan->nr_frames && store->keeper->store_n > 0) {
		evict(store, chaos_below(&store->random, store->keeper->store_n));
		n++;
	}
	scan->nr_scanned = n;
	scan->nr_freed = n;
	board_add(&store->board->count.scanned, n);
	return n ? 0 : PAGECLIENT_SHRINK_STOP;
}

int store_scan(void *arg, struct pageclient_scan *scan)
{
	struct store *store = arg;
	int r = PAGECLIENT_SHRINK_STOP;

	/* Before the look at the phase; main looks the other way round. */
	(void)__atomic_add_fetch(&store->keeper->scanning, 1, __ATOMIC_SEQ_CST);
	if (board_phase(store->board) == CHAOS_RUN && pthread_mutex_trylock(&store->lock) == 0) {
		r = scan_locked(store, scan);
		(void)pthread_mutex_unlock(&store->lock);
	}
	(void)__atomic_sub_fetch(&store->keeper->scanning, 1, __ATOMIC_SEQ_CST);
	return r;
}
