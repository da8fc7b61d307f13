/* tests/model/reference.h - a naive allocator beside the pool: one byte per frame says whose it is.
 *
 * It decides nothing. It is told what the pool did and says whether that can be right: what is
 * granted was free, is aligned and becomes its client's; what comes back was that client's. Frames
 * in magazines are found by following top, as only the daemon moves it: below the last top are
 * grants, above it what was stolen. */
#ifndef TESTS_MODEL_REFERENCE_H
#define TESTS_MODEL_REFERENCE_H
#include "tests/support/fixture_pool.h"

#define REFERENCE_CLIENTS 4u
#define REFERENCE_SHARED 255u
#define REFERENCE_BLOCKS_MAX 16384u

/* A block that a client holds in its hands: allocated or popped, and not in a magazine. */
struct reference_block {
	pfn_t pfn;
	order_t order;
	uint32_t owner;   /* number of the client; who may share it on, if it is shared */
	uint32_t sharers; /* bit i: client i has an edge; 0: not shared */
	uint64_t handle;
};

struct reference {
	struct fixture_pool *pool;
	uint32_t nr_frames;
	uint8_t *owner; /* per frame: 0 free, 1 + number of the client, or REFERENCE_SHARED */
	client_id client[REFERENCE_CLIENTS];
	uint64_t top[REFERENCE_CLIENTS][FIXTURE_THREADS][MAGAZINE_COUNT];
	uint32_t n_blocks;
	struct reference_block block[REFERENCE_BLOCKS_MAX];
};

void reference_open(struct reference *ref, struct fixture_pool *pool, uint32_t nr_frames);
void reference_close(struct reference *ref);

/* Client number i is a new one. */
void reference_attached(struct reference *ref, uint32_t i, client_id client);
/* All that it had is free, but for what others share. */
void reference_died(struct reference *ref, uint32_t i);

/* A free block was granted into the hands of client i; or one left its hands for good. */
void reference_take(struct reference *ref, uint32_t i, pfn_t pfn, order_t order);
void reference_give(struct reference *ref, uint32_t block);
/* Popped from a magazine: it is the client's already. Or pushed into one. */
void reference_popped(struct reference *ref, uint32_t i, pfn_t pfn, order_t order);
void reference_pushed(struct reference *ref, uint32_t block);
void reference_shared(struct reference *ref, uint32_t block, uint32_t sharer, uint64_t handle);
/* Client i has no edge of it any more; with the last one it is gone. */
void reference_unshared(struct reference *ref, uint32_t block, uint32_t i);

/* What the daemon did to magazines since: grants and steals, by their tops. */
void reference_follow(struct reference *ref);

/* Compares all frames with the map; false, and a failure of CUnit, if they differ. */
bool reference_check(struct reference *ref);

#endif
