/* tests/integration/test_steady.c - a program at work: no request where none is needed, no memory
 * asked of the heap by either side, and no system call beside those that a request is made of. */
#include "tests/integration/clock.h"
#include "tests/integration/counted.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern CU_TestInfo test_steady[];

#define FRAMES 32768u
#define TAKEN (FRAMES / 2)
static const char awake[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\nbusy_poll = 10ms\n";
static const char asleep[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\nbusy_poll = 0\n";

static uint64_t counter(const struct observer *observer, enum counter which)
{
	return shm_view_counter(&observer->view, which);
}

/* --- refills without a request --- */

/* Takes frames until a refill came without a request, or all are taken; frees them. */
static void take_and_give(pageclient *client, const struct observer *observer)
{
	static void *frame[TAKEN];
	uint64_t before = counter(observer, COUNTER_pcp_prefetch);
	size_t n = 0;

	while (n < TAKEN && (n < 512 || counter(observer, COUNTER_pcp_prefetch) == before)) {
		frame[n] = pageclient_alloc(client, 0, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frame[n]);
		n++;
	}
	pageclient_free_bulk(client, 0, 0, frame, n);
}

/* That this process, and so the daemon, may run on. */
static int nr_processors(void)
{
	cpu_set_t may;

	CPU_ZERO(&may);
	return sched_getaffinity(0, sizeof(may), &may) == 0 ? CPU_COUNT(&may) : 1;
}

/* A server that has to wait for its processor refills nothing ahead of need, so it gets several
 * chances; that it does so at all is what is asked. */
static void who_takes_steadily_is_refilled_without_a_request(void)
{
	struct observer observer;
	struct fixture f;
	pageclient *client;

	if (nr_processors() < 2) {
		fixture_skip("steady", "nobody spins on one processor");
		return;
	}
	CU_ASSERT_TRUE_FATAL(fixture_open(&f, awake));
	CU_ASSERT_TRUE_FATAL(observer_open(&observer, &f));
	client = fixture_client(&f, "steady");
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     counter(&observer, COUNTER_pcp_prefetch) < 8 && clock_pause(until);)
		take_and_give(client, &observer);
	CU_ASSERT(counter(&observer, COUNTER_pcp_prefetch) >= 8);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	observer_close(&observer);
	fixture_close(&f);
}

static void without_busy_poll_nothing_comes_unasked(void)
{
	struct observer observer;
	struct fixture f;
	pageclient *client;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, asleep));
	CU_ASSERT_TRUE_FATAL(observer_open(&observer, &f));
	client = fixture_client(&f, "steady");
	take_and_give(client, &observer);
	CU_ASSERT_EQUAL(observer.view.header->busy_poll_us, 0);
	CU_ASSERT_EQUAL(observer.view.header->awake, 0);
	CU_ASSERT_EQUAL(counter(&observer, COUNTER_pcp_prefetch), 0);
	CU_ASSERT_EQUAL(counter(&observer, COUNTER_pcp_bell), 0);
	CU_ASSERT(counter(&observer, COUNTER_pcp_refill) > 1);
	pageclient_close(client);
	observer_close(&observer);
	fixture_close(&f);
}

/* --- counted calls --- */

/* Of the daemon, in a file that it has mapped. */
struct tally {
	char name[64];
	const struct counted *count;
};

static void preload(struct fixture *fixture)
{
	const struct tally *tally = fixture->arg;

	(void)setenv(COUNTED_FILE, tally->name, 1);
	(void)setenv("LD_PRELOAD", INTEGRATION_COUNTED, 1);
}

