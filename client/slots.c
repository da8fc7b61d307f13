/* client/slots.c - see slots.h. Plain loops, and the same by vectors for processors that have AVX2,
 * where the loader chooses (ifunc), or slots_writer().
 *
 * By hand, because a compiler makes twice as many instructions of the plain loops: it shifts by a
 * count that is the same for all, which takes two, and narrows eight offsets to eight pfns by five
 * shuffles where two do. With 32 frames a call that is a fifth of what a pop and a push take.
 *
 * A sanitizer's runtime is not there yet when the loader chooses, and sees what vectors touch no
 * better than a plain loop: with one of them there is the plain loop alone. */
#include "client/slots.h"

#include <stdbool.h>

#define LANES 8u /* slots in a vector of 32 bytes, and frames in two */

/* From i on: all, or what is left of a row when the vectors are through. */
static void read_from(size_t i, const uint32_t *restrict slot, size_t n, const char *data,
		      uint32_t shift, void **restrict ret_frames)
{
	for (; i < n; i++)
		ret_frames[i] = (void *)((uintptr_t)data + ((uintptr_t)slot[i] << shift));
}

static uint64_t write_from(size_t i, uint32_t *restrict slot, size_t n, const char *data,
			   uint32_t shift, void *const *restrict frames)
{
	uint64_t offsets = 0;

	for (; i < n; i++) {
		uint64_t offset = (uint64_t)(uintptr_t)frames[i] - (uint64_t)(uintptr_t)data;

		offsets |= offset;
		slot[i] = (uint32_t)(offset >> shift);
	}
	return offsets;
}

/* Any of them, where the size is no power of two. */
static uint64_t beyond_from(size_t i, const uint32_t *slot, size_t n, uint32_t nr_frames)
{
	uint64_t beyond = 0;

	for (; i < n; i++)
		beyond |= slot[i] >= nr_frames ? SLOTS_BEYOND : 0;
	return beyond;
}

static uint64_t write_plain(uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
			    void *const *restrict frames, uint32_t nr_frames)
{
	(void)nr_frames;
	return write_from(0, slot, n, data, shift, frames);
}

static uint64_t write_plain_bounded(uint32_t *restrict slot, size_t n, const char *data,
				    uint32_t shift, void *const *restrict frames,
				    uint32_t nr_frames)
{
	uint64_t bits = write_from(0, slot, n, data, shift, frames);

	return bits | beyond_from(0, slot, n, nr_frames);
}

static bool is_power_of_two(uint32_t n)
{
	return (n & (n - 1)) == 0;
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) &&      \
	!defined(__clang__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

typedef void read_fn(const uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		     void **restrict ret_frames);
static void read_plain(const uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		       void **restrict ret_frames)
{
	read_from(0, slot, n, data, shift, ret_frames);
}

AVX2 static __m256i four_frames(const uint32_t *slot, __m256i data, __m256i shift)
{
	__m128i pfns = _mm_loadu_si128((const __m128i *)(const void *)slot);

	return _mm256_add_epi64(_mm256_sllv_epi64(_mm256_cvtepu32_epi64(pfns), shift), data);
}

AVX2 static void read_avx2(const uint32_t *restrict slot, size_t n, const char *data,
			   uint32_t shift, void **restrict ret_frames)
{
	__m256i base = _mm256_set1_epi64x((long long)(uintptr_t)data);
	__m256i by = _mm256_set1_epi64x(shift);
	size_t whole = n - n % LANES;

	for (size_t i = 0; i < whole; i += LANES) {
		__m256i *to = (__m256i *)(void *)(ret_frames + i);

		_mm256_storeu_si256(to, four_frames(slot + i, base, by));
		_mm256_storeu_si256(to + 1, four_frames(slot + i + LANES / 2, base, by));
	}
	read_from(whole, slot, n, data, shift, ret_frames);
}

/* The low halves of the lanes of both, in their order. */
AVX2 static __m256i narrow(__m256i low, __m256i high)
{
	__m256 both = _mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high),
					_MM_SHUFFLE(2, 0, 2, 0));

	return _mm256_permute4x64_epi64(_mm256_castps_si256(both), _MM_SHUFFLE(3, 1, 2, 0));
}

AVX2 static uint64_t any_of(__m256i lanes)
{
	__m128i two =
		_mm_or_si128(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));

	return (uint64_t)_mm_cvtsi128_si64(_mm_or_si128(two, _mm_unpackhi_epi64(two, two)));
}

AVX2 static uint32_t most_of(__m256i eight)
{
	__m128i four =
		_mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));

	four = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
	return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_srli_epi64(four, 32)));
}

/* Without a bound the compiler leaves the largest slot out. */
AVX2 static inline __attribute__((always_inline)) uint64_t
write_vectors(uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
	      void *const *restrict frames, uint32_t nr_frames, bool is_bounded)
{
	__m256i minus = _mm256_set1_epi64x(-(long long)(uintptr_t)data);
	__m256i by = _mm256_set1_epi64x(shift);
	__m256i offsets = _mm256_setzero_si256(), most = _mm256_setzero_si256();
	size_t whole = n - n % LANES;
	uint64_t bits;

	for (size_t i = 0; i < whole; i += LANES) {
		const __m256i *from = (const __m256i *)(const void *)(frames + i);
		__m256i low = _mm256_add_epi64(_mm256_loadu_si256(from), minus);
		__m256i high = _mm256_add_epi64(_mm256_loadu_si256(from + 1), minus);
		__m256i slots = narrow(_mm256_srlv_epi64(low, by), _mm256_srlv_epi64(high, by));

		offsets = _mm256_or_si256(offsets, _mm256_or_si256(low, high));
		if (is_bounded)
			most = _mm256_max_epu32(most, slots);
		_mm256_storeu_si256((__m256i *)(void *)(slot + i), slots);
	}
	bits = any_of(offsets) | write_from(whole, slot, n, data, shift, frames);
	if (is_bounded)
		bits |= (most_of(most) >= nr_frames ? SLOTS_BEYOND : 0) |
			beyond_from(whole, slot, n, nr_frames);
	return bits;
}

AVX2 static uint64_t write_avx2(uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
				void *const *restrict frames, uint32_t nr_frames)
{
	return write_vectors(slot, n, data, shift, frames, nr_frames, false);
}

AVX2 static uint64_t write_avx2_bounded(uint32_t *restrict slot, size_t n, const char *data,
					uint32_t shift, void *const *restrict frames,
					uint32_t nr_frames)
{
	return write_vectors(slot, n, data, shift, frames, nr_frames, true);
}

static read_fn *choose_read(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") ? read_avx2 : read_plain;
}

__attribute__((ifunc("choose_read"))) read_fn slots_read;

slots_write_fn *slots_writer(uint32_t nr_frames)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		return is_power_of_two(nr_frames) ? write_avx2 : write_avx2_bounded;
	return is_power_of_two(nr_frames) ? write_plain : write_plain_bounded;
}

#else

void slots_read(const uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		void **restrict ret_frames)
{
	read_from(0, slot, n, data, shift, ret_frames);
}

slots_write_fn *slots_writer(uint32_t nr_frames)
{
	return is_power_of_two(nr_frames) ? write_plain : write_plain_bounded;
}

#endif
