/* tests/support/fixture_pool.h - a pool over plain memory, with clients that own a CTL.
 *
 * META and STATE are calloc'ed, so a wrong offset is a report of ASan. A client of the fixture uses
 * its magazines as the library does (pop, push), its lane 0 counts by itself, and what a shell
 * would commit is committed when a block is asked for. Failures are CUnit's. */
#ifndef TESTS_SUPPORT_FIXTURE_POOL_H
#define TESTS_SUPPORT_FIXTURE_POOL_H
#include "daemon/core/magazine.h"
#include "daemon/core/pool_private.h"

#include <CUnit/CUnit.h>

#define FIXTURE_THREADS 2u /* of a client */

/* Where the fixtures' memory comes from, all of it zero: calloc() and free(), unless the program
 * has functions of these names of its own (tests/fuzz/world.h). */
void *fixture_memory_new(size_t bytes);
void fixture_memory_free(void *memory);

struct fixture_pool {
	struct pool *pool;
	struct pool_options options;
	void *meta, *state;
	uint64_t meta_bytes, state_bytes;
	uint64_t nr_bad; /* frames that the last attach gave up */
	char *ctl[SHM_MAX_CLIENTS + 1];
	uint64_t seq[SHM_MAX_CLIENTS + 1]; /* the last of lane 0 */
};

/* One zone of nr_frames with min_free of 8 frames, batch 16; nothing is committed. */
void fixture_pool_open(struct fixture_pool *f, uint32_t nr_frames);
/* As the options say. */
void fixture_pool_open_with(struct fixture_pool *f, const struct pool_options *options);
void fixture_pool_close(struct fixture_pool *f);

/* The server is gone and another one takes the segment over; the clients live on. */
void fixture_pool_reattach(struct fixture_pool *f);

/* Commits up to n times, as a shell does. Returns how many. */
uint32_t fixture_pool_commit(struct fixture_pool *f, order_t order, uint32_t n);
/* Commits all there is. */
void fixture_pool_commit_all(struct fixture_pool *f);

/* All of a resize that can be done at once; every job of the shell ends well. Returns the punches.
 */
uint32_t fixture_pool_settle_size(struct fixture_pool *f);

/* Attached, with magazines for all its FIXTURE_THREADS threads. max_frames 0: no limit. */
client_id fixture_pool_client(struct fixture_pool *f, uint64_t max_frames);
/* Death to the last frame. */
void fixture_pool_kill(struct fixture_pool *f, client_id client);

/* Conditions of the pool, for requests on lane 0 with the next seq; a hole is committed on the way.
 */
int fixture_pool_try_alloc(struct fixture_pool *f, client_id client, order_t order, pfn_t *ret_pfn);
/* The same, and it must succeed. */
pfn_t fixture_pool_alloc(struct fixture_pool *f, client_id client, order_t order);
int fixture_pool_free(struct fixture_pool *f, client_id client, pfn_t pfn, order_t order);
int fixture_pool_share(struct fixture_pool *f, client_id client, pfn_t pfn, client_id to,
		       uint64_t *ret_handle);
int fixture_pool_import(struct fixture_pool *f, client_id client, uint64_t handle,
			uint64_t *ret_result);
int fixture_pool_put(struct fixture_pool *f, client_id client, pfn_t pfn);

/* PcpRefill with its commits; the frames in the magazine afterwards, 0 if there are none. */
uint64_t fixture_pool_refill(struct fixture_pool *f, client_id client, uint32_t thread,
			     uint32_t magazine);
/* Takes frames of the magazine: claim, barrier, settle. Returns how many came back. */
uint64_t fixture_pool_steal(struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine, uint64_t n_wanted);

/* The owner's side of a magazine, in CTL. */
uint64_t *fixture_pool_bottom(const struct fixture_pool *f, client_id client, uint32_t thread,
			      uint32_t magazine);
uint32_t *fixture_pool_slot(const struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine, uint64_t index);
uint64_t fixture_pool_count(const struct fixture_pool *f, client_id client, uint32_t thread,
			    uint32_t magazine);
/* PFN_NONE: it is empty. */
pfn_t fixture_pool_pop(struct fixture_pool *f, client_id client, uint32_t thread,
		       uint32_t magazine);
/* Nobody looks at high here. */
void fixture_pool_push(struct fixture_pool *f, client_id client, uint32_t thread, uint32_t magazine,
		       pfn_t pfn);

struct page_word fixture_pool_word(const struct fixture_pool *f, pfn_t pfn);
uint64_t fixture_pool_owned(const struct fixture_pool *f, client_id client);
uint64_t fixture_pool_counter(const struct fixture_pool *f, enum counter counter);

/* The audit, with its sentence as the text of the failure. */
bool fixture_pool_audit(const struct fixture_pool *f, unsigned int line, const char *file);
#define FIXTURE_AUDIT(f) ((void)fixture_pool_audit((f), __LINE__, __FILE__))

/* A generator for tests: xorshift, seeded, never the clock. */
static inline uint32_t fixture_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

#endif
