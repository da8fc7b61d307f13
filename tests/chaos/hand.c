/* tests/chaos/hand.c - see hand.h. */
#include "tests/chaos/hand.h"

#include <errno.h>
#include <string.h>

#define BULK 24u
#define PAIRS 10000u
#define BURST 32u /* operations between two breaths: the machine belongs to others too */
#define BREATH_MS 3u
#define FLUSHES 64u /* slow calls at rest, each of which moves what the library deferred */

/* --- errors --------------------------------------------------------------------------------- */

void hand_doing(struct hand *hand, enum doing doing)
{
	/* relaxed; for a message of main's */
	__atomic_store_n(&hand->self->doing, (uint32_t)doing, __ATOMIC_RELAXED);
}

void hand_failed(struct hand *hand, enum doing doing, int r)
{
	if (hand->lenient) {
		board_add(&hand->board->count.stopped, 1);
		return;
	}
	board_complain(hand->board, "client %u thread %u: %s: %s: %s", hand->keeper_number,
		       hand->number, doing_name(doing), strerrorname_np(-r), pageclient_error());
}

void hand_alloc_failed(struct hand *hand, enum doing doing, int r)
{
	const char *text = pageclient_error();

	if (r == -ENOMEM || (r == -EAGAIN && !strstr(text, "away") && !strstr(text, "tries")))
		board_add(&hand->board->count.pressure, 1);
	else
		hand_failed(hand, doing, r);
}

/* --- claims --------------------------------------------------------------------------------- */

char *hand_memory(const struct hand *hand, const struct claim *claim)
{
	return pageclient_frame(hand->client, claim->pfn);
}

void hand_claim(struct hand *hand, const struct claim *claim)
{
	hand->self->claim[hand->n++] = *claim;
	hand->large += claim->order > 9;
}

void hand_keep(struct hand *hand, void *memory, uint32_t order)
{
	struct claim claim = {.kind = CLAIM_OWNED,
			      .pfn = pageclient_pfn(hand->client, memory),
			      .order = order,
			      .owner = hand->owner,
			      .serial = ++hand->serial};

	tag_write(memory, hand->page_size, &claim);
	hand_claim(hand, &claim);
}

struct claim hand_drop(struct hand *hand, uint32_t i)
{
	struct claim *claims = hand->self->claim;
	struct claim claim = claims[i];

	hand->n--;
	hand->large -= claim.order > 9;
	claims[i] = claims[hand->n];
	claims[hand->n].kind = CLAIM_NONE;
	return claim;
}

/* --- taking --------------------------------------------------------------------------------- */

/* Mostly 0, and fewer the larger: as programs have it. */
static uint32_t some_order(struct hand *hand)
{
	uint32_t dice = chaos_below(&hand->random, 100);

	if (dice < 72)
		return 0;
	if (dice < 92)
		return 1 + chaos_below(&hand->random, 3);
	return dice < 98 ? 4 + chaos_below(&hand->random, 3) : 7 + chaos_below(&hand->random, 3);
}

static unsigned some_flags(struct hand *hand)
{
	switch (chaos_below(&hand->random, 24)) {
	case 0:
		return PAGECLIENT_COLD;
	case 1:
		return PAGECLIENT_RECLAIMABLE;
	case 2:
		return PAGECLIENT_ZERO;
	case 3:
		return PAGECLIENT_NOWAIT;
	case 4:
		return PAGECLIENT_MAY_SHRINK;
	default:
		return 0;
	}
}

static void check_zero(struct hand *hand, const char *memory, uint32_t order)
{
	static const char zero[256];

	for (size_t at = 0; at < hand->page_size << order; at += sizeof(zero))
		if (memcmp(memory + at, zero, sizeof(zero)) != 0) {
			board_spoiled(hand->board, "frame %u is not zero as was asked for",
				      pageclient_pfn(hand->client, memory + at));
			return;
		}
}

