/* tests/fuzz/honest.c - see honest.h. */
#include "tests/fuzz/honest.h"

#include "shm/purge.h"

static void check_hand(const struct story *story, const struct hand *hand)
{
	struct page_word word = fixture_pool_word(story->pool, hand->pfn);

	CU_ASSERT_EQUAL_FATAL(word.order, hand->order);
	if (hand->handle) {
		CU_ASSERT_EQUAL_FATAL(word.state, PAGE_SHARED);
		CU_ASSERT_EQUAL_FATAL(word.gen, (uint32_t)hand->handle);
	} else {
		CU_ASSERT_EQUAL_FATAL(word.state, PAGE_OWNED);
		CU_ASSERT_EQUAL_FATAL(word.owner, story->honest);
	}
}

void honest_check(const struct story *story)
{
	for (uint32_t i = 0; i < story->n_hands; i++)
		check_hand(story, &story->hand[i]);
}

/* Every slot of the honest client's magazine is its own, and in no hand. */
void honest_check_magazine(const struct story *story, uint32_t thread, uint32_t magazine)
{
	struct fixture_pool *f = story->pool;
	uint64_t bottom = *fixture_pool_bottom(f, story->honest, thread, magazine);
	uint64_t n = fixture_pool_count(f, story->honest, thread, magazine);

	for (uint64_t i = bottom - n; i != bottom; i++) {
		struct hand slot = {
			.pfn = *fixture_pool_slot(f, story->honest, thread, magazine, i),
			.order = magazine_order(magazine)};

		check_hand(story, &slot);
		for (uint32_t h = 0; h < story->n_hands; h++)
			CU_ASSERT_NOT_EQUAL_FATAL(story->hand[h].pfn, slot.pfn);
	}
}

static void forget_hand(struct story *story, uint32_t i)
{
	story->hand[i] = story->hand[--story->n_hands];
}

static uint64_t *entry_of(const struct story *story, uint32_t slot)
{
	char *table = story->pool->ctl[story->honest] + shm_ctl_table_offset(FIXTURE_THREADS);

	return (uint64_t *)(void *)table + slot;
}

/* What was purged is nobody's any more, and of the honest client only what it had unpinned. */
void honest_forget_purged(struct story *story)
{
	pfn_t pfn;

	for (uint32_t i = story->n_hands; i-- > 0;) {
		struct hand *hand = &story->hand[i];

		if (hand->slot == 0 || purge_unpack(*entry_of(story, hand->slot)).pins == 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(purge_end(entry_of(story, hand->slot), 0, &pfn), PURGE_GONE);
		purge_clear(entry_of(story, hand->slot));
		forget_hand(story, i);
	}
}

/* --- what the honest client does ----------------------------------------------------------------
 */

static void take_in_hand(struct story *story, pfn_t pfn, order_t order)
{
	struct hand hand = {.pfn = pfn, .order = order};

	check_hand(story, &hand);
	for (uint32_t i = 0; i < story->n_hands; i++)
		CU_ASSERT_NOT_EQUAL_FATAL(story->hand[i].pfn, pfn);
	story->hand[story->n_hands++] = hand;
}

/* Block i may be purged from now on. */
static void lay_down(struct story *story, uint32_t i)
{
	uint32_t slot = 1;

	while (slot < SLOTS && *entry_of(story, slot) != PURGE_FREE_SLOT)
		slot++;
	if (slot == SLOTS)
		return;
	story->hand[i].slot = slot;
	purge_new(entry_of(story, slot), story->hand[i].pfn);
	CU_ASSERT_EQUAL_FATAL(
		purge_unpin(entry_of(story, slot), story->pool->pool->meta->generation), PURGE_OK);
}

static void take_up(struct hand *hand, uint64_t *entry)
{
	uint64_t word;
	pfn_t pfn;

	if (hand->slot == 0)
		return;
	CU_ASSERT_EQUAL_FATAL(purge_pin(entry, &word), PURGE_OK);
	CU_ASSERT_EQUAL_FATAL(purge_end(entry, 1, &pfn), PURGE_OK);
	CU_ASSERT_EQUAL_FATAL(pfn, hand->pfn);
	hand->slot = 0;
}

void honest_pop(struct story *story, uint32_t thread, uint32_t magazine)
{
	pfn_t pfn;

	if (story->n_hands == HANDS_MAX)
		return;
	pfn = fixture_pool_pop(story->pool, story->honest, thread, magazine);
	if (pfn != PFN_NONE)
		take_in_hand(story, pfn, magazine_order(magazine));
}

void honest_push(struct story *story, uint32_t thread, uint32_t i)
{
	struct hand hand;
	uint32_t magazine;

	if (story->n_hands == 0)
		return;
	i %= story->n_hands;
	hand = story->hand[i];
	if (hand.handle || hand.order > MAGAZINE_ORDER_MAX)
		return;
	if (hand.slot)
		return;
	magazine = hand.order ? MAGAZINE_COLD + hand.order : thread % 2;
	if (fixture_pool_count(story->pool, story->honest, thread, magazine) >=
	    pool_head(story->pool->pool, story->honest, thread, magazine)->high)
		return;
	fixture_pool_push(story->pool, story->honest, thread, magazine, hand.pfn);
	forget_hand(story, i);
}

static void honest_alloc(struct story *story, order_t order)
{
	pfn_t pfn;

	if (story->n_hands < HANDS_MAX &&
	    fixture_pool_try_alloc(story->pool, story->honest, order, &pfn) == 0)
		take_in_hand(story, pfn, order);
}

/* Frees, puts or shares block i. */
void honest_return(struct story *story, uint32_t i, bool share)
{
	struct hand *hand = &story->hand[i];
	int r;

	take_up(hand, entry_of(story, hand->slot));
	if (share && !hand->handle) {
		r = fixture_pool_share(story->pool, story->honest, hand->pfn, CLIENT_NONE,
				       &hand->handle);
		CU_ASSERT_FATAL(r == 0 || r == POOL_TABLE_FULL);
		return;
	}
	r = hand->handle ? fixture_pool_put(story->pool, story->honest, hand->pfn)
			 : fixture_pool_free(story->pool, story->honest, hand->pfn, hand->order);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	forget_hand(story, i);
}

void honest_ask(struct story *story, uint32_t what, uint32_t which)
{
	if (what & 1)
		honest_alloc(story, which % (MAGAZINE_ORDER_MAX + 1));
	else if (story->n_hands && what & 4 && !story->hand[which % story->n_hands].slot)
		lay_down(story, which % story->n_hands);
	else if (story->n_hands)
		honest_return(story, which % story->n_hands, what & 2);
}
