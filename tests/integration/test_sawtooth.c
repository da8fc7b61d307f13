/* tests/integration/test_sawtooth.c - pressure that comes and goes, tooth after tooth.
 *
 *   up     the tooth allocates two fifths of the segment; what is missing comes from a cache of
 *          purgeable frames, and below that one's min from a shrinker whose scans take their time
 *   peak   reclaim has reached its goal: how much more than that was taken?
 *   down   the tooth gives everything back, and both caches are filled again
 *
 * What has to hold in each period: no cache is ever empty, and what both lost is what the tooth
 * needed, up to the high watermark, and at most one batch more. (What a pass over all magazines
 * took back from the tooth while the last batch was on its way, at most a refill, was needed when
 * that was asked for.) Who takes long to answer is not counted on, and others are asked instead: a
 * period in which the shrinker had to wait for its processor says nothing about that, and one that
 * does is waited for. In the end `pagectl psi` is compared with what the tooth's own clock says:
 * the time of the allocations that waited, less what a request costs that needs no frame. Seconds
 * by --ops; ./dev sawtooth runs it for 60 (the figures are printed). */
#include "paged/bits.h"
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"
#include "tests/integration/raw.h"
#include "tests/support/runner.h"

#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

extern CU_TestInfo test_sawtooth[];

#define TOOTH 7000u
#define SLOTS 5000u
#define STACK 9000u
#define REFILL 16 /* as in config */
#define BATCH 128 /* objects of a scan when nothing else is said: the larger of the two batches */
/* Of so many seconds on what pagectl psi says is compared to the percent: in fewer, and beside all
 * other tests, one wait for the processor is some of them. */
#define EXACT_SECONDS 10
#define SCAN_NS HOLDER_SLOW_NS
static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n"
			     "[client name=purgeable]\nmin = 8M\n";

/* --- the cache of purgeable frames ---------------------------------------------------------- */

enum { CACHE_COUNT, CACHE_REFILL };

struct cache {
	const struct fixture *f;
};

static void rebuild(pageclient *client, pageclient_slot slot)
{
	void *frame = pageclient_alloc(client, 0, 0);

	CHILD_CHECK(frame && pageclient_purgeable_rearm(client, slot, frame) == 0);
	pageclient_unpin(client, slot);
}

/* Slots that have their frame; all of them, if the others are to get one. */
static uint64_t look_at_all(pageclient *client, const pageclient_slot *slots, bool refill)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SLOTS; i++) {
		if (pageclient_pin(client, slots[i])) {
			pageclient_unpin(client, slots[i]);
			n++;
		} else if (refill) {
			rebuild(client, slots[i]);
			n++;
		}
	}
	return n;
}

static int be_cache(int fd, void *arg)
{
	const struct cache *cache = arg;
	pageclient_slot *slots = calloc(SLOTS, sizeof(*slots));
	struct pageclient_options options;
	pageclient *client = NULL;
	uint64_t question;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = cache->f->socket;
	options.name = "purgeable";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	CHILD_CHECK(slots && pageclient_open(&options, &client) == 0);
	for (uint32_t i = 0; i < SLOTS; i++) {
		void *frame = pageclient_alloc(client, 0, 0);

		CHILD_CHECK(frame && pageclient_purgeable_new(client, frame, &slots[i]) == 0);
		pageclient_unpin(client, slots[i]);
	}
	CHILD_CHECK(child_say(fd, SLOTS));
	while (child_hear(fd, &question))
		CHILD_CHECK(child_say(fd, look_at_all(client, slots, question == CACHE_REFILL)));
	pageclient_close(client);
	free(slots);
	return 0;
}

static uint64_t ask_cache(const struct child *child, uint64_t question)
{
	uint64_t n = 0;

	CU_ASSERT_TRUE(child_say(child->fd, question) && child_hear(child->fd, &n));
	return n;
}

/* --- the tooth ------------------------------------------------------------------------------- */

struct saw {
	struct fixture f;
	struct observer observer;
	struct child cache, stack;
	pageclient *client;
	void *frame[TOOTH];
	uint64_t request_ns; /* that needs no frame */
	/* What is told in the end. */
	uint64_t periods, taken;
	uint64_t judged;             /* periods in which all answers came in time */
	uint64_t stalls, stalled_ns; /* all allocations that did not find a frame at once */
	uint64_t waits, waited_ns;   /* those of them that were not served by a purge */
	uint64_t naps, late_ns;      /* waits of a known time, and what they took more */
	uint64_t cache_least, stack_least;
	int64_t excess_most, excess_least;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static const struct shm_client *tooth_of(const struct saw *saw)
{
	return observer_find(&saw->observer, getpid(), "tooth");
}

static uint64_t free_frames(const struct saw *saw)
{
	return shm_load(&saw->observer.view.zones[0].nr_free);
}

static uint64_t goal(const struct saw *saw)
{
	return shm_load(&saw->observer.view.zones[0].watermark_high);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure_request(struct saw *saw)
{
	struct pageclient_status status;
	uint64_t ns[1000];

	PAGECLIENT_INIT(struct pageclient_status, &status);
	for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
		uint64_t begin = now_ns();

		CU_ASSERT_EQUAL(pageclient_read_status(saw->client, &status), 0);
		ns[i] = now_ns() - begin;
	}
	qsort(ns, sizeof(ns) / sizeof(ns[0]), sizeof(ns[0]), compare);
	saw->request_ns = ns[sizeof(ns) / sizeof(ns[0]) / 2];
}

/* On a busy machine whoever waits is late to come back: how much, is measured beside. */
static void nap(struct saw *saw)
{
	for (uint32_t i = 0; i < 5; i++) {
		uint64_t begin = now_ns();

		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, SCAN_NS}, NULL);
		saw->late_ns += now_ns() - begin - SCAN_NS;
		saw->naps++;
	}
}

