/* tests/support/fixture_pool.c - see fixture_pool.h. */
#include "tests/support/fixture_pool.h"

#include <stdlib.h>
#include <string.h>

__attribute__((weak)) void *fixture_memory_new(size_t bytes)
{
	return calloc(1, bytes);
}

__attribute__((weak)) void fixture_memory_free(void *memory)
{
	free(memory);
}

void fixture_pool_open(struct fixture_pool *f, uint32_t nr_frames)
{
	struct pool_options options = {.nr_zones = 1,
				       .batch = 16,
				       .min_free_frames = 8,
				       .zone[0] = {.name = "normal", .nr_frames = nr_frames}};

	fixture_pool_open_with(f, &options);
}

void fixture_pool_open_with(struct fixture_pool *f, const struct pool_options *options)
{
	struct shm_meta_header header = {.page_shift = 12, .instance_id = 7}, meta_plan = {0};
	struct shm_state_header state_plan = {0};
	uint32_t nr_frames = 0;

	memset(f, 0, sizeof *f);
	f->options = *options;
	for (uint32_t z = 0; z < options->nr_zones; z++)
		nr_frames += options->zone[z].nr_frames;
	shm_meta_plan(&meta_plan, nr_frames, header.page_shift);
	shm_state_plan(&state_plan);
	f->meta_bytes = meta_plan.meta_bytes;
	f->state_bytes = state_plan.state_bytes;
	f->meta = fixture_memory_new(f->meta_bytes);
	f->state = fixture_memory_new(f->state_bytes);
	f->pool = fixture_memory_new(pool_bytes());
	CU_ASSERT_FATAL(f->meta && f->state && f->pool);
	pool_format(f->meta, f->state, &header, options);
	fixture_pool_reattach(f);
}

void fixture_pool_close(struct fixture_pool *f)
{
	for (client_id id = 0; id <= SHM_MAX_CLIENTS; id++)
		fixture_memory_free(f->ctl[id]);
	fixture_memory_free(f->pool);
	fixture_memory_free(f->state);
	fixture_memory_free(f->meta);
}

void fixture_pool_reattach(struct fixture_pool *f)
{
	int r = pool_attach(f->pool, f->meta, f->meta_bytes, f->state, f->state_bytes, &f->options,
			    &f->nr_bad);

	CU_ASSERT_EQUAL_FATAL(r, 0);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(f->pool, id) && f->ctl[id])
			pool_client_adopt(f->pool, id, f->ctl[id]);
}

uint32_t fixture_pool_commit(struct fixture_pool *f, order_t order, uint32_t n)
{
	struct pool_commit commit;
	uint32_t done = 0;

	while (done < n && pool_plan_commit(f->pool, order, MIGRATE_UNMOVABLE, &commit)) {
		pool_commit_done(f->pool, &commit, true);
		done++;
	}
	return done;
}

void fixture_pool_commit_all(struct fixture_pool *f)
{
	(void)fixture_pool_commit(f, 0, UINT32_MAX);
}

uint32_t fixture_pool_settle_size(struct fixture_pool *f)
{
	struct pool_commit commit;
	uint32_t n_punches = 0;

	for (;;) {
		while (pool_resize_step(f->pool))
			;
		if (!pool_plan_resize(f->pool, &commit))
			break;
		n_punches += commit.kind == POOL_COMMIT_PUNCH;
		pool_commit_done(f->pool, &commit, true);
	}
	FIXTURE_AUDIT(f);
	return n_punches;
}

/* --- clients ------------------------------------------------------------------------------------
 */

client_id fixture_pool_client(struct fixture_pool *f, uint64_t max_frames)
{
	struct pool_client_options options = {.max_threads = FIXTURE_THREADS,
					      .pid = 100,
					      .uid = 1000,
					      .max_frames = max_frames,
					      .name = "test"};
	const uint64_t token[2] = {1, 2};
	client_id id = CLIENT_NONE;

	CU_ASSERT_EQUAL_FATAL(pool_client_reserve(f->pool, &id), 0);
	fixture_memory_free(f->ctl[id]);
	f->ctl[id] =
		fixture_memory_new(shm_ctl_bytes(FIXTURE_THREADS, pool_meta(f->pool)->nr_frames));
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->ctl[id]);
	f->seq[id] = 0;
	for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
			*fixture_pool_bottom(f, id, t, m) = MAGAZINE_INDEX_START;
	pool_client_attach(f->pool, id, &options, f->ctl[id], 0, 0, token);
	for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
		CU_ASSERT_EQUAL_FATAL(pool_pcp_create(f->pool, id, t), 0);
	return id;
}

void fixture_pool_kill(struct fixture_pool *f, client_id client)
{
	pool_client_kill(f->pool, client);
	while (!pool_client_sweep(f->pool, client, 64))
		;
}

/* --- requests -----------------------------------------------------------------------------------
 */

