/* tests/integration/test_outage.c - what a program sees of an outage: events, caches, a client that
 * is lost, and requests that were given up. */
#include "tests/integration/clock.h"
#include "tests/integration/outage.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

extern CU_TestInfo test_outage[];

#define BLOCK_ORDER 10u /* the smallest that no magazine has */
#define BLOCK_FRAMES 1024u
#define CACHE_FRAMES 256u

/* --- events --------------------------------------------------------------------------------- */

static void program_that_only_polls_comes_back(void)
{
	struct outage outage;
	struct outage_events events = {.n = 0};
	pageclient *client;
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct pollfd pollfd = {.events = POLLIN};

	if (!outage_open(&outage))
		return;
	client = outage_client(
		&outage, &(struct outage_client){.call_timeout_ms = UINT32_MAX, .events = &events});
	pollfd.fd = pageclient_fd(client);
	fixture_kill(&outage.fixture);
	while (events.n == 0 && poll(&pollfd, 1, clock_left_ms(until)) == 1)
		CU_ASSERT_TRUE(pageclient_dispatch(client) >= 0);
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_AWAY);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	while (events.n < 2 && poll(&pollfd, 1, clock_left_ms(until)) == 1)
		CU_ASSERT_TRUE(pageclient_dispatch(client) >= 0);
	CU_ASSERT_TRUE(outage_events_are(&events, PAGECLIENT_AWAY, PAGECLIENT_CONNECTED));
	CU_ASSERT_EQUAL(pageclient_fd(client), pollfd.fd);
	CU_ASSERT_EQUAL(poll(&pollfd, 1, 0), 0);
	CU_ASSERT_EQUAL(shm_view_counter(&outage.observer.view, COUNTER_client_resume), 1);
	pageclient_close(client);
	outage_close(&outage);
}

static void outage_that_a_call_noticed_is_told_too(void)
{
	struct outage outage;
	struct outage_events events = {.n = 0};
	pageclient *client;

	if (!outage_open(&outage))
		return;
	client = outage_client(
		&outage, &(struct outage_client){.call_timeout_ms = UINT32_MAX, .events = &events});
	CU_ASSERT_TRUE(outage_restart_server(&outage));
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, BLOCK_ORDER, 0));
	CU_ASSERT_EQUAL(pageclient_dispatch(client), 2);
	CU_ASSERT_TRUE(outage_events_are(&events, PAGECLIENT_AWAY, PAGECLIENT_CONNECTED));
	pageclient_close(client);
	outage_close(&outage);
}

static void client_of_another_segment_is_lost(void)
{
	static const char *const parts[] = {"meta", "state", "data"};
	struct outage outage;
	struct outage_events events = {.n = 0};
	pageclient *client;
	char *frame, path[96];

	if (!outage_open(&outage))
		return;
	client = outage_client(
		&outage, &(struct outage_client){.call_timeout_ms = UINT32_MAX, .events = &events});
	frame = pageclient_alloc(client, 0, 0);
	memset(frame, 'L', 4096);
	fixture_stop(&outage.fixture);
	observer_close(&outage.observer);
	for (int i = 0; i < 3; i++) {
		fixture_segment_path(&outage.fixture, parts[i], path);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	CU_ASSERT_TRUE(observer_open(&outage.observer, &outage.fixture));
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, BLOCK_ORDER, 0));
	CU_ASSERT_EQUAL(errno, ENOTCONN);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "gone"));
	CU_ASSERT_TRUE(pageclient_dispatch(client) >= 1);
	CU_ASSERT_EQUAL(events.state[events.n - 1], PAGECLIENT_LOST);
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_LOST);
	CU_ASSERT_EQUAL(frame[4095], 'L');
	pageclient_free_slow(client, frame, 0);
	CU_ASSERT_PTR_NULL(pageclient_alloc_slow(client, 0, 0));
	pageclient_close(client);
	outage_close(&outage);
}

/* --- caches --------------------------------------------------------------------------------- */

struct cache {
	pageclient *client;
	pageclient_cache *handle;
	uint32_t n;
	void *frame[CACHE_FRAMES];
};

static uint64_t cache_count(void *arg)
{
	const struct cache *cache = arg;
	uint32_t n = __atomic_load_n(&cache->n, __ATOMIC_ACQUIRE); /* pairs with cache_scan() */

	return n ? n : PAGECLIENT_SHRINK_EMPTY;
}

static int cache_scan(void *arg, struct pageclient_scan *scan)
{
	struct cache *cache = arg;

	scan->nr_freed = 0;
	while (scan->nr_freed < scan->nr_to_scan && cache->n) {
		pageclient_free(cache->client, cache->frame[cache->n - 1], 0);
		/* release; pairs with the acquires in cache_count() and of the test */
		__atomic_store_n(&cache->n, cache->n - 1, __ATOMIC_RELEASE);
		scan->nr_freed++;
	}
	return 0;
}

