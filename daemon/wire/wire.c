/* daemon/wire/wire.c - birth and death of the wire, events out, busy polling.
 *
 * Busy polling. Sleeping and waking cost far more than a request, so after a message an idle
 * handle, which keeps libuv from blocking, stays active for busy_poll_us: a client that sends again
 * at once finds us awake. It is a bounded spin, bought only where messages come. */
#include "daemon/wire/wire.h"

#include "daemon/wire/wire_private.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define OWN_HANDLES 4u /* listen_poll, accept_timer, drain_timer, busy_idle */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void wire_on_idle(uv_idle_t *idle)
{
	struct wire *wire = idle->data;

	if (clock_ns(CLOCK_MONOTONIC) >= wire->busy_until_ns)
		(void)uv_idle_stop(idle);
}

/* A message came: do not sleep for a while. */
static void wire_stay_awake(struct wire *wire, uint64_t now_ns)
{
	if (wire->options.busy_poll_us == 0 || wire->is_closing)
		return;
	wire->busy_until_ns = now_ns + wire->options.busy_poll_us * UINT64_C(1000);
	(void)uv_idle_start(&wire->busy_idle, wire_on_idle); /* nothing if it is active */
}

void wire_emit(struct wire *wire, struct session_event *event)
{
	event->now_ns = clock_ns(CLOCK_MONOTONIC);
	event->real_ns = clock_ns(CLOCK_REALTIME);
	if (event->kind == EVENT_MESSAGE || event->kind == EVENT_UPCALL_DONE)
		wire_stay_awake(wire, event->now_ns);
	wire->options.on_event(wire->options.arg, event);
}

void wire_unref(struct wire *wire)
{
	if (--wire->n_open == 0)
		free(wire);
}

int wire_open(uv_loop_t *loop, const struct wire_options *options, struct wire **ret_wire)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int r;

	if (!wire)
		return -ENOMEM;
	wire->loop = loop;
	wire->options = *options;
	if (wire->options.queue_bytes == 0)
		wire->options.queue_bytes = WIRE_QUEUE_BYTES;
	for (uint32_t i = 0; i < SESSION_MAX_CONNECTIONS; i++) /* so that 0 is given first */
		wire->free_index[i] = (uint16_t)(SESSION_MAX_CONNECTIONS - 1 - i);
	wire->n_free = SESSION_MAX_CONNECTIONS;
	r = listener_open(wire);
	if (r < 0) {
		free(wire);
		return r;
	}
	(void)uv_timer_init(loop, &wire->accept_timer); /* these three cannot fail */
	(void)uv_timer_init(loop, &wire->drain_timer);
	(void)uv_idle_init(loop, &wire->busy_idle);
	wire->accept_timer.data = wire;
	wire->drain_timer.data = wire;
	wire->busy_idle.data = wire;
	wire->n_open = OWN_HANDLES;
	*ret_wire = wire;
	return 0;
}

static void wire_on_closed(uv_handle_t *handle)
{
	wire_unref(handle->data);
}

void wire_close(struct wire *wire)
{
	if (wire->is_closing)
		return;
	wire->is_closing = true;
	conn_close_all(wire);
	client_close_all(wire);
	listener_close(wire);
	uv_close((uv_handle_t *)&wire->accept_timer, wire_on_closed);
	uv_close((uv_handle_t *)&wire->drain_timer, wire_on_closed);
	uv_close((uv_handle_t *)&wire->busy_idle, wire_on_closed);
}
