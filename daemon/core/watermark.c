/* daemon/core/watermark.c - see watermark.h. */
#include "daemon/core/watermark.h"

#include "paged/bits.h"
#include "paged/check.h"

/* The kernel's clamp: lower leaves nothing for what must not wait, higher keeps too much back on
 * large machines. */
#define MIN_FREE_KB_LOW 128u
#define MIN_FREE_KB_HIGH 262144u

uint64_t watermark_min_free(uint64_t managed, uint32_t page_shift)
{
	uint64_t kb = bits_int_sqrt(16 * (managed << (page_shift - 10)));

	return bits_clamp(kb, MIN_FREE_KB_LOW, MIN_FREE_KB_HIGH) >> (page_shift - 10);
}

struct watermarks watermark_zone(uint64_t managed, uint64_t managed_total, uint64_t min_free,
				 uint32_t scale)
{
	uint64_t min, gap;

	PAGED_CHECK(managed_total > 0 && managed <= managed_total);
	min = min_free * managed / managed_total;
	gap = bits_max(min / 4, managed * scale / 10000);
	if (min + 2 * gap >= managed)
		return (struct watermarks){managed / 2, managed * 5 / 8, managed * 3 / 4};
	return (struct watermarks){min, min + gap, min + 2 * gap};
}
