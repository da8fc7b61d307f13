/* daemon/core/victim.c - passes, lists, and pool_purge(), which takes from them; see victim.h. */
#include "daemon/core/victim.h"

#include "daemon/core/purge.h"
#include "daemon/core/victim_list.h"
#include "paged/bits.h"

/* weight = WEIGHT_ONE / cost, so that (age + 1) * weight fits 64 bits for ages below 2^24 and costs
 * from COST_MIN_NS / COST_WANTED_DIVISOR on, and a cost of COST_MAX_NS still has two digits. */
#define WEIGHT_ONE (UINT64_C(1) << 42)
static_assert(WEIGHT_ONE / (COST_MIN_NS / COST_WANTED_DIVISOR) < UINT64_C(1) << 40, "overflow");

/* Victims. Nearer would be too late, farther is thrown out again. */
#define FETCH_AHEAD 8u

/* A client's table in one slice. */
struct scan {
	const uint64_t *table;
	uint64_t weight;
	uint32_t client;
	uint32_t generation; /* changes between slices only, so no stamp of an honest client is
				later */
	uint32_t age_min;    /* below it no list takes an entry */
	uint64_t floor;      /* the same for keys, exactly */
	bool offered[VICTIM_TIERS];
	bool suspect;
};

void victim_init(struct pool *pool)
{
	struct victim *room = pool->victim_room;

	for (uint32_t which = 0; which < 2; which++) {
		struct victims *victims = which ? &pool->victims_one : &pool->victims;

		*victims = (struct victims){.client = CLIENT_NONE};
		for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
			victims->list[t].n_room = which ? VICTIM_LIST_ONE_MAX : VICTIM_LIST_MAX;
			victims->list[t].at = room;
			room += (size_t)2 * victims->list[t].n_room;
		}
	}
	pool->count_cursor = (struct victim_cursor){.client = 1};
	shm_store(&pool->meta->nr_purgeable, 0);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool->client[id].state == CLIENT_ATTACHED)
			shm_add(&pool->meta->nr_purgeable,
				pool_meta_client(pool, id)->nr_purgeable);
}

void victim_forget(struct pool *pool, client_id client)
{
	purge_show(pool, client, 0, 0);
	pool->victims.gone[client] = 1;
	pool->victims_one.gone[client] = 1;
	if (pool->victims_one.client == client)
		pool->victims_one.asking = false;
}

/* --- the pass ------------------------------------------------------------------------------------
 */

/* The lists that entries of the client may be taken from, now or when it has paid. */
static bool find_lists(const struct pool *pool, client_id client, bool offered[VICTIM_TIERS])
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	enum pool_tier tier = pool_client_tier(pool, client);
	bool any = tier != POOL_TIER_PROTECTED;

	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		offered[t] = any && t >= (uint32_t)tier &&
			     (t != POOL_TIER_SPARED || shown->low > shown->min);
	return any;
}

/* The lists' floors rise: the least that some list might still take. */
static void raise_floor(const struct victims *victims, struct scan *scan)
{
	scan->floor = UINT64_MAX;
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		if (scan->offered[t])
			scan->floor = bits_min(scan->floor, victims->list[t].floor);
	/* Rounded down: the key is exact. */
	scan->age_min = (uint32_t)bits_min(
		bits_max(victim_score_least(scan->floor) / scan->weight, 1) - 1, UINT32_MAX);
}

/* Its key reaches some list's floor. Not a part of the loop below, which has no registers for it.
 */
__attribute__((noinline)) static void offer(struct pool *pool, struct victims *victims,
					    struct scan *scan, struct victim victim, pfn_t pfn)
{
	uint64_t key = victim_key(victim.score, victim.slot, victim.client);
	struct purge_reference reference;
	bool cut = false;

	if (scan->suspect && !purge_find(pool, (client_id)victim.client, pfn, &reference))
		return;
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		if (scan->offered[t] && key >= victims->list[t].floor)
			cut |= victim_list_add(&victims->list[t], victim);
	if (cut)
		raise_floor(victims, scan);
}

/* Entries from the cursor to `to`. Without victims they are only counted: age_min is UINT32_MAX. */
static void scan_entries(struct pool *pool, struct victims *victims, struct scan *scan,
			 struct victim_cursor *cursor, uint32_t to)
{
	uint64_t nr_purgeable = 0, nr_pinned = 0;
	struct victim victim = {.client = scan->client};
	uint32_t last_age = UINT32_MAX;

