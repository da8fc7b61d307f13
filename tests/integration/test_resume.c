/* tests/integration/test_resume.c - the daemon dies and comes back: its clients keep what they
 * have, go on, and what was in flight happens once. */
#include "tests/integration/clock.h"
#include "tests/integration/outage.h"
#include "tests/integration/worker.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

extern CU_TestInfo test_resume[];

#define KILLS 20u
#define WORKERS 2u
#define LANES 4u
#define BLOCK_ORDER 10u /* the smallest that no magazine has */
#define BLOCK_FRAMES 1024u

static const struct outage_client patient = {.call_timeout_ms = UINT32_MAX};

/* --- load ----------------------------------------------------------------------------------- */

static bool waits_for_operations(const struct worker_board *board, uint64_t n)
{
	uint64_t goal = __atomic_load_n(&board->operations, __ATOMIC_RELAXED) + n;

	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     __atomic_load_n(&board->operations, __ATOMIC_RELAXED) < goal;)
		if (!clock_pause(until))
			return false;
	return true;
}

static void kills_under_load_lose_and_double_no_frame(void)
{
	struct outage outage;
	struct worker_board *board = worker_board_new();
	struct child child[WORKERS];
	struct worker_plan plan[WORKERS];
	uint64_t random = UINT64_C(0xD00DFEED);
	bool good = outage_open(&outage);

	for (uint32_t i = 0; good && i < WORKERS; i++) {
		plan[i] = (struct worker_plan){.fixture = &outage.fixture,
					       .board = board,
					       .seed = worker_random(&random) >> 8,
					       .number = i + 1,
					       .threads = 3,
					       .report = UINT64_MAX};
		good = worker_start(&child[i], &plan[i]);
	}
	for (uint32_t n = 0; good && n < KILLS; n++)
		good = waits_for_operations(board, 100 + worker_random(&random) % 4000) &&
		       outage_restart(&outage, n);
	good = good && waits_for_operations(board, 10000) && fixture_check(&outage.fixture);
	CU_ASSERT_TRUE(good);
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(child_end(&child[i]), 0);
	CU_ASSERT_EQUAL(board->mismatches, 0);
	CU_ASSERT_EQUAL(board->failures, 0);
	outage_close(&outage);
	worker_board_free(board);
}

/* --- lanes ---------------------------------------------------------------------------------- */

struct lane_hand { /* a thread that only makes requests that have to happen once */
	pageclient *one, *other;
	const bool *stop;
	uint64_t random;
	uint64_t n_requests;
	uint64_t n_failed;
	uint32_t n;
	uint64_t *block[4];
};

static void lane_step(struct lane_hand *hand)
{
	uint64_t *block, handle;
	void *imported;
	bool good = true;

	if (hand->n == 0 || (hand->n < 4 && worker_random(&hand->random) % 2)) {
		block = pageclient_alloc(hand->one, BLOCK_ORDER, 0);
		if (block) {
			block[0] = (uint64_t)(uintptr_t)hand;
			hand->block[hand->n++] = block;
		}
		good = block != NULL;
	} else {
		block = hand->block[--hand->n];
		good = block[0] == (uint64_t)(uintptr_t)hand; /* nobody else was given it */
		block[0] = 0;
		if (worker_random(&hand->random) % 2)
			pageclient_free(hand->one, block, BLOCK_ORDER);
		else
			good &= pageclient_share(hand->one, block, &handle) == 0 &&
				pageclient_import(hand->other, handle, &imported, NULL) == 0 &&
				pageclient_put(hand->one, block) == 0 &&
				pageclient_put(hand->other, imported) == 0;
	}
	if (!good)
		(void)fprintf(stderr, "a request failed: %s\n", pageclient_error());
	hand->n_failed += !good;
	(void)__atomic_add_fetch(&hand->n_requests, 1, __ATOMIC_RELAXED); /* only a sum */
}

static void *lane_work(void *arg)
{
	struct lane_hand *hand = arg;

	while (!__atomic_load_n(hand->stop, __ATOMIC_ACQUIRE)) /* pairs with the release below */
		lane_step(hand);
	/* What is still open on the two lanes is settled by the next request on them. */
	pageclient_free(hand->one, pageclient_alloc(hand->one, BLOCK_ORDER, 0), BLOCK_ORDER);
	pageclient_free(hand->other, pageclient_alloc(hand->other, BLOCK_ORDER, 0), BLOCK_ORDER);
	return NULL;
}

static bool lanes_work(const struct lane_hand *hands, uint64_t n)
{
	for (uint32_t i = 0; i < LANES; i++) {
		uint64_t goal = __atomic_load_n(&hands[i].n_requests, __ATOMIC_RELAXED) + n;

		for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
		     __atomic_load_n(&hands[i].n_requests, __ATOMIC_RELAXED) < goal;)
			if (!clock_pause(until))
				return false;
	}
	return true;
}

