/* daemon/session/pressure.c - how short memory is, who is told, and what is given back.
 *
 *   own level      of the segment: LOW below the low watermark; MEDIUM while a request waits for
 *                  frames, or when some waited for a tenth of the last second; CRITICAL when one
 *                  failed for want of frames, or all waited for a quarter of it
 *   machine level  as the shell says (PSI, cgroups, the service manager), or as the administrator
 *                  simulates
 *   level          the higher of the two: in META, and told to each client by a Pressure upcall
 *
 * A level rises at once and falls when all has been calmer for CALM_NS, to the highest that was
 * seen meanwhile: so a level that flickers is told once, and no client hears of more than one fall
 * a second. (The shell holds what it says for longer than one window of its sources.)
 *
 * Under machine pressure the segment shrinks, unless give_back_after is never. Caches are asked for
 * a share of what is in use, again and again; that is reclaim's (reclaim_want()). And pageblocks
 * that were free for all of the last give_back_ns are punched: a pageblock has no time of its own,
 * but if at no moment of that time fewer than n were free, then n of them were not needed. What
 * comes and goes within that time is kept. With the pressure gone commits go on as before. */
#include "daemon/session/pressure.h"

#include "daemon/session/session_private.h"

#include "paged/bits.h"

#include <errno.h>

/* Lower: levels flicker; higher: clients spare memory that is there again. */
#define CALM_NS UINT64_C(1000000000)
#define WINDOW_NS UINT64_C(1000000000)
#define SOME_NS UINT64_C(100000000) /* of a window: MEDIUM */
#define FULL_NS UINT64_C(250000000) /* CRITICAL */
/* A request of a larger order fails because no run is whole, and that is no lack of frames. */
#define ORDER_OF_LACK PAGEBLOCK_ORDER
/* How often caches are asked under machine pressure, and for which part of what is in use. Lower
 * parts: a minute goes by before it helps; higher: caches that were needed are gone. */
#define ASK_NS UINT64_C(2000000000)
#define ASK_PART 64u
#define ASK_PART_CRITICAL 8u

#define LEVEL_UNKNOWN UINT32_MAX /* whether it heard of what it was told */

static uint32_t machine_level(const struct pressure *pressure)
{
	return pressure->is_simulated ? pressure->simulated : pressure->machine;
}

/* --- levels -------------------------------------------------------------------------------------
 */

/* What the segment is like now. */
static uint32_t own_level_now(struct session *session)
{
	struct pressure *p = &session->pressure;
	uint64_t now = session->now_ns;
	uint64_t some =
		psi_window_update(&p->some, now, session_stalled_ns(session, SHM_PSI_SOME, now));
	uint64_t full =
		psi_window_update(&p->full, now, session_stalled_ns(session, SHM_PSI_FULL, now));
	bool failed = p->failed;

	p->failed = false;
	if (failed || full >= FULL_NS)
		return LEVEL_CRITICAL;
	if (session_is_stalled(session) || some >= SOME_NS)
		return LEVEL_MEDIUM;
	if (pool_nr_free(session->pool) < pool_watermark_low(session->pool))
		return LEVEL_LOW;
	return LEVEL_NONE;
}

/* Up at once, down after a calm. */
static void settle_own_level(struct pressure *p, uint32_t level, uint64_t now_ns)
{
	if (level >= p->own) {
		p->own = level;
		p->calmer = LEVEL_NONE;
		p->calm_from_ns = now_ns;
		return;
	}
	p->calmer = (uint32_t)bits_max(p->calmer, level);
	if (now_ns - p->calm_from_ns < CALM_NS)
		return;
	p->own = p->calmer;
	p->calmer = LEVEL_NONE;
	p->calm_from_ns = now_ns;
}

static void publish(struct session *session)
{
	struct shm_meta_header *meta = pool_meta(session->pool);
	struct pressure *p = &session->pressure;
	uint32_t machine = machine_level(p);

	shm_store32(&meta->own_level, p->own);
	shm_store32(&meta->machine_level, machine);
	p->level = (uint32_t)bits_max(p->own, machine);
	if (meta->level == p->level)
		return;
	shm_store32(&meta->level, p->level);
	p->tell_from = 1; /* also those who were told half of it */
}

/* Tells each client that does not know the level yet, as many as fit into this step. */
static void tell(struct session *session)
{
	struct pressure *p = &session->pressure;

	for (; p->tell_from >= 1 && p->tell_from <= SHM_MAX_CLIENTS; p->tell_from++) {
		client_id id = p->tell_from;
		struct session_action *action;

		if (!pool_client_is_attached(session->pool, id))
			continue;
		shm_store32(&pool_client(session->pool, id)->level, p->level);
		if (!session->client[id].events_open || session->client[id].level == p->level)
			continue;
		if (!session_has_room(session, 1)) {
			session->again = true;
			return;
		}
		session->client[id].level = p->level;
		action = session_push(session, ACTION_UPCALL);
		action->client = id;
		action->message = (struct message){.kind = MESSAGE_PRESSURE,
						   .id = session->next_upcall_id++,
						   .pressure = {.level = p->level}};
	}
	p->tell_from = 0;
}

