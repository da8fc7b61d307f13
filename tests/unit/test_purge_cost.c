/* tests/unit/test_purge_cost.c - daemon/core/cost, and what weighing age with it is worth.
 *
 * Two caches share a pool. Both read keys of a Zipf distribution, one as often as the other, but a
 * frame of the second is a hundred times as expensive to rebuild. The same accesses are replayed
 * offline for every static split and for one exact LRU over both, by stack distances (R. L. Mattson
 * et al., "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2), 1970), and the
 * time that goes into rebuilding is compared. */
#include "daemon/core/purge.h"

#include "tests/support/fixture_pool.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS 8192u    /* of each client */
#define FRAMES 20480u /* of the pool; all but CACHE of them are somebody else's */
#define CACHE 8192u
#define ACCESSES 300000u
#define CHEAP_NS 10000u
#define DEAR_NS (100 * CHEAP_NS)

/* --- the accesses --------------------------------------------------------------------------------
 */

struct access {
	uint32_t client; /* 0 or 1 */
	uint32_t key;
};

/* Zipf with exponent 1 by inversion of the cumulated weights; ranks are scattered over the keys. */
static struct access *generate(uint64_t seed)
{
	struct access *access = calloc(ACCESSES, sizeof *access);
	double *sum = calloc(KEYS + 1, sizeof *sum);

	CU_ASSERT_FATAL(access && sum);
	for (uint32_t i = 0; i < KEYS; i++)
		sum[i + 1] = sum[i] + 1.0 / (i + 1);
	for (uint32_t i = 0; i < ACCESSES; i++) {
		double at = fixture_random(&seed) / 4294967296.0 * sum[KEYS];
		uint32_t low = 0, high = KEYS;

		while (high - low > 1) {
			uint32_t middle = (low + high) / 2;

			*(sum[middle] <= at ? &low : &high) = middle;
		}
		access[i] = (struct access){.client = fixture_random(&seed) & 1,
					    .key = low * 4051u % KEYS};
	}
	free(sum);
	return access;
}

/* --- offline -------------------------------------------------------------------------------------
 */

/* How often an access finds its key below so many others that were used since; [CACHE]: more. */
struct distances {
	uint32_t n[CACHE + 1];
};

/* Counts marks before a place: a Fenwick tree. */
static void mark(int32_t *tree, uint32_t at, int32_t n)
{
	for (uint32_t i = at + 1; i <= ACCESSES; i += i & -i)
		tree[i] += n;
}

static int32_t marks(const int32_t *tree, uint32_t before)
{
	int32_t n = 0;

	for (uint32_t i = before; i > 0; i &= i - 1)
		n += tree[i];
	return n;
}

/* Of the accesses of `client`, among those of both if is_global. First uses are left out. */
static void measure(const struct access *access, uint32_t client, bool is_global,
		    struct distances *ret)
{
	int32_t *tree = calloc(ACCESSES + 1, sizeof *tree), distance;
	uint32_t *last = calloc((size_t)2 * KEYS, sizeof *last);

	CU_ASSERT_FATAL(tree && last);
	*ret = (struct distances){{0}};
	for (uint32_t i = 0; i < ACCESSES; i++) {
		uint32_t *seen = &last[access[i].client * KEYS + access[i].key];

		if (!is_global && access[i].client != client)
			continue;
		if (*seen) {
			distance = marks(tree, i) - marks(tree, *seen);
			if (access[i].client == client)
				ret->n[distance < (int32_t)CACHE ? (uint32_t)distance : CACHE]++;
			mark(tree, *seen - 1, -1);
		}
		mark(tree, i, 1);
		*seen = i + 1;
	}
	free(tree);
	free(last);
}

static uint64_t misses(const struct distances *distances, uint32_t n_frames)
{
	uint64_t n = 0;

	for (uint32_t d = n_frames; d <= CACHE; d++)
		n += distances->n[d];
	return n;
}

static uint64_t best_split(const struct access *access, uint64_t n_frames)
{
	struct distances cheap, dear;
	uint64_t best = UINT64_MAX;

	measure(access, 0, false, &cheap);
	measure(access, 1, false, &dear);
	for (uint32_t n = 0; n <= n_frames; n += 16) {
		uint64_t ns = misses(&cheap, n) * CHEAP_NS +
			      misses(&dear, (uint32_t)n_frames - n) * DEAR_NS;

		best = ns < best ? ns : best;
	}
	return best;
}

static uint64_t plain_lru(const struct access *access, uint64_t n_frames)
{
	struct distances cheap, dear;

	measure(access, 0, true, &cheap);
	measure(access, 1, true, &dear);
	return misses(&cheap, (uint32_t)n_frames) * CHEAP_NS +
	       misses(&dear, (uint32_t)n_frames) * DEAR_NS;
}

/* --- the pool ------------------------------------------------------------------------------------
 */

struct replay {
	struct fixture_pool pool;
	client_id client[2], ballast;
	uint64_t *table[2];
	struct shm_purge_header *told[2];
	uint64_t rebuild_ns;
	uint64_t nr_resident, nr_resident_max;
};

