/* tests/unit/test_compact.c - a run of frames is emptied for a large block: which one, and when
 * none. */
#include "daemon/core/victim.h"
#include "tests/unit/purge_fixture.h"

#define FRAMES 2048u
#define RUN 9u
#define RUN_FRAMES (1u << RUN)

/* All frames are owned; those of run `i` are purgeable of a, but for `kept` of them. */
struct world {
	struct fixture f;
	pfn_t pfn[FRAMES];
	uint32_t n, n_slots;
};

static void fill(struct world *w)
{
	setup(&w->f, FRAMES);
	w->n = w->n_slots = 0;
	while (fixture_pool_try_alloc(&w->f.pool, w->f.a, 0, &w->pfn[w->n]) == 0)
		w->n++;
}

static void arm_run(struct world *w, uint32_t run, uint32_t kept)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->pfn[i] >> RUN == run && (kept == 0 || kept-- == 0))
			arm(&w->f, w->f.a, w->n_slots++, w->pfn[i], 0);
}

static void free_run(struct world *w, uint32_t run, uint32_t n)
{
	for (uint32_t i = 0; i < w->n && n; i++)
		if (w->pfn[i] >> RUN == run && n--)
			CU_ASSERT_EQUAL(fixture_pool_free(&w->f.pool, w->f.a, w->pfn[i], 0), 0);
}

static uint64_t compact(struct world *w)
{
	uint64_t purged = 0;

	pool_compact_begin(w->f.pool.pool, RUN);
	while (pool_compact_step(w->f.pool.pool, &purged))
		;
	FIXTURE_AUDIT(&w->f.pool);
	return purged;
}

/* The frames that the watermark keeps are free: the run that they lie in is the cheapest. */
static uint32_t run_with_free_frames(const struct world *w)
{
	uint32_t n_owned[FRAMES >> RUN] = {0};

	for (uint32_t i = 0; i < w->n; i++)
		n_owned[w->pfn[i] >> RUN]++;
	for (uint32_t run = 0; run < FRAMES >> RUN; run++)
		if (n_owned[run] < RUN_FRAMES)
			return run;
	return 0;
}

static void the_cheapest_run_is_emptied_and_no_other(void)
{
	static struct world w;
	uint32_t full;

	fill(&w);
	full = run_with_free_frames(&w) ? 0 : 1;
	arm_run(&w, full, 0);
	CU_ASSERT_EQUAL(compact(&w), RUN_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_compact_success), 1);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, full << RUN).state, PAGE_FREE);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, full << RUN).order, RUN);
	teardown(&w.f);
	/* Of two that can be emptied, the one that costs less frames. */
	fill(&w);
	full = run_with_free_frames(&w) ? 0 : 1;
	arm_run(&w, full, 0);
	arm_run(&w, run_with_free_frames(&w), 0);
	CU_ASSERT(compact(&w) < RUN_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, full << RUN).state, PAGE_OWNED);
	teardown(&w.f);
}

static void a_run_with_one_frame_that_stays_is_left_alone(void)
{
	static struct world w;
	uint64_t word;

	fill(&w);
	arm_run(&w, 1, 1);
	arm_run(&w, 2, 0);
	CU_ASSERT_EQUAL(purge_pin(entry_of(&w.f, w.f.a, w.n_slots - 1), &word), PURGE_OK);
	free_run(&w, 3, 7);
	CU_ASSERT_EQUAL(compact(&w), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_compact_fail), 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_pgpurge), 0);
	teardown(&w.f);
}

static void nobody_is_taken_below_its_min_for_it(void)
{
	static struct world w;
	struct pool_limits limits = {.min = FRAMES};

	fill(&w);
	arm_run(&w, 1, 0);
	pool_client_set_limits(w.f.pool.pool, w.f.a, &limits);
	CU_ASSERT_EQUAL(compact(&w), 0);
	teardown(&w.f);
}

/* Each frame of the run alone could go, and not all of them. */
static void what_a_run_has_of_one_client_is_held_against_its_min_together(void)
{
	static struct world w;
	struct pool_limits limits = {0};

	fill(&w);
	arm_run(&w, 1, 0);
	limits.min = w.n - (RUN_FRAMES - 1);
	pool_client_set_limits(w.f.pool.pool, w.f.a, &limits);
	CU_ASSERT_EQUAL(compact(&w), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_compact_fail), 1);
	CU_ASSERT_EQUAL(pool_client(w.f.pool.pool, w.f.a)->nr_purged, 0);
	limits.min = w.n - RUN_FRAMES;
	pool_client_set_limits(w.f.pool.pool, w.f.a, &limits);
	CU_ASSERT_EQUAL(compact(&w), RUN_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_compact_success), 1);
	teardown(&w.f);
}

/* As many entries as the run has frames, and half of them twice: the rest is somebody else's. */
static uint32_t slot_of(const struct world *w, pfn_t pfn)
{
	uint32_t slot = 0;

	while (slot + 1 < w->n_slots && purge_unpack(*entry_of(&w->f, w->f.a, slot)).pfn != pfn)
		slot++;
	return slot;
}

