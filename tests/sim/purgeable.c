/* tests/sim/purgeable.c - frames that the daemon may take without asking: the client's side of the
 * purge table by the functions of shm/purge.h, and what must be true of both sides.
 *
 * A process says what it believes: which block it put into which slot, how often that is pinned,
 * and the generation of the frame, which stands for the content, because nothing but another grant
 * changes it. The map of owners lets a frame go only when its entry says that it is gone
 * (purgeable_settle()); so a frame that is granted while its entry says pinned, or says nothing, is
 * in two hands. A process may pin between the daemon's look at an entry and its compare-exchange
 * (purgeable_raced()), and the server may die between any two stores of a purge. */
#include "tests/sim/sim.h"

#include "shm/purge.h"
#include "tests/model/crash.h"

#include <string.h>

#define PURGEABLE_ORDER 4u

static uint64_t *entry_of(const struct sim *s, const struct sim_client *x, uint32_t i)
{
	return (uint64_t *)(void *)(world_ctl(s, x->ctl) + shm_ctl_table_offset(x->max_threads)) +
	       i;
}

static struct shm_purge_header *header_of(const struct sim *s, const struct sim_client *x)
{
	return (struct shm_purge_header *)(void *)(world_ctl(s, x->ctl) +
						   shm_ctl_purge_offset(x->max_threads));
}

static uint32_t generation(const struct sim *s)
{
	return shm_load32(&((const struct shm_meta_header *)(const void *)s->meta)->generation);
}

static bool is_gone(uint64_t word)
{
	return purge_unpack(word).pins > PURGE_PINS_MAX;
}

static bool is_player(const struct sim_client *x)
{
	return x->state != LIFE_NONE && !x->is_liar && !x->is_admin && x->ctl != SIM_NONE;
}

/* A server is there that has seen the table, so it has finished what another began. */
static bool is_watched(const struct sim *s, const struct sim_client *x)
{
	const struct sim_watch *watch = &s->server.watch[x->id];

	return s->server.is_up && watch->is_open && watch->life == x->life &&
	       watch->ctl == x->ctl && pool_client_ctl(s->pool, (client_id)x->id);
}

/* --- the owners' map ----------------------------------------------------------------------------
 */

/* The entry said that the frame is gone. */
static void lose(struct sim *s, uint32_t client, struct sim_slot *slot)
{
	if (slot->is_lost)
		return;
	if (slot->pins)
		sim_fail(s, "process %u pins frame %u, and it was purged", client, slot->block.pfn);
	if (slot->block.refs)
		sim_cover(s, FAULT_SHARED_PURGED);
	slot->is_lost = true;
	s->client[client].nr_lost += UINT64_C(1) << slot->block.order;
	owner_lets_go(s, client, &slot->block);
}

static void settle(struct sim *s, uint32_t client, pfn_t from, pfn_t to)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; i < SIM_SLOTS; i++) {
		struct sim_slot *slot = &x->slot[i];

		if (slot->is_used && !slot->is_lost && slot->block.pfn < to &&
		    from < slot->block.pfn + (1u << slot->block.order) &&
		    is_gone(shm_load(entry_of(s, x, i))))
			lose(s, client, slot);
	}
}

void purgeable_settle(struct sim *s, pfn_t pfn, order_t order)
{
	pfn_t end = pfn + (1u << order), at = pfn;

	while (at < end && s->holder[at] == 0)
		at++;
	for (uint32_t i = 0; at < end && i < SIM_CLIENTS; i++)
		if (s->client[i].n_slots && is_player(&s->client[i]))
			settle(s, i, pfn, end);
}

void purgeable_dies(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; i < SIM_SLOTS; i++)
		if (x->slot[i].is_used && !x->slot[i].is_lost)
			owner_lets_go(s, client, &x->slot[i].block);
	memset(x->slot, 0, sizeof x->slot);
	x->n_slots = 0;
}

bool purgeable_has(const struct sim *s, uint32_t client, pfn_t pfn)
{
	const struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; i < SIM_SLOTS; i++)
		if (x->slot[i].is_used && x->slot[i].block.refs && x->slot[i].block.pfn == pfn)
			return true;
	return false;
}

/* --- into a slot --------------------------------------------------------------------------------
 */

static bool is_purgeable(const struct sim_block *block)
{
	return block->cache == 0 && block->order <= PURGEABLE_ORDER && block->refs <= 1;
}

