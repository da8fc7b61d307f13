/* tests/integration/test_library.c - the library against a real daemon: what a wrong program does
 * to itself and to nobody else, several clients, and many threads. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

extern CU_TestInfo test_library[];

static const char config[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\n";

static int open_with(const struct fixture *f, uint32_t flags, uint32_t max_threads,
		     pageclient **ret_client)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.flags = flags;
	options.max_threads = max_threads;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	return pageclient_open(&options, ret_client);
}

/* --- wrong programs ------------------------------------------------------------------------- */

static void double_free_is_counted_and_costs_nobody_a_frame(void)
{
	struct fixture f;
	pageclient *client;
	void *frame[4];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "twice");
	for (int i = 0; i < 4; i++)
		frame[i] = pageclient_alloc(client, 0, 0);
	for (int i = 0; i < 4; i++) {
		pageclient_free(client, frame[i], 0);
		pageclient_free(client, frame[i], 0);
	}
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 4);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

static void double_free_after_a_drain_takes_nothing_of_the_next_owner(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *bad, *good;
	void *frame, *theirs;
	uint32_t pfn;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	bad = fixture_client(&f, "bad");
	good = fixture_client(&f, "good");
	frame = pageclient_alloc(bad, 0, 0);
	pfn = pageclient_pfn(bad, frame);
	pageclient_free(bad, frame, 0);
	fixture_drain(&f);
	/* The other takes frames until it has that one. */
	do
		theirs = pageclient_alloc(good, 0, 0);
	while (theirs && pageclient_pfn(good, theirs) != pfn);
	CU_ASSERT_PTR_NOT_NULL(theirs);
	memset(theirs, 'g', 4096);
	pageclient_free(bad, frame, 0);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(bad).nr_bad_free, 1);
	CU_ASSERT_EQUAL(fixture_status(good).nr_bad_free, 0);
	CU_ASSERT_EQUAL(shm_view_word(&observer.view, pfn).state, PAGE_OWNED);
	CU_ASSERT_EQUAL(shm_view_word(&observer.view, pfn).owner, fixture_status(good).client_id);
	CU_ASSERT_EQUAL(((char *)theirs)[4095], 'g');
	pageclient_free(good, theirs, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(bad);
	pageclient_close(good);
	observer_close(&observer);
	fixture_close(&f);
}

/* Another's, another order's, the middle of a block, no frame at all. */
static void foreign_pointers_are_counted_and_change_nothing(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *bad, *good;
	void *theirs, *block;
	char *stack;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	bad = fixture_client(&f, "bad");
	good = fixture_client(&f, "good");
	pageclient_free(bad, pageclient_alloc(bad, 0, 0), 0); /* from now on inline */
	theirs = pageclient_alloc(good, 0, 0);
	block = pageclient_alloc(bad, 2, 0);
	stack = malloc(4096);
	CU_ASSERT_PTR_NOT_NULL(block);
	pageclient_free(bad, pageclient_frame(bad, pageclient_pfn(good, theirs)), 0);
	pageclient_free(bad, block, 0);
	pageclient_free(bad, (char *)block + 4096, 0);
	pageclient_free(bad, stack, 0);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(bad).nr_bad_free, 4);
	pageclient_free(bad, block, 1);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(bad).nr_bad_free, 5);
	CU_ASSERT_EQUAL(fixture_status(bad).nr_owned, 4); /* the block is still its own */
	pageclient_free(bad, block, 12);                  /* a request of its own */
	CU_ASSERT_EQUAL(fixture_status(bad).nr_bad_free, 6);
	CU_ASSERT_EQUAL(shm_view_word(&observer.view, pageclient_pfn(good, theirs)).owner,
			fixture_status(good).client_id);
	CU_ASSERT_EQUAL(fixture_status(good).nr_bad_free, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	free(stack);
	pageclient_close(bad);
	pageclient_close(good);
	observer_close(&observer);
	fixture_close(&f);
}

/* Of a segment whose size is no power of two: what lies behind it has the bits of an offset in it.
 */
static void what_lies_behind_an_odd_segment_is_refused_at_once(void)
{
	const uint32_t nr_frames = 12288; /* of 48 MiB */
	static void *frame[6000];
	pageclient *client;
	struct fixture f;
	char *end;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 48M\nbacking = posix\n"));
	client = fixture_client(&f, "behind");
	CU_ASSERT_PTR_NULL(pageclient_frame(client, nr_frames));
	end = (char *)pageclient_frame(client, nr_frames - 1) + 4096;
	CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, frame, 6000), 6000);
	for (uint32_t n = 0; n < 40;
	     n++) { /* wherever it is, in one call that the near end takes */
		void *kept = frame[n];

		frame[n] = end + (size_t)n * 64 * 4096;
		pageclient_free_bulk(client, 0, 0, frame, 40);
		CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, n + 1);
		frame[n] = kept;
		CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, frame, 39), 39);
		for (uint32_t i = 0; i < 39; i++)
			CU_ASSERT(pageclient_pfn(client, frame[i]) < nr_frames);
		frame[39] = kept;
	}
	pageclient_free_bulk(client, 0, 0, frame, 6000); /* all of its own */
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 40);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

