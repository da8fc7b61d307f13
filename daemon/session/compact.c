/* daemon/session/compact.c - who waits for a large block though there are free frames enough has a
 * run emptied for it (daemon/core/compact.c).
 *
 * Only after what costs nobody anything: all magazines were drained and merging helped nothing. One
 * at a time, in slices of a step each. A try that failed is not repeated at once: until something
 * was freed it would fail again.
 *
 * How much is purgeable is not asked before a try: that is an estimate of the last tick, and says
 * nothing of what was made purgeable since. The tables themselves are looked at. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

/* Lower: passes over all purge tables in vain; higher: a run that can be had is had later. */
#define PAUSE_NS UINT64_C(100000000)
/* Smaller blocks come of frames that are freed one by one, soon enough. */
#define ORDER_LEAST 4u

bool compact_may_help(const struct session *session, order_t order)
{
	uint64_t kept = pool_watermark_min(session->pool);

	return order >= ORDER_LEAST && pool_nr_free(session->pool) >= kept + (UINT64_C(1) << order);
}

void compact_pump(struct session *session)
{
	struct compact_state *state = &session->compact;
	uint64_t purged;
	order_t order;

	if (!state->active) {
		if (session->now_ns < state->next_ns || !park_wants_run(session, &order))
			return;
		pool_compact_begin(session->pool, order);
		state->active = true;
	}
	state->active = pool_compact_step(session->pool, &purged);
	session->again = true;
	if (state->active)
		return;
	state->next_ns =
		purged || !pool_compact_is_through(session->pool) ? 0 : session->now_ns + PAUSE_NS;
	if (purged == 0)
		park_compacted(session);
}
