/* tests/integration/test_cancel.c - a thread that is to be cancelled makes every call that may
 * wait: none of them is where it ends, and others find the client as they left it. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>

extern CU_TestInfo test_cancel[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n";

#define N_BULK 3000u

struct story {
	const struct fixture *f;
	pageclient *client, *partner;
	uint32_t passed; /* calls that came back */
	uint32_t failed; /* the first of them; 0: none */
	uint32_t n_scans;
	void *held[N_BULK];
};

static uint64_t count(void *arg)
{
	(void)arg;
	return 1;
}

static int scan(void *arg, struct pageclient_scan *asked)
{
	struct story *story = arg;

	asked->nr_scanned = asked->nr_to_scan;
	pthread_testcancel(); /* a callback is none either */
	story->n_scans++;
	return 0;
}

static void passed(struct story *story, bool ok)
{
	story->passed++;
	if (!ok && story->failed == 0)
		story->failed = story->passed;
}

static void allocate(struct story *story)
{
	pageclient *client = story->client;
	void *block;
	size_t n;

	n = pageclient_alloc_bulk(client, 0, 0, story->held, N_BULK);
	passed(story, n == N_BULK);
	pageclient_free_bulk(client, 0, 0, story->held, n);
	passed(story, true);
	block = pageclient_alloc(client, 10, 0);
	passed(story, block != NULL);
	pageclient_free(client, block, 10);
	passed(story, true);
}

static uint32_t id_of(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	(void)pageclient_read_status(client, &status);
	return status.client_id;
}

static void share(struct story *story)
{
	void *frame = pageclient_alloc(story->client, 0, 0), *there = NULL;
	uint64_t handle = 0;
	unsigned order;

	passed(story, pageclient_share(story->client, frame, &handle) == 0);
	passed(story, pageclient_import(story->partner, handle, &there, &order) == 0);
	passed(story, pageclient_put(story->partner, there) == 0);
	passed(story, pageclient_put(story->client, frame) == 0);
	frame = pageclient_alloc(story->client, 0, 0);
	passed(story,
	       pageclient_transfer(story->client, frame, id_of(story->partner), &handle) == 0);
	passed(story, pageclient_import(story->partner, handle, &there, &order) == 0);
	passed(story, pageclient_put(story->partner, there) == 0);
}

static void purge(struct story *story)
{
	void *frame = pageclient_alloc(story->client, 0, 0);
	pageclient_slot slot;

	passed(story, pageclient_purgeable_new(story->client, frame, &slot) == 0);
	pageclient_unpin(story->client, slot);
	passed(story, pageclient_pin(story->client, slot) == frame);
	pageclient_unpin(story->client, slot);
	passed(story, pageclient_purgeable_drop(story->client, slot) == 0);
}

/* More than there is: the own cache is asked, and the daemon waited for. */
static void shrink(struct story *story)
{
	struct pageclient_cache_options options;
	pageclient_cache *cache = NULL;
	void *block[16];
	size_t n = 0;

	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "cancelled";
	options.count = count;
	options.scan = scan;
	options.arg = story;
	passed(story, pageclient_cache_register(story->client, &options, &cache) == 0);
	while (n < 16 && (block[n] = pageclient_alloc(story->client, 12, PAGECLIENT_MAY_SHRINK)))
		n++;
	passed(story, n < 16);
	while (n > 0)
		pageclient_free(story->client, block[--n], 12);
	passed(story, pageclient_dispatch(story->client) >= 0);
	passed(story, pageclient_cache_unregister(cache) == 0);
}

static void open_and_close(struct story *story)
{
	struct pageclient_options options;
	pageclient *other = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = story->f->socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	passed(story, pageclient_open(&options, &other) == 0);
	passed(story, pageclient_start_thread(other) == 0);
	pageclient_close(other);
	passed(story, true);
}

static void make_all_calls(struct story *story)
{
	struct pageclient_status status;

	/* From here on the first cancellation point is the last. */
	(void)pthread_cancel(pthread_self());
	PAGECLIENT_INIT(struct pageclient_status, &status);
	passed(story, pageclient_read_status(story->client, &status) == 0);
	allocate(story);
	share(story);
	purge(story);
	shrink(story);
	open_and_close(story);
}

/* The unwinding of a cancelled thread passes over what ASan does at the end of a frame: this one
 * has none of it. */
__attribute__((no_sanitize("address"))) static void *cancelled(void *arg)
{
	make_all_calls(arg);
	pthread_testcancel();
	return NULL;
}

static void no_call_is_a_cancellation_point(void)
{
	static struct story story;
	struct pageclient_status status;
	void *result = NULL, *frame;
	struct fixture f;
	pthread_t thread;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	story = (struct story){.f = &f,
			       .client = fixture_client(&f, "cancelled"),
			       .partner = fixture_client(&f, "partner")};
	CU_ASSERT_EQUAL(pthread_create(&thread, NULL, cancelled, &story), 0);
	CU_ASSERT_EQUAL(pthread_join(thread, &result), 0);
	CU_ASSERT_PTR_EQUAL(result, PTHREAD_CANCELED);
	CU_ASSERT_EQUAL(story.passed, 22);
	CU_ASSERT_EQUAL(story.failed, 0);
	CU_ASSERT(story.n_scans > 0);
	/* What it did is done, and nobody waits for it. */
	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(story.client, &status), 0);
	frame = pageclient_alloc(story.client, 0, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	pageclient_free(story.client, frame, 0);
	pageclient_close(story.partner);
	pageclient_close(story.client);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

CU_TestInfo test_cancel[] = {
	{"no call is a cancellation point", no_call_is_a_cancellation_point},
	CU_TEST_INFO_NULL,
};
