/* daemon/wire/wire.c - birth and death of the wire, events out. */
#include "daemon/wire/wire.h"

#include "daemon/wire/wire_private.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define OWN_HANDLES 4u /* listen_poll, accept_timer, drain_timer, busy.idle */

uint64_t wire_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void wire_emit(struct wire *wire, struct session_event *event)
{
	event->now_ns = wire_clock_ns(CLOCK_MONOTONIC);
	event->real_ns = wire_clock_ns(CLOCK_REALTIME);
	if (event->kind == EVENT_MESSAGE || event->kind == EVENT_UPCALL_DONE)
		busy_stay_awake(wire, event->now_ns);
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
	busy_open(wire);
	wire->accept_timer.data = wire;
	wire->drain_timer.data = wire;
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
	uv_close((uv_handle_t *)&wire->busy.idle, wire_on_closed);
}
