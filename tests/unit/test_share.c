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

/* --- shares of the table --- */

/* Client shares frames of its own until it is refused; returns how many edges it has then. */
static uint32_t share_all(struct fixture_pool *f, client_id client)
{
	uint64_t handle;
	int r = 0;

	while (r == 0)
		r = fixture_pool_share(f, client, fixture_pool_alloc(f, client, 0), CLIENT_NONE,
				       &handle);
	CU_ASSERT(r == POOL_OVER_SHARE || r == POOL_TABLE_FULL);
	return f->pool->client[client].nr_edges;
}

static void one_client_leaves_half_of_the_table(void)
{
	static const uint32_t half = (SHM_MAX_EDGES - SHM_MAX_CLIENTS) / 2;
	struct fixture_pool f;
	uint64_t handle, result;
	client_id a, b;
	pfn_t pfn;

	fixture_pool_open(&f, SHM_MAX_EDGES);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	b = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(share_all(&f, a), half);
	CU_ASSERT_EQUAL(share_all(&f, b), half / 2);
	FIXTURE_AUDIT(&f);
	/* What was refused is as it was, and an entry that is given back can be used again. */
	pfn = fixture_pool_alloc(&f, b, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, b, pfn, CLIENT_NONE, &handle), POOL_OVER_SHARE);
	CU_ASSERT_EQUAL(fixture_pool_word(&f, pfn).state, PAGE_OWNED);
	fixture_pool_kill(&f, a);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, b, pfn, CLIENT_NONE, &handle), 0);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_EQUAL(fixture_pool_import(&f, a, handle, &result), 0);
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.pool->client[a].nr_edges, 1);
	CU_ASSERT_EQUAL(f.pool->client[b].nr_edges, half / 2 + 1);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* However many take what they get, who has none finds an entry, as long as there are ids. */
static void there_is_an_edge_for_everybody(void)
{
	struct fixture_pool f;
	uint64_t handle;

	fixture_pool_open(&f, SHM_MAX_EDGES + 4096);
	fixture_pool_commit_all(&f);
	for (uint32_t i = 0; i < 24; i++)
		CU_ASSERT(share_all(&f, fixture_pool_client(&f, 0)) >= 1);
	for (uint32_t i = 0; i < 100; i++) {
		client_id id = fixture_pool_client(&f, 0);

		CU_ASSERT_EQUAL_FATAL(fixture_pool_share(&f, id, fixture_pool_alloc(&f, id, 0),
							 CLIENT_NONE, &handle),
				      0);
	}
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* The shell gives memory to edges before they are needed; until it does there are no more. */
static void edges_get_memory_ahead_of_need(void)
{
	struct pool_options options = {.nr_zones = 1,
				       .batch = 16,
				       .min_free_frames = 8,
				       .edges_given = SHM_EDGES_STEP,
				       .zone[0] = {.name = "normal", .nr_frames = SHM_MAX_EDGES}};
	struct fixture_pool f;
	uint32_t from, to;
	uint64_t handle;
	client_id a;
	pfn_t pfn;

	fixture_pool_open_with(&f, &options);
	fixture_pool_commit_all(&f);
	a = fixture_pool_client(&f, 0);
	CU_ASSERT_FALSE(pool_wants_edges(f.pool, &from, &to));
	CU_ASSERT_EQUAL(share_all(&f, a), SHM_EDGES_STEP);
	CU_ASSERT_TRUE(pool_wants_edges(f.pool, &from, &to));
	CU_ASSERT_EQUAL(from, SHM_EDGES_STEP);
	CU_ASSERT_EQUAL(to, 2 * SHM_EDGES_STEP);
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.pool->nr_edges, SHM_EDGES_STEP);
	pfn = fixture_pool_alloc(&f, a, 0);
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &handle), POOL_TABLE_FULL);
	pool_edges_given(f.pool, to);
	CU_ASSERT_FALSE(pool_wants_edges(f.pool, &from, &to));
	CU_ASSERT_EQUAL(fixture_pool_share(&f, a, pfn, CLIENT_NONE, &handle), 0);
	fixture_pool_reattach(&f);
	CU_ASSERT_EQUAL(f.pool->nr_edges, SHM_EDGES_STEP + 1);
	CU_ASSERT_EQUAL(f.pool->edges_end, 2 * SHM_EDGES_STEP);
	FIXTURE_AUDIT(&f);
	fixture_pool_close(&f);
}

