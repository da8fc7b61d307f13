/* tests/integration/test_reclaim.c - a segment that is full: caches of others are pruned, those
 * that hang are passed over, and who cannot be helped is told why. */
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>

extern CU_TestInfo test_reclaim[];

#define FRAMES 8192u
#define CONFIG(deadline, breaker)                                                                  \
	"[segment]\nsize = 32M\n[pcp]\nbatch = 16\n[reclaim]\ndeadline = " deadline                \
	"\nbreaker = " breaker "\n"
static const char config[] = CONFIG("200ms", "60s");
/* Where everybody answers, in however long that takes on a busy machine. */
static const char patient[] = CONFIG("60s", "60s");
/* Where one does not, and another that has missed its deadlines on a busy machine is asked again.
 */
static const char forgiving[] = CONFIG("200ms", "1s");

static pageclient *open_client(const struct fixture *f, uint32_t alloc_timeout_ms)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.name = "needy";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = alloc_timeout_ms;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), 0);
	return client;
}

/* Allocates until it has n or none comes; each is written to. */
static uint64_t take(pageclient *client, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		void *frame = pageclient_alloc(client, 0, 0);

		if (!frame)
			return i;
		memset(frame, 0xA5, 4096);
	}
	return n;
}

/* n frames, which have to come, if not at the first call. */
static bool takes(pageclient *client, uint64_t n)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while ((n -= take(client, n)) > 0)
		if (!clock_pause(until))
			return false;
	return true;
}

/* The row of that cache; the root is *ret_root. */
static const json_t *cache_row(const struct fixture *f, const char *name, json_t **ret_root)
{
	const json_t *caches, *row;
	size_t i;

	*ret_root = fixture_ctl_json(f, "caches");
	caches = json_object_get(*ret_root, "caches");
	for (i = 0; i < json_array_size(caches); i++) {
		row = json_array_get(caches, i);
		if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
			return row;
	}
	CU_FAIL("no such cache");
	return NULL;
}

static void need_of_one_prunes_the_cache_of_another(void)
{
	struct fixture f;
	struct holder holder = {&f, "first", HOLDER_PRUNES, FRAMES, FRAMES * 7 / 8};
	struct child child;
	pageclient *client;
	json_t *root;
	uint64_t held = 0, left;

	CU_ASSERT_TRUE(fixture_open(&f, patient));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &held));
	CU_ASSERT_TRUE(held > FRAMES * 3 / 4); /* it pruned itself when free fell below low */
	client = open_client(&f, CLOCK_PATIENCE_MS);
	CU_ASSERT_TRUE(takes(client, FRAMES / 2));
	CU_ASSERT_TRUE(fixture_check(&f));
	left = holder_ask(&child, HOLDER_COUNT);
	CU_ASSERT_TRUE(left != UINT64_MAX && left <= FRAMES / 2);
	{
		const json_t *row = cache_row(&f, "first", &root);

		/* Some may come back with a steal of all magazines, and are nobody's merit. */
		CU_ASSERT_TRUE(fixture_json_number(row, "returned") >= (held - FRAMES / 2) * 3 / 4);
		CU_ASSERT_TRUE(fixture_json_number(row, "returned") <=
			       fixture_json_number(row, "freed"));
		CU_ASSERT_TRUE(fixture_json_number(row, "freed") <= FRAMES);
		CU_ASSERT_TRUE(fixture_json_number(row, "latency_ns") > 0);
		CU_ASSERT_EQUAL(fixture_json_number(row, "timeouts"), 0);
		json_decref(root);
	}
	pageclient_close(client);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

static void two_caches_prune_each_other_and_go_on(void)
{
	struct fixture f;
	struct holder one = {&f, "one", HOLDER_PRUNES, FRAMES, FRAMES * 3 / 4};
	struct holder two = {&f, "two", HOLDER_PRUNES, FRAMES * 3 / 4, FRAMES / 2};
	struct child first, second;
	uint64_t n;

	CU_ASSERT_TRUE(fixture_open(&f, patient));
	CU_ASSERT_TRUE(holder_start(&first, &one, &n));
	CU_ASSERT_TRUE(holder_start(&second, &two, &n));
	CU_ASSERT_TRUE(holder_ask(&first, HOLDER_COUNT) != UINT64_MAX);
	CU_ASSERT_TRUE(holder_ask(&second, HOLDER_COUNT) != UINT64_MAX);
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(child_end(&first), 0);
	CU_ASSERT_EQUAL(child_end(&second), 0);
	fixture_close(&f);
}

