/* tests/sim/liar.c - processes that send, write and answer anything.
 *
 * A liar is attached as all are. It may be ended for what it does, and it may lose what it has;
 * that nobody else notices is for the others to say. */
#include "tests/sim/sim.h"

#include "shm/purge.h"

#include <string.h>

/* Mostly a small number, now and then any. */
static uint32_t field(struct sim *s, uint32_t usual)
{
	return sim_chance(s, 12) ? (uint32_t)sim_any64(s) : sim_below(s, usual);
}

/* A frame that is the liar's as often as not. */
static pfn_t some_pfn(struct sim *s, const struct sim_client *x)
{
	if (s->server.is_up && sim_chance(s, 2) && s->pool->client[x->id].owned != PFN_NONE)
		return s->pool->client[x->id].owned;
	return field(s, s->nr_frames);
}

static order_t some_order(struct sim *s, pfn_t pfn)
{
	return pfn < s->nr_frames && !sim_chance(s, 4) ? page_get(s->pool->buddy.map, pfn).order
						       : field(s, 11);
}

static void fill_lane(struct sim *s, struct sim_client *x, struct message *m)
{
	uint64_t seq = sim_chance(s, 100) ? sim_any64(s) : ++x->thread[0].seq;
	uint32_t lane = field(s, SHM_MAX_LANES);
	pfn_t pfn = some_pfn(s, x);

	if (m->kind == MESSAGE_ALLOC)
		m->alloc = (struct message_alloc){lane, seq, field(s, 11), field(s, 8),
						  field(s, 1000)};
	else if (m->kind == MESSAGE_FREE)
		m->free = (struct message_free){lane, seq, pfn, some_order(s, pfn)};
	else if (m->kind == MESSAGE_SHARE)
		m->share = (struct message_share){lane, seq, pfn, field(s, SIM_CLIENTS)};
	else if (m->kind == MESSAGE_IMPORT)
		m->import = (struct message_import){lane, seq, (uint64_t)pfn << 32 | field(s, 9)};
	else
		m->put = (struct message_put){lane, seq, pfn};
}

static void fill(struct sim *s, struct sim_client *x, struct message *m)
{
	switch ((unsigned int)m->kind) {
	case MESSAGE_HELLO:
		m->hello.version_max = field(s, 4);
		m->hello.flags = field(s, 8);
		break;
	case MESSAGE_PCP_CREATE:
		m->pcp_create.thread = field(s, s->max_threads);
		break;
	case MESSAGE_PCP_REFILL:
		m->pcp_refill = (struct message_pcp_refill){field(s, s->max_threads),
							    field(s, MAGAZINE_COUNT), field(s, 100),
							    field(s, 8), field(s, 1000)};
		break;
	case MESSAGE_PCP_DRAIN:
		m->pcp_drain = (struct message_pcp_drain){field(s, s->max_threads),
							  field(s, MAGAZINE_COUNT)};
		break;
	case MESSAGE_CACHE_REGISTER:
		m->cache_register.cache = field(s, 5);
		m->cache_register.seeks = field(s, 4);
		m->cache_register.batch = field(s, 500);
		m->cache_register.name[0] = sim_chance(s, 9) ? '\0' : 'c';
		break;
	case MESSAGE_PURGE_TABLE:
		m->purge_table.nr_slots = field(s, 2 * SIM_SLOTS);
		break;
	case MESSAGE_CACHE_UNREGISTER:
		m->cache_unregister.cache = field(s, 5);
		break;
	case MESSAGE_ALLOC:
	case MESSAGE_FREE:
	case MESSAGE_SHARE:
	case MESSAGE_IMPORT:
	case MESSAGE_PUT:
		fill_lane(s, x, m);
		break;
	default:
		break;
	}
}

static void say(struct sim *s, uint32_t client)
{
	static const enum message_kind often[] = {
		MESSAGE_ALLOC,      MESSAGE_ALLOC,          MESSAGE_FREE,
		MESSAGE_PCP_REFILL, MESSAGE_PCP_REFILL,     MESSAGE_PCP_DRAIN,
		MESSAGE_PCP_CREATE, MESSAGE_CACHE_REGISTER, MESSAGE_PURGE_TABLE};
	struct message message;

	memset(&message, 0, sizeof message);
	message.kind = sim_chance(s, 3) ? (enum message_kind)sim_below(s, MESSAGE_NR_KINDS)
					: often[sim_below(s, sizeof often / sizeof *often)];
	if (message.kind == MESSAGE_GOODBYE && !sim_chance(s, 10))
		return;
	message.id = ++s->next_id;
	fill(s, &s->client[client], &message);
	sim_cover(s, FAULT_LIE_IN_MESSAGE);
	net_send(s, client, &message);
}

