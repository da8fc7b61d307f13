/* tests/model/test_pool.c - random operations on the whole core against the reference, with
 * crashes.
 *
 * Four clients of two threads allocate, free, share, refill, pop, push, drain, die and come again;
 * commits end well or not; the segment is resized over all of its range; now and then the server
 * dies before a random store, the next one takes the segment over, and the request is repeated as a
 * client would. The reference is compared every 256 operations. Everything follows from the seed,
 * which is printed: --seed N --ops N replays it.
 */
#include "tests/model/crash.h"
#include "tests/model/reference.h"
#include "tests/support/claim_all.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <stdlib.h>

#define OPS UINT64_C(400000) /* more reach few branches more; the long run has a million */
#define CHECK_EVERY 256u
#define REATTACH_EVERY 10000u
#define CRASH_ONE_IN 20u
#define CRASH_STORES 48u /* most operations make fewer */
#define ORDER_MOST 12u

/* Two zones that end nowhere in particular. */
#define ZONE_0 9973u
#define ZONE_1 7000u

struct model {
	struct fixture_pool pool;
	struct reference ref;
	uint64_t random;
	uint64_t seq[REFERENCE_CLIENTS];
	uint32_t n_commits;
	struct pool_commit commit[POOL_MAX_COMMITS];
	bool crashes; /* some */
	uint64_t n_crashes;
};

enum op_kind {
	OP_ALLOC,
	OP_FREE,
	OP_SHARE,
	OP_IMPORT,
	OP_PUT,
	OP_REFILL,
	OP_STEAL,
	OP_DIE,
	OP_COMMIT,
	OP_TICK,
	OP_PUNCH,
	OP_RESIZE,
	OP_RESIZE_PLAN
};

/* A request to the core, and its answer. */
struct op {
	struct model *model;
	enum op_kind kind;
	client_id client, to;
	pfn_t pfn;
	order_t order;
	uint32_t thread, magazine;
	uint64_t handle, seq;
	bool ok;
	int r;
	uint64_t result;
};

static uint32_t below(struct model *m, uint32_t n)
{
	return fixture_random(&m->random) % n;
}

/* --- one operation of the core, which may be cut short ------------------------------------------
 */

static void steal(struct op *op)
{
	struct pool *pool = op->model->pool.pool;

	(void)claim_all(pool, op->client, false);
	if (op->ok)
		(void)pool_settle(pool);
	else
		pool_unclaim(pool);
}

static void die(struct op *op)
{
	struct pool *pool = op->model->pool.pool;

	pool_client_kill(pool, op->client);
	while (pool_client_is_dying(pool, op->client))
		(void)pool_client_sweep(pool, op->client, 100);
}

static void run(void *arg)
{
	struct op *op = arg;
	struct pool *pool = op->model->pool.pool;
	enum migratetype type = op->ok ? MIGRATE_UNMOVABLE : MIGRATE_RECLAIMABLE;

	op->r = 0;
	switch (op->kind) {
	case OP_ALLOC:
		op->r = pool_alloc(pool, op->client, op->order, type, 1, op->seq, &op->result);
		break;
	case OP_FREE:
		op->r = pool_free(pool, op->client, op->pfn, op->order, 1, op->seq);
		break;
	case OP_SHARE:
		op->r = pool_share(pool, op->client, op->pfn, op->to, 1, op->seq, &op->result);
		break;
	case OP_IMPORT:
		op->r = pool_import(pool, op->client, op->handle, 1, op->seq, &op->result);
		break;
	case OP_PUT:
		op->r = pool_put(pool, op->client, op->pfn, 1, op->seq);
		break;
	case OP_REFILL:
		op->r = pool_refill(pool, op->client, op->thread, op->magazine, 0, &op->result);
		break;
	case OP_STEAL:
		steal(op);
		break;
	case OP_DIE:
		die(op);
		break;
	case OP_COMMIT:
		if (op->model->n_commits)
			pool_commit_done(pool, &op->model->commit[0], op->ok);
		break;
	case OP_TICK:
		pool_tick(pool);
		break;
	case OP_PUNCH:
		pool_squeeze(pool, op->ok);
		op->result =
			pool_plan_punch(pool, op->order, &op->model->commit[op->model->n_commits]);
		break;
	case OP_RESIZE:
		op->r = op->handle ? pool_resize(pool, op->handle) : 0;
		(void)pool_resize_step(pool);
		break;
	case OP_RESIZE_PLAN:
		op->result = pool_plan_resize(pool, &op->model->commit[op->model->n_commits]);
		break;
	}
}

