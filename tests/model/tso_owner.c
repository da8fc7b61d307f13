/* tests/model/tso_owner.c - the owner's pop, push and bulk pop, as pageclient/fast.h and
 * client/magazine.c have them. */
#include "tests/model/tso.h"

enum owner_pc {
	POP = 1,
	POP_STORE,
	POP_LOOK,
	POP_BACK,
	POP_TAKE,
	PUSH = 10,
	PUSH_SLOT,
	PUSH_BOTTOM,
	BULK = 20,
	BULK_STORE,
	BULK_LOOK,
	BULK_FIX
};

static void take(struct model *model, struct state *s, unsigned index)
{
	unsigned f = tso_load(s, &s->owner, SLOT + index % CAPACITY);

	if (f >= FRAMES)
		model_break(model, "a pop found no frame");
	else
		s->held[f]++;
}

static void start_owner(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.owner_ops == 0)
		return;
	s.owner_ops--;
	s.owner.pc = POP;
	model_add(model, &s);
	s.owner.pc = BULK;
	model_add(model, &s);
	for (unsigned f = 0; f < FRAMES; f++)
		if (from->held[f]) {
			s.owner.pc = PUSH;
			s.owner.reg[2] = (uint8_t)f;
			model_add(model, &s);
		}
}

/* A bulk pop of 2: r0 bottom, r1 how many, as client/magazine.c has it. */
static void step_bulk(struct model *model, struct state *s)
{
	struct cpu *o = &s->owner;
	int left, top;

	switch (o->pc) {
	case BULK:
		o->reg[0] = tso_load(s, o, BOTTOM);
		left = o->reg[0] - tso_load(s, o, TOP);
		o->reg[1] = (uint8_t)(left > 2 ? 2 : left > 0 ? left : 0);
		o->pc = BULK_STORE;
		if (left <= 0)
			tso_rest(o);
		break;
	case BULK_STORE:
		if (!tso_store(o, BOTTOM, o->reg[0] - o->reg[1]))
			return;
		o->pc = BULK_LOOK;
		break;
	case BULK_LOOK:
		top = tso_load(s, o, TOP);
		if (o->reg[0] - o->reg[1] >= top) {
			for (unsigned i = 0; i < o->reg[1]; i++)
				take(model, s, o->reg[0] - o->reg[1] + i);
			tso_rest(o);
		} else {
			/* What lies from top on is ours; the rest goes back. */
			o->reg[3] = (uint8_t)(top < o->reg[0] ? top : o->reg[0]);
			o->pc = BULK_FIX;
		}
		break;
	default: /* BULK_FIX */
		if (!tso_store(o, BOTTOM, o->reg[3]))
			return;
		for (unsigned i = o->reg[3]; i < o->reg[0]; i++)
			take(model, s, i);
		tso_rest(o);
		break;
	}
	model_add(model, s);
}

static void step_push(struct model *model, struct state *s)
{
	struct cpu *o = &s->owner;

	switch (o->pc) {
	case PUSH:
		o->reg[0] = tso_load(s, o, BOTTOM);
		o->pc = PUSH_SLOT;
		if (o->reg[0] - tso_load(s, o, TOP) >= HIGH)
			tso_rest(o);
		break;
	case PUSH_SLOT:
		if (!tso_store(o, SLOT + o->reg[0] % CAPACITY, o->reg[2]))
			return;
		s->held[o->reg[2]]--;
		o->pc = PUSH_BOTTOM;
		break;
	default: /* PUSH_BOTTOM */
		if (!tso_store(o, BOTTOM, o->reg[0] + 1u))
			return;
		tso_rest(o);
		break;
	}
	model_add(model, s);
}

static void step_pop(struct model *model, struct state *s)
{
	struct cpu *o = &s->owner;

	switch (o->pc) {
	case POP:
		o->reg[0] = (uint8_t)(tso_load(s, o, BOTTOM) - 1);
		o->pc = POP_STORE;
		break;
	case POP_STORE:
		if (!tso_store(o, BOTTOM, o->reg[0]))
			return;
		o->pc = POP_LOOK;
		break;
	case POP_LOOK:
		o->pc = o->reg[0] < tso_load(s, o, TOP) ? POP_BACK : POP_TAKE;
		break;
	case POP_BACK:
		if (!tso_store(o, BOTTOM, o->reg[0] + 1u))
			return;
		tso_rest(o);
		break;
	default: /* POP_TAKE */
		take(model, s, o->reg[0]);
		tso_rest(o);
		break;
	}
	model_add(model, s);
}

void owner_step(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.owner.pc == 0)
		start_owner(model, from);
	else if (s.owner.pc < PUSH)
		step_pop(model, &s);
	else if (s.owner.pc < BULK)
		step_push(model, &s);
	else
		step_bulk(model, &s);
}
