/* tests/unit/test_zonelist.c - where a client's requests start, where they go on, and what a zone
 * keeps from those who come from another. */
#include "tests/support/fixture_pool.h"

#include <string.h>

#define ZONE 2048u

static struct pool_options three(void)
{
	return (struct pool_options){.nr_zones = 3,
				     .batch = 16,
				     .min_free_frames = 24,
				     .zone = {{.name = "a", .nr_frames = ZONE},
					      {.name = "b", .nr_frames = ZONE},
					      {.name = "normal", .nr_frames = ZONE}}};
}

static client_id client_of(struct fixture_pool *f, const char *zone)
{
	client_id client = fixture_pool_client(f, 0);

	pool_client_set_zone(f->pool, client, zone);
	return client;
}

/* Frames of each zone that the client gets until there are no more, by blocks of order 4. */
static void take_all(struct fixture_pool *f, client_id client, uint32_t ret_frames[3])
{
	pfn_t pfn;

	memset(ret_frames, 0, 3 * sizeof *ret_frames);
	while (fixture_pool_try_alloc(f, client, 4, &pfn) == 0)
		ret_frames[pfn / ZONE] += 16;
	FIXTURE_AUDIT(f);
}

static void without_a_zone_all_are_tried_in_their_order(void)
{
	struct pool_options options = three();
	struct fixture_pool f;
	uint32_t frames[3];
	pfn_t pfn;

	fixture_pool_open_with(&f, &options);
	pfn = fixture_pool_alloc(&f, client_of(&f, ""), 0);
	CU_ASSERT(pfn < ZONE);
	take_all(&f, client_of(&f, "no such zone"), frames);
	CU_ASSERT(frames[0] > ZONE - 64 && frames[1] > ZONE - 64 && frames[2] > ZONE - 64);
	fixture_pool_close(&f);
}

static void requests_start_from_their_zone(void)
{
	struct pool_options options = three();
	struct fixture_pool f;
	uint32_t frames[3];
	client_id client;

	fixture_pool_open_with(&f, &options);
	client = client_of(&f, "b");
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f, client, 0) / ZONE, 1);
	CU_ASSERT(fixture_pool_refill(&f, client, 0, MAGAZINE_HOT) > 0);
	CU_ASSERT_EQUAL(fixture_pool_pop(&f, client, 0, MAGAZINE_HOT) / ZONE, 1);
	take_all(&f, client, frames);
	CU_ASSERT_EQUAL(frames[0], 0); /* lies before it */
	CU_ASSERT(frames[1] > ZONE - 128 && frames[2] > ZONE - 64);
	fixture_pool_close(&f);
}

static void a_list_of_its_own_is_followed(void)
{
	struct pool_options options = three();
	struct fixture_pool f;
	uint32_t frames[3];

	options.zone[2].own_fallback = true;
	options.zone[2].fallback[0] = 1; /* a */
	options.zone[1].own_fallback = true;
	fixture_pool_open_with(&f, &options);
	take_all(&f, client_of(&f, "b"), frames);
	CU_ASSERT(frames[0] == 0 && frames[1] > 0 && frames[2] == 0);
	take_all(&f, client_of(&f, "normal"), frames);
	CU_ASSERT(frames[0] > 0 && frames[1] == 0 && frames[2] > 0);
	fixture_pool_close(&f);
}

static void a_reserve_is_kept_from_those_who_fall_back(void)
{
	struct pool_options options = three();
	struct fixture_pool f;
	uint32_t frames[3];

	options.zone[1].reserve_ratio = 2;
	fixture_pool_open_with(&f, &options);
	take_all(&f, client_of(&f, "a"), frames);
	CU_ASSERT(frames[0] > ZONE - 64);
	CU_ASSERT(frames[1] <= ZONE / 2 && frames[1] > ZONE / 2 - 64);
	take_all(&f, client_of(&f, "b"), frames);
	CU_ASSERT(frames[1] > ZONE / 2 - 64);
	fixture_pool_close(&f);
}

static void a_list_that_is_damaged_is_the_default(void)
{
	struct pool_options options = three(), none = {0};
	struct fixture_pool f;
	struct shm_zone *zone;

	fixture_pool_open_with(&f, &options);
	zone = &f.pool->buddy.zones[0];
	zone->fallback[0] = 200;
	f.options = none;
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(zone->fallback[0], 2);
	zone->fallback[1] = 2; /* twice */
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(zone->fallback[1], 3);
	fixture_pool_close(&f);
}

CU_TestInfo test_zonelist[] = {
	{"without a zone all are tried in their order",
	 without_a_zone_all_are_tried_in_their_order},
	{"requests start from their zone", requests_start_from_their_zone},
	{"a list of its own is followed", a_list_of_its_own_is_followed},
	{"a reserve is kept from those who fall back", a_reserve_is_kept_from_those_who_fall_back},
	{"a list that is damaged is the default", a_list_that_is_damaged_is_the_default},
	CU_TEST_INFO_NULL,
};
