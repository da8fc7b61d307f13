/* tests/model/test_tso_map.c - mem_map under every history of a tiny zone: every interleaving with
 * a walk under x86-TSO, every crash, every crash of the recovery.
 *
 * The daemon allocates, grants, frees, steals and sweeps (tso_map_daemon.c) in the order of
 * map_steps.def, which tests/crash holds the compiled code to. In each state of memory the heads
 * tile the zone (I4, and with it every frame is counted once, I5) and no interior word is OWNED; at
 * rest, after whatever kills, exactly the blocks are OWNED whose journal committed (I1, I3), and no
 * two free buddies lie side by side. A walk beside it ends at the zone's end, takes no interior
 * word for an OWNED head, and sees each block that is OWNED all the while. The controls break one
 * rule each and must be caught. */
#include "tests/model/tso_map.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#define STATES_MAX 4000000u

void map_break(struct map_model *model, const char *what)
{
	if (!model->broken)
		model->broken = what;
}

void map_add(struct map_model *model, const struct map_state *s)
{
	if (!visited_add(&model->visited, s))
		map_break(model, "more states than the model has room for");
}

unsigned map_heads(const uint8_t *words, unsigned nr_frames)
{
	unsigned heads = 0;

	for (unsigned pfn = 0; pfn < nr_frames;) {
		unsigned size = 1u << map_order(words[pfn]);

		if (map_state_of(words[pfn]) == MAP_TAIL || pfn % size || pfn + size > nr_frames)
			return 0;
		heads |= 1u << pfn;
		pfn += size;
	}
	return heads;
}

/* --- what must hold -------------------------------------------------------------------------- */

static void check_rest(struct map_model *model, const struct map_state *s)
{
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++) {
		uint8_t word = s->memory[pfn];
		unsigned buddy = pfn ^ 1u << map_order(word);
		bool owned = map_state_of(word) == MAP_OWNED;

		if (s->truth[pfn] != (owned ? word : 0))
			map_break(model, "OWNED is not what was committed");
		if (map_state_of(word) == MAP_FREE && map_order(word) < MAP_ORDER_MAX &&
		    buddy < model->nr_frames && s->memory[buddy] == word &&
		    map_heads(s->memory, model->nr_frames) >> pfn & 1)
			map_break(model, "free buddies lie side by side");
	}
}

static void check(struct map_model *model, const struct map_state *s)
{
	unsigned heads = map_heads(s->memory, model->nr_frames);

	if (model->reader_alone)
		return;
	if (heads == 0)
		map_break(model, "heads do not tile the zone");
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++)
		if (map_state_of(s->memory[pfn]) == MAP_OWNED && !(heads >> pfn & 1))
			map_break(model, "an interior word is OWNED");
	if (s->daemon.pc == 0 && s->daemon.n == 0)
		check_rest(model, s);
}

/* --- the reader ------------------------------------------------------------------------------ */

static void reader_start(struct map_model *model, const struct map_state *from)
{
	struct map_state s = *from;

	if (s.walks == 0)
		return;
	if (s.walks != MAP_FOREVER)
		s.walks--;
	s.reader = (struct map_reader){.at = 0};
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++)
		if (map_state_of(s.memory[pfn]) == MAP_OWNED)
			s.reader.stable |= (uint8_t)(1u << pfn);
	map_add(model, &s);
}

/* One load, and on to what it says is the next head. */
static void reader_step(struct map_model *model, const struct map_state *from)
{
	struct map_state s = *from;
	uint8_t at = s.reader.at, word = s.memory[at % MAP_FRAMES];
	unsigned end = at + (1u << map_order(word));

	if (end > model->nr_frames) {
		map_break(model, "a walk leaves the zone");
		return;
	}
	if (map_state_of(word) == MAP_OWNED) {
		if (!(map_heads(s.memory, model->nr_frames) >> at & 1))
			map_break(model, "a walk takes an interior word for an OWNED head");
		s.reader.seen |= (uint8_t)(1u << at);
	}
	s.reader.at = (uint8_t)end;
	if (end == model->nr_frames) {
		if (s.reader.stable & ~s.reader.seen)
			map_break(model, "a walk misses a block that is OWNED all the while");
		s.reader = (struct map_reader){.at = MAP_NOWHERE};
	}
	map_add(model, &s);
}

/* --- the search ------------------------------------------------------------------------------ */

/* All free, as pool_format() leaves it: an end that is not aligned is a row of smaller heads. */
static struct map_state first_state(const struct map_model *model)
{
	struct map_state s;

