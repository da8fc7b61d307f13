/* tests/crash/test_client_crash.c - the client is stopped, or dies, at every instruction of the
 * inline pop and push and of their bulk forms.
 *
 * Stopped: the daemon steals every magazine at that very point, then the client goes on to the end.
 * It may find less than it hoped for; but what it holds and what its magazine holds are its own,
 * each once. Dead: the daemon, which never looks at the client's memory for it, has every frame
 * back.
 *
 * The code stepped through is the code that programs compile in (pageclient/fast.h) and the
 * library's (client/magazine.c). Here the slow paths give up at once. */
#include "client/client_private.h"

#include "client/near.h"
#include "tests/crash/step.h"
#include "tests/support/claim_all.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD_MAX 32u

__thread struct pageclient_fast_v1 *pageclient_fast_v1 __attribute__((tls_model("initial-exec")));

void *pageclient_alloc_slow(pageclient *client, unsigned order, unsigned flags)
{
	(void)client;
	(void)order;
	(void)flags;
	return NULL;
}

void pageclient_free_slow(pageclient *client, void *frame, unsigned order)
{
	(void)client;
	(void)frame;
	(void)order;
	abort(); /* the magazine of these tests is never full */
}

/* What the client believes to hold, in memory that the parent sees. */
struct script {
	struct world world;
	pageclient client;
	struct pageclient_orders_v1 near; /* each is the hot one */
	struct magazine magazine;
	uint32_t *n_held;
	uint32_t *held; /* pfns */
};

static void script_open(struct script *s)
{
	uint64_t count;

	memset(s, 0, sizeof *s);
	world_open(&s->world, 64);
	CU_ASSERT_EQUAL(pool_refill(s->world.pool, 1, 0, MAGAZINE_HOT, 0, &count), 0);
	CU_ASSERT_EQUAL(count, 16);
	s->n_held = mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->n_held == MAP_FAILED)
		abort();
	s->held = s->n_held + 1;
	s->client.page_shift = 12;
	s->client.data = (char *)(uintptr_t)(UINT64_C(1) << 40); /* never touched */
	s->client.data_bytes = 64 << 12;
	s->client.data_mask = s->client.data_bytes - 1;
	s->client.nr_frames = 64;
	s->client.slots_write = slots_writer(64);
	s->magazine.bottom = world_bottom(&s->world, 1, MAGAZINE_HOT);
	s->magazine.head = pool_head(s->world.pool, 1, 0, MAGAZINE_HOT);
	s->magazine.slot =
		(uint32_t *)(void *)(s->world.ctl[1] + shm_ctl_slots_offset(0, MAGAZINE_HOT));
	s->magazine.mask = SHM_HOT_SLOTS_FIRST - 1;
	s->near.fast = (struct pageclient_fast_v1){
		.client = &s->client,
		.bottom = s->magazine.bottom,
		.head = (const struct pageclient_head_v1 *)(const void *)s->magazine.head,
		.slot = s->magazine.slot,
		.mask = s->magazine.mask,
		.data = s->client.data,
		.shift = 12};
	for (unsigned order = 0; order < PAGECLIENT_ORDERS_V1; order++)
		s->near.magazine[order] =
			(struct pageclient_magazine_v1){.bottom = s->near.fast.bottom,
							.head = s->near.fast.head,
							.slot = s->near.fast.slot,
							.mask = s->near.fast.mask};
}

static void script_close(struct script *s)
{
	(void)munmap(s->n_held, SHM_PAGE);
	world_close(&s->world);
}

static uint32_t pfn_of(const struct script *s, const void *frame)
{
	return (uint32_t)((size_t)((const char *)frame - s->client.data) >> 12);
}

static void *frame_of(const struct script *s, uint32_t pfn)
{
	return s->client.data + ((size_t)pfn << 12);
}

/* --- what the client does ------------------------------------------------------------------------
 */

static void pop_and_push(struct script *s)
{
	pageclient_fast_v1 = &s->near.fast;
	for (int i = 0; i < 3; i++) {
		void *frame = pageclient_alloc(&s->client, 0, 0);

		if (frame)
			s->held[(*s->n_held)++] = pfn_of(s, frame);
	}
	for (int i = 0; i < 2 && *s->n_held; i++)
		pageclient_free(&s->client, frame_of(s, s->held[--*s->n_held]), 0);
}

/* An order that the compiler does not know takes the other way through the same functions. */
static void pop_and_push_of_any_order(struct script *s)
{
	static volatile unsigned any;
	unsigned order = any;
	void *frame;

	pageclient_fast_v1 = &s->near.fast;
	for (int i = 0; i < 3; i++) {
		frame = pageclient_alloc(&s->client, order, 0);
		if (frame)
			s->held[(*s->n_held)++] = pfn_of(s, frame);
	}
	for (int i = 0; i < 2 && *s->n_held; i++)
		pageclient_free(&s->client, frame_of(s, s->held[--*s->n_held]), order);
}

static void pop_and_push_in_bulk(struct script *s)
{
	void *frames[8];
	enum magazine_stop stop;
	size_t n = magazine_pop(&s->magazine, &s->client, frames, 8);

	for (size_t i = 0; i < n; i++)
		s->held[(*s->n_held)++] = pfn_of(s, frames[i]);
	for (n = 0; n < 5 && *s->n_held; n++)
		frames[n] = frame_of(s, s->held[--*s->n_held]);
	(void)magazine_push(&s->magazine, &s->client, frames, n, 0, &stop);
}

