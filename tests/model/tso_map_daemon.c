/* tests/model/tso_map_daemon.c - Alloc, grant, Free, steal, sweep and recovery, as far as mem_map
 * goes; and the kill at any of their steps.
 *
 * An operation runs the steps of its two phases in the order of the program. A phase is entered
 * only if there is something to do (a block of the right order is not split), and again as long as
 * there is more. Which block is taken is not modelled: any FREE one that is large enough may be. */
#include "tests/model/tso_map.h"

#include <string.h>

enum { PC_REPLAY = MAP_STEPS + 1, PC_REPLAYED };

/* --- the processor --------------------------------------------------------------------------- */

static uint8_t load(const struct map_state *s, unsigned place)
{
	for (unsigned i = s->daemon.n; i-- > 0;)
		if (s->daemon.place[i] == place)
			return s->daemon.value[i];
	return s->memory[place];
}

static void view(const struct map_state *s, uint8_t ret_words[MAP_FRAMES])
{
	for (unsigned pfn = 0; pfn < MAP_FRAMES; pfn++)
		ret_words[pfn] = load(s, pfn);
}

/* There is room: map_daemon_step() has looked. */
static void store(struct map_state *s, unsigned place, unsigned value)
{
	s->daemon.place[s->daemon.n] = (uint8_t)place;
	s->daemon.value[s->daemon.n++] = (uint8_t)value;
}

static void drain_one(struct map_state *s)
{
	struct map_daemon *d = &s->daemon;

	if (d->place[0] < MAP_FRAMES && s->memory[d->place[0]] != d->value[0])
		s->reader.stable &= (uint8_t) ~(1u << d->place[0]);
	s->memory[d->place[0]] = d->value[0];
	d->n--;
	memmove(d->place, d->place + 1, MAP_BUFFER - 1);
	memmove(d->value, d->value + 1, MAP_BUFFER - 1);
	d->place[MAP_BUFFER - 1] = d->value[MAP_BUFFER - 1] = 0;
}

void map_daemon_drain(struct map_model *model, const struct map_state *from)
{
	struct map_state s = *from;

	if (s.daemon.n == 0)
		return;
	drain_one(&s);
	map_add(model, &s);
}

/* Idle: registers hold nothing, and what the items were is nobody's business. */
static void rest(struct map_state *s)
{
	struct map_daemon *d = &s->daemon;

	d->pc = d->recovers = d->i = d->pfn = d->from = d->mid = d->to = 0;
	d->row = d->owner = d->given = d->sweeps = 0;
}

/* --- phases ---------------------------------------------------------------------------------- */

static bool can_merge(const struct map_model *model, const struct map_state *s, unsigned pfn,
		      unsigned order)
{
	unsigned other = pfn ^ 1u << order;

	return order < MAP_ORDER_MAX && other + (1u << order) <= model->nr_frames &&
	       load(s, other) == map_word(MAP_FREE, order, 0);
}

/* The next two buddies: of what was given back, the block that just merged first; at recovery any
 * of the walk. */
static bool plan_merge(const struct map_model *model, struct map_state *s)
{
	struct map_daemon *d = &s->daemon;
	unsigned candidates = d->given;
	uint8_t words[MAP_FRAMES];

	view(s, words);
	if (d->recovers)
		candidates = map_heads(words, model->nr_frames);
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++) {
		unsigned order = map_order(words[pfn]);

		if (!(candidates >> pfn & 1))
			continue;
		if ((map_state_of(words[pfn]) == MAP_FREE || model->control == MAP_MERGE_FIRST) &&
		    can_merge(model, s, pfn, order)) {
			d->pfn = (uint8_t)(pfn & ~(1u << order));
			d->from = (uint8_t)order;
			d->given &= (uint8_t) ~(1u << (d->pfn + (1u << order)));
			d->given |= (uint8_t)(d->recovers ? 0 : 1u << d->pfn);
			return true;
		}
	}
	return false;
}