/* Also where the magazine is full just before one. */
static void nulls_among_many_are_skipped(void)
{
	static void *frame[6000]; /* every other one is NULL */
	pageclient *client;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "nulls");
	for (int i = 0; i < 6000; i += 2)
		frame[i] = pageclient_alloc(client, 0, 0);
	pageclient_free_bulk(client, 0, 0, frame, 6000);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 0);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	pageclient_close(client);
	fixture_close(&f);
}

static void frees_that_are_refused_are_shown(void)
{
	struct fixture f;
	struct program ctl;
	pageclient *client;
	void *frame;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "careless");
	frame = pageclient_alloc(client, 0, 0);
	pageclient_free(client, frame, 0);
	pageclient_free(client, frame, 0);
	fixture_drain(&f);
	fixture_ctl(&f, &ctl, "clients", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "BAD FREES"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "vmstat", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "nr_bad_free 1\n"));
	program_done(&ctl);
	pageclient_close(client);
	fixture_close(&f);
}

/* --- clients -------------------------------------------------------------------------------- */

static void several_clients_of_a_process_have_each_their_own(void)
{
	struct fixture f, g;
	pageclient *client[3];
	void *frame[3][50];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(fixture_open(&g, config)); /* another daemon */
	client[0] = fixture_client(&f, "one");
	client[1] = fixture_client(&f, "two");
	client[2] = fixture_client(&g, "other");
	for (int i = 0; i < 50; i++)
		for (int c = 0; c < 3; c++) {
			frame[c][i] = pageclient_alloc(client[c], 0, 0);
			CU_ASSERT_PTR_NOT_NULL(frame[c][i]);
			memset(frame[c][i], c + 1, 4096);
		}
	for (int i = 0; i < 50; i++)
		for (int c = 0; c < 3; c++) {
			CU_ASSERT_EQUAL(((char *)frame[c][i])[i * 80], c + 1);
			pageclient_free(client[c], frame[c][i], 0);
		}
	CU_ASSERT_NOT_EQUAL(fixture_status(client[0]).client_id,
			    fixture_status(client[1]).client_id);
	fixture_drain(&f);
	fixture_drain(&g);
	for (int c = 0; c < 3; c++) {
		CU_ASSERT_EQUAL(fixture_status(client[c]).nr_bad_free, 0);
		CU_ASSERT_EQUAL(fixture_status(client[c]).nr_owned, 0);
		pageclient_close(client[c]);
	}
	fixture_close(&g);
	fixture_close(&f);
}

static void close_gives_back_what_is_held(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *client;
	uint64_t handle;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	client = fixture_client(&f, "holder");
	for (unsigned order = 0; order <= 12; order++)
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, order, 0));
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, PAGECLIENT_COLD));
	CU_ASSERT_EQUAL(pageclient_share(client, pageclient_alloc(client, 3, 0), &handle), 0);
	pageclient_close(client);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	CU_ASSERT_TRUE(fixture_check(&f));
	observer_close(&observer);
	fixture_close(&f);
}

static void own_limit_holds_and_survives_a_reload(void)
{
	struct fixture f;
	struct pageclient_options options;
	pageclient *client;
	uint64_t n = 0;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.max_frames = 100;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), 0);
	CU_ASSERT_EQUAL(fixture_status(client).max, 100);
	while (n < 200 && pageclient_alloc(client, 0, 0))
		n++;
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "max is 100"));
	fixture_configure(&f, "[segment]\nsize = 128M\n[limits]\nclient_max = 32M\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "limits.client_max: 32M"));
	CU_ASSERT_EQUAL(fixture_status(client).max, 100);
	pageclient_close(client);
	fixture_close(&f);
}

static void reader_sees_and_cannot_write(void)
{
	struct fixture f;
	pageclient *writer, *reader;
	uint64_t handle = 0;
	void *frame;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	writer = fixture_client(&f, "writer");
	CU_ASSERT_EQUAL(open_with(&f, PAGECLIENT_READ_ONLY, 0, &reader), 0);
	CU_ASSERT_PTR_NULL(pageclient_alloc(reader, 0, 0));
	CU_ASSERT_EQUAL(errno, EROFS);
	frame = pageclient_alloc(writer, 0, 0);
	memset(frame, 'w', 4096);
	CU_ASSERT_EQUAL(pageclient_share(writer, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_import(reader, handle, &frame, NULL), 0);
	CU_ASSERT_EQUAL(((char *)frame)[17], 'w');
	CU_ASSERT_EQUAL(pageclient_put(reader, frame), 0);
	pageclient_close(reader);
	pageclient_close(writer);
	fixture_close(&f);
}

/* --- threads -------------------------------------------------------------------------------- */

static void *touch_one(void *client)
{
	void *frame = pageclient_alloc(client, 0, 0);

	pageclient_free(client, frame, 0);
	return frame;
}

static void threads_that_end_hand_their_magazines_on(void)
{
	struct fixture f;
	struct observer observer;
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	client = fixture_client(&f, "short threads");
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *frame;

		CU_ASSERT_EQUAL(pthread_create(&thread, NULL, touch_one, client), 0);
		CU_ASSERT_EQUAL(pthread_join(thread, &frame), 0);
		CU_ASSERT_PTR_NOT_NULL(frame);
	}
	CU_ASSERT_EQUAL(observer_find(&observer, getpid(), "short threads")->nr_threads, 1);
	CU_ASSERT_EQUAL(shm_view_counter(&observer.view, COUNTER_pcp_refill), 1);
	pageclient_close(client);
	observer_close(&observer);
	fixture_close(&f);
}