static void open_replay(struct replay *r, const uint32_t declared_ns[2])
{
	uint32_t got = 0;

	*r = (struct replay){.rebuild_ns = 0};
	fixture_pool_open(&r->pool, FRAMES);
	fixture_pool_commit_all(&r->pool);
	r->ballast = fixture_pool_client(&r->pool, 0);
	while (pool_available(r->pool.pool, 0) > CACHE)
		(void)fixture_pool_alloc(&r->pool, r->ballast, 0);
	for (uint32_t c = 0; c < 2; c++) {
		client_id id = fixture_pool_client(&r->pool, 0);

		CU_ASSERT_EQUAL_FATAL(pool_purge_table(r->pool.pool, id, KEYS, &got), 0);
		r->client[c] = id;
		r->table[c] = purge_table(r->pool.pool, id);
		r->told[c] = (void *)(r->pool.ctl[id] + shm_ctl_purge_offset(FIXTURE_THREADS));
		r->told[c]->declared_ns = declared_ns[c];
	}
}

/* A frame for client c, others purged as they must be. */
static pfn_t get_frame(struct replay *r, uint32_t c)
{
	pfn_t pfn = PFN_NONE;

	while (fixture_pool_try_alloc(&r->pool, r->client[c], 0, &pfn)) {
		bool again = true;
		uint64_t got = 0;

		while (again && got == 0)
			got = pool_purge(r->pool.pool, 1, CLIENT_NONE, &again);
		CU_ASSERT_FATAL(got > 0);
		r->nr_resident -= got;
	}
	r->nr_resident++;
	if (r->nr_resident > r->nr_resident_max)
		r->nr_resident_max = r->nr_resident;
	return pfn;
}

/* What the library does for an access: pin, rebuild what is gone, unpin. */
static void use(struct replay *r, uint32_t c, uint32_t slot)
{
	uint64_t *entry = &r->table[c][slot], word;
	uint32_t generation = r->pool.pool->meta->generation;
	uint32_t cost_ns = c ? DEAR_NS : CHEAP_NS;

	switch (purge_pin(entry, &word)) {
	case PURGE_IS_FREE:
		purge_new(entry, get_frame(r, c));
		break;
	case PURGE_GONE:
		r->told[c]->nr_refault++;
		r->told[c]->refault_age += purge_age(generation, purge_unpack(word).stamp);
		CU_ASSERT_EQUAL_FATAL(purge_rearm(entry, get_frame(r, c)), PURGE_OK);
		r->told[c]->rebuilt_ns += cost_ns;
		r->told[c]->nr_rebuilt++;
		r->rebuild_ns += cost_ns;
		break;
	case PURGE_OK:
	case PURGE_OVERFLOW:
	case PURGE_BUSY:
	case PURGE_EXISTS:
		break;
	}
	CU_ASSERT_EQUAL_FATAL(purge_unpin(entry, r->pool.pool->meta->generation), PURGE_OK);
}

static uint64_t replay(const struct access *access, const uint32_t declared_ns[2],
		       uint64_t *ret_n_frames)
{
	struct replay *r = calloc(1, sizeof *r);
	uint64_t ns;

	CU_ASSERT_FATAL(r != NULL);
	open_replay(r, declared_ns);
	for (uint32_t i = 0; i < ACCESSES; i++)
		use(r, access[i].client, access[i].key);
	ns = r->rebuild_ns;
	*ret_n_frames = r->nr_resident_max;
	FIXTURE_AUDIT(&r->pool);
	fixture_pool_close(&r->pool);
	free(r);
	return ns;
}

static void weighing_with_cost_beats_lru_and_meets_the_best_split(void)
{
	static const uint32_t declared[2] = {CHEAP_NS, DEAR_NS}, unknown[2] = {0, 0};

	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct access *access = generate(seed * 0x9e3779b97f4a7c15u);
		uint64_t n_frames, told, learned, split, lru;

		told = replay(access, declared, &n_frames);
		learned = replay(access, unknown, &n_frames);
		split = best_split(access, n_frames);
		lru = plain_lru(access, n_frames);
		printf("  seed %lu: %lu frames, rebuild ms: declared %lu, learned %lu, best split "
		       "%lu, LRU %lu\n",
		       (unsigned long)seed, (unsigned long)n_frames, (unsigned long)told / 1000000,
		       (unsigned long)learned / 1000000, (unsigned long)split / 1000000,
		       (unsigned long)lru / 1000000);
		CU_ASSERT(told * 4 <= split * 5);
		CU_ASSERT(told * 2 < lru);
		CU_ASSERT(learned * 4 <= split * 5);
		CU_ASSERT(learned * 2 < lru);
		free(access);
	}
}

CU_TestInfo test_purge_cost[] = {
	{"weighing_with_cost_beats_lru_and_meets_the_best_split",
	 weighing_with_cost_beats_lru_and_meets_the_best_split},
	CU_TEST_INFO_NULL,
};
