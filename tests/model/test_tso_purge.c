/* tests/model/test_tso_purge.c - every interleaving of one slot of a purge table under x86-TSO,
 * with crashes.
 *
 * Two threads of a client and the daemon, each with a FIFO store buffer. The first thread pins,
 * unpins, arms again, ends the slot and fills it anew; the second pins and unpins. The daemon
 * purges (the steps of purge_steps.def), grants what is free to the client or to somebody else, and
 * is killed at any step. Its successor grants nothing to the client, and purges nothing of it,
 * before it has gone through its table, which may be much later: when the client comes back. It is
 * killed in that, too.
 *
 * Safety, in every state: what the client holds or has pinned is its own, once. At rest: what is
 * its own it knows. The controls break one rule each and must be caught. */
#include "tests/model/tso_purge.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

static uint8_t entry(unsigned pfn, unsigned pins)
{
	return (uint8_t)(pfn | pins << 2);
}

static unsigned pfn_of(uint8_t word)
{
	return word & 3u;
}

static unsigned pins_of(uint8_t word)
{
	return word >> 2;
}

static bool is_pinned(uint8_t word)
{
	return pfn_of(word) != NONE && pins_of(word) >= 1 && pins_of(word) <= PINS_MAX;
}

/* --- the processors ------------------------------------------------------------------------------
 */

static uint8_t load(const struct state *s, unsigned cpu, unsigned place)
{
	for (unsigned i = s->cpu[cpu].n; i-- > 0;)
		if (s->cpu[cpu].place[i] == place)
			return s->cpu[cpu].value[i];
	return s->memory[place];
}

static void drain_one(struct state *s, unsigned cpu)
{
	struct cpu *c = &s->cpu[cpu];

	s->memory[c->place[0]] = c->value[0];
	c->n--;
	c->place[0] = c->place[1];
	c->value[0] = c->value[1];
	c->place[1] = c->value[1] = 0;
}

static void drain(struct state *s, unsigned cpu)
{
	while (s->cpu[cpu].n)
		drain_one(s, cpu);
}

/* false: the buffer is full, the step waits. */
static bool store(struct state *s, unsigned cpu, unsigned place, unsigned value)
{
	struct cpu *c = &s->cpu[cpu];

	if (c->n == BUFFER)
		return false;
	c->place[c->n] = (uint8_t)place;
	c->value[c->n++] = (uint8_t)value;
	return true;
}

static bool swap(struct state *s, unsigned cpu, uint8_t from, uint8_t to)
{
	drain(s, cpu);
	if (s->memory[ENTRY] != from)
		return false;
	s->memory[ENTRY] = to;
	return true;
}

static void rest(struct state *s, unsigned cpu)
{
	s->cpu[cpu].pc = IDLE;
	s->cpu[cpu].word = s->cpu[cpu].frame = 0;
}

static void add(struct model *model, const struct state *s)
{
	if (!visited_add(&model->visited, s))
		model->broken = "more states than the model has room for";
}

static void add_begun(struct model *model, const struct state *from, unsigned cpu, enum pc pc,
		      uint8_t word, unsigned frame)
{
	struct state s = *from;

	s.ops[cpu]--;
	s.cpu[cpu].pc = (uint8_t)pc;
	s.cpu[cpu].word = word;
	s.cpu[cpu].frame = (uint8_t)frame;
	add(model, &s);
}

/* --- the client ----------------------------------------------------------------------------------
 */

