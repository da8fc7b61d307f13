/* tests/sim/server.c - the shell of the daemon: the world's events to the session, and its actions
 * performed as daemon/host does, but for what fails or is late here.
 *
 * What must come at once comes at once: barrier first, then what PREPARE, HEADS and REATTACH ask
 * for. A timer is up to a millisecond early or late, as one of libuv; commits end in any order. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

#define FOLLOWING_MAX 10000u /* steps that one event may lead to with no time passing */

/* One call in n fails, unless all is calm. */
static bool fails(struct sim *s, uint32_t n, enum sim_fault fault)
{
	if (s->is_calm || !sim_chance(s, n))
		return false;
	sim_cover(s, fault);
	return true;
}

static void pend(struct sim *s, const struct session_event *event)
{
	PAGED_CHECK(s->server.n_pending < SESSION_MAX_ACTIONS);
	s->server.pending[s->server.n_pending++] = *event;
}

bool server_find_process(const struct sim *s, uint32_t pid, uint32_t *ret_client)
{
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		if (s->client[i].state != LIFE_NONE && s->client[i].pid == pid) {
			*ret_client = i;
			return true;
		}
	return false;
}

/* --- actions ------------------------------------------------------------------------------------
 */

static void prepare(struct sim *s, const struct session_action *action)
{
	struct sim_conn *c = &s->conn[action->conn];
	const struct sim_client *x = &s->client[c->client];
	struct sim_watch *watch = &s->server.watch[action->client];
	struct session_event event = {.kind = EVENT_PREPARED,
				      .conn = action->conn,
				      .client = action->client,
				      .token = {sim_stamp(s), 77},
				      .text = "no memory"};

	if (watch->is_open)
		sim_fail(s, "client %u is prepared twice", action->client);
	if (fails(s, 40, FAULT_PREPARE_FAILED)) {
		event.status = -ENOMEM;
		pend(s, &event);
		return;
	}
	*watch = (struct sim_watch){.is_open = true,
				    .events_open = true,
				    .client = c->client,
				    .life = c->life,
				    .ctl = world_ctl_take(s)};
	event.ctl = world_ctl(s, watch->ctl);
	event.ctl_ino = watch->ctl;
	/* Its process may be gone already, and its pidfd says so as soon as it is looked at. */
	if (x->life != c->life)
		sim_after(s, US, SIM_DIED, c->client, c->life)->thread = action->client;
	pend(s, &event);
}

static void reattach(struct sim *s, const struct session_action *action)
{
	struct sim_watch *watch = &s->server.watch[action->client];
	const struct sim_conn *c = &s->conn[action->conn];
	struct sim_client *x = &s->client[c->client];
	struct session_event event = {.kind = EVENT_REATTACHED,
				      .conn = action->conn,
				      .client = action->client,
				      .text = "no memory"};

	if (!watch->is_open)
		sim_fail(s, "client %u is resumed and not watched", action->client);
	if (x->life != c->life) {
		event.status = -EBADF; /* who sent it is dead: nobody hears the answer */
	} else if (fails(s, 30, FAULT_REATTACH_FAILED)) {
		event.status = -EMFILE;
	} else {
		if (watch->ctl == SIM_NONE) {
			watch->ctl = x->ctl; /* that the Resume carried */
			s->ctl_of_server[x->ctl] = true;
			event.ctl = world_ctl(s, x->ctl);
		}
		watch->events_open = true;
	}
	pend(s, &event);
}

static void release(struct sim *s, client_id client)
{
	struct sim_watch *watch = &s->server.watch[client];
	const struct sim_client *x = &s->client[watch->client];

	if (!watch->is_open) /* PREPARE failed */
		return;
	if (x->life == watch->life && x->state != LIFE_NONE) {
		if (x->is_liar)
			sim_cover(s, FAULT_LIAR_ENDED);
		else
			sim_fail(s, "client %u is ended, and process %u lives and is honest",
				 client, watch->client);
	}
	if (watch->ctl != SIM_NONE)
		s->ctl_of_server[watch->ctl] = false;
	*watch = (struct sim_watch){.is_open = false, .ctl = SIM_NONE};
}

static void upcall(struct sim *s, const struct session_action *action)
{
	struct sim_watch *watch = &s->server.watch[action->client];
	const struct sim_client *x = &s->client[watch->client];
	struct sim_event *event;

	if (!watch->is_open || !watch->events_open) {
		sim_fail(s, "an upcall to client %u, which hears none", action->client);
		return;
	}
	if (x->life != watch->life || action->message.kind == MESSAGE_PRESSURE)
		return; /* a level is for people: it asks for no answer */
	event = sim_after(s, sim_delay(s, 5 * US, 2 * MS), SIM_UPCALL, watch->client, x->life);
	event->shrink = action->message.shrink;
	event->upcall = action->message.id;
}