static void recover(struct model *m)
{
	m->n_crashes++;
	m->n_commits = 0;
	fixture_pool_reattach(&m->pool);
	CU_ASSERT_EQUAL(m->pool.nr_bad, 0);
	FIXTURE_AUDIT(&m->pool);
}

/* Repeats it until a server lives through it: each of these may be repeated. */
static int perform(struct model *m, struct op *op)
{
	op->model = m;
	crash_arm(m->crashes && below(m, CRASH_ONE_IN) == 0 ? 1 + below(m, CRASH_STORES) : 0);
	while (crash_run(run, op)) {
		recover(m);
		crash_arm(below(m, 4) ? 0 : 1 + below(m, CRASH_STORES));
		/* The tops say what came of it before the next try. */
		if (op->kind != OP_DIE)
			reference_follow(&m->ref);
	}
	return op->r;
}

/* --- what clients do ----------------------------------------------------------------------------
 */

static int request(struct model *m, uint32_t i, struct op *op)
{
	int r;

	op->client = m->ref.client[i];
	op->seq = m->seq[i] + 1;
	r = perform(m, op);
	m->seq[i] += r == 0;
	return r;
}

static void plan_commit(struct model *m, order_t order)
{
	if (m->n_commits < POOL_MAX_COMMITS &&
	    pool_plan_commit(m->pool.pool, order,
			     below(m, 2) ? MIGRATE_UNMOVABLE : MIGRATE_RECLAIMABLE,
			     &m->commit[m->n_commits]))
		m->n_commits++;
}

static void do_alloc(struct model *m, uint32_t i)
{
	struct op op = {.kind = OP_ALLOC,
			.order = below(m, 8) ? below(m, 4) : below(m, ORDER_MOST + 1),
			.ok = below(m, 2)};
	int r = request(m, i, &op);

	if (r == 0)
		reference_take(&m->ref, i, (pfn_t)(op.result >> 32), op.order);
	else if (r == POOL_NO_COMMIT)
		plan_commit(m, op.order);
	else
		CU_ASSERT(r == POOL_NO_FRAMES || r == POOL_OVER_QUOTA);
}

static void do_free(struct model *m)
{
	uint32_t b = below(m, m->ref.n_blocks);
	struct reference_block block = m->ref.block[b];
	struct op op = {.kind = OP_FREE, .pfn = block.pfn, .order = block.order};

	if (block.sharers) {
		CU_ASSERT_EQUAL(request(m, (uint32_t)__builtin_ctz(block.sharers), &op),
				POOL_IS_SHARED);
		return;
	}
	CU_ASSERT_EQUAL(request(m, block.owner, &op), 0);
	reference_give(&m->ref, b);
}

/* Of a block that others share too, or of a frame in somebody's hands. */
static void do_wrong_free(struct model *m, uint32_t i)
{
	pfn_t pfn = below(m, m->ref.nr_frames);
	struct op op = {.kind = OP_FREE, .pfn = pfn, .order = below(m, ORDER_COUNT)};

	/* What it owns may lie in its magazine, and then it would be a double free. */
	if (m->ref.owner[pfn] != i + 1)
		CU_ASSERT_NOT_EQUAL(request(m, i, &op), 0);
}

static void do_share(struct model *m)
{
	uint32_t b = below(m, m->ref.n_blocks);
	struct reference_block *block = &m->ref.block[b];
	uint32_t from = block->sharers ? (uint32_t)__builtin_ctz(block->sharers) : block->owner;
	uint32_t to = below(m, REFERENCE_CLIENTS + 1);
	struct op op = {.kind = OP_SHARE, .pfn = block->pfn};
	int r;

	op.to = to < REFERENCE_CLIENTS ? m->ref.client[to] : CLIENT_NONE;
	to = to < REFERENCE_CLIENTS ? to : from;
	r = request(m, from, &op);
	if (r) {
		CU_ASSERT(to != from && (r == POOL_OVER_QUOTA || r == POOL_GIFTS_WAIT));
		return;
	}
	reference_shared(&m->ref, b, to, op.result);
	if (to != from && block->sharers >> from & 1)
		reference_unshared(&m->ref, b, from);
}

