/* tests/unit/test_why.c - daemon/session/why and daemon/core/inspect: each reason why a frame is
 * held is told, and told right. 4096 frames; low is 12. */
#include "daemon/core/purge.h"
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NR_FRAMES 4096u
#define SLOTS 64u

struct fixture {
	struct shell *s;
	struct shell_client a;
	uint32_t admin;
};

static void setup(struct fixture *f)
{
	uint32_t got;

	f->s = shell_open(NR_FRAMES);
	f->a = shell_attach(f->s, "redis", 0);
	f->admin = shell_observe(f->s, 0);
	CU_ASSERT_EQUAL_FATAL(pool_purge_table(f->s->pool.pool, f->a.id, SLOTS, &got), 0);
}

static const struct message_reply *ask(struct fixture *f, enum why_kind kind, uint32_t number,
				       uint32_t client)
{
	return shell_ask(
		f->s, f->admin,
		&(struct message){
			.kind = MESSAGE_WHY,
			.why = {.kind = (uint32_t)kind, .number = number, .client = client}});
}

/* The answer is one, and has all of these words. */
static void expect(const struct message_reply *reply, const char *const *words)
{
	CU_ASSERT_EQUAL(reply->status, 0);
	CU_ASSERT(strlen(reply->text) < sizeof reply->text);
	CU_ASSERT_PTR_NOT_NULL(strchr(reply->text, '\n')); /* a fact and an advice */
	for (; *words; words++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, *words));
		if (!strstr(reply->text, *words))
			(void)fprintf(stderr, "no \"%s\" in:\n%s\n", *words, reply->text);
	}
}
#define EXPECT(reply, ...) expect((reply), (const char *const[]){__VA_ARGS__, NULL})

static pfn_t alloc(struct fixture *f, struct shell_client client)
{
	const struct message_reply *reply = shell_alloc(f->s, client, 0, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	return (pfn_t)(reply->result >> 32);
}

static void arm(struct fixture *f, uint32_t slot, pfn_t pfn, uint32_t stamp, uint32_t pins)
{
	purge_table(f->s->pool.pool, f->a.id)[slot] =
		purge_pack((struct purge_entry){.pfn = pfn, .stamp = stamp, .pins = pins});
}

/* --- frames --- */

static void a_frame_that_its_owner_alone_can_free(void)
{
	struct fixture f;
	pfn_t pfn;
	char owner[64];

	setup(&f);
	pfn = alloc(&f, f.a);
	(void)snprintf(owner, sizeof owner, "owned by client %u (redis, pid ", f.a.id);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), owner, "not purgeable, and in no cache", "nobody is short",
	       "\nlet its owner free it");
	/* With a cache it may be a part of that. */
	CU_ASSERT_EQUAL(shell_register(f.s, f.a, 1)->status, 0);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "part of a cache", "\nsee pagectl why client");
	shell_close(f.s);
}

static void a_free_frame_and_a_hole(void)
{
	struct fixture f;
	struct shell *empty = shell_open_empty(NR_FRAMES, COMMITS_LATER);
	struct fixture e = {.s = empty, .admin = shell_observe(empty, 0)};

	setup(&f);
	EXPECT(ask(&f, WHY_PFN, NR_FRAMES - 1, 0), "zone normal", "\nfree\n");
	EXPECT(ask(&e, WHY_PFN, NR_FRAMES - 1, 0), "free, a hole");
	CU_ASSERT_EQUAL(ask(&f, WHY_PFN, NR_FRAMES, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask(&f, WHY_PFN, UINT32_MAX, 0)->status, -EINVAL);
	shell_close(empty);
	shell_close(f.s);
}

static void the_largest_free_block_is_published(void)
{
	struct fixture f;

	setup(&f);
	shell_event(f.s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT_EQUAL(pool_meta(f.s->pool.pool)->largest_free, NR_FRAMES);
	(void)alloc(&f, f.a);
	CU_ASSERT_EQUAL(pool_meta(f.s->pool.pool)->largest_free, NR_FRAMES / 2);
	(void)shell_fill(f.s, f.a, pool_watermark_low(f.s->pool.pool));
	shell_event(f.s, &(struct session_event){.kind = EVENT_TICK});
	CU_ASSERT(pool_meta(f.s->pool.pool)->largest_free >= 1);
	CU_ASSERT(pool_meta(f.s->pool.pool)->largest_free <= pool_nr_free(f.s->pool.pool));
	shell_close(f.s);
}

static void a_frame_in_a_magazine_is_found_there(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f);
	CU_ASSERT_EQUAL(shell_refill(f.s, f.a, MAGAZINE_HOT, 0)->status, 0);
	pfn = fixture_pool_pop(&f.s->pool, f.a.id, 0, MAGAZINE_HOT);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "not purgeable");
	fixture_pool_push(&f.s->pool, f.a.id, 0, MAGAZINE_HOT, pfn);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "lies in a magazine (hot, thread 0)", "pagectl drain");
	/* A bottom that lies is a liar's affair, and no answer. */
	*fixture_pool_bottom(&f.s->pool, f.a.id, 0, MAGAZINE_HOT) += UINT64_C(1) << 40;
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "not known now");
	*fixture_pool_bottom(&f.s->pool, f.a.id, 0, MAGAZINE_HOT) -= UINT64_C(1) << 40;
	shell_close(f.s);
}