/* Some block that may go into a slot, which the process holds no longer. */
static bool pick_block(struct sim *s, uint32_t client, struct sim_block *ret_block)
{
	uint32_t i = owner_pick(s, client, is_purgeable);

	if (i == SIM_NONE || (s->client[client].held[i].refs &&
			      (trade_is_importing(s, client, s->client[client].held[i].pfn) ||
			       purgeable_has(s, client, s->client[client].held[i].pfn))))
		return false;
	*ret_block = owner_unhold(s, client, i);
	return true;
}

static void fill_slot(struct sim *s, struct sim_slot *slot, struct sim_block block)
{
	*slot = (struct sim_slot){.is_used = true,
				  .pins = 1,
				  .block = block,
				  .gen = page_get(s->pool->buddy.map, block.pfn).gen};
}

static void unpin(struct sim *s, uint32_t client, uint32_t i)
{
	struct sim_client *x = &s->client[client];

	if (x->slot[i].pins-- == 0 || purge_unpin(entry_of(s, x, i), generation(s)) != PURGE_OK)
		sim_fail(s, "process %u ends a pin of frame %u that is not there", client,
			 x->slot[i].block.pfn);
}

static void new_slots(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t n = 1 + sim_below(s, 8);

	for (uint32_t i = 0; n && i < x->nr_slots; i++) {
		struct sim_block block;

		if (x->slot[i].is_used)
			continue;
		if (!pick_block(s, client, &block))
			return;
		fill_slot(s, &x->slot[i], block);
		purge_new(entry_of(s, x, i), block.pfn);
		sim_trace(s, "process %lu puts frame %lu into slot %lu", client, block.pfn, i);
		x->n_slots++;
		if (!sim_chance(s, 6))
			unpin(s, client, i);
		n--;
	}
}

/* --- pins ---------------------------------------------------------------------------------------
 */

/* What was written to the frame is there: it was granted to nobody since. */
static void check_content(struct sim *s, uint32_t client, const struct sim_slot *slot)
{
	struct page_word word = page_get(s->pool->buddy.map, slot->block.pfn);
	bool is_own = word.state == PAGE_OWNED && word.owner == s->client[client].id;

	if (slot->is_lost || word.gen != slot->gen || word.order != slot->block.order ||
	    !(slot->block.refs ? word.state == PAGE_SHARED : is_own))
		sim_fail(s,
			 "I2: process %u has frame %u, gen %u, in a slot, not purged: the map says "
			 "state %u, owner %u, gen %u",
			 client, slot->block.pfn, slot->gen, word.state, word.owner, word.gen);
}

static void found_purged(struct sim *s, uint32_t client, struct sim_slot *slot, uint64_t word)
{
	struct shm_purge_header *header = header_of(s, &s->client[client]);

	sim_cover(s, FAULT_PIN_PURGED);
	shm_store(&header->nr_refault, header->nr_refault + 1);
	shm_store(&header->refault_age,
		  header->refault_age + purge_age(generation(s), purge_unpack(word).stamp));
	lose(s, client, slot);
}

static void pin(struct sim *s, uint32_t client, uint32_t i)
{
	struct sim_client *x = &s->client[client];
	struct sim_slot *slot = &x->slot[i];
	uint64_t word;

	switch (purge_pin(entry_of(s, x, i), &word)) {
	case PURGE_OK:
		slot->pins++;
		check_content(s, client, slot);
		return;
	case PURGE_GONE:
		found_purged(s, client, slot, word);
		return;
	case PURGE_OVERFLOW:
		sim_cover(s, FAULT_PIN_OVERFLOW);
		if (slot->pins == PURGE_PINS_MAX)
			return;
		break;
	case PURGE_BUSY:
	case PURGE_IS_FREE:
	case PURGE_EXISTS:
		break;
	}
	sim_fail(s, "process %u cannot pin slot %u, pinned %u times: the entry is %lx", client, i,
		 slot->pins, (unsigned long)word);
}

/* A used slot, with or without pins; SIM_NONE: there is none. */
static uint32_t some_slot(struct sim *s, const struct sim_client *x, bool pinned)
{
	uint32_t first = sim_below(s, SIM_SLOTS);

	for (uint32_t n = 0; n < SIM_SLOTS; n++) {
		uint32_t i = (first + n) % SIM_SLOTS;

		if (x->slot[i].is_used && (x->slot[i].pins > 0) == pinned)
			return i;
	}
	return SIM_NONE;
}

