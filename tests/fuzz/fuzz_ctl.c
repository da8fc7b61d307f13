/* tests/fuzz/fuzz_ctl.c - a client that writes anything into its CTL, at any moment between two
 * looks of the daemon, beside one that is honest.
 *
 * The input is a schedule of what the daemon does (grant, drain, claim, settle, tick, restart, even
 * in the middle of a steal), what the liar writes and asks for, and what the honest client pops,
 * pushes, allocates and shares. Whatever the liar does:
 *   what the honest client has in hand stays its own, unless it lies unpinned in its purge table,
 *   and what it pops is new to it (I2);
 *   only the liar is ever found hostile;
 *   the audit holds (I1 to I8), but for the liar's bottoms;
 *   when both are gone every frame is free (I5). */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/honest.h"
#include "tests/fuzz/world.h"

#include <string.h>

#define NR_FRAMES 2048u
#define STEPS_MAX 512u
#define DEATHS_MAX 64u /* of the liar; each new one gets a CTL */
#define RESTARTS_MAX 2u

enum step {
	STEP_REFILL,
	STEP_DRAIN,
	STEP_CLAIM,
	STEP_CLAIM_ALL,
	STEP_CLAIM_THREAD,
	STEP_SETTLE,
	STEP_TICK,
	STEP_ASK,
	STEP_BOTTOM,
	STEP_SLOT,
	STEP_SCRIBBLE,
	STEP_POP,
	STEP_PUSH,
	STEP_HONEST_ASK,
	STEP_DIE,
	STEP_RESTART,
};

/* --- the liar ends ------------------------------------------------------------------------------
 */

static void end_liar(struct story *story)
{
	fixture_pool_kill(story->pool, story->liar);
	story->liar = CLIENT_NONE;
	if (story->n_deaths++ < DEATHS_MAX)
		story->liar = fixture_pool_client(story->pool, NR_FRAMES / 2);
}

/* As the session does, never with claims under way. */
static void end_hostile(struct story *story)
{
	client_id client;

	while ((client = pool_next_hostile(story->pool->pool)) != CLIENT_NONE) {
		CU_ASSERT_EQUAL_FATAL(client, story->liar);
		end_liar(story);
	}
}

static void settle(struct story *story, bool ok)
{
	if (pool_nr_claims(story->pool->pool) == 0)
		return;
	if (ok)
		(void)pool_settle(story->pool->pool);
	else
		pool_unclaim(story->pool->pool);
	end_hostile(story);
	honest_check(story);
}

/* --- what the daemon does -----------------------------------------------------------------------
 */

static void drain(struct story *story, client_id client, uint32_t thread, uint32_t magazine)
{
	uint64_t count;
	bool steal;

	if (pool_drain_request(story->pool->pool, client, thread, magazine, &count, &steal) == 0 &&
	    steal)
		(void)pool_claim(story->pool->pool, client, thread, magazine, count);
	else
		end_hostile(story);
}

static void claim_slice(struct pool *pool, client_id client, bool idle_only)
{
	struct pool_pass pass = pool_pass_begin(pool, client, idle_only);

	(void)pool_claim_pass(pool, &pass);
}

/* The generation moves, and n frames are purged. */
static void tick(struct story *story, client_id client, uint64_t n)
{
	bool again;

	pool_tick(story->pool->pool);
	if (n)
		(void)pool_purge(story->pool->pool, n, client, &again);
	honest_forget_purged(story);
}

/* In the middle of a steal if one is under way. */
static void restart(struct story *story)
{
	if (story->n_restarts++ >= RESTARTS_MAX)
		return;
	fixture_pool_reattach(story->pool);
	CU_ASSERT_EQUAL_FATAL(story->pool->nr_bad, 0);
}

/* --- what the liar does -------------------------------------------------------------------------
 */

/* Most of all the hot one, where the honest client's frames would fit. */
static uint32_t magazine_of(uint32_t what)
{
	return what & 2u ? what / 4 % MAGAZINE_COUNT : MAGAZINE_HOT;
}