static void a_pinned_frame_and_how_often(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f);
	pfn = alloc(&f, f.a);
	arm(&f, 7, pfn, 0, 3);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "slot 7", "pinned 3 times", "it has no limits",
	       "once its owner unpins it");
	shell_close(f.s);
}

static void what_is_older_goes_first_and_is_counted(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f);
	f.s->pool.pool->meta->generation = 100;
	for (uint32_t i = 0; i < 10; i++) {
		pfn = alloc(&f, f.a);
		arm(&f, i, pfn, 50 + i, 0);
	}
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "unpinned 41 generations ago",
	       "9 frames are older or cheaper", "pagectl reclaim --client");
	arm(&f, 9, pfn, 49, 0);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "none is older or cheaper");
	shell_close(f.s);
}

static void a_dear_neighbour_does_not_go_first(void)
{
	struct fixture f;
	struct shell_client b;
	uint32_t got;
	pfn_t mine, theirs;

	setup(&f);
	b = shell_attach(f.s, "dear", 0);
	CU_ASSERT_EQUAL_FATAL(pool_purge_table(f.s->pool.pool, b.id, SLOTS, &got), 0);
	f.s->pool.pool->meta->generation = 100;
	mine = alloc(&f, f.a);
	theirs = alloc(&f, b);
	arm(&f, 0, mine, 90, 0);
	purge_table(f.s->pool.pool, b.id)[0] =
		purge_pack((struct purge_entry){.pfn = theirs, .stamp = 60});
	EXPECT(ask(&f, WHY_PFN, mine, 0), "1 frames are older or cheaper");
	f.s->pool.pool->client[b.id].cost.in_force_ns =
		100 * f.s->pool.pool->client[f.a.id].cost.in_force_ns;
	EXPECT(ask(&f, WHY_PFN, mine, 0), "none is older or cheaper");
	EXPECT(ask(&f, WHY_PFN, theirs, 0), "1 frames are older or cheaper");
	shell_close(f.s);
}

static void a_purged_frame_is_free_and_remembered(void)
{
	struct fixture f;
	bool again;
	pfn_t pfn;

	setup(&f);
	pfn = alloc(&f, f.a);
	arm(&f, 0, pfn, 0, 0);
	CU_ASSERT_EQUAL(pool_purge(f.s->pool.pool, 1, CLIENT_NONE, &again), 1);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "\nfree\n", "it was purged from client");
	shell_close(f.s);
}

static void a_shared_frame_names_who_has_it(void)
{
	struct fixture f;
	struct shell_client b;
	uint64_t handle, result;
	pfn_t pfn;

	setup(&f);
	b = shell_attach(f.s, "web", 0);
	pfn = alloc(&f, f.a);
	CU_ASSERT_EQUAL(fixture_pool_share(&f.s->pool, f.a.id, pfn, CLIENT_NONE, &handle), 0);
	CU_ASSERT_EQUAL(fixture_pool_import(&f.s->pool, b.id, handle, &result), 0);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "shared by 2 clients: ", "(redis)", "(web)",
	       "when the last has put it");
	shell_close(f.s);
}

static void a_frame_of_somebody_who_ended(void)
{
	struct fixture f;
	pfn_t pfn;

	setup(&f);
	pfn = alloc(&f, f.a);
	pool_client_kill(f.s->pool.pool, f.a.id);
	EXPECT(ask(&f, WHY_PFN, pfn, 0), "its owner has ended");
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "has ended", "\nwait");
	while (!pool_client_sweep(f.s->pool.pool, f.a.id, 100))
		;
	CU_ASSERT_EQUAL(ask(&f, WHY_CLIENT, f.a.id, 0)->status, -ESRCH);
	shell_close(f.s);
}

