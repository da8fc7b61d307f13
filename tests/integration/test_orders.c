/* tests/integration/test_orders.c - blocks of orders 0 to 9 through the inline path. */
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>

extern CU_TestInfo test_orders[];

static const char config[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\n";

/* Whether the compiler knows the order or not: what was pushed last comes first, is a block of that
 * order, and no other magazine has it. */
static void each_order_has_a_magazine_of_its_own(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *client;
	void *block[10];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	client = fixture_client(&f, "orders");
	for (int round = 0; round < 3; round++) {
		for (unsigned order = 0; order < 10; order++) {
			uint32_t pfn;

			block[order] = pageclient_alloc(client, order, 0);
			CU_ASSERT_PTR_NOT_NULL_FATAL(block[order]);
			pfn = pageclient_pfn(client, block[order]);
			CU_ASSERT_EQUAL(shm_view_word(&observer.view, pfn).state, PAGE_OWNED);
			CU_ASSERT_EQUAL(shm_view_word(&observer.view, pfn).order, order);
		}
		for (unsigned order = 0; order < 10; order++)
			pageclient_free(client, block[order], order);
		for (unsigned order = 10; order-- > 0;) {
			CU_ASSERT_PTR_EQUAL(pageclient_alloc(client, order, 0), block[order]);
			pageclient_free(client, block[order], order);
		}
	}
	CU_ASSERT_PTR_EQUAL(pageclient_alloc(client, 0, 0), block[0]);
	CU_ASSERT_PTR_EQUAL(pageclient_alloc(client, 9, 0), block[9]);
	pageclient_free(client, block[9], 9);
	pageclient_free(client, block[0], 0);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 0);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	observer_close(&observer);
	fixture_close(&f);
}

/* The inline path does not look into the map, but sees what begins where no block of the order can.
 */
static void a_frame_given_back_as_a_larger_block_is_handed_to_nobody(void)
{
	struct fixture f;
	pageclient *client;
	char *frames[8];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "wrong order");
	pageclient_free(client, pageclient_alloc(client, 3, 0), 3); /* its magazine is there */
	for (int i = 0; i < 8; i++) {
		frames[i] = pageclient_alloc(client, 0, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frames[i]);
		if (pageclient_pfn(client, frames[i]) % 8 == 0)
			continue;
		pageclient_free(client, frames[i], 3);
		CU_ASSERT_PTR_NOT_EQUAL(pageclient_alloc(client, 3, 0), frames[i]);
	}
	CU_ASSERT(fixture_status(client).nr_bad_free >= 4);
	pageclient_close(client);
	fixture_close(&f);
}

CU_TestInfo test_orders[] = {
	{"each order has a magazine of its own", each_order_has_a_magazine_of_its_own},
	{"a frame given back as a larger block is handed to nobody",
	 a_frame_given_back_as_a_larger_block_is_handed_to_nobody},
	CU_TEST_INFO_NULL,
};
