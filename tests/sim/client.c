/* tests/sim/client.c - processes: they come, attach, lose the connection, resume, stop and die.
 *
 *   NONE --born--> HELLO --attached--> ATTACHED --lost--> AWAY --connects--> RESUME --> ATTACHED
 *     ^                                                                                     |
 *     +------------------------------------ killed -----------------------------------------+
 *
 * A process that is stopped does nothing and hears nothing; what comes for it waits. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

#define DATA_ADDRESS (UINT64_C(1) << 40) /* never touched */

bool client_is_connected(const struct sim_client *x)
{
	return x->state == LIFE_ATTACHED && x->conn_stamp;
}

static void say_hello(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	struct message hello = {
		.kind = MESSAGE_HELLO,
		.id = ++s->next_id,
		.hello = {.version_min = PROTOCOL_VERSION_MIN,
			  .version_max = PROTOCOL_VERSION,
			  .max_threads = x->max_threads,
			  .max_frames = sim_chance(s, 4) ? 64 + sim_below(s, 512) : 0,
			  .name = "process ?"}};

	hello.hello.name[8] = (char)('a' + client % SIM_NAMES);
	x->handshake_id = hello.id;
	net_send(s, client, &hello);
}

static void say_resume(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	struct message resume = {.kind = MESSAGE_RESUME,
				 .id = ++s->next_id,
				 .resume = {.version_min = PROTOCOL_VERSION_MIN,
					    .version_max = PROTOCOL_VERSION,
					    .client = x->id,
					    .token = {x->token[0], x->token[1]}}};

	x->handshake_id = resume.id;
	net_send(s, client, &resume);
}

static void begin_life(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	bool is_liar = x->is_liar;

	memset(x, 0, sizeof *x);
	x->is_liar = is_liar;
	x->state = LIFE_HELLO;
	x->life = sim_stamp(s);
	x->pid = s->next_pid++;
	x->ctl = SIM_NONE;
	x->mood = sim_chance(s, 4) ? MOOD_NEVER : sim_chance(s, 3) ? MOOD_LATE : MOOD_TRUE;
	x->max_threads = s->max_threads;
	x->appetite = 8 + sim_below(s, s->nr_frames / SIM_CLIENTS * 2);
	x->view.data = (char *)(uintptr_t)DATA_ADDRESS; /* NOLINT: an address that is none */
	x->view.page_shift = s->page_shift;
	x->view.data_bytes = (uint64_t)s->nr_frames << s->page_shift;
	x->view.data_mask = UINT64_MAX >> __builtin_clzll(x->view.data_bytes - 1);
	x->view.nr_frames = s->nr_frames;
	x->view.slots_write = slots_writer(s->nr_frames);
	sim_trace(s, "process %lu is born, pid %lu", client, x->pid, 0);
}