static void do_import_or_put(struct model *m, uint32_t i)
{
	uint32_t b = below(m, m->ref.n_blocks);
	struct reference_block *block = &m->ref.block[b];
	bool has = block->sharers >> i & 1;
	bool puts = has && below(m, 2); /* else it imports what it has, as after a transfer */
	struct op op = {.kind = puts ? OP_PUT : OP_IMPORT, .pfn = block->pfn};
	int r;

	op.handle = block->sharers ? block->handle : (uint64_t)block->pfn << 32 | below(m, 9);
	r = request(m, i, &op);
	if (!block->sharers) {
		CU_ASSERT_EQUAL(r, POOL_STALE);
	} else if (has && !puts) {
		CU_ASSERT_EQUAL(r, 0);
	} else if (puts) {
		CU_ASSERT_EQUAL(r, 0);
		reference_unshared(&m->ref, b, i);
	} else if (r == 0) {
		CU_ASSERT_EQUAL(op.result, (uint64_t)block->pfn << 32 | block->order);
		reference_shared(&m->ref, b, i, block->handle);
	} else {
		CU_ASSERT_EQUAL(r, POOL_OVER_QUOTA);
	}
}

static void do_refill(struct model *m, uint32_t i)
{
	struct op op = {.kind = OP_REFILL,
			.thread = below(m, FIXTURE_THREADS),
			.magazine = below(m, MAGAZINE_COUNT)};
	uint32_t pops;

	if (request(m, i, &op) == POOL_NO_COMMIT)
		plan_commit(m, magazine_order(op.magazine));
	reference_follow(&m->ref);
	if (op.r)
		return;
	CU_ASSERT_EQUAL(op.result,
			fixture_pool_count(&m->pool, m->ref.client[i], op.thread, op.magazine));
	pops = below(m, 2 + (uint32_t)op.result);
	while (pops-- && m->ref.n_blocks < REFERENCE_BLOCKS_MAX - 16) {
		pfn_t pfn = fixture_pool_pop(&m->pool, m->ref.client[i], op.thread, op.magazine);

		if (pfn == PFN_NONE)
			break;
		reference_popped(&m->ref, i, pfn, magazine_order(op.magazine));
	}
}

/* Frees into magazines, as most frees are. */
static void do_push(struct model *m)
{
	for (uint32_t n = 1 + below(m, 8); n && m->ref.n_blocks; n--) {
		uint32_t b = below(m, m->ref.n_blocks), thread = below(m, FIXTURE_THREADS),
			 magazine;
		const struct reference_block *block = &m->ref.block[b];
		client_id client = m->ref.client[block->owner];

		if (block->sharers || block->order > MAGAZINE_ORDER_MAX)
			continue;
		magazine = block->order ? MAGAZINE_COLD + block->order : below(m, 2);
		if (fixture_pool_count(&m->pool, client, thread, magazine) >=
		    pool_head(m->pool.pool, client, thread, magazine)->high)
			continue;
		fixture_pool_push(&m->pool, client, thread, magazine, block->pfn);
		reference_pushed(&m->ref, b);
	}
}

static void do_steal(struct model *m)
{
	uint32_t i = below(m, REFERENCE_CLIENTS + 1);
	struct op op = {.kind = OP_STEAL,
			.client = i < REFERENCE_CLIENTS ? m->ref.client[i] : CLIENT_NONE,
			.ok = below(m, 8)};

	(void)perform(m, &op);
	reference_follow(&m->ref);
}

static void attach(struct model *m, uint32_t i)
{
	client_id client = fixture_pool_client(&m->pool, below(m, 4) ? 0 : 1000 + below(m, 4000));

	m->seq[i] = 0;
	reference_attached(&m->ref, i, client);
}

static void do_die(struct model *m, uint32_t i)
{
	struct op op = {.kind = OP_DIE, .client = m->ref.client[i]};

	(void)perform(m, &op);
	reference_died(&m->ref, i);
	attach(m, i);
}

static void do_commit(struct model *m)
{
	struct op op = {.kind = OP_COMMIT, .ok = below(m, 10)};

	if (m->n_commits == 0) {
		plan_commit(m, below(m, ORDER_MOST + 1));
		return;
	}
	(void)perform(m, &op);
	if (m->n_commits)
		m->commit[0] = m->commit[--m->n_commits];
}