int fixture_pool_try_alloc(struct fixture_pool *f, client_id client, order_t order, pfn_t *ret_pfn)
{
	uint64_t result;
	int r;

	do
		r = pool_alloc(f->pool, client, order, MIGRATE_UNMOVABLE, 0, f->seq[client] + 1,
			       &result);
	while (r == POOL_NO_COMMIT && fixture_pool_commit(f, order, 1));
	if (r)
		return r;
	f->seq[client]++;
	*ret_pfn = (pfn_t)(result >> 32);
	return 0;
}

pfn_t fixture_pool_alloc(struct fixture_pool *f, client_id client, order_t order)
{
	pfn_t pfn = PFN_NONE;

	CU_ASSERT_EQUAL_FATAL(fixture_pool_try_alloc(f, client, order, &pfn), 0);
	return pfn;
}

/* A request that was refused leaves its lane as it was. */
static int count_seq(struct fixture_pool *f, client_id client, int r)
{
	f->seq[client] += r == 0;
	return r;
}

int fixture_pool_free(struct fixture_pool *f, client_id client, pfn_t pfn, order_t order)
{
	return count_seq(f, client, pool_free(f->pool, client, pfn, order, 0, f->seq[client] + 1));
}

int fixture_pool_share(struct fixture_pool *f, client_id client, pfn_t pfn, client_id to,
		       uint64_t *ret_handle)
{
	return count_seq(f, client,
			 pool_share(f->pool, client, pfn, to, 0, f->seq[client] + 1, ret_handle));
}

int fixture_pool_import(struct fixture_pool *f, client_id client, uint64_t handle,
			uint64_t *ret_result)
{
	return count_seq(f, client,
			 pool_import(f->pool, client, handle, 0, f->seq[client] + 1, ret_result));
}

int fixture_pool_put(struct fixture_pool *f, client_id client, pfn_t pfn)
{
	return count_seq(f, client, pool_put(f->pool, client, pfn, 0, f->seq[client] + 1));
}

uint64_t fixture_pool_refill(struct fixture_pool *f, client_id client, uint32_t thread,
			     uint32_t magazine)
{
	uint64_t count = 0;
	int r;

	do
		r = pool_refill(f->pool, client, thread, magazine, 0, &count);
	while (r == POOL_NO_COMMIT && fixture_pool_commit(f, magazine_order(magazine), 1));
	return r ? 0 : count;
}

uint64_t fixture_pool_steal(struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine, uint64_t n_wanted)
{
	CU_ASSERT_EQUAL_FATAL(pool_claim(f->pool, client, thread, magazine, n_wanted), 0);
	return pool_settle(f->pool);
}

/* --- the owner's side ---------------------------------------------------------------------------
 */

uint64_t *fixture_pool_bottom(const struct fixture_pool *f, client_id client, uint32_t thread,
			      uint32_t magazine)
{
	return (uint64_t *)(void *)(f->ctl[client] + shm_ctl_bottom_offset(thread, magazine));
}

uint32_t *fixture_pool_slot(const struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine, uint64_t index)
{
	uint32_t *slots =
		(uint32_t *)(void *)(f->ctl[client] + shm_ctl_slots_offset(thread, magazine));

	return &slots[index & (pool_head(f->pool, client, thread, magazine)->capacity - 1)];
}

uint64_t fixture_pool_count(const struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine)
{
	return magazine_count(*fixture_pool_bottom(f, client, thread, magazine),
			      pool_head(f->pool, client, thread, magazine)->top);
}

pfn_t fixture_pool_pop(struct fixture_pool *f, client_id client, uint32_t thread, uint32_t magazine)
{
	uint64_t *bottom = fixture_pool_bottom(f, client, thread, magazine);

	if (fixture_pool_count(f, client, thread, magazine) == 0)
		return PFN_NONE;
	--*bottom;
	return *fixture_pool_slot(f, client, thread, magazine, *bottom);
}

void fixture_pool_push(struct fixture_pool *f, client_id client, uint32_t thread, uint32_t magazine,
		       pfn_t pfn)
{
	uint64_t *bottom = fixture_pool_bottom(f, client, thread, magazine);

	*fixture_pool_slot(f, client, thread, magazine, *bottom) = pfn;
	++*bottom;
}

/* --- looking ------------------------------------------------------------------------------------
 */

struct page_word fixture_pool_word(const struct fixture_pool *f, pfn_t pfn)
{
	return page_get(f->pool->buddy.map, pfn);
}

uint64_t fixture_pool_owned(const struct fixture_pool *f, client_id client)
{
	return pool_client(f->pool, client)->nr_owned;
}

uint64_t fixture_pool_counter(const struct fixture_pool *f, enum counter counter)
{
	return f->pool->counters[counter];
}

bool fixture_pool_audit(const struct fixture_pool *f, unsigned int line, const char *file)
{
	char text[SHM_TEXT_BYTES];
	int r = pool_check(f->pool, text, sizeof text);

	return CU_assertImplementation(r == 0, line, r ? text : "the audit", file, "", CU_FALSE);
}
