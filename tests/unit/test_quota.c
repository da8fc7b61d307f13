/* tests/unit/test_quota.c - daemon/core/quota: what one holder may take of a shared table. */
#include "daemon/core/quota.h"

#include <CUnit/CUnit.h>

/* As much as it gets beside `others` entries of others; returns what it has then. */
static uint32_t take_all(const struct quota_rule *rule, uint32_t others, uint32_t mine)
{
	while (quota_admits(rule, others + mine, mine))
		mine++;
	return mine;
}

static void one_alone_gets_half_and_leaves_half(void)
{
	static const struct quota_rule rule = {.capacity = 1000, .alpha = 1};

	CU_ASSERT_EQUAL(take_all(&rule, 0, 0), 500);
}

/* They take in turn, one each. */
static void two_get_a_third_each_and_three_a_quarter(void)
{
	static const struct quota_rule rule = {.capacity = 1200, .alpha = 1};

	for (uint32_t n = 2; n <= 3; n++) {
		uint32_t mine[3] = {0}, used = 0, before;

		do {
			before = used;
			for (uint32_t i = 0; i < n; i++)
				if (quota_admits(&rule, used, mine[i])) {
					mine[i]++;
					used++;
				}
		} while (used > before);
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_EQUAL(mine[i], 1200 / (n + 1));
	}
}

static void who_comes_late_gets_half_of_what_is_left(void)
{
	static const struct quota_rule rule = {.capacity = 1024, .alpha = 1};
	uint32_t used = 0;

	for (uint32_t left = 512; left > 1; left /= 2) {
		uint32_t got = take_all(&rule, used, 0);

		CU_ASSERT_EQUAL(got, left);
		used += got;
	}
}

static void a_large_alpha_leaves_little_but_something(void)
{
	static const struct quota_rule rule = {.capacity = 1024, .alpha = 64, .spare = 4};
	uint32_t first = take_all(&rule, 0, 0), second;

	CU_ASSERT_EQUAL(first, 1005); /* as quota.h says */
	second = take_all(&rule, first, 0);
	CU_ASSERT(second >= 1);
	CU_ASSERT_EQUAL(first + second, 1024 - 4);
}

static void the_spare_entries_are_for_those_who_have_none(void)
{
	static const struct quota_rule rule = {.capacity = 100, .alpha = 1000, .spare = 3};

	CU_ASSERT_EQUAL(take_all(&rule, 0, 0), 97);
	for (uint32_t used = 97; used < 100; used++) {
		CU_ASSERT(quota_admits(&rule, used, 0));
		CU_ASSERT_FALSE(quota_admits(&rule, used, 1));
	}
	CU_ASSERT_FALSE(quota_admits(&rule, 100, 0));
	CU_ASSERT_FALSE(quota_admits(&rule, 105, 0)); /* others may use more than its part */
}

static void no_number_overflows(void)
{
	static const struct quota_rule rule = {.capacity = UINT32_MAX, .alpha = UINT32_MAX};

	CU_ASSERT(quota_admits(&rule, 5, 5));
	CU_ASSERT(quota_admits(&rule, UINT32_MAX - 2, UINT32_MAX - 2));
	CU_ASSERT_FALSE(quota_admits(&rule, UINT32_MAX, UINT32_MAX));
}

static void the_most_is_what_one_by_one_comes_to(void)
{
	for (uint32_t n = 0; n < 4000; n++) {
		struct quota_rule rule = {
			.capacity = 1 + n % 37, .alpha = 1 + n % 5, .spare = n % 7};
		uint32_t others = n % 41, mine = n / 41 % 11;

		CU_ASSERT_EQUAL(quota_most(&rule, others + mine, mine),
				take_all(&rule, others, mine));
	}
}

CU_TestInfo test_quota[] = {
	{"one alone gets half and leaves half", one_alone_gets_half_and_leaves_half},
	{"two get a third each and three a quarter", two_get_a_third_each_and_three_a_quarter},
	{"who comes late gets half of what is left", who_comes_late_gets_half_of_what_is_left},
	{"a large alpha leaves little but something", a_large_alpha_leaves_little_but_something},
	{"the spare entries are for those who have none",
	 the_spare_entries_are_for_those_who_have_none},
	{"no number overflows", no_number_overflows},
	{"the most is what one by one comes to", the_most_is_what_one_by_one_comes_to},
	CU_TEST_INFO_NULL,
};
