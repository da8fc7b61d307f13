/* daemon/session/bell.c - doorbells: refills that nobody sends a request for.
 *
 *   heard from ---> in the list ---a second of silence, its end---> out of it
 *                    | a thread of it rang (the shell looked: session_is_rung())
 *                    v
 *                   RUNG: its rings are taken, and answered, a few in each step
 *
 * Why a list. The server looks at bells all the time while it is awake, and can do that for as many
 * as are lines in its cache; who sent nothing for a second is not about to be short, and sends a
 * PcpRefill if it is. A ring that was answered is a sign of life, too.
 *
 * Owners of magazines do not look at a low mark: the inline path has none. So what the server
 * filled it looks at again, while it is awake anyway, and fills it up when it is below half of its
 * bulk. An owner that takes as fast as that never comes to an empty magazine.
 *
 * What a client writes here is a hint, and it may write whenever it likes. So: a ring gets what a
 * PcpRefill would get, what can be purged for it at once too, and nothing that somebody waits for;
 * RINGS_PER_STEP bound a step, after which sockets have their turn; the round begins behind the
 * client that was answered last. A ring that brings its client nothing is refused, and its owner
 * sends a PcpRefill. It counts against BELL_BUDGET: when that is used up nobody looks at its bell
 * until the next tick, and it keeps nobody awake. */
#include "daemon/session/session_private.h"

/* Rings answered in one step, of at most one bulk each. Lower: more steps; higher: requests that
 * came meanwhile wait longer, 0.1 ms for each. */
#define RINGS_PER_STEP 4u
/* Rings in vain of one client and tick. Lower: an honest client that was late by a moment is left
 * to its requests; higher: a hostile one costs more steps. */
#define BELL_BUDGET 64u

static void drop(struct session *session, uint32_t i)
{
	struct bell *bell = &session->bell;

	session->bell_place[bell->heard[i].client] = 0;
	bell->n--;
	bell->heard[i] = bell->heard[bell->n];
	if (i < bell->n)
		session->bell_place[bell->heard[i].client] = (uint8_t)(i + 1);
}

static void unwatch(struct bell *bell, uint32_t i)
{
	bell->watched[i] = bell->watched[--bell->n_watched];
}

static uint32_t heard_first(const struct bell *bell)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < bell->n; i++)
		if (bell->heard[i].heard_ns < bell->heard[first].heard_ns)
			first = i;
	return first;
}

void bell_heard(struct session *session, client_id client)
{
	struct bell *bell = &session->bell;
	uint8_t place = session->bell_place[client];

	if (place) {
		bell->heard[place - 1].heard_ns = session->now_ns;
		return;
	}
	/* Who attached read-only gets no frames. */
	if (pool_client(session->pool, client)->flags & HELLO_READ_ONLY)
		return;
	if (bell->n == BELL_CLIENTS)
		drop(session, heard_first(bell));
	bell->heard[bell->n++] =
		(struct bell_client){.client = client, .heard_ns = session->now_ns};
	session->bell_place[client] = (uint8_t)bell->n;
}

/* Answered later, when the magazine may have been drained, it would fill it for nobody. */
void bell_asked(struct session *session, client_id client, uint32_t thread)
{
	uint8_t place = session->bell_place[client];

	if (place)
		session->bell.heard[place - 1].rings &= ~(UINT64_C(1) << thread % SHM_MAX_THREADS);
	pool_drop_ring(session->pool, client, thread);
}

void bell_forget(struct session *session, client_id client)
{
	struct bell *bell = &session->bell;

	if (session->bell_place[client])
		drop(session, session->bell_place[client] - 1u);
	for (uint32_t i = bell->n_watched; i-- > 0;)
		if (bell->watched[i].place.client == client)
			unwatch(bell, i);
}

