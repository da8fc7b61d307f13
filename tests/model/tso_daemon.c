/* tests/model/tso_daemon.c - grant, steal in chunks, the journal, recovery; and the kill at any of
 * their steps. */
#include "tests/model/tso.h"

#include <string.h>

enum daemon_pc {
	GRANT_SLOTS = 1,
	GRANT_ITEMS,
	STEAL_SAVED = 10,
	STEAL_CLAIM,
	STEAL_BARRIER,
	STEAL_BOTTOM,
	STEAL_ITEMS,
	JOURNAL_COMMIT = 20,
	JOURNAL_APPLY,
	JOURNAL_DONE,
	RECOVER_TOP = 30,
	RECOVER_SAVED
};
/* reg: 0 top, 1 end of the steal, 2 frame, or the item that is applied, 3 where the steal is, 4
 * what comes after the journal */
enum after { AFTER_NOTHING, AFTER_CHUNK, AFTER_REPLAY };

static void start_daemon(struct model *model, const struct state *from)
{
	struct state s = *from;
	unsigned top = tso_load(from, &from->daemon, TOP);

	if (s.daemon_ops == 0)
		return;
	s.daemon_ops--;
	s.daemon.reg[0] = (uint8_t)top;
	s.daemon.pc = STEAL_SAVED;
	model_add(model, &s);
	/* A refill, of a magazine that may hold something, whose owner may be at any of its steps:
	 * at a doorbell's ring it does not wait. It is filled up to HIGH (a racy look, as the
	 * daemon's is).
	 */
	if (from->memory[BOTTOM] - (int)top >= HIGH)
		return;
	for (unsigned f = 0; f < FRAMES; f++)
		if (tso_load(from, &from->daemon, WORD + f) == FREE) {
			s.daemon.pc = GRANT_SLOTS;
			s.daemon.reg[2] = (uint8_t)f;
			model_add(model, &s);
			return;
		}
}

/* Items are private until n says how many: they are written in one step, behind the buffer's back,
 * but n is not. */
static void put_items(struct state *s, const uint8_t (*items)[2], unsigned n)
{
	tso_drain(s, &s->daemon);
	for (unsigned i = 0; i < n; i++) {
		s->memory[ITEM_PLACE + i] = items[i][0];
		s->memory[ITEM_VALUE + i] = items[i][1];
	}
}

static void grant_items(const struct model *model, struct state *s)
{
	struct cpu *d = &s->daemon;
	uint8_t items[2][2] = {{(uint8_t)(WORD + d->reg[2]), OWNED},
			       {TOP, (uint8_t)(d->reg[0] - 1)}};

	if (model->control == TOP_BEFORE_WORDS)
		(void)tso_store(d, TOP, d->reg[0] - 1u);
	put_items(s, (const uint8_t(*)[2])items, 2);
	d->reg[1] = 2;
	d->reg[4] = AFTER_NOTHING;
	d->pc = JOURNAL_COMMIT;
}

/* One chunk: its slot copied once, kept if it is the client's. */
static void steal_items(struct state *s)
{
	struct cpu *d = &s->daemon;
	uint8_t items[ITEMS][2];
	unsigned n = 0, at = d->reg[3], to = at;

	if (at < d->reg[1]) {
		unsigned f = tso_load(s, d, SLOT + at % CAPACITY);

		to = at + CHUNK;
		if (f < FRAMES && tso_load(s, d, WORD + f) == OWNED) {
			items[n][0] = (uint8_t)(WORD + f);
			items[n++][1] = FREE;
		}
	}
	if (to >= d->reg[1]) {
		items[n][0] = TOP;
		items[n++][1] = (uint8_t)to;
	}
	items[n][0] = SAVED;
	items[n++][1] = (uint8_t)(to >= d->reg[1] ? 0 : to);
	put_items(s, (const uint8_t(*)[2])items, n);
	d->reg[0] = (uint8_t)n; /* the old top is needed no more */
	d->reg[3] = (uint8_t)to;
	d->reg[4] = AFTER_CHUNK;
	d->pc = JOURNAL_COMMIT;
}

