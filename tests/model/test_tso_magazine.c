/* tests/model/test_tso_magazine.c - every interleaving of the magazine protocol under x86-TSO, with
 * crashes.
 *
 * Two processors with FIFO store buffers share the words below. The owner pops, pushes and pops in
 * bulk; the daemon grants and steals in chunks, and is killed at any step (the kernel drains its
 * buffer; its registers are gone), after which its successor recovers, killed again at any step,
 * too. The steps are those of magazine_steps.def, which tests/crash holds the compiled code to.
 *
 * Safety, in every state: no frame that the owner holds is FREE, and none is held twice. At rest:
 * each frame is held, or in one slot between top and bottom, or FREE. The controls break one rule
 * each and must be caught. */
#include "tests/model/tso.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

/* --- the processors
 * --------------------------------------------------------------------------------------- */

uint8_t tso_load(const struct state *s, const struct cpu *cpu, unsigned place)
{
	for (unsigned i = cpu->n; i-- > 0;)
		if (cpu->place[i] == place)
			return cpu->value[i];
	return s->memory[place];
}

bool tso_store(struct cpu *cpu, unsigned place, unsigned value)
{
	if (cpu->n == BUFFER)
		return false;
	cpu->place[cpu->n] = (uint8_t)place;
	cpu->value[cpu->n++] = (uint8_t)value;
	return true;
}

void tso_drain_one(struct state *s, struct cpu *cpu)
{
	s->memory[cpu->place[0]] = cpu->value[0];
	cpu->n--;
	memmove(cpu->place, cpu->place + 1, BUFFER - 1);
	memmove(cpu->value, cpu->value + 1, BUFFER - 1);
	cpu->place[BUFFER - 1] = cpu->value[BUFFER - 1] = 0;
}

void tso_drain(struct state *s, struct cpu *cpu)
{
	while (cpu->n)
		tso_drain_one(s, cpu);
}

void tso_rest(struct cpu *cpu)
{
	cpu->pc = 0;
	memset(cpu->reg, 0, sizeof cpu->reg);
}

/* --- states
 * ---------------------------------------------------------------------------------------- */

void model_add(struct model *model, const struct state *s)
{
	if (!visited_add(&model->visited, s))
		model_break(model, "more states than the model has room for");
}

void model_break(struct model *model, const char *what)
{
	if (!model->broken)
		model->broken = what;
}

/* --- what must hold
 * --------------------------------------------------------------------------------- */

static void check_rest(struct model *model, const struct state *s)
{
	uint8_t count[FRAMES];

	if (s->owner.pc || s->daemon.pc || s->owner.n || s->daemon.n || s->memory[N])
		return;
	for (unsigned f = 0; f < FRAMES; f++)
		count[f] = (uint8_t)(s->held[f] + (s->memory[WORD + f] == FREE));
	for (unsigned i = s->memory[TOP]; i < s->memory[BOTTOM]; i++) {
		if (s->memory[SLOT + i % CAPACITY] >= FRAMES) {
			model_break(model, "a slot holds no frame");
			return;
		}
		count[s->memory[SLOT + i % CAPACITY]]++;
	}
	for (unsigned f = 0; f < FRAMES; f++)
		if (count[f] != 1)
			model_break(model, count[f] ? "doubled at rest" : "lost");
}

static void check(struct model *model, const struct state *s)
{
	for (unsigned f = 0; f < FRAMES; f++) {
		if (s->held[f] > 1)
			model_break(model, "held twice");
		/* The daemon grants what its own view calls FREE. */
		if (s->held[f] && tso_load(s, &s->daemon, WORD + f) == FREE && !s->memory[N] &&
		    s->daemon.pc == 0)
			model_break(model, "held and FREE");
	}
	check_rest(model, s);
}

/* --- the search
 * -------------------------------------------------------------------------------------- */

static struct state first_state(unsigned owner_ops, unsigned daemon_ops, unsigned crashes)
{
	struct state s;

	memset(&s, 0, sizeof s);
	memset(&s.memory[SLOT], FRAMES, CAPACITY);
	s.memory[TOP] = BASE;
	s.memory[BOTTOM] = BASE + 2;
	s.memory[SLOT] = 0;
	s.memory[SLOT + 1] = 1;
	s.held[2] = 1;
	s.memory[WORD + 3] = FREE;
	s.owner_ops = (uint8_t)owner_ops;
	s.daemon_ops = (uint8_t)daemon_ops;
	s.crashes = (uint8_t)crashes;
	return s;
}

/* What is broken, or NULL; *ret_states says how many states there are. */
static const char *explore(enum control control, unsigned owner_ops, unsigned daemon_ops,
			   unsigned crashes, uint32_t *ret_states)
{
	struct state s = first_state(owner_ops, daemon_ops, crashes);
	struct model model = {.control = control};

	visited_open(&model.visited, sizeof s, STATES_MAX);
	model_add(&model, &s);
	for (uint32_t i = 0; i < model.visited.n && !model.broken; i++) {
		memcpy(&s, visited_get(&model.visited, i), sizeof s);
		check(&model, &s);
		if (s.owner.n) {
			struct state drained = s;

			tso_drain_one(&drained, &drained.owner);
			model_add(&model, &drained);
		}
		if (s.daemon.n) {
			struct state drained = s;

			tso_drain_one(&drained, &drained.daemon);
			model_add(&model, &drained);
		}
		owner_step(&model, &s);
		daemon_step(&model, &s);
		daemon_crash(&model, &s);
	}
	*ret_states = model.visited.n;
	visited_close(&model.visited);
	return model.broken;
}

static void holds(unsigned owner_ops, unsigned daemon_ops, unsigned crashes)
{
	uint32_t n;
	const char *what = explore(AS_DESIGNED, owner_ops, daemon_ops, crashes, &n);

	printf("  %u owner and %u daemon operations, %u crashes: %u states %s\n", owner_ops,
	       daemon_ops, crashes, n, what ? what : "");
	CU_ASSERT_PTR_NULL(what);
	CU_ASSERT(n > 10000);
}

static void fails(enum control control, const char *name, unsigned crashes)
{
	uint32_t n;
	const char *what = explore(control, 3, 3, crashes, &n);

	printf("  %s: %s\n", name, what ? what : "not caught");
	CU_ASSERT_PTR_NOT_NULL(what);
}

static void no_interleaving_loses_or_doubles_a_frame(void)
{
	holds(4, 3, 0);
	holds(3, 2, 1);
	holds(2, 2, 2);
}

static void each_control_is_caught(void)
{
	fails(NO_FENCE, "no fence", 0);
	fails(ONE_SIDED_FENCE, "a fence on one side only", 0);
	fails(NO_REPLAY, "no replay of the journal", 1);
	fails(NO_SAVED_TOP, "no saved top", 1);
	fails(TOP_BEFORE_WORDS, "top before the journal", 1);
}

CU_TestInfo test_tso_magazine[] = {
	{"no_interleaving_loses_or_doubles_a_frame", no_interleaving_loses_or_doubles_a_frame},
	{"each_control_is_caught", each_control_is_caught},
	CU_TEST_INFO_NULL,
};