/* It costs the needy three deadlines of 200 ms at most, then the breaker is open; and others, who
 * only want an answer, nothing. */
static void callback_that_hangs_delays_nobody_for_long(void)
{
	struct fixture f;
	struct holder hangs = {&f, "hangs", HOLDER_HANGS, FRAMES / 4, 0};
	struct holder prunes = {&f, "prunes", HOLDER_PRUNES, FRAMES, 0};
	struct child first, second;
	struct pageclient_status status;
	struct observer observer;
	pageclient *client;
	uint64_t n, before;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, forgiving));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_TRUE(holder_start(&first, &hangs, &n));
	CU_ASSERT_EQUAL(n, FRAMES / 4);
	CU_ASSERT_TRUE(holder_start(&second, &prunes, &n));
	client = open_client(&f, CLOCK_PATIENCE_MS);
	before = clock_now_ms();
	CU_ASSERT_TRUE(takes(client, FRAMES / 2));
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	before = clock_now_ms();
	PAGECLIENT_INIT(struct pageclient_status, &status);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 4);
	CU_ASSERT_TRUE(fixture_check(&f));
	/* Its own deadline may come after all that. */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     shm_view_counter(&observer.view, COUNTER_shrink_timeouts) == 0 && clock_pause(until);)
		;
	CU_ASSERT_TRUE(fixture_json_number(cache_row(&f, "hangs", &root), "timeouts") > 0);
	json_decref(root);
	observer_close(&observer);
	pageclient_close(client);
	child_kill(&first);
	CU_ASSERT_EQUAL(child_end(&second), 0);
	fixture_close(&f);
}

/* A quarter is held by a cache of that kind, which gives nothing; the rest prunes. Whoever needs
 * half of it all gets that, in less time than one deadline for each upcall would be. */
static void start_beside(struct fixture *f, const char *with, struct holder *bad,
			 struct child child[2], pageclient **ret_client)
{
	struct holder prunes = {f, "prunes", HOLDER_PRUNES, FRAMES, 0};
	uint64_t n, before;

	CU_ASSERT_TRUE(fixture_open(f, with));
	CU_ASSERT_TRUE(holder_start(&child[0], bad, &n));
	CU_ASSERT_EQUAL(n, FRAMES / 4);
	CU_ASSERT_TRUE(holder_start(&child[1], &prunes, &n));
	*ret_client = open_client(f, CLOCK_PATIENCE_MS);
	before = clock_now_ms();
	CU_ASSERT_TRUE(takes(*ret_client, FRAMES / 2));
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	CU_ASSERT_TRUE(fixture_check(f));
}

static void who_lies_about_what_it_freed_delays_nobody(void)
{
	struct fixture f;
	struct holder lies = {&f, "lies", HOLDER_LIES, FRAMES / 4, 0};
	struct child child[2];
	pageclient *client;
	json_t *root;

	start_beside(&f, patient, &lies, child, &client);
	/* What it claims is shown beside what came back, and its frames are its own. */
	{
		const json_t *row = cache_row(&f, "lies", &root);

		CU_ASSERT_TRUE(fixture_json_number(row, "freed") > 0);
		CU_ASSERT_TRUE(fixture_json_number(row, "returned") <=
			       fixture_json_number(row, "freed") / 4);
		CU_ASSERT_EQUAL(fixture_json_number(row, "timeouts"), 0);
		json_decref(root);
	}
	CU_ASSERT_EQUAL(holder_ask(&child[0], HOLDER_COUNT), FRAMES / 4);
	pageclient_close(client);
	CU_ASSERT_EQUAL(child_end(&child[0]), 0);
	CU_ASSERT_EQUAL(child_end(&child[1]), 0);
	fixture_close(&f);
}

/* Deadlines are missed one after the other, whether somebody waits or not. */
static void who_allocates_in_its_callback_delays_nobody_and_the_breaker_shows(void)
{
	struct fixture f;
	struct holder allocates = {&f, "allocates", HOLDER_ALLOCATES, FRAMES / 4, 0};
	struct child child[2];
	struct program ctl;
	pageclient *client;
	bool open = false, shown = false;

	start_beside(&f, forgiving, &allocates, child, &client);
	/* It closes again after a while. */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     !(open && shown) && clock_pause(until);) {
		json_t *root;
		const json_t *row = cache_row(&f, "allocates", &root);

		if (strcmp(json_string_value(json_object_get(row, "state")), "breaker open") == 0) {
			open = true;
			CU_ASSERT_TRUE(fixture_json_number(row, "timeouts") >= 3);
		}
		json_decref(root);
		fixture_ctl(&f, &ctl, "caches", NULL);
		shown |= strstr(ctl.out, "open ") != NULL;
		program_done(&ctl);
		fixture_ctl(&f, &ctl, "reclaim", "--frames", "64", NULL);
		program_done(&ctl);
	}
	CU_ASSERT_TRUE(open && shown);
	pageclient_close(client);
	child_kill(&child[0]);
	CU_ASSERT_EQUAL(child_end(&child[1]), 0);
	fixture_close(&f);
}

