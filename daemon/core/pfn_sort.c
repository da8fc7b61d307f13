/* daemon/core/pfn_sort.c - see pfn_sort.h. */
#include "daemon/core/pfn_sort.h"

#include <stdbool.h>
#include <string.h>

#define DIGIT_BITS 8u
#define DIGITS (32u / DIGIT_BITS)
#define BUCKETS (1u << DIGIT_BITS)
/* Lower: a few frames pay for counting 4 times 256 buckets; higher: they pay for their square. */
#define FEW 48u

static bool ascends(const pfn_t *pfn, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (pfn[i - 1] > pfn[i])
			return false;
	return true;
}

static void sort_few(pfn_t *pfn, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		pfn_t value = pfn[i];
		uint32_t j = i;

		for (; j > 0 && pfn[j - 1] > value; j--)
			pfn[j] = pfn[j - 1];
		pfn[j] = value;
	}
}

static uint32_t digit_of(pfn_t pfn, uint32_t digit)
{
	return pfn >> (digit * DIGIT_BITS) & (BUCKETS - 1);
}

/* From pfn to spare, by one digit; count says how often each of its values occurs. */
static void spread(const pfn_t *pfn, pfn_t *spare, uint32_t n, uint32_t digit, uint32_t *count)
{
	uint32_t at = 0;

	for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
		uint32_t size = count[bucket];

		count[bucket] = at;
		at += size;
	}
	for (uint32_t i = 0; i < n; i++)
		spare[count[digit_of(pfn[i], digit)]++] = pfn[i];
}

void pfn_sort(pfn_t *pfn, pfn_t *spare, uint32_t n)
{
	uint32_t count[DIGITS][BUCKETS] = {{0}};
	pfn_t *from = pfn, *to = spare;

	if (ascends(pfn, n))
		return;
	if (n <= FEW) {
		sort_few(pfn, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t digit = 0; digit < DIGITS; digit++)
			count[digit][digit_of(pfn[i], digit)]++;
	for (uint32_t digit = 0; digit < DIGITS; digit++) {
		pfn_t *other = to;

		if (count[digit][digit_of(pfn[0], digit)] == n)
			continue;
		spread(from, to, n, digit, count[digit]);
		to = from;
		from = other;
	}
	if (from != pfn)
		memcpy(pfn, from, n * sizeof *pfn);
}
