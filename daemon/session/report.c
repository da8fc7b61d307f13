/* daemon/session/report.c - who holds the frames, what was asked of whom and what came back, in a
 * sentence that fits into a reply.
 *
 * An ENOMEM that says nothing but that sends an operator to a debugger. So it names the largest
 * owners, and the caches that were asked for most, with what they gave, and those that did not
 * answer. Texts are cut at the end of their buffer, so the most telling comes first. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

#define OWNERS_NAMED 3u /* more would not fit into a reply */
#define CACHES_NAMED 3u

/* Room for the rest of a text that begins at text + at. */
static uint32_t text_end(const char *text, uint32_t at)
{
	while (text[at])
		at++;
	return at;
}

/* --- owners --------------------------------------------------------------------------------------
 */

/* Finds the attached client that owns most, of those that own less than `below` (or as much, with a
 * higher id than `after`); 0 if there is none. */
static client_id next_largest(const struct session *session, uint64_t below, client_id after)
{
	client_id found = CLIENT_NONE;
	uint64_t most = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		uint64_t owned = pool_client(session->pool, id)->nr_owned;

		if (!pool_client_is_attached(session->pool, id) || owned <= most || owned > below ||
		    (owned == below && id <= after))
			continue;
		most = owned;
		found = id;
	}
	return found;
}

void report_owners(const struct session *session, char *text, uint32_t bytes)
{
	uint64_t below = UINT64_MAX;
	client_id id = CLIENT_NONE;
	uint32_t at = 0;

	text[0] = '\0';
	for (uint32_t n = 0; n < OWNERS_NAMED; n++) {
		const struct shm_client *client;

		id = next_largest(session, below, id);
		if (id == CLIENT_NONE)
			return;
		client = pool_client(session->pool, id);
		below = client->nr_owned;
		text_print(text + at, bytes - at, "%s%u (%s, pid %u) %l frames",
			   n ? ", " : "; largest owners: ", id, client->name, client->pid,
			   client->nr_owned);
		at = text_end(text, at);
	}
}

/* --- what came back ------------------------------------------------------------------------------
 */

void report_reset(struct session *session)
{
	session->reclaim.report = (struct reclaim_report){.run = session->reclaim.report.run + 1};
}

/* Was the cache asked for frames since the report began? */
static bool is_in_report(const struct session *session, uint32_t cache)
{
	return session->upcall[cache].run == session->reclaim.report.run &&
	       session->upcall[cache].run_asked > 0;
}

/* The cache that was asked for most, of those that were asked for less than `below` (or as much,
 * behind the row `after`); CACHE_ALL: there is none. */
static uint32_t next_asked(const struct session *session, uint64_t below, uint32_t after)
{
	uint32_t found = CACHE_ALL;
	uint64_t most = 0;

	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		uint64_t asked = session->upcall[i].run_asked;

		if (!is_in_report(session, i) || asked <= most || asked > below ||
		    (asked == below && i <= after))
			continue;
		most = asked;
		found = i;
	}
	return found;
}

static bool did_not_answer(const struct upcall *upcall)
{
	return upcall->no_answer || (upcall->active && !upcall->in_wave);
}

void report_write(const struct session *session, char *text, uint32_t bytes)
{
	const struct reclaim_report *report = &session->reclaim.report;
	uint64_t below = UINT64_MAX;
	uint32_t cache = 0, at, n = 0;

	text_print(text, bytes, "%l from magazines, %l purged, %l from caches", report->magazines,
		   report->purged, report->caches);
	while (n < CACHES_NAMED) {
		const struct upcall *upcall;
		const struct shm_cache *c;

		cache = next_asked(session, below, cache);
		if (cache == CACHE_ALL)
			break;
		upcall = &session->upcall[cache];
		c = &pool_caches(session->pool)[cache];
		below = upcall->run_asked;
		at = text_end(text, 0);
		text_print(text + at, bytes - at, "%s%s of client %u: asked for %l, %s%l",
			   n++ ? "; " : " (", c->name, c->client, upcall->run_asked,
			   did_not_answer(upcall) ? "no answer, gave " : "gave ", upcall->run_back);
	}
	at = text_end(text, 0);
	if (n)
		text_print(text + at, bytes - at, "%s)",
			   next_asked(session, below, cache == CACHE_ALL ? CACHE_ALL - 1 : cache) !=
					   CACHE_ALL
				   ? "; and others"
				   : "");
}

/* --- dry run -------------------------------------------------------------------------------------
 */

/* What is left to take, and the text that says from whom. */
struct dry_run {
	const struct session *session;
	uint64_t wanted, found;
	uint32_t n_named, bytes;
	char *text;
};

static void dry_take(struct dry_run *run, uint64_t frames, const char *how, client_id client,
		     const char *name)
{
	uint32_t at = text_end(run->text, 0);

	frames = bits_min(frames, run->wanted - run->found);
	if (frames == 0)
		return;
	run->found += frames;
	text_print(run->text + at, run->bytes - at, "%s%l %s %u (%s)", run->n_named++ ? ", " : "",
		   frames, how, client, name);
}

/* The client's own part of a Reclaim of all it has: magazines, then what can be purged, then
 * caches; never what its min protects. */
static void dry_client(struct dry_run *run, client_id client, uint32_t only)
{
	const struct session *session = run->session;
	const struct shm_client *shown = pool_client(session->pool, client);
	uint64_t charged = shown->nr_owned + shown->nr_shared;
	uint64_t room = charged > shown->min ? charged - shown->min : 0;
	uint64_t before = run->found;

	if (only == CACHE_ALL) {
		pool_count_magazines(session->pool, client);
		dry_take(run, bits_min(shown->nr_magazine, room), "from magazines of", client,
			 shown->name);
		room -= bits_min(room, run->found - before);
		before = run->found;
		dry_take(run, bits_min(pool_purgeable(session->pool, client), room), "purged of",
			 client, shown->name);
		room -= bits_min(room, run->found - before);
	}
	for (uint32_t i = 0; shrinker_next(session->pool, i, &i); i++) {
		const struct shm_cache *cache = &pool_caches(session->pool)[i];

		if (cache->client != client || (only != CACHE_ALL && only != i) ||
		    cache->state == SHM_CACHE_OPEN)
			continue;
		before = run->found;
		dry_take(run, bits_min(cache->nr_frames, room), "from a cache of", client,
			 cache->name);
		room -= bits_min(room, run->found - before);
	}
}

uint64_t report_dry_run(struct session *session, uint64_t n_frames, client_id client,
			uint32_t cache, char *text, uint32_t bytes)
{
	struct dry_run run = {.session = session, .wanted = n_frames, .text = text, .bytes = bytes};

	text[0] = '\0';
	for (uint32_t tier = POOL_TIER_OVER; tier < POOL_TIER_PROTECTED; tier++)
		for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
			if ((client == CLIENT_NONE || client == id) &&
			    pool_client_is_attached(session->pool, id) &&
			    (uint32_t)pool_client_tier(session->pool, id) == tier)
				dry_client(&run, id, cache);
	if (run.found == 0)
		text_print(text, bytes,
			   "nothing: it is in use, protected by a min, or in no cache");
	return run.found;
}