/* Asks for frames until that cache is left alone. */
static bool opens_breaker(const struct fixture *f, pageclient *client, const char *name)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		json_t *root;
		const json_t *row = cache_row(f, name, &root);
		bool open = strcmp(json_string_value(json_object_get(row, "state")),
				   "breaker open") == 0;

		json_decref(root);
		if (open)
			return true;
		(void)take(client, FRAMES);
	}
	return false;
}

static void breaker_opens_and_is_shown(void)
{
	struct fixture f;
	struct holder hangs = {&f, "hangs", HOLDER_HANGS, FRAMES, FRAMES * 15 / 16};
	struct child child;
	struct program ctl;
	pageclient *client;
	json_t *root;
	uint64_t n;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &hangs, &n));
	client = open_client(&f, 3000);
	CU_ASSERT_TRUE(take(client, FRAMES) < FRAMES / 10);
	CU_ASSERT(errno == ENOMEM || errno == ETIMEDOUT); /* of a server that is not there */
	CU_ASSERT_TRUE(opens_breaker(&f, client, "hangs"));
	{
		const json_t *row = cache_row(&f, "hangs", &root);

		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "state")),
				       "breaker open");
		CU_ASSERT_TRUE(fixture_json_number(row, "timeouts") >= 3);
		CU_ASSERT_TRUE(fixture_json_number(row, "breaker_left_ns") > 0);
		json_decref(root);
	}
	fixture_ctl(&f, &ctl, "caches", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "open "));
	program_done(&ctl);
	CU_ASSERT_TRUE(fixture_log_has(&f, "cache hangs"));
	child_kill(&child); /* its frames come back all the same */
	CU_ASSERT_TRUE(takes(client, FRAMES / 2));
	pageclient_close(client);
	fixture_close(&f);
}

/* --- only one's own ------------------------------------------------------------------------- */

struct own {
	pageclient *client;
	void *frame[FRAMES];
	uint64_t n;
	int allocs; /* errno of an allocation inside scan */
};

static uint64_t own_count(void *arg)
{
	return ((struct own *)arg)->n;
}

static int own_scan(void *arg, struct pageclient_scan *scan)
{
	struct own *own = arg;

	own->allocs = pageclient_alloc(own->client, 0, 0) ? 0 : errno;
	for (scan->nr_freed = 0; scan->nr_freed < scan->nr_to_scan && own->n; scan->nr_freed++)
		pageclient_free(own->client, own->frame[--own->n], 0);
	return 0;
}

static void own_caches_are_left_to_the_caller(void)
{
	static struct own own;
	struct pageclient_cache_options options;
	pageclient_cache *cache = NULL;
	struct fixture f;
	uint64_t before;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	own = (struct own){.client = open_client(&f, CLOCK_PATIENCE_MS)};
	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "own";
	options.count = own_count;
	options.scan = own_scan;
	options.arg = &own;
	CU_ASSERT_EQUAL(pageclient_cache_register(own.client, &options, &cache), 0);
	before = clock_now_ms();
	while (own.n < FRAMES && (own.frame[own.n] = pageclient_alloc(own.client, 0, 0)))
		own.n++;
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "MAY_SHRINK"));
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	CU_ASSERT_TRUE(own.n > FRAMES * 9 / 10);
	for (int i = 0; i < 500; i++)
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(own.client, 0, PAGECLIENT_MAY_SHRINK));
	CU_ASSERT_TRUE(own.n < FRAMES);
	CU_ASSERT_EQUAL(own.allocs, EDEADLK);
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(pageclient_cache_unregister(cache), 0);
	pageclient_close(own.client);
	fixture_close(&f);
}

/* --- nobody can help ------------------------------------------------------------------------ */

