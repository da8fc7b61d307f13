/* daemon/core/inspect_list.h - which of a client's frames lie in its magazines, and which may be
 * purged: for a picture of the segment.
 *
 * Both are written in the client's CTL alone. A list is read in slices, each from where the last
 * one ended: nothing is kept between them, so any number of administrators may look at once, and
 * what moved meanwhile may be missed or told twice. A slot or an entry is the client's word: it is
 * loaded once and counts only if the map says that the frame is that client's (I10). Memory: the
 * caller's. */
#ifndef DAEMON_CORE_INSPECT_LIST_H
#define DAEMON_CORE_INSPECT_LIST_H
#include "daemon/core/pool.h"

/* Runs of one slice: as many as fit into the text of a reply. */
#define INSPECT_RUNS 28u
/* Slots or entries of one slice, each with a load from the map, some 0.2 ms. Lower: more requests
 * for a picture. Higher: others wait for it. */
#define INSPECT_LIST_SLICE 8192u
#define INSPECT_LIST_END UINT64_MAX

struct inspect_run {
	pfn_t first;
	uint32_t n_frames;
};

struct inspect_list {
	uint64_t at; /* where the next slice begins; INSPECT_LIST_END: there is no more */
	uint32_t n_runs;
	struct inspect_run run[INSPECT_RUNS];
};

/* From at on, 0 for the first slice. A client that is not attached, or whose CTL is not at hand,
 * has none. */
void inspect_list_magazines(const struct pool *pool, client_id client, uint64_t at,
			    struct inspect_list *ret_list);
/* Blocks that it owns and has in its purge table, unpinned. */
void inspect_list_purgeable(const struct pool *pool, client_id client, uint64_t at,
			    struct inspect_list *ret_list);

#endif