/* A large table is looked through in slices, and what changes meanwhile is no guess. */
static void a_search_goes_on_in_slices(void)
{
	struct shell *s = shell_open(4 * INSPECT_SLICE);
	struct fixture f = {.s = s, .a = shell_attach(s, "big", 0), .admin = shell_observe(s, 0)};
	struct message why = {.kind = MESSAGE_WHY, .why = {.kind = WHY_PFN}};
	uint32_t got;
	uint64_t id, other;
	pfn_t pfn;

	CU_ASSERT_EQUAL_FATAL(pool_purge_table(s->pool.pool, f.a.id, 3 * INSPECT_SLICE, &got), 0);
	pfn = alloc(&f, f.a);
	arm(&f, 3 * INSPECT_SLICE - 1, pfn, 0, 1);
	s->hold_again = true;
	why.why.number = pfn;
	id = shell_say(s, f.admin, &why);
	CU_ASSERT_PTR_NULL(shell_reply(s, f.admin, id));
	/* One at a time. */
	other = shell_say(s, f.admin, &why);
	CU_ASSERT_EQUAL(shell_reply(s, f.admin, other)->status, -EBUSY);
	for (uint32_t i = 0; i < 8 && s->again; i++)
		shell_again(s);
	EXPECT(shell_reply(s, f.admin, id), "pinned 1 times");
	/* It is freed while it is looked for. */
	id = shell_say(s, f.admin, &why);
	CU_ASSERT_EQUAL(shell_free(s, f.a, pfn, 0)->status, 0);
	for (uint32_t i = 0; i < 8 && s->again; i++)
		shell_again(s);
	CU_ASSERT_EQUAL(shell_reply(s, f.admin, id)->status, -EAGAIN);
	/* Who asked is gone: the next one may ask. */
	(void)shell_say(s, f.admin, &why);
	shell_hang_up(s, f.admin);
	CU_ASSERT(!s->session->why.active);
	s->hold_again = false;
	shell_close(s);
}

/* --- clients --- */

static void a_client_is_told_apart_by_what_could_be_taken(void)
{
	struct fixture f;

	setup(&f);
	(void)shell_fill(f.s, f.a, 1000);
	for (uint32_t i = 0; i < 5; i++)
		arm(&f, i, i, 0, i == 0);
	shell_advance(f.s, 2 * SECOND); /* they are counted once a second */
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "(redis, pid ", "it holds ", "4 purgeable",
	       "1 are pinned", "in no cache: only their owner can free them",
	       "nobody is short, nothing is taken", "\nlet its owner free");
	shell_close(f.s);
}

static void a_client_within_its_min(void)
{
	struct fixture f;

	setup(&f);
	(void)alloc(&f, f.a);
	pool_client_set_limits(f.s->pool.pool, f.a.id, &(struct pool_limits){.min = 100});
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "min 100", "nothing is taken from it",
	       "\nto let reclaim have it, lower the min: pagectl set");
	shell_close(f.s);
}

static void a_client_that_is_away_and_since_when(void)
{
	struct fixture f;

	setup(&f);
	shell_hang_up(f.s, f.a.conn);
	shell_advance(f.s, 7 * SECOND);
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "is away", "ended 7 s ago", "\nit keeps its frames");
	shell_restart(f.s, true);
	f.admin = shell_observe(f.s, 0);
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "before this server began");
	shell_close(f.s);
}

static void a_client_that_waits(void)
{
	struct fixture f;
	struct shell_client b;
	uint64_t id;

	setup(&f);
	CU_ASSERT_EQUAL(shell_register(f.s, f.a, 1)->status, 0);
	(void)shell_fill(f.s, f.a, pool_watermark_min(f.s->pool.pool));
	b = shell_attach(f.s, "needy", 0);
	id = shell_alloc_on(f.s, b, 1, 0, 9000);
	CU_ASSERT_PTR_NULL(shell_reply(f.s, b.conn, id));
	shell_advance(f.s, 50 * MS);
	EXPECT(ask(&f, WHY_CLIENT, b.id, 0), "1 of its requests wait for frames",
	       "the first for 50 ms", "requests wait for 1 frames");
	shell_close(f.s);
}

/* --- caches --- */

static void a_cache_that_does_not_answer(void)
{
	struct fixture f;

	setup(&f);
	CU_ASSERT_EQUAL(shell_register(f.s, f.a, 1)->status, 0);
	EXPECT(ask(&f, WHY_CACHE, 1, f.a.id), "it was never asked",
	       "\nto ask it now: pagectl reclaim --cache");
	(void)shell_fill(f.s, f.a, pool_watermark_low(f.s->pool.pool) - 1);
	shell_event(f.s, &(struct session_event){.kind = EVENT_TICK});
	EXPECT(ask(&f, WHY_CACHE, 1, f.a.id), "no answer yet", "reclaim is under way");
	for (uint32_t i = 0; i < 60; i++)
		shell_advance(f.s, 100 * MS);
	EXPECT(ask(&f, WHY_CACHE, 1, f.a.id), "its breaker is open after", "\nsee why process ");
	EXPECT(ask(&f, WHY_CLIENT, f.a.id, 0), "left alone for", "\nsee why process ");
	shell_close(f.s);
}