static int cache_register(struct cache *cache, pageclient *client, const char *name)
{
	struct pageclient_cache_options options;

	*cache = (struct cache){.client = client};
	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = name;
	options.count = cache_count;
	options.scan = cache_scan;
	options.arg = cache;
	return pageclient_cache_register(client, &options, &cache->handle);
}

static void cache_open(struct cache *cache, pageclient *client, const char *name)
{
	CU_ASSERT_EQUAL(cache_register(cache, client, name), 0);
}

static uint32_t caches_shown(const struct outage *outage)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		n += __atomic_load_n(&outage->observer.view.caches[i].state, __ATOMIC_ACQUIRE) !=
		     SHM_CACHE_FREE;
	return n;
}

static bool waits_for_caches(const struct outage *outage, uint32_t n)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); caches_shown(outage) != n;)
		if (!clock_pause(until))
			return false;
	return true;
}

/* A call's patience is short here, and on a busy machine an answer or a resume takes longer. */
static void *gets(pageclient *client, unsigned order)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	void *frame;

	do
		frame = pageclient_alloc(client, order, 0);
	while (!frame && clock_pause(until));
	return frame;
}

/* The library's thread notices, resumes and serves; nobody registers anything again. */
static void cache_is_asked_after_a_resume(void)
{
	struct outage outage;
	struct outage_events events = {.n = 0};
	struct outage_client options = {.events = &events};
	struct cache cache;
	struct program ctl;
	pageclient *client;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &options);
	cache_open(&cache, client, "kept");
	cache.n = (uint32_t)pageclient_alloc_bulk(client, 0, 0, cache.frame, CACHE_FRAMES);
	CU_ASSERT_EQUAL(pageclient_start_thread(client), 0);
	for (uint32_t n = 0; n < 3; n++) {
		CU_ASSERT_TRUE(outage_restart(&outage, n));
		for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
		     outage_events_count(&events) < 2 * n + 2 && clock_pause(until);)
			;
		CU_ASSERT_EQUAL(outage_events_count(&events), 2 * n + 2);
		CU_ASSERT_EQUAL(caches_shown(&outage), 1);
	}
	fixture_ctl(&outage.fixture, &ctl, "reclaim", "--frames", "1000", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     __atomic_load_n(&cache.n, __ATOMIC_ACQUIRE) == CACHE_FRAMES && clock_pause(until);)
		;
	CU_ASSERT_TRUE(__atomic_load_n(&cache.n, __ATOMIC_ACQUIRE) < CACHE_FRAMES);
	CU_ASSERT_EQUAL(pageclient_cache_unregister(cache.handle), 0);
	CU_ASSERT_EQUAL(caches_shown(&outage), 0);
	pageclient_close(client);
	outage_close(&outage);
}

static void caches_that_went_while_away_are_forgotten(void)
{
	struct outage outage;
	struct outage_events events = {.n = 0};
	struct outage_client options = {.call_timeout_ms = CLOCK_PATIENCE_MS, .events = &events};
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct cache stays, goes;
	pageclient *client;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &options);
	cache_open(&stays, client, "stays");
	cache_open(&goes, client, "goes");
	fixture_kill(&outage.fixture);
	while (events.n == 0 && clock_pause(until))
		CU_ASSERT_TRUE(pageclient_dispatch(client) >= 0);
	CU_ASSERT_EQUAL(events.state[0], PAGECLIENT_AWAY);
	CU_ASSERT_EQUAL(pageclient_cache_unregister(goes.handle), 0);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	CU_ASSERT_PTR_NOT_NULL(gets(client, BLOCK_ORDER));
	CU_ASSERT_TRUE(waits_for_caches(&outage, 1));
	cache_open(&goes, client, "new");
	CU_ASSERT_EQUAL(caches_shown(&outage), 2);
	pageclient_close(client);
	outage_close(&outage);
}

/* The program has no such cache, although the daemon got to the request in the end. */
static void cache_that_was_given_up_is_not_asked(void)
{
	struct outage outage;
	struct outage_client options = {.call_timeout_ms = 100};
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct cache never, stays;
	pageclient *client;
	pid_t server;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &options);
	server = fixture_server(&outage.fixture);
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	CU_ASSERT_EQUAL(cache_register(&never, client, "never"), -ETIMEDOUT);
	CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
	while (cache_register(&stays, client, "stays") == -ETIMEDOUT && clock_pause(until))
		continue;
	CU_ASSERT_TRUE(waits_for_caches(&outage, 1));
	pageclient_close(client);
	outage_close(&outage);
}

/* --- given up ------------------------------------------------------------------------------- */

