/* tests/sim/thread.c - what the threads of an honest process do, each with one request at a time.
 *
 * Where the daemon is away it pops and pushes, as the library does, and what finds no room waits on
 * the deferred list. When all is calm it gives back what it has and ends. */
#include "tests/sim/sim.h"

#define PAUSE_LEAST (2 * MS)
#define PAUSE_MOST (1600 * MS)
#define HALF_POP_MOST (50 * MS)

void thread_wake(struct sim *s, uint32_t client, uint32_t thread, uint64_t delay_ns)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	x->stamp = sim_stamp(s);
	sim_after(s, delay_ns, SIM_THREAD, client, x->stamp)->thread = thread;
}

/* --- requests -----------------------------------------------------------------------------------
 */

void thread_send(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	x->request.id = ++s->next_id;
	x->id = x->request.id;
	x->state = THREAD_WAITS;
	net_send(s, client, &x->request);
}

void thread_send_once(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_thread *x = &s->client[client].thread[thread];
	struct message *request = &x->request;
	uint64_t seq = ++x->seq;

	if (request->kind == MESSAGE_ALLOC)
		request->alloc.lane = thread, request->alloc.seq = seq;
	else if (request->kind == MESSAGE_FREE)
		request->free.lane = thread, request->free.seq = seq;
	else if (request->kind == MESSAGE_SHARE)
		request->share.lane = thread, request->share.seq = seq;
	else if (request->kind == MESSAGE_IMPORT)
		request->import.lane = thread, request->import.seq = seq;
	else
		request->put.lane = thread, request->put.seq = seq;
	thread_send(s, client, thread);
	/* What does not wait may be said twice: the second answer is the lane's, and nobody's. */
	if ((request->kind == MESSAGE_FREE || request->kind == MESSAGE_PUT) && sim_chance(s, 10)) {
		struct message again = *request;

		sim_cover(s, FAULT_REPEATED_TWICE);
		again.id = ++s->next_id;
		net_send(s, client, &again);
	}
}

static void ask(struct sim *s, uint32_t client, uint32_t thread, enum message_kind kind)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	x->request.kind = kind;
	sim_trace(s, "process %lu, thread %lu: request of kind %lu", client, thread, kind);
}

static uint32_t some_flags(struct sim *s)
{
	return (sim_chance(s, 6) ? REQUEST_NOWAIT : 0u) |
	       (sim_chance(s, 4) ? REQUEST_RECLAIMABLE : 0u) |
	       (sim_chance(s, 4) ? REQUEST_MAY_SHRINK : 0u);
}

static uint32_t some_timeout_ms(struct sim *s)
{
	return sim_chance(s, 4) ? sim_below(s, 2000) : sim_below(s, 100);
}

/* Small ones often, the largest that the pool has now and then. */
static order_t some_order(struct sim *s, order_t most)
{
	order_t order = 0;

	while (order < most && !sim_chance(s, 3))
		order++;
	return sim_chance(s, 2) ? 0 : order;
}

static void create(struct sim *s, uint32_t client, uint32_t thread)
{
	ask(s, client, thread, MESSAGE_PCP_CREATE);
	s->client[client].thread[thread].request.pcp_create.thread = thread;
	thread_send(s, client, thread);
}

static void take(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	order_t order = sim_chance(s, 3) ? some_order(s, MAGAZINE_ORDER_MAX) : 0;
	uint32_t number = order ? MAGAZINE_COLD + order : sim_chance(s, 4);
	uint32_t n = 1 + sim_below(s, order ? 2 : 16);

	if (x->n_held + SIM_HELD_ROOM > SIM_HELD_MAX)
		return;
	n -= magazine_take(s, client, thread, number, n);
	if (sim_chance(s, 3)) {
		magazine_ring(s, client, thread, number);
		return;
	}
	if (n == 0 || !client_is_connected(x))
		return;
	ask(s, client, thread, MESSAGE_PCP_REFILL);
	x->thread[thread].request.pcp_refill =
		(struct message_pcp_refill){.thread = thread,
					    .magazine = number,
					    .want = sim_chance(s, 2) ? n : 0,
					    .flags = some_flags(s),
					    .timeout_ms = some_timeout_ms(s)};
	thread_send(s, client, thread);
}

static void alloc(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];

	if (x->n_held + SIM_HELD_ROOM > SIM_HELD_MAX)
		return;
	ask(s, client, thread, MESSAGE_ALLOC);
	x->thread[thread].request.alloc =
		(struct message_alloc){.order = some_order(s, PAGEBLOCK_ORDER + 4),
				       .flags = some_flags(s),
				       .timeout_ms = some_timeout_ms(s)};
	thread_send_once(s, client, thread);
}

static void free_by_request(struct sim *s, uint32_t client, uint32_t thread, struct sim_block block)
{
	owner_gives(s, client, &block);
	ask(s, client, thread, MESSAGE_FREE);
	s->client[client].thread[thread].request.free =
		(struct message_free){.pfn = block.pfn, .order = block.order};
	thread_send_once(s, client, thread);
}

/* Refused for want of memory, if at all. */
static void purge_table(struct sim *s, uint32_t client, uint32_t thread)
{
	ask(s, client, thread, MESSAGE_PURGE_TABLE);
	s->client[client].thread[thread].request.purge_table.nr_slots =
		sim_chance(s, 8) ? sim_below(s, s->nr_frames) : SIM_SLOTS + sim_below(s, 64);
	thread_send(s, client, thread);
}

static void status(struct sim *s, uint32_t client, uint32_t thread)
{
	ask(s, client, thread, MESSAGE_STATUS);
	thread_send(s, client, thread);
}