#define MANY 100u

struct many {
	pageclient *client;
	pthread_barrier_t *barrier;
	uint64_t number;
	uint64_t mismatches;
};

/* All have frames at the same time, and each finds its own marks again. */
static void *work_marked(void *arg)
{
	struct many *many = arg;
	uint64_t *frame[20];

	for (uint64_t round = 0; round < 10; round++) {
		for (uint64_t i = 0; i < 20; i++) {
			frame[i] = pageclient_alloc(many->client, 0, 0);
			if (frame[i])
				frame[i][0] = frame[i][511] = many->number << 32 | round << 8 | i;
			else
				many->mismatches++;
		}
		if (round == 0)
			(void)pthread_barrier_wait(many->barrier);
		for (uint64_t i = 0; i < 20; i++) {
			uint64_t mark = many->number << 32 | round << 8 | i;

			if (frame[i] && (frame[i][0] != mark || frame[i][511] != mark))
				many->mismatches++;
			pageclient_free(many->client, frame[i], 0);
		}
	}
	return NULL;
}

static void run_many(uint32_t max_threads)
{
	struct many many[MANY];
	pthread_t thread[MANY];
	pthread_barrier_t barrier;
	pageclient *client;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_EQUAL(open_with(&f, 0, max_threads, &client), 0);
	CU_ASSERT_EQUAL(pthread_barrier_init(&barrier, NULL, MANY), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		many[i] = (struct many){.client = client, .barrier = &barrier, .number = i + 1};
		CU_ASSERT_EQUAL(pthread_create(&thread[i], NULL, work_marked, &many[i]), 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		CU_ASSERT_EQUAL(pthread_join(thread[i], NULL), 0);
		CU_ASSERT_EQUAL(many[i].mismatches, 0);
	}
	(void)pthread_barrier_destroy(&barrier);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 0);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

static void more_threads_than_magazines_share_some(void)
{
	run_many(0);
	run_many(2);
	run_many(1);
}

/* What one thread takes another gives: it goes to the giver's magazine. */
static void *give_all(void *arg)
{
	void **frames = arg;
	pageclient *client = frames[0];

	for (int i = 1; frames[i]; i++)
		pageclient_free(client, frames[i], 0);
	return NULL;
}

static void any_thread_may_free_what_another_took(void)
{
	struct fixture f;
	pageclient *client;
	void *frames[2002] = {NULL};
	pthread_t thread;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "two threads");
	for (int round = 0; round < 5; round++) {
		frames[0] = client;
		CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, frames + 1, 2000), 2000);
		CU_ASSERT_EQUAL(pthread_create(&thread, NULL, give_all, frames), 0);
		CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
	}
	fixture_drain(&f);
	CU_ASSERT_EQUAL(fixture_status(client).nr_bad_free, 0);
	CU_ASSERT_EQUAL(fixture_status(client).nr_owned, 0);
	pageclient_close(client);
	fixture_close(&f);
}

CU_TestInfo test_library[] = {
	{"double free is counted and costs nobody a frame",
	 double_free_is_counted_and_costs_nobody_a_frame},
	{"double free after a drain takes nothing of the next owner",
	 double_free_after_a_drain_takes_nothing_of_the_next_owner},
	{"what lies behind an odd segment is refused at once",
	 what_lies_behind_an_odd_segment_is_refused_at_once},
	{"foreign pointers are counted and change nothing",
	 foreign_pointers_are_counted_and_change_nothing},
	{"nulls among many are skipped", nulls_among_many_are_skipped},
	{"frees that are refused are shown", frees_that_are_refused_are_shown},
	{"several clients of a process have each their own",
	 several_clients_of_a_process_have_each_their_own},
	{"close gives back what is held", close_gives_back_what_is_held},
	{"own limit holds and survives a reload", own_limit_holds_and_survives_a_reload},
	{"reader sees and cannot write", reader_sees_and_cannot_write},
	{"threads that end hand their magazines on", threads_that_end_hand_their_magazines_on},
	{"more threads than magazines share some", more_threads_than_magazines_share_some},
	{"any thread may free what another took", any_thread_may_free_what_another_took},
	CU_TEST_INFO_NULL,
};
