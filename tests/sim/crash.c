/* tests/sim/crash.c - the server dies, and its successor takes over.
 *
 * It dies before any store of a step (the core is compiled with a crash point in each), after some
 * of a step's actions, between claim and settle, or in its own recovery. What it had of its own is
 * filled with rubbish; the segment, the CTLs that the supervisor kept and the processes live on. */
#include "tests/sim/sim.h"

#include "shm/purge.h"
#include "tests/model/crash.h"

#include <errno.h>
#include <string.h>

#define RUBBISH 0xa5

struct stepping {
	struct sim *s;
	const struct session_event *event;
};

static void do_step(void *arg)
{
	const struct stepping *stepping = arg;
	struct sim *s = stepping->s;
	struct session_event timed = *stepping->event;

	timed.now_ns = s->now_ns;
	timed.real_ns = s->now_ns;
	fair_note(s);
	session_step(s->session, &timed, &s->server.actions);
	fair_restore(s);
}

/* Short steps have few stores, a sweep thousands. */
static uint64_t some_stores(struct sim *s)
{
	return 1 + sim_below(s, sim_chance(s, 3) ? 2000 : 60);
}

/* It dies at the store that is armed, now or in the step. */
static bool survives(struct sim *s, struct stepping *stepping)
{
	if (!crash_run(do_step, stepping))
		return true;
	fair_restore(s);
	sim_cover(s, FAULT_CRASH_IN_STEP);
	if (s->pool->journal->n)
		sim_cover(s, FAULT_CRASH_IN_JOURNAL);
	crash_now(s);
	purgeable_left(s);
	return false;
}

bool crash_step(struct sim *s, const struct session_event *event)
{
	struct stepping stepping = {s, event};

	if (s->server.dies_in == 0 && s->server.dies_in_purge)
		return survives(s, &stepping);
	if (s->server.dies_in == 0) {
		do_step(&stepping);
		return true;
	}
	s->server.dies_in--;
	if (event->kind == EVENT_BARRIER && s->server.in_steal && sim_chance(s, 4)) {
		sim_cover(s, FAULT_CRASH_IN_STEAL);
		crash_now(s);
		return false;
	}
	if (s->server.dies_in == 0) { /* no step was long enough */
		sim_cover(s, FAULT_CRASH_IN_STEP);
		crash_now(s);
		return false;
	}
	crash_arm(some_stores(s));
	return survives(s, &stepping);
}

void crash_now(struct sim *s)
{
	struct sim_server *server = &s->server;

	sim_trace(s, "** the server dies", 0, 0, 0);
	server->is_up = false;
	server->epoch = sim_stamp(s);
	server->timer_stamp = 0;
	server->again = false;
	server->in_steal = false;
	server->dies_in = 0;
	server->dies_in_actions = false;
	server->dies_in_purge = false;
	server->n_pending = 0;
	for (uint32_t i = 0; i < SIM_CONNS; i++)
		net_close(s, i);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (server->watch[id].is_open && server->watch[id].ctl != SIM_NONE)
			s->ctl_of_server[server->watch[id].ctl] = false;
	memset(server->watch, 0, sizeof server->watch);
	memset(s->session, RUBBISH, session_bytes());
	(void)sim_after(s, sim_delay(s, MS, 50 * MS), SIM_RESTART, 0, 0);
}

void crash_planned(struct sim *s)
{
	if (s->is_calm)
		return;
	(void)sim_after(s, 200 * MS + sim_below(s, 1300) * MS, SIM_CRASH, 0, 0);
	if (!s->server.is_up || s->server.dies_in)
		return;
	if (sim_chance(s, 4))
		s->server.dies_in_actions = true;
	else if (!s->server.dies_in_purge && sim_chance(s, 2))
		s->server.dies_in_purge = true;
	else
		s->server.dies_in = 300;
}

/* --- the successor ------------------------------------------------------------------------------
 */

static void attach(void *arg)
{
	struct sim *s = arg;
	uint64_t bad = 0;
	int r = pool_attach(s->pool, s->meta, s->meta_bytes, s->state, s->state_bytes, &s->options,
			    &bad);

	if (r || bad)
		sim_fail(s, "recovery: %s, %lu frames bad",
			 pool_condition_text((enum pool_condition)r), (unsigned long)bad);
}

