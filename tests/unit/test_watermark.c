/* tests/unit/test_watermark.c - daemon/core/watermark against numbers worked out by hand.
 *
 * min_free is int_sqrt(16 * kB of the zone), from 128 kB to 256 MiB. For 1 GiB: 1048576 kB, times
 * 16 is 16777216, its root is 4096 kB: 1024 frames. The gap is the larger of a quarter of that
 * (256) and a thousandth of the zone (262144 / 1000 = 262): low 1286, high 1548. */
#include "daemon/core/watermark.h"

#include <CUnit/CUnit.h>

#define FRAMES(bytes) ((bytes) >> 12)
#define SCALE 10u

static void expect(uint64_t bytes, uint64_t min, uint64_t low, uint64_t high)
{
	uint64_t managed = FRAMES(bytes);
	struct watermarks marks =
		watermark_zone(managed, managed, watermark_min_free(managed, 12), SCALE);

	CU_ASSERT_EQUAL(marks.min, min);
	CU_ASSERT_EQUAL(marks.low, low);
	CU_ASSERT_EQUAL(marks.high, high);
}

static void sixty_four_mib_as_the_kernel_has_it(void)
{
	expect(UINT64_C(64) << 20, 256, 320, 384);
}

static void one_gib_as_the_kernel_has_it(void)
{
	expect(UINT64_C(1) << 30, 1024, 1286, 1548);
}

static void four_gib_as_the_kernel_has_it(void)
{
	expect(UINT64_C(4) << 30, 2048, 3096, 4144);
}

static void one_tib_as_the_kernel_has_it(void)
{
	expect(UINT64_C(1) << 40, 32768, 301203, 569638);
}

static void min_free_is_clamped_at_both_ends(void)
{
	CU_ASSERT_EQUAL(watermark_min_free(16, 12), 32);                   /* 128 kB */
	CU_ASSERT_EQUAL(watermark_min_free(UINT64_C(1) << 32, 12), 65536); /* 256 MiB */
	CU_ASSERT_EQUAL(watermark_min_free(UINT64_C(1) << 14, 16), 64); /* 1 GiB of 64 KiB frames */
}

static void zones_share_min_by_their_size(void)
{
	struct watermarks small = watermark_zone(10000, 40000, 400, SCALE);
	struct watermarks large = watermark_zone(30000, 40000, 400, SCALE);

	CU_ASSERT_EQUAL(small.min, 100);
	CU_ASSERT_EQUAL(large.min, 300);
	CU_ASSERT_EQUAL(large.low, 375);
}

static void the_scale_widens_the_gap(void)
{
	struct watermarks marks = watermark_zone(100000, 100000, 100, 1000);

	CU_ASSERT_EQUAL(marks.low, 10100);
	CU_ASSERT_EQUAL(marks.high, 20100);
}

static void a_tiny_zone_keeps_order_among_its_marks(void)
{
	for (uint64_t managed = 1; managed < 2000; managed++) {
		struct watermarks marks =
			watermark_zone(managed, managed, watermark_min_free(managed, 12), SCALE);

		CU_ASSERT(marks.min <= marks.low && marks.low <= marks.high);
		CU_ASSERT(marks.high < managed);
	}
	CU_ASSERT_EQUAL(watermark_zone(64, 64, 32, SCALE).min, 32);
}

CU_TestInfo test_watermark[] = {
	{"64 MiB as the kernel has it", sixty_four_mib_as_the_kernel_has_it},
	{"1 GiB as the kernel has it", one_gib_as_the_kernel_has_it},
	{"4 GiB as the kernel has it", four_gib_as_the_kernel_has_it},
	{"1 TiB as the kernel has it", one_tib_as_the_kernel_has_it},
	{"min_free is clamped at both ends", min_free_is_clamped_at_both_ends},
	{"zones share min by their size", zones_share_min_by_their_size},
	{"the scale widens the gap", the_scale_widens_the_gap},
	{"a tiny zone keeps order among its marks", a_tiny_zone_keeps_order_among_its_marks},
	CU_TEST_INFO_NULL,
};
