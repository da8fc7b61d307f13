/* paged/bits.h - the few integer helpers that every layer wants. All are pure and total over the
 * stated range. */
#ifndef PAGED_BITS_H
#define PAGED_BITS_H
#include <stdint.h>

/* floor(log2(x)); x must not be 0. */
static inline uint32_t bits_log2(uint64_t x)
{
	return 63u - (uint32_t)__builtin_clzll(x);
}

/* The largest power of two that is at most x; x must not be 0. */
static inline uint64_t bits_round_down_pow2(uint64_t x)
{
	return UINT64_C(1) << bits_log2(x);
}

static inline uint64_t bits_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t bits_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t bits_clamp(uint64_t x, uint64_t low, uint64_t high)
{
	return bits_min(bits_max(x, low), high);
}

/* x rounded up to a multiple of unit, a power of two; x + unit must not overflow. */
static inline uint64_t bits_align_up(uint64_t x, uint64_t unit)
{
	return (x + unit - 1) & ~(unit - 1);
}

/* floor(sqrt(x)), digit by digit as the kernel's int_sqrt(). */
static inline uint64_t bits_int_sqrt(uint64_t x)
{
	uint64_t y = 0;

	if (x <= 1)
		return x;
	for (uint64_t m = UINT64_C(1) << (bits_log2(x) & ~1u); m; m >>= 2) {
		uint64_t b = y + m;

		y >>= 1;
		if (x >= b) {
			x -= b;
			y += m;
		}
	}
	return y;
}

#endif
