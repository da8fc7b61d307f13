/* tests/chaos/trade.c - frames that go between partners; see hand.h.
 *
 * Letters carry handles from a keeper to its partner. Who shares keeps its own reference for a
 * while and gives it up like any other claim, so the handle may be stale when it is opened. What is
 * not stale holds exactly what was put in before it was shared. */
#include "tests/chaos/hand.h"

#include <errno.h>

#define SHARED_MAX 24u /* of a hand's claims; the rest stays for frames of its own */
#define SHARED_ORDER_MAX 3u

static struct keeper *partner_of(const struct hand *hand)
{
	return &hand->board->keeper[hand->keeper_number ^ 1];
}

static bool has_partner(const struct hand *hand)
{
	return hand->keeper_number < CHAOS_HONEST;
}

static bool letter_move(struct letter *letter, enum letter_state from, enum letter_state to)
{
	uint32_t state = (uint32_t)from;

	/* acquire and release; pair with each other, the letter's text is in between */
	return __atomic_compare_exchange_n(&letter->state, &state, (uint32_t)to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static struct letter *letter_begin(struct keeper *to)
{
	for (uint32_t i = 0; i < CHAOS_LETTERS; i++)
		if (letter_move(&to->inbox[i], LETTER_EMPTY, LETTER_WRITING))
			return &to->inbox[i];
	return NULL;
}

static void letter_send(struct letter *letter, const struct claim *claim, uint64_t handle)
{
	letter->order = claim->order;
	letter->handle = handle;
	letter->owner = claim->owner;
	letter->serial = claim->serial;
	(void)letter_move(letter, LETTER_WRITING, LETTER_FULL);
}

static uint32_t count_shared(const struct hand *hand)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < hand->n; i++)
		n += hand->self->claim[i].kind == CLAIM_SHARED;
	return n;
}

/* A claim that may be shared; hand->n: none was found. */
static uint32_t find_own(struct hand *hand)
{
	for (uint32_t tries = 0; tries < 8 && hand->n > 0; tries++) {
		uint32_t i = chaos_below(&hand->random, hand->n);

		if (hand->self->claim[i].kind == CLAIM_OWNED &&
		    hand->self->claim[i].order <= SHARED_ORDER_MAX)
			return i;
	}
	return hand->n;
}

void trade_share(struct hand *hand)
{
	uint32_t i = find_own(hand);
	struct letter *letter;
	struct claim *claim;
	uint64_t handle;
	int r;

	if (!has_partner(hand) || i == hand->n || count_shared(hand) >= SHARED_MAX)
		return;
	letter = letter_begin(partner_of(hand));
	if (!letter)
		return;
	claim = &hand->self->claim[i];
	hand_doing(hand, DOING_SHARE);
	r = pageclient_share(hand->client, hand_memory(hand, claim), &handle);
	if (r < 0 || handle >> 32 != claim->pfn) {
		(void)letter_move(letter, LETTER_WRITING, LETTER_EMPTY);
		hand_failed(hand, DOING_SHARE, r < 0 ? r : -EPROTO);
		return;
	}
	claim->kind = CLAIM_SHARED;
	claim->gen = (uint32_t)handle;
	letter_send(letter, claim, handle);
	board_add(&hand->board->count.shares, 1);
}

void trade_transfer(struct hand *hand)
{
	struct keeper *partner = partner_of(hand);
	uint32_t i = find_own(hand);
	struct letter *letter;
	struct claim claim;
	uint64_t handle;
	int r;

	/* acquire; pairs with the release in keeper.c */
	if (!has_partner(hand) || i == hand->n ||
	    __atomic_load_n(&partner->state, __ATOMIC_ACQUIRE) != KEEPER_RUNNING)
		return;
	letter = letter_begin(partner);
	if (!letter)
		return;
	claim = hand_drop(hand, i);
	hand_doing(hand, DOING_TRANSFER);
	r = pageclient_transfer(hand->client, hand_memory(hand, &claim), partner->client_id,
				&handle);
	if (r == 0) {
		letter_send(letter, &claim, handle);
		board_add(&hand->board->count.transfers, 1);
		return;
	}
	(void)letter_move(letter, LETTER_WRITING, LETTER_EMPTY);
	hand_claim(hand, &claim);
	/* The partner may have died, or its number be ours or somebody's with many frames by now.
	 */
	if (r == -ESRCH || r == -ENOMEM || r == -EINVAL)
		board_add(&hand->board->count.stale, 1);
	else
		hand_failed(hand, DOING_TRANSFER, r);
}

static void import_letter(struct hand *hand, const struct letter *letter)
{
	struct claim claim = {.kind = CLAIM_SHARED,
			      .pfn = (uint32_t)(letter->handle >> 32),
			      .gen = (uint32_t)letter->handle,
			      .order = letter->order,
			      .owner = letter->owner,
			      .serial = letter->serial};
	unsigned order = 0;
	void *memory;
	int r;

	hand_doing(hand, DOING_IMPORT);
	r = pageclient_import(hand->client, letter->handle, &memory, &order);
	if (r == -ESTALE) {
		board_add(&hand->board->count.stale, 1);
		return;
	}
	if (r == -EBUSY) { /* it is in a purge slot of another thread's */
		board_add(&hand->board->count.busy, 1);
		return;
	}
	if (r == -ENOMEM) {
		board_add(&hand->board->count.pressure, 1);
		return;
	}
	if (r < 0 || order != claim.order || memory != hand_memory(hand, &claim)) {
		hand_failed(hand, DOING_IMPORT, r < 0 ? r : -EPROTO);
		return;
	}
	(void)tag_check(hand->board, memory, hand->page_size, &claim, "imported");
	hand_claim(hand, &claim);
	board_add(&hand->board->count.imports, 1);
}

void trade_import(struct hand *hand)
{
	if (!has_partner(hand) || hand->n == CHAOS_BLOCKS || count_shared(hand) >= SHARED_MAX)
		return;
	for (uint32_t i = 0; i < CHAOS_LETTERS; i++) {
		struct letter *letter = &hand->keeper->inbox[i];
		struct letter text;

		if (!letter_move(letter, LETTER_FULL, LETTER_READING))
			continue;
		text = *letter;
		(void)letter_move(letter, LETTER_READING, LETTER_EMPTY);
		import_letter(hand, &text);
		return;
	}
}

void trade_put(struct hand *hand, const struct claim *claim)
{
	int r;

	hand_doing(hand, DOING_PUT);
	r = pageclient_put(hand->client, hand_memory(hand, claim));
	if (r < 0)
		hand_failed(hand, DOING_PUT, r);
}
