/* tests/model/tso_map_program.c - map_steps.def as a program, in its order or in a control's. */
#include "tests/model/tso_map.h"

#include <string.h>

static const enum map_phase phase_of[MAP_NR_STEPS] = {
#define X(phase, step, what) MAP_##phase,
#include "tests/model/map_steps.def"
#undef X
};

static unsigned find(const struct map_model *model, enum map_step step)
{
	unsigned at = 0;

	while (model->program[at] != step)
		at++;
	return at;
}

/* The step moves to where the other is, which comes after it, or before. */
static void move(struct map_model *model, enum map_step step, enum map_step other)
{
	unsigned from = find(model, step), to = find(model, other);

	for (; from < to; from++)
		model->program[from] = model->program[from + 1];
	for (; from > to; from--)
		model->program[from] = model->program[from - 1];
	model->program[to] = step;
}

void map_program(struct map_model *model)
{
	static const enum map_step listed[] = {
#define X(phase, step, what) MAP_##phase##_##step,
#include "tests/model/map_steps.def"
#undef X
	};

	memcpy(model->program, listed, sizeof listed);
	switch (model->control) {
	case MAP_LOWER_FIRST:
		move(model, MAP_SPLIT_LOWER, MAP_SPLIT_UPPER);
		break;
	case MAP_OWNED_BEFORE_SPLIT:
		move(model, MAP_SPLIT_UPPER, MAP_TAKE_DONE);
		move(model, MAP_SPLIT_LOWER, MAP_SPLIT_UPPER);
		break;
	case MAP_TAIL_FIRST:
		move(model, MAP_MERGE_UPPER, MAP_MERGE_LOWER);
		break;
	case MAP_MERGE_FIRST:
		move(model, MAP_MERGE_UPPER, MAP_GIVE_ITEMS);
		move(model, MAP_MERGE_LOWER, MAP_MERGE_UPPER);
		break;
	case MAP_AS_DESIGNED:
	case MAP_FREE_AND_MERGE:
	case MAP_NO_REPLAY:
	case MAP_NR_CONTROLS:
		break;
	}
}

enum map_phase map_phase_of(enum map_step step)
{
	return phase_of[step];
}

bool map_is_take(enum map_step step)
{
	return phase_of[step] == MAP_SPLIT || phase_of[step] == MAP_TAKE;
}

uint8_t map_first_pc(const struct map_model *model, bool take)
{
	unsigned at = 0;

	while (map_is_take(model->program[at]) != take)
		at++;
	return (uint8_t)(at + 1);
}
