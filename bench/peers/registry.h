/* bench/peers/registry.h - all that peers measures: rows (workloads), and in each of them who does
 * it. The name of a benchmark is "row/subject".
 *
 * The rows of the heap are run by everybody of subjects.def, each in a process of its own; those of
 * the system by whoever there is to compare. */
#ifndef BENCH_PEERS_REGISTRY_H
#define BENCH_PEERS_REGISTRY_H
#include "bench/bench.h"
#include "bench/peers/peer.h"
#include "bench/peers/verdict.h"

enum subject_needs { NEEDS_NOTHING, NEEDS_DAEMON, NEEDS_ROUDI };

struct subject {
	const char *name;
	enum verdict_role role;
	const char *program;
	enum subject_needs needs;
	uint32_t max_frames;
	const char *environment;
	const char *what;
};

struct entry {
	struct benchmark benchmark;    /* the first: hooks get its address */
	const struct subject *subject; /* NULL: of the system */
	enum verdict_role role;
	enum peer_kind kind;
	enum work_order order;
	enum work_touch touch;
};

static inline const struct entry *entry_of(const struct benchmark *benchmark)
{
	return (const struct entry *)(const void *)benchmark;
}

const struct subject *subject_find(size_t index); /* NULL: behind the last */

#endif
