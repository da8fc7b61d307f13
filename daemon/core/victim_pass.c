/* daemon/core/victim_pass.c - see victim_pass.h. */
#include "daemon/core/victim_pass.h"

#include "daemon/core/purge.h"
#include "daemon/core/victim_list.h"
#include "daemon/core/victim_scan.h"
#include "paged/bits.h"

/* weight = WEIGHT_ONE / cost, so that (age + 1) * weight fits 64 bits for ages below 2^24 and costs
 * from COST_MIN_NS / COST_WANTED_DIVISOR on, and a cost of COST_MAX_NS still has two digits. */
#define WEIGHT_ONE (UINT64_C(1) << 42)
static_assert(WEIGHT_ONE / (COST_MIN_NS / COST_WANTED_DIVISOR) < UINT64_C(1) << 40, "overflow");

#define CHUNK 256u     /* entries between two looks at what is left of a slice */
#define OFFER_WORK 32  /* an entry that is offered to a list */
#define SAMPLE_WORK 64 /* an entry that is looked at alone */
/* Of that many slots on floors are found from a sample. Lower: a pass that is short anyway takes
 * longer; higher: a small cache is cut several times in a pass. */
#define SAMPLED_SLOTS 65536u
/* Entries for each list's worth of the tables. Lower: floors are farther off; higher: a pass takes
 * longer. */
#define SAMPLE 32u
/* Work for a frame, for each time that the tables are longer than a list: half a list is left when
 * the next pass begins, a quarter when it is to be done, and the sample, offers and order come to
 * twice as much as the looking. */
#define RATE 12u

/* A client's table in one slice. */
struct scan {
	const uint64_t *table;
	uint64_t weight;
	uint32_t client;
	uint32_t generation; /* changes between slices only, so no stamp of an honest client is
				later */
	/* Below the floor no list takes an entry: with a hash from hash_floor on it has to be so
	 * old, else older. Eight bits up, as in victim_look(). */
	uint64_t floor;
	uint32_t hash_floor, old, older;
	uint32_t n_offered;
	bool offered[VICTIM_TIERS];
	bool suspect;
};

/* The lists that entries of the client may be taken from, now or when it has paid. */
static void find_lists(const struct pool *pool, const struct victims *victims, client_id client,
		       bool offered[VICTIM_TIERS])
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	enum pool_tier tier = pool_client_tier(pool, client);
	uint32_t least = (uint32_t)bits_max((uint32_t)tier, victims->left_out[client]);

	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		offered[t] = tier != POOL_TIER_PROTECTED && t >= least &&
			     (t != POOL_TIER_SPARED || shown->low > shown->min);
}

/* The least age, eight bits up, with that score; UINT32_MAX: none has it. */
static uint32_t age_of(const struct scan *scan, uint32_t score)
{
	uint64_t age = bits_max(victim_score_least(score) / scan->weight, 1) - 1;

	/* Rounded down twice, so a step or two are left. */
	while (age <= PURGE_STAMP_MASK && victim_score((age + 1) * scan->weight) < score)
		age++;
	return age <= PURGE_STAMP_MASK ? (uint32_t)age << 8 : UINT32_MAX;
}

/* The lists' floors rise: the least that some list might still take. */
static void raise_floor(const struct victims *victims, struct scan *scan)
{
	scan->floor = UINT64_MAX;
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		if (scan->offered[t])
			scan->floor = bits_min(scan->floor, victims->choice[t].floor);
	scan->hash_floor = (uint32_t)scan->floor;
	scan->old = scan->older = UINT32_MAX;
	if (scan->floor >> 32 == UINT32_MAX)
		return;
	scan->old = age_of(scan, (uint32_t)(scan->floor >> 32));
	scan->older = age_of(scan, (uint32_t)(scan->floor >> 32) + 1);
}

/* The client's table, for a pass or, without victims, for a count: then nothing is old enough. */
static struct scan begin_scan(const struct pool *pool, const struct victims *victims,
			      client_id client)
{
	struct scan scan = {.table = purge_table(pool, client),
			    .client = client,
			    .generation = pool->meta->generation,
			    .suspect = pool->client[client].lied,
			    .old = UINT32_MAX,
			    .older = UINT32_MAX,
			    .weight = WEIGHT_ONE / pool->client[client].cost.in_force_ns};

	if (victims) {
		find_lists(pool, victims, client, scan.offered);
		raise_floor(victims, &scan);
	}
	return scan;
}

