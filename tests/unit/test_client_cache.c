/* tests/unit/test_client_cache.c - caches and dispatch through the public interface, without a
 * daemon: own shrinkers run in an allocation with MAY_SHRINK, and what their callbacks must not do.
 */
#include <pageclient/pageclient.h>

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

static pageclient *open_private(uint64_t max_frames)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.flags = PAGECLIENT_FALLBACK_PRIVATE;
	options.socket = "/nonexistent/paged.sock";
	options.max_frames = max_frames;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	return client;
}

struct cache_fixture {
	pageclient *client;
	void *kept[8];
	unsigned n_kept;
	int alloc_errno, dispatch_r, unregister_r;
	pageclient_cache *cache;
};

static uint64_t fixture_count(void *arg)
{
	const struct cache_fixture *fixture = arg;

	return fixture->n_kept ? fixture->n_kept : PAGECLIENT_SHRINK_EMPTY;
}

static int fixture_scan(void *arg, struct pageclient_scan *scan)
{
	struct cache_fixture *fixture = arg;

	errno = 0;
	CU_ASSERT_PTR_NULL(pageclient_alloc(fixture->client, 0, 0));
	fixture->alloc_errno = errno;
	fixture->dispatch_r = pageclient_dispatch(fixture->client);
	fixture->unregister_r = pageclient_cache_unregister(fixture->cache);
	scan->nr_freed = 0;
	while (fixture->n_kept > 0 && scan->nr_freed < scan->nr_to_scan &&
	       scan->nr_freed < scan->nr_frames) {
		pageclient_free(fixture->client, fixture->kept[--fixture->n_kept], 0);
		scan->nr_freed++;
	}
	return 0;
}

static void register_fixture(struct cache_fixture *fixture)
{
	struct pageclient_cache_options options;

	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "fixture";
	options.count = fixture_count;
	options.scan = fixture_scan;
	options.arg = fixture;
	CU_ASSERT_EQUAL_FATAL(pageclient_cache_register(fixture->client, &options, &fixture->cache),
			      0);
}

static void may_shrink_takes_from_own_caches(void)
{
	struct cache_fixture fixture = {.client = open_private(8)};
	void *frame;

	register_fixture(&fixture);
	fixture.n_kept = (unsigned)pageclient_alloc_bulk(fixture.client, 0, 0, fixture.kept, 8);
	CU_ASSERT_EQUAL(fixture.n_kept, 8);
	CU_ASSERT_PTR_NULL(pageclient_alloc(fixture.client, 0, 0));
	frame = pageclient_alloc(fixture.client, 0, PAGECLIENT_MAY_SHRINK);
	CU_ASSERT_PTR_NOT_NULL(frame);
	CU_ASSERT_EQUAL(fixture.n_kept, 7);
	CU_ASSERT_EQUAL(fixture.alloc_errno, EDEADLK);
	CU_ASSERT_EQUAL(fixture.dispatch_r, -EDEADLK);
	CU_ASSERT_EQUAL(fixture.unregister_r, -EDEADLK);
	CU_ASSERT_EQUAL(pageclient_cache_unregister(fixture.cache), 0);
	errno = 0;
	CU_ASSERT_PTR_NULL(pageclient_alloc(fixture.client, 0, PAGECLIENT_MAY_SHRINK));
	CU_ASSERT_EQUAL(errno, ENOMEM);
	pageclient_close(fixture.client);
}

static void cache_register_refuses_what_it_cannot_call(void)
{
	struct cache_fixture fixture = {.client = open_private(0)};
	struct pageclient_cache_options options;
	pageclient_cache *cache;

	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "fixture";
	options.count = fixture_count;
	CU_ASSERT_EQUAL(pageclient_cache_register(fixture.client, &options, &cache), -EINVAL);
	options.scan = fixture_scan;
	options.name = "";
	CU_ASSERT_EQUAL(pageclient_cache_register(fixture.client, &options, &cache), -EINVAL);
	options.name = "fixture";
	options.flags = 1;
	CU_ASSERT_EQUAL(pageclient_cache_register(fixture.client, &options, &cache), -EINVAL);
	pageclient_close(fixture.client);
}

static void dispatch_has_nothing_to_do(void)
{
	pageclient *client = open_private(0);
	struct pollfd item = {.fd = pageclient_fd(client), .events = POLLIN};

	CU_ASSERT(item.fd >= 0);
	CU_ASSERT_EQUAL(poll(&item, 1, 0), 0);
	CU_ASSERT_EQUAL(pageclient_dispatch(client), 0);
	CU_ASSERT_EQUAL(pageclient_fd(client), item.fd);
	pageclient_close(client);
}

static void thread_starts_once_and_ends_with_close(void)
{
	pageclient *client = open_private(0);

	CU_ASSERT_EQUAL(pageclient_start_thread(client), 0);
	CU_ASSERT_EQUAL(pageclient_start_thread(client), -EALREADY);
	pageclient_close(client);
}

extern CU_TestInfo test_client_cache[];
CU_TestInfo test_client_cache[] = {
	{"may_shrink takes from own caches", may_shrink_takes_from_own_caches},
	{"cache_register refuses what it cannot call", cache_register_refuses_what_it_cannot_call},
	{"dispatch has nothing to do", dispatch_has_nothing_to_do},
	{"thread starts once and ends with close", thread_starts_once_and_ends_with_close},
	CU_TEST_INFO_NULL,
};
