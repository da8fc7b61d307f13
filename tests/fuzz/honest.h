/* tests/fuzz/honest.h - the honest client of fuzz_ctl: it uses its magazines, lanes and purge table
 * as the library does, knows what it has in hand, and fails if the pool knows otherwise. */
#ifndef TESTS_FUZZ_HONEST_H
#define TESTS_FUZZ_HONEST_H
#include "tests/support/fixture_pool.h"

#define HANDS_MAX 128u
#define SLOTS 16u /* of the honest client's purge table; slot 0 stays free */

/* A block that the honest client uses. */
struct hand {
	pfn_t pfn;
	order_t order;
	uint64_t handle; /* 0: not shared */
	uint32_t slot;   /* of its purge table, where it lies unpinned; 0: none */
};

struct story {
	struct fixture_pool *pool;
	client_id liar, honest;
	uint32_t n_hands, n_deaths, n_restarts;
	struct hand hand[HANDS_MAX];
};

/* All that is in hand is its own (I2). */
void honest_check(const struct story *story);
/* Every slot of the magazine is its own, and in no hand. */
void honest_check_magazine(const struct story *story, uint32_t thread, uint32_t magazine);
/* What was purged is nobody's any more, and of the honest client only what it had unpinned. */
void honest_forget_purged(struct story *story);

/* Nothing happens if the magazine is empty, or full. */
void honest_pop(struct story *story, uint32_t thread, uint32_t magazine);
void honest_push(struct story *story, uint32_t thread, uint32_t i);
/* Block i, which must be in hand, is freed, put, or shared. */
void honest_return(struct story *story, uint32_t i, bool share);
/* Alloc, Free, Share, Put, or a block goes into the purge table, as the numbers say. */
void honest_ask(struct story *story, uint32_t what, uint32_t which);

#endif
