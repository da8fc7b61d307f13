/* tests/integration/outage.c - see outage.h. */
#include "tests/integration/outage.h"

#include "tests/integration/clock.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>

/* No refills ahead of need: every so many allocations are slow calls. */
static const char config[] = "[segment]\nsize = 512M\n[pcp]\nbatch = 16\nbusy_poll = 0\n";

bool outage_open(struct outage *outage)
{
	bool good = fixture_open(&outage->fixture, config) &&
		    observer_open(&outage->observer, &outage->fixture);

	CU_ASSERT_TRUE(good);
	return good;
}

void outage_close(struct outage *outage)
{
	CU_ASSERT_TRUE(observer_all_free(&outage->observer));
	CU_ASSERT_TRUE(fixture_check(&outage->fixture));
	CU_ASSERT_EQUAL(shm_view_counter(&outage->observer.view, COUNTER_nr_bad_free), 0);
	CU_ASSERT_EQUAL(shm_view_counter(&outage->observer.view, COUNTER_hostile), 0);
	observer_close(&outage->observer);
	fixture_close(&outage->fixture);
}

bool outage_restart_all(struct outage *outage)
{
	fixture_kill(&outage->fixture);
	return fixture_start(&outage->fixture);
}

bool outage_restart_server(const struct outage *outage)
{
	const uint32_t *pid = &outage->observer.view.header->daemon_pid;
	uint32_t before = __atomic_load_n(pid, __ATOMIC_ACQUIRE);

	if (kill((pid_t)before, SIGKILL) < 0)
		return false;
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     __atomic_load_n(pid, __ATOMIC_ACQUIRE) == before;)
		if (!clock_pause(until))
			return false;
	return true;
}

bool outage_restart(struct outage *outage, uint32_t n)
{
	return n % 4 == 0 ? outage_restart_all(outage) : outage_restart_server(outage);
}

/* --- events --------------------------------------------------------------------------------- */

static void on_state(void *arg, enum pageclient_state state)
{
	struct outage_events *events = arg;
	uint32_t n = outage_events_count(events);

	if (n < OUTAGE_EVENTS_MAX)
		events->state[n] = state;
	/* release; pairs with the acquire in outage_events_count() */
	__atomic_store_n(&events->n, n + 1, __ATOMIC_RELEASE);
}

uint32_t outage_events_count(const struct outage_events *events)
{
	/* acquire; pairs with the release in on_state() */
	return __atomic_load_n(&events->n, __ATOMIC_ACQUIRE);
}

bool outage_events_are(const struct outage_events *events, enum pageclient_state first,
		       enum pageclient_state second)
{
	return outage_events_count(events) == 2 && events->state[0] == first &&
	       events->state[1] == second;
}

/* --- clients -------------------------------------------------------------------------------- */

int outage_share(pageclient *client, void *frame, uint64_t *ret_handle)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	int r;

	do
		r = pageclient_share(client, frame, ret_handle);
	while ((r == -EAGAIN || r == -ETIMEDOUT) && clock_pause(until));
	return r;
}

pageclient *outage_client(const struct outage *outage, const struct outage_client *options)
{
	struct pageclient_options own;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &own);
	own.socket = outage->fixture.socket;
	own.name = "survivor";
	own.connect_timeout_ms = CLOCK_PATIENCE_MS;
	own.alloc_timeout_ms =
		options->alloc_timeout_ms ? options->alloc_timeout_ms : CLOCK_PATIENCE_MS;
	own.call_timeout_ms = options->call_timeout_ms;
	own.on_state = options->events ? on_state : NULL;
	own.arg = options->events;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&own, &client), 0);
	return client;
}
