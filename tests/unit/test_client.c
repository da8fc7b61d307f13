/* tests/unit/test_client.c - daemon/core/client: a client comes, and goes in slices. */
#include "tests/support/fixture_pool.h"
#include "tests/support/runner.h"

#include <stdlib.h>
#include <string.h>

static void ids_are_given_out_and_used_again_after_the_sweep(void)
{
	struct fixture_pool f;
	client_id a, b;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	CU_ASSERT_NOT_EQUAL(a, b);
	pool_client_kill(f.pool, a);
	CU_ASSERT(pool_client_is_dying(f.pool, a));
	CU_ASSERT_NOT_EQUAL(fixture_pool_client(&f, 0), a);
	while (!pool_client_sweep(f.pool, a, 1))
		;
	CU_ASSERT_EQUAL(fixture_pool_client(&f, 0), a);
	fixture_pool_close(&f);
}

static void the_table_has_room_for_as_many_as_it_says(void)
{
	struct fixture_pool f;
	client_id id, last = 0;

	fixture_pool_open(&f, 64);
	for (uint32_t i = 0; i < SHM_MAX_CLIENTS; i++)
		CU_ASSERT_EQUAL(pool_client_reserve(f.pool, &last), 0);
	CU_ASSERT_EQUAL(last, SHM_MAX_CLIENTS);
	CU_ASSERT_EQUAL(pool_client_reserve(f.pool, &id), POOL_TABLE_FULL);
	pool_client_unreserve(f.pool, 17);
	CU_ASSERT_EQUAL(pool_client_reserve(f.pool, &id), 0);
	CU_ASSERT_EQUAL(id, 17);
	fixture_pool_close(&f);
}

static void any_number_may_be_asked_for(void)
{
	struct fixture_pool f;

	fixture_pool_open(&f, 64);
	CU_ASSERT_FALSE(pool_client_is_attached(f.pool, 0));
	CU_ASSERT_FALSE(pool_client_is_attached(f.pool, SHM_MAX_CLIENTS + 1));
	CU_ASSERT_FALSE(pool_client_is_attached(f.pool, UINT32_MAX));
	CU_ASSERT_FALSE(pool_client_is_dying(f.pool, UINT32_MAX));
	fixture_pool_close(&f);
}

static void a_sweep_frees_no_more_than_its_slice(void)
{
	struct fixture_pool f;
	uint32_t slices = 0;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	for (uint32_t i = 0; i < 1000; i++)
		(void)fixture_pool_alloc(&f, a, 0);
	pool_client_kill(f.pool, a);
	while (!pool_client_sweep(f.pool, a, 100)) {
		slices++;
		CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 1000 - 100 * slices);
		FIXTURE_AUDIT(&f);
	}
	CU_ASSERT_EQUAL(slices, 9);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096);
	fixture_pool_close(&f);
}

static void death_gives_back_blocks_magazines_and_edges(void)
{
	struct fixture_pool f;
	uint64_t handle;
	client_id a;
	pfn_t pfn;

	fixture_pool_open(&f, 8192);
	a = fixture_pool_client(&f, 0);
	for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
			CU_ASSERT(fixture_pool_refill(&f, a, t, m) > 0);
	for (order_t order = 0; order < 10; order++) {
		pfn = fixture_pool_alloc(&f, a, order);
		CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &handle), 0);
	}
	(void)fixture_pool_pop(&f, a, 0, MAGAZINE_HOT);
	FIXTURE_AUDIT(&f);
	fixture_pool_kill(&f, a);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 8192);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_nr_owned), 0);
	CU_ASSERT_EQUAL(fixture_pool_counter(&f, COUNTER_nr_shared), 0);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void nothing_in_the_ctl_is_consulted_at_death(void)
{
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 8192);
	a = fixture_pool_client(&f, 0);
	(void)fixture_pool_refill(&f, a, 0, MAGAZINE_HOT);
	pool_client_kill(f.pool, a);
	free(f.ctl[a]);
	f.ctl[a] = NULL;
	while (!pool_client_sweep(f.pool, a, 4))
		;
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 8192);
	fixture_pool_close(&f);
}

static void killing_twice_is_killing_once(void)
{
	struct fixture_pool f;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	pool_client_kill(f.pool, a);
	pool_client_kill(f.pool, a);
	CU_ASSERT(pool_client_sweep(f.pool, a, 1));
	pool_client_kill(f.pool, a);
	CU_ASSERT_FALSE(pool_client_is_dying(f.pool, a));
	CU_ASSERT_EQUAL(f.pool->nr_threads, 0);
	fixture_pool_close(&f);
}

