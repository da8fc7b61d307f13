/* tests/chaos/purgeable.c - a keeper's purge table, which all its threads use; see hand.h.
 *
 * What a slot holds follows from its handle, as the content of a cache follows from a key: whoever
 * pins it knows what has to be there, without a look at who built it, and whoever finds it purged
 * can build it again. So two threads may meet in the same slot, and one of them is then told that
 * it came late.
 *
 * An index of `slot` is nobody's (0), changed by one thread (SLOT_CHANGING), or has a handle. Who
 * ends a slot hides its handle first: a handle that is still to be seen is never stale.
 *
 * At rest the last hand that comes pins all that is there, so that claims are true as long as the
 * rest lasts: nobody stops the daemon from purging meanwhile. */
#include "tests/chaos/hand.h"

#include <errno.h>

#define SLOT_EMPTY UINT64_C(0)
#define SLOT_CHANGING UINT64_C(1) /* no handle: generations begin with 1 */
#define INSERT 12u
#define ANSWER_ORDER 10u /* no magazine has such blocks: the daemon is asked */

/* Most are single frames; the order goes with the index. */
static uint32_t order_of(uint32_t i)
{
	return i % 16 ? 0 : 1 + i / 16 % CHAOS_PURGEABLE_ORDER_MAX;
}

static uint64_t frames_of(uint32_t i)
{
	return UINT64_C(1) << order_of(i);
}

static struct claim claim_of(const struct hand *hand, uint32_t i, pageclient_slot slot,
			     const void *memory)
{
	return (struct claim){
		.kind = CLAIM_OWNED,
		.pfn = pageclient_pfn(hand->client, memory),
		.order = order_of(i),
		.owner = tag_owner(hand->keeper_number, CHAOS_THREADS, hand->keeper->incarnation),
		.serial = slot};
}

static void write_content(const struct hand *hand, uint32_t i, pageclient_slot slot, void *memory)
{
	struct claim claim = claim_of(hand, i, slot, memory);

	tag_write(memory, hand->page_size, &claim);
}

static void check_content(const struct hand *hand, uint32_t i, pageclient_slot slot,
			  const void *memory)
{
	struct claim claim = claim_of(hand, i, slot, memory);

	(void)tag_check(hand->board, memory, hand->page_size, &claim, "pinned");
}

/* --- the index ------------------------------------------------------------------------------ */

static pageclient_slot slot_at(const struct hand *hand, uint32_t i)
{
	/* acquire; pairs with the release in slot_set() */
	return __atomic_load_n(&hand->purgeable->slot[i], __ATOMIC_ACQUIRE);
}

static void slot_set(struct hand *hand, uint32_t i, pageclient_slot slot)
{
	/* release; pairs with the acquires in slot_at() and slot_claim() */
	__atomic_store_n(&hand->purgeable->slot[i], slot, __ATOMIC_RELEASE);
}

