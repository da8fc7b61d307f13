/* tests/unit/test_share.c - daemon/core/share: references of several clients to one block. */
#include "tests/support/fixture_pool.h"

struct fixture {
	struct fixture_pool pool;
	client_id a, b;
	pfn_t pfn;
	uint64_t handle;
};

/* Client a has shared a block of order 2. */
static void setup(struct fixture *f)
{
	fixture_pool_open(&f->pool, 4096);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, 0);
	f->b = fixture_pool_client(&f->pool, 0);
	f->pfn = fixture_pool_alloc(&f->pool, f->a, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pool_share(&f->pool, f->a, f->pfn, CLIENT_NONE, &f->handle),
			      0);
}

static void teardown(struct fixture *f)
{
	FIXTURE_AUDIT(&f->pool);
	fixture_pool_close(&f->pool);
}

static enum page_state state_of(const struct fixture *f)
{
	return fixture_pool_word(&f->pool, f->pfn).state;
}

static uint64_t shared_of(struct fixture *f, client_id client)
{
	return pool_client(f->pool.pool, client)->nr_shared;
}

static void a_shared_block_lives_until_the_last_put(void)
{
	struct fixture f;
	uint64_t result;

	setup(&f);
	CU_ASSERT_EQUAL(state_of(&f), PAGE_SHARED);
	CU_ASSERT_EQUAL(fixture_pool_owned(&f.pool, f.a), 0);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 4);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), 0);
	CU_ASSERT_EQUAL(result >> 32, f.pfn);
	CU_ASSERT_EQUAL((uint32_t)result, 2);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, f.pfn), 0);
	CU_ASSERT_EQUAL(state_of(&f), PAGE_SHARED);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void a_second_import_keeps_the_one_edge(void)
{
	struct fixture f;
	uint64_t result;

	setup(&f);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), 0);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), 0);
	CU_ASSERT_EQUAL(shared_of(&f, f.b), 4);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), POOL_NOT_OWNED);
	teardown(&f);
}

static void requests_repeated_on_a_lane_happen_once(void)
{
	struct fixture f;
	uint64_t one, two;

	setup(&f);
	CU_ASSERT_EQUAL(pool_import(f.pool.pool, f.b, f.handle, 9, 1, &one), 0);
	CU_ASSERT_EQUAL(pool_import(f.pool.pool, f.b, f.handle, 9, 1, &two), 0);
	CU_ASSERT_EQUAL(one, two);
	CU_ASSERT_EQUAL(pool_put(f.pool.pool, f.b, f.pfn, 9, 2), 0);
	CU_ASSERT_EQUAL(pool_put(f.pool.pool, f.b, f.pfn, 9, 2), 0);
	CU_ASSERT_EQUAL(pool_put(f.pool.pool, f.b, f.pfn, 9, 1), POOL_OLD_SEQ);
	CU_ASSERT_EQUAL(pool_share(f.pool.pool, f.a, f.pfn, f.b, 9, 1, &one), 0);
	CU_ASSERT_EQUAL(pool_share(f.pool.pool, f.a, f.pfn, f.b, 9, 1, &two), 0);
	CU_ASSERT_EQUAL(one, two);
	CU_ASSERT_EQUAL(shared_of(&f, f.b), 4);
	teardown(&f);
}

static void a_stale_handle_never_matches(void)
{
	struct fixture f;
	uint64_t result;

	setup(&f);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle + 1, &result), POOL_STALE);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, f.pfn), 0);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), POOL_STALE);
	CU_ASSERT_EQUAL(fixture_pool_alloc(&f.pool, f.a, 2), f.pfn);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, CLIENT_NONE, &result), 0);
	CU_ASSERT_NOT_EQUAL(result, f.handle);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &f.handle), POOL_STALE);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, UINT64_MAX, &result), POOL_BAD_PFN);
	teardown(&f);
}

static void only_its_owner_shares_a_block(void)
{
	struct fixture f;
	uint64_t handle;
	pfn_t pfn;

	setup(&f);
	pfn = fixture_pool_alloc(&f.pool, f.a, 1);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.b, pfn, CLIENT_NONE, &handle),
			POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.b, f.pfn, CLIENT_NONE, &handle),
			POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, pfn + 1, CLIENT_NONE, &handle),
			POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, 4096, CLIENT_NONE, &handle), POOL_BAD_PFN);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, 4096), POOL_BAD_PFN);
	teardown(&f);
}

static void a_transfer_moves_the_reference_and_the_charge(void)
{
	struct fixture f;
	uint64_t handle;
	pfn_t pfn;

	setup(&f);
	pfn = fixture_pool_alloc(&f.pool, f.a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, pfn, f.b, &handle), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, pfn), POOL_NOT_OWNED);
	CU_ASSERT_EQUAL(shared_of(&f, f.b), 1);
	/* A share handed on: to who has none, then to who has one already. */
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, f.b, &handle), 0);
	CU_ASSERT_EQUAL(handle, f.handle);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 0);
	CU_ASSERT_EQUAL(shared_of(&f, f.b), 5);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.a, f.handle, &handle), 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, f.b, &handle), 0);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), 0);
	CU_ASSERT_EQUAL(state_of(&f), PAGE_FREE);
	teardown(&f);
}