static void the_next_of_that_id_starts_with_clean_lanes(void)
{
	struct fixture_pool f;
	uint64_t result;
	client_id a;

	fixture_pool_open(&f, 4096);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 7, 1000, &result), 0);
	fixture_pool_kill(&f, a);
	CU_ASSERT_EQUAL(fixture_pool_client(&f, 0), a);
	CU_ASSERT_EQUAL(pool_alloc(f.pool, a, 0, MIGRATE_UNMOVABLE, 7, 1, &result), 0);
	fixture_pool_close(&f);
}

static void a_server_that_dies_in_a_sweep_leaves_the_rest_to_the_next(void)
{
	struct fixture_pool f;
	client_id a, b;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	for (uint32_t i = 0; i < 100; i++)
		(void)fixture_pool_alloc(&f, i & 1 ? a : b, 0);
	pool_client_kill(f.pool, a);
	CU_ASSERT_FALSE(pool_client_sweep(f.pool, a, 10));
	fixture_pool_reattach(&f);
	CU_ASSERT(pool_client_is_dying(f.pool, a));
	CU_ASSERT(pool_client_is_attached(f.pool, b));
	CU_ASSERT_EQUAL(fixture_pool_owned(&f, a), 40);
	FIXTURE_AUDIT(&f);
	while (!pool_client_sweep(f.pool, a, 10))
		;
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), 4096 - 50);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

static void a_reservation_does_not_survive_the_server(void)
{
	struct fixture_pool f;
	client_id id;

	fixture_pool_open(&f, 4096);
	CU_ASSERT_EQUAL(pool_client_reserve(f.pool, &id), 0);
	fixture_pool_reattach(&f);
	CU_ASSERT_FALSE(pool_client_is_attached(f.pool, id));
	CU_ASSERT_EQUAL(fixture_pool_client(&f, 0), id);
	fixture_pool_close(&f);
}

static void its_record_is_there_for_who_comes_next(void)
{
	struct fixture_pool f;
	const struct shm_record *record;
	client_id a;

	fixture_pool_open(&f, 4096);
	a = fixture_pool_client(&f, 99);
	fixture_pool_reattach(&f);
	record = pool_client_record(f.pool, a);
	CU_ASSERT_EQUAL(record->pid, 100);
	CU_ASSERT_EQUAL(record->token[1], 2);
	CU_ASSERT_EQUAL(record->max_frames, 99);
	CU_ASSERT_STRING_EQUAL(record->name, "test");
	CU_ASSERT_EQUAL(f.pool->client[a].threads, 3);
	CU_ASSERT_EQUAL(f.pool->nr_threads, 2);
	fixture_pool_close(&f);
}

static void attach_unreserved(void *arg)
{
	struct pool_client_options options = {.max_threads = 1};
	const uint64_t token[2] = {0};

	pool_client_attach(arg, 5, &options, NULL, 0, 0, token);
}

static void attaching_what_was_not_reserved_is_a_bug(void)
{
	struct fixture_pool f;
	const char *what = "";

	fixture_pool_open(&f, 64);
	CU_ASSERT(runner_panics(attach_unreserved, f.pool, &what));
	CU_ASSERT_PTR_NOT_NULL(strstr(what, "CLIENT_RESERVED"));
	fixture_pool_close(&f);
}

CU_TestInfo test_client[] = {
	{"ids are given out, and used again after the sweep",
	 ids_are_given_out_and_used_again_after_the_sweep},
	{"the table has room for as many as it says", the_table_has_room_for_as_many_as_it_says},
	{"any number may be asked for", any_number_may_be_asked_for},
	{"a sweep frees no more than its slice", a_sweep_frees_no_more_than_its_slice},
	{"death gives back blocks, magazines and edges",
	 death_gives_back_blocks_magazines_and_edges},
	{"nothing in the CTL is consulted at death", nothing_in_the_ctl_is_consulted_at_death},
	{"killing twice is killing once", killing_twice_is_killing_once},
	{"the next of that id starts with clean lanes",
	 the_next_of_that_id_starts_with_clean_lanes},
	{"a server that dies in a sweep leaves the rest to the next",
	 a_server_that_dies_in_a_sweep_leaves_the_rest_to_the_next},
	{"a reservation does not survive the server", a_reservation_does_not_survive_the_server},
	{"its record is there for who comes next", its_record_is_there_for_who_comes_next},
	{"attaching what was not reserved is a bug", attaching_what_was_not_reserved_is_a_bug},
	CU_TEST_INFO_NULL,
};