/* Up. */
static void allocate(struct saw *saw)
{
	const struct shm_client *shown = tooth_of(saw);
	uint64_t stalls = shm_load(&shown->nr_stall);

	for (uint32_t i = 0; i < TOOTH; i++) {
		uint64_t begin = now_ns(), took, n;

		saw->frame[i] = pageclient_alloc(saw->client, 0, 0);
		took = now_ns() - begin;
		n = shm_load(&shown->nr_stall);
		CU_ASSERT_PTR_NOT_NULL_FATAL(saw->frame[i]);
		if (n == stalls)
			continue;
		stalls = n;
		saw->stalls++;
		saw->stalled_ns += took;
		if (took < SCAN_NS / 2)
			continue;
		saw->waits++;
		saw->waited_ns += took - bits_min(took, saw->request_ns);
	}
}

/* Has reclaim done what it wants to? It begins below low, and between low and high nothing tells
 * whether it is under way but that it goes on. */
static bool settles(const struct saw *saw)
{
	uint64_t low = shm_load(&saw->observer.view.zones[0].watermark_low), seen = 0, now;
	uint32_t n_same = 0;

	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		now = free_frames(saw);
		if (now >= goal(saw))
			return true;
		n_same = now == seen && now >= low ? n_same + 1 : 0;
		seen = now;
		if (n_same == 5)
			return true;
	}
	return false;
}

/* Caches' frames and the tooth's, and what is free. */
struct state {
	uint64_t cache, stack, tooth, free;
};

static struct state look(struct saw *saw, uint64_t what, uint64_t of_stack)
{
	struct state state;

	fixture_drain(&saw->f);
	state.cache = ask_cache(&saw->cache, what);
	state.stack = holder_ask(&saw->stack, of_stack);
	fixture_drain(&saw->f);
	state.free = free_frames(saw);
	state.tooth = shm_load(&tooth_of(saw)->nr_owned);
	CU_ASSERT_NOT_EQUAL(state.stack, UINT64_MAX);
	return state;
}

/* Upcalls that the shrinker has not answered in time so far, whether at all or not: in the time of
 * the last bucket but one, which is less than a wave waits. */
static uint64_t late_answers(const struct saw *saw)
{
	const struct shm_view *view = &saw->observer.view;
	uint64_t in_time = 0;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		const struct shm_cache *cache = &view->caches[i];

		if (shm_load32(&cache->state) == SHM_CACHE_FREE)
			continue;
		for (uint32_t k = 0; k + 1 < SHM_HISTOGRAM_BUCKETS; k++)
			in_time += shm_load32(&cache->latency_us.n[k]);
		return shm_load(&cache->nr_upcalls) - in_time;
	}
	return 0;
}

static void judge_excess(struct saw *saw, int64_t excess)
{
	CU_ASSERT_TRUE(excess <= BATCH + REFILL);
	saw->excess_most = excess > saw->excess_most ? excess : saw->excess_most;
	saw->excess_least = excess < saw->excess_least ? excess : saw->excess_least;
	saw->judged++;
}

static void run_period(struct saw *saw)
{
	struct state before = look(saw, CACHE_REFILL, HOLDER_REFILL), peak;
	uint64_t lost, needed, owned, late = late_answers(saw);

	allocate(saw);
	nap(saw);
	CU_ASSERT_TRUE(settles(saw));
	owned = shm_load(&tooth_of(saw)->nr_owned); /* with what is in its magazine */
	peak = look(saw, CACHE_COUNT, HOLDER_COUNT);
	lost = before.cache + before.stack - peak.cache - peak.stack;
	needed = owned - before.tooth + goal(saw);
	needed = needed > before.free ? needed - before.free : 0;
	if (late_answers(saw) == late)
		judge_excess(saw, (int64_t)lost - (int64_t)needed);
	CU_ASSERT_TRUE(lost > TOOTH / 4);
	saw->cache_least = peak.cache < saw->cache_least ? peak.cache : saw->cache_least;
	saw->taken += lost;
	saw->periods++;
	for (uint32_t i = 0; i < TOOTH; i++)
		pageclient_free(saw->client, saw->frame[i], 0);
}