/* Is there something to do in the phase that begins, or that is through once? */
static bool enter(const struct map_model *model, struct map_state *s, enum map_phase phase,
		  bool again)
{
	struct map_daemon *d = &s->daemon;

	d->i = 0;
	if (phase == MAP_MERGE)
		return plan_merge(model, s);
	if (phase != MAP_SPLIT)
		return !again && (phase == MAP_TAKE || (phase == MAP_SWEEP) == d->sweeps);
	if (!again && d->from > d->mid)
		return true;
	if (d->row || d->mid == d->to)
		return false;
	d->row = 1;
	return true;
}

/* Goes to the next step that there is: of this phase, of this phase again, of the next. */
static void next_step(const struct map_model *model, struct map_state *s, bool take)
{
	struct map_daemon *d = &s->daemon;
	enum map_phase phase = map_phase_of(model->program[d->pc - 1]);

	d->i = 0;
	d->pc++;
	if (d->pc <= MAP_STEPS && map_phase_of(model->program[d->pc - 1]) == phase)
		return;
	if (enter(model, s, phase, true)) {
		while (d->pc > 1 && map_phase_of(model->program[d->pc - 2]) == phase)
			d->pc--;
		return;
	}
	while (d->pc <= MAP_STEPS && map_is_take(model->program[d->pc - 1]) == take) {
		phase = map_phase_of(model->program[d->pc - 1]);
		if (!d->recovers && enter(model, s, phase, false))
			return;
		while (d->pc <= MAP_STEPS && map_phase_of(model->program[d->pc - 1]) == phase)
			d->pc++;
	}
	rest(s);
}

static void begin(struct map_model *model, struct map_state *s, bool take)
{
	struct map_daemon *d = &s->daemon;
	enum map_phase phase;

	if (s->ops != MAP_FOREVER)
		s->ops--;
	d->pc = map_first_pc(model, take);
	phase = map_phase_of(model->program[d->pc - 1]);
	while (!enter(model, s, phase, false)) {
		while (map_phase_of(model->program[d->pc - 1]) == phase)
			d->pc++;
		phase = map_phase_of(model->program[d->pc - 1]);
	}
	map_add(model, s);
}

/* --- steps: each is one store, or the items -------------------------------------------------- */

/* True when the step is through. */
static bool step_split(struct map_state *s, enum map_step step)
{
	struct map_daemon *d = &s->daemon;
	unsigned n = d->row ? (1u << (d->mid - d->to)) - 1 : (unsigned)(d->from - d->mid);

	if (step == MAP_SPLIT_LOWER) {
		store(s, d->pfn, map_word(MAP_FREE, d->row ? d->to : d->mid, 0));
		return true;
	}
	if (d->row) {
		store(s, d->pfn + ((n - d->i) << d->to), map_word(MAP_FREE, d->to, 0));
	} else {
		unsigned order = d->from - 1u - d->i;

		store(s, d->pfn + (1u << order), map_word(MAP_FREE, order, 0));
	}
	return ++d->i == n;
}

static unsigned count_items(const struct map_state *s)
{
	unsigned n = 0;

	while (n < MAP_ITEMS && s->item_value[n])
		n++;
	return n;
}

static void put_item(struct map_state *s, unsigned place, unsigned value)
{
	unsigned n = count_items(s);

	s->item_place[n] = (uint8_t)place;
	s->item_value[n] = (uint8_t)value;
}

/* Items are the daemon's own until n says how many, and n comes behind them: they need no buffer.
 */
static void put_items(const struct map_model *model, struct map_state *s, bool take)
{
	const struct map_daemon *d = &s->daemon;

	for (unsigned n = 0; take && n < 1u << (d->mid - d->to); n++)
		put_item(s, d->pfn + (n << d->to), map_word(MAP_OWNED, d->to, d->owner));
	for (unsigned pfn = 0; !take && pfn < MAP_FRAMES; pfn++) {
		unsigned order = map_order(load(s, pfn));

		if (!(d->given >> pfn & 1))
			continue;
		if (model->control == MAP_FREE_AND_MERGE && can_merge(model, s, pfn, order))
			put_item(s, pfn & ~(1u << order), map_word(MAP_FREE, order + 1, 0));
		else
			put_item(s, pfn, map_word(MAP_FREE, order, 0));
	}
}

