/* tests/sim/shrink.c - caches of a process, and what it answers when it is to shrink them.
 *
 * An object is a block. A true answer frees as many as it says; a late one comes when the deadline
 * has passed, another never. */
#include "tests/sim/sim.h"

#define SCAN_MOST 64u

static bool is_small(const struct sim_block *block)
{
	return owner_is_own(block) && block->order <= 2;
}

void shrink_fill(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t cache = 1 + sim_below(s, SIM_CACHES);

	if (!(x->caches >> cache & 1))
		return;
	for (uint32_t n = 1 + sim_below(s, 20); n; n--) {
		uint32_t i = owner_pick(s, client, is_small);

		if (i == SIM_NONE)
			return;
		x->held[i].cache = cache;
	}
}

bool shrink_change(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	struct sim_thread *t = &x->thread[thread];
	uint32_t cache = 1 + sim_below(s, SIM_CACHES);

	if (!(x->caches >> cache & 1)) {
		t->request.kind = MESSAGE_CACHE_REGISTER;
		t->request.cache_register = (struct message_cache_register){
			.cache = cache, .seeks = sim_below(s, 4), .name = "cache"};
		thread_send(s, client, thread);
		return true;
	}
	if (!sim_chance(s, 8))
		return false;
	x->caches &= ~(1u << cache);
	for (uint32_t i = 0; i < x->n_held; i++)
		if (x->held[i].cache == cache)
			x->held[i].cache = 0;
	t->request.kind = MESSAGE_CACHE_UNREGISTER;
	t->request.cache_unregister = (struct message_cache_unregister){.cache = cache};
	thread_send(s, client, thread);
	return true;
}

void shrink_upcall(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];

	if (x->life != event->stamp)
		return;
	if (x->stopped_until_ns > s->now_ns) {
		sim_postpone(s, event, x->stopped_until_ns);
		return;
	}
	if (x->n_upcalls < SIM_UPCALLS_MAX)
		x->upcalls[x->n_upcalls++] = (struct sim_upcall){event->upcall, event->shrink};
}

static uint64_t count(const struct sim_client *x, uint32_t cache)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < x->n_held; i++)
		n += x->held[i].cache == cache;
	return n;
}

/* Frees up to n objects, as many as the answer says then. */
static void scan(struct sim *s, uint32_t client, uint32_t thread, uint64_t n,
		 struct message_shrink_done *done)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; i < x->n_held && done->nr_scanned < n && done->nr_freed < SCAN_MOST;) {
		if (x->held[i].cache != done->cache) {
			i++;
			continue;
		}
		done->nr_scanned++;
		if (x->n_deferred == SIM_HELD_MAX)
			return;
		done->nr_freed++;
		done->nr_frames += UINT64_C(1) << x->held[i].order;
		thread_give(s, client, thread, owner_unhold(s, client, i));
	}
}

static void send_done(struct sim *s, uint32_t client, uint64_t id, uint64_t delay_ns,
		      const struct message_shrink_done *done)
{
	struct sim_client *x = &s->client[client];
	struct sim_event *event;

	event = sim_after(s, delay_ns + sim_delay(s, 5 * US, MS), SIM_DONE, client, x->life);
	event->thread = x->id;
	event->upcall = id;
	event->done = *done;
}

bool shrink_answer(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	struct sim_upcall upcall = x->upcalls[0];
	struct message_shrink_done done = {.cache = upcall.shrink.cache, .thread = thread};
	enum sim_mood mood = s->is_calm ? MOOD_TRUE : x->mood;

	x->n_upcalls--;
	for (uint32_t i = 0; i < x->n_upcalls; i++)
		x->upcalls[i] = x->upcalls[i + 1];
	if (mood == MOOD_NEVER) {
		sim_cover(s, FAULT_SHRINK_NEVER);
		return false;
	}
	scan(s, client, thread, upcall.shrink.nr_to_scan, &done);
	done.nr_objects = count(x, done.cache);
	sim_cover(s, mood == MOOD_LATE ? FAULT_SHRINK_LATE : FAULT_SHRINK_TRUE);
	send_done(s, client, upcall.id, mood == MOOD_LATE ? 150 * MS : 0, &done);
	return true;
}

void shrink_done(struct sim *s, const struct sim_event *event)
{
	const struct sim_watch *watch = &s->server.watch[event->thread];
	struct message message = {
		.kind = MESSAGE_SHRINK_DONE, .id = event->upcall, .shrink_done = event->done};

	if (!s->server.is_up || !watch->is_open || !watch->events_open ||
	    watch->client != event->who || watch->life != event->stamp)
		return;
	s->coverage->messages[MESSAGE_SHRINK_DONE]++;
	server_event(s, &(struct session_event){.kind = EVENT_UPCALL_DONE,
						.client = event->thread,
						.message = &message});
}
