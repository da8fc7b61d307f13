/* daemon/core/pcp.c - see pcp.h. */
#include "daemon/core/pcp.h"

#include "paged/bits.h"

uint32_t pcp_batch(uint64_t managed, uint32_t page_shift)
{
	uint64_t batch = bits_min(managed / 1024, (UINT64_C(1) << 20) >> page_shift) / 4;

	if (batch < 1)
		batch = 1;
	return (uint32_t)bits_max(1, bits_round_down_pow2(batch + batch / 2) - 1);
}

uint32_t pcp_magazine_batch(uint32_t magazine, uint32_t zone_batch)
{
	order_t order = magazine_order(magazine);
	uint32_t n_max = magazine_n_max(magazine_slots_max(magazine));

	if (order == 0)
		return (uint32_t)bits_min(zone_batch,
					  magazine_n_max(magazine_slots_first(magazine)));
	return (uint32_t)bits_clamp(zone_batch >> order, 1, n_max);
}

uint32_t pcp_high_base(uint32_t magazine, uint32_t batch)
{
	uint64_t high_max = magazine_high_max(magazine_slots_max(magazine));

	if (magazine == MAGAZINE_HOT)
		return (uint32_t)bits_min(6ull * batch, magazine_high_max(SHM_HOT_SLOTS_FIRST));
	if (magazine == MAGAZINE_COLD)
		return (uint32_t)bits_min(2ull * batch, high_max);
	return (uint32_t)bits_clamp(2ull * batch, 4, high_max);
}

uint64_t pcp_high(const struct shm_head *head, uint64_t limit)
{
	uint64_t wanted = bits_max((uint64_t)head->high_base << head->scale, head->streak);
	uint64_t high = bits_min(wanted, bits_min(limit, magazine_high_max(head->capacity)));

	return bits_max(high, head->high_base);
}

bool pcp_head_is_sane(const struct shm_head *head, uint32_t magazine)
{
	uint32_t slots_max = magazine_slots_max(magazine), capacity = head->capacity;

	return capacity >= magazine_slots_first(magazine) && capacity <= slots_max &&
	       (capacity & (capacity - 1)) == 0 && head->batch >= 1 &&
	       head->batch <= magazine_n_max(slots_max) && head->scale <= PCP_SCALE_MAX &&
	       head->high_base <= magazine_high_max(slots_max) && head->high <= capacity;
}

uint32_t pcp_capacity(uint32_t capacity, uint32_t slots_max, uint64_t bulk, uint64_t high)
{
	while (capacity < slots_max && (magazine_n_max(capacity) < bits_min(bulk, SHM_GRANT_MAX) ||
					magazine_high_max(capacity) < high))
		capacity *= 2;
	return capacity;
}