/* The same by the way that is taken where all are there in a row. */
static void pop_and_push_in_a_row(struct script *s)
{
	void *frames[8];
	size_t n = near_pop(s->near.magazine, &s->client, frames, 8) ? 8 : 0;

	for (size_t i = 0; i < n; i++)
		s->held[(*s->n_held)++] = pfn_of(s, frames[i]);
	for (n = 0; n < 5 && *s->n_held; n++)
		frames[n] = frame_of(s, s->held[--*s->n_held]);
	if (!near_push(s->near.magazine, &s->client, frames, n, 0))
		abort();
}

/* --- stepping ------------------------------------------------------------------------------------
 */

enum end { GOES_ON, DIES };

/* Runs op in a child for `steps` instructions. true: it is stopped there and not at its end. */
static bool stop_after(struct script *s, void (*op)(struct script *s), uint64_t steps,
		       pid_t *ret_pid, bool *ret_skipped)
{
	int signal = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		(void)raise(SIGSTOP);
		op(s);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	*ret_pid = pid;
	*ret_skipped = !step_wait(pid, &signal);
	for (uint64_t i = 0; i < steps && !*ret_skipped; i++)
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || !step_wait(pid, &signal) ||
		    signal != SIGTRAP)
			return false;
	return !*ret_skipped;
}

static void steal_all(struct world *w)
{
	if (claim_all(w->pool, CLIENT_NONE, false))
		(void)pool_settle(w->pool);
	CU_ASSERT_EQUAL(pool_next_hostile(w->pool), CLIENT_NONE);
}

/* Held and cached frames are client 1's, each once, and it owns no other. */
static void check_owned_once(struct script *s)
{
	const struct world *w = &s->world;
	uint64_t top = s->magazine.head->top, bottom = *s->magazine.bottom;
	uint8_t seen[64] = {0};
	uint64_t n = *s->n_held;

	for (uint32_t i = 0; i < *s->n_held; i++)
		seen[s->held[i]]++;
	for (uint64_t i = top; (int64_t)(bottom - i) > 0; i++, n++)
		seen[s->magazine.slot[i & s->magazine.mask]]++;
	for (pfn_t pfn = 0; pfn < 64; pfn++) {
		struct page_word word = page_get(w->pool->buddy.map, pfn);

		CU_ASSERT_EQUAL(seen[pfn], word.state == PAGE_OWNED && word.owner == 1);
	}
	CU_ASSERT_EQUAL(n, pool_client(w->pool, 1)->nr_owned);
}

/* false: op was over before so many instructions. */
static bool run_one(void (*op)(struct script *s), uint64_t steps, enum end end, bool *ret_skipped)
{
	char text[160];
	struct script s;
	int signal;
	pid_t pid;
	bool more;

	script_open(&s);
	more = stop_after(&s, op, steps, &pid, ret_skipped);
	if (more) {
		steal_all(&s.world);
		if (end == GOES_ON) {
			(void)ptrace(PTRACE_CONT, pid, NULL, NULL);
			CU_ASSERT(step_wait(pid, &signal) && signal == SIGSTOP);
			check_owned_once(&s);
		}
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	pool_client_kill(s.world.pool, 1);
	while (!pool_client_sweep(s.world.pool, 1, 4))
		;
	CU_ASSERT_EQUAL(pool_nr_free(s.world.pool), 64);
	CU_ASSERT_EQUAL(pool_check(s.world.pool, text, sizeof text), 0);
	script_close(&s);
	return more;
}

static void run_all(const char *name, void (*op)(struct script *s), enum end end)
{
	bool skipped = false;
	uint64_t steps = 0;

	while (run_one(op, steps, end, &skipped) && !skipped)
		steps++;
	if (skipped) {
		printf("  %s: ptrace is not permitted here, skipped\n", name);
		return;
	}
	printf("  %-24s %s at each of %lu instructions\n", name,
	       end == DIES ? "killed" : "stopped and stolen from", (unsigned long)steps);
	CU_ASSERT(steps > 50);
}

static void a_client_stopped_anywhere_in_pop_and_push_loses_nothing(void)
{
	run_all("pop, push", pop_and_push, GOES_ON);
	run_all("of any order", pop_and_push_of_any_order, GOES_ON);
}

static void a_client_stopped_anywhere_in_the_bulk_calls_loses_nothing(void)
{
	run_all("bulk pop, bulk push", pop_and_push_in_bulk, GOES_ON);
	run_all("in a row", pop_and_push_in_a_row, GOES_ON);
}

static void a_client_killed_anywhere_gives_every_frame_back(void)
{
	run_all("pop, push", pop_and_push, DIES);
	run_all("of any order", pop_and_push_of_any_order, DIES);
	run_all("bulk pop, bulk push", pop_and_push_in_bulk, DIES);
	run_all("in a row", pop_and_push_in_a_row, DIES);
}

CU_TestInfo test_client_crash[] = {
	{"a_client_stopped_anywhere_in_pop_and_push_loses_nothing",
	 a_client_stopped_anywhere_in_pop_and_push_loses_nothing},
	{"a_client_stopped_anywhere_in_the_bulk_calls_loses_nothing",
	 a_client_stopped_anywhere_in_the_bulk_calls_loses_nothing},
	{"a_client_killed_anywhere_gives_every_frame_back",
	 a_client_killed_anywhere_gives_every_frame_back},
	CU_TEST_INFO_NULL,
};