/* What the first thread does alone: the slot is its own. */
static void start_owner(struct model *model, const struct state *from)
{
	uint8_t word = load(from, FIRST, ENTRY);
	bool may_arm = pins_of(word) == PURGED ||
		       (model->control == ARM_PURGING && pins_of(word) == PURGING);

	if (pfn_of(word) != NONE && (pins_of(word) == 0 || pins_of(word) == PURGED ||
				     (pins_of(word) == 1 && from->pinned[FIRST])))
		add_begun(model, from, FIRST, END_SWAP, word, 0);
	for (unsigned f = 0; f < FRAMES; f++) {
		struct state s = *from;

		if (!from->held[f])
			continue;
		if (pfn_of(word) != NONE && may_arm)
			add_begun(model, from, FIRST, ARM_SWAP, word, f);
		/* A new slot is one store: nobody else knows it yet. */
		if (pfn_of(word) == NONE && store(&s, FIRST, ENTRY, entry(f, 1))) {
			s.ops[FIRST]--;
			s.held[f] = 0;
			s.pinned[FIRST]++;
			add(model, &s);
		}
	}
}

static void start_thread(struct model *model, const struct state *from, unsigned k)
{
	if (from->ops[k] == 0)
		return;
	add_begun(model, from, k, PIN_LOAD, 0, 0);
	if (from->pinned[k])
		add_begun(model, from, k, UNPIN_LOAD, 0, 0);
	if (k == FIRST)
		start_owner(model, from);
}

static void end_slot(struct state *s, uint8_t word)
{
	if (!swap(s, FIRST, word, entry(NONE, 0)))
		return;
	if (pins_of(word) == PURGED)
		return;
	s->held[pfn_of(word)]++;
	s->pinned[FIRST] = (uint8_t)(s->pinned[FIRST] - pins_of(word));
}

static void step_thread(struct model *model, const struct state *from, unsigned k)
{
	struct state s = *from;
	struct cpu *c = &s.cpu[k];
	uint8_t word = c->word;

	switch ((enum pc)c->pc) {
	case IDLE:
		start_thread(model, from, k);
		return;
	case PIN_LOAD:
		word = load(&s, k, ENTRY);
		c->word = word;
		c->pc = PIN_SWAP;
		if (pfn_of(word) == NONE || pins_of(word) >= PINS_MAX)
			rest(&s, k);
		break;
	case PIN_SWAP:
		c->pc = PIN_LOAD;
		c->word = 0;
		if (swap(&s, k, word, (uint8_t)(word + 4))) {
			s.pinned[k]++;
			rest(&s, k);
		}
		break;
	case UNPIN_LOAD:
		c->word = load(&s, k, ENTRY);
		c->pc = UNPIN_SWAP;
		/* The first thread may end the slot meanwhile: then it had no other pin. */
		if (!is_pinned(c->word))
			model->broken = "an unpin finds no pin";
		break;
	case UNPIN_SWAP:
		c->pc = UNPIN_LOAD;
		c->word = 0;
		if (swap(&s, k, word, (uint8_t)(word - 4))) {
			s.pinned[k]--;
			rest(&s, k);
		}
		break;
	case ARM_SWAP:
		if (swap(&s, k, word, entry(c->frame, 1))) {
			s.held[c->frame] = 0;
			s.pinned[k]++;
		}
		rest(&s, k);
		break;
	case END_SWAP:
		end_slot(&s, word);
		rest(&s, k);
		break;
	case PURGE_LOAD:
	case PURGE_BEGIN:
	case PURGE_WORD:
	case PURGE_FINISH:
	case RECOVER_LOAD:
	case RECOVER_WORD:
	case RECOVER_FINISH:
		return;
	}
	add(model, &s);
}

/* --- the daemon ----------------------------------------------------------------------------------
 */

static void start_daemon(struct model *model, const struct state *from)
{
	if (from->away) {
		struct state s = *from;

		s.cpu[DAEMON].pc = RECOVER_LOAD;
		add(model, &s);
	}
	if (from->ops[DAEMON] == 0)
		return;
	if (!from->away)
		add_begun(model, from, DAEMON, PURGE_LOAD, 0, 0);
	for (unsigned f = 0; f < FRAMES; f++) {
		struct state s = *from;

		if (load(from, DAEMON, WORD + f) != FREE)
			continue;
		s.ops[DAEMON]--;
		if (store(&s, DAEMON, WORD + f, THEIRS))
			add(model, &s);
		if (from->away && model->control != GRANT_FIRST)
			continue;
		s = *from;
		s.ops[DAEMON]--;
		drain(&s, DAEMON);
		s.memory[WORD + f] = MINE;
		s.held[f]++;
		add(model, &s);
	}
}