static void some_pins(struct sim *s, uint32_t client, bool more)
{
	uint32_t n_slots = 1 + sim_below(s, 6), n_pins = sim_chance(s, 40) ? 254 : 1;

	for (uint32_t n = 0; n < n_slots && !s->failed; n++) {
		uint32_t i = some_slot(s, &s->client[client],
				       more ? sim_chance(s, 4) : !sim_chance(s, 40));
		struct sim_slot *slot = &s->client[client].slot[i == SIM_NONE ? 0 : i];

		if (i == SIM_NONE)
			continue;
		for (uint32_t p = 0; more && p < n_pins && !slot->is_lost; p++)
			pin(s, client, i);
		while (!more && slot->pins && (n_pins > 1 || !sim_chance(s, 3)))
			unpin(s, client, i);
	}
}

void purgeable_raced(void *arg, uint64_t *entry)
{
	struct sim *s = arg;

	if (s->server.dies_in == 0 && s->server.dies_in_purge && sim_chance(s, 4)) {
		sim_cover(s, FAULT_CRASH_IN_PURGE);
		crash_arm(1 + sim_below(s, 6));
	}
	for (uint32_t client = 0; client < SIM_CLIENTS; client++) {
		struct sim_client *x = &s->client[client];
		uint64_t *table = is_player(x) ? entry_of(s, x, 0) : NULL, word = *entry;

		if (!table || entry < table || entry >= table + SIM_SLOTS ||
		    x->stopped_until_ns > s->now_ns || !sim_chance(s, 8))
			continue;
		sim_cover(s, FAULT_PIN_RACED);
		pin(s, client, (uint32_t)(entry - table));
		if (s->control == CONTROL_NO_EXCHANGE)
			*entry = word;
	}
}

/* --- out of a slot ------------------------------------------------------------------------------
 */

/* PURGING is what only a dead server leaves, or one that has not the table again. */
static void check_purging(struct sim *s, uint32_t client)
{
	sim_cover(s, FAULT_FOUND_PURGING);
	if (is_watched(s, &s->client[client]))
		sim_fail(s, "process %u finds an entry PURGING, and the server is there", client);
}

/* With one pin it is taken, with none dropped; true: the slot is free. */
static bool close_slot(struct sim *s, uint32_t client, uint32_t i)
{
	struct sim_client *x = &s->client[client];
	struct sim_slot *slot = &x->slot[i];
	enum purge_result result;
	pfn_t pfn;

	if (x->n_held + SIM_HELD_ROOM > SIM_HELD_MAX)
		return false;
	result = purge_end(entry_of(s, x, i), slot->pins, &pfn);
	if (result == PURGE_BUSY) {
		check_purging(s, client);
		return false;
	}
	if (result == PURGE_GONE && slot->pins == 0) {
		purge_clear(entry_of(s, x, i));
		pfn = PFN_NONE;
	} else if (result != PURGE_OK) {
		sim_fail(s, "process %u cannot end slot %u, pinned %u times", client, i,
			 slot->pins);
		return false;
	}
	sim_trace(s, "process %lu ends slot %lu: frame %lu", client, i, pfn);
	slot->pins = 0;
	if (pfn == PFN_NONE) {
		lose(s, client, slot);
	} else {
		check_content(s, client, slot);
		PAGED_CHECK(owner_hold(s, client, slot->block));
	}
	slot->is_used = false;
	x->n_slots--;
	return true;
}

static void rearm(struct sim *s, uint32_t client, uint32_t i)
{
	struct sim_client *x = &s->client[client];
	struct shm_purge_header *header = header_of(s, x);
	struct sim_block block;

	if (!is_gone(shm_load(entry_of(s, x, i))) || !pick_block(s, client, &block))
		return;
	lose(s, client, &x->slot[i]);
	switch (purge_rearm(entry_of(s, x, i), block.pfn)) {
	case PURGE_OK:
		break;
	case PURGE_BUSY:
		check_purging(s, client);
		PAGED_CHECK(owner_hold(s, client, block));
		return;
	case PURGE_GONE:
	case PURGE_OVERFLOW:
	case PURGE_IS_FREE:
	case PURGE_EXISTS:
		sim_fail(s, "process %u cannot arm slot %u again", client, i);
		return;
	}
	sim_cover(s, FAULT_REARMED);
	fill_slot(s, &x->slot[i], block);
	shm_store(&header->nr_rebuilt, header->nr_rebuilt + (UINT64_C(1) << block.order));
	shm_store(&header->rebuilt_ns, header->rebuilt_ns + sim_below(s, 1000) * US);
	if (!sim_chance(s, 4))
		unpin(s, client, i);
}