static uint64_t psi_total_us(const struct saw *saw)
{
	json_t *root = fixture_ctl_json(&saw->f, "psi");
	uint64_t us = fixture_json_number(root, "some.total_us");

	json_decref(root);
	return us;
}

/* By the client's clock, less what any wait takes longer here. */
static uint64_t waited_us(const struct saw *saw)
{
	uint64_t late_ns = saw->waits * (saw->late_ns / bits_max(saw->naps, 1));

	return (saw->waited_ns - bits_min(saw->waited_ns, late_ns)) / 1000;
}

static void report(const struct saw *saw, uint64_t psi_us)
{
	printf("\n    %" PRIu64 " periods, %" PRIu64 " frames taken for %" PRIu64
	       " allocated; a period's excess %" PRId64 " to %" PRId64 " frames (batch %d)\n"
	       "    least that was left: %" PRIu64 " purgeable, %" PRIu64 " with the shrinker\n"
	       "    %" PRIu64 " stalls, %" PRIu64 " of them served by a purge at once; the others "
	       "%.3f s by the client's clock\n    (%.3f s less that it came back late), %.3f s by "
	       "pagectl psi\n    ",
	       saw->periods, saw->taken, saw->periods * TOOTH, saw->excess_least, saw->excess_most,
	       BATCH, saw->cache_least, saw->stack_least, saw->stalls, saw->stalls - saw->waits,
	       (double)saw->waited_ns / 1e9, (double)waited_us(saw) / 1e6, (double)psi_us / 1e6);
}

/* A tenth of the time, and two requests for each wait, may be the way to the daemon and back. Where
 * the tooth came back late the daemon may have been late, too: then the frames were. */
static bool agree(const struct saw *saw, uint64_t psi_us)
{
	uint64_t hand_us = waited_us(saw);
	uint64_t way_us = hand_us / 10 + saw->waits * 2 * saw->request_ns / 1000;

	return psi_us + way_us >= hand_us && psi_us <= saw->waited_ns / 1000 + way_us;
}

static void teeth_take_what_they_need_and_psi_tells_it(void)
{
	static struct saw saw; /* its frames are too many for the stack */
	struct holder holder = {&saw.f, "shrinker", HOLDER_SLOW, STACK, STACK};
	struct cache cache = {&saw.f};
	uint64_t seconds = runner_ops(2), end = clock_now_ms() + seconds * 1000, psi_us, n;
	uint64_t until = end + CLOCK_PATIENCE_MS;

	saw = (struct saw){
		.cache_least = SLOTS, .excess_least = INT64_MAX, .excess_most = INT64_MIN};
	CU_ASSERT_TRUE(fixture_open(&saw.f, config));
	CU_ASSERT_TRUE(observer_open(&saw.observer, &saw.f));
	CU_ASSERT_TRUE(child_start(&saw.cache, be_cache, &cache) &&
		       child_expect(saw.cache.fd, SLOTS));
	CU_ASSERT_TRUE(holder_start(&saw.stack, &holder, &n));
	CU_ASSERT_EQUAL(n, STACK);
	saw.client = fixture_client(&saw.f, "tooth");
	CU_ASSERT_PTR_NOT_NULL_FATAL(saw.client);
	pageclient_free(saw.client, pageclient_alloc(saw.client, 0, 0), 0);
	measure_request(&saw);
	psi_us = psi_total_us(&saw);
	do
		run_period(&saw);
	while (clock_now_ms() < end || (saw.judged == 0 && clock_left_ms(until) > 0));
	if (saw.judged == 0)
		fixture_skip("a period's excess", "the shrinker was late in each of them");
	psi_us = psi_total_us(&saw) - psi_us;
	saw.stack_least = holder_ask(&saw.stack, HOLDER_LEAST);
	report(&saw, psi_us);
	CU_ASSERT_TRUE(saw.cache_least > 1000 && saw.stack_least > 1000);
	CU_ASSERT_TRUE(saw.stalls > 0);
	CU_ASSERT_TRUE(psi_us > 0 && psi_us <= saw.stalled_ns / 1000);
	CU_ASSERT_TRUE(seconds < EXACT_SECONDS || agree(&saw, psi_us));
	CU_ASSERT_TRUE(fixture_check(&saw.f));
	observer_close(&saw.observer);
	pageclient_close(saw.client);
	CU_ASSERT_EQUAL(child_end(&saw.cache), 0);
	CU_ASSERT_EQUAL(child_end(&saw.stack), 0);
	fixture_close(&saw.f);
}

CU_TestInfo test_sawtooth[] = {
	{"teeth take what they need and psi tells it", teeth_take_what_they_need_and_psi_tells_it},
	CU_TEST_INFO_NULL,
};