/* Looks at one entry. false: it is no victim. */
static bool judge(const struct scan *scan, uint32_t slot, struct victim *ret_victim, pfn_t *ret_pfn)
{
	struct purge_entry entry = purge_unpack(shm_load(&scan->table[slot]));
	uint64_t age = purge_age(scan->generation, entry.stamp);

	if (entry.pfn == PFN_NONE || entry.pins != 0)
		return false;
	*ret_pfn = entry.pfn;
	*ret_victim = (struct victim){.score = victim_score((age + 1) * scan->weight),
				      .slot = slot,
				      .stamp = entry.stamp,
				      .client = scan->client};
	return true;
}

/* The entry in slot passed the filter. Not a part of the loop below, which has no registers for it.
 */
__attribute__((noinline)) static void offer(struct pool *pool, struct victims *victims,
					    struct scan *scan, uint32_t slot)
{
	struct purge_reference reference;
	struct victim victim;
	bool cut = false;
	uint64_t key;
	pfn_t pfn;

	scan->n_offered++;
	if (!judge(scan, slot, &victim, &pfn) ||
	    (scan->suspect && !purge_find(pool, (client_id)victim.client, pfn, &reference)))
		return;
	key = victim_key(victim.score, victim.slot, victim.client);
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		if (scan->offered[t] && key >= victims->choice[t].floor)
			cut |= victim_choice_add(&victims->choice[t], victim);
	if (cut)
		raise_floor(victims, scan);
}

/* What a liar says is not counted but looked up: or its entries would be help that everybody waits
 * for and that never comes. */
static uint64_t count_true(const struct pool *pool, const struct scan *scan, uint32_t from,
			   uint32_t to)
{
	struct purge_reference reference;
	struct victim victim;
	uint64_t n = 0;
	pfn_t pfn;

	for (uint32_t i = from; i < to; i++)
		n += judge(scan, i, &victim, &pfn) &&
		     purge_find(pool, (client_id)scan->client, pfn, &reference);
	return n;
}

/* Entries from the cursor to `to`. */
static void scan_entries(struct pool *pool, struct victims *victims, struct scan *scan,
			 struct victim_cursor *cursor, uint32_t to)
{
	struct victim_counts counts = {.unpinned = {0}};
	uint64_t rest[VICTIM_GROUP];