/* Run 1 costs fewer frames, but they are of somebody who is spared. */
static void who_is_over_its_high_pays_first(void)
{
	static struct world w;
	struct pool_limits spared = {.low = FRAMES}, over = {.high = 1};
	uint64_t n_given;
	pfn_t given;

	fill(&w);
	arm_run(&w, 1, 0);
	free_run(&w, 2, RUN_FRAMES);
	while (fixture_pool_try_alloc(&w.f.pool, w.f.b, 0, &given) == 0)
		if (given >> RUN == 2)
			arm(&w.f, w.f.b, given & (RUN_FRAMES - 1), given, 0);
	/* Cheaper by far, so that only the limits speak for the other one. */
	for (uint32_t i = 1; i <= RUN_FRAMES / 2; i++) {
		CU_ASSERT_EQUAL(fixture_pool_free(&w.f.pool, w.f.a, (1u << RUN) + 2 * i - 1, 0), 0);
		*entry_of(&w.f, w.f.a, slot_of(&w, (1u << RUN) + 2 * i - 1)) = PURGE_FREE_SLOT;
	}
	pool_client_set_limits(w.f.pool.pool, w.f.a, &spared);
	pool_client_set_limits(w.f.pool.pool, w.f.b, &over);
	n_given = compact(&w);
	CU_ASSERT(n_given > RUN_FRAMES / 2);
	CU_ASSERT_EQUAL(pool_client(w.f.pool.pool, w.f.b)->nr_purged, n_given);
	CU_ASSERT_EQUAL(pool_client(w.f.pool.pool, w.f.a)->nr_purged, 0);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, 2u << RUN).order, RUN);
	/* Where nobody else has a run, the spared one gives it. */
	CU_ASSERT(compact(&w) > 0);
	CU_ASSERT(pool_client(w.f.pool.pool, w.f.a)->nr_purged > 0);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, 1u << RUN).order, RUN);
	teardown(&w.f);
}

static void a_frame_that_is_listed_twice_counts_once(void)
{
	static struct world w;
	uint32_t n = 0;

	fill(&w);
	for (uint32_t i = 0; i < w.n; i++)
		if (w.pfn[i] >> RUN == 1 && n++ < RUN_FRAMES / 2) {
			arm(&w.f, w.f.a, w.n_slots++, w.pfn[i], 0);
			arm(&w.f, w.f.a, w.n_slots++, w.pfn[i], 0);
		}
	CU_ASSERT_EQUAL(n, RUN_FRAMES);
	CU_ASSERT_EQUAL(compact(&w), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_pgpurge), 0);
	teardown(&w.f);
	/* Nor does it spoil what others have there. */
	fill(&w);
	arm_run(&w, 1, 0);
	for (uint32_t i = 0; i < w.n; i++)
		if (w.pfn[i] >> RUN == 2) {
			arm(&w.f, w.f.a, w.n_slots++, w.pfn[i], 0);
			arm(&w.f, w.f.a, w.n_slots++, w.pfn[i], 0);
		}
	CU_ASSERT_EQUAL(compact(&w), RUN_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_counter(&w.f.pool, COUNTER_compact_success), 1);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, 1u << RUN).order, RUN);
	teardown(&w.f);
}

/* Tables that take several slices: who waits gets the block as soon as it is there, and it counts.
 */
static void a_run_that_is_whole_ends_the_search(void)
{
	enum { MANY = 2 * VICTIM_SLICE };
	static pfn_t run[RUN_FRAMES];
	struct fixture f;
	uint64_t purged = 0;
	uint32_t n = 0;
	pfn_t pfn;

	setup(&f, MANY);
	add_table(&f, f.a, MANY);
	while (fixture_pool_try_alloc(&f.pool, f.a, 0, &pfn) == 0)
		if (pfn >> RUN == 3)
			run[n++] = pfn;
	CU_ASSERT_EQUAL_FATAL(n, RUN_FRAMES);
	for (uint32_t i = 0; i < RUN_FRAMES; i++)
		arm(&f, f.a, i, run[i], 0);
	pool_compact_begin(f.pool.pool, RUN);
	while (purged == 0 && pool_compact_step(f.pool.pool, &purged))
		;
	CU_ASSERT_EQUAL(purged, RUN_FRAMES);
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f.pool, f.b, RUN), 3u << RUN);
	CU_ASSERT_FALSE(pool_compact_step(f.pool.pool, &purged));
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_compact_success), 1);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f.pool, COUNTER_compact_fail), 0);
	teardown(&f);
}

static void a_range_is_purged_whatever_its_age(void)
{
	static struct world w;
	struct pool_range range;
	uint64_t n = 0;

	fill(&w);
	arm_run(&w, 1, 0);
	arm_run(&w, 2, 0);
	range = pool_range_begin(RUN_FRAMES, RUN_FRAMES + 10);
	while (!pool_range_is_done(&range))
		n += pool_purge_range(w.f.pool.pool, &range);
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_EQUAL(fixture_pool_word(&w.f.pool, RUN_FRAMES + 10).state, PAGE_OWNED);
	teardown(&w.f);
}

CU_TestInfo test_compact[] = {
	{"the cheapest run is emptied and no other", the_cheapest_run_is_emptied_and_no_other},
	{"a run with one frame that stays is left alone",
	 a_run_with_one_frame_that_stays_is_left_alone},
	{"nobody is taken below its min for it", nobody_is_taken_below_its_min_for_it},
	{"what a run has of one client is held against its min together",
	 what_a_run_has_of_one_client_is_held_against_its_min_together},
	{"who is over its high pays first", who_is_over_its_high_pays_first},
	{"a frame that is listed twice counts once", a_frame_that_is_listed_twice_counts_once},
	{"a run that is whole ends the search", a_run_that_is_whole_ends_the_search},
	{"a range is purged whatever its age", a_range_is_purged_whatever_its_age},
	CU_TEST_INFO_NULL,
};