	memset(&s, 0, sizeof s);
	for (unsigned pfn = 0, order = MAP_ORDER_MAX; pfn < model->nr_frames; order--)
		if (pfn + (1u << order) <= model->nr_frames) {
			s.memory[pfn] = map_word(MAP_FREE, order, 0);
			pfn += 1u << order;
		}
	s.reader.at = MAP_NOWHERE;
	s.ops = model->ops;
	s.crashes = model->crashes;
	s.walks = model->walks;
	return s;
}

/* What is broken, or NULL; *ret_states says how many states there are. */
static const char *explore(struct map_model *model, uint32_t *ret_states)
{
	struct map_state s = first_state(model);

	map_program(model);
	visited_open(&model->visited, sizeof s, STATES_MAX);
	map_add(model, &s);
	for (uint32_t i = 0; i < model->visited.n && !model->broken; i++) {
		memcpy(&s, visited_get(&model->visited, i), sizeof s);
		check(model, &s);
		if (s.reader.at == MAP_NOWHERE)
			reader_start(model, &s);
		else
			reader_step(model, &s);
		map_daemon_drain(model, &s);
		map_daemon_step(model, &s);
		map_daemon_crash(model, &s);
	}
	*ret_states = model->visited.n;
	visited_close(&model->visited);
	return model->broken;
}

static void holds(struct map_model model, const char *name)
{
	uint32_t n;
	const char *what = explore(&model, &n);

	printf("  %s: %u states %s\n", name, n, what ? what : "");
	CU_ASSERT_PTR_NULL(what);
	CU_ASSERT(n > 10000);
	CU_ASSERT_EQUAL(model.executed, (1u << MAP_NR_STEPS) - 1);
}

static void no_history_and_no_crash_breaks_the_map(void)
{
	holds(
		(struct map_model){
			.nr_frames = 8, .owners = 1, .ops = MAP_FOREVER, .crashes = MAP_FOREVER},
		"8 frames, any number of operations and crashes");
	holds(
		(struct map_model){
			.nr_frames = 6, .owners = 2, .ops = MAP_FOREVER, .crashes = MAP_FOREVER},
		"6 frames, an end that is not aligned, two owners, the same");
	holds((struct map_model){.nr_frames = 8, .owners = 3, .ops = 3, .crashes = 2},
	      "8 frames, three owners, 3 operations, 2 crashes");
}

static void a_walk_ends_and_sees_what_stays(void)
{
	holds((struct map_model){.nr_frames = 4,
				 .owners = 2,
				 .ops = MAP_FOREVER,
				 .crashes = MAP_FOREVER,
				 .walks = MAP_FOREVER},
	      "4 frames, any number of operations, crashes and walks");
	holds((struct map_model){.nr_frames = 8, .owners = 1, .ops = 3, .walks = 1},
	      "8 frames, 3 operations and a walk");
	holds((struct map_model){.nr_frames = 8, .owners = 2, .ops = 2, .crashes = 1, .walks = 1},
	      "8 frames, two owners, 2 operations, a crash and a walk");
}

/* Caught for what it does, and not for something else. */
static void fails(struct map_model model, const char *name, const char *expected)
{
	uint32_t n;
	const char *what;

	model.nr_frames = 8;
	model.owners = 2;
	model.ops = 3;
	what = explore(&model, &n);
	printf("  %s: %s\n", name, what ? what : "not caught");
	CU_ASSERT_STRING_EQUAL(what ? what : "", expected);
}

static void each_control_is_caught(void)
{
	static const char tiles[] = "heads do not tile the zone";
	static const char interior[] = "an interior word is OWNED";

	fails((struct map_model){.control = MAP_LOWER_FIRST}, "a split that stores its head first",
	      tiles);
	fails((struct map_model){.control = MAP_OWNED_BEFORE_SPLIT}, "OWNED before the split",
	      tiles);
	fails((struct map_model){.control = MAP_TAIL_FIRST}, "a merge that takes the tail first",
	      tiles);
	fails((struct map_model){.control = MAP_MERGE_FIRST}, "a merge before the free", interior);
	fails((struct map_model){.control = MAP_FREE_AND_MERGE}, "free and merge in one store",
	      interior);
	fails((struct map_model){.control = MAP_FREE_AND_MERGE, .reader_alone = true, .walks = 1},
	      "the same, as a walk sees it", "a walk takes an interior word for an OWNED head");
	fails((struct map_model){.control = MAP_NO_REPLAY, .crashes = 1}, "no replay",
	      "OWNED is not what was committed");
}

CU_TestInfo test_tso_map[] = {
	{"no_history_and_no_crash_breaks_the_map", no_history_and_no_crash_breaks_the_map},
	{"a_walk_ends_and_sees_what_stays", a_walk_ends_and_sees_what_stays},
	{"each_control_is_caught", each_control_is_caught},
	CU_TEST_INFO_NULL,
};
