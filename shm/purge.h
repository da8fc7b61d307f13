/* shm/purge.h - an entry of the purge table: one 64-bit word in CTL that client and daemon change
 * by compare-exchange.
 *
 *   bits  0..7   pins    0 to 253: so many nested pins; PURGE_PURGING, PURGE_PURGED
 *         8..31  stamp   the generation clock at the last unpin; of a PURGED entry, at the purge
 *        32..63  pfn     PFN_NONE: the slot is free
 *
 *              new                 unpin                 daemon
 *   free ------------> pinned n <---------> pins 0 ---------------> PURGING --> PURGED
 *     ^                   |  ^       pin                                          |  |
 *     '---- take, drop ---'  '------------------------ rearm ---------------------'  |
 *     '------------------------------- drop -----------------------------------------'
 *
 * An entry stands for the client's reference of the frame: ownership, or its edge of a shared
 * block. A pin is the explicit presence check: it succeeds, and then the frame cannot be purged, or
 * it says that the content is gone. The daemon purges in three stores, each of which a crash may
 * leave as the last: pins 0 -> PURGING by compare-exchange; the word of the frame = FREE (or the
 * edge ends, in its journal); PURGED. The client never touches an entry that is PURGING and takes
 * it for purged. Recovery finishes every PURGING entry before that client is granted anything, so
 * that the frame which the entry names is either still the client's or free.
 *
 * All exchanges are acquire and release: what was written to a frame before an unpin is there for
 * who pins it next, and nothing is read of it before the pin. A client that writes nonsense here
 * loses frames of its own: the daemon frees only what its own map says is that client's. */
#ifndef SHM_PURGE_H
#define SHM_PURGE_H
#include "paged/ids.h"
#include "shm/access.h"

#include <stdbool.h>
#include <stdint.h>

#define PURGE_PINS_MAX 253u
#define PURGE_PURGING 254u
#define PURGE_PURGED 255u
#define PURGE_STAMP_MASK UINT32_C(0xffffff)

struct purge_entry {
	pfn_t pfn;
	uint32_t stamp;
	uint32_t pins;
};

static inline uint64_t purge_pack(struct purge_entry entry)
{
	return (uint64_t)entry.pins | (uint64_t)(entry.stamp & PURGE_STAMP_MASK) << 8 |
	       (uint64_t)entry.pfn << 32;
}

static inline struct purge_entry purge_unpack(uint64_t word)
{
	return (struct purge_entry){.pfn = (pfn_t)(word >> 32),
				    .stamp = (uint32_t)(word >> 8) & PURGE_STAMP_MASK,
				    .pins = (uint32_t)word & 255u};
}

#define PURGE_FREE_SLOT ((uint64_t)PFN_NONE << 32)

/* Generations since the stamp; the clock wraps at 2^24. */
static inline uint32_t purge_age(uint32_t generation, uint32_t stamp)
{
	return (generation - stamp) & PURGE_STAMP_MASK;
}

/* If the entry is still `from` it becomes `to`. */
static inline bool purge_exchange(uint64_t *entry, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(entry, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* --- the daemon's side. word is what it read once, with pins 0. --- */

/* false: the client was first. */
static inline bool purge_begin(uint64_t *entry, uint64_t word)
{
	return purge_exchange(entry, word, word | PURGE_PURGING);
}

/* The frame is free: the entry says PURGED, since now. The client does not touch it meanwhile. */
static inline void purge_finish(uint64_t *entry, uint64_t word, uint32_t generation)
{
	struct purge_entry purged = purge_unpack(word);

	purged.stamp = generation;
	purged.pins = PURGE_PURGED;
	shm_store(entry, purge_pack(purged));
}

/* --- the client's side --- */

enum purge_result {
	PURGE_OK,
	PURGE_GONE,     /* purged, or about to be */
	PURGE_OVERFLOW, /* pinned 253 times */
	PURGE_BUSY,     /* pinned by others too, or PURGING */
	PURGE_IS_FREE,  /* no frame in this slot */
	PURGE_EXISTS,   /* rearm: it has a frame */
};

/* A slot that is free, and the caller's, gets a frame, pinned once. */
static inline void purge_new(uint64_t *entry, pfn_t pfn)
{
	shm_store(entry, purge_pack((struct purge_entry){.pfn = pfn, .pins = 1}));
}

/* One more pin. *ret_word is the entry as it was. */
static inline enum purge_result purge_pin(uint64_t *entry, uint64_t *ret_word)
{
	for (;;) {
		uint64_t word = shm_load(entry);
		uint32_t pins = (uint32_t)word & 255u;

		*ret_word = word;
		if ((pfn_t)(word >> 32) == PFN_NONE)
			return PURGE_IS_FREE;
		if (pins >= PURGE_PINS_MAX)
			return pins == PURGE_PINS_MAX ? PURGE_OVERFLOW : PURGE_GONE;
		if (purge_exchange(entry, word, word + 1))
			return PURGE_OK;
	}
}

/* One pin less, and the stamp is now. IS_FREE: there was no pin to end, and nothing is changed. */
static inline enum purge_result purge_unpin(uint64_t *entry, uint32_t generation)
{
	for (;;) {
		uint64_t word = shm_load(entry);
		struct purge_entry unpinned = purge_unpack(word);

		if (unpinned.pfn == PFN_NONE || unpinned.pins == 0 ||
		    unpinned.pins > PURGE_PINS_MAX)
			return PURGE_IS_FREE;
		unpinned.pins--;
		unpinned.stamp = generation;
		if (purge_exchange(entry, word, purge_pack(unpinned)))
			return PURGE_OK;
	}
}

/* A PURGED entry gets another frame, pinned once. */
static inline enum purge_result purge_rearm(uint64_t *entry, pfn_t pfn)
{
	uint64_t word = shm_load(entry);
	uint32_t pins = (uint32_t)word & 255u;

	if ((pfn_t)(word >> 32) == PFN_NONE)
		return PURGE_IS_FREE;
	if (pins == PURGE_PURGING)
		return PURGE_BUSY;
	if (pins != PURGE_PURGED ||
	    !purge_exchange(entry, word, purge_pack((struct purge_entry){.pfn = pfn, .pins = 1})))
		return PURGE_EXISTS;
	return PURGE_OK;
}

/* The entry with exactly `pins` pins becomes a free slot. *ret_pfn is its frame. */
static inline enum purge_result purge_end(uint64_t *entry, uint32_t pins, pfn_t *ret_pfn)
{
	for (;;) {
		uint64_t word = shm_load(entry);
		struct purge_entry old = purge_unpack(word);

		if (old.pfn == PFN_NONE)
			return PURGE_IS_FREE;
		if (old.pins != pins)
			return old.pins == PURGE_PURGED ? PURGE_GONE : PURGE_BUSY;
		if (purge_exchange(entry, word, PURGE_FREE_SLOT)) {
			*ret_pfn = old.pfn;
			return PURGE_OK;
		}
	}
}

/* A PURGED entry becomes a free slot. Nobody else changes it: the daemon is done with it. */
static inline void purge_clear(uint64_t *entry)
{
	shm_store(entry, PURGE_FREE_SLOT);
}

#endif