static void end_some(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t i = some_slot(s, x, sim_chance(s, 2));

	if (i != SIM_NONE && x->slot[i].pins <= 1)
		(void)close_slot(s, client, i);
}

/* Those whose content is gone get another, or end. */
static void rebuild(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t n = 1 + sim_below(s, 4);

	for (uint32_t i = 0; n && i < SIM_SLOTS && !s->failed; i++) {
		if (!x->slot[i].is_used || !is_gone(shm_load(entry_of(s, x, i))))
			continue;
		n--;
		if (sim_chance(s, 3))
			(void)close_slot(s, client, i);
		else
			rearm(s, client, i);
	}
}

void purgeable_left(struct sim *s)
{
	for (uint32_t client = 0; client < SIM_CLIENTS; client++) {
		struct sim_client *x = &s->client[client];

		if (!is_player(x) || x->stopped_until_ns > s->now_ns)
			continue;
		for (uint32_t i = 0; i < SIM_SLOTS; i++)
			if (x->slot[i].is_used &&
			    purge_unpack(shm_load(entry_of(s, x, i))).pins == PURGE_PURGING)
				(sim_chance(s, 2) ? pin : rearm)(s, client, i);
	}
}

/* --- what a process does ------------------------------------------------------------------------
 */

void purgeable_act(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];
	uint32_t what = sim_below(s, 20);

	if (x->nr_slots == 0)
		return;
	if (what < 8)
		new_slots(s, client);
	else if (what < 12)
		some_pins(s, client, true);
	else if (what < 15)
		some_pins(s, client, false);
	else if (what < 18)
		rebuild(s, client);
	else if (what < 19)
		end_some(s, client);
	else
		shm_store(&header_of(s, x)->declared_ns, sim_below(s, 1000) * US);
}

void purgeable_table(struct sim *s, uint32_t client, uint64_t nr_slots)
{
	struct sim_client *x = &s->client[client];

	if (nr_slots < x->nr_slots)
		sim_fail(s, "the purge table of process %u is smaller than it was", client);
	x->nr_slots = nr_slots < SIM_SLOTS ? (uint32_t)nr_slots : SIM_SLOTS;
}

void purgeable_end_all(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; x->n_slots && i < SIM_SLOTS && !s->failed; i++) {
		if (!x->slot[i].is_used)
			continue;
		while (x->slot[i].pins && !s->failed)
			unpin(s, client, i);
		(void)close_slot(s, client, i);
	}
}

/* --- checks -------------------------------------------------------------------------------------
 */

static void check_slot(struct sim *s, uint32_t client, uint32_t i, uint64_t *purged)
{
	const struct sim_client *x = &s->client[client];
	const struct sim_slot *slot = &x->slot[i];
	struct purge_entry entry = purge_unpack(shm_load(entry_of(s, x, i)));

	if (entry.pfn != slot->block.pfn && !slot->is_lost)
		sim_fail(s, "slot %u of process %u has frame %u and says %u", i, client,
			 slot->block.pfn, entry.pfn);
	if (entry.pins == PURGE_PURGING && is_watched(s, x))
		sim_fail(s, "slot %u of process %u is PURGING between two events", i, client);
	if (entry.pins > PURGE_PINS_MAX) {
		*purged += slot->is_lost ? 0 : UINT64_C(1) << slot->block.order;
		if (slot->pins)
			sim_fail(s, "process %u pins frame %u, and it was purged", client,
				 slot->block.pfn);
		return;
	}
	if (entry.pins != slot->pins)
		sim_fail(s, "slot %u of process %u is pinned %u times and says %u", i, client,
			 slot->pins, entry.pins);
	check_content(s, client, slot);
}

void purgeable_check(struct sim *s)
{
	for (uint32_t client = 0; client < SIM_CLIENTS && !s->failed; client++) {
		const struct sim_client *x = &s->client[client];
		uint64_t purged = x->nr_lost;

		if (!is_player(x))
			continue;
		for (uint32_t i = 0; i < SIM_SLOTS && !s->failed; i++)
			if (x->slot[i].is_used)
				check_slot(s, client, i, &purged);
		if (is_watched(s, x) && pool_client(s->pool, (client_id)x->id)->nr_purged > purged)
			sim_fail(s, "of process %u %lu frames were purged, and %lu entries say so",
				 client,
				 (unsigned long)pool_client(s->pool, (client_id)x->id)->nr_purged,
				 (unsigned long)purged);
	}
}