static void take_one(struct hand *hand)
{
	uint32_t order = some_order(hand);
	unsigned flags = some_flags(hand);
	void *memory;

	hand_doing(hand, DOING_ALLOC);
	memory = pageclient_alloc(hand->client, order, flags);
	if (!memory) {
		hand_alloc_failed(hand, DOING_ALLOC, -errno);
		return;
	}
	if (flags & PAGECLIENT_ZERO)
		check_zero(hand, memory, order);
	hand_keep(hand, memory, order);
}

static void take_large(struct hand *hand)
{
	uint32_t order = 10 + chaos_below(&hand->random, 3);
	void *memory;

	hand_doing(hand, DOING_ALLOC_LARGE);
	memory = pageclient_alloc(hand->client, order, 0);
	if (memory)
		hand_keep(hand, memory, order);
	else
		hand_alloc_failed(hand, DOING_ALLOC_LARGE, -errno);
}

static void take_many(struct hand *hand)
{
	void *frames[BULK];
	uint32_t want = 1 + chaos_below(&hand->random, BULK);
	uint32_t order = chaos_below(&hand->random, 4) ? 0 : chaos_below(&hand->random, 3);
	size_t n;

	hand_doing(hand, DOING_ALLOC_BULK);
	n = pageclient_alloc_bulk(hand->client, order, 0, frames, want);
	if (n < want)
		hand_alloc_failed(hand, DOING_ALLOC_BULK, -errno);
	for (size_t i = 0; i < n; i++)
		hand_keep(hand, frames[i], order);
}

/* Pairs in a row, so that much of the time is spent between the loads and stores of the inline
 * path, where a steal must not get in between. */
static void churn(struct hand *hand)
{
	uint32_t i;

	hand_doing(hand, DOING_ALLOC);
	for (i = 0; i < PAIRS && board_phase(hand->board) == CHAOS_RUN; i++) {
		uint64_t word = hand->owner << 24 ^ ++hand->serial;
		uint64_t *memory = pageclient_alloc(hand->client, 0, 0);

		if (!memory) {
			hand_alloc_failed(hand, DOING_ALLOC, -errno);
			break;
		}
		__atomic_store_n(memory, word, __ATOMIC_RELEASE); /* who else has it? */
		for (uint32_t n = i % 8; n-- > 0;)
			__asm__ volatile("" ::: "memory");
		if (__atomic_load_n(memory, __ATOMIC_ACQUIRE) != word)
			board_spoiled(hand->board, "frame %u was written to between alloc and free",
				      pageclient_pfn(hand->client, memory));
		pageclient_free(hand->client, memory, 0);
	}
	board_add(&hand->board->count.pairs, i);
}

/* --- giving --------------------------------------------------------------------------------- */

static void verify(struct hand *hand, const struct claim *claim, const char *when)
{
	(void)tag_check(hand->board, hand_memory(hand, claim), hand->page_size, claim, when);
}

static void give(struct hand *hand, uint32_t i)
{
	struct claim claim;

	verify(hand, &hand->self->claim[i], "at its end");
	claim = hand_drop(hand, i);
	if (claim.kind == CLAIM_SHARED) {
		trade_put(hand, &claim);
		return;
	}
	hand_doing(hand, DOING_FREE);
	pageclient_free(hand->client, hand_memory(hand, &claim), claim.order);
}

static void give_many(struct hand *hand)
{
	void *frames[BULK];
	uint32_t n = 0, want = 1 + chaos_below(&hand->random, BULK);

	for (uint32_t i = hand->n; i-- > 0 && n < want;) {
		const struct claim *claim = &hand->self->claim[i];

		if (claim->kind != CLAIM_OWNED || claim->order != 0)
			continue;
		verify(hand, claim, "at its end, with others");
		frames[n++] = hand_memory(hand, claim);
		(void)hand_drop(hand, i);
	}
	hand_doing(hand, DOING_FREE_BULK);
	pageclient_free_bulk(hand->client, 0, chaos_below(&hand->random, 4) ? 0 : PAGECLIENT_COLD,
			     frames, n);
}