/* --- giving back --------------------------------------------------------------------------------
 */

void thread_give(struct sim *s, uint32_t client, uint32_t thread, struct sim_block block)
{
	struct sim_client *x = &s->client[client];
	struct sim_thread *t = &x->thread[thread];
	bool is_free = t->state == THREAD_IDLE && client_is_connected(x);

	if (block.order > MAGAZINE_ORDER_MAX && is_free) {
		free_by_request(s, client, thread, block);
	} else if (block.order <= MAGAZINE_ORDER_MAX && magazine_give(s, client, thread, block)) {
		return;
	} else if (is_free) {
		ask(s, client, thread, MESSAGE_PCP_DRAIN);
		t->block = block;
		t->request.pcp_drain =
			(struct message_pcp_drain){.thread = thread, .magazine = t->magazine};
		thread_send(s, client, thread);
	} else if (x->n_deferred < SIM_HELD_MAX) {
		sim_cover(s, FAULT_DEFERRED);
		x->deferred[x->n_deferred++] = block;
	} else {
		PAGED_CHECK(owner_hold(s, client, block));
	}
}

static void give(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	uint32_t n = 1 + sim_below(s, 16);

	for (uint32_t i; n-- && x->thread[thread].state == THREAD_IDLE;) {
		i = owner_pick(s, client, owner_is_own);
		if (i == SIM_NONE)
			return;
		thread_give(s, client, thread, owner_unhold(s, client, i));
		if (x->n_deferred)
			return;
	}
}

static void give_by_request(struct sim *s, uint32_t client, uint32_t thread)
{
	uint32_t i = owner_pick(s, client, owner_is_own);

	if (i != SIM_NONE)
		free_by_request(s, client, thread, owner_unhold(s, client, i));
}

/* --- what next ----------------------------------------------------------------------------------
 */

static void act_alone(struct sim *s, uint32_t client, uint32_t thread)
{
	uint32_t what = sim_below(s, 10);

	if (what < 3)
		take(s, client, thread);
	else if (what < 5)
		give(s, client, thread);
	else if (what < 8)
		purgeable_act(s, client);
	else
		magazine_begin_pop(s, client, thread, sim_below(s, MAGAZINE_COUNT));
}

static void act(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	uint32_t what = sim_below(s, 100);

	if (x->n_upcalls && shrink_answer(s, client, thread))
		return;
	if (x->nr_slots == 0 && sim_chance(s, 4)) {
		purge_table(s, client, thread);
		return;
	}
	if (sim_chance(s, 2))
		purgeable_act(s, client);
	if (what < 55) {
		if (x->nr_frames < x->appetite ? what < 40 : what < 15)
			take(s, client, thread);
		else
			give(s, client, thread);
	} else if (what < 63) {
		alloc(s, client, thread);
	} else if (what < 69) {
		give_by_request(s, client, thread);
	} else if (what < 73) {
		(void)trade_share(s, client, thread);
	} else if (what < 76) {
		(void)trade_transfer(s, client, thread);
	} else if (what < 83) {
		(void)trade_import(s, client, thread);
	} else if (what < 87) {
		(void)trade_put(s, client, thread);
	} else if (what < 90) {
		(void)shrink_change(s, client, thread);
	} else if (what < 91) {
		status(s, client, thread);
	} else if (what < 92) {
		purge_table(s, client, thread);
	} else if (what < 96) {
		shrink_fill(s, client);
	} else {
		uint32_t number = sim_below(s, MAGAZINE_COUNT);

		/* What is granted at a ring may meet the pop. */
		if (sim_chance(s, 2))
			magazine_ring(s, client, thread, number);
		magazine_begin_pop(s, client, thread, number);
	}
}

/* Everything goes back. */
static void act_calmly(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];

	x->n_upcalls = 0;
	for (uint32_t i = 0; i < x->n_held; i++)
		x->held[i].cache = 0;
	purgeable_end_all(s, client);
	if (trade_import(s, client, thread) || trade_put(s, client, thread))
		return;
	if (x->n_held)
		give(s, client, thread);
	else if (x->n_deferred == 0 && x->n_slots == 0 && x->n_notes == 0 && x->n_notes_due == 0)
		x->thread[thread].state = THREAD_ENDED;
}

void thread_event(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];
	struct sim_thread *t = &x->thread[event->thread];
	uint32_t client = event->who, thread = event->thread;
	bool connected = client_is_connected(x);

	if (t->stamp != event->stamp || x->state == LIFE_NONE)
		return;
	if (x->stopped_until_ns > s->now_ns) {
		sim_postpone(s, event, x->stopped_until_ns);
		return;
	}
	if (x->is_liar)
		liar_acts(s, client);
	else if (t->state == THREAD_IN_POP)
		magazine_end_pop(s, client, thread);
	else if (!t->is_created && connected)
		create(s, client, thread);
	else if (t->is_created && x->n_deferred)
		thread_give(s, client, thread, x->deferred[--x->n_deferred]);
	else if (t->is_created && connected)
		(s->is_calm ? act_calmly : act)(s, client, thread);
	else if (t->is_created && !s->is_calm)
		act_alone(s, client, thread);
	if (t->stamp != event->stamp) /* it died in this, and another began */
		return;
	if (t->state == THREAD_IN_POP)
		thread_wake(s, client, thread, sim_delay(s, US, HALF_POP_MOST));
	else if (t->state == THREAD_IDLE)
		thread_wake(s, client, thread,
			    s->is_calm ? 5 * MS : sim_delay(s, PAUSE_LEAST, PAUSE_MOST));
}
