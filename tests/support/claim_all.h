/* tests/support/claim_all.h - a whole pass over magazines in one claim, for tests where little is
 * held: its first slice is all of it. */
#ifndef TESTS_SUPPORT_CLAIM_ALL_H
#define TESTS_SUPPORT_CLAIM_ALL_H
#include "daemon/core/pool.h"
#include "paged/check.h"

/* Returns how many magazines were claimed. */
static inline uint32_t claim_all(struct pool *pool, client_id client, bool idle_only)
{
	struct pool_pass pass = pool_pass_begin(pool, client, idle_only);
	uint32_t n = pool_claim_pass(pool, &pass);

	PAGED_CHECK(pool_pass_is_done(&pass));
	return n;
}

#endif
