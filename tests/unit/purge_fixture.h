/* tests/unit/purge_fixture.h - two clients of a pool with purge tables. */
#ifndef TESTS_UNIT_PURGE_FIXTURE_H
#define TESTS_UNIT_PURGE_FIXTURE_H
#include "daemon/core/purge.h"
#include "tests/support/fixture_pool.h"

#define SLOTS 4096u

struct fixture {
	struct fixture_pool pool;
	client_id a, b;
};

static inline void add_table(struct fixture *f, client_id client, uint32_t nr_slots)
{
	uint32_t got = 0;

	CU_ASSERT_EQUAL_FATAL(pool_purge_table(f->pool.pool, client, nr_slots, &got), 0);
	CU_ASSERT_EQUAL(got, nr_slots);
}

static inline void setup(struct fixture *f, uint32_t nr_frames)
{
	fixture_pool_open(&f->pool, nr_frames);
	fixture_pool_commit_all(&f->pool);
	f->a = fixture_pool_client(&f->pool, 0);
	f->b = fixture_pool_client(&f->pool, 0);
	add_table(f, f->a, nr_frames < SLOTS ? nr_frames : SLOTS);
	add_table(f, f->b, nr_frames < SLOTS ? nr_frames : SLOTS);
}

static inline void teardown(struct fixture *f)
{
	FIXTURE_AUDIT(&f->pool);
	fixture_pool_close(&f->pool);
}

static inline uint64_t *entry_of(const struct fixture *f, client_id client, uint32_t slot)
{
	return &purge_table(f->pool.pool, client)[slot];
}

static inline uint32_t pins_of(const struct fixture *f, client_id client, uint32_t slot)
{
	return purge_unpack(*entry_of(f, client, slot)).pins;
}

/* The slot has pfn, unpinned since that generation. */
static inline void arm(struct fixture *f, client_id client, uint32_t slot, pfn_t pfn,
		       uint32_t stamp)
{
	*entry_of(f, client, slot) =
		purge_pack((struct purge_entry){.pfn = pfn, .stamp = stamp, .pins = 0});
}

static inline pfn_t arm_new(struct fixture *f, client_id client, uint32_t slot, uint32_t stamp)
{
	pfn_t pfn = fixture_pool_alloc(&f->pool, client, 0);

	arm(f, client, slot, pfn, stamp);
	return pfn;
}

static inline uint64_t purge_of(struct fixture *f, uint64_t n, client_id client)
{
	uint64_t got = 0;
	bool again = true;

	for (uint32_t i = 0; again && got < n; i++) {
		got += pool_purge(f->pool.pool, n - got, client, &again);
		CU_ASSERT_FATAL(i < 1000);
	}
	return got;
}

static inline uint64_t purge(struct fixture *f, uint64_t n)
{
	return purge_of(f, n, CLIENT_NONE);
}

#endif