static void write_bottom(struct story *story, struct fuzz_input *input)
{
	uint32_t what = fuzz_byte(input);
	uint32_t thread = what % FIXTURE_THREADS, magazine = magazine_of(what);
	uint64_t n = fuzz_number(input, 2);
	uint64_t top = pool_head(story->pool->pool, story->liar, thread, magazine)->top;

	if (what < 200)
		n += top - 256;
	else
		n = n << 48 | fuzz_number(input, 6);
	*fixture_pool_bottom(story->pool, story->liar, thread, magazine) = n;
}

/* Slots near the top, where grants and steals look. */
static void write_slot(struct story *story, struct fuzz_input *input)
{
	uint32_t what = fuzz_byte(input);
	uint32_t thread = what % FIXTURE_THREADS, magazine = magazine_of(what);
	uint64_t top = pool_head(story->pool->pool, story->liar, thread, magazine)->top;
	uint64_t at = top + fuzz_byte(input) - 8;
	uint32_t pfn = (uint32_t)fuzz_number(input, 2);

	/* Most of all what is the honest client's. */
	if (what >= 128 && story->n_hands)
		pfn = story->hand[pfn % story->n_hands].pfn;
	else if (what >= 64)
		pfn = pfn << 16 | pfn;
	*fixture_pool_slot(story->pool, story->liar, thread, magazine, at) = pfn;
}

/* A run of one byte anywhere: header, bottoms, slots, purge table; a hole that was punched. */
static void scribble(struct story *story, struct fuzz_input *input)
{
	uint64_t bytes = shm_ctl_bytes(FIXTURE_THREADS, NR_FRAMES);
	uint64_t from = fuzz_number(input, 3) % bytes;
	uint64_t n = fuzz_number(input, 2);
	uint8_t value = fuzz_byte(input);

	if (n > bytes - from)
		n = bytes - from;
	memset(story->pool->ctl[story->liar] + from, value, n);
}

/* Requests with any numbers; what is refused is refused. */
static void ask(struct story *story, struct fuzz_input *input)
{
	uint32_t what = fuzz_byte(input), nr_slots;
	client_id to = what & 8 ? story->honest : story->liar;
	pfn_t pfn = (pfn_t)fuzz_number(input, 2);
	uint64_t result;

	if (what & 16 && story->n_hands)
		pfn = story->hand[pfn % story->n_hands].pfn;
	switch (what & 7u) {
	case 0:
		(void)fixture_pool_try_alloc(story->pool, story->liar, pfn % (ORDER_MAX + 2), &pfn);
		break;
	case 1:
		(void)fixture_pool_free(story->pool, story->liar, pfn, what >> 5);
		break;
	case 2:
		(void)fixture_pool_share(story->pool, story->liar, pfn, to, &result);
		break;
	case 3:
		result = (uint64_t)pfn << 32 | fixture_pool_word(story->pool, pfn % NR_FRAMES).gen;
		(void)fixture_pool_import(story->pool, story->liar, result, &result);
		break;
	case 4:
		(void)fixture_pool_put(story->pool, story->liar, pfn);
		break;
	case 5:
		(void)pool_purge_table(story->pool->pool, story->liar, pfn, &nr_slots);
		break;
	default:
		(void)pool_pcp_create(story->pool->pool, story->liar, pfn);
		break;
	}
}

/* --- the story ----------------------------------------------------------------------------------
 */

/* What the daemon does between claim and settle is nothing: all else settles first. */
static bool may_interrupt(enum step step)
{
	return step == STEP_CLAIM || step == STEP_CLAIM_ALL || step == STEP_CLAIM_THREAD ||
	       step == STEP_SETTLE || (step >= STEP_BOTTOM && step <= STEP_PUSH) ||
	       step == STEP_RESTART;
}

static void daemon_step(struct story *story, enum step step, client_id client,
			struct fuzz_input *input)
{
	struct pool *pool = story->pool->pool;
	uint32_t what = fuzz_byte(input);
	uint32_t thread = what % FIXTURE_THREADS, magazine = what / 2 % MAGAZINE_COUNT;
	uint64_t n = fuzz_byte(input);