static bool tally_open(struct tally *tally)
{
	int fd;

	(void)snprintf(tally->name, sizeof(tally->name), "/tmp/paged-counted-XXXXXX");
	fd = mkstemp(tally->name);
	if (fd < 0 || ftruncate(fd, sizeof(*tally->count)) < 0)
		return false;
	tally->count = mmap(NULL, sizeof(*tally->count), PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	return tally->count != MAP_FAILED;
}

static void tally_close(struct tally *tally)
{
	(void)munmap((void *)(uintptr_t)tally->count, sizeof(*tally->count));
	(void)unlink(tally->name);
}

/* False: this test is skipped. */
static bool tally_start(struct tally *tally, struct fixture *f, const char *configuration)
{
	if (fixture_is_sanitized()) {
		fixture_skip("steady", "a sanitizer has its own heap and calls");
		return false;
	}
	CU_ASSERT_TRUE_FATAL(tally_open(tally));
	fixture_make(f, configuration);
	f->before_exec = preload;
	f->arg = tally;
	CU_ASSERT_TRUE_FATAL(fixture_start(f));
	return true;
}

/* --- no heap --- */

#define BURST 4000u
#define LARGE 10u

/* Refills and drains of a magazine that is smaller than the burst, requests of their own, and the
 * inline path. */
static bool work(pageclient *client)
{
	static void *frame[BURST];
	void *block = pageclient_alloc(client, LARGE, 0);
	void *one = pageclient_alloc(client, 0, 0);
	size_t n = pageclient_alloc_bulk(client, 0, PAGECLIENT_COLD, frame, BURST);

	pageclient_free_bulk(client, 0, PAGECLIENT_COLD, frame, n);
	pageclient_free(client, one, 0);
	pageclient_free(client, block, LARGE);
	return n == BURST && block && one;
}

/* Once a second the server looks at the machine, for which libc may take memory; so one burst of
 * requests without is what is asked, of some. */
static void steady_work_asks_the_heap_for_nothing(void)
{
	uint64_t requests, before, own, least = UINT64_MAX, least_own = UINT64_MAX;
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct observer observer;
	struct fixture f;
	struct tally tally;
	pageclient *client;

	if (!tally_start(&tally, &f, awake))
		return;
	CU_ASSERT_TRUE_FATAL(observer_open(&observer, &f));
	client = fixture_client(&f, "steady");
	CU_ASSERT_TRUE(work(client) && work(client)); /* commits, magazines, stacks */
	CU_ASSERT(tally.count->mallocs > 0);          /* it does count */
	while ((least || least_own) && clock_left_ms(until) > 0) {
		requests = counter(&observer, COUNTER_rpc_requests);
		before = tally.count->mallocs;
		own = counted_own().mallocs;
		CU_ASSERT_TRUE(work(client));
		least_own = counted_own().mallocs - own < least_own ? counted_own().mallocs - own
								    : least_own;
		least = tally.count->mallocs - before < least ? tally.count->mallocs - before
							      : least;
		CU_ASSERT(counter(&observer, COUNTER_rpc_requests) >= requests + 4);
	}
	CU_ASSERT_EQUAL(least, 0);
	CU_ASSERT_EQUAL(least_own, 0);
	pageclient_close(client);
	observer_close(&observer);
	fixture_close(&f);
	tally_close(&tally);
}

/* --- system calls --- */

#define REQUESTS 100u

/* The client sends and receives; the daemon waits, receives and sends. Ten times a second it has
 * something else to do, so one batch of requests without is what is asked, of some. */
static void a_request_takes_two_system_calls_here_and_three_there(void)
{
	uint64_t least = UINT64_MAX, least_own = UINT64_MAX;
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct pageclient_status status;
	struct fixture f;
	struct tally tally;
	pageclient *client;

	if (!tally_start(&tally, &f, asleep))
		return;
	client = fixture_client(&f, "steady");
	PAGECLIENT_INIT(struct pageclient_status, &status);
	while ((least > 3 * REQUESTS || least_own > 2 * REQUESTS) && clock_left_ms(until) > 0) {
		uint64_t before = tally.count->calls, own = counted_own().calls;

		for (uint32_t k = 0; k < REQUESTS; k++)
			CU_ASSERT_EQUAL_FATAL(pageclient_read_status(client, &status), 0);
		own = counted_own().calls - own;
		before = tally.count->calls - before;
		least = before < least ? before : least;
		least_own = own < least_own ? own : least_own;
	}
	/* The daemon may be about to wait again, or have begun. */
	CU_ASSERT(least >= 3 * REQUESTS - 2); /* it does count */
	CU_ASSERT(least <= 3 * REQUESTS);
	CU_ASSERT_EQUAL(least_own, 2 * REQUESTS);
	pageclient_close(client);
	fixture_close(&f);
	tally_close(&tally);
}

CU_TestInfo test_steady[] = {
	{"who takes steadily is refilled without a request",
	 who_takes_steadily_is_refilled_without_a_request},
	{"without busy_poll nothing comes unasked", without_busy_poll_nothing_comes_unasked},
	{"steady work asks the heap for nothing", steady_work_asks_the_heap_for_nothing},
	{"a request takes two system calls here and three there",
	 a_request_takes_two_system_calls_here_and_three_there},
	CU_TEST_INFO_NULL,
};
