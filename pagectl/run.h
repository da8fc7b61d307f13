/* pagectl/run.h - how large a block a zone can give, and could give: read from META alone. */
#ifndef PAGECTL_RUN_H
#define PAGECTL_RUN_H
#include "shm/view.h"

/* Frames of the zone's largest free block, 0 if it is full. O(1). */
uint64_t run_free(const struct shm_zone *zone);

/* Frames of the largest block that the zone could have after reclaim: an estimate, at least
 * run_free(). zone is a copy of one of view's. O(pageblocks of the zone). */
uint64_t run_after_reclaim(const struct shm_view *view, const struct shm_zone *zone);

#endif
