/* tests/unit/test_look.c - Look: which frames of a client lie in magazines, and which may be
 * purged; and that no lie in its CTL shows what is not its own. */
#include "daemon/core/inspect_list.h"
#include "daemon/core/purge.h"
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_FRAMES 4096u
#define SLOTS 2048u

struct fixture {
	struct shell *s;
	struct shell_client a, b;
	uint32_t admin;
	bool seen[NR_FRAMES];
	uint32_t n_seen, n_requests;
};

static void setup(struct fixture *f)
{
	uint32_t got;

	memset(f, 0, sizeof(*f));
	f->s = shell_open(NR_FRAMES);
	f->a = shell_attach(f->s, "redis", 0);
	f->b = shell_attach(f->s, "other", 0);
	f->admin = shell_observe(f->s, 0);
	CU_ASSERT_EQUAL_FATAL(pool_purge_table(f->s->pool.pool, f->a.id, SLOTS, &got), 0);
}

static const struct message_reply *ask(struct fixture *f, uint32_t kind, uint32_t client,
				       uint64_t at)
{
	return shell_ask(f->s, f->admin,
			 &(struct message){.kind = MESSAGE_LOOK,
					   .look = {.client = client, .kind = kind, .at = at}});
}

/* All slices; each frame that is told is noted once. */
static void look(struct fixture *f, enum look_kind kind)
{
	memset(f->seen, 0, sizeof(f->seen));
	f->n_seen = f->n_requests = 0;
	for (uint64_t at = 0; at != LOOK_END && f->n_requests < 1000; f->n_requests++) {
		const struct message_reply *reply = ask(f, kind, f->a.id, at);
		const char *line = reply->text;
		unsigned first, n;

		CU_ASSERT_EQUAL_FATAL(reply->status, 0);
		for (; sscanf(line, "%x %x", &first, &n) == 2; line = strchr(line, '\n') + 1)
			for (unsigned i = first; i < first + n; i++) {
				CU_ASSERT_TRUE_FATAL(i < NR_FRAMES && !f->seen[i]);
				f->seen[i] = true;
				f->n_seen++;
			}
		at = reply->result;
	}
}

static void arm(struct fixture *f, uint32_t slot, pfn_t pfn, uint32_t pins)
{
	purge_table(f->s->pool.pool, f->a.id)[slot] =
		purge_pack((struct purge_entry){.pfn = pfn, .stamp = 1, .pins = pins});
}