/* What the steps of the control do in place of these. */
static void step_purge(struct model *model, struct state *s)
{
	struct cpu *d = &s->cpu[DAEMON];
	uint8_t purging = entry(pfn_of(d->word), PURGING), purged = entry(pfn_of(d->word), PURGED);

	if (d->pc == PURGE_LOAD) {
		d->word = load(s, DAEMON, ENTRY);
		d->pc = model->control == WORD_FIRST ? PURGE_WORD : PURGE_BEGIN;
		if (pfn_of(d->word) == NONE || pins_of(d->word) != 0 ||
		    load(s, DAEMON, WORD + pfn_of(d->word)) != MINE)
			rest(s, DAEMON);
	} else if (d->pc == PURGE_BEGIN) {
		uint8_t to = model->control == NO_PURGING ? purged : purging;

		if (model->control == PLAIN_PURGE) {
			if (!store(s, DAEMON, ENTRY, to))
				return;
		} else if (!swap(s, DAEMON, d->word, to)) {
			rest(s, DAEMON);
			add(model, s);
			return;
		}
		d->pc = model->control == WORD_FIRST ? PURGE_FINISH : PURGE_WORD;
	} else if (d->pc == PURGE_WORD) {
		if (!store(s, DAEMON, WORD + pfn_of(d->word), FREE))
			return;
		d->pc = model->control == WORD_FIRST ? PURGE_BEGIN : PURGE_FINISH;
		if (model->control == NO_PURGING)
			rest(s, DAEMON);
	} else {
		if (!store(s, DAEMON, ENTRY, purged))
			return;
		rest(s, DAEMON);
	}
	add(model, s);
}

static void step_recovery(struct model *model, struct state *s)
{
	struct cpu *d = &s->cpu[DAEMON];

	if (d->pc == RECOVER_LOAD) {
		d->word = load(s, DAEMON, ENTRY);
		d->pc = RECOVER_FINISH;
		if (pins_of(d->word) != PURGING || model->control == NO_RECOVERY) {
			s->away = 0;
			rest(s, DAEMON);
		} else if (load(s, DAEMON, WORD + pfn_of(d->word)) == MINE ||
			   model->control == NO_OWNER_CHECK) {
			d->pc = RECOVER_WORD;
		}
	} else if (d->pc == RECOVER_WORD) {
		if (load(s, DAEMON, WORD + pfn_of(d->word)) == THEIRS)
			model->broken = "somebody else's frame is freed";
		if (!store(s, DAEMON, WORD + pfn_of(d->word), FREE))
			return;
		d->pc = RECOVER_FINISH;
	} else {
		if (!store(s, DAEMON, ENTRY, entry(pfn_of(d->word), PURGED)))
			return;
		s->away = 0;
		rest(s, DAEMON);
	}
	add(model, s);
}

static void step_daemon(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.cpu[DAEMON].pc == IDLE)
		start_daemon(model, from);
	else if (s.cpu[DAEMON].pc < RECOVER_LOAD)
		step_purge(model, &s);
	else
		step_recovery(model, &s);
}

static void crash(struct model *model, const struct state *from)
{
	struct state s = *from;

	if (s.crashes == 0 || (s.cpu[DAEMON].pc == IDLE && !s.away))
		return;
	s.crashes--;
	drain(&s, DAEMON);
	rest(&s, DAEMON);
	s.away = 1;
	add(model, &s);
}

/* --- what must hold ------------------------------------------------------------------------------
 */

