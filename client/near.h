/* client/near.h - the near end of the slow calls: what needs no daemon and no more than the inline
 * path.
 *
 * The inline path is for one block. Many at once come here first: where the thread's descriptor is
 * published (C2) and nothing waits to be done by the next slow call, the magazine of that order may
 * be used as it is. */
#ifndef CLIENT_NEAR_H
#define CLIENT_NEAR_H
#include "client/client_private.h"

/* The magazine of this thread for blocks of order without flags; NULL: take the long way. */
static inline struct magazine *near_magazine(const pageclient *client, unsigned order,
					     unsigned flags)
{
	struct pageclient_fast_v1 *fast = pageclient_fast_v1;
	const struct member *member = (const struct member *)(const void *)fast;

	if (!fast || fast->client != client || order > MAGAZINE_ORDER_MAX || flags != 0)
		return NULL;
	if (!member->is_near || client_state(client) > PAGECLIENT_AWAY)
		return NULL;
	return &member->pcp->magazine[order ? MAGAZINE_COLD + order : MAGAZINE_HOT];
}

#endif
