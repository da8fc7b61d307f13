/* tests/unit/ladder_fixture.h - what the tests of the ladder and of fairness share: a pool of 4096
 * frames (min 8, low 12, high 16), clients with purgeable frames, and shrinkers that answer. */
#ifndef TESTS_UNIT_LADDER_FIXTURE_H
#define TESTS_UNIT_LADDER_FIXTURE_H
#include "daemon/core/purge.h"
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

#define NR_FRAMES 4096u

static inline uint64_t nr_free(const struct shell *s)
{
	return pool_nr_free(s->pool.pool);
}

static inline void nudge(struct shell *s)
{
	shell_event(s, &(struct session_event){.kind = EVENT_TICK});
}

/* The newest n of the client's blocks become purgeable, unpinned now. */
static inline void make_purgeable(struct shell *s, struct shell_client c, uint32_t n)
{
	struct message table = {.kind = MESSAGE_PURGE_TABLE, .purge_table = {.nr_slots = n}};
	pfn_t pfn = s->pool.pool->client[c.id].owned;

	CU_ASSERT_EQUAL(shell_ask(s, c.conn, &table)->status, 0);
	for (uint32_t i = 0; i < n; i++) {
		purge_table(s->pool.pool, c.id)[i] = purge_pack((struct purge_entry){
			.pfn = pfn, .stamp = pool_meta(s->pool.pool)->generation});
		pfn = s->pool.pool->buddy.map[pfn].next;
	}
}

/* The oldest Shrink that nobody took. */
static inline const struct message *next_shrink(struct shell *s, client_id client)
{
	const struct message *upcall;

	do
		upcall = shell_next_upcall(s, client);
	while (upcall && upcall->kind != MESSAGE_SHRINK);
	return upcall;
}

/* What a library does in a scan of a cache of n objects, a frame each: those that it frees are
 * pushed into the hot magazine. Returns how many. */
static inline uint64_t scan_frames(struct shell *s, struct shell_client c,
				   const struct message *upcall, uint64_t n)
{
	uint64_t freed = upcall->shrink.nr_to_scan < n ? upcall->shrink.nr_to_scan : n;
	pfn_t pfn = s->pool.pool->client[c.id].owned;

	/* It scans in batches until it has what is wanted. */
	if (freed > upcall->shrink.nr_frames + 128)
		freed = upcall->shrink.nr_frames + 128;
	freed = freed < 400 ? freed : 400; /* what one claim brings back */
	for (uint64_t i = 0; i < freed; i++) {
		fixture_pool_push(&s->pool, c.id, 0, MAGAZINE_HOT, pfn);
		pfn = s->pool.pool->buddy.map[pfn].next;
	}
	shell_shrink_done(s, c.id, upcall, n - freed, freed, freed);
	return freed;
}

static inline void set_rules(struct shell *s, const struct limits_rule *rules, uint32_t n)
{
	s->limits.nr_rules = n;
	memcpy(s->limits.rule, rules, n * sizeof *rules);
	shell_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = &s->limits});
}

static inline const struct message_reply *ask_set(struct shell *s, uint32_t conn, client_id client,
						  enum set_key key, uint64_t value)
{
	struct message set = {.kind = MESSAGE_SET,
			      .set = {.client = client, .key = (uint32_t)key, .value = value}};

	return shell_ask(s, conn, &set);
}

#endif
