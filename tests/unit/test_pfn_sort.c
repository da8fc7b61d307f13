/* tests/unit/test_pfn_sort.c - rows of pfns come out in order, whatever a client wrote. */
#include "daemon/core/pfn_sort.h"

#include "tests/support/fixture_pool.h"

#define MOST 4096u

/* Sorts n numbers below `below` and looks at each: in order, and as many of each as before. */
static void sorts(uint32_t n, uint64_t below, uint64_t seed)
{
	static pfn_t pfn[MOST], spare[MOST];
	uint64_t sum = 0, squares = 0;
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t high = fixture_random(&seed);

		pfn[i] = (pfn_t)((high << 16 ^ fixture_random(&seed)) % below);
		sum += pfn[i];
		squares += (uint64_t)pfn[i] * pfn[i];
	}
	pfn_sort(pfn, spare, n);
	for (uint32_t i = 0; i < n; i++) {
		sum -= pfn[i];
		squares -= (uint64_t)pfn[i] * pfn[i];
		wrong += i > 0 && pfn[i - 1] > pfn[i];
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(sum, 0);
	CU_ASSERT_EQUAL(squares, 0);
}

static void any_number_of_pfns_is_sorted(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 47, 48, 49, 64, 255, 256, 1000, MOST};

	for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		sorts(sizes[i], UINT64_C(1) << 32, 1 + i);
		sorts(sizes[i], 256, 2 + i);      /* many are equal */
		sorts(sizes[i], 1u << 20, 3 + i); /* the highest digit says nothing */
	}
}

static void what_differs_in_one_digit_only_is_sorted(void)
{
	for (uint32_t shift = 0; shift < 32; shift += 8) {
		pfn_t pfn[256], spare[256];

		for (uint32_t i = 0; i < 256; i++)
			pfn[i] = (255 - i) << shift | (0x5a5a5a5au & ~(0xffu << shift));
		pfn_sort(pfn, spare, 256);
		for (uint32_t i = 0; i < 256; i++)
			CU_ASSERT_EQUAL(pfn[i] >> shift & 0xff, i);
	}
}

CU_TestInfo test_pfn_sort[] = {
	{"any_number_of_pfns_is_sorted", any_number_of_pfns_is_sorted},
	{"what_differs_in_one_digit_only_is_sorted", what_differs_in_one_digit_only_is_sorted},
	CU_TEST_INFO_NULL,
};
