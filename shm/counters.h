/* shm/counters.h - the counters of counters.def as an enum and as text. */
#ifndef SHM_COUNTERS_H
#define SHM_COUNTERS_H

enum counter {
#define X(name, unit, what) COUNTER_##name,
#include "shm/counters.def"
#undef X
	COUNTER_COUNT
};

/* Name, unit and meaning of counter number `counter`, which must be below COUNTER_COUNT. */
const char *counter_name(enum counter counter);
const char *counter_unit(enum counter counter);
const char *counter_text(enum counter counter);

#endif