static void check(struct model *model, const struct state *s)
{
	uint8_t word = load(s, FIRST, ENTRY);
	unsigned pins = s->pinned[FIRST] + (unsigned)s->pinned[SECOND];
	bool idle = !s->away;

	if (pins && !is_pinned(word))
		model->broken = "a pinned frame was purged";
	for (unsigned f = 0; f < FRAMES; f++) {
		unsigned uses = s->held[f] + (pins && pfn_of(word) == f ? 1u : 0);

		if (uses > 1)
			model->broken = "the client has a frame twice";
		/* The daemon grants what its own view calls FREE. */
		if (uses && load(s, DAEMON, WORD + f) != MINE)
			model->broken = "the client uses what is not its own";
	}
	for (unsigned k = 0; k < CPUS; k++)
		idle &= s->cpu[k].pc == IDLE && s->cpu[k].n == 0;
	for (unsigned f = 0; idle && f < FRAMES; f++)
		if (s->memory[WORD + f] == MINE && !s->held[f] &&
		    (pfn_of(word) != f || pins_of(word) == PURGED || pins_of(word) == PURGING))
			model->broken = "lost";
}

/* --- the search ----------------------------------------------------------------------------------
 */

static const char *explore(enum control control, unsigned first, unsigned second, unsigned daemon,
			   unsigned crashes, uint32_t *ret_states)
{
	struct model model = {.control = control};
	struct state s;

	memset(&s, 0, sizeof s);
	s.memory[ENTRY] = entry(0, 0);
	s.memory[WORD] = s.memory[WORD + 1] = MINE;
	s.held[1] = 1;
	s.ops[FIRST] = (uint8_t)first;
	s.ops[SECOND] = (uint8_t)second;
	s.ops[DAEMON] = (uint8_t)daemon;
	s.crashes = (uint8_t)crashes;
	visited_open(&model.visited, sizeof s, STATES_MAX);
	add(&model, &s);
	for (uint32_t i = 0; i < model.visited.n && !model.broken; i++) {
		memcpy(&s, visited_get(&model.visited, i), sizeof s);
		check(&model, &s);
		for (unsigned k = 0; k < CPUS; k++) {
			struct state drained = s;

			if (s.cpu[k].n == 0)
				continue;
			drain_one(&drained, k);
			add(&model, &drained);
		}
		step_thread(&model, &s, FIRST);
		step_thread(&model, &s, SECOND);
		step_daemon(&model, &s);
		crash(&model, &s);
	}
	*ret_states = model.visited.n;
	visited_close(&model.visited);
	return model.broken;
}

static void holds(unsigned first, unsigned second, unsigned daemon, unsigned crashes)
{
	uint32_t n;
	const char *what = explore(AS_DESIGNED, first, second, daemon, crashes, &n);

	printf("  %u and %u operations of the threads, %u of the daemon, %u crashes: %u states "
	       "%s\n",
	       first, second, daemon, crashes, n, what ? what : "");
	CU_ASSERT_PTR_NULL(what);
	CU_ASSERT(n > 10000);
}

static void fails(enum control control, const char *name)
{
	uint32_t n;
	const char *what = explore(control, 4, 1, 4, 1, &n);

	printf("  %s: %s\n", name, what ? what : "not caught");
	CU_ASSERT_PTR_NOT_NULL(what);
}

static void no_interleaving_purges_what_is_in_use(void)
{
	holds(4, 2, 4, 0);
	holds(4, 2, 4, 1);
	holds(4, 1, 4, 2);
}

static void each_control_is_caught(void)
{
	fails(WORD_FIRST, "the word first");
	fails(NO_PURGING, "PURGED at once");
	fails(PLAIN_PURGE, "a store for the compare-exchange");
	fails(ARM_PURGING, "arming what is PURGING");
	fails(NO_RECOVERY, "no recovery");
	fails(GRANT_FIRST, "a grant before the recovery");
	fails(NO_OWNER_CHECK, "no look at the owner");
}

CU_TestInfo test_tso_purge[] = {
	{"no_interleaving_purges_what_is_in_use", no_interleaving_purges_what_is_in_use},
	{"each_control_is_caught", each_control_is_caught},
	CU_TEST_INFO_NULL,
};
