/* tests/chaos/walker.h - counts frames by itself: claims on the board against the words of META and
 * the contents of DATA.
 *
 * It maps the segments by their names, read-only, and shares no code with the daemon but the layout
 * of a word. To be used while all keepers are at rest and their magazines drained: then
 *   - no frame is claimed twice, but a shared one by several with the same generation;
 *   - a claimed block is OWNED by its keeper, head and order, or SHARED with its generation;
 *   - a block OWNED by a keeper is claimed by it (else it is lost as long as the keeper lives);
 *   - each claimed frame holds its tag;
 *   - what was purged of a keeper, as its own slots show, is what META counts (a server that is
 *     killed in a purge leaves one uncounted);
 *   - the daemon has refused no free of a keeper, and found no lie in its magazines. */
#ifndef TESTS_CHAOS_WALKER_H
#define TESTS_CHAOS_WALKER_H
#include "shm/view.h"
#include "tests/chaos/board.h"

struct walker {
	struct shm_view view;
	const char *state; /* STATE, for a look at the journal */
	uint64_t state_bytes;
	const char *data;
	uint64_t data_bytes;
	size_t page_size;
	uint64_t instance_id;
	uint32_t *claimed; /* per frame: 1 + the claim's index */
	const struct claim **claim;
	uint32_t n_claims;
};

struct walk {
	uint64_t claimed; /* frames */
	uint64_t doubled;
	uint64_t lost;
};

/* False: said why. */
bool walker_open(struct walker *walker, const char *instance);
void walker_close(struct walker *walker);

struct walk walker_walk(struct walker *walker, struct board *board);

/* Looks at the journal for up to ms, and returns at once when something is being committed. */
void walker_await_commit(const struct walker *walker, uint32_t ms);

/* The same for a run of purges: returns behind one, as others may follow. */
void walker_await_purge(const struct walker *walker, uint32_t ms);
/* Frames that were purged so far. */
uint64_t walker_purged(const struct walker *walker);

/* Frames that are not FREE, by the walk over all heads; for when nobody is there any more. */
uint64_t walker_not_free(const struct walker *walker);
/* Clients that META shows. */
uint32_t walker_clients(const struct walker *walker);

#endif