static void step_journal(struct model *model, struct state *s)
{
	struct cpu *d = &s->daemon;
	unsigned n = d->reg[4] == AFTER_CHUNK ? d->reg[0] : d->reg[1];

	switch (d->pc) {
	case JOURNAL_COMMIT:
		if (!tso_store(d, N, n))
			return;
		d->reg[2] = 0;
		d->pc = JOURNAL_APPLY;
		break;
	case JOURNAL_APPLY:
		if (!tso_store(d, s->memory[ITEM_PLACE + d->reg[2]],
			       s->memory[ITEM_VALUE + d->reg[2]]))
			return;
		if (++d->reg[2] == n)
			d->pc = JOURNAL_DONE;
		break;
	default: /* JOURNAL_DONE */
		if (!tso_store(d, N, 0))
			return;
		if (d->reg[4] == AFTER_REPLAY)
			d->pc = RECOVER_TOP;
		else if (d->reg[4] == AFTER_CHUNK && d->reg[3] < d->reg[1])
			d->pc = STEAL_ITEMS;
		else
			tso_rest(d);
		break;
	}
	model_add(model, s);
}

static void step_steal(struct model *model, struct state *s)
{
	struct cpu *d = &s->daemon;
	unsigned bottom;

	switch (d->pc) {
	case STEAL_SAVED:
		if (!tso_store(d, SAVED, d->reg[0]))
			return;
		d->pc = STEAL_CLAIM;
		break;
	case STEAL_CLAIM:
		if (!tso_store(d, TOP, d->reg[0] + (unsigned)ALL))
			return;
		d->pc = STEAL_BARRIER;
		break;
	case STEAL_BARRIER:
		if (model->control != NO_FENCE)
			tso_drain(s, d);
		if (model->control != NO_FENCE && model->control != ONE_SIDED_FENCE)
			tso_drain(s, &s->owner);
		d->pc = STEAL_BOTTOM;
		break;
	case STEAL_BOTTOM:
		bottom = tso_load(s, d, BOTTOM);
		d->reg[1] = (uint8_t)(bottom > d->reg[0] ? bottom : d->reg[0]);
		if (d->reg[1] > d->reg[0] + ALL)
			d->reg[1] = (uint8_t)(d->reg[0] + ALL);
		d->reg[3] = d->reg[0];
		d->pc = STEAL_ITEMS;
		break;
	default: /* STEAL_ITEMS */
		steal_items(s);
		break;
	}
	model_add(model, s);
}

static void step_recovery(struct model *model, struct state *s)
{
	struct cpu *d = &s->daemon;

	if (d->pc == RECOVER_TOP) {
		if (tso_load(s, d, SAVED) == 0 || model->control == NO_SAVED_TOP)
			tso_rest(d);
		else if (tso_store(d, TOP, tso_load(s, d, SAVED)))
			d->pc = RECOVER_SAVED;
		else
			return;
	} else if (tso_store(d, SAVED, 0)) {
		tso_rest(d);
	} else {
		return;
	}
	model_add(model, s);
}

static void step_grant(struct model *model, struct state *s)
{
	struct cpu *d = &s->daemon;

	if (d->pc == GRANT_SLOTS) {
		if (!tso_store(d, SLOT + (d->reg[0] - 1u) % CAPACITY, d->reg[2]))
			return;
		d->pc = GRANT_ITEMS;
	} else {
		grant_items(model, s);
	}
	model_add(model, s);
}

void daemon_step(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.daemon.pc == 0)
		start_daemon(model, from);
	else if (s.daemon.pc < STEAL_SAVED)
		step_grant(model, &s);
	else if (s.daemon.pc < JOURNAL_COMMIT)
		step_steal(model, &s);
	else if (s.daemon.pc < RECOVER_TOP)
		step_journal(model, &s);
	else
		step_recovery(model, &s);
}

/* Killed; the successor replays the journal and restores tops. */
void daemon_crash(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.crashes == 0 || s.daemon.pc == 0)
		return;
	s.crashes--;
	tso_drain(&s, &s.daemon);
	tso_rest(&s.daemon);
	if (model->control == NO_REPLAY)
		s.memory[N] = 0;
	s.daemon.pc = RECOVER_TOP;
	if (s.memory[N]) {
		s.daemon.reg[1] = s.memory[N];
		s.daemon.reg[4] = AFTER_REPLAY;
		s.daemon.pc = JOURNAL_APPLY;
	}
	model_add(model, &s);
}