void pressure_attached(struct session *session, client_id client)
{
	session->client[client].level = session->pressure.level;
	shm_store32(&pool_client(session->pool, client)->level, session->pressure.level);
}

void pressure_resumed(struct session *session, client_id client)
{
	struct pressure *p = &session->pressure;

	session->client[client].level = LEVEL_UNKNOWN;
	if (p->tell_from == 0 || p->tell_from > client)
		p->tell_from = client;
}

void pressure_failed(struct session *session, order_t order)
{
	session->pressure.failed |= order <= ORDER_OF_LACK;
}

/* --- giving back --------------------------------------------------------------------------------
 */

/* Counts how many idle pageblocks were never fewer. */
static void watch_idle(struct session *session)
{
	struct give_back *g = &session->pressure.give_back;
	uint64_t idle = pool_idle_pageblocks(session->pool);

	g->fewest = bits_min(g->fewest, idle);
	if (session->now_ns - g->from_ns < session->limits.give_back_ns)
		return;
	g->allowed = g->fewest;
	g->fewest = idle;
	g->from_ns = session->now_ns;
}

static void punch(struct session *session)
{
	struct give_back *g = &session->pressure.give_back;
	struct pool_commit commit;

	while (g->allowed && session_has_room(session, 1) &&
	       pool_plan_punch(session->pool, g->allowed, &commit)) {
		session_push(session, ACTION_COMMIT)->commit = commit;
		g->allowed -= bits_min(g->allowed, UINT64_C(1) << (commit.order - PAGEBLOCK_ORDER));
	}
}

/* A part of what clients hold; where nobody can give, reclaim finds that out. */
static void ask_caches(struct session *session, uint32_t level)
{
	uint64_t held = pool_nr_managed(session->pool) - pool_nr_free(session->pool);

	if (session->now_ns < session->pressure.give_back.ask_ns || level < LEVEL_MEDIUM)
		return;
	session->pressure.give_back.ask_ns = session->now_ns + ASK_NS;
	reclaim_want(session, held / (level == LEVEL_CRITICAL ? ASK_PART_CRITICAL : ASK_PART));
}

static void give_back(struct session *session)
{
	struct give_back *g = &session->pressure.give_back;
	uint32_t level = machine_level(&session->pressure);
	bool is_short = level > LEVEL_NONE && session->limits.give_back_ns;

	if (is_short != g->is_short) {
		pool_squeeze(session->pool, is_short);
		*g = (struct give_back){.is_short = is_short,
					.from_ns = session->now_ns,
					.fewest = pool_idle_pageblocks(session->pool)};
	}
	if (!is_short)
		return;
	ask_caches(session, level);
	watch_idle(session);
	punch(session);
}

/* --- events -------------------------------------------------------------------------------------
 */

void pressure_begin(struct session *session)
{
	struct pressure *p = &session->pressure;

	psi_window_init(&p->some, WINDOW_NS, session->now_ns,
			session_stalled_ns(session, SHM_PSI_SOME, session->now_ns));
	psi_window_init(&p->full, WINDOW_NS, session->now_ns,
			session_stalled_ns(session, SHM_PSI_FULL, session->now_ns));
	/* What the server before told is told again: by whom it was heard nobody knows. */
	p->tell_from = 1;
}

void pressure_reported(struct session *session, uint32_t level)
{
	session->pressure.machine = (uint32_t)bits_min(level, LEVEL_CRITICAL);
}

void pressure_set(struct session *session, uint32_t conn, uint64_t id, uint64_t value)
{
	static const char *const words[] = {"none", "low", "medium", "critical"};
	struct pressure *p = &session->pressure;

	if (value != SET_DEFAULT && value > LEVEL_CRITICAL) {
		session_refuse(session, conn, id, -EINVAL,
			       "%l is no level of pressure; 0 (none) to 3 (critical) would be "
			       "right, or off",
			       value);
		return;
	}
	p->is_simulated = value != SET_DEFAULT;
	p->simulated = p->is_simulated ? (uint32_t)value : LEVEL_NONE;
	if (p->is_simulated)
		session_log(session, LOG_LEVEL_NOTICE, LOG_ID_PRESSURE_SIMULATED, CLIENT_NONE,
			    "machine pressure is simulated: %s, until `pagectl pressure --simulate "
			    "off`",
			    words[p->simulated]);
	else
		session_log(session, LOG_LEVEL_NOTICE, LOG_ID_PRESSURE_SIMULATED, CLIENT_NONE,
			    "machine pressure is that of the machine");
	session_reply(session, conn, id);
}

void pressure_pump(struct session *session)
{
	settle_own_level(&session->pressure, own_level_now(session), session->now_ns);
	publish(session);
	tell(session);
	give_back(session);
}
