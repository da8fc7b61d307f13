/* tests/chaos/loan.c - shared frames in purge slots: the reference that a hand has is lent to a
 * slot of its own, where the daemon may end it; see hand.h.
 *
 * Only the hand itself knows these slots, so what is found purged was purged, and the slot ends. */
#include "tests/chaos/hand.h"

#include <errno.h>

static uint64_t frames_of(const struct loan *loan)
{
	return UINT64_C(1) << loan->claim.order;
}

static struct loan forget(struct hand *hand, uint32_t i)
{
	struct loan loan = hand->loan[i];

	hand->loan[i] = hand->loan[--hand->n_loans];
	return loan;
}

/* hand->n: it has none. */
static uint32_t find_shared(const struct hand *hand)
{
	uint32_t i = 0;

	while (i < hand->n && hand->self->claim[i].kind != CLAIM_SHARED)
		i++;
	return i;
}

/* One of the hand's shared frames goes into a slot. */
static void lend(struct hand *hand)
{
	uint32_t i = find_shared(hand);
	struct loan loan;
	int r;

	if (i == hand->n)
		return;
	loan = (struct loan){.claim = hand->self->claim[i]};
	hand_doing(hand, DOING_PURGEABLE_NEW);
	r = pageclient_purgeable_new(hand->client, hand_memory(hand, &loan.claim), &loan.slot);
	if (r == -EBUSY) { /* another hand of this keeper has it too */
		board_add(&hand->board->count.busy, 1);
		return;
	}
	if (r < 0) {
		hand_failed(hand, DOING_PURGEABLE_NEW, r);
		return;
	}
	board_add(&hand->keeper->purge.entered, frames_of(&loan));
	board_add(&hand->board->count.lent, 1);
	(void)hand_drop(hand, i);
	hand->loan[hand->n_loans++] = loan;
	pageclient_unpin(hand->client, loan.slot);
}

/* The slot ends, purged or not. */
static void drop(struct hand *hand, uint32_t i, bool purged)
{
	struct loan loan = forget(hand, i);
	int r = purgeable_drop(hand, loan.slot);

	if (r < 0)
		hand_failed(hand, DOING_DROP, r);
	if (!purged)
		board_add(&hand->keeper->purge.unsure, frames_of(&loan));
}

/* It is pinned once. The reference is the hand's again. */
static void take_back(struct hand *hand, uint32_t i)
{
	struct loan loan = forget(hand, i);
	void *memory;
	int r;

	hand_doing(hand, DOING_TAKE);
	r = pageclient_purgeable_take(hand->client, loan.slot, &memory);
	if (r < 0) {
		hand_failed(hand, DOING_TAKE, r);
		return;
	}
	if (memory != hand_memory(hand, &loan.claim))
		hand_failed(hand, DOING_TAKE, -EPROTO);
	board_add(&hand->keeper->purge.left, frames_of(&loan));
	hand_claim(hand, &loan.claim);
}

/* False: it was purged. */
static bool pin(struct hand *hand, uint32_t i)
{
	const struct loan *loan = &hand->loan[i];

	hand_doing(hand, DOING_PIN);
	if (!pageclient_pin(hand->client, loan->slot)) {
		if (errno != ENODATA)
			hand_failed(hand, DOING_PIN, -errno);
		board_add(&hand->board->count.missed, 1);
		return false;
	}
	board_add(&hand->board->count.pinned, 1);
	(void)tag_check(hand->board, hand_memory(hand, &loan->claim), hand->page_size, &loan->claim,
			"lent to a slot");
	return true;
}

/* The frame is asked for once more. While the slot has the reference that is refused; once it was
 * purged it is a new one, or there is no such frame any more. */
static void import_again(struct hand *hand, uint32_t i)
{
	struct claim claim = hand->loan[i].claim;
	void *memory;
	int r;

	hand_doing(hand, DOING_IMPORT);
	r = pageclient_import(hand->client, (uint64_t)claim.pfn << 32 | claim.gen, &memory, NULL);
	if (r == -EBUSY)
		board_add(&hand->board->count.busy, 1);
	else if (r == -ENOMEM)
		board_add(&hand->board->count.pressure, 1);
	else if (r < 0 && r != -ESTALE)
		hand_failed(hand, DOING_IMPORT, r);
	if (r < 0 && r != -ESTALE)
		return;
	if (pin(hand, i)) {
		hand_failed(hand, DOING_IMPORT, r ? r : -EPROTO);
		pageclient_unpin(hand->client, hand->loan[i].slot);
	} else {
		drop(hand, i, true);
	}
	if (r == 0) {
		(void)tag_check(hand->board, memory, hand->page_size, &claim, "imported again");
		hand_claim(hand, &claim);
		board_add(&hand->board->count.imports, 1);
	}
}

void loan_operate(struct hand *hand)
{
	uint32_t dice = chaos_below(&hand->random, 100);
	uint32_t i;

	if (dice < 50 && hand->n > 0 && hand->n_loans < CHAOS_LOANS)
		lend(hand);
	if (hand->n_loans == 0)
		return;
	i = chaos_below(&hand->random, hand->n_loans);
	if (dice >= 98)
		drop(hand, i, false);
	else if (dice >= 80 && hand->n < CHAOS_BLOCKS)
		import_again(hand, i);
	else if (!pin(hand, i))
		drop(hand, i, true);
	else if (dice >= 70 && hand->n < CHAOS_BLOCKS)
		take_back(hand, i);
	else
		pageclient_unpin(hand->client, hand->loan[i].slot);
}

void loan_rest(struct hand *hand)
{
	for (uint32_t i = 0; i < hand->n_loans && !hand->loans_pinned; i++) {
		hand->self->loan[i] = hand->loan[i].claim;
		if (!pin(hand, i))
			hand->self->loan[i].kind = CLAIM_NONE;
	}
	hand->loans_pinned = true;
	hand_doing(hand, DOING_NOTHING);
}

void loan_go_on(struct hand *hand)
{
	for (uint32_t i = 0; i < hand->n_loans && hand->loans_pinned; i++) {
		if (hand->self->loan[i].kind != CLAIM_NONE)
			pageclient_unpin(hand->client, hand->loan[i].slot);
		hand->self->loan[i].kind = CLAIM_NONE;
	}
	hand->loans_pinned = false;
}

void loan_empty(struct hand *hand)
{
	while (hand->n_loans > 0)
		drop(hand, hand->n_loans - 1, false);
}