/* --- a thread's life ------------------------------------------------------------------------ */

/* What is not about having more or less. */
static void do_other(struct hand *hand)
{
	uint32_t dice = chaos_below(&hand->random, 100);

	if (dice < 3)
		churn(hand);
	else if (dice < 40 && hand->n > 0)
		verify(hand, &hand->self->claim[chaos_below(&hand->random, hand->n)], "in between");
	else if (dice < 60)
		store_hit(hand);
	else if (dice < 80)
		store_insert(hand);
	else if (dice < 88)
		trade_share(hand);
	else if (dice < 91)
		trade_transfer(hand);
	else
		trade_import(hand);
}

static void do_more(struct hand *hand)
{
	uint32_t dice = chaos_below(&hand->random, 200);

	if (dice == 0 && hand->large == 0)
		take_large(hand);
	else if (dice < 10 && hand->n + BULK <= CHAOS_BLOCKS)
		take_many(hand);
	else
		take_one(hand);
}

static void do_less(struct hand *hand)
{
	if (chaos_below(&hand->random, 20) == 0)
		give_many(hand);
	else
		give(hand, chaos_below(&hand->random, hand->n));
}

static void operate(struct hand *hand)
{
	uint32_t dice = chaos_below(&hand->random, 100);

	if (dice < 4)
		loan_operate(hand);
	else if (dice < 15)
		purgeable_operate(hand);
	else if (dice < 34)
		do_other(hand);
	else if (hand->n < CHAOS_BLOCKS && (hand->n == 0 || (dice < 77) == (hand->n < hand->tide)))
		do_more(hand);
	else
		do_less(hand);
	hand_doing(hand, DOING_NOTHING);
	hand->self->operations++;
}

/* Slow calls that wait for nothing: each first gives back some of what the library holds. */
static void flush(struct hand *hand)
{
	for (uint32_t i = 0; i < FLUSHES; i++) {
		void *memory =
			pageclient_alloc(hand->client, 0, PAGECLIENT_COLD | PAGECLIENT_NOWAIT);

		pageclient_free_bulk(hand->client, 0, PAGECLIENT_COLD, &memory, 1);
	}
}

void hand_rest(struct hand *hand)
{
	while (board_phase(hand->board) == CHAOS_REST) {
		/* relaxed; it was raised before the phase that was just read */
		uint32_t round = __atomic_load_n(&hand->board->round, __ATOMIC_RELAXED);

		if (hand->self->rested != round && hand->number < CHAOS_HANDS) {
			flush(hand);
			loan_rest(hand);
			purgeable_rest(hand, round);
		}
		/* release; pairs with the acquire in main: claims are there */
		__atomic_store_n(&hand->self->rested, round, __ATOMIC_RELEASE);
		board_wait(hand->board, CHAOS_REST, 20);
	}
	if (hand->number < CHAOS_HANDS) {
		loan_go_on(hand);
		purgeable_go_on(hand);
	}
}

void *hand_run(void *arg)
{
	struct hand *hand = arg;
	uint64_t told = 0;

	for (;;) {
		enum chaos_phase phase = board_phase(hand->board);

		if (phase == CHAOS_STOP)
			break;
		if (phase == CHAOS_REST)
			hand_rest(hand);
		if (chaos_below(&hand->random, 8) == 0)
			hand->tide = chaos_below(&hand->random, CHAOS_BLOCKS);
		purgeable_after_restart(hand);
		for (uint32_t i = 0; i < BURST && board_phase(hand->board) == CHAOS_RUN; i++)
			operate(hand);
		board_add(&hand->board->count.operations, hand->self->operations - told);
		told = hand->self->operations;
		board_wait(hand->board, CHAOS_RUN, chaos_below(&hand->random, BREATH_MS) + 1);
	}
	purgeable_unpin(hand);
	loan_empty(hand);
	while (hand->n > 0)
		give(hand, hand->n - 1);
	hand_doing(hand, DOING_NOTHING);
	return NULL;
}