void client_born(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	if (x->conn_stamp)
		return;
	if (x->state == LIFE_NONE) {
		if (s->is_calm)
			return;
		begin_life(s, client);
	}
	net_connect(s, client);
	if (x->state == LIFE_HELLO) {
		say_hello(s, client);
		return;
	}
	x->state = LIFE_RESUME;
	say_resume(s, client);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void drop_note(struct sim *s, const struct sim_note *note)
{
	struct sim_block block = {.pfn = (pfn_t)(note->handle >> 32)};

	if (!note->is_transfer)
		return;
	block.order = page_get(s->pool->buddy.map, block.pfn).order;
	owner_puts(s, &block);
}

/* What a thread had let go of, but not given to anybody yet. */
static void drop_block(struct sim *s, uint32_t client, struct sim_thread *thread)
{
	struct sim_client *to;

	if (thread->state != THREAD_WAITS)
		return;
	if (thread->request.kind == MESSAGE_PCP_DRAIN) {
		owner_gives(s, client, &thread->block);
	} else if (thread->request.kind == MESSAGE_SHARE) {
		to = thread->to == SIM_NONE ? NULL : &s->client[thread->to];
		if (!to || to->life == thread->to_life)
			owner_puts(s, &thread->block);
		if (!to)
			return;
		to->n_notes_due -= to->life == thread->to_life;
		s->has_orphans = true;
	} else if (thread->request.kind == MESSAGE_IMPORT) {
		drop_note(s, &thread->note);
	}
}

/* What was on its way to it: references that were its own, and some that may become so yet. */
static void drop_gifts(struct sim *s, uint32_t client)
{
	uint64_t life = s->client[client].life;

	for (uint32_t i = 0; i < s->n_events; i++)
		if (s->event[i].kind == SIM_NOTE && s->event[i].stamp == life)
			drop_note(s, &s->event[i].note);
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		for (uint32_t t = 0; t < SIM_THREADS_MAX; t++) {
			struct sim_thread *thread = &s->client[i].thread[t];

			if (thread->state == THREAD_WAITS &&
			    thread->request.kind == MESSAGE_SHARE && thread->to == client &&
			    thread->to_life == life)
				owner_puts(s, &thread->block);
		}
}

static void tell_of_death(struct sim *s, uint32_t client, bool first)
{
	const struct sim_client *x = &s->client[client];

	for (client_id id = 1; id <= SIM_CLIENTS * 3; id++) {
		const struct sim_watch *watch = &s->server.watch[id];
		uint64_t delay = first ? US : sim_delay(s, 3 * MS, 50 * MS);

		if (!watch->is_open || watch->client != client || watch->life != x->life)
			continue;
		sim_after(s, delay, SIM_DIED, client, x->life)->thread = id;
		sim_after(s, sim_delay(s, US, 5 * MS), SIM_DEAF, client, x->life)->thread = id;
	}
}

void client_killed(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	bool first = sim_chance(s, 2);

	if (x->state == LIFE_NONE)
		return;
	sim_trace(s, "process %lu dies", client, 0, 0);
	sim_cover(s, first ? FAULT_DEAD_BEFORE_EOF : FAULT_EOF_BEFORE_DEAD);
	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++)
		drop_block(s, client, &x->thread[t]);
	for (uint32_t i = 0; i < x->n_notes; i++)
		drop_note(s, &x->notes[i]);
	drop_gifts(s, client);
	owner_dies(s, client);
	tell_of_death(s, client, first);
	net_hang_up(s, client);
	if (x->ctl != SIM_NONE)
		s->ctl_of_client[x->ctl] = false;
	x->ctl = SIM_NONE;
	x->state = LIFE_NONE;
	x->life = 0;
	x->n_notes = x->n_notes_due = 0;
	x->n_upcalls = 0;
	x->stopped_until_ns = 0;
	memset(x->thread, 0, sizeof x->thread);
	if (!s->is_calm)
		(void)sim_after(s, sim_delay(s, MS, 500 * MS), SIM_BIRTH, client, 0);
}

/* --- what befalls it ----------------------------------------------------------------------------
 */

static void leave(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++)
		if (x->thread[t].state == THREAD_WAITS)
			return;
	sim_cover(s, FAULT_SAID_GOODBYE);
	net_send(s, client, &(struct message){.kind = MESSAGE_GOODBYE, .id = ++s->next_id});
	client_killed(s, client);
}

static void lose_connection(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t conn = x->conn;
	uint64_t stamp = x->conn_stamp;

	if (sim_chance(s, 3)) {
		/* The old one ends when its Resume is there, and its end is heard of later. */
		sim_cover(s, FAULT_RESUMED_OVER_OLD);
		x->conn_stamp = 0;
		x->state = LIFE_AWAY;
		client_born(s, client);
		(void)sim_after(s, sim_delay(s, MS, 50 * MS), SIM_SERVER_EOF, conn, stamp);
	} else if (sim_chance(s, 2)) {
		sim_cover(s, FAULT_HUNG_UP);
		net_hang_up(s, client);
		x->state = LIFE_AWAY;
		(void)sim_after(s, sim_delay(s, MS, 300 * MS), SIM_BIRTH, client, x->life);
	} else if (s->conn[conn].stamp == stamp && s->conn[conn].is_open) {
		sim_cover(s, FAULT_DROPPED);
		net_close(s, conn);
		server_event(s, &(struct session_event){.kind = EVENT_CLOSED, .conn = conn});
	}
}