static void commit(struct sim *s, const struct pool_commit *wanted)
{
	uint64_t delay = sim_delay(s, 100 * US, 10 * MS);

	if (fails(s, 20, FAULT_COMMIT_LATE))
		delay += 300 * MS;
	/* Its memory may be gone from now on, whatever comes of it. */
	for (uint32_t i = 0; wanted->kind == POOL_COMMIT_PUNCH && i < 1u << wanted->order;
	     i += PAGEBLOCK_FRAMES)
		s->has_memory[(wanted->pfn + i) >> PAGEBLOCK_ORDER] = false;
	sim_after(s, delay, SIM_COMMITTED, 0, s->server.epoch)->commit = *wanted;
}

static void committed(struct sim *s, const struct sim_event *event)
{
	struct session_event done = {
		.kind = EVENT_COMMITTED, .commit = event->commit, .text = "the simulation's limit"};
	const struct pool_commit *commit = &event->commit;

	if (event->stamp != s->server.epoch)
		return;
	if (s->is_full && !s->is_calm) {
		sim_cover(s, FAULT_COMMIT_ENOSPC);
		done.status = -ENOSPC;
	} else if (fails(s, 40, FAULT_COMMIT_ENOMEM)) {
		done.status = -ENOMEM;
	}
	if (done.status && s->control == CONTROL_NO_MEMORY)
		done.status = 0;
	else if (done.status == 0 && commit->kind == POOL_COMMIT_DATA)
		for (uint32_t i = 0; i < 1u << commit->order; i += PAGEBLOCK_FRAMES)
			if (commit->pfn + i < s->nr_frames)
				s->has_memory[(commit->pfn + i) >> PAGEBLOCK_ORDER] = true;
	server_event(s, &done);
}

static void send(struct sim *s, const struct session_action *action)
{
	const struct message_reply *reply = &action->message.reply;
	uint32_t ctl = SIM_NONE;

	if (action->fds == FDS_CLIENT)
		ctl = s->server.watch[action->client].ctl;
	if (action->message.kind != MESSAGE_REPLY)
		sim_fail(s, "an answer of kind %d", (int)action->message.kind);
	sim_trace(s, "   answer to %lu on connection %lu: -%lu", reply->id, action->conn,
		  (uint64_t)-reply->status);
	if (s->control == CONTROL_NO_REPLY && sim_chance(s, 500))
		return;
	net_reply(s, action->conn, reply, ctl);
	if (s->control == CONTROL_TWO_REPLIES && sim_chance(s, 500))
		net_reply(s, action->conn, reply, ctl);
}

static void perform(struct sim *s, const struct session_action *action)
{
	s->coverage->actions[action->kind]++;
	switch (action->kind) {
	case ACTION_SEND:
		send(s, action);
		break;
	case ACTION_UPCALL:
		upcall(s, action);
		break;
	case ACTION_CLOSE:
		if (!s->conn[action->conn].is_open)
			sim_fail(s, "connection %u is closed twice", action->conn);
		net_close(s, action->conn);
		break;
	case ACTION_PREPARE:
		prepare(s, action);
		break;
	case ACTION_REATTACH:
		reattach(s, action);
		break;
	case ACTION_RELEASE:
		release(s, action->client);
		break;
	case ACTION_HEADS:
		pend(s, &(struct session_event){.kind = EVENT_HEADS,
						.conn = action->conn,
						.client = action->client,
						.thread = action->thread,
						.cookie = action->cookie,
						.status = fails(s, 40, FAULT_HEADS_FAILED) ? -ENOMEM
											   : 0});
		break;
	case ACTION_TABLE:
		pend(s, &(struct session_event){.kind = EVENT_TABLE,
						.conn = action->conn,
						.client = action->client,
						.nr_slots = action->nr_slots,
						.cookie = action->cookie,
						.status = fails(s, 10, FAULT_TABLE_FAILED) ? -ENOMEM
											   : 0});
		break;
	case ACTION_COMMIT:
		commit(s, &action->commit);
		break;
	case ACTION_AGAIN:
		if (!s->server.again)
			(void)sim_after(s, 0, SIM_AGAIN, 0, s->server.epoch);
		s->server.again = true;
		break;
	case ACTION_TIMER:
		s->server.timer_stamp = sim_stamp(s);
		(void)sim_at(s,
			     (action->at_ns > s->now_ns ? action->at_ns : s->now_ns) +
				     sim_below(s, 1000) * US,
			     SIM_TIMER, 0, s->server.timer_stamp);
		break;
	case ACTION_BARRIER:
	case ACTION_LOG:
	case ACTION_NR_KINDS:
		break;
	}
}