static pfn_t alloc(struct fixture *f, struct shell_client client, order_t order)
{
	const struct message_reply *reply = shell_alloc(f->s, client, order, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	return (pfn_t)(reply->result >> 32);
}

static void what_lies_in_magazines_is_told(void)
{
	struct fixture f;
	uint64_t n;
	pfn_t pfn;

	setup(&f);
	look(&f, LOOK_MAGAZINES);
	CU_ASSERT_EQUAL(f.n_seen, 0);
	n = shell_refill(f.s, f.a, MAGAZINE_HOT, 0)->count;
	look(&f, LOOK_MAGAZINES);
	CU_ASSERT_EQUAL(f.n_seen, n);
	pfn = fixture_pool_pop(&f.s->pool, f.a.id, 0, MAGAZINE_HOT);
	look(&f, LOOK_MAGAZINES);
	CU_ASSERT_EQUAL(f.n_seen, n - 1);
	CU_ASSERT_FALSE(f.seen[pfn]);
	/* a block has all its frames */
	CU_ASSERT_EQUAL(shell_refill(f.s, f.a, MAGAZINE_ORDER_1 + 2, 0)->status, 0);
	look(&f, LOOK_MAGAZINES);
	CU_ASSERT_EQUAL(
		f.n_seen,
		n - 1 + 8 * fixture_pool_count(&f.s->pool, f.a.id, 0, MAGAZINE_ORDER_1 + 2));
	shell_close(f.s);
}

/* More runs than one reply has room for. */
static void what_may_be_purged_is_told_in_slices(void)
{
	struct fixture f;
	pfn_t kept[100];

	setup(&f);
	for (uint32_t i = 0; i < 100; i++) {
		kept[i] = alloc(&f, f.a, 0);
		arm(&f, 20 * i, kept[i], 0);
		(void)alloc(&f, f.b, 0); /* so that no two lie side by side */
	}
	arm(&f, 1, alloc(&f, f.a, 0), 3); /* pinned */
	arm(&f, 2, alloc(&f, f.a, 2), 0); /* four frames */
	look(&f, LOOK_PURGEABLE);
	CU_ASSERT_EQUAL(f.n_seen, 104);
	CU_ASSERT_TRUE(f.n_requests >= 100 / INSPECT_RUNS);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_TRUE(f.seen[kept[i]]);
	shell_close(f.s);
}

static void neighbours_are_one_run(void)
{
	struct fixture f;

	setup(&f);
	for (uint32_t i = 0; i < 500; i++)
		arm(&f, i, alloc(&f, f.a, 0), 0);
	look(&f, LOOK_PURGEABLE);
	CU_ASSERT_EQUAL(f.n_seen, 500);
	CU_ASSERT_TRUE(f.n_requests < 5);
	shell_close(f.s);
}

static void a_lie_shows_nothing_of_others(void)
{
	struct fixture f;
	pfn_t theirs, free_frame;

	setup(&f);
	theirs = alloc(&f, f.b, 0);
	free_frame = NR_FRAMES - 1;
	arm(&f, 0, theirs, 0);
	arm(&f, 1, free_frame, 0);
	arm(&f, 2, NR_FRAMES, 0);
	arm(&f, 3, UINT32_MAX - 1, 0);
	look(&f, LOOK_PURGEABLE);
	CU_ASSERT_EQUAL(f.n_seen, 0);
	CU_ASSERT_EQUAL(shell_refill(f.s, f.a, MAGAZINE_HOT, 0)->status, 0);
	*fixture_pool_bottom(&f.s->pool, f.a.id, 0, MAGAZINE_HOT) += UINT64_C(1) << 40;
	look(&f, LOOK_MAGAZINES);
	CU_ASSERT_EQUAL(f.n_seen, 0);
	*fixture_pool_bottom(&f.s->pool, f.a.id, 0, MAGAZINE_HOT) -= UINT64_C(1) << 40;
	shell_close(f.s);
}

/* Or a client's word would give mem_map memory, and be a SIGBUS where there is none. */
static void a_word_that_has_no_memory_is_not_looked_at(void)
{
	struct fixture f;

	setup(&f);
	(void)alloc(&f, f.b, 0); /* the first word of all has memory */
	arm(&f, 0, alloc(&f, f.a, 0), 0);
	CU_ASSERT_NOT_EQUAL(purge_unpack(*purge_table(f.s->pool.pool, f.a.id)).pfn, 0);
	f.s->pool.pool->map_ready[0] = 0;
	look(&f, LOOK_PURGEABLE);
	f.s->pool.pool->map_ready[0] = 1;
	CU_ASSERT_EQUAL(f.n_seen, 0);
	shell_close(f.s);
}

static void any_number_is_answered(void)
{
	struct fixture f;

	setup(&f);
	CU_ASSERT_EQUAL(ask(&f, LOOK_NR_KINDS, f.a.id, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask(&f, LOOK_MAGAZINES, 0, 0)->status, -EINVAL);
	CU_ASSERT_EQUAL(ask(&f, LOOK_MAGAZINES, SHM_MAX_CLIENTS + 1, 0)->status, -EINVAL);
	for (uint32_t kind = 0; kind < LOOK_NR_KINDS; kind++) {
		CU_ASSERT_EQUAL(ask(&f, kind, SHM_MAX_CLIENTS, 0)->result, LOOK_END);
		CU_ASSERT_EQUAL(ask(&f, kind, f.a.id, UINT64_MAX)->result, LOOK_END);
		CU_ASSERT_EQUAL(ask(&f, kind, f.a.id, UINT32_MAX)->result, LOOK_END);
	}
	shell_close(f.s);
}

static void only_an_administrator_may_look(void)
{
	struct fixture f;
	uint32_t stranger;

	setup(&f);
	stranger = shell_observe(f.s, SHELL_UID + 1);
	CU_ASSERT_EQUAL(
		shell_ask(f.s, stranger,
			  &(struct message){.kind = MESSAGE_LOOK, .look = {.client = f.a.id}})
			->status,
		-EPERM);
	shell_close(f.s);
}

CU_TestInfo test_look[] = {
	{"what lies in magazines is told", what_lies_in_magazines_is_told},
	{"what may be purged is told in slices", what_may_be_purged_is_told_in_slices},
	{"neighbours are one run", neighbours_are_one_run},
	{"a lie shows nothing of others", a_lie_shows_nothing_of_others},
	{"a word that has no memory is not looked at", a_word_that_has_no_memory_is_not_looked_at},
	{"any number is answered", any_number_is_answered},
	{"only an administrator may look", only_an_administrator_may_look},
	CU_TEST_INFO_NULL,
};
