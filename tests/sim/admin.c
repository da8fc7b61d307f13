/* tests/sim/admin.c - an observer who asks for Check, Drain, Reclaim, and what it may not have. */
#include "tests/sim/sim.h"

#include <errno.h>

static void say(struct sim *s)
{
	static const enum message_kind kinds[] = {MESSAGE_CHECK,  MESSAGE_DRAIN, MESSAGE_RECLAIM,
						  MESSAGE_STATUS, MESSAGE_SET,   MESSAGE_SET,
						  MESSAGE_SET,    MESSAGE_WHY,   MESSAGE_LOOK};
	struct sim_thread *x = &s->client[SIM_ADMIN].thread[0];

	x->request = (struct message){.kind = kinds[sim_below(s, sizeof(kinds) / sizeof(kinds[0]))],
				      .id = ++s->next_id};
	x->id = x->request.id;
	x->state = THREAD_WAITS;
	if (x->request.kind == MESSAGE_DRAIN)
		x->request.drain.client = sim_chance(s, 2) ? 0 : sim_below(s, SIM_CLIENTS);
	else if (x->request.kind == MESSAGE_RECLAIM)
		x->request.reclaim.nr_frames =
			sim_chance(s, 4) ? sim_any64(s) : sim_below(s, s->nr_frames / 4);
	else if (x->request.kind == MESSAGE_SET)
		fair_draw_set(s, &x->request.set);
	else if (x->request.kind == MESSAGE_WHY)
		x->request.why = (struct message_why){.kind = sim_below(s, WHY_NR_KINDS + 1),
						      .number = sim_below(s, s->nr_frames),
						      .client = sim_below(s, SIM_CLIENTS)};
	else if (x->request.kind == MESSAGE_LOOK)
		x->request.look = (struct message_look){.client = sim_below(s, SIM_CLIENTS),
							.kind = sim_below(s, LOOK_NR_KINDS + 1),
							.at = sim_chance(s, 2) ? 0 : sim_any64(s)};
	net_send(s, SIM_ADMIN, &x->request);
}

void admin_acts(struct sim *s)
{
	struct sim_client *x = &s->client[SIM_ADMIN];
	struct message hello = {.kind = MESSAGE_HELLO,
				.id = ++s->next_id,
				.hello = {.version_max = PROTOCOL_VERSION,
					  .flags = HELLO_OBSERVER,
					  .name = "admin"}};

	if (s->is_calm)
		return;
	(void)sim_after(s, sim_delay(s, 10 * MS, 300 * MS), SIM_ADMIN_ACTS, SIM_ADMIN, 0);
	if (x->conn_stamp == 0) {
		net_connect(s, SIM_ADMIN);
		x->thread[0].state = THREAD_WAITS;
		x->thread[0].request = hello;
		x->thread[0].id = hello.id;
		net_send(s, SIM_ADMIN, &hello);
	} else if (sim_chance(s, 6)) {
		net_hang_up(s, SIM_ADMIN);
	} else if (x->thread[0].state == THREAD_IDLE) {
		say(s);
	}
}

static bool was_set(struct sim *s, const struct message_set *set, int status)
{
	if (status == 0)
		sim_cover(s, set->key == SET_SIZE ? FAULT_RESIZED : FAULT_SET);
	return status == 0 || status == -EINVAL || status == -ENOSPC ||
	       (status == -ESRCH && set->key < SET_SIZE) ||
	       (status == -EOPNOTSUPP && set->key >= SET_NR_KEYS);
}

void admin_reply(struct sim *s, const struct sim_reply *reply)
{
	struct sim_thread *x = &s->client[SIM_ADMIN].thread[0];
	int status = reply->status;
	bool ok = status == 0;

	if (reply->id != x->id)
		return;
	x->state = THREAD_IDLE;
	if (x->request.kind == MESSAGE_CHECK)
		ok = ok || (status == -EPROTO && s->had_liars);
	else if (x->request.kind == MESSAGE_DRAIN)
		ok = ok || status == -ESRCH;
	else if (x->request.kind == MESSAGE_RECLAIM)
		ok = ok || status == -EBUSY || status == -EINVAL;
	else if (x->request.kind == MESSAGE_SET)
		ok = was_set(s, &x->request.set, status);
	else if (x->request.kind == MESSAGE_WHY)
		ok = ok || status == -ESRCH || status == -EINVAL || status == -EBUSY ||
		     status == -EAGAIN;
	else if (x->request.kind == MESSAGE_LOOK)
		ok = ok || status == -EINVAL;
	else if (x->request.kind == MESSAGE_STATUS)
		ok = status == -EPERM;
	else
		ok = ok || status == -EUSERS;
	if (!ok)
		sim_fail(s, "the administrator's request of kind %d: %d", (int)x->request.kind,
			 status);
}