static void enomem_after_the_deadline_names_the_owners(void)
{
	struct fixture f;
	struct holder hog = {&f, "the hog", HOLDER_KEEPS, FRAMES, FRAMES * 15 / 16};
	struct child child;
	pageclient *client;
	uint64_t n, before, until = clock_until(CLOCK_PATIENCE_MS);
	char pid[32];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &hog, &n));
	client = open_client(&f, 300);
	do { /* a server that is late may not answer at all, or have had some frames left */
		(void)take(client, FRAMES);
		before = clock_now_ms();
	} while ((pageclient_alloc(client, 0, 0) || errno != ENOMEM) && clock_pause(until));
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_TRUE(clock_now_ms() - before >= 250);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "the hog"));
	(void)snprintf(pid, sizeof(pid), "pid %d", child.pid);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), pid));
	before = clock_now_ms();
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 0, PAGECLIENT_NOWAIT));
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

static void *wait_for_one(void *client)
{
	return pageclient_alloc(client, 0, 0);
}

/* Starts an allocation that has to wait, and returns once it does. */
static void start_waiting(const struct observer *observer, pageclient *client,
			  pthread_t *ret_thread)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	uint64_t before = shm_view_counter(&observer->view, COUNTER_allocstall);

	CU_ASSERT_EQUAL(pthread_create(ret_thread, NULL, wait_for_one, client), 0);
	while (shm_view_counter(&observer->view, COUNTER_allocstall) == before &&
	       clock_pause(until))
		;
}

static void who_waits_gets_what_another_gives_back(bool by_death)
{
	struct fixture f;
	struct holder hog = {&f, "the hog", HOLDER_KEEPS, FRAMES, FRAMES * 15 / 16};
	struct observer observer;
	struct child child;
	pageclient *client, *filler;
	pthread_t thread;
	uint64_t n, until = clock_until(CLOCK_PATIENCE_MS);
	void *frame;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_TRUE(holder_start(&child, &hog, &n));
	filler = open_client(&f, 200); /* what the hog's last try left */
	do
		(void)take(filler, FRAMES);
	while (shm_view_counter(&observer.view, COUNTER_nr_free_pages) >
		       observer.view.zones[0].watermark_min &&
	       clock_pause(until));
	client = open_client(&f, CLOCK_PATIENCE_MS);
	start_waiting(&observer, client, &thread);
	if (by_death)
		child_kill(&child);
	else
		CU_ASSERT_EQUAL(holder_ask(&child, HOLDER_FREE), 0);
	CU_ASSERT_EQUAL(pthread_join(thread, &frame), 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	pageclient_close(client);
	pageclient_close(filler);
	(void)child_end(&child);
	observer_close(&observer);
	fixture_close(&f);
}

static void who_waits_gets_what_is_freed(void)
{
	who_waits_gets_what_another_gives_back(false);
}

static void who_waits_gets_what_the_dead_had(void)
{
	who_waits_gets_what_another_gives_back(true);
}

static void reclaim_brings_back_what_was_asked_for(void)
{
	struct fixture f;
	struct holder holder = {&f, "first", HOLDER_PRUNES, FRAMES / 2, 0};
	struct child child;
	struct program ctl;
	json_t *root;
	uint64_t n, left;

	CU_ASSERT_TRUE(fixture_open(&f, patient));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	fixture_ctl(&f, &ctl, "reclaim", "--frames", "1000", "--json", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	root = json_loads(ctl.out, 0, NULL);
	CU_ASSERT_TRUE(fixture_json_number(root, "frames") >= 1000);
	json_decref(root);
	program_done(&ctl);
	/* And not much more than that: a scan goes by batches of 128. */
	left = holder_ask(&child, HOLDER_COUNT);
	CU_ASSERT_TRUE(left < n && left > n - 1000 - 512);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

CU_TestInfo test_reclaim[] = {
	{"need of one prunes the cache of another", need_of_one_prunes_the_cache_of_another},
	{"two caches prune each other and go on", two_caches_prune_each_other_and_go_on},
	{"callback that hangs delays nobody for long", callback_that_hangs_delays_nobody_for_long},
	{"who lies about what it freed delays nobody", who_lies_about_what_it_freed_delays_nobody},
	{"who allocates in its callback delays nobody and the breaker shows",
	 who_allocates_in_its_callback_delays_nobody_and_the_breaker_shows},
	{"breaker opens and is shown", breaker_opens_and_is_shown},
	{"own caches are left to the caller", own_caches_are_left_to_the_caller},
	{"ENOMEM after the deadline names the owners", enomem_after_the_deadline_names_the_owners},
	{"who waits gets what is freed", who_waits_gets_what_is_freed},
	{"who waits gets what the dead had", who_waits_gets_what_the_dead_had},
	{"reclaim brings back what was asked for", reclaim_brings_back_what_was_asked_for},
	CU_TEST_INFO_NULL,
};