	for (uint32_t i = cursor->slot; i < to; i += VICTIM_GROUP) {
		const uint64_t *at = &scan->table[i];
		uint32_t least, old;

		if (to - i < VICTIM_GROUP) {
			for (uint32_t k = 0; k < VICTIM_GROUP; k++)
				rest[k] = k < to - i ? shm_load(&at[k]) : PURGE_FREE_SLOT;
			at = rest;
		}
		least = victim_hash(i, scan->client) >= scan->hash_floor ? scan->old : scan->older;
		old = victim_look(at, scan->generation << 8, least, &counts);
		for (; old; old &= old - 1)
			offer(pool, victims, scan, i + (uint32_t)__builtin_ctz(old));
	}
	cursor->nr_purgeable += scan->suspect ? count_true(pool, scan, cursor->slot, to)
					      : victim_sum(counts.unpinned);
	cursor->slot = to;
	cursor->nr_pinned += victim_sum(counts.in_use) - victim_sum(counts.unpinned);
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

/* Entries from the cursor on, in chunks, until the work is done or the table through. */
static void scan_table(struct pool *pool, struct victims *victims, struct victim_cursor *cursor,
		       int64_t *work)
{
	uint32_t n_slots = pool->client[cursor->client].purge_slots, from = cursor->slot;
	struct scan scan = begin_scan(pool, victims, (client_id)cursor->client);

	while (*work > 0 && cursor->slot < n_slots) {
		uint32_t to = (uint32_t)bits_min((uint64_t)cursor->slot + CHUNK, n_slots);

		*work -= to - cursor->slot;
		scan_entries(pool, victims, &scan, cursor, to);
		*work -= (int64_t)scan.n_offered * OFFER_WORK;
		scan.n_offered = 0;
	}
	pool_add(pool, COUNTER_pgscan, victims ? cursor->slot - from : 0);
}

/* true when all tables are through. */
static bool scan_slice(struct pool *pool, struct victims *victims, struct victim_cursor *cursor,
		       int64_t *work)
{
	while (cursor->client <= pool->last_table) {
		client_id client = (client_id)cursor->client;

		if (purge_has_table(pool, client) &&
		    cursor->slot < pool->client[client].purge_slots) {
			if (*work <= 0)
				return false;
			scan_table(pool, victims, cursor, work);
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

static void begin_scanning(struct victims *victims)
{
	victims->cursor = (struct victim_cursor){
		.client = victims->client == CLIENT_NONE ? 1u : victims->client};
	victims->phase = VICTIM_SCAN;
}

void victim_pass_begin(struct pool *pool, struct victims *victims, uint64_t n_frames)
{
	/* A table is as large as it ever was. What is in it is known once it was looked at. */
	uint64_t n_slots = count_slots(pool, victims), known = pool->meta->nr_purgeable;
	uint64_t n = bits_min(n_slots, known ? known : n_slots) / VICTIM_LIST_PART;

	cost_update(pool);
	n = bits_max(bits_max(n, n_frames), n_slots / VICTIM_SLOTS_MAX);
	n = bits_min(bits_max(n, VICTIM_LIST_MIN), victims->choice[0].n_room);
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		victim_choice_begin(&victims->choice[t],
				    n + victims->list[t].n - victims->list[t].next);
	victims->gone_since = (struct victim_gone){{0}};
	victims->n_slots = n_slots;
	victims->n_wanted = (uint32_t)n;
	victims->sampled = n_slots >= SAMPLED_SLOTS;
	victims->ahead = 0;
	victims->rate = (uint32_t)bits_min(RATE * (n_slots / n + 1), UINT32_MAX);
	begin_scanning(victims);
	if (!victims->sampled)
		return;
	victims->n_samples = (uint32_t)bits_min(SAMPLE * (n_slots / n), 2 * n);
	victims->n_sampled = 0;
	victims->phase = VICTIM_SAMPLE;
}

/* The sample is complete: floors that some more than the lists hold should reach. */
static void end_sample(struct victims *victims)
{
	for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
		struct victim_choice *choice = &victims->choice[t];
		uint64_t n = (uint64_t)choice->n_max * victims->n_samples / victims->n_slots;

		victim_choice_estimate(choice, (uint32_t)(n * 5 / 4));
	}
	begin_scanning(victims);
}

/* Entries at about equal distances over all tables; n_slots / n_samples on average. */
static void sample_slice(struct pool *pool, struct victims *victims, int64_t *work)
{
	uint32_t stride = (uint32_t)bits_min(victims->n_slots / victims->n_samples, UINT32_MAX / 2);
	struct victim_cursor *cursor = &victims->cursor;
	struct scan scan = {.client = CLIENT_NONE};

	for (; *work > 0 && cursor->client <= pool->last_table; *work -= SAMPLE_WORK) {
		client_id client = (client_id)cursor->client;
		uint32_t n_slots = pool->client[client].purge_slots;
		struct victim victim;
		pfn_t pfn;

		if (!purge_has_table(pool, client) || cursor->slot >= n_slots) {
			cursor->slot -= (uint32_t)bits_min(cursor->slot, n_slots);
			cursor->client =
				victims->client == CLIENT_NONE ? client + 1u : SHM_MAX_CLIENTS + 1;
			continue;
		}
		if (scan.client != client)
			scan = begin_scan(pool, victims, client);
		if (judge(&scan, cursor->slot, &victim, &pfn))
			for (uint32_t t = 0; t < VICTIM_TIERS; t++)
				if (scan.offered[t])
					victim_choice_sample(&victims->choice[t], victim);
		cursor->slot += stride / 2 + victim_hash(victims->n_sampled++ << 3, 0) % stride;
	}
	if (cursor->client > pool->last_table)
		end_sample(victims);
}

static bool sort_lists(struct pool *pool, struct victims *victims, int64_t *work)
{
	/* What is sorted in one go is done once, or it would be all that small steps come to. */
	for (uint32_t *t = &victims->n_sorted; *t < VICTIM_TIERS; (*t)++)
		if (!victim_choice_finish(&victims->choice[*t], &victims->ready[*t], work))
			return false;
	shm_store32(&pool->meta->generation, pool->meta->generation + 1);
	return true;
}

/* All tables are through. If a floor was far too high, once more without. */
static void end_scan(struct victims *victims)
{
	bool too_few = false;

	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		too_few |= victims->choice[t].cut &&
			   victims->choice[t].n < victims->choice[t].n_max / 4;
	victims->phase = VICTIM_SORT;
	victims->n_sorted = 0;
	if (!victims->sampled || !too_few)
		return;
	victims->sampled = false;
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		victim_choice_begin(&victims->choice[t], victims->choice[t].n_max);
	begin_scanning(victims);
}

bool victim_pass_advance(struct pool *pool, struct victims *victims, int64_t work)
{
	if (victims->phase == VICTIM_SAMPLE)
		sample_slice(pool, victims, &work);
	if (victims->phase == VICTIM_SCAN && scan_slice(pool, victims, &victims->cursor, &work))
		end_scan(victims);
	if (victims->phase == VICTIM_SORT && sort_lists(pool, victims, &work))
		victims->phase = VICTIM_READY;
	return victims->phase == VICTIM_READY;
}

void victim_count(struct pool *pool, int64_t work)
{
	if (pool->count_cursor.client > pool->last_table)
		pool->count_cursor = (struct victim_cursor){.client = 1};
	(void)scan_slice(pool, NULL, &pool->count_cursor, &work);
}
