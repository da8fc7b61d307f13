/* tests/crash/test_steps_crash.c - the compiled grant, steal and purge store in the order that the
 * models check.
 *
 * tests/model/magazine_steps.def and purge_steps.def list the steps; here the daemon's code runs
 * one instruction at a time, and every store to a slot, the journal, a word, top, saved_top or an
 * entry of the purge table is named. Code that
 * changes its order without the model changing too fails here. */
#include "daemon/core/magazine.h"
#include "tests/crash/step.h"
#include "tests/support/claim_all.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define STEPS_MAX 64u

enum place { NOWHERE, IN_SLOTS, IN_ITEMS, IN_N, IN_WORDS, IN_TOP, IN_SAVED, IN_ENTRY };

/* Where each step of the list stores. */
#define PLACE_GRANT_SLOTS IN_SLOTS
#define PLACE_GRANT_ITEMS IN_ITEMS
#define PLACE_GRANT_COMMIT IN_N
#define PLACE_GRANT_WORDS IN_WORDS
#define PLACE_GRANT_TOP IN_TOP
#define PLACE_GRANT_DONE IN_N
#define PLACE_STEAL_SAVED IN_SAVED
#define PLACE_STEAL_CLAIM IN_TOP
#define PLACE_STEAL_ITEMS IN_ITEMS
#define PLACE_STEAL_COMMIT IN_N
#define PLACE_STEAL_WORDS IN_WORDS
#define PLACE_STEAL_RETREAT IN_TOP
#define PLACE_STEAL_UNSAVED IN_SAVED
#define PLACE_STEAL_DONE IN_N
#define PLACE_PURGE_BEGIN IN_ENTRY
#define PLACE_PURGE_WORD IN_WORDS
#define PLACE_PURGE_FINISH IN_ENTRY

enum operation { GRANT, STEAL, PURGE };

static const struct {
	enum operation operation;
	enum place place;
} listed[] = {
#define X(operation, step, what) {operation, PLACE_##operation##_##step},
#include "tests/model/magazine_steps.def"
#include "tests/model/purge_steps.def"
#undef X
};

/* The words that the steps store to, of the hot magazine and the first slot of client 1. */
struct words {
	uint32_t slot[64];
	struct shm_journal_item item[80];
	uint64_t n, word[64], top, saved, entry;
};

static void look(const struct world *w, struct words *words)
{
	struct magazine magazine = magazine_get(w->pool, 1, 0, MAGAZINE_HOT);

	for (uint32_t i = 0; i < 64; i++) {
		/* The ring around the start of the indices. */
		words->slot[i] = magazine.slot[(MAGAZINE_INDEX_START - 32 + i) & magazine.mask];
		words->word[i] = w->pool->buddy.map[i].word;
	}
	memcpy(words->item, w->pool->journal->item, sizeof words->item);
	words->n = w->pool->journal->n;
	words->top = magazine.head->top;
	words->saved = *pool_saved_top(w->pool, 1, 0, MAGAZINE_HOT);
	words->entry = *world_entry(w, 1, 0);
}

static enum place changed(const struct words *a, const struct words *b)
{
	if (memcmp(a->slot, b->slot, sizeof a->slot))
		return IN_SLOTS;
	if (memcmp(a->item, b->item, sizeof a->item))
		return IN_ITEMS;
	if (memcmp(a->word, b->word, sizeof a->word))
		return IN_WORDS;
	if (a->n != b->n)
		return IN_N;
	if (a->top != b->top)
		return IN_TOP;
	if (a->saved != b->saved)
		return IN_SAVED;
	return a->entry != b->entry ? IN_ENTRY : NOWHERE;
}

/* The stores of an operation in their order, a row in one place once, up to the second store of n,
 * or of the entry. */
struct watch {
	const struct world *w;
	struct words before;
	enum place seen[STEPS_MAX];
	uint32_t n, stores_of_last;
};

static bool watch(void *arg)
{
	struct watch *watched = arg;
	struct words after;
	enum place place;

	look(watched->w, &after);
	place = changed(&watched->before, &after);
	watched->before = after;
	watched->stores_of_last += place == IN_N || place == IN_ENTRY;
	if (place != NOWHERE && (watched->n == 0 || watched->seen[watched->n - 1] != place))
		watched->seen[watched->n++] = place;
	return watched->stores_of_last < 2 && watched->n < STEPS_MAX;
}

static void check_order(struct world *w, void (*op)(struct world *w), enum operation operation)
{
	struct watch watched = {.w = w};
	uint32_t at = 0;

	look(w, &watched.before);
	if (!step_watch(w, op, watch, &watched))
		return;
	for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
		if (listed[i].operation != operation)
			continue;
		CU_ASSERT(at < watched.n && watched.seen[at] == listed[i].place);
		at++;
	}
	CU_ASSERT_EQUAL(at, watched.n);
}

static void op_grant(struct world *w)
{
	uint64_t count;

	(void)pool_refill(w->pool, 1, 0, MAGAZINE_HOT, 0, &count);
}

static void op_steal(struct world *w)
{
	(void)claim_all(w->pool, 1, false);
	(void)pool_settle(w->pool);
}

/* Splits come before the first step: frames of order 0 are there already. */
static void make_single_frames(struct world *w)
{
	uint64_t count;

	CU_ASSERT_EQUAL(pool_refill(w->pool, 2, 0, MAGAZINE_HOT, 0, &count), 0);
	CU_ASSERT_EQUAL(pool_refill(w->pool, 2, 0, MAGAZINE_HOT, 128, &count), 0);
	*world_bottom(w, 2, MAGAZINE_HOT) = pool_head(w->pool, 2, 0, MAGAZINE_HOT)->top;
	for (pfn_t pfn = 0; pfn < 60; pfn += 2)
		(void)pool_free(w->pool, 2, pfn, 0, 0, ++w->seq[2]);
}

static void grant_and_steal_store_in_the_order_of_the_model(void)
{
	struct world w;

	world_open(&w, 64);
	make_single_frames(&w);
	check_order(&w, op_grant, GRANT);
	world_close(&w);
	world_open(&w, 64);
	op_grant(&w);
	check_order(&w, op_steal, STEAL);
	world_close(&w);
}

static void op_purge(struct world *w)
{
	bool again;

	(void)pool_purge(w->pool, 1, CLIENT_NONE, &again);
}

static void a_purge_stores_in_the_order_of_the_model(void)
{
	struct world w;

	world_open(&w, 64);
	world_arm(&w, 1, 0, 0);
	check_order(&w, op_purge, PURGE);
	world_close(&w);
}

CU_TestInfo test_steps_crash[] = {
	{"grant_and_steal_store_in_the_order_of_the_model",
	 grant_and_steal_store_in_the_order_of_the_model},
	{"a_purge_stores_in_the_order_of_the_model", a_purge_stores_in_the_order_of_the_model},
	CU_TEST_INFO_NULL,
};