static void do_resize(struct model *m)
{
	struct op op = {.kind = below(m, 3) ? OP_RESIZE : OP_RESIZE_PLAN};

	if (op.kind == OP_RESIZE && below(m, 8) == 0)
		op.handle = below(m, 2) ? m->ref.nr_frames : 1024 + below(m, ZONE_0);
	if (op.kind == OP_RESIZE || m->n_commits < POOL_MAX_COMMITS)
		CU_ASSERT_EQUAL(perform(m, &op), 0);
	m->n_commits += (uint32_t)op.result;
}

static void do_punch(struct model *m)
{
	struct op op = {.kind = OP_PUNCH, .order = 1 + below(m, 16), .ok = below(m, 2)};

	if (m->n_commits < POOL_MAX_COMMITS)
		(void)perform(m, &op);
	m->n_commits += (uint32_t)op.result;
}

static void one_of_all(struct model *m)
{
	uint32_t i = below(m, REFERENCE_CLIENTS), what = below(m, 1000);
	struct op tick = {.kind = OP_TICK};

	if (what < 200 && m->ref.n_blocks < REFERENCE_BLOCKS_MAX - 16)
		do_alloc(m, i);
	else if (what < 400)
		do_refill(m, i);
	else if (what < 600 && m->ref.n_blocks)
		do_push(m);
	else if (what < 760 && m->ref.n_blocks)
		do_free(m);
	else if (what < 800)
		do_wrong_free(m, i);
	else if (what < 840)
		do_steal(m);
	else if (what < 870 && m->ref.n_blocks)
		do_share(m);
	else if (what < 930 && m->ref.n_blocks)
		do_import_or_put(m, i);
	else if (what < 966)
		do_commit(m);
	else if (what < 970)
		do_punch(m);
	else if (what < 985)
		do_resize(m);
	else if (what < 998)
		(void)perform(m, &tick);
	else
		do_die(m, i);
}

/* --- the runs -----------------------------------------------------------------------------------
 */

static void open_model(struct model *m, uint64_t seed)
{
	struct pool_options options = {
		.nr_zones = 2,
		.batch = 16,
		.min_free_frames = 32,
		.zone = {{.name = "a", .nr_frames = ZONE_0}, {.name = "b", .nr_frames = ZONE_1}}};

	m->random = seed * 2 + 1;
	fixture_pool_open_with(&m->pool, &options);
	reference_open(&m->ref, &m->pool, ZONE_0 + ZONE_1);
	for (uint32_t i = 0; i < REFERENCE_CLIENTS; i++)
		attach(m, i);
}

static void close_model(struct model *m)
{
	while (m->n_commits)
		do_commit(m);
	(void)pool_resize(m->pool.pool, m->ref.nr_frames);
	(void)fixture_pool_settle_size(&m->pool);
	for (uint32_t i = 0; i < REFERENCE_CLIENTS; i++) {
		fixture_pool_kill(&m->pool, m->ref.client[i]);
		reference_died(&m->ref, i);
	}
	(void)reference_check(&m->ref);
	pool_tick(m->pool.pool);
	CU_ASSERT_EQUAL(pool_nr_free(m->pool.pool), ZONE_0 + ZONE_1);
	reference_close(&m->ref);
	fixture_pool_close(&m->pool);
}

static void walk(uint64_t seed, uint64_t ops, bool crashes)
{
	struct model *m = calloc(1, sizeof *m);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->crashes = crashes;
	(void)printf("\n    seed %lu, %lu operations ... ", (unsigned long)seed,
		     (unsigned long)ops);
	open_model(m, seed);
	for (uint64_t n = 1; n <= ops; n++) {
		one_of_all(m);
		if (n % CHECK_EVERY == 0 && !reference_check(&m->ref)) {
			(void)printf("differs after %lu\n", (unsigned long)n);
			break;
		}
		if (n % REATTACH_EVERY == 0) {
			recover(m);
			CU_ASSERT(reference_check(&m->ref));
		}
	}
	(void)printf("%lu servers died ... ", (unsigned long)m->n_crashes);
	close_model(m);
	free(m);
}

static void random_operations_agree_with_a_bitmap(void)
{
	walk(runner_seed(1), runner_ops(OPS), false);
}

static void servers_that_die_at_any_store_lose_and_double_nothing(void)
{
	walk(runner_seed(2), runner_ops(OPS / 4), true);
}

CU_TestInfo test_pool[] = {
	{"random operations agree with a bitmap", random_operations_agree_with_a_bitmap},
	{"servers that die at any store lose and double nothing",
	 servers_that_die_at_any_store_lose_and_double_nothing},
	CU_TEST_INFO_NULL,
};
