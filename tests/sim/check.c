/* tests/sim/check.c - what must hold after each step, now and then, and at the end. */
#include "tests/sim/sim.h"

#define DUE_EVERY 16u
#define SLOTS_EVERY 32u
#define AUDIT_EVERY 256u
#define LAST_EVENTS 100000u

/* Out of use. */
static uint64_t count_reserved(const struct sim *s)
{
	uint64_t frames = 0;

	for (uint32_t z = 0; z < s->pool->buddy.nr_zones; z++)
		frames += s->pool->buddy.nr_reserved[z];
	return frames;
}

static void check_sums(struct sim *s)
{
	const uint64_t *counters = s->pool->counters;
	uint64_t frames =
		counters[COUNTER_nr_owned] + counters[COUNTER_nr_shared] + count_reserved(s);

	for (uint32_t z = 0; z < s->pool->buddy.nr_zones; z++)
		frames += s->pool->buddy.zones[z].nr_free;
	if (frames != s->nr_frames)
		sim_fail(s, "I5: %lu of %u frames are FREE, OWNED, SHARED or RESERVED",
			 (unsigned long)frames, s->nr_frames);
}

void check_step(struct sim *s)
{
	const struct session_actions *actions = &s->server.actions;
	bool barrier = actions->n && actions->item[actions->n - 1].kind == ACTION_BARRIER;

	if (s->pool->journal->n)
		sim_fail(s, "I7: the journal is not empty after a step");
	if (actions->n > SESSION_MAX_ACTIONS)
		sim_fail(s, "%u actions of one step", actions->n);
	if (barrier != (pool_nr_claims(s->pool) > 0))
		sim_fail(s, "I6: %u claims and %s barrier", pool_nr_claims(s->pool),
			 barrier ? "a" : "no");
	for (uint32_t i = 0; i + 1 < actions->n; i++)
		if (actions->item[i].kind == ACTION_BARRIER)
			sim_fail(s, "a barrier that is not the last action");
	if (s->session->parked_first != PARKED_NONE)
		s->coverage->faults[FAULT_PARKED]++;
	check_sums(s);
	fair_check(s);
	if (s->steps % DUE_EVERY == 0)
		net_check_due(s);
	if (s->steps % SLOTS_EVERY == 0)
		purgeable_check(s);
	if (s->steps % AUDIT_EVERY == 0 && !barrier)
		check_audit(s, "between two events");
}

/* Whether the client is that of a process that lives and is honest. */
static bool is_honest(const struct sim *s, client_id id)
{
	const struct sim_watch *watch = &s->server.watch[id];
	const struct sim_client *x = &s->client[watch->client];

	return watch->is_open && x->state != LIFE_NONE && x->life == watch->life && !x->is_liar;
}

void check_audit(struct sim *s, const char *when)
{
	char text[SHM_TEXT_BYTES];
	int r;

	if (!s->server.is_up)
		return;
	for (client_id id = 1; id <= SIM_CLIENTS * 3; id++)
		if (pool_client_is_attached(s->pool, id) && is_honest(s, id) &&
		    (pool_client(s->pool, id)->nr_hostile || pool_client(s->pool, id)->nr_bad_free))
			sim_fail(s, "client %u is honest and is said to lie, %s", id, when);
	purgeable_check(s);
	r = pool_check(s->pool, text, sizeof text);
	if (r == POOL_HOSTILE && s->had_liars) {
		(void)pool_note_liars(s->pool);
		r = pool_check(s->pool, text, sizeof text);
	}
	if (r)
		sim_fail(s, "%s: %s", when, text);
}

/* --- the end ------------------------------------------------------------------------------------
 */

bool check_is_busy(const struct sim *s)
{
	for (uint32_t i = 0; i < SIM_CLIENTS; i++) {
		const struct sim_client *x = &s->client[i];

		if (x->state == LIFE_NONE)
			continue;
		if (x->state != LIFE_ATTACHED || x->n_held || x->n_deferred || x->n_notes ||
		    x->n_notes_due || x->n_slots)
			return true;
		for (uint32_t t = 0; t < x->max_threads; t++)
			if (x->thread[t].state != THREAD_ENDED)
				return true;
	}
	return !s->server.is_up;
}

/* All gave back what they had, so the daemon must not think otherwise. */
static void check_rest(struct sim *s)
{
	struct pool_pass pass = pool_pass_begin(s->pool, CLIENT_NONE, false);

	while (!pool_pass_is_done(&pass))
		if (pool_claim_pass(s->pool, &pass))
			(void)pool_settle(s->pool);
	for (client_id id = 1; id <= SIM_CLIENTS * 3; id++) {
		const struct shm_client *shown = pool_client(s->pool, id);

		if (!pool_client_is_attached(s->pool, id) || !is_honest(s, id))
			continue;
		if (shown->nr_owned || (shown->nr_shared && !s->has_orphans && !s->had_liars))
			sim_fail(s, "lost: client %u gave all back and has %lu frames, shares %lu",
				 id, (unsigned long)shown->nr_owned,
				 (unsigned long)shown->nr_shared);
	}
	for (pfn_t pfn = 0; pfn < s->nr_frames; pfn++)
		if (s->holder[pfn])
			sim_fail(s, "the simulation forgot who holds frame %u", pfn);
}

static void check_empty(struct sim *s)
{
	const struct session *session = s->session;

	if (!session_is_idle(session) || session->nr_clients ||
	    session->parked_first != PARKED_NONE || session->reclaim.outstanding)
		sim_fail(s,
			 "all are dead: %u clients, %u dying, %u upcalls and %u commits in flight",
			 session->nr_clients, session->nr_dying, session->reclaim.outstanding,
			 pool_nr_commits(s->pool));
	if (pool_nr_free(s->pool) + count_reserved(s) != s->nr_frames)
		sim_fail(s, "lost: all are dead, and %lu of %u frames are free",
			 (unsigned long)(pool_nr_free(s->pool) + count_reserved(s)), s->nr_frames);
	if (pool_resize_left(s->pool))
		sim_fail(s, "all are dead, and %lu frames are still to go out of use, or into it",
			 (unsigned long)pool_resize_left(s->pool));
	check_audit(s, "when all are dead");
}

void check_end(struct sim *s)
{
	struct sim_event event;
	uint64_t until;

	check_audit(s, "when all is calm");
	check_rest(s);
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		client_killed(s, i);
	/* Deaths, sweeps and commits that are under way; a breaker or a tick may come later. */
	until = s->now_ns + 2 * SECOND;
	for (uint32_t n = 0; n < LAST_EVENTS && (s->now_ns < until || pool_nr_commits(s->pool)) &&
			     sim_next(s, &event);
	     n++) {
		s->now_ns = event.at_ns;
		server_world_event(s, &event);
	}
	check_empty(s);
}
