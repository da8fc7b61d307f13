/* tests/integration/test_purgeable.c - purgeable frames against a real daemon: what is needed is
 * taken from whom nobody asks, pinned frames stay, and what was purged can be built again. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_purgeable[];

#define FRAMES 8192u
#define N_THREADS 4u
#define N_ROUNDS 20000u
static const char config[] = "[segment]\nsize = 32M\n[pcp]\nbatch = 16\n";

/* A cache whose entry i holds the number i + salt. */
struct cache {
	pageclient *client;
	uint64_t salt;
	uint32_t n;
	pageclient_slot slot[FRAMES];
};

static uint64_t *filled(struct cache *cache, uint32_t i)
{
	uint64_t *frame = pageclient_alloc(cache->client, 0, 0);

	if (frame)
		frame[0] = frame[511] = cache->salt + i;
	return frame;
}

/* Puts up to n entries in, unpinned; false if some call failed for another reason than memory. */
static bool cache_fill(struct cache *cache, uint32_t n)
{
	for (cache->n = 0; cache->n < n; cache->n++) {
		uint64_t *frame = filled(cache, cache->n);

		if (!frame)
			return errno == ENOMEM;
		if (pageclient_purgeable_new(cache->client, frame, &cache->slot[cache->n]) < 0)
			return false;
		pageclient_unpin(cache->client, cache->slot[cache->n]);
	}
	return true;
}

/* 1: there and right. 0: purged. -1: wrong. */
static int cache_look(struct cache *cache, uint32_t i)
{
	const uint64_t *frame = pageclient_pin(cache->client, cache->slot[i]);
	int r;

	if (!frame)
		return errno == ENODATA ? 0 : -1;
	r = frame[0] == cache->salt + i && frame[511] == cache->salt + i ? 1 : -1;
	pageclient_unpin(cache->client, cache->slot[i]);
	return r;
}

/* Entries that are there; UINT32_MAX if one is wrong. */
static uint32_t cache_count(struct cache *cache)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cache->n; i++) {
		int r = cache_look(cache, i);

		if (r < 0)
			return UINT32_MAX;
		n += (uint32_t)r;
	}
	return n;
}

/* --- purge, re-arm, drop ------------------------------------------------------------------- */

static void build_again(struct cache *cache)
{
	for (uint32_t i = 0; i < cache->n; i++) {
		int r = cache_look(cache, i) ? -EEXIST : 0;
		uint64_t *frame = filled(cache, i);

		CU_ASSERT_EQUAL(pageclient_purgeable_rearm(cache->client, cache->slot[i], frame),
				r);
		if (r == 0)
			pageclient_unpin(cache->client, cache->slot[i]);
		else
			pageclient_free(cache->client, frame, 0);
	}
}

static void purged_frames_are_built_again(void)
{
	static struct cache cache;
	struct fixture f;
	uint32_t left;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	cache = (struct cache){.client = fixture_client(&f, "cache"), .salt = 1000};
	CU_ASSERT_TRUE(cache_fill(&cache, 2000));
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_purgeable, 2000);
	CU_ASSERT_EQUAL(cache_count(&cache), 2000);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "7000"));
	left = cache_count(&cache);
	CU_ASSERT_TRUE(left < 2000);
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_purgeable, left);
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_purged, 2000 - left);
	build_again(&cache);
	CU_ASSERT_EQUAL(cache_count(&cache), 2000);
	for (uint32_t i = 0; i < cache.n; i++)
		CU_ASSERT_EQUAL(pageclient_purgeable_drop(cache.client, cache.slot[i]), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_owned, 0);
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_bad_free, 0);
	pageclient_close(cache.client);
	fixture_close(&f);
}

static void pinned_frames_are_never_purged(void)
{
	static struct cache cache;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	cache = (struct cache){.client = fixture_client(&f, "cache"), .salt = 5};
	CU_ASSERT_TRUE(cache_fill(&cache, 1000));
	for (uint32_t i = 0; i < cache.n; i += 2)
		CU_ASSERT_PTR_NOT_NULL(pageclient_pin(cache.client, cache.slot[i]));
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	for (uint32_t i = 0; i < cache.n; i++)
		CU_ASSERT_EQUAL(cache_look(&cache, i), i % 2 == 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(cache.client);
	fixture_close(&f);
}

static void a_purged_slot_can_be_dropped_and_not_taken(void)
{
	static struct cache cache;
	struct fixture f;
	void *frame;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	cache = (struct cache){.client = fixture_client(&f, "cache")};
	CU_ASSERT_TRUE(cache_fill(&cache, 100));
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_EQUAL(cache_look(&cache, 7), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(cache.client, cache.slot[7], &frame), -ENODATA);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(cache.client, cache.slot[7]), 0);
	CU_ASSERT_EQUAL(cache_look(&cache, 7), -1);
	CU_ASSERT_EQUAL(errno, ESTALE);
	pageclient_close(cache.client);
	fixture_close(&f);
}

/* --- without the owner's help -------------------------------------------------------------- */