/* From here on the operation has happened. */
static void commit(struct map_model *model, struct map_state *s, bool take)
{
	const struct map_daemon *d = &s->daemon;

	store(s, MAP_N, count_items(s));
	for (unsigned n = 0; take && n < count_items(s); n++) {
		if (s->truth[s->item_place[n]])
			map_break(model, "what somebody has is granted again");
		s->truth[s->item_place[n]] = s->item_value[n];
	}
	for (unsigned pfn = 0; !take && pfn < MAP_FRAMES; pfn++)
		if (d->given >> pfn & 1)
			s->truth[pfn] = 0;
}

static bool apply(struct map_state *s)
{
	struct map_daemon *d = &s->daemon;

	store(s, s->item_place[d->i], s->item_value[d->i]);
	return ++d->i == count_items(s);
}

static void done(struct map_state *s)
{
	store(s, MAP_N, 0);
	memset(s->item_place, 0, sizeof s->item_place);
	memset(s->item_value, 0, sizeof s->item_value);
}

static bool step_journal(struct map_model *model, struct map_state *s, enum map_step step)
{
	bool take = map_is_take(step);

	if (step == MAP_TAKE_ITEMS || step == MAP_GIVE_ITEMS)
		put_items(model, s, take);
	else if (step == MAP_TAKE_COMMIT || step == MAP_GIVE_COMMIT)
		commit(model, s, take);
	else if (step == MAP_TAKE_WORDS || step == MAP_GIVE_WORDS)
		return apply(s);
	else
		done(s);
	return true;
}

/* Each word commits itself; true after the last of the slice. */
static bool step_sweep(struct map_state *s)
{
	struct map_daemon *d = &s->daemon;
	unsigned left = d->given, pfn;

	for (unsigned i = 0; i < d->i; i++)
		left &= left - 1;
	pfn = (unsigned)__builtin_ctz(left);
	store(s, pfn, map_word(MAP_FREE, map_order(load(s, pfn)), 0));
	s->truth[pfn] = 0;
	d->i++;
	return (left & (left - 1)) == 0;
}

static void step_merge(struct map_state *s, enum map_step step)
{
	const struct map_daemon *d = &s->daemon;

	if (step == MAP_MERGE_LOWER)
		store(s, d->pfn, map_word(MAP_FREE, d->from + 1u, 0));
	else
		store(s, d->pfn + (1u << d->from), map_word(MAP_TAIL, 0, 0));
}

static void step_program(struct map_model *model, struct map_state *s)
{
	enum map_step step = model->program[s->daemon.pc - 1];
	bool through = true;

	model->executed |= 1u << step;
	switch (map_phase_of(step)) {
	case MAP_SPLIT:
		through = step_split(s, step);
		break;
	case MAP_TAKE:
	case MAP_GIVE:
		through = step_journal(model, s, step);
		break;
	case MAP_SWEEP:
		through = step_sweep(s);
		break;
	case MAP_MERGE:
		step_merge(s, step);
		break;
	case MAP_NR_PHASES:
		break;
	}
	if (through)
		next_step(model, s, map_is_take(step));
}

/* --- operations ------------------------------------------------------------------------------ */

/* Alloc of each order, and grants of two and four heads of order 0, from this FREE block. */
static void start_takes(struct map_model *model, const struct map_state *from, unsigned pfn)
{
	struct map_state s = *from;
	unsigned order = map_order(load(from, pfn));

	s.daemon.pfn = (uint8_t)pfn;
	s.daemon.from = (uint8_t)order;
	for (unsigned owner = 1; owner <= model->owners; owner++) {
		s.daemon.owner = (uint8_t)owner;
		for (unsigned to = 0; to <= order; to++) {
			struct map_state alloc = s;

			alloc.daemon.mid = alloc.daemon.to = (uint8_t)to;
			begin(model, &alloc, true);
		}
		for (unsigned mid = 1; mid <= order && 1u << mid <= MAP_ITEMS; mid++) {
			struct map_state grant = s;

			grant.daemon.mid = (uint8_t)mid;
			begin(model, &grant, true);
		}
	}
}

