/* daemon/core/page.c - finding the head of a block. */
#include "daemon/core/page.h"

pfn_t page_head(const struct shm_page *map, pfn_t pfn)
{
	pfn_t head = PFN_NONE;

	for (order_t order = ORDER_MAX;; order--) {
		pfn_t candidate = pfn & ~((1u << order) - 1);

		if (candidate != head) {
			head = candidate;
			if (pfn - head < 1u << page_get(map, head).order)
				return head;
		}
		PAGED_CHECK(order > 0);
	}
}