static void requests_in_flight_happen_once(void)
{
	struct outage outage;
	bool stop = false, good = outage_open(&outage);
	pageclient *one = outage_client(&outage, &patient);
	pageclient *other = outage_client(&outage, &patient);
	struct lane_hand hands[LANES];
	pthread_t threads[LANES];
	uint64_t random = 4711, held = 0;

	for (uint32_t i = 0; i < LANES; i++) {
		hands[i] = (struct lane_hand){
			.one = one, .other = other, .stop = &stop, .random = i * 2 + 1};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, lane_work, &hands[i]), 0);
	}
	for (uint32_t n = 0; good && n < KILLS; n++)
		good = lanes_work(hands, 1 + worker_random(&random) % 50) &&
		       outage_restart(&outage, n);
	good = good && lanes_work(hands, 20);
	CU_ASSERT_TRUE(good);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < LANES; i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(hands[i].n_failed, 0);
		held += hands[i].n;
	}
	CU_ASSERT_EQUAL(fixture_status(one).nr_owned, held * BLOCK_FRAMES);
	CU_ASSERT_EQUAL(fixture_status(other).nr_owned, 0);
	CU_ASSERT_EQUAL(fixture_status(one).nr_shared, 0);
	CU_ASSERT_EQUAL(fixture_status(other).nr_shared, 0);
	for (uint32_t i = 0; i < LANES; i++)
		while (hands[i].n)
			pageclient_free(one, hands[i].block[--hands[i].n], BLOCK_ORDER);
	CU_ASSERT_EQUAL(fixture_status(one).nr_owned, 0);
	pageclient_close(one);
	pageclient_close(other);
	outage_close(&outage);
}

/* --- waiting -------------------------------------------------------------------------------- */

static void call_that_waited_long_enough_says_again(void)
{
	struct outage outage;
	pageclient *client;
	uint64_t before, handle;
	void *block;
	int r;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &(struct outage_client){.call_timeout_ms = 100});
	block = pageclient_alloc(client, BLOCK_ORDER, 0);
	fixture_kill(&outage.fixture);
	before = clock_now_ms();
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, BLOCK_ORDER, 0));
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), outage.fixture.socket));
	CU_ASSERT_TRUE(clock_now_ms() - before >= 99);
	CU_ASSERT_EQUAL(pageclient_share(client, block, &handle), -EAGAIN);
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_AWAY);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	CU_ASSERT_EQUAL(outage_share(client, block, &handle), 0);
	r = pageclient_put(client, block);
	CU_ASSERT(r == 0 || r == -ETIMEDOUT); /* then it is done all the same, or with the client */
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_CONNECTED);
	pageclient_close(client);
	outage_close(&outage);
}

struct waiter {
	pageclient *client;
	void *frame;
};

static void *wait_for_frame(void *arg)
{
	struct waiter *waiter = arg;

	waiter->frame = pageclient_alloc(waiter->client, BLOCK_ORDER, 0);
	return NULL;
}

static void many_that_wait_resume_once(void)
{
	struct outage outage;
	struct waiter waiter[8];
	pthread_t threads[8];

	if (!outage_open(&outage))
		return;
	waiter[0].client = outage_client(&outage, &patient);
	fixture_kill(&outage.fixture);
	for (int i = 0; i < 8; i++) {
		waiter[i].client = waiter[0].client;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, wait_for_frame, &waiter[i]),
				      0);
	}
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	for (int i = 0; i < 8; i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_PTR_NOT_NULL(waiter[i].frame);
	}
	CU_ASSERT_EQUAL(shm_view_counter(&outage.observer.view, COUNTER_client_resume), 1);
	pageclient_close(waiter[0].client);
	outage_close(&outage);
}

/* Nothing that a free or NOWAIT does waits for the daemon, and nothing of it is lost. */
static void frees_do_not_wait_and_come_back(void)
{
	enum { N = 5000 };
	struct outage outage;
	void **frame = calloc(N, sizeof(*frame));
	void *block;
	pageclient *client;
	uint64_t before;

	if (!outage_open(&outage) || !frame)
		return;
	client = outage_client(&outage, &patient);
	CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, frame, N), N);
	block = pageclient_alloc(client, BLOCK_ORDER, 0);
	fixture_kill(&outage.fixture);
	before = clock_now_ms();
	for (int i = 0; i < N; i++)
		pageclient_free(client, frame[i], 0);
	pageclient_free(client, block, BLOCK_ORDER);
	while (pageclient_alloc(client, 0, PAGECLIENT_NOWAIT))
		;
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 4);
	CU_ASSERT_EQUAL(fixture_status(client).state, PAGECLIENT_AWAY);
	CU_ASSERT_TRUE(fixture_start(&outage.fixture));
	for (int i = 0; i < 200; i++) /* each moves some of those that were kept */
		pageclient_free(client, pageclient_alloc(client, BLOCK_ORDER, 0), BLOCK_ORDER);
	fixture_drain(&outage.fixture);
	CU_ASSERT_TRUE(fixture_status(client).nr_owned < N + 2 * BLOCK_FRAMES);
	pageclient_close(client);
	outage_close(&outage);
	free(frame);
}

/* --- the rest ------------------------------------------------------------------------------- */