static void what_is_not_there_is_said(void)
{
	struct fixture f;
	const struct message_reply *reply;

	setup(&f);
	reply = ask(&f, WHY_CLIENT, 9, 0);
	CU_ASSERT_EQUAL(reply->status, -ESRCH);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "pagectl clients"));
	CU_ASSERT_EQUAL(ask(&f, WHY_CLIENT, 0, 0)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask(&f, WHY_CLIENT, UINT32_MAX, 0)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask(&f, WHY_CACHE, 1, f.a.id)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask(&f, WHY_CACHE, 1, 0)->status, -ESRCH);
	CU_ASSERT_EQUAL(ask(&f, WHY_NR_KINDS, 1, 1)->status, -EINVAL);
	/* An observer without rights learns nothing of others. */
	f.admin = shell_observe(f.s, SHELL_UID);
	CU_ASSERT_EQUAL(ask(&f, WHY_CLIENT, f.a.id, 0)->status, -EPERM);
	shell_close(f.s);
}

/* The longest names and numbers: no fact is cut in two, and the advice is whole. */
static void a_crowded_answer_loses_whole_facts_only(void)
{
	struct fixture f;
	const struct message_reply *reply;
	struct shm_client *shown;
	char name[32];

	setup(&f);
	f.a = shell_attach(f.s, "a-name-of-thirty-one-characters", 0);
	for (uint32_t i = 1; i <= 5; i++)
		CU_ASSERT_EQUAL(shell_register(f.s, f.a, i)->status, 0);
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (pool_caches(f.s->pool.pool)[i].client == f.a.id) {
			pool_caches(f.s->pool.pool)[i].state = SHM_CACHE_OPEN;
			pool_caches(f.s->pool.pool)[i].breaker_until_ns = UINT64_MAX;
			memset(name, 'x', sizeof name - 1);
			memcpy(pool_caches(f.s->pool.pool)[i].name, name, sizeof name - 1);
		}
	(void)shell_fill(f.s, f.a, 100);
	shown = pool_client(f.s->pool.pool, f.a.id);
	shown->pid = shown->uid = UINT32_MAX;
	shown->nr_purgeable = shown->nr_pinned = 1000;
	shown->nr_reclaimed = shown->nr_purged = UINT64_MAX;
	reply = ask(&f, WHY_CLIENT, f.a.id, 0);
	EXPECT(reply, "a-name-of-thirty-one-characters", "can be taken", "\nsee why process ");
	CU_ASSERT_STRING_EQUAL(reply->text + strlen(reply->text) - 19,
			       "dispatch is not called" + 3);
	shown->nr_purgeable = shown->nr_pinned = 0;
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (pool_caches(f.s->pool.pool)[i].client == f.a.id)
			pool_caches(f.s->pool.pool)[i].state = SHM_CACHE_READY;
	shell_close(f.s);
}

CU_TestInfo test_why[] = {
	{"a frame that its owner alone can free", a_frame_that_its_owner_alone_can_free},
	{"a free frame and a hole", a_free_frame_and_a_hole},
	{"the largest free block is published", the_largest_free_block_is_published},
	{"a frame in a magazine is found there", a_frame_in_a_magazine_is_found_there},
	{"a pinned frame and how often", a_pinned_frame_and_how_often},
	{"what is older goes first and is counted", what_is_older_goes_first_and_is_counted},
	{"a dear neighbour does not go first", a_dear_neighbour_does_not_go_first},
	{"a purged frame is free and remembered", a_purged_frame_is_free_and_remembered},
	{"a shared frame names who has it", a_shared_frame_names_who_has_it},
	{"a frame of somebody who ended", a_frame_of_somebody_who_ended},
	{"a search goes on in slices", a_search_goes_on_in_slices},
	{"a client is told apart by what could be taken",
	 a_client_is_told_apart_by_what_could_be_taken},
	{"a client within its min", a_client_within_its_min},
	{"a client that is away and since when", a_client_that_is_away_and_since_when},
	{"a client that waits", a_client_that_waits},
	{"a cache that does not answer", a_cache_that_does_not_answer},
	{"what is not there is said", what_is_not_there_is_said},
	{"a crowded answer loses whole facts only", a_crowded_answer_loses_whole_facts_only},
	CU_TEST_INFO_NULL,
};
