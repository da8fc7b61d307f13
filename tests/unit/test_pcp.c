/* tests/unit/test_pcp.c - daemon/core/pcp: batch and high, the kernel's numbers and the textbook's.
 */
#include "daemon/core/pcp.h"

#include <CUnit/CUnit.h>

#define GIB_FRAMES (UINT64_C(1) << 18)

static void batch_is_63_from_one_gib_on(void)
{
	CU_ASSERT_EQUAL(pcp_batch(GIB_FRAMES, 12), 63);
	CU_ASSERT_EQUAL(pcp_batch(4 * GIB_FRAMES, 12), 63);
	CU_ASSERT_EQUAL(pcp_batch(1024 * GIB_FRAMES, 12), 63);
}

/* 64 MiB: 16384 / 1024 / 4 = 4; 6 rounded down is 4, less 1. */
static void a_small_zone_has_a_small_batch(void)
{
	CU_ASSERT_EQUAL(pcp_batch(16384, 12), 3);
	CU_ASSERT_EQUAL(pcp_batch(1, 12), 1);
	CU_ASSERT_EQUAL(pcp_batch(1024, 12), 1);
}

/* 1 MiB of 64 KiB frames are 16: / 4 = 4, 6 rounded down is 4, less 1. */
static void batch_follows_the_page_size(void)
{
	CU_ASSERT_EQUAL(pcp_batch(GIB_FRAMES, 16), 3);
	CU_ASSERT_EQUAL(pcp_batch(GIB_FRAMES, 14), 15);
}

static void high_is_378_hot_and_126_cold_at_batch_63(void)
{
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_HOT, pcp_magazine_batch(MAGAZINE_HOT, 63)), 378);
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_COLD, pcp_magazine_batch(MAGAZINE_COLD, 63)), 126);
}

static void high_is_96_hot_and_32_cold_at_batch_16(void)
{
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_HOT, pcp_magazine_batch(MAGAZINE_HOT, 16)), 96);
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_COLD, pcp_magazine_batch(MAGAZINE_COLD, 16)), 32);
}

static void higher_orders_hold_as_many_frames_in_fewer_blocks(void)
{
	CU_ASSERT_EQUAL(pcp_magazine_batch(MAGAZINE_ORDER_1, 63), 31);
	CU_ASSERT_EQUAL(pcp_magazine_batch(MAGAZINE_ORDER_1 + 4, 63), 1);
	CU_ASSERT_EQUAL(pcp_magazine_batch(MAGAZINE_COUNT - 1, 63), 1);
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_COUNT - 1, 1), 4);
	CU_ASSERT_EQUAL(pcp_high_base(MAGAZINE_ORDER_1, 31), 62);
}

static void no_batch_or_high_is_more_than_its_ring_can_hold(void)
{
	static const uint32_t batches[] = {1, 16, 63, 128, 1000, UINT32_MAX};

	for (uint32_t i = 0; i < sizeof batches / sizeof *batches; i++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
			uint32_t batch = pcp_magazine_batch(m, batches[i]);
			uint32_t high = pcp_high_base(m, batch);

			CU_ASSERT(batch >= 1);
			CU_ASSERT(batch <= magazine_n_max(magazine_slots_first(m)));
			CU_ASSERT(high >= 1);
			CU_ASSERT(high <= magazine_high_max(magazine_slots_first(m)));
		}
}

static struct shm_head head_of(uint32_t capacity)
{
	return (struct shm_head){.capacity = capacity, .batch = 16, .high_base = 96};
}

static void high_doubles_with_each_refill_in_a_row(void)
{
	struct shm_head head = head_of(65536);

	for (head.scale = 0; head.scale <= PCP_SCALE_MAX; head.scale++)
		CU_ASSERT_EQUAL(pcp_high(&head, 100000), 96u << head.scale);
}

static void high_follows_the_streak(void)
{
	struct shm_head head = head_of(65536);

	head.streak = 5000;
	CU_ASSERT_EQUAL(pcp_high(&head, 100000), 5000);
}

static void high_stays_below_its_limits_and_above_its_base(void)
{
	struct shm_head head = head_of(1024);

	head.streak = 5000;
	CU_ASSERT_EQUAL(pcp_high(&head, 100000), magazine_high_max(1024));
	CU_ASSERT_EQUAL(pcp_high(&head, 200), 200);
	CU_ASSERT_EQUAL(pcp_high(&head, 0), 96);
}

static void a_ring_grows_to_what_is_wanted_and_no_further(void)
{
	CU_ASSERT_EQUAL(pcp_capacity(1024, 262144, 16, 96), 1024);
	CU_ASSERT_EQUAL(pcp_capacity(1024, 262144, 129, 96), 2048);
	CU_ASSERT_EQUAL(pcp_capacity(1024, 262144, 16, 384), 2048);
	CU_ASSERT_EQUAL(pcp_capacity(1024, 262144, 1u << 20, 1u << 20), 262144);
	CU_ASSERT_EQUAL(pcp_capacity(4096, 4096, 1u << 20, 1u << 20), 4096);
	CU_ASSERT_EQUAL(pcp_capacity(8192, 262144, 1, 1), 8192);
}

CU_TestInfo test_pcp[] = {
	{"batch is 63 from 1 GiB on", batch_is_63_from_one_gib_on},
	{"a small zone has a small batch", a_small_zone_has_a_small_batch},
	{"batch follows the page size", batch_follows_the_page_size},
	{"high is 378 hot and 126 cold at batch 63", high_is_378_hot_and_126_cold_at_batch_63},
	{"high is 96 hot and 32 cold at batch 16", high_is_96_hot_and_32_cold_at_batch_16},
	{"higher orders hold as many frames in fewer blocks",
	 higher_orders_hold_as_many_frames_in_fewer_blocks},
	{"no batch or high is more than its ring can hold",
	 no_batch_or_high_is_more_than_its_ring_can_hold},
	{"high doubles with each refill in a row", high_doubles_with_each_refill_in_a_row},
	{"high follows the streak", high_follows_the_streak},
	{"high stays below its limits and above its base",
	 high_stays_below_its_limits_and_above_its_base},
	{"a ring grows to what is wanted and no further",
	 a_ring_grows_to_what_is_wanted_and_no_further},
	CU_TEST_INFO_NULL,
};