/* Slots that are the liar's, another's, nobody's, or the same twice; a bottom that covers them, or
 * none that can be. */
static void scribble(struct sim *s, struct sim_client *x)
{
	uint32_t thread = sim_below(s, s->max_threads), m = sim_below(s, MAGAZINE_COUNT);
	char *ctl = world_ctl(s, x->ctl);
	uint64_t *bottom = (uint64_t *)(void *)(ctl + shm_ctl_bottom_offset(thread, m));
	uint32_t *slot = (uint32_t *)(void *)(ctl + shm_ctl_slots_offset(thread, m));
	const struct shm_head *head = pool_head(s->pool, x->id, thread, m);
	uint32_t n = sim_below(s, 32);

	if (sim_chance(s, 10)) {
		sim_cover(s, FAULT_LIE_IN_BOTTOM);
		*bottom = sim_any64(s);
		return;
	}
	if (head->capacity == 0)
		return;
	sim_cover(s, FAULT_LIE_IN_SLOT);
	for (uint32_t i = 0; i < n; i++)
		slot[(head->top + i) & (head->capacity - 1)] =
			i && sim_chance(s, 4) ? slot[(head->top + i - 1) & (head->capacity - 1)]
					      : some_pfn(s, x);
	*bottom = head->top + n;
}

/* Rings all the time, for anything. */
static void scribble_bell(struct sim *s, struct sim_client *x)
{
	char *ctl = world_ctl(s, x->ctl);
	uint64_t *word =
		(uint64_t *)(void *)(ctl + shm_ctl_ring_offset(sim_below(s, s->max_threads)));

	sim_cover(s, FAULT_LIE_IN_BELL);
	*word = sim_chance(s, 8)
			? sim_any64(s)
			: (uint64_t)field(s, MAGAZINE_COUNT) << SHM_RING_WANT_BITS | field(s, 200);
	*(uint64_t *)(void *)(ctl + SHM_CTL_BELL_OFFSET) = sim_any64(s);
}

/* Entries with frames of anybody, the same twice, states that only the daemon may write; and what
 * nobody can have rebuilt. */
static void scribble_table(struct sim *s, struct sim_client *x)
{
	char *ctl = world_ctl(s, x->ctl);
	uint64_t *entry = (uint64_t *)(void *)(ctl + shm_ctl_table_offset(x->max_threads));
	uint64_t *header = (uint64_t *)(void *)(ctl + shm_ctl_purge_offset(x->max_threads));
	uint32_t n = sim_below(s, 32);

	sim_cover(s, FAULT_LIE_IN_TABLE);
	while (n--) {
		uint32_t i = sim_below(s, 2 * SIM_SLOTS);

		entry[i] = purge_pack((struct purge_entry){
			.pfn = some_pfn(s, x),
			.stamp = field(s, 32),
			.pins = sim_chance(s, 3) ? 252 + sim_below(s, 4) : sim_below(s, 2)});
		if (i && sim_chance(s, 4))
			entry[i] = entry[i - 1];
	}
	if (sim_chance(s, 4))
		header[sim_below(s, sizeof(struct shm_purge_header) / 8)] = sim_any64(s);
}

static void answer(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	struct sim_event *event;

	while (x->n_upcalls) {
		const struct sim_upcall *upcall = &x->upcalls[--x->n_upcalls];

		if (sim_chance(s, 4))
			continue;
		sim_cover(s, FAULT_SHRINK_LIE);
		event = sim_after(s, sim_delay(s, 5 * US, 200 * MS), SIM_DONE, client, x->life);
		event->thread = x->id;
		event->upcall = sim_chance(s, 4) ? sim_any64(s) : upcall->id;
		event->done = (struct message_shrink_done){.cache = field(s, 5),
							   .nr_objects = sim_any64(s),
							   .nr_scanned = sim_any64(s),
							   .nr_freed = sim_any64(s),
							   .nr_frames = sim_any64(s),
							   .thread = field(s, s->max_threads)};
	}
}

void liar_acts(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	if (s->is_calm)
		return;
	answer(s, client);
	if (sim_chance(s, 3))
		scribble(s, x);
	if (sim_chance(s, 3))
		scribble_table(s, x);
	if (sim_chance(s, 3))
		scribble_bell(s, x);
	if (!client_is_connected(x))
		return;
	for (uint32_t n = 1 + sim_below(s, 6); n; n--)
		say(s, client);
	if (sim_chance(s, 50))
		(void)sim_after(s, MS, SIM_GARBAGE, x->conn, x->conn_stamp);
}
