/* tests/crash/test_map_crash.c - ties the compiled Alloc, grant, Free, steal and sweep to the model
 * of mem_map.
 *
 * tests/model/map_steps.def lists their stores in order. Here they run one instruction at a time,
 * and each store to a word, to n or to an item of the journal is named by what it does to the map
 * as it was: FREE inside a block is the upper part of a split, a head that grows is a merge. Code
 * that changes its order without the model changing too fails here. */
#include "tests/crash/step.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define STEPS_MAX 256u
#define FRAMES 64u

enum phase { SPLIT, TAKE, GIVE, SWEEP, MERGE };

enum step {
#define X(phase, step, what) phase##_##step,
#include "tests/model/map_steps.def"
#undef X
	NO_STEP,
	UNLISTED,
};

static const enum phase phase_of[] = {
#define X(phase, step, what) phase,
#include "tests/model/map_steps.def"
#undef X
};
#define NR_LISTED (sizeof phase_of / sizeof *phase_of)

struct words {
	uint64_t word[FRAMES], n;
	struct shm_journal_item item[80];
};

struct watch {
	const struct world *w;
	enum phase by; /* TAKE, GIVE or SWEEP: what changes the owner */
	struct words before;
	enum step seen[STEPS_MAX];
	uint32_t n;
};

static void look(const struct world *w, struct words *words)
{
	for (pfn_t pfn = 0; pfn < FRAMES; pfn++)
		words->word[pfn] = w->pool->buddy.map[pfn].word;
	words->n = w->pool->journal->n;
	memcpy(words->item, w->pool->journal->item, sizeof words->item);
}

static bool is_head(const struct words *words, pfn_t pfn)
{
	pfn_t at = 0;

	while (at < pfn)
		at += 1u << page_word_unpack(words->word[at]).order;
	return at == pfn;
}

/* The store of one word. */
static enum step name_word(const struct words *before, const struct words *after, pfn_t pfn,
			   enum phase by)
{
	struct page_word was = page_word_unpack(before->word[pfn]);
	struct page_word is = page_word_unpack(after->word[pfn]);

	if (is.state == PAGE_FREE && !is_head(before, pfn))
		return SPLIT_UPPER;
	if (is.state == PAGE_TAIL)
		return is_head(before, pfn) ? UNLISTED : MERGE_UPPER;
	if (was.state == PAGE_FREE && is.state == PAGE_FREE && is.order != was.order)
		return is.order < was.order ? SPLIT_LOWER : MERGE_LOWER;
	if (was.order != is.order || !is_head(before, pfn))
		return UNLISTED;
	if (was.state == PAGE_FREE && is.state == PAGE_OWNED)
		return TAKE_WORDS;
	if (was.state != PAGE_OWNED || is.state != PAGE_FREE)
		return UNLISTED;
	return by == SWEEP ? SWEEP_WORD : GIVE_WORDS;
}

/* What one instruction stored. */
static enum step name_step(const struct words *before, const struct words *after, enum phase by)
{
	enum step step = NO_STEP;

	for (pfn_t pfn = 0; pfn < FRAMES; pfn++)
		if (before->word[pfn] != after->word[pfn])
			step = step == NO_STEP ? name_word(before, after, pfn, by) : UNLISTED;
	if (step != NO_STEP)
		return step;
	if (memcmp(before->item, after->item, sizeof before->item) == 0 && before->n == after->n)
		return NO_STEP;
	if (by == SWEEP)
		return UNLISTED;
	if (before->n == after->n)
		return by == TAKE ? TAKE_ITEMS : GIVE_ITEMS;
	if (before->n)
		return by == TAKE ? TAKE_DONE : GIVE_DONE;
	return by == TAKE ? TAKE_COMMIT : GIVE_COMMIT;
}

/* Steps that are several stores; in the list they are one. */
static bool is_row(enum step step)
{
	return step == SPLIT_UPPER || step == TAKE_ITEMS || step == TAKE_WORDS ||
	       step == GIVE_ITEMS || step == GIVE_WORDS || step == SWEEP_WORD;
}