void bell_watch(struct session *session, const struct pool_place *place)
{
	struct bell *bell = &session->bell;
	struct bell_watched *watched = NULL;

	for (uint32_t i = 0; i < bell->n_watched && !watched; i++) {
		const struct pool_place *at = &bell->watched[i].place;

		if (at->client == place->client && at->thread == place->thread &&
		    at->magazine == place->magazine)
			watched = &bell->watched[i];
	}
	if (!watched)
		watched = bell->n_watched < BELL_WATCHED
				  ? &bell->watched[bell->n_watched++]
				  : &bell->watched[bell->next_watched++ % BELL_WATCHED];
	*watched = (struct bell_watched){*place, session->now_ns};
}

void bell_tick(struct session *session)
{
	struct bell *bell = &session->bell;

	for (uint32_t i = bell->n_watched; i-- > 0;)
		if (session->now_ns - bell->watched[i].filled_ns >= TICK_NS)
			unwatch(bell, i);

	for (uint32_t i = bell->n; i-- > 0;) { /* backwards: dropping moves the last here */
		bell->heard[i].n_vain = 0;
		if (session->now_ns - bell->heard[i].heard_ns >= TICK_NS)
			drop(session, i);
	}
}

static bool has_rung(const struct session *session, const struct bell_client *heard)
{
	return heard->rings ||
	       (heard->n_vain < BELL_BUDGET && pool_is_rung(session->pool, heard->client));
}

bool session_is_rung(const struct session *session)
{
	for (uint32_t i = 0; i < session->bell.n; i++)
		if (has_rung(session, &session->bell.heard[i]))
			return true;
	return false;
}

bool session_is_low(const struct session *session)
{
	const struct bell *bell = &session->bell;

	if (park_demand(session) > 0)
		return false;
	for (uint32_t i = 0; i < bell->n_watched; i++)
		if (pool_is_low(session->pool, &bell->watched[i].place))
			return true;
	return false;
}

/* What cannot be filled now is its owner's to ask for. */
static void fill_watched(struct session *session, uint32_t n_most)
{
	struct bell *bell = &session->bell;

	for (uint32_t i = bell->n_watched; i-- > 0 && n_most > 0;) {
		struct bell_watched *watched = &bell->watched[i];
		uint32_t n;

		if (!pool_is_low(session->pool, &watched->place))
			continue;
		n_most--;
		watched->filled_ns = session->now_ns;
		if (park_demand(session) > 0 ||
		    pool_refill_ahead(session->pool, &watched->place, 0, &n))
			unwatch(bell, i);
		else if (session->bell_place[watched->place.client])
			bell_heard(session, watched->place.client);
	}
}

/* One ring of the client. Those who wait for frames come before those who may soon. Who was refused
 * and rang at that moment has our word in the place of its own, which wants nothing: nobody knows
 * what for, and it asks. */
static void answer(struct session *session, struct bell_client *heard)
{
	uint32_t thread = (uint32_t)__builtin_ctzll(heard->rings);
	struct pool_place place;
	uint32_t want = pool_read_ring(session->pool, heard->client, thread, &place), n;
	int r = POOL_BUSY;

	heard->rings &= heard->rings - 1;
	if (want > 0 && park_demand(session) == 0)
		r = pool_refill_ahead(session->pool, &place, want, &n);
	if (r == POOL_NO_FRAMES && reclaim_for_ring(session, want))
		r = pool_refill_ahead(session->pool, &place, want, &n);
	if (r == 0) {
		heard->heard_ns = session->now_ns;
		bell_watch(session, &place);
	} else {
		heard->n_vain++;
		pool_refuse_ring(session->pool, &place);
	}
	pool_count(session->pool, COUNTER_pcp_bell, 1);
}

void bell_rung(struct session *session)
{
	struct bell *bell = &session->bell;
	uint32_t left = RINGS_PER_STEP;

	for (uint32_t n = bell->n; n > 0 && left > 0; n--) {
		struct bell_client *heard = &bell->heard[bell->next++ % bell->n];

		if (!has_rung(session, heard))
			continue;
		if (!heard->rings)
			heard->rings = pool_take_rings(session->pool, heard->client);
		heard->n_vain += heard->rings == 0; /* of threads that it has not */
		for (; heard->rings && left > 0; left--)
			answer(session, heard);
	}
	fill_watched(session, left);
}