/* --- gifts --- */

/* Client `from` gives `to` a new frame. */
static int give(struct fixture *f, client_id from, client_id to, uint64_t *ret_handle)
{
	return fixture_pool_share(&f->pool, from, fixture_pool_alloc(&f->pool, from, 0), to,
				  ret_handle);
}

static void gifts_leave_the_receiver_as_much_as_they_are(void)
{
	struct fixture f;
	uint64_t handle, result;
	client_id small, more;

	setup(&f);
	small = fixture_pool_client(&f.pool, 100);
	more = fixture_pool_client(&f.pool, 0);
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(give(&f, i & 1 ? f.a : f.b, small, &handle), 0);
	/* Nobody gives more, whoever it is, nor the frames that are shared already. */
	CU_ASSERT_EQUAL(give(&f, f.a, small, &result), POOL_GIFTS_WAIT);
	CU_ASSERT_EQUAL(give(&f, more, small, &result), POOL_GIFTS_WAIT);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, f.a, f.pfn, small, &result), POOL_GIFTS_WAIT);
	FIXTURE_AUDIT(&f.pool);
	CU_ASSERT_EQUAL(shared_of(&f, small), 50);
	/* It takes what it has room for. */
	for (uint32_t i = 0; i < 50; i++)
		(void)fixture_pool_alloc(&f.pool, small, 0);
	teardown(&f);
}

static void an_import_accepts_a_gift(void)
{
	struct fixture f;
	uint64_t handle, result;
	client_id small;

	setup(&f);
	small = fixture_pool_client(&f.pool, 100);
	for (uint32_t i = 0; i < 98; i++) { /* a pipeline: each is imported when it comes */
		CU_ASSERT_EQUAL_FATAL(give(&f, f.a, small, &handle), 0);
		CU_ASSERT_EQUAL(f.pool.pool->client[f.a].nr_edges, 2);
		CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, small, handle, &result), 0);
		CU_ASSERT_EQUAL(f.pool.pool->client[f.a].nr_edges, 1);
		CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_given, 0);
	}
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_edges, 98);
	/* One that is put without it is none any more, either. */
	CU_ASSERT_EQUAL(give(&f, f.a, small, &handle), 0);
	CU_ASSERT_EQUAL(give(&f, f.a, small, &result), POOL_GIFTS_WAIT);
	CU_ASSERT_EQUAL(fixture_pool_put(&f.pool, small, (pfn_t)(handle >> 32)), 0);
	CU_ASSERT_EQUAL(give(&f, f.a, small, &handle), 0);
	/* Nor one that is given on. */
	CU_ASSERT_EQUAL(fixture_pool_share(&f.pool, small, (pfn_t)(handle >> 32), f.b, &handle), 0);
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_given, 0);
	CU_ASSERT_EQUAL(f.pool.pool->client[f.b].nr_given, 1);
	teardown(&f);
}

static void a_sender_that_dies_leaves_its_gifts(void)
{
	struct fixture f;
	uint64_t handle, result;
	client_id small;

	setup(&f);
	small = fixture_pool_client(&f.pool, 20);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(give(&f, f.a, small, &handle), 0);
	fixture_pool_kill(&f.pool, f.a);
	FIXTURE_AUDIT(&f.pool);
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_edges, 10);
	/* They still wait, so that who comes again gives no more. */
	f.a = fixture_pool_client(&f.pool, 0);
	CU_ASSERT_EQUAL(give(&f, f.a, small, &result), POOL_GIFTS_WAIT);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.pool, small, handle, &result), 0);
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_given, 9);
	fixture_pool_reattach(&f.pool);
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_given, 0);
	CU_ASSERT_EQUAL(f.pool.pool->client[small].nr_edges, 10);
	teardown(&f);
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
	{"one client leaves half of the table", one_client_leaves_half_of_the_table},
	{"there is an edge for everybody", there_is_an_edge_for_everybody},
	{"edges get memory ahead of need", edges_get_memory_ahead_of_need},
	{"gifts leave the receiver as much as they are",
	 gifts_leave_the_receiver_as_much_as_they_are},
	{"an import accepts a gift", an_import_accepts_a_gift},
	{"a sender that dies leaves its gifts", a_sender_that_dies_leaves_its_gifts},
	CU_TEST_INFO_NULL,
};
