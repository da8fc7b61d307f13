/* shm/counters.c - counters.def as text. */
#include "shm/counters.h"

static const struct {
	const char *name, *unit, *text;
} counters[] = {
#define X(name, unit, what) {#name, unit, what},
#include "shm/counters.def"
#undef X
};

const char *counter_name(enum counter counter)
{
	return counters[counter].name;
}

const char *counter_unit(enum counter counter)
{
	return counters[counter].unit;
}

const char *counter_text(enum counter counter)
{
	return counters[counter].text;
}