static void a_share_of_what_is_shared_gives_the_same_handle(void)
{
	struct fixture f;
	uint64_t handle;

	setup(&f);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, CLIENT_NONE, &handle), 0);
	CU_ASSERT_EQUAL(handle, f.handle);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 4);
	teardown(&f);
}

static void a_transfer_to_nobody_changes_nothing(void)
{
	struct fixture f;
	uint64_t handle;
	client_id c;

	setup(&f);
	c = fixture_pool_client(&f.pool, 0);
	pool_client_kill(f.pool.pool, c);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, c, &handle), POOL_NO_CLIENT);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, 1000, &handle), POOL_NO_CLIENT);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, UINT32_MAX, &handle),
			POOL_NO_CLIENT);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 4);
	teardown(&f);
}

static void who_is_charged_must_have_room(void)
{
	struct fixture f;
	uint64_t result;
	client_id small;

	setup(&f);
	small = fixture_pool_client(&f.pool, 3);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, small, f.handle, &result), POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, small, &result), POOL_OVER_QUOTA);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 4);
	CU_ASSERT_EQUAL(shared_of(&f, small), 0);
	teardown(&f);
}

static void the_death_of_a_sharer_ends_its_edge_only(void)
{
	struct fixture f;
	uint64_t result;

	setup(&f);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), 0);
	fixture_pool_kill(&f.pool, f.a);
	CU_ASSERT_EQUAL(state_of(&f), PAGE_SHARED);
	FIXTURE_AUDIT(&f.pool);
	fixture_pool_kill(&f.pool, f.b);
	CU_ASSERT_EQUAL(state_of(&f), PAGE_FREE);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

static void edges_are_found_again_by_the_next_server(void)
{
	struct fixture f;
	uint64_t result;

	setup(&f);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.b, f.handle, &result), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, f.pfn), 0);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(shared_of(&f, f.a), 0);
	CU_ASSERT_EQUAL(shared_of(&f, f.b), 4);
	FIXTURE_AUDIT(&f.pool);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, f.a, f.handle, &result), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.b, f.pfn), 0);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, f.a, f.pfn), 0);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool.pool), 4096);
	teardown(&f);
}

/* SHM_MAX_EDGES frames are more than a small pool has, so the table is full of two clients' edges.
 */
static void a_full_table_refuses_and_an_entry_is_used_again(void)
{
	static const uint32_t frames = SHM_MAX_EDGES / 2 + 1024;
	struct fixture_pool f;
	uint64_t result, handle = 0;
	client_id a, b;
	pfn_t pfn = 0;

	fixture_pool_open(&f, frames);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	for (uint32_t i = 0; i < SHM_MAX_EDGES / 2; i++) {
		pfn = fixture_pool_alloc(&f, a, 0);
		CU_ASSERT_EQUAL_FATAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &handle), 0);
		CU_ASSERT_EQUAL_FATAL(fixture_pool_import(&f, b, handle, &result), 0);
	}
	FIXTURE_AUDIT(&f);
	pfn = fixture_pool_alloc(&f, a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &result), POOL_TABLE_FULL);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, pfn).state, PAGE_OWNED);
	CU_ASSERT_EQUAL(fixture_pool_put(&f, b, (pfn_t)(handle >> 32)), 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &result), 0);
	fixture_pool_kill(&f, b);
	fixture_pool_kill(&f, a);
	CU_ASSERT_EQUAL(pool_nr_free(f.pool), frames);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

CU_TestInfo test_share[] = {
	{"a shared block lives until the last put", a_shared_block_lives_until_the_last_put},
	{"a second import keeps the one edge", a_second_import_keeps_the_one_edge},
	{"requests repeated on a lane happen once", requests_repeated_on_a_lane_happen_once},
	{"a stale handle never matches", a_stale_handle_never_matches},
	{"only its owner shares a block", only_its_owner_shares_a_block},
	{"a transfer moves the reference and the charge",
	 a_transfer_moves_the_reference_and_the_charge},
	{"a share of what is shared gives the same handle",
	 a_share_of_what_is_shared_gives_the_same_handle},
	{"a transfer to nobody changes nothing", a_transfer_to_nobody_changes_nothing},
	{"who is charged must have room", who_is_charged_must_have_room},
	{"the death of a sharer ends its edge only", the_death_of_a_sharer_ends_its_edge_only},
	{"edges are found again by the next server", edges_are_found_again_by_the_next_server},
	{"a full table refuses and an entry is used again",
	 a_full_table_refuses_and_an_entry_is_used_again},
	CU_TEST_INFO_NULL,
};