static int hold_purgeable(int fd, void *arg)
{
	static struct cache cache;

	cache = (struct cache){.client = fixture_client(arg, "stopped"), .salt = 1u << 20};
	CHILD_CHECK(cache.client && cache_fill(&cache, FRAMES * 3 / 4));
	CHILD_CHECK(child_say(fd, cache.n));
	CHILD_CHECK(child_expect(fd, 1));
	CHILD_CHECK(child_say(fd, cache_count(&cache)));
	(void)child_expect(fd, 2);
	pageclient_close(cache.client);
	return 0;
}

static void a_stopped_client_is_purged(void)
{
	pageclient *client;
	struct child child;
	struct fixture f;
	uint64_t n = 0, left = 0;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(child_start(&child, hold_purgeable, &f));
	CU_ASSERT_TRUE(child_hear(child.fd, &n));
	CU_ASSERT_EQUAL(n, FRAMES * 3 / 4);
	CU_ASSERT_TRUE(child_stop(&child));
	client = fixture_client(&f, "needy");
	for (uint32_t i = 0; i < FRAMES / 2; i++) {
		uint64_t *frame = pageclient_alloc(client, 0, 0);

		CU_ASSERT_PTR_NOT_NULL(frame);
		if (!frame)
			break;
		memset(frame, 0x5a, 4096);
	}
	CU_ASSERT_TRUE(child_continue(&child));
	CU_ASSERT_TRUE(child_say(child.fd, 1));
	CU_ASSERT_TRUE(child_hear(child.fd, &left));
	/* None is wrong, and not much more was taken than was needed. */
	CU_ASSERT_TRUE(left >= FRAMES / 4 && left <= FRAMES / 2);
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_TRUE(child_say(child.fd, 2));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	pageclient_close(client);
	fixture_close(&f);
}

static void slots_outlive_the_server(void)
{
	static struct cache cache;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	cache = (struct cache){.client = fixture_client(&f, "cache"), .salt = 9};
	CU_ASSERT_TRUE(cache_fill(&cache, 1000));
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	CU_ASSERT_EQUAL(cache_count(&cache), 1000); /* needs no daemon */
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(cache_count(&cache), 1000);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_TRUE(cache_count(&cache) < 1000);
	for (uint32_t i = 0; i < cache.n; i++)
		CU_ASSERT_EQUAL(pageclient_purgeable_drop(cache.client, cache.slot[i]), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(cache.client);
	fixture_close(&f);
}

/* --- threads against the daemon ------------------------------------------------------------ */

struct user {
	struct cache *cache;
	uint32_t seed;
	bool ok;
	pthread_t thread;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes; good enough here */
	return *seed >> 8;
}

static bool use_entry(struct cache *cache, uint32_t i)
{
	int r = cache_look(cache, i);
	uint64_t *frame;

	if (r != 0)
		return r > 0;
	frame = filled(cache, i);
	if (!frame)
		return errno == ENOMEM || errno == EAGAIN;
	r = pageclient_purgeable_rearm(cache->client, cache->slot[i], frame);
	if (r == 0)
		pageclient_unpin(cache->client, cache->slot[i]);
	else
		pageclient_free(cache->client, frame, 0);
	return r == 0 || r == -EEXIST;
}

static void *use_cache(void *arg)
{
	struct user *user = arg;

	user->ok = true;
	for (uint32_t i = 0; i < N_ROUNDS && user->ok; i++)
		user->ok = use_entry(user->cache, next_random(&user->seed) % user->cache->n);
	return NULL;
}

static void threads_use_what_the_daemon_purges(void)
{
	static struct cache cache;
	struct user user[N_THREADS];
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	cache = (struct cache){.client = fixture_client(&f, "cache"), .salt = 3};
	CU_ASSERT_TRUE(cache_fill(&cache, 3000));
	for (uint32_t i = 0; i < N_THREADS; i++) {
		user[i] = (struct user){.cache = &cache, .seed = i};
		CU_ASSERT_EQUAL(pthread_create(&user[i].thread, NULL, use_cache, &user[i]), 0);
	}
	for (uint32_t i = 0; i < 20; i++)
		CU_ASSERT_TRUE(fixture_reclaim(&f, "6500"));
	for (uint32_t i = 0; i < N_THREADS; i++) {
		CU_ASSERT_EQUAL(pthread_join(user[i].thread, NULL), 0);
		CU_ASSERT_TRUE(user[i].ok);
	}
	CU_ASSERT_NOT_EQUAL(cache_count(&cache), UINT32_MAX);
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(fixture_status(cache.client).nr_bad_free, 0);
	pageclient_close(cache.client);
	fixture_close(&f);
}

CU_TestInfo test_purgeable[] = {
	{"purged frames are built again", purged_frames_are_built_again},
	{"pinned frames are never purged", pinned_frames_are_never_purged},
	{"a purged slot can be dropped and not taken", a_purged_slot_can_be_dropped_and_not_taken},
	{"a stopped client is purged", a_stopped_client_is_purged},
	{"slots outlive the server", slots_outlive_the_server},
	{"threads use what the daemon purges", threads_use_what_the_daemon_purges},
	CU_TEST_INFO_NULL,
};