static bool watch(void *arg)
{
	struct watch *watched = arg;
	struct words after;
	enum step step;

	look(watched->w, &after);
	step = name_step(&watched->before, &after, watched->by);
	watched->before = after;
	if (step == NO_STEP)
		return true;
	if (watched->n == 0 || step != watched->seen[watched->n - 1] || !is_row(step))
		watched->seen[watched->n++] = step;
	return watched->n < STEPS_MAX;
}

/* The steps of the phase from *at on, once or, for splits and merges, more often. */
static void check_phase(const struct watch *watched, enum phase phase, uint32_t *at)
{
	bool repeats = phase == SPLIT || phase == MERGE;
	uint32_t rounds = 0;

	while (*at < watched->n && watched->seen[*at] < NO_STEP &&
	       phase_of[watched->seen[*at]] == phase && (rounds == 0 || repeats)) {
		for (uint32_t step = 0; step < NR_LISTED; step++) {
			if (phase_of[step] != phase)
				continue;
			CU_ASSERT(*at < watched->n && watched->seen[*at] == step);
			++*at;
		}
		rounds++;
	}
	CU_ASSERT(rounds > 0);
}

static void check_order(struct world *w, void (*op)(struct world *w), enum phase first,
			enum phase second)
{
	struct watch watched = {.w = w, .by = second == TAKE ? TAKE : first};
	uint32_t at = 0;

	look(w, &watched.before);
	if (!step_watch(w, op, watch, &watched))
		return; /* ptrace is not permitted here */
	check_phase(&watched, first, &at);
	check_phase(&watched, second, &at);
	CU_ASSERT_EQUAL(at, watched.n);
}

/* --- operations ------------------------------------------------------------------------------ */

static void op_alloc(struct world *w)
{
	uint64_t result;

	(void)pool_alloc(w->pool, 1, 1, MIGRATE_UNMOVABLE, 0, ++w->seq[1], &result);
}

static void op_free(struct world *w)
{
	(void)pool_free(w->pool, 1, w->pool->client[1].owned, 1, 0, ++w->seq[1]);
}

/* A row of heads is cut from each block that it takes. */
static void op_grant(struct world *w)
{
	uint64_t count;

	(void)pool_refill(w->pool, 1, 0, MAGAZINE_HOT, 0, &count);
}

static void op_steal(struct world *w)
{
	(void)pool_claim(w->pool, 1, 0, MAGAZINE_HOT, 7);
	(void)pool_settle(w->pool);
}

static void op_sweep(struct world *w)
{
	pool_client_kill(w->pool, 1);
	(void)pool_client_sweep(w->pool, 1, 1);
}

/* A slice: all its blocks are FREE before the first merge. */
static void op_sweep_slice(struct world *w)
{
	pool_client_kill(w->pool, 1);
	(void)pool_client_sweep(w->pool, 1, 5);
}

static void alloc_and_free_store_in_the_order_of_the_model(void)
{
	struct world w;

	world_open(&w, FRAMES);
	check_order(&w, op_alloc, SPLIT, TAKE);
	world_close(&w);
	world_open(&w, FRAMES);
	op_alloc(&w);
	check_order(&w, op_free, GIVE, MERGE);
	world_close(&w);
}

static void grant_and_steal_store_in_the_order_of_the_model(void)
{
	struct world w;

	world_open(&w, FRAMES);
	check_order(&w, op_grant, SPLIT, TAKE);
	world_close(&w);
	world_open(&w, FRAMES);
	op_grant(&w);
	check_order(&w, op_steal, GIVE, MERGE);
	world_close(&w);
}

static void sweep_stores_in_the_order_of_the_model(void)
{
	struct world w;

	world_open(&w, FRAMES);
	op_alloc(&w);
	check_order(&w, op_sweep, SWEEP, MERGE);
	world_close(&w);
	world_open(&w, FRAMES);
	op_grant(&w);
	check_order(&w, op_sweep_slice, SWEEP, MERGE);
	world_close(&w);
}

CU_TestInfo test_map_crash[] = {
	{"alloc_and_free_store_in_the_order_of_the_model",
	 alloc_and_free_store_in_the_order_of_the_model},
	{"grant_and_steal_store_in_the_order_of_the_model",
	 grant_and_steal_store_in_the_order_of_the_model},
	{"sweep_stores_in_the_order_of_the_model", sweep_stores_in_the_order_of_the_model},
	CU_TEST_INFO_NULL,
};