/* --- events -------------------------------------------------------------------------------------
 */

/* One step and its actions; true if a barrier is asked for. The server may die in it. */
static bool step(struct sim *s, const struct session_event *event)
{
	const struct session_actions *actions = &s->server.actions;
	uint32_t last = SESSION_MAX_ACTIONS;

	s->coverage->events[event->kind]++;
	s->steps++;
	if (!crash_step(s, event))
		return false;
	check_step(s);
	if (s->server.dies_in_actions && actions->n > 1)
		last = sim_below(s, actions->n);
	for (uint32_t i = 0; i < actions->n && !s->failed; i++) {
		if (i == last) {
			sim_cover(s, FAULT_CRASH_IN_ACTIONS);
			crash_now(s);
			return false;
		}
		perform(s, &actions->item[i]);
	}
	s->server.in_steal = actions->n && actions->item[actions->n - 1].kind == ACTION_BARRIER;
	return s->server.in_steal;
}

static void step_with_barriers(struct sim *s, const struct session_event *event)
{
	bool barrier = step(s, event);

	for (uint32_t i = 0; barrier && !s->failed; i++) {
		struct session_event done = {.kind = EVENT_BARRIER};

		PAGED_CHECK(i < FOLLOWING_MAX);
		if (fails(s, 40, FAULT_BARRIER_FAILED))
			done.status = -EPERM;
		barrier = step(s, &done);
	}
}

void server_event(struct sim *s, const struct session_event *event)
{
	struct sim_server *server = &s->server;

	if (!server->is_up)
		return;
	step_with_barriers(s, event);
	for (uint32_t i = 0; server->is_up && server->n_pending && !s->failed; i++) {
		struct session_event next = server->pending[0];

		PAGED_CHECK(i < FOLLOWING_MAX);
		server->n_pending--;
		memmove(&server->pending[0], &server->pending[1],
			server->n_pending * sizeof server->pending[0]);
		step_with_barriers(s, &next);
	}
}

static void died(struct sim *s, const struct sim_event *event)
{
	struct sim_watch *watch = &s->server.watch[event->thread];
	client_id told = event->thread;

	/* Who is not watched is found by the next server that looks. */
	if (!s->server.is_up || !watch->is_open || watch->client != event->who ||
	    watch->life != event->stamp)
		return;
	if (s->control == CONTROL_NO_DEATH && sim_chance(s, 10))
		return;
	if (s->control == CONTROL_WRONG_VICTIM && sim_chance(s, 10))
		told = told % SIM_CLIENTS + 1;
	server_event(s, &(struct session_event){.kind = EVENT_DIED, .client = told});
}

static void deaf(struct sim *s, const struct sim_event *event)
{
	struct sim_watch *watch = &s->server.watch[event->thread];

	if (!s->server.is_up || !watch->is_open || !watch->events_open ||
	    watch->client != event->who || watch->life != event->stamp)
		return;
	watch->events_open = false;
	server_event(s,
		     &(struct session_event){.kind = EVENT_EVENTS_CLOSED, .client = event->thread});
}

/* Between two events, when it is awake. */
void server_looks(struct sim *s)
{
	if (s->server.is_up && !s->failed && sim_chance(s, 2) &&
	    (session_is_rung(s->session) || session_is_low(s->session)))
		server_event(s, &(struct session_event){.kind = EVENT_RUNG});
}

void server_world_event(struct sim *s, const struct sim_event *event)
{
	struct sim_server *server = &s->server;

	if (event->kind == SIM_AGAIN && event->stamp == server->epoch) {
		server->again = false;
		server_event(s, &(struct session_event){.kind = EVENT_AGAIN});
	} else if (event->kind == SIM_TIMER && event->stamp == server->timer_stamp) {
		server_event(s, &(struct session_event){.kind = EVENT_TICK});
	} else if (event->kind == SIM_COMMITTED) {
		committed(s, event);
	} else if (event->kind == SIM_DIED) {
		died(s, event);
	} else if (event->kind == SIM_DEAF) {
		deaf(s, event);
	}
}
