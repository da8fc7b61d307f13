/* daemon/wire/busy.c - busy polling: awake for a while after each message.
 *
 *   message --> spinning ----- the window is over ----> asleep --> message ...
 *                 |  ^ a message, or on_look() found something
 *                 '--'
 *
 * Sleeping and waking across processors cost far more than a request, so after a message an idle
 * handle, which keeps libuv from blocking, stays active: a client that sends again at once finds us
 * awake. How long is paged/spin.h's, at most busy_poll_us. Between two looks at the sockets, which
 * are a system call, we look several times at what is in memory.
 *
 * If we were preempted while we spun, somebody else wants this processor, a client on it perhaps,
 * which can send nothing before we sleep: then we do, and do not spin for a while. The kernel
 * counts that; it is asked when a look lasted longer than looks do.
 *
 * While the server has work of its own for the next turn of the loop (wire_works()) it is awake
 * anyway, however the spin's window stands, and looks once in each turn.
 *
 * Who has something in memory for us and finds us not awake sends a message instead. Between our
 * last look and our word that we sleep it may have thought that we look, so the word comes first
 * and then a last look: pairs with the exchange of the client's ring(), after which it looks at
 * the word. */
#include "daemon/wire/wire_private.h"

#include <sys/resource.h>

/* Looks at memory for one at the sockets, some 20 ns apart. Lower: a ring waits for an epoll_wait()
 * more often; higher: a message waits longer. */
#define BUSY_LOOKS 32u

/* Lower: the kernel is asked more often, which costs as much as a look at the sockets. Higher: a
 * client on our own processor that answers so soon is taken for one on another. */
#define BUSY_GAP_NS 3000u

static bool busy_is_crowded(struct busy *busy, uint64_t now_ns)
{
	struct rusage usage;
	bool is_crowded;

	if (now_ns - busy->looked_ns < BUSY_GAP_NS || getrusage(RUSAGE_THREAD, &usage) < 0)
		return false;
	is_crowded = usage.ru_nivcsw != busy->n_preempted;
	busy->n_preempted = usage.ru_nivcsw;
	return is_crowded;
}

static bool busy_look(struct wire *wire, uint64_t now_ns)
{
	return wire->options.on_look && wire->options.on_look(wire->options.arg, now_ns);
}

static void busy_tell(struct wire *wire, bool is_awake)
{
	if (wire->options.on_awake)
		wire->options.on_awake(wire->options.arg, is_awake);
}

/* Something came while we spun. on_look() may have closed us. */
static void busy_won(struct wire *wire, uint64_t now_ns)
{
	struct busy *busy = &wire->busy;

	if (busy_is_crowded(busy, now_ns))
		spin_crowded(&busy->spin);
	else if (!busy->is_fresh)
		spin_won(&busy->spin, now_ns - busy->from_ns);
	busy->is_fresh = true;
}

static void busy_sleep(struct wire *wire, uint64_t now_ns)
{
	busy_tell(wire, false); /* a full barrier: see the head of the file */
	if (busy_look(wire, now_ns)) {
		busy_won(wire, now_ns);
		if (!wire->is_closing)
			busy_tell(wire, true);
		return;
	}
	wire->busy.from_ns = now_ns;
	(void)uv_idle_stop(&wire->busy.idle);
}

/* Finds what clients rang for; false: nothing. */
static bool busy_find(struct wire *wire, uint64_t now_ns)
{
	if (!busy_look(wire, now_ns))
		return false;
	busy_won(wire, wire_clock_ns(CLOCK_MONOTONIC));
	return true;
}

static void busy_on_idle(uv_idle_t *idle)
{
	struct wire *wire = idle->data;
	struct busy *busy = &wire->busy;
	uint64_t now_ns = wire_clock_ns(CLOCK_MONOTONIC);

	if (busy->is_fresh) /* what it asked for has been done by now */
		busy->from_ns = now_ns;
	else if (busy_is_crowded(busy, now_ns))
		spin_crowded(&busy->spin);
	busy->is_fresh = false;
	busy->looked_ns = now_ns;
	if (busy->works) {
		busy->works = false;
		(void)busy_find(wire, now_ns);
		return;
	}
	if (now_ns - busy->from_ns >= busy->spin.window_ns) {
		busy_sleep(wire, now_ns);
		return;
	}
	for (uint32_t i = 0; i < BUSY_LOOKS; i++) {
		if (busy_find(wire, now_ns) || !wire->options.on_look)
			return;
		spin_pause();
	}
}

void wire_works(struct wire *wire)
{
	struct busy *busy = &wire->busy;

	if (wire->options.busy_poll_us == 0 || wire->is_closing)
		return;
	busy->is_fresh = busy->works = true;
	busy_tell(wire, true);
	(void)uv_idle_start(&busy->idle, busy_on_idle);
}

void busy_stay_awake(struct wire *wire, uint64_t now_ns)
{
	struct busy *busy = &wire->busy;

	if (wire->options.busy_poll_us == 0 || wire->is_closing)
		return;
	if (uv_is_active((uv_handle_t *)&busy->idle)) {
		busy_won(wire, now_ns);
		busy_tell(wire, true); /* perhaps on another processor */
		return;
	}
	spin_lost(&busy->spin, now_ns - busy->from_ns);
	busy->from_ns = now_ns;
	if (busy->spin.window_ns == 0)
		return;
	busy->is_fresh = true;
	busy->looked_ns = now_ns;
	busy_tell(wire, true);
	(void)uv_idle_start(&busy->idle, busy_on_idle);
}

void busy_open(struct wire *wire)
{
	(void)uv_idle_init(wire->loop, &wire->busy.idle); /* cannot fail */
	wire->busy.idle.data = wire;
	spin_init(&wire->busy.spin, wire->options.busy_poll_us * 1000u);
}
