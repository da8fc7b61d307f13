/* tests/integration/test_leader.c - the thread that reads the call socket for all gets its
 * processor late, when the connection that it waited on has been replaced already.
 *
 * poll() looks its descriptors up again each time it is woken, but is on the wait queue of the file
 * that it began with. So a reader that is woken by the old connection's end and comes to run after
 * dup3() finds the new one, with nothing to read, and sleeps on for all its patience, while the
 * others leave the reading to it. Here it is made late: it runs with SCHED_IDLE on a processor
 * that other threads want for themselves. */
#include "tests/integration/clock.h"
#include "tests/integration/outage.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern CU_TestInfo test_leader[];

#define CALL_MS                                                                                    \
	60000u /* how long a call waits for its answer: as long as a late leader reads on          \
		*/
#define HOG_MS 2000u
/* Each has the processor for some milliseconds before the leader. Lower: it is not late enough. */
#define HOGS 32u

struct leader {
	pageclient *client;
	uint64_t handle;
	pid_t tid;        /* atomic; of the leader, once it is about to ask */
	uint32_t nr_hogs; /* atomic; on the leader's processor */
	int is_over;      /* atomic */
	int r;
};

/* The last processor that this process may use. */
static void pin_to_last(void)
{
	cpu_set_t may, last;

	CPU_ZERO(&may);
	CPU_ZERO(&last);
	(void)sched_getaffinity(0, sizeof(may), &may);
	for (size_t cpu = CPU_SETSIZE; cpu-- > 0 && CPU_COUNT(&last) == 0;)
		if (CPU_ISSET(cpu, &may))
			CPU_SET(cpu, &last);
	(void)sched_setaffinity(0, sizeof(last), &last);
}

static int import(struct leader *leader)
{
	void *frame;
	int r = pageclient_import(leader->client, leader->handle, &frame, NULL);

	return r < 0 ? r : pageclient_put(leader->client, frame);
}

static void *lead(void *arg)
{
	const struct sched_param idle = {.sched_priority = 0};
	struct leader *leader = arg;

	pin_to_last();
	(void)sched_setscheduler(0, SCHED_IDLE, &idle);
	__atomic_store_n(&leader->tid, gettid(), __ATOMIC_RELEASE);
	leader->r = import(leader);
	return NULL;
}

static void *hog(void *arg)
{
	struct leader *leader = arg;
	uint64_t until = clock_until(HOG_MS);

	pin_to_last();
	(void)__atomic_add_fetch(&leader->nr_hogs, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&leader->is_over, __ATOMIC_RELAXED) && clock_left_ms(until) > 0)
		continue;
	return NULL;
}

/* Does it sleep in a system call, that is: in poll()? */
static bool sleeps(struct leader *leader)
{
	pid_t tid = __atomic_load_n(&leader->tid, __ATOMIC_ACQUIRE);
	char path[64], state = '?';
	long number = -1;
	FILE *file;

	if (tid == 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%ld (%*[^)]) %c", &number, &state) != 2)
		state = '?';
	if (file)
		(void)fclose(file);
	return state == 'S' || !file; /* or it is through */
}

static bool comes_to_sleep(struct leader *leader)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	/* Ten times in a row: it sleeps for moments on the way, too. */
	for (uint32_t n = 0; n < 10; n = sleeps(leader) ? n + 1 : 0)
		if (!clock_pause(until))
			return false;
	return true;
}

/* Asks nothing: an answer would wake the leader. */
static bool comes_back(const struct outage_events *events)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (outage_events_count(events) < 2)
		if (!clock_pause(until))
			return false;
	return true;
}

static void late_leader_holds_nobody_up(void)
{
	struct leader leader = {.r = 1};
	struct outage_events events = {.n = 0};
	struct outage outage;
	pthread_t threads[1 + HOGS];
	uint64_t until;
	void *frame;

	if (!outage_open(&outage))
		return;
	leader.client = outage_client(
		&outage, &(struct outage_client){.call_timeout_ms = CALL_MS, .events = &events});
	frame = pageclient_alloc(leader.client, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(leader.client, frame, &leader.handle), 0);
	CU_ASSERT_EQUAL(import(&leader), 0);
	CU_ASSERT_EQUAL(pageclient_start_thread(leader.client), 0);
	(void)kill((pid_t)outage.observer.view.header->daemon_pid, SIGSTOP);
	CU_ASSERT_EQUAL(pthread_create(&threads[0], NULL, lead, &leader), 0);
	CU_ASSERT_TRUE(comes_to_sleep(&leader));
	for (uint32_t i = 1; i <= HOGS; i++)
		CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, hog, &leader), 0);
	while (__atomic_load_n(&leader.nr_hogs, __ATOMIC_ACQUIRE) < HOGS)
		(void)sched_yield();
	CU_ASSERT_TRUE(outage_restart_server(&outage));
	CU_ASSERT_TRUE(comes_back(&events));
	__atomic_store_n(&leader.is_over, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 1; i <= HOGS; i++)
		(void)pthread_join(threads[i], NULL);
	CU_ASSERT_TRUE(comes_to_sleep(&leader));
	until = clock_until(CALL_MS / 2);
	/* A request each, which somebody else reads the answer of. */
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(fixture_status(leader.client).state, PAGECLIENT_CONNECTED);
	CU_ASSERT_TRUE(clock_left_ms(until) > 0);
	(void)pthread_join(threads[0], NULL);
	CU_ASSERT_EQUAL(leader.r, 0);
	CU_ASSERT_EQUAL(pageclient_put(leader.client, frame), 0);
	pageclient_close(leader.client);
	outage_close(&outage);
}

CU_TestInfo test_leader[] = {
	{"late leader holds nobody up", late_leader_holds_nobody_up},
	CU_TEST_INFO_NULL,
};