	for (uint32_t i = cursor->slot; i < to; i++) {
		uint64_t word = shm_load(&scan->table[i]);
		uint32_t pins = (uint32_t)word & 255u, age;

		if ((pfn_t)(word >> 32) == PFN_NONE)
			continue;
		if (pins != 0) {
			nr_pinned += pins <= PURGE_PINS_MAX;
			continue;
		}
		nr_purgeable++;
		age = purge_age(scan->generation, (uint32_t)(word >> 8));
		if (age < scan->age_min)
			continue;
		/* Many are alike. */
		if (age != last_age)
			victim.score = victim_score((age + UINT64_C(1)) * scan->weight);
		last_age = age;
		if (victim_key(victim.score, i, scan->client) < scan->floor)
			continue;
		victim.slot = i;
		victim.stamp = purge_unpack(word).stamp;
		offer(pool, victims, scan, victim, (pfn_t)(word >> 32));
	}
	cursor->slot = to;
	cursor->nr_purgeable += nr_purgeable;
	cursor->nr_pinned += nr_pinned;
}

/* The next client, if this one's table is through. */
static void finish_table(struct pool *pool, struct victim_cursor *cursor, bool last)
{
	client_id client = (client_id)cursor->client;

	if (purge_has_table(pool, client)) {
		if (cursor->slot < pool->client[client].purge_slots)
			return;
		purge_show(pool, client, cursor->nr_purgeable, cursor->nr_pinned);
	}
	*cursor = (struct victim_cursor){.client = last ? SHM_MAX_CLIENTS + 1 : client + 1u};
}

/* One slice; true when the pass is done. */
static bool scan_slice(struct pool *pool, struct victims *victims, struct victim_cursor *cursor)
{
	uint32_t left = VICTIM_SLICE;

	while (cursor->client <= pool->last_table) {
		client_id client = (client_id)cursor->client;
		uint32_t n_slots = pool->client[client].purge_slots, n;
		struct scan scan;

		if (purge_has_table(pool, client) && cursor->slot < n_slots) {
			if (left == 0)
				return false;
			scan = (struct scan){.table = purge_table(pool, client),
					     .client = client,
					     .generation = pool->meta->generation,
					     .suspect = pool->client[client].lied,
					     .age_min = UINT32_MAX,
					     .weight = WEIGHT_ONE /
						       pool->client[client].cost.in_force_ns};
			n = (uint32_t)bits_min(left, n_slots - cursor->slot);
			left -= n;
			if (victims) {
				(void)find_lists(pool, client, scan.offered);
				raise_floor(victims, &scan);
			}
			scan_entries(pool, victims, &scan, cursor, cursor->slot + n);
			pool_add(pool, COUNTER_pgscan, victims ? n : 0);
		}
		finish_table(pool, cursor, victims && victims->client != CLIENT_NONE);
	}
	return true;
}

/* Slots of all tables that the pass looks at. */
static uint64_t count_slots(const struct pool *pool, const struct victims *victims)
{
	uint64_t n = 0;

	for (client_id id = 1; id <= pool->last_table; id++)
		if (purge_has_table(pool, id) &&
		    (victims->client == CLIENT_NONE || victims->client == id))
			n += pool->client[id].purge_slots;
	return n;
}

static void begin_pass(struct pool *pool, struct victims *victims, uint64_t n_frames)
{
	/* A table is as large as it ever was. What is in it is known once it was looked at. */
	uint64_t n_slots = count_slots(pool, victims), known = pool->meta->nr_purgeable;
	uint64_t n = bits_min(n_slots, known ? known : n_slots) / VICTIM_LIST_PART;

	cost_update(pool);
	n = bits_max(bits_max(n, n_frames), VICTIM_LIST_MIN);
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		victim_list_begin(&victims->list[t], n);
	for (uint32_t id = 0; id <= SHM_MAX_CLIENTS; id++)
		victims->gone[id] = 0;
	victims->cursor = (struct victim_cursor){
		.client = victims->client == CLIENT_NONE ? 1u : victims->client};
	victims->found_liar = false;
	victims->scanning = true;
	victims->begun_for_it = true;
}

static void end_pass(struct pool *pool, struct victims *victims)
{
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		victim_list_sort(&victims->list[t]);
	victims->scanning = false;
	shm_store32(&pool->meta->generation, pool->meta->generation + 1);
}

/* --- taking --------------------------------------------------------------------------------------
 */

struct request {
	uint64_t n_frames, got;
	uint32_t n_tries; /* victims still to look at in this slice */
};