/* Waits until the client has no more than that. A request finds the daemon again, and any slow call
 * brings what was kept on its way. */
static bool gives_back(const struct outage *outage, pageclient *client, uint64_t n_frames)
{
	const struct shm_client *shown = observer_find(&outage->observer, getpid(), "survivor");
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); shown && clock_pause(until);) {
		if (shm_load(&shown->nr_owned) < n_frames)
			return true;
		pageclient_free(client, pageclient_alloc(client, BLOCK_ORDER, 0), BLOCK_ORDER);
	}
	return false;
}

/* The server is stopped, so that the requests are on their way and not done when it dies. */
static void request_that_was_given_up_is_settled(void)
{
	struct outage outage;
	struct outage_client options = {.call_timeout_ms = 100, .alloc_timeout_ms = 200};
	uint64_t handle, until = clock_until(CLOCK_PATIENCE_MS);
	void *frame, *block;
	pageclient *client;
	int r;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &options);
	block = gets(client, BLOCK_ORDER);
	frame = gets(client, 0);
	CU_ASSERT_EQUAL(kill(fixture_server(&outage.fixture), SIGSTOP), 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), -ETIMEDOUT);
	fixture_kill(&outage.fixture);
	pageclient_free(client, frame, 0); /* what the share has become is not known yet */
	CU_ASSERT_EQUAL(pageclient_share(client, block, &handle), -EAGAIN);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	CU_ASSERT_EQUAL(outage_share(client, block, &handle), 0);
	do
		r = pageclient_put(client, block);
	while ((r == -ETIMEDOUT || r == -EAGAIN) && clock_pause(until));
	while (shm_view_counter(&outage.observer.view, COUNTER_nr_shared) > 0 && clock_pause(until))
		;
	CU_ASSERT_EQUAL(shm_view_counter(&outage.observer.view, COUNTER_nr_shared), 0);
	CU_ASSERT_EQUAL(gets(client, 0), frame); /* owned, and not shared */

	block = gets(client, BLOCK_ORDER);
	CU_ASSERT_EQUAL(kill(fixture_server(&outage.fixture), SIGSTOP), 0);
	pageclient_free(client, block, BLOCK_ORDER); /* 0.5 s, then the lane stays open */
	CU_ASSERT_TRUE(outage_restart_server(&outage));
	CU_ASSERT_TRUE(gives_back(&outage, client, BLOCK_FRAMES));
	pageclient_close(client);
	outage_close(&outage);
}

/* A block that came for nobody, and a magazine that may have been filled. */
static void allocation_that_was_given_up_leaves_nothing_behind(void)
{
	struct outage outage;
	struct outage_client options = {.call_timeout_ms = CLOCK_PATIENCE_MS,
					.alloc_timeout_ms = 200};
	pageclient *client;
	void *frame;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &options);
	frame = gets(client, 0);
	while (pageclient_alloc(client, 0, PAGECLIENT_NOWAIT))
		;
	CU_ASSERT_EQUAL(kill(fixture_server(&outage.fixture), SIGSTOP), 0);
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 0, 0));
	CU_ASSERT_EQUAL(errno, ETIMEDOUT);
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, BLOCK_ORDER, 0));
	CU_ASSERT_EQUAL(errno, ETIMEDOUT);
	fixture_kill(&outage.fixture);
	pageclient_free(client, frame, 0); /* not into the magazine: its ring may be another */
	CU_ASSERT_EQUAL(pageclient_alloc(client, 0, PAGECLIENT_NOWAIT), frame);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	CU_ASSERT_PTR_NOT_NULL(gets(client, BLOCK_ORDER + 1));
	CU_ASSERT_PTR_NOT_NULL(gets(client, 0));
	CU_ASSERT_PTR_NOT_NULL(gets(client, BLOCK_ORDER + 1));
	CU_ASSERT_TRUE(fixture_status(client).nr_owned < 5 * BLOCK_FRAMES);
	CU_ASSERT_TRUE(fixture_status(client).nr_owned >= 4 * BLOCK_FRAMES);
	pageclient_close(client);
	outage_close(&outage);
}

CU_TestInfo test_outage[] = {
	{"program that only polls comes back", program_that_only_polls_comes_back},
	{"outage that a call noticed is told too", outage_that_a_call_noticed_is_told_too},
	{"client of another segment is lost", client_of_another_segment_is_lost},
	{"cache is asked after a resume", cache_is_asked_after_a_resume},
	{"caches that went while away are forgotten", caches_that_went_while_away_are_forgotten},
	{"cache that was given up is not asked", cache_that_was_given_up_is_not_asked},
	{"request that was given up is settled", request_that_was_given_up_is_settled},
	{"allocation that was given up leaves nothing behind",
	 allocation_that_was_given_up_leaves_nothing_behind},
	CU_TEST_INFO_NULL,
};
