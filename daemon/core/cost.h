/* daemon/core/cost.h - what it costs a client to rebuild one of its purgeable frames, in ns.
 *
 * Reclaim weighs age with it: GreedyDual-Size (P. Cao, S. Irani, "Cost-aware WWW proxy caching
 * algorithms", USENIX Symposium on Internet Technologies and Systems, 1997) for frames of one size.
 * The number that is in force for a client has two factors:
 *
 *   cost     what the client declares, corrected by what it measures: an average over the frames
 *            that it rebuilt, newer ones first. Who says nothing gets the median of what all
 *            say; silence counts as COST_UNKNOWN_NS, and so does one voice of our own: a client
 *            that lies does not set alone what its neighbours are thought to cost.
 *   wanted   which part of the purged frames was rebuilt at all. A frame that nobody wants again
 *            costs nothing, whatever its rebuild would. Refaults count by their distance, as in the
 *            kernel's mm/workingset.c: one that comes after several turnovers of the whole cache
 *            says nothing against the purge.
 *
 * All of it is the client's word, in CTL: each number is loaded once, and what goes backwards or
 * exceeds what was purged is not believed. The clamps bound what a liar gains: it can look as dear
 * as COST_MAX_NS, which keeps its frames as long as others have any, but no limit of its own
 * yields. Private and derived: a new server begins with the averages over all time. */
#ifndef DAEMON_CORE_COST_H
#define DAEMON_CORE_COST_H
#include "daemon/core/pool.h"

#define COST_MIN_NS UINT64_C(100)         /* lower: a liar makes its neighbours look dear */
#define COST_MAX_NS UINT64_C(10000000000) /* higher: one frame outlives all others */
#define COST_UNKNOWN_NS UINT64_C(10000)   /* nobody said anything: a read from a disk of today */
#define COST_WANTED_DIVISOR 16u /* higher: a cache that is not read for a while is lost at once */

struct cost {
	uint64_t own_ns;      /* declared and measured, 0: unknown */
	uint64_t in_force_ns; /* own_ns, or the median, times what is wanted again */
	/* As CTL said when last looked at. */
	uint64_t declared_ns, rebuilt_ns, nr_rebuilt, nr_refault, refault_age;
	/* Frames purged of it, and of those the wanted; both are halved when they get old. */
	uint64_t purged, wanted;
};

/* A client is attached or adopted. */
void cost_begin(struct pool *pool, client_id client);
/* Reads what all clients say; O(clients). Each has its cost in force afterwards, in META too. */
void cost_update(struct pool *pool);
void cost_note_purged(struct pool *pool, client_id client, uint64_t n_frames);

#endif
