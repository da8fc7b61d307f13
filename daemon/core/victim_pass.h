/* daemon/core/victim_pass.h - a pass over the purge tables, which fills the next lists.
 *
 * A pass is a sample of large tables, the scan of all entries, and the order of what it chose
 * (victim.h). It holds nothing but the cursor between two slices: tables may grow, clients come and
 * go, and entries change under it. What it chose is a guess that whoever takes from the lists
 * checks. All memory is the pool's. */
#ifndef DAEMON_CORE_VICTIM_PASS_H
#define DAEMON_CORE_VICTIM_PASS_H
#include "daemon/core/victim.h"

/* Begins a pass, instead of one that is under way, for n_frames more than what is left in the
 * lists: that it will find, too. O(clients). */
void victim_pass_begin(struct pool *pool, struct victims *victims, uint64_t n_frames);
/* Goes on with the pass that was begun, by so much work and a chunk at most: entries that it passes
 * over, half a ns to one each. true: it is complete, in victims->ready. */
bool victim_pass_advance(struct pool *pool, struct victims *victims, int64_t work);
/* So much work of the count of all tables, which goes round and chooses nothing. */
void victim_count(struct pool *pool, int64_t work);

#endif
