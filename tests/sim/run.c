/* tests/sim/run.c - one seed, many seeds, and what they met. */
#include "tests/sim/sim.h"

#include "tests/model/crash.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

#define CALM_MOST (20 * SECOND) /* until all is given back */

/* --- the world's events -------------------------------------------------------------------------
 */

static void weather(struct sim *s)
{
	struct session_limits *limits = &s->server.limits;

	if (s->is_calm)
		return;
	(void)sim_after(s, sim_delay(s, 50 * MS, 500 * MS), SIM_WEATHER, 0, 0);
	s->is_full = sim_chance(s, 4);
	if (s->server.is_up && sim_chance(s, 3))
		server_event(s, &(struct session_event){.kind = EVENT_PRESSURE,
							.level = sim_below(s, 4)});
	if (!sim_chance(s, 6) || !s->server.is_up)
		return;
	sim_cover(s, FAULT_LIMITS_READ);
	limits->client_max_frames = sim_chance(s, 2) ? 0 : 100 + sim_below(s, s->nr_frames / 8);
	fair_draw_rules(s, limits);
	server_event(s, &(struct session_event){.kind = EVENT_LIMITS, .limits = limits});
}

static void born(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];

	if (event->stamp != x->life)
		return;
	if (x->stopped_until_ns > s->now_ns)
		sim_postpone(s, event, x->stopped_until_ns);
	else
		client_born(s, event->who);
}

static void dispatch(struct sim *s, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_CONNECT:
		net_connected(s, event);
		break;
	case SIM_REQUEST:
		net_request(s, event);
		break;
	case SIM_GARBAGE:
		net_garbage(s, event);
		break;
	case SIM_SERVER_EOF:
		net_eof(s, event);
		break;
	case SIM_REPLY:
		client_reply(s, event);
		break;
	case SIM_CLIENT_EOF:
		client_eof(s, event);
		break;
	case SIM_UPCALL:
		shrink_upcall(s, event);
		break;
	case SIM_DONE:
		shrink_done(s, event);
		break;
	case SIM_BIRTH:
		born(s, event);
		break;
	case SIM_THREAD:
		thread_event(s, event);
		break;
	case SIM_NOTE:
		trade_noted(s, event);
		break;
	case SIM_FATE:
		client_fate(s, event->who);
		break;
	case SIM_CRASH:
		crash_planned(s);
		break;
	case SIM_RESTART:
		crash_restart(s);
		break;
	case SIM_ADMIN_ACTS:
		admin_acts(s);
		break;
	case SIM_WEATHER:
		weather(s);
		break;
	case SIM_DEAF:
	case SIM_DIED:
	case SIM_AGAIN:
	case SIM_TIMER:
	case SIM_COMMITTED:
	case SIM_NR_EVENTS:
		server_world_event(s, event);
		break;
	}
}

/* --- one seed -----------------------------------------------------------------------------------
 */

static void begin_calm(struct sim *s)
{
	sim_trace(s, "all is calm", 0, 0, 0);
	s->is_calm = true;
	s->is_full = false;
	s->server.dies_in = 0;
	s->server.dies_in_actions = false;
	s->server.dies_in_purge = false;
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		if (s->client[i].is_liar)
			client_killed(s, i);
	if (s->server.is_up)
		server_event(s, &(struct session_event){.kind = EVENT_PRESSURE});
}

static void play(void *arg)
{
	struct sim *s = arg;
	struct sim_event event;

	while (!s->failed && sim_next(s, &event)) {
		s->now_ns = event.at_ns;
		s->coverage->world[event.kind]++;
		if (s->is_loud)
			sim_trace(s, sim_event_name(event.kind), 0, 0, 0);
		if (!s->is_calm && s->now_ns >= s->end_ns)
			begin_calm(s);
		dispatch(s, &event);
		server_looks(s);
		if (!s->is_calm)
			continue;
		if (event.kind == SIM_THREAD && !check_is_busy(s))
			break;
		if (s->now_ns > s->end_ns + CALM_MOST)
			sim_fail(s, "20 s of calm, and somebody still waits for something");
	}
	if (!s->failed)
		check_end(s);
}

bool sim_run(struct sim *s, uint64_t seed, enum sim_control control)
{
	const char *what;

	world_begin(s, seed, control);
	crash_watch_purges(purgeable_raced, s);
	if (runner_panics(play, s, &what))
		sim_fail(s, "panic: %s", what);
	crash_watch_purges(NULL, NULL);
	s->coverage->seeds++;
	s->coverage->steps += s->steps;
	return !s->failed;
}

bool sim_run_many(struct sim *s, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (sim_run(s, first + i, CONTROL_NONE))
			continue;
		(void)printf("\nseed %lu failed after %lu steps: %s\n", (unsigned long)(first + i),
			     (unsigned long)s->steps, s->why);
		sim_print_trace(s);
		(void)printf("replay it with: ./dev sim --seed %lu --trace\n",
			     (unsigned long)(first + i));
		return false;
	}
	return true;
}

/* --- coverage -----------------------------------------------------------------------------------
 */

void sim_print_coverage(const struct sim_coverage *coverage)
{
	(void)printf("%lu seeds, %lu steps\n", (unsigned long)coverage->seeds,
		     (unsigned long)coverage->steps);
	for (int i = 0; i < SIM_NR_FAULTS; i++)
		(void)printf("%s %lu%s", sim_fault_name((enum sim_fault)i),
			     (unsigned long)coverage->faults[i], i % 5 == 4 ? "\n" : "  ");
	for (int i = 0; i < EVENT_NR_KINDS; i++)
		(void)printf("%s%s %lu", i ? "  " : "\nevents: ",
			     session_event_name((enum session_event_kind)i),
			     (unsigned long)coverage->events[i]);
	for (int i = 0; i < ACTION_NR_KINDS; i++)
		(void)printf("%s%s %lu", i ? "  " : "\nactions: ",
			     session_action_name((enum session_action_kind)i),
			     (unsigned long)coverage->actions[i]);
	(void)printf("\n");
}

const char *sim_never_seen(const struct sim_coverage *coverage)
{
	for (int i = 0; i < SIM_NR_FAULTS; i++)
		if (coverage->faults[i] == 0)
			return sim_fault_name((enum sim_fault)i);
	for (int i = 0; i < SIM_NR_EVENTS; i++)
		if (coverage->world[i] == 0)
			return sim_event_name((enum sim_event_kind)i);
	for (int i = 0; i < EVENT_NR_KINDS; i++)
		if (coverage->events[i] == 0)
			return session_event_name((enum session_event_kind)i);
	for (int i = 0; i < ACTION_NR_KINDS; i++)
		if (coverage->actions[i] == 0)
			return session_action_name((enum session_action_kind)i);
	for (int i = MESSAGE_HELLO; i < MESSAGE_NR_KINDS; i++)
		if (coverage->messages[i] == 0 && i != MESSAGE_REPLY && i != MESSAGE_SHRINK &&
		    i != MESSAGE_PRESSURE)
			return "a kind of request";
	return NULL;
}
