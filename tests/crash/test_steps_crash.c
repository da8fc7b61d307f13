/* tests/crash/test_steps_crash.c - the compiled grant and steal store in the order that the model
 * checks.
 *
 * tests/model/magazine_steps.def lists the steps; here the daemon's code runs one instruction at a
 * time, and every store to a slot, the journal, a word, top or saved_top is named. Code that
 * changes its order without the model changing too fails here. */
#include "daemon/core/magazine.h"
#include "tests/crash/step.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_MAX 64u

enum place { NOWHERE, IN_SLOTS, IN_ITEMS, IN_N, IN_WORDS, IN_TOP, IN_SAVED };

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

enum operation { GRANT, STEAL };

static const struct {
	enum operation operation;
	enum place place;
} listed[] = {
#define X(operation, step, what) {operation, PLACE_##operation##_##step},
#include "tests/model/magazine_steps.def"
#undef X
};

/* The words that the steps store to, of the hot magazine of client 1. */
struct words {
	uint32_t slot[64];
	struct shm_journal_item item[80];
	uint64_t n, word[64], top, saved;
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
	return a->saved != b->saved ? IN_SAVED : NOWHERE;
}

/* Names the stores of op in their order, a row in one place once, up to the second store of n.
 * Returns how many, or 0 if ptrace is not permitted. */
static uint32_t watch(struct world *w, void (*op)(struct world *w), enum place seen[STEPS_MAX])
{
	struct words before, after;
	uint32_t n = 0, stores_of_n = 0;
	int signal = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		(void)raise(SIGSTOP);
		op(w);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	if (!step_wait(pid, &signal))
		return 0;
	look(w, &before);
	while (stores_of_n < 2 && n < STEPS_MAX &&
	       ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && step_wait(pid, &signal) &&
	       signal == SIGTRAP) {
		enum place place;

		look(w, &after);
		place = changed(&before, &after);
		before = after;
		stores_of_n += place == IN_N;
		if (place != NOWHERE && (n == 0 || seen[n - 1] != place))
			seen[n++] = place;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return n;
}

static void check_order(struct world *w, void (*op)(struct world *w), enum operation operation)
{
	enum place seen[STEPS_MAX];
	uint32_t n = watch(w, op, seen), at = 0;

	for (size_t i = 0; i < sizeof listed / sizeof *listed && n; i++) {
		if (listed[i].operation != operation)
			continue;
		CU_ASSERT(at < n && seen[at] == listed[i].place);
		at++;
	}
	CU_ASSERT_EQUAL(at, n);
}

static void op_grant(struct world *w)
{
	uint64_t count;

	(void)pool_refill(w->pool, 1, 0, MAGAZINE_HOT, 0, &count);
}

static void op_steal(struct world *w)
{
	(void)pool_claim_all(w->pool, 1, false);
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

CU_TestInfo test_steps_crash[] = {
	{"grant_and_steal_store_in_the_order_of_the_model",
	 grant_and_steal_store_in_the_order_of_the_model},
	CU_TEST_INFO_NULL,
};