/* false: it is no victim any more. *ret_frames came back. */
static bool take(struct pool *pool, struct victims *victims, enum pool_tier tier,
		 const struct victim *victim, uint64_t *ret_frames)
{
	client_id client = (client_id)victim->client;
	uint32_t generation = pool->meta->generation;
	struct purge_reference reference;
	struct purge_entry entry;
	uint64_t *at, word;

	if (victims->gone[client] || !purge_has_table(pool, client) ||
	    victim->slot >= pool->client[client].purge_slots)
		return false;
	at = &purge_table(pool, client)[victim->slot];
	word = shm_load(at);
	entry = purge_unpack(word);
	if (entry.pins != 0 || entry.pfn == PFN_NONE ||
	    purge_age(generation, entry.stamp) < purge_age(generation, victim->stamp))
		return false;
	if (!purge_find(pool, client, entry.pfn, &reference)) {
		pool->client[client].lied = true;
		victims->found_liar = true;
		pool_note_bad_free(pool, client);
		return false;
	}
	return purge_take(pool, client, tier, at, word, &reference, ret_frames);
}

/* The map's words of victims lie anywhere. Fetches those of the one whose turn comes in a while:
 * its neighbours on its owner's list come with its links. */
static void fetch_ahead(const struct pool *pool, const struct victim_list *list)
{
	const struct victim *victim = &list->at[list->next + FETCH_AHEAD];
	uint64_t pfn;

	if (list->next + FETCH_AHEAD >= list->n ||
	    !purge_has_table(pool, (client_id)victim->client) ||
	    victim->slot >= pool->client[victim->client].purge_slots)
		return;
	pfn = shm_load(&purge_table(pool, (client_id)victim->client)[victim->slot]) >> 32;
	/* A hint: any number will do. */
	if (pfn < pool->nr_frames)
		__builtin_prefetch(&pool->buddy.map[pfn], 1);
}

/* Is there somebody in the tier whose frames the list had no room for? */
static bool has_more(const struct pool *pool, const struct victims *victims, uint32_t tier)
{
	if (!victims->list[tier].cut || victims->list[tier].taken == 0)
		return false;
	for (client_id id = 1; id <= pool->last_table; id++)
		if ((victims->client == CLIENT_NONE || victims->client == id) &&
		    purge_has_table(pool, id) && (uint32_t)pool_client_tier(pool, id) <= tier &&
		    pool_meta_client(pool, id)->nr_purgeable > 0)
			return true;
	return false;
}

/* true: the lists have no more for the request. */
static bool take_from_lists(struct pool *pool, struct victims *victims, struct request *request)
{
	for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
		struct victim_list *list = &victims->list[t];

		for (; list->next < list->n; list->next++) {
			uint64_t frames;

			if (request->got >= request->n_frames || request->n_tries == 0)
				return false;
			request->n_tries--;
			fetch_ahead(pool, list);
			if (!take(pool, victims, (enum pool_tier)t, &list->at[list->next], &frames))
				continue;
			list->taken++;
			request->got += frames;
		}
		/* Not a word of the next tier before this one is through. */
		if (has_more(pool, victims, t))
			return true;
	}
	/* This was all there is, if it was looked at since it was asked for; or it changes faster
	 * than it can be looked at. A liar's entries are left out next time. */
	victims->conclusive = victims->begun_for_it && !victims->found_liar;
	return true;
}

static struct victims *victims_for(struct pool *pool, client_id client)
{
	struct victims *victims = client == CLIENT_NONE ? &pool->victims : &pool->victims_one;

	if (victims->client != client) {
		victims->client = client;
		victims->scanning = victims->asking = false;
		for (uint32_t t = 0; t < VICTIM_TIERS; t++)
			victim_list_begin(&victims->list[t], VICTIM_LIST_MIN);
	}
	return victims;
}

uint64_t pool_purge(struct pool *pool, uint64_t n_frames, client_id client, bool *ret_again)
{
	struct victims *victims = victims_for(pool, client);
	struct request request = {.n_frames = n_frames, .n_tries = VICTIM_TRIES};
	bool used_up = true;

	if (!victims->asking)
		victims->begun_for_it = victims->conclusive = false;
	if (!victims->scanning)
		used_up = take_from_lists(pool, victims, &request);
	if (used_up && request.got < n_frames && !victims->conclusive) {
		if (!victims->scanning)
			begin_pass(pool, victims, n_frames - request.got);
		if (scan_slice(pool, victims, &victims->cursor)) {
			end_pass(pool, victims);
			(void)take_from_lists(pool, victims, &request);
		}
	}
	victims->asking = request.got < n_frames && !victims->conclusive;
	*ret_again = victims->asking;
	if (request.got)
		pool->no_run = ORDER_COUNT;
	return request.got;
}

void victim_tick(struct pool *pool)
{
	if (pool->count_cursor.client > pool->last_table)
		pool->count_cursor = (struct victim_cursor){.client = 1};
	cost_update(pool);
	(void)scan_slice(pool, NULL, &pool->count_cursor);
}