static void start_sweep(struct map_model *model, const struct map_state *from, unsigned heads)
{
	struct map_state s = *from;

	s.daemon.given = (uint8_t)heads;
	s.daemon.sweeps = 1;
	begin(model, &s, false);
}

/* Free, or sweep, of one block; steal of all blocks of order 0 that its owner has, up to a chunk;
 * sweep of all that it has. */
static void start_gives(struct map_model *model, const struct map_state *from)
{
	uint8_t words[MAP_FRAMES];
	unsigned stolen[4] = {0}, n[4] = {0}, all[4] = {0};

	view(from, words);
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++) {
		struct map_state s = *from;
		unsigned owner = map_owner(words[pfn]);

		if (map_state_of(words[pfn]) != MAP_OWNED)
			continue;
		all[owner] |= 1u << pfn;
		s.daemon.given = (uint8_t)(1u << pfn);
		begin(model, &s, false);
		if (model->control != MAP_MERGE_FIRST)
			start_sweep(model, from, 1u << pfn);
		if (map_order(words[pfn]) == 0 && n[owner]++ < MAP_ITEMS)
			stolen[owner] |= 1u << pfn;
	}
	for (unsigned owner = 1; owner <= model->owners; owner++) {
		struct map_state s = *from;

		if (all[owner] & (all[owner] - 1) && model->control != MAP_MERGE_FIRST)
			start_sweep(model, from, all[owner]);
		s.daemon.given = (uint8_t)stolen[owner];
		if (n[owner] > 1 && model->control != MAP_MERGE_FIRST) /* one block at a time */
			begin(model, &s, false);
	}
}

static void start(struct map_model *model, const struct map_state *from)
{
	uint8_t words[MAP_FRAMES];
	unsigned heads;

	if (from->ops == 0)
		return;
	view(from, words);
	heads = map_heads(words, model->nr_frames);
	for (unsigned pfn = 0; pfn < model->nr_frames; pfn++)
		if (heads >> pfn & 1 && map_state_of(words[pfn]) == MAP_FREE)
			start_takes(model, from, pfn);
	start_gives(model, from);
}

/* --- recovery -------------------------------------------------------------------------------- */

/* The walk: free buddies merge. */
static void walk(const struct map_model *model, struct map_state *s)
{
	s->daemon.pc = (uint8_t)(map_first_pc(model, false));
	while (map_phase_of(model->program[s->daemon.pc - 1]) != MAP_MERGE)
		s->daemon.pc++;
	if (!enter(model, s, MAP_MERGE, false))
		rest(s);
}

void map_daemon_step(struct map_model *model, const struct map_state *from)
{
	struct map_state s = *from;

	if (s.daemon.pc == 0) {
		start(model, from);
		return;
	}
	if (s.daemon.n == MAP_BUFFER)
		return;
	if (s.daemon.pc == PC_REPLAY) {
		if (apply(&s))
			s.daemon.pc = PC_REPLAYED;
	} else if (s.daemon.pc == PC_REPLAYED) {
		done(&s);
		walk(model, &s);
	} else {
		step_program(model, &s);
	}
	map_add(model, &s);
}

void map_daemon_crash(struct map_model *model, const struct map_state *from)
{
	struct map_state s = *from;

	if (s.crashes == 0 || s.daemon.pc == 0)
		return;
	if (s.crashes != MAP_FOREVER)
		s.crashes--;
	while (s.daemon.n)
		drain_one(&s);
	rest(&s);
	if (s.memory[MAP_N] == 0 || model->control == MAP_NO_REPLAY) {
		done(&s); /* items without n mean nothing */
		drain_one(&s);
	}
	s.daemon.recovers = 1;
	if (s.memory[MAP_N])
		s.daemon.pc = PC_REPLAY;
	else
		walk(model, &s);
	map_add(model, &s);
}