/* What the control says that recovery is to miss. */
static void forget_something(struct sim *s)
{
	const struct shm_state_header *header = (const void *)s->state;
	struct shm_journal *journal = (void *)(s->state + header->journal_offset);
	struct shm_state_client *clients = (void *)(s->state + header->clients_offset);

	if (s->control == CONTROL_NO_REPLAY)
		journal->n = 0;
	for (uint32_t i = 0; i < SIM_CLIENTS * 2; i++) {
		if (s->control == CONTROL_NO_SAVED_TOP)
			memset(clients[i].saved_top, 0, sizeof clients[i].saved_top);
		if (s->control == CONTROL_NO_LANE)
			memset(clients[i].lanes, 0, sizeof clients[i].lanes);
	}
}

/* Entries that say PURGING are not seen. */
static void adopt_blindly(struct sim *s, const struct session_event *event)
{
	uint32_t max_threads = pool_client_record(s->pool, event->client)->max_threads;
	uint64_t *table =
		(uint64_t *)(void *)((char *)event->ctl + shm_ctl_table_offset(max_threads));
	uint64_t was[SIM_SLOTS];

	for (uint32_t i = 0; i < SIM_SLOTS; i++) {
		was[i] = table[i];
		if (purge_unpack(was[i]).pins == PURGE_PURGING)
			table[i] = PURGE_FREE_SLOT;
	}
	server_event(s, event);
	for (uint32_t i = 0; i < SIM_SLOTS; i++)
		if (purge_unpack(was[i]).pins == PURGE_PURGING)
			table[i] = was[i];
}

/* Tells what became of the process of a client of the server before. */
static void adopt(struct sim *s, client_id id)
{
	struct sim_watch *watch = &s->server.watch[id];
	struct session_event event = {.kind = EVENT_ADOPTED, .client = id, .status = -ESRCH};
	uint32_t client;

	*watch = (struct sim_watch){.is_open = true, .ctl = SIM_NONE, .client = SIM_ADMIN};
	if (!server_find_process(s, pool_client_record(s->pool, id)->pid, &client)) {
		sim_cover(s, FAULT_DEAD_WHILE_AWAY);
		server_event(s, &event);
		return;
	}
	watch->client = client;
	watch->life = s->client[client].life;
	event.status = 0;
	if (sim_chance(s, 5)) {
		sim_cover(s, FAULT_CTL_NOT_KEPT);
	} else {
		watch->ctl = (uint32_t)pool_client_record(s->pool, id)->ctl_ino;
		s->ctl_of_server[watch->ctl] = true;
		event.ctl = world_ctl(s, watch->ctl);
	}
	if (s->control == CONTROL_NO_PURGE_RECOVERY && event.ctl)
		adopt_blindly(s, &event);
	else
		server_event(s, &event);
}

void crash_restart(struct sim *s)
{
	bool first = s->server.epoch == 0;

	if (s->server.is_up)
		return;
	forget_something(s);
	memset(s->pool->client, RUBBISH, sizeof s->pool->client);
	if (!first && !s->is_calm && sim_chance(s, 6)) {
		crash_arm(some_stores(s));
		if (crash_run(attach, s)) {
			sim_cover(s, FAULT_CRASH_IN_RECOVERY);
			(void)sim_after(s, sim_delay(s, MS, 50 * MS), SIM_RESTART, 0, 0);
			return;
		}
	} else {
		attach(s);
	}
	if (s->failed)
		return;
	s->server.epoch = sim_stamp(s);
	s->server.is_up = true;
	session_init(s->session, s->pool, &s->server.limits, s->seed);
	if (!first && !s->is_calm && sim_chance(s, 6))
		s->server.dies_in = 1 + sim_below(s, SIM_CLIENTS);
	for (client_id id = 1; s->server.is_up && !s->failed && id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(s->pool, id))
			adopt(s, id);
	if (!s->server.is_up)
		sim_cover(s, FAULT_CRASH_IN_ADOPTION);
	server_event(s, &(struct session_event){.kind = EVENT_TICK});
	if (s->server.is_up)
		check_audit(s, "after recovery");
}