/* This thread is the one that changes it. */
static bool slot_claim(struct hand *hand, uint32_t i, pageclient_slot was)
{
	return __atomic_compare_exchange_n(&hand->purgeable->slot[i], &was, SLOT_CHANGING, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void await_answer(struct hand *hand)
{
	void *memory;

	board_add(&hand->board->count.purging, 1);
	hand_doing(hand, DOING_ALLOC_LARGE);
	memory = pageclient_alloc(hand->client, ANSWER_ORDER, 0);
	if (memory)
		pageclient_free(hand->client, memory, ANSWER_ORDER);
	else
		hand_alloc_failed(hand, DOING_ALLOC_LARGE, -errno);
}

/* --- into a slot ---------------------------------------------------------------------------- */

static void *alloc_block(struct hand *hand, uint32_t i)
{
	void *memory;

	hand_doing(hand, DOING_ALLOC);
	memory = pageclient_alloc(hand->client, order_of(i), PAGECLIENT_RECLAIMABLE);
	if (!memory)
		hand_alloc_failed(hand, DOING_ALLOC, -errno);
	return memory;
}

static void free_block(struct hand *hand, uint32_t i, void *memory)
{
	hand_doing(hand, DOING_FREE);
	pageclient_free(hand->client, memory, order_of(i));
}

/* The handle of a new slot, which is not pinned, or SLOT_EMPTY. */
static pageclient_slot make_slot(struct hand *hand, uint32_t i)
{
	void *memory = alloc_block(hand, i);
	pageclient_slot slot;
	int r;

	if (!memory)
		return SLOT_EMPTY;
	hand_doing(hand, DOING_PURGEABLE_NEW);
	r = pageclient_purgeable_new(hand->client, memory, &slot);
	if (r < 0) {
		hand_failed(hand, DOING_PURGEABLE_NEW, r);
		free_block(hand, i, memory);
		return SLOT_EMPTY;
	}
	board_add(&hand->keeper->purge.entered, frames_of(i));
	board_add(&hand->board->count.purgeable, 1);
	write_content(hand, i, slot, memory);
	pageclient_unpin(hand->client, slot);
	return slot;
}

static void insert(struct hand *hand)
{
	for (uint32_t n = 1 + chaos_below(&hand->random, INSERT); n-- > 0;) {
		uint32_t i = chaos_below(&hand->random, CHAOS_PURGEABLE);

		if (slot_claim(hand, i, SLOT_EMPTY))
			slot_set(hand, i, make_slot(hand, i));
	}
}

/* --- pins ----------------------------------------------------------------------------------- */

/* A pin, or NULL and errno, of which only ENODATA is in order while the handle is to be seen. */
static void *pin(struct hand *hand, pageclient_slot slot)
{
	void *memory;

	hand_doing(hand, DOING_PIN);
	memory = pageclient_pin(hand->client, slot);
	if (memory)
		board_add(&hand->board->count.pinned, 1);
	else if (errno == ENODATA)
		board_add(&hand->board->count.missed, 1);
	return memory;
}

/* A pin is kept for a while, or it ends here. */
static void hold(struct hand *hand, uint32_t i, pageclient_slot slot, void *memory)
{
	if (hand->n_held < CHAOS_HELD && chaos_below(&hand->random, 2))
		hand->held[hand->n_held++] = (struct held){i, slot, memory};
	else
		pageclient_unpin(hand->client, slot);
}

/* Nobody else may have had the frame meanwhile. */
static void release(struct hand *hand, uint32_t which)
{
	struct held held = hand->held[which];

	check_content(hand, held.i, held.slot, held.memory);
	hand->held[which] = hand->held[--hand->n_held];
	pageclient_unpin(hand->client, held.slot);
}

void purgeable_unpin(struct hand *hand)
{
	while (hand->n_held > 0)
		release(hand, hand->n_held - 1);
}

/* A server may have been killed in this very purge. The next one finishes it before it answers
 * anything: once it has answered, there is no excuse. */
static int rearm(struct hand *hand, pageclient_slot slot, void *memory)
{
	int r;

	hand_doing(hand, DOING_REARM);
	r = pageclient_purgeable_rearm(hand->client, slot, memory);
	if (r != -EAGAIN)
		return r;
	await_answer(hand);
	hand_doing(hand, DOING_REARM);
	return pageclient_purgeable_rearm(hand->client, slot, memory);
}

int purgeable_drop(struct hand *hand, pageclient_slot slot)
{
	int r;

	hand_doing(hand, DOING_DROP);
	r = pageclient_purgeable_drop(hand->client, slot);
	if (r != -EAGAIN)
		return r;
	await_answer(hand);
	hand_doing(hand, DOING_DROP);
	return pageclient_purgeable_drop(hand->client, slot);
}

/* It was found purged. */
static void build_again(struct hand *hand, uint32_t i, pageclient_slot slot)
{
	void *memory = alloc_block(hand, i);
	int r;

	if (!memory)
		return;
	write_content(hand, i, slot, memory);
	r = rearm(hand, slot, memory);
	if (r == 0) {
		board_add(&hand->keeper->purge.entered, frames_of(i));
		board_add(&hand->board->count.rebuilt, 1);
		check_content(hand, i, slot, memory);
		hold(hand, i, slot, memory);
		return;
	}
	if (r == -EEXIST || (r == -ESTALE && slot_at(hand, i) != slot))
		board_add(&hand->board->count.late, 1);
	else
		hand_failed(hand, DOING_REARM, r);
	free_block(hand, i, memory);
}

/* --- out of it ------------------------------------------------------------------------------ */

static void look(struct hand *hand, uint32_t i, pageclient_slot slot)
{
	void *memory = pin(hand, slot);
	int r = memory ? 0 : -errno;

	if (memory) {
		void *again = chaos_below(&hand->random, 8) ? NULL : pin(hand, slot);

		check_content(hand, i, slot, memory);
		if (again && again != memory)
			board_spoiled(hand->board, "one slot, pinned twice, is two frames: %u, %u",
				      pageclient_pfn(hand->client, memory),
				      pageclient_pfn(hand->client, again));
		if (again)
			pageclient_unpin(hand->client, slot);
		hold(hand, i, slot, memory);
	} else if (r == -ENODATA) {
		build_again(hand, i, slot);
	} else if (r != -ESTALE || slot_at(hand, i) == slot) {
		hand_failed(hand, DOING_PIN, r);
	}
}

/* The caller has the index. The slot that it is to show. */
static pageclient_slot take_out(struct hand *hand, uint32_t i, pageclient_slot slot)
{
	void *memory = pin(hand, slot), *taken = NULL;
	struct claim claim;
	int r;

	if (!memory)
		return slot;
	hand_doing(hand, DOING_TAKE);
	r = pageclient_purgeable_take(hand->client, slot, &taken);
	if (r < 0) {
		if (r != -EBUSY)
			hand_failed(hand, DOING_TAKE, r);
		pageclient_unpin(hand->client, slot);
		return slot;
	}
	if (taken != memory)
		hand_failed(hand, DOING_TAKE, -EPROTO);
	board_add(&hand->keeper->purge.left, frames_of(i));
	board_add(&hand->board->count.taken, 1);
	check_content(hand, i, slot, taken);
	claim = claim_of(hand, i, slot, taken);
	if (hand->n < CHAOS_BLOCKS)
		hand_claim(hand, &claim);
	else
		free_block(hand, i, taken);
	return SLOT_EMPTY;
}

/* The caller has the index. False: somebody pins the slot. */
static bool drop(struct hand *hand, uint32_t i, pageclient_slot slot)
{
	int r = purgeable_drop(hand, slot);

	if (r == -EBUSY)
		return false;
	if (r < 0)
		hand_failed(hand, DOING_DROP, r);
	board_add(&hand->keeper->purge.unsure, frames_of(i));
	board_add(&hand->board->count.dropped, 1);
	return true;
}

/* As caches are used: few are wanted often, and most seldom. */
static uint32_t some_slot(struct hand *hand)
{
	uint32_t below = 1 + chaos_below(&hand->random, CHAOS_PURGEABLE);

	return chaos_below(&hand->random, 1 + chaos_below(&hand->random, below));
}

void purgeable_operate(struct hand *hand)
{
	uint32_t i = some_slot(hand);
	uint32_t dice = chaos_below(&hand->random, 100);
	pageclient_slot slot = slot_at(hand, i);

	if (hand->n_held > 0 && chaos_below(&hand->random, 4) == 0)
		release(hand, chaos_below(&hand->random, hand->n_held));
	if (dice < 20)
		insert(hand);
	else if (slot == SLOT_EMPTY || slot == SLOT_CHANGING)
		return;
	else if (dice < 80)
		look(hand, i, slot);
	else if (slot_claim(hand, i, slot))
		slot_set(hand, i,
			 dice < 94 ? take_out(hand, i, slot)
				   : (drop(hand, i, slot) ? SLOT_EMPTY : slot));
}

void purgeable_after_restart(struct hand *hand)
{
	/* acquire; pairs with the release in main */
	uint32_t restarts = __atomic_load_n(&hand->board->restarts, __ATOMIC_ACQUIRE);

	if (hand->restarts == restarts || hand->number != 0)
		return;
	hand->restarts = restarts;
	for (uint32_t i = 0; i < CHAOS_PURGEABLE; i++) {
		pageclient_slot slot = slot_at(hand, i);

		if (slot == SLOT_EMPTY || slot == SLOT_CHANGING)
			continue;
		if (pin(hand, slot))
			pageclient_unpin(hand->client, slot);
		else if (errno == ENODATA && slot_claim(hand, i, slot))
			slot_set(hand, i, drop(hand, i, slot) ? SLOT_EMPTY : slot);
	}
	hand_doing(hand, DOING_NOTHING);
}

/* --- rest and end --------------------------------------------------------------------------- */

static void pin_all(struct hand *hand)
{
	struct purgeable *purgeable = hand->purgeable;
	uint64_t present = 0;

	for (uint32_t i = 0; i < CHAOS_PURGEABLE; i++) {
		struct claim *claim = &hand->keeper->purgeable[i];
		pageclient_slot slot = slot_at(hand, i);
		void *memory;

		*claim = (struct claim){.kind = CLAIM_NONE};
		if (slot == SLOT_EMPTY)
			continue;
		memory = pin(hand, slot);
		if (memory) {
			*claim = claim_of(hand, i, slot, memory);
			present += frames_of(i);
		} else if (errno != ENODATA) {
			hand_failed(hand, DOING_PIN, -errno);
		}
	}
	hand->keeper->purge.present = present;
	purgeable->pinned = true;
}

void purgeable_rest(struct hand *hand, uint32_t round)
{
	struct purgeable *purgeable = hand->purgeable;

	(void)pthread_mutex_lock(&purgeable->lock);
	if (purgeable->round != round)
		purgeable->arrived = 0;
	purgeable->round = round;
	if (++purgeable->arrived == CHAOS_HANDS && !purgeable->pinned)
		pin_all(hand);
	(void)pthread_mutex_unlock(&purgeable->lock);
	hand_doing(hand, DOING_NOTHING);
}

void purgeable_go_on(struct hand *hand)
{
	struct purgeable *purgeable = hand->purgeable;

	(void)pthread_mutex_lock(&purgeable->lock);
	for (uint32_t i = 0; purgeable->pinned && i < CHAOS_PURGEABLE; i++)
		if (hand->keeper->purgeable[i].kind != CLAIM_NONE)
			pageclient_unpin(hand->client, slot_at(hand, i));
	purgeable->pinned = false;
	(void)pthread_mutex_unlock(&purgeable->lock);
}

void purgeable_empty(struct hand *hand)
{
	for (uint32_t i = 0; i < CHAOS_PURGEABLE; i++) {
		pageclient_slot slot = slot_at(hand, i);

		if (slot != SLOT_EMPTY && !drop(hand, i, slot))
			hand_failed(hand, DOING_DROP, -EBUSY);
		slot_set(hand, i, SLOT_EMPTY);
	}
}
