/* bench/peers/registry.c - see registry.h. */
#include "bench/peers/registry.h"

#include "bench/peers/contestant.h"
#include "bench/peers/subjects.h"

#include <string.h>

#define SUBJECT_INDEX(name, role, program, needs, most, environment, what, ...) SUBJECT_##name,
enum subject_index { SUBJECTS(SUBJECT_INDEX, 0) NR_SUBJECTS };

#define SUBJECT_ROW(name, role, program, needs, most, environment, what, ...)                      \
	{#name, ROLE_##role, program, NEEDS_##needs, most, environment, what},
static const struct subject subjects[] = {SUBJECTS(SUBJECT_ROW, 0)};

/* A row of the heap: an entry for each subject. */
#define HEAP_ENTRY(name, role, program, needs, most, environment, what, row, text, n, kind, order, \
		   touch)                                                                          \
	{{row "/" #name, "ns/pair", text, n, BURST_LIFO, contestant_setup, contestant_run,         \
	  contestant_teardown},                                                                    \
	 &subjects[SUBJECT_##name],                                                                \
	 ROLE_##role,                                                                              \
	 PEER_##kind,                                                                              \
	 WORK_##order,                                                                             \
	 touch},
#define HEAP(...) SUBJECTS(HEAP_ENTRY, __VA_ARGS__)

#define BURST(n)                                                                                   \
	HEAP("burst_" #n "_lifo", "alloc " #n ", free the last first", n, BURST, LIFO, false)      \
	HEAP("burst_" #n "_fifo", "alloc " #n ", free the first first", n, BURST, FIFO, false)     \
	HEAP("burst_" #n "_random", "alloc " #n ", free in random order", n, BURST, RANDOM, false) \
	HEAP("burst_" #n "_lifo_touch", "the same, a line of each written", n, BURST, LIFO, true)  \
	HEAP("burst_" #n "_fifo_touch", "the same, a line of each written", n, BURST, FIFO, true)  \
	HEAP("burst_" #n "_random_touch", "the same, a line of each written", n, BURST, RANDOM,    \
	     true)

/* Of the system: whoever there is to compare. */
#define SYSTEM(row, name, unit, role, text, n, hooks)                                              \
	{{row "/" name, unit, text, n, BURST_LIFO, hooks##_setup, hooks##_run, hooks##_teardown},  \
	 NULL,                                                                                     \
	 ROLE_##role,                                                                              \
	 PEER_PAIR,                                                                                \
	 WORK_LIFO,                                                                                \
	 false},

/* clang-format off: it takes the rows for a formula */
static const struct entry entries[] = {
	HEAP("hot_pair", "alloc one frame, free it", 1, PAIR, LIFO,
	     false) BURST(64) BURST(512) BURST(4096) BURST(65536)
		HEAP("churn_16384", "hold 16384 frames; free a random one, alloc one", 16384, CHURN,
		     RANDOM, false) HEAP("churn_16384_touch", "the same, a line of each written",
					 16384, CHURN, RANDOM, true)
			HEAP("bulk_32", "32 frames per call; time per frame", 32, BULK, FIFO,
			     false) HEAP("order9_pair", "alloc one block of 2 MiB, free it", 1,
					 ORDER9, LIFO, false)
				HEAP("mixed_0_9",
				     "hold 256 blocks of 4 KiB to 2 MiB; replace a random one", 256,
				     MIXED, RANDOM, false)};
/* clang-format on */

const struct subject *subject_find(size_t index)
{
	return index < NR_SUBJECTS ? &subjects[index] : NULL;
}

const struct benchmark *registry_find(size_t index)
{
	return index < sizeof(entries) / sizeof(entries[0]) ? &entries[index].benchmark : NULL;
}

/* Whoever is compared brings the row's own along: a ratio wants both. */
bool registry_match(size_t index, const char *filter)
{
	const char *name = entries[index].benchmark.name;
	size_t row_bytes = strcspn(name, "/") + 1;

	if (strstr(name, filter))
		return true;
	if (entries[index].role != ROLE_OURS)
		return false;
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const char *other = entries[i].benchmark.name;

		if (strncmp(other, name, row_bytes) == 0 && strstr(other, filter))
			return true;
	}
	return false;
}
