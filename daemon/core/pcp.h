/* daemon/core/pcp.h - how large a magazine's batch and high are. Pure sizing; magazine.c acts on
 * it.
 *
 * Batch is the kernel's zone_batchsize(). As in the kernel's per-cpu pageset there is a count, a
 * high and a batch and no low mark: an empty magazine is refilled by batch << scale. Demand moves
 * both: scale grows by one with each refill in a row, up to PCP_SCALE_MAX, and falls by one with
 * each drain; high is high_base << scale, or the streak if that is more: the frames granted since
 * the last drain, which is what the owner may want to put back. */
#ifndef DAEMON_CORE_PCP_H
#define DAEMON_CORE_PCP_H
#include "shm/layout.h"

#include <stdbool.h>

/* Lower: a burst costs more round trips. Higher: a refill holds the loop longer (2016 frames are
 * some 60 us). */
#define PCP_SCALE_MAX 5u

/* min(managed / 1024, 1 MiB / page size) / 4, times 1.5 rounded down to a power of two, less 1; at
 * least 1. 63 for a zone of 1 GiB or more at 4 KiB. */
uint32_t pcp_batch(uint64_t managed, uint32_t page_shift);

/* high before it follows demand: 6 batches hot, 2 cold; for an order above 0 two batches, at least
 * 4 blocks. Never more than the ring can hold. batch is that of the magazine, see
 * pcp_magazine_batch(). */
uint32_t pcp_high_base(uint32_t magazine, uint32_t batch);

/* Batch of one magazine: the zone's for order 0; for order k so many blocks that the frames are as
 * many, at least 1. */
uint32_t pcp_magazine_batch(uint32_t magazine, uint32_t zone_batch);

/* high of a magazine whose ring has `capacity` slots, in blocks; limit is the share of a thread in
 * the zone. */
uint64_t pcp_high(const struct shm_head *head, uint64_t limit);

/* Could pool_pcp_create() and demand have led to this head of magazine? What is not is damage: a
 * ring of another size would name frames that its owner took long ago. */
bool pcp_head_is_sane(const struct shm_head *head, uint32_t magazine);

/* Slots that a ring needs for a refill of `bulk` and a high of `high`, up to `slots_max`; a power
 * of two, never less than `capacity`. */
uint32_t pcp_capacity(uint32_t capacity, uint32_t slots_max, uint64_t bulk, uint64_t high);

#endif
