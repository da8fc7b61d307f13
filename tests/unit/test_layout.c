/* tests/unit/test_layout.c - shm/layout: the parts follow each other and the rings fit their rules.
 */
#include "shm/layout.h"

#include "shm/counters.h"

#include <CUnit/CUnit.h>
#include <string.h>

static void the_parts_of_meta_lie_one_after_the_other(void)
{
	static const uint32_t sizes[] = {1, 511, 512, 262144, 1u << 28, UINT32_MAX};

	for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct shm_meta_header h = {0};
		uint64_t pageblocks = ((uint64_t)sizes[i] + 511) / 512;

		shm_meta_plan(&h, sizes[i], 12);
		CU_ASSERT(h.zones_offset >= sizeof h);
		CU_ASSERT(h.counters_offset >= h.zones_offset + SHM_MAX_ZONES * 1024);
		CU_ASSERT(h.clients_offset >= h.counters_offset + UINT64_C(8) * COUNTER_COUNT);
		CU_ASSERT(h.caches_offset >= h.clients_offset + SHM_MAX_CLIENTS * 256);
		CU_ASSERT(h.pageblocks_offset >= h.caches_offset + SHM_MAX_CACHES * 256);
		CU_ASSERT(h.heads_offset >= h.pageblocks_offset + pageblocks);
		CU_ASSERT(h.map_offset >= h.heads_offset + UINT64_C(1024) * SHM_CLIENT_HEADS_BYTES);
		CU_ASSERT(h.meta_bytes >= h.map_offset + UINT64_C(16) * sizes[i]);
		CU_ASSERT_EQUAL(h.meta_bytes % SHM_PAGE, 0);
		CU_ASSERT_EQUAL(h.heads_offset % SHM_PAGE, 0);
		CU_ASSERT_EQUAL(h.map_offset % SHM_PAGE, 0);
		CU_ASSERT_EQUAL(h.data_bytes, (uint64_t)sizes[i] << 12);
	}
}

static void the_parts_of_state_lie_one_after_the_other(void)
{
	struct shm_state_header h = {0};

	shm_state_plan(&h);
	CU_ASSERT(h.journal_offset >= sizeof h);
	CU_ASSERT(h.edges_offset >= h.journal_offset + sizeof(struct shm_journal));
	CU_ASSERT(h.clients_offset >= h.edges_offset + UINT64_C(16) * SHM_MAX_EDGES);
	CU_ASSERT_EQUAL(h.state_bytes, h.clients_offset + UINT64_C(8192) * SHM_MAX_CLIENTS);
	CU_ASSERT_EQUAL(h.clients_offset % SHM_PAGE, 0);
	CU_ASSERT_EQUAL(h.edges_offset % sizeof(uint64_t), 0);
}

/* 2 * (high_max + n_max) + 2 <= capacity, at every size that a ring can have. */
static void a_whole_claim_and_a_grant_never_meet(void)
{
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
		for (uint32_t c = magazine_slots_first(m); c <= magazine_slots_max(m); c *= 2) {
			CU_ASSERT_EQUAL(c & (c - 1), 0);
			CU_ASSERT(2 * (magazine_high_max(c) + magazine_n_max(c)) + 2 <= c);
			CU_ASSERT(magazine_n_max(c) >= 8);
			CU_ASSERT(magazine_n_max(c) <= SHM_GRANT_MAX);
		}
}

static void no_two_rings_of_a_thread_share_a_byte(void)
{
	uint64_t start[MAGAZINE_COUNT], end[MAGAZINE_COUNT];

	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		start[m] = shm_ctl_slots_offset(1, m);
		end[m] = start[m] + 4ull * magazine_slots_max(m);
		CU_ASSERT_EQUAL(start[m] % 64, 0);
		CU_ASSERT(start[m] >= shm_ctl_bottom_offset(1, 0) + SHM_CTL_BOTTOMS_BYTES);
		CU_ASSERT(end[m] <= shm_ctl_bottom_offset(2, 0));
		CU_ASSERT(shm_ctl_bottom_offset(1, m) + 8 <=
			  shm_ctl_bottom_offset(1, 0) + SHM_CTL_BOTTOMS_BYTES);
		for (uint32_t other = 0; other < m; other++)
			CU_ASSERT(end[other] <= start[m] || end[m] <= start[other]);
	}
	CU_ASSERT_EQUAL(shm_ctl_purge_offset(2), shm_ctl_bottom_offset(2, 0));
	CU_ASSERT_EQUAL(shm_ctl_bytes(2, 513), shm_ctl_table_offset(2) + 2 * SHM_PAGE);
}

static void heads_of_a_client_do_not_overlap(void)
{
	CU_ASSERT_EQUAL(shm_head_offset(0, 0), 0);
	CU_ASSERT_EQUAL(shm_head_offset(0, 10), 640);
	CU_ASSERT_EQUAL(shm_head_offset(1, 0), 768);
	CU_ASSERT(shm_head_offset(63, 10) + 64 <= SHM_CLIENT_HEADS_BYTES);
}

static void magazines_hold_blocks_of_their_order(void)
{
	CU_ASSERT_EQUAL(magazine_order(MAGAZINE_HOT), 0);
	CU_ASSERT_EQUAL(magazine_order(MAGAZINE_COLD), 0);
	CU_ASSERT_EQUAL(magazine_order(MAGAZINE_ORDER_1), 1);
	CU_ASSERT_EQUAL(magazine_order(MAGAZINE_COUNT - 1), MAGAZINE_ORDER_MAX);
	CU_ASSERT_EQUAL(magazine_slots_max(MAGAZINE_ORDER_1), 2048);
	CU_ASSERT_EQUAL(magazine_slots_max(MAGAZINE_COUNT - 1), 64);
}

static void every_counter_has_a_name_of_its_own(void)
{
	for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
		CU_ASSERT(counter_name((enum counter)i)[0] != '\0');
		CU_ASSERT(counter_unit((enum counter)i)[0] != '\0');
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(strcmp(counter_name((enum counter)i),
						   counter_name((enum counter)j)),
					    0);
	}
}

CU_TestInfo test_layout[] = {
	{"the parts of META lie one after the other", the_parts_of_meta_lie_one_after_the_other},
	{"the parts of STATE lie one after the other", the_parts_of_state_lie_one_after_the_other},
	{"a whole claim and a grant never meet", a_whole_claim_and_a_grant_never_meet},
	{"no two rings of a thread share a byte", no_two_rings_of_a_thread_share_a_byte},
	{"heads of a client do not overlap", heads_of_a_client_do_not_overlap},
	{"magazines hold blocks of their order", magazines_hold_blocks_of_their_order},
	{"every counter has a name of its own", every_counter_has_a_name_of_its_own},
	CU_TEST_INFO_NULL,
};