static int close_when_told(int fd, void *arg)
{
	pageclient *client = outage_client(arg, &patient);
	uint64_t word;

	CHILD_CHECK(pageclient_alloc(client, 0, 0) && child_say(fd, 1) && child_expect(fd, 1));
	pageclient_close(client);
	CHILD_CHECK(child_say(fd, 1));
	(void)child_hear(fd, &word); /* it lives on until it is told to end */
	return 0;
}

/* False: its frames are still there, and so is its process. */
static bool is_gone_after_close(struct outage *outage)
{
	struct child child;
	bool is_gone;

	CU_ASSERT_TRUE(child_start(&child, close_when_told, outage));
	CU_ASSERT_TRUE(child_expect(child.fd, 1));
	CU_ASSERT_TRUE(outage_restart_all(outage));
	CU_ASSERT_TRUE(child_say(child.fd, 1) && child_expect(child.fd, 1));
	for (uint64_t until = clock_until(1000);
	     !(is_gone = observer_count_clients(&outage->observer) == 0) && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(child_end(&child), 0);
	return is_gone;
}

/* It does not look for it for long, so on a busy machine one of some closes does. */
static void close_finds_the_daemon_that_is_back(void)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	struct outage outage;
	bool is_gone;

	if (!outage_open(&outage))
		return;
	do
		is_gone = is_gone_after_close(&outage);
	while (!is_gone && clock_left_ms(until) > 0);
	CU_ASSERT_TRUE(is_gone);
	outage_close(&outage);
}

static void child_of_a_fork_does_not_resume(void)
{
	struct outage outage;
	pageclient *client;
	int status = -1;
	pid_t pid;

	if (!outage_open(&outage))
		return;
	client = outage_client(&outage, &patient);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	CU_ASSERT_TRUE(outage_restart_server(&outage));
	pid = fork();
	if (pid == 0) {
		CHILD_CHECK(!pageclient_alloc(client, BLOCK_ORDER, 0) && errno == EOWNERDEAD);
		CHILD_CHECK(pageclient_dispatch(client) == -EOWNERDEAD);
		pageclient_close(client);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(shm_view_counter(&outage.observer.view, COUNTER_client_resume), 0);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, BLOCK_ORDER, 0));
	CU_ASSERT_EQUAL(shm_view_counter(&outage.observer.view, COUNTER_client_resume), 1);
	pageclient_close(client);
	outage_close(&outage);
}

/* Its Resume brings no CTL, and no supervisor kept that. */
static int resume_without_ctl(int fd, void *arg)
{
	const struct outage *outage = arg;
	struct raw hello, resume, body = {.n = 0};
	struct message reply;
	uint64_t go;
	int call = raw_connect(&outage->fixture);

	raw_request(&hello, 1, MESSAGE_HELLO, 3, (uint64_t[]){1, 1, 0});
	CHILD_CHECK(raw_call(call, &hello, &reply) == 0);
	(void)raw_take(call, 1, 0);
	raw_number(&body, 1, 1);
	raw_number(&body, 2, 1);
	raw_number(&body, 3, reply.reply.client);
	raw_fixed64(&body, 4, reply.reply.token[0]);
	raw_fixed64(&body, 5, reply.reply.token[1]);
	raw_message(&resume, 2, MESSAGE_RESUME, &body);
	CHILD_CHECK(child_say(fd, 1) && child_hear(fd, &go));
	(void)close(call);
	call = raw_connect(&outage->fixture);
	CHILD_CHECK(raw_call(call, &resume, &reply) == -EBADF && raw_is_closed(call));
	CHILD_CHECK(child_say(fd, 2) && !child_hear(fd, &go));
	return 0;
}

static void client_whose_resume_was_refused_ends_with_its_process(void)
{
	struct outage outage;
	struct child child;

	CU_ASSERT_TRUE_FATAL(outage_open(&outage));
	CU_ASSERT_TRUE_FATAL(child_start(&child, resume_without_ctl, &outage));
	CU_ASSERT_TRUE(child_expect(child.fd, 1));
	CU_ASSERT_TRUE(outage_restart_all(&outage));
	CU_ASSERT_TRUE(child_say(child.fd, 0) && child_expect(child.fd, 2));
	CU_ASSERT_EQUAL(observer_count_clients(&outage.observer), 1);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	outage_close(&outage); /* which looks for its frame */
}

CU_TestInfo test_resume[] = {
	{"kills under load lose and double no frame", kills_under_load_lose_and_double_no_frame},
	{"requests in flight happen once", requests_in_flight_happen_once},
	{"call that waited long enough says again", call_that_waited_long_enough_says_again},
	{"many that wait resume once", many_that_wait_resume_once},
	{"frees do not wait and come back", frees_do_not_wait_and_come_back},
	{"close finds the daemon that is back", close_finds_the_daemon_that_is_back},
	{"child of a fork does not resume", child_of_a_fork_does_not_resume},
	{"client whose resume was refused ends with its process",
	 client_whose_resume_was_refused_ends_with_its_process},
	CU_TEST_INFO_NULL,
};
