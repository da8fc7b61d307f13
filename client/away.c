/* client/away.c - the daemon is gone: what goes on without it, and who brings it back.
 *
 *                 connection ends             status 0
 *   CONNECTED --------------------> AWAY ----------------> CONNECTED, on a new connection
 *                                    |        -ESTALE
 *                                    '-------------------> LOST, for good
 *
 * While AWAY the mappings stay: frames are readable and writable, magazines go on serving what they
 * hold, frees that find theirs full go to the deferred list. A call that needs the daemon waits for
 * it here. Who finds nobody at it becomes the one that resumes (`busy`): it tries, waits longer
 * each time, tries again; the others sleep until it is done, and one of them takes over when its
 * time is up. So a process with a hundred threads knocks once. The waits grow from a millisecond
 * to a hundred and are jittered, so that a thousand processes do not knock at the same instant.
 *
 * A program that only polls comes back too: while AWAY the timer makes pageclient_fd() readable
 * when the next try is due, and a reply that is under way makes it readable when it comes; dispatch
 * then takes one step, which does not wait. The steps are those of resume.c. */
#include "client/client_private.h"

#include "client/cancel.h"
#include "paged/bits.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AWAY_NS_PER_S UINT64_C(1000000000)
/* First wait between two tries. Lower: a daemon that starts is disturbed; higher: calls are held up
 * for longer than it takes. */
#define AWAY_DELAY_FIRST_NS UINT64_C(1000000)
/* Longest. Lower: many clients of a daemon that is stopped cost time; higher: they come back late.
 */
#define AWAY_DELAY_MAX_NS UINT64_C(100000000)

void away_init(pageclient *client)
{
	client->away.delay_ns = AWAY_DELAY_FIRST_NS;
	client->away.random = 1;
}

void client_wake(pageclient *client)
{
	CANCEL_OFF;
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then the descriptor is readable already. */
	if (write(client->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* --- one try; away.lock is held by the caller of all that ends in _locked --- */

static uint64_t away_random(pageclient *client)
{
	uint64_t *x = &client->away.random; /* xorshift64, Marsaglia 2003; never 0 */

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* The next wait is between half of delay_ns and all of it, also after a success: a daemon that dies
 * again at once is not knocked at for all it is worth. */
static void away_back_off(pageclient *client, int r)
{
	uint64_t half;

	if (r == 0)
		client->away.delay_ns = AWAY_DELAY_FIRST_NS;
	half = client->away.delay_ns / 2;
	client->away.tried_ns = clock_now_ns();
	client->away.next_ns = client->away.tried_ns + half + away_random(client) % (half + 1);
	client->away.delay_ns = bits_min(client->away.delay_ns * 2, AWAY_DELAY_MAX_NS);
}

/* By the thread that is busy, without the lock. Waits up to deadline_ns for a reply. */
static int away_try(pageclient *client, uint64_t deadline_ns)
{
	int r = 0;

	if (client->away.fd < 0)
		r = resume_send(client);
	if (r == 0)
		r = clock_poll(client->away.fd, POLLIN, deadline_ns);
	return r == 0 ? resume_receive(client) : r;
}

static void away_try_locked(pageclient *client, uint64_t deadline_ns)
{
	int r;

	(void)pthread_mutex_unlock(&client->away.lock);
	r = away_try(client, deadline_ns);
	(void)pthread_mutex_lock(&client->away.lock);
	client->away.r = r;
	if (client->away.fd < 0)
		away_back_off(client, r);
}

static void away_leave_locked(pageclient *client)
{
	client->away.busy = false;
	(void)pthread_cond_broadcast(&client->away.changed);
}

/* --- calls that wait --- */

static int away_error(pageclient *client, enum pageclient_state state, uint64_t away_ns, int why)
{
	if (state == PAGECLIENT_LOST)
		return error_set(-ENOTCONN,
				 "the daemon does not know this client any more: its frames are "
				 "gone, what is mapped stays readable until pageclient_close()");
	if (state != PAGECLIENT_AWAY || away_ns == 0)
		return error_set(-ENOTCONN, "the daemon went away: its frames stay readable");
	return error_set(-EAGAIN,
			 "the daemon at %s is away and did not come back in time (%s): the next "
			 "call tries again",
			 client->socket_path,
			 why == -ETIMEDOUT ? "it does not answer" : strerrordesc_np(-why));
}

/* A call's first try does not wait for what earlier calls had come to, only for a moment, so that
 * calls in a row with little time each are no busy loop. */
static void away_hurry_locked(pageclient *client)
{
	uint64_t soon = client->away.tried_ns + AWAY_DELAY_FIRST_NS;

	client->away.next_ns = bits_min(client->away.next_ns, soon);
}

int client_connect(pageclient *client, uint64_t away_ns)
{
	CANCEL_OFF;
	enum pageclient_state state;
	uint64_t now;
	int why;

	(void)pthread_mutex_lock(&client->away.lock);
	if (!client->away.busy)
		away_hurry_locked(client);
	while ((state = client_state(client)) == PAGECLIENT_AWAY &&
	       (now = clock_now_ns()) < away_ns) {
		if (client->away.busy) {
			(void)clock_wait(&client->away.changed, &client->away.lock, away_ns);
			continue;
		}
		client->away.busy = true;
		/* Nobody tells this thread anything meanwhile: it is the one that tells. */
		while (now < bits_min(client->away.next_ns, away_ns) && client->away.fd < 0) {
			(void)clock_wait(&client->away.changed, &client->away.lock,
					 bits_min(client->away.next_ns, away_ns));
			now = clock_now_ns();
		}
		away_try_locked(client, away_ns);
		away_leave_locked(client);
	}
	why = client->away.r;
	(void)pthread_mutex_unlock(&client->away.lock);
	return state == PAGECLIENT_CONNECTED ? 0 : away_error(client, state, away_ns, why);
}

/* --- dispatch, which does not wait --- */

static void away_arm(const pageclient *client, uint64_t at_ns)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_ns / AWAY_NS_PER_S),
					     .tv_nsec = (long)(at_ns % AWAY_NS_PER_S)}};

	(void)timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* A reply that is waited for wakes by itself; so the timer only has to be late enough. */
void client_resume_arm(pageclient *client)
{
	uint64_t now = clock_now_ns();
	bool is_waited_for;

	if (client_state(client) != PAGECLIENT_AWAY)
		return;
	(void)pthread_mutex_lock(&client->away.lock);
	is_waited_for = client->away.busy || client->away.fd >= 0;
	if (client_state(client) == PAGECLIENT_AWAY)
		away_arm(client, is_waited_for ? now + AWAY_DELAY_MAX_NS
					       : bits_max(client->away.next_ns, now + 1));
	(void)pthread_mutex_unlock(&client->away.lock);
}

void client_resume_step(pageclient *client)
{
	CANCEL_OFF;
	uint64_t now = clock_now_ns();

	if (client_state(client) != PAGECLIENT_AWAY)
		return;
	(void)pthread_mutex_lock(&client->away.lock);
	if (client_state(client) == PAGECLIENT_AWAY && !client->away.busy &&
	    (client->away.fd >= 0 || now >= client->away.next_ns)) {
		client->away.busy = true;
		away_try_locked(client, 0);
		away_leave_locked(client);
	}
	(void)pthread_mutex_unlock(&client->away.lock);
}
