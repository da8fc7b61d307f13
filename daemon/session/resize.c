/* daemon/session/resize.c - `pagectl resize`: the size that is wanted, and the way to it.
 *
 * The core does at once what can be done at once, in slices, one a step (daemon/core/resize.c).
 * What is somebody's and is to go out of use comes back by itself when it is freed; in rounds,
 * which become rarer, it is asked for: purgeable frames of those ranges are purged, all magazines
 * are drained, and caches are asked for as much as is missing. No request fails for it that would
 * not fail in a segment of the new size. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>

/* Lower: clients that keep what they have refill their magazines more often; higher: what can be
 * had is had later. */
#define ROUND_FIRST_NS UINT64_C(1000000000)
#define ROUND_LAST_NS UINT64_C(32000000000)

void resize_init(struct session *session)
{
	session->resize = (struct resize_round){.managed = pool_nr_managed(session->pool)};
}

void resize_set(struct session *session, uint32_t conn, uint64_t id, uint64_t value)
{
	struct pool *pool = session->pool;
	uint64_t n_frames = value == SET_DEFAULT ? pool_meta(pool)->configured_frames : value;

	if (pool_resize(pool, n_frames)) {
		session_refuse(session, conn, id, -EINVAL,
			       "a size of %l frames is not possible; %l to %l would be right%s",
			       n_frames, pool_size_min(pool), pool_nr_frames(pool),
			       n_frames > pool_nr_frames(pool)
				       ? ", or a larger [segment] size_max and a new start"
				       : "");
		return;
	}
	session->resize.active = true;
	session->resize.asking = false;
	session->resize.pause_ns = 0;
	session->resize.next_ns = session->now_ns;
	session_log(session, LOG_LEVEL_NOTICE, LOG_ID_RESIZE_BEGUN, CLIENT_NONE,
		    "resize: %l of %l frames are in use, %l are wanted", pool_size_online(pool),
		    pool_nr_frames(pool), pool_size_wanted(pool));
	session_reply(session, conn, id)->count = pool_size_wanted(pool);
}

/* --- a round -------------------------------------------------------------------------------------
 */

static void begin_round(struct session *session)
{
	struct resize_round *round = &session->resize;

	round->asking = true;
	round->zone = 0;
	round->range = pool_range_begin(0, 0);
	round->range.client = SHM_MAX_CLIENTS + 1;
	round->pass = pool_pass_begin(session->pool, CLIENT_NONE, false);
	reclaim_want(session, pool_resize_left(session->pool));
}

static void end_round(struct session *session)
{
	struct resize_round *round = &session->resize;

	round->asking = false;
	round->pause_ns = bits_clamp(round->pause_ns * 2, ROUND_FIRST_NS, ROUND_LAST_NS);
	round->next_ns = session->now_ns + round->pause_ns;
}

/* One slice of the purge tables; false: all zones are through. */
static bool purge_slice(struct session *session)
{
	struct resize_round *round = &session->resize;
	pfn_t from, to;

	while (pool_range_is_done(&round->range)) {
		if (round->zone == SHM_MAX_ZONES)
			return false;
		if (pool_resize_range(session->pool, round->zone++, &from, &to))
			round->range = pool_range_begin(from, to);
	}
	(void)pool_purge_range(session->pool, &round->range);
	session->again = true;
	return true;
}

static void ask(struct session *session)
{
	struct resize_round *round = &session->resize;

	if (!round->asking && session->now_ns < round->next_ns)
		return;
	if (!round->asking)
		begin_round(session);
	if (purge_slice(session) || session_claim(session, &round->pass, STEAL_RESIZE))
		return;
	end_round(session);
}

/* --- the pump ------------------------------------------------------------------------------------
 */

/* What is a share of the segment follows its size; those without a limit of their own may have all
 * of it. Not with every frame, because each client is looked at. */
static void follow(struct session *session)
{
	struct resize_round *round = &session->resize;
	uint64_t managed = pool_nr_managed(session->pool);

	if (managed == round->managed || session->now_ns < round->follow_ns)
		return;
	round->managed = managed;
	round->follow_ns = session->now_ns + TICK_NS;
	limits_apply_all(session);
}

static void end(struct session *session)
{
	session->resize.active = false;
	session_log(session, LOG_LEVEL_NOTICE, LOG_ID_RESIZE_DONE, CLIENT_NONE,
		    "resize: done, %l frames are in use", pool_size_online(session->pool));
}

void resize_pump(struct session *session)
{
	struct pool *pool = session->pool;
	struct pool_commit commit;

	if (pool_resize_step(pool))
		session->again = true;
	while (session_has_room(session, 1) && pool_plan_resize(pool, &commit))
		session_push(session, ACTION_COMMIT)->commit = commit;
	follow(session);
	if (pool_resize_left(pool) && !session->again)
		ask(session);
	if (session->resize.active && !pool_resize_is_under_way(pool))
		end(session);
}