static void deafen(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	sim_cover(s, FAULT_DEAFENED);
	sim_after(s, 0, SIM_DEAF, client, x->life)->thread = x->id;
	net_hang_up(s, client);
	x->state = LIFE_AWAY;
	(void)sim_after(s, sim_delay(s, MS, 100 * MS), SIM_BIRTH, client, x->life);
}

void client_fate(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t what = sim_below(s, 100);

	if (s->is_calm)
		return;
	(void)sim_after(s, 300 * MS + sim_below(s, 2700) * MS, SIM_FATE, client, 0);
	if (x->state == LIFE_NONE)
		return;
	if (what < 30) {
		sim_cover(s, FAULT_KILLED);
		client_killed(s, client);
	} else if (what < 55) {
		sim_cover(s, FAULT_STOPPED);
		x->stopped_until_ns = s->now_ns + sim_delay(s, 10 * MS, 900 * MS);
	} else if (!client_is_connected(x) || x->stopped_until_ns > s->now_ns) {
		return;
	} else if (what < 85) {
		lose_connection(s, client);
	} else if (what < 92) {
		leave(s, client);
	} else {
		deafen(s, client);
	}
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void attached(struct sim *s, uint32_t client, const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];

	if (reply->status) {
		if (reply->status != -ENOMEM && reply->status != -EUSERS)
			sim_fail(s, "Hello of process %u is refused: %d", client, reply->status);
		return;
	}
	x->id = reply->client;
	x->token[0] = reply->token[0];
	x->token[1] = reply->token[1];
	x->ctl = reply->ctl;
	x->state = LIFE_ATTACHED;
	for (uint32_t t = 0; t < (x->is_liar ? 1 : x->max_threads); t++)
		thread_wake(s, client, t, sim_delay(s, US, 20 * MS));
}

static void resumed(struct sim *s, uint32_t client, const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];

	if (reply->status == -ESTALE && x->is_liar) {
		client_killed(s, client);
	} else if (reply->status == 0) {
		x->state = LIFE_ATTACHED;
		reply_lost(s, client);
	} else if (reply->status != -EMFILE) {
		sim_fail(s, "Resume of process %u is refused: %d", client, reply->status);
	}
}

static void thread_reply(struct sim *s, uint32_t client, const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++)
		if (x->thread[t].state == THREAD_WAITS && x->thread[t].id == reply->id) {
			x->thread[t].state = THREAD_IDLE;
			reply_taken(s, client, t, reply);
			if (x->thread[t].state == THREAD_IDLE)
				thread_wake(s, client, t, sim_delay(s, 10 * US, 20 * MS));
			return;
		}
}

void client_reply(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];
	const struct sim_reply *reply = &event->reply;

	if (x->conn_stamp != event->stamp) {
		if (reply->ctl != SIM_NONE)
			s->ctl_of_client[reply->ctl] = false;
		return;
	}
	if (x->stopped_until_ns > s->now_ns)
		sim_postpone(s, event, x->stopped_until_ns);
	else if (reply->id == 0)
		return; /* the end of the connection follows */
	else if (x->is_admin)
		admin_reply(s, reply);
	else if (reply->id == x->handshake_id && x->state == LIFE_HELLO)
		attached(s, event->who, reply);
	else if (reply->id == x->handshake_id && x->state == LIFE_RESUME)
		resumed(s, event->who, reply);
	else if (!x->is_liar)
		thread_reply(s, event->who, reply);
}

void client_eof(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];

	if (x->conn_stamp != event->stamp)
		return;
	if (x->stopped_until_ns > s->now_ns) {
		sim_postpone(s, event, x->stopped_until_ns);
		return;
	}
	x->conn_stamp = 0;
	if (x->is_admin)
		return;
	if (x->state != LIFE_HELLO)
		x->state = LIFE_AWAY;
	(void)sim_after(s, sim_delay(s, 100 * US, 50 * MS), SIM_BIRTH, event->who, x->life);
}
