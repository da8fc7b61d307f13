/* daemon/core/watermark.h - how many frames a zone keeps back, by the kernel's formulas
 * (mm/page_alloc.c). Pure. */
#ifndef DAEMON_CORE_WATERMARK_H
#define DAEMON_CORE_WATERMARK_H
#include "shm/layout.h"

struct watermarks {
	uint64_t min;  /* frames; an allocation never goes below it */
	uint64_t low;  /* below it background reclaim wakes */
	uint64_t high; /* above it background reclaim sleeps */
};

/* min_free of a pool of `managed` frames, in frames: int_sqrt(16 * kB), from 128 kB to 256 MiB
 * (calculate_min_free_kbytes). */
uint64_t watermark_min_free(uint64_t managed, uint32_t page_shift);

/* Watermarks of a zone of `managed` frames out of `managed_total`, for min_free frames in all and a
 * scale of 1 to 10000 ten-thousandths of the zone: gap = max(min / 4, managed * scale / 10000), low
 * = min + gap, high = low + gap (__setup_per_zone_wmarks). A zone so small that high would not fit
 * keeps a half, 5/8 and 3/4. */
struct watermarks watermark_zone(uint64_t managed, uint64_t managed_total, uint64_t min_free,
				 uint32_t scale);

#endif
