/* daemon/core/victim_scan.h - which of eight entries of a purge table are worth a second look.
 *
 * A pass looks at some 32 entries for each frame that it finds, so nearly all of them are passed
 * over, and the time of a purge is theirs. Here eight are judged at once, in registers of four
 * words. It is a filter: the loads are not those of shm/access.h, nothing is ordered by them, and
 * whatever passes is loaded again and judged by that. What a client changes meanwhile is counted as
 * it was before or after. */
#ifndef DAEMON_CORE_VICTIM_SCAN_H
#define DAEMON_CORE_VICTIM_SCAN_H
#include "shm/purge.h"

#define VICTIM_GROUP 8u

typedef uint32_t victim_lanes __attribute__((vector_size(16), aligned(8), may_alias));
typedef int32_t victim_signs __attribute__((vector_size(16)));
typedef uint64_t victim_halves __attribute__((vector_size(16)));

/* Each lane is a sum, or minus one. */
struct victim_counts {
	victim_signs unpinned, in_use;
};

/* The four entries at `at`: all bits set for those that are unpinned and at least so old. */
__attribute__((always_inline)) static inline victim_signs
victim_look_four(const victim_lanes *at, uint32_t now, uint32_t least, struct victim_counts *counts)
{
	const uint32_t top = UINT32_C(1) << 31;
	victim_lanes low = __builtin_shufflevector(at[0], at[1], 0, 2, 4, 6);
	victim_lanes pfn = __builtin_shufflevector(at[0], at[1], 1, 3, 5, 7);
	victim_signs pins = (victim_signs)(low & 255u);
	victim_signs is_free = (victim_signs)(pfn == PFN_NONE);
	victim_signs unpinned = (pins == 0) & ~is_free;

	/* With pins 0 the difference is the age, eight bits up. Compared as signed numbers: of
	 * unsigned ones not every processor has a comparison. */
	victim_signs age = (victim_signs)((now - low) ^ top);

	counts->unpinned += unpinned;
	counts->in_use += (pins <= (int32_t)PURGE_PINS_MAX) & ~is_free;
	return unpinned & ~(age < (int32_t)(least ^ top));
}

/* Bit i: entry i. now and least: generation and age, eight bits up; UINT32_MAX: none is so old. */
__attribute__((always_inline, no_sanitize("thread"))) static inline uint32_t
victim_look(const uint64_t *entry, uint32_t now, uint32_t least, struct victim_counts *counts)
{
	const victim_lanes *at = (const victim_lanes *)(const void *)entry;
	const victim_signs bits_low = {1, 2, 4, 8}, bits_high = {16, 32, 64, 128};
	victim_signs low = victim_look_four(at, now, least, counts) & bits_low;
	victim_signs high = victim_look_four(at + 2, now, least, counts) & bits_high;
	victim_halves both = (victim_halves)(low | high);
	uint64_t folded = both[0] | both[1];

	return (uint32_t)(folded | folded >> 32);
}

static inline uint64_t victim_sum(victim_signs count)
{
	return (uint64_t) - ((int64_t)count[0] + count[1] + count[2] + count[3]);
}

#endif