	if (step == STEP_REFILL)
		(void)fixture_pool_refill(story->pool, client, thread, magazine);
	else if (step == STEP_DRAIN)
		drain(story, client, thread, magazine);
	else if (step == STEP_CLAIM)
		(void)pool_claim(pool, client, thread, magazine, n == 255 ? UINT64_MAX : n);
	else if (step == STEP_CLAIM_ALL)
		claim_slice(pool, n & 1 ? client : CLIENT_NONE, n & 2);
	else if (step == STEP_CLAIM_THREAD)
		(void)pool_claim_thread(pool, client, thread, n);
	else if (step == STEP_SETTLE)
		settle(story, n % 8);
	else if (step == STEP_TICK)
		tick(story, n & 1 ? client : CLIENT_NONE, n / 2);
	if (pool_nr_claims(pool) == 0)
		end_hostile(story);
}

static void liar_step(struct story *story, enum step step, struct fuzz_input *input)
{
	if (step == STEP_ASK)
		ask(story, input);
	else if (step == STEP_BOTTOM)
		write_bottom(story, input);
	else if (step == STEP_SLOT)
		write_slot(story, input);
	else if (step == STEP_SCRIBBLE)
		scribble(story, input);
	else if (step == STEP_DIE)
		end_liar(story);
}

static void step(struct story *story, struct fuzz_input *input)
{
	uint8_t byte = fuzz_byte(input);
	enum step step = (enum step)(byte & 15u);
	uint32_t thread = byte >> 4 & 1u;
	client_id client = byte & 0x80 ? story->honest : story->liar;
	uint32_t a, b;

	if (!may_interrupt(step))
		settle(story, true);
	if (step <= STEP_TICK) {
		if (client != CLIENT_NONE)
			daemon_step(story, step, client, input);
	} else if (step == STEP_POP) {
		honest_pop(story, thread, fuzz_byte(input) % MAGAZINE_COUNT);
	} else if (step == STEP_PUSH) {
		honest_push(story, thread, fuzz_byte(input));
	} else if (step == STEP_HONEST_ASK) {
		a = fuzz_byte(input);
		b = fuzz_byte(input);
		honest_ask(story, a, b);
	} else if (step == STEP_RESTART) {
		restart(story);
	} else if (story->liar != CLIENT_NONE) {
		liar_step(story, step, input);
	}
	honest_check(story);
}

static void end(struct story *story)
{
	struct fixture_pool *f = story->pool;
	char text[SHM_TEXT_BYTES];
	int r;

	settle(story, true);
	for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
			honest_check_magazine(story, t, m);
	r = pool_check(f->pool, text, sizeof text);
	(void)CU_assertImplementation(r == 0 || r == POOL_HOSTILE, __LINE__, text, __FILE__, "",
				      CU_TRUE);
	(void)pool_note_liars(f->pool);
	end_hostile(story);
	if (story->liar != CLIENT_NONE)
		fixture_pool_kill(f, story->liar);
	FIXTURE_AUDIT(f);
	honest_check(story);
	while (story->n_hands)
		honest_return(story, 0, false);
	fixture_pool_kill(f, story->honest);
	FIXTURE_AUDIT(f);
	CU_ASSERT_EQUAL_FATAL(pool_nr_free(f->pool), NR_FRAMES);
}

/* Both are attached and hold something. */
static void start(struct story *story)
{
	struct fixture_pool *pool = fixture_memory_new(sizeof *pool);
	uint32_t nr_slots;

	story->pool = pool;
	fixture_pool_open(pool, NR_FRAMES);
	fixture_pool_commit_all(pool);
	story->liar = fixture_pool_client(pool, NR_FRAMES / 2);
	story->honest = fixture_pool_client(pool, 0);
	CU_ASSERT_EQUAL_FATAL(pool_purge_table(pool->pool, story->honest, SLOTS, &nr_slots), 0);
	(void)fixture_pool_refill(pool, story->liar, 0, MAGAZINE_HOT);
	(void)fixture_pool_refill(pool, story->honest, 0, MAGAZINE_HOT);
	for (uint32_t i = 0; i < 4; i++)
		honest_pop(story, 0, MAGAZINE_HOT);
	world_keep();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct story first;
	struct fuzz_input input = {data, data + bytes};
	struct story story;

	if (first.pool)
		world_reset();
	else
		start(&first);
	story = first;
	for (uint32_t i = 0; i < STEPS_MAX && input.at < input.end; i++)
		step(&story, &input);
	end(&story);
	return 0;
}
