/* daemon/core/victim.c - the lists, and pool_purge(), which takes from them; see victim.h. */
#include "daemon/core/victim.h"

#include "daemon/core/purge.h"
#include "daemon/core/victim_pass.h"
#include "paged/bits.h"

#include <string.h>

/* Victims. Nearer would be too late, farther is thrown out again. */
#define FETCH_AHEAD 8u

#define SLICE_WORK ((int64_t)VICTIM_SLICE) /* as victim_pass_advance() counts it */

void victim_init(struct pool *pool)
{
	struct victim *room = pool->victim_room;

	for (uint32_t which = 0; which < 2; which++) {
		struct victims *victims = which ? &pool->victims_one : &pool->victims;
		uint32_t n_room = which ? VICTIM_LIST_ONE_MAX : VICTIM_LIST_MAX;

		*victims = (struct victims){.client = CLIENT_NONE, .turn.n_calls = 1};
		for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
			victims->choice[t].n_room = n_room;
			victims->choice[t].at = room;
			victims->list[t].at = room + (size_t)2 * n_room;
			victims->ready[t].at = room + (size_t)4 * n_room;
			room += (size_t)6 * n_room;
		}
	}
	pool->count_cursor = (struct victim_cursor){.client = 1};
	shm_store(&pool->meta->nr_purgeable, 0);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool->client[id].state == CLIENT_ATTACHED)
			shm_add(&pool->meta->nr_purgeable,
				pool_meta_client(pool, id)->nr_purgeable);
}

static void wait_no_more(struct victim_turn *turn, client_id client)
{
	turn->n_waiting -= turn->since[client] != 0;
	turn->since[client] = 0;
}

void victim_forget(struct pool *pool, client_id client)
{
	purge_show(pool, client, 0, 0);
	pool->victims.gone.client[client] = pool->victims.gone_since.client[client] = 1;
	pool->victims_one.gone.client[client] = pool->victims_one.gone_since.client[client] = 1;
	pool->victims.left_out[client] = pool->victims_one.left_out[client] = 0;
	pool->victims.misses[client] = pool->victims_one.misses[client] = 0;
	pool->victims.has_left[client] = pool->victims_one.has_left[client] = 0;
	if (pool->victims_one.client == client)
		pool->victims_one.asking = false;
	wait_no_more(&pool->victims_one.turn, client);
}

static void forget_misses(struct victims *victims)
{
	memset(victims->misses, 0, sizeof victims->misses);
	memset(victims->has_left, 0, sizeof victims->has_left);
}

/* The lists that are ready are those that are served now. */
static void change_lists(struct victims *victims)
{
	for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
		struct victim_list used_up = victims->list[t];

		victims->list[t] = victims->ready[t];
		victims->ready[t] = used_up;
	}
	victims->gone = victims->gone_since;
	victims->lists_for_it = victims->for_it;
	victims->for_it = false;
	forget_misses(victims);
	victims->phase = VICTIM_IDLE;
}

/* --- taking --------------------------------------------------------------------------------------
 */

struct request {
	uint64_t n_frames, got;
	uint32_t n_tries; /* victims still to look at in this slice */
	struct purge_batch batch;
};

static bool miss(struct victims *victims, client_id client)
{
	victims->misses[client]++;
	return false;
}

/* false: it is no victim any more. *ret_frames came back. */
static bool take(struct pool *pool, struct victims *victims, enum pool_tier tier,
		 const struct victim *victim, struct purge_batch *batch, uint64_t *ret_frames)
{
	client_id client = (client_id)victim->client;
	uint32_t generation = pool->meta->generation;
	struct purge_reference reference;
	struct purge_entry entry;
	uint64_t *at, word;

	if (victims->gone.client[client] || !purge_has_table(pool, client) ||
	    victim->slot >= pool->client[client].purge_slots)
		return miss(victims, client);
	at = &purge_table(pool, client)[victim->slot];
	word = shm_load(at);
	entry = purge_unpack(word);
	if (entry.pins != 0 || entry.pfn == PFN_NONE ||
	    purge_age(generation, entry.stamp) < purge_age(generation, victim->stamp))
		return miss(victims, client);
	if (!purge_find(pool, client, entry.pfn, &reference)) {
		pool->client[client].lied = true;
		pool_note_bad_free(pool, client);
		return miss(victims, client);
	}
	if (!purge_take(pool, client, tier, at, word, &reference, batch, ret_frames)) {
		/* Who came to its min since the pass has nothing more to give, and hides others;
		 * who left this tier only hides who is still in it. */
		if (!quota_yields(pool, client, POOL_TIER_SPARED, UINT64_C(1) << reference.order))
			(void)miss(victims, client);
		else
			victims->has_left[client] |= pool_client_tier(pool, client) > tier;
		return false;
	}
	victims->misses[client] -= VICTIM_MISSES_MAX;
	return true;
}

/* The entry of the victim whose turn comes so many later; NULL: there is none. */
static const uint64_t *entry_ahead(const struct pool *pool, const struct victim_list *list,
				   uint32_t ahead)
{
	const struct victim *victim = &list->at[list->next + ahead];

	if (list->next + ahead >= list->n || !purge_has_table(pool, (client_id)victim->client) ||
	    victim->slot >= pool->client[victim->client].purge_slots)
		return NULL;
	return &purge_table(pool, (client_id)victim->client)[victim->slot];
}

/* Entries of victims lie anywhere, and so do the map's words of their frames and those of the
 * neighbours on the owner's list: fetches them for those whose turn comes in a while, each step
 * from what the one before brought. Hints: any number in an entry will do. */
static void fetch_ahead(const struct pool *pool, const struct victim_list *list)
{
	const struct shm_page *map = pool->buddy.map;
	const uint64_t *entry = entry_ahead(pool, list, 3 * FETCH_AHEAD);
	uint64_t pfn;

	if (entry)
		__builtin_prefetch(entry, 1);
	entry = entry_ahead(pool, list, 2 * FETCH_AHEAD);
	pfn = entry ? shm_load(entry) >> 32 : PFN_NONE;
	if (pfn < pool->nr_frames)
		__builtin_prefetch(&map[pfn], 1);
	entry = entry_ahead(pool, list, FETCH_AHEAD);
	pfn = entry ? shm_load(entry) >> 32 : PFN_NONE;
	/* Of a chunk that was never split the map may have no memory: see pool_word(). */
	if (pfn >= pool->nr_frames || !pool->map_ready[pfn >> ORDER_MAX])
		return;
	if (map[pfn].next < pool->nr_frames)
		__builtin_prefetch(&map[map[pfn].next], 1);
	if (map[pfn].prev < pool->nr_frames)
		__builtin_prefetch(&map[map[pfn].prev], 1);
}

/* Is there somebody in the tier whose frames a list that was cut had no room for? */
static bool is_hidden(const struct pool *pool, const struct victims *victims, uint32_t tier)
{
	for (client_id id = 1; id <= pool->last_table; id++)
		if ((victims->client == CLIENT_NONE || victims->client == id) &&
		    purge_has_table(pool, id) && (uint32_t)pool_client_tier(pool, id) <= tier &&
		    victims->left_out[id] <= tier && pool_meta_client(pool, id)->nr_purgeable > 0)
			return true;
	return false;
}

static bool has_more(const struct pool *pool, const struct victims *victims, uint32_t tier)
{
	return victims->list[tier].cut && victims->list[tier].taken > 0 &&
	       is_hidden(pool, victims, tier);
}

static void drop_lists(struct victims *victims)
{
	victims->phase = VICTIM_IDLE;
	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		victims->list[t].n = victims->list[t].next = 0;
	forget_misses(victims);
}

/* What a list that was in vain says of a client: it is left out from now on. Of those who left the
 * tier nobody is blamed, but that tier has no place for them. */
static bool leave_out(const struct pool *pool, struct victims *victims, client_id client,
		      uint32_t tier, bool any_hidden)
{
	/* Of this list: from that of the tier before it may have come to this tier. */
	bool has_left =
		victims->has_left[client] && (uint32_t)pool_client_tier(pool, client) > tier;
	uint32_t least = victims->misses[client] > 0 ? VICTIM_TIERS
			 : has_left && any_hidden    ? tier + 1
						     : 0;

	if (least == 0)
		return false;
	victims->left_out[client] = (uint8_t)bits_max(victims->gone.client[client] ? 0 : least,
						      victims->left_out[client]);
	return true;
}

/* Was the list, which is through, filled in vain while it had no room for others? Who did it, if it
 * has not died, is left out from now on, so that this is true at most once for each client, tier
 * and tick. What was taken from the list of the tier before is in this one, too: it is no miss that
 * a client is blamed for. */
static bool was_in_vain(const struct pool *pool, struct victims *victims, uint32_t tier)
{
	const struct victim_list *list = &victims->list[tier];
	bool any = false, any_hidden;

	if (victims->forgiven || !list->cut || list->n / (1 + VICTIM_MISSES_MAX) <= list->taken)
		return false;
	any_hidden = is_hidden(pool, victims, tier);
	for (client_id id = 1; id <= pool->last_table; id++)
		any |= leave_out(pool, victims, id, tier, any_hidden);
	if (any) {
		victims->any_left_out = true;
		drop_lists(victims);
	}
	return any;
}

/* They are in no list yet, nor where a pass under way has been. */
static void forgive(struct victims *victims)
{
	if (!victims->any_left_out)
		return;
	memset(victims->left_out, 0, sizeof victims->left_out);
	victims->any_left_out = victims->for_it = victims->lists_for_it = false;
}

/* true: the list is through. */
static bool take_from_list(struct pool *pool, struct victims *victims, enum pool_tier tier,
			   struct request *request)
{
	struct victim_list *list = &victims->list[tier];

	for (; list->next < list->n; list->next++) {
		uint64_t frames;

		if (request->got >= request->n_frames || request->n_tries == 0)
			return false;
		request->n_tries--;
		fetch_ahead(pool, list);
		if (!take(pool, victims, tier, &list->at[list->next], &request->batch, &frames))
			continue;
		list->taken++;
		request->got += frames;
	}
	return true;
}

/* true: the lists have no more for the request. */
static bool take_from_lists(struct pool *pool, struct victims *victims, struct request *request)
{
	for (uint32_t t = 0; t < VICTIM_TIERS; t++) {
		if (!take_from_list(pool, victims, (enum pool_tier)t, request))
			return false;
		/* Not a word of the next tier before this one is through. */
		if (was_in_vain(pool, victims, t)) {
			victims->lists_for_it = false;
			return true;
		}
		if (has_more(pool, victims, t))
			return true;
	}
	/* This was all there is, if it was looked at since it was asked for; or it changes faster
	 * than it can be looked at. Once in a request those who were left out have their turn. */
	victims->conclusive = victims->lists_for_it && !victims->any_left_out;
	if (victims->lists_for_it && victims->any_left_out) {
		forgive(victims);
		victims->forgiven = true;
	}
	return true;
}

/* false: it has tried so often since the last call of those whose turn it is that none will come.
 */
static bool wait_longer(struct victim_turn *turn, client_id client)
{
	if (turn->since[client] != turn->n_calls)
		turn->n_tries[client] = 0;
	turn->n_waiting += turn->since[client] == 0;
	turn->since[client] = turn->n_calls;
	if (++turn->n_tries[client] <= VICTIM_PATIENCE)
		return true;
	/* Nor do they come who waited longer. */
	turn->n_waiting = 0;
	memset(turn->since, 0, sizeof turn->since);
	return false;
}

/* Is it another's turn? Whoever is not through goes on, then those who wait come. */
static bool must_wait(struct victims *victims, client_id client)
{
	struct victim_turn *turn = &victims->turn;
	bool goes_on = victims->asking && victims->client == client;
	bool is_free = !victims->asking && (victims->client != client || turn->n_waiting == 0);

	if (!goes_on && !is_free && wait_longer(turn, client))
		return true;
	wait_no_more(turn, client);
	turn->n_calls++;
	return false;
}

static struct victims *victims_for(struct pool *pool, client_id client)
{
	struct victims *victims = client == CLIENT_NONE ? &pool->victims : &pool->victims_one;

	if (victims->client != client) {
		victims->client = client;
		victims->asking = false;
		drop_lists(victims);
		forgive(victims);
	}
	return victims;
}

/* Nothing is left in the lists: takes from the next ones, or goes on with the pass that makes them.
 */
static void take_from_next(struct pool *pool, struct victims *victims, struct request *request)
{
	if (victims->phase == VICTIM_IDLE) {
		victim_pass_begin(pool, victims, request->n_frames - request->got);
		victims->for_it = true;
	}
	if (!victim_pass_advance(pool, victims, SLICE_WORK))
		return;
	change_lists(victims);
	(void)take_from_lists(pool, victims, request);
}

/* Of a list that does not hold all there is half of what was wanted is left: the next pass begins,
 * so that nobody waits for it. It is to be done when a quarter is left (RATE). What it has not done
 * by then it does here. */
static void look_ahead(struct pool *pool, struct victims *victims, uint64_t n_frames)
{
	int64_t late_max = (int64_t)victims->rate * (victims->n_wanted / 4), late;
	bool begin = false;

	for (uint32_t t = 0; t < VICTIM_TIERS; t++)
		begin |= victims->list[t].cut && victims->list[t].taken > 0 &&
			 victims->list[t].n - victims->list[t].next <= victims->n_wanted / 2;
	if (victims->phase == VICTIM_IDLE && begin)
		victim_pass_begin(pool, victims, 0);
	if (victims->phase == VICTIM_IDLE)
		return;
	victims->ahead -= (int64_t)(n_frames * victims->rate);
	late = -late_max - victims->ahead;
	if (late > 0) {
		(void)victim_pass_advance(pool, victims, late < SLICE_WORK ? late : SLICE_WORK);
		victims->ahead = -late_max;
	}
}

static bool is_looking(const struct victims *victims)
{
	return victims->phase != VICTIM_IDLE && victims->phase != VICTIM_READY;
}

bool pool_purge_is_looking(const struct pool *pool)
{
	return is_looking(&pool->victims) || is_looking(&pool->victims_one);
}

bool pool_purge_is_behind(const struct pool *pool)
{
	return is_looking(&pool->victims) && pool->victims.ahead < 0;
}

void pool_purge_ahead(struct pool *pool)
{
	struct victims *victims = is_looking(&pool->victims) ? &pool->victims : &pool->victims_one;

	if (!is_looking(victims))
		return;
	(void)victim_pass_advance(pool, victims, VICTIM_AHEAD);
	victims->ahead += VICTIM_AHEAD;
}

uint64_t pool_purge(struct pool *pool, uint64_t n_frames, client_id client, bool *ret_again)
{
	struct request request = {.n_frames = n_frames, .n_tries = VICTIM_TRIES};
	struct victims *victims;

	if (client != CLIENT_NONE && must_wait(&pool->victims_one, client)) {
		*ret_again = true;
		return 0;
	}
	victims = victims_for(pool, client);
	if (!victims->asking)
		victims->for_it = victims->lists_for_it = victims->conclusive = victims->forgiven =
			false;
	if (!take_from_lists(pool, victims, &request))
		look_ahead(pool, victims, request.got);
	else if (request.got < n_frames && !victims->conclusive)
		take_from_next(pool, victims, &request);
	purge_flush(pool, &request.batch);
	victims->asking = request.got < n_frames && !victims->conclusive;
	*ret_again = victims->asking;
	if (request.got)
		pool->no_run = ORDER_COUNT;
	return request.got;
}

void pool_purge_anew(struct pool *pool, client_id client)
{
	if (client == CLIENT_NONE)
		pool->victims.asking = false;
	else if (pool->victims_one.client == client)
		pool->victims_one.asking = false;
}

void victim_tick(struct pool *pool)
{
	cost_update(pool);
	forgive(&pool->victims);
	forgive(&pool->victims_one);
	victim_count(pool, SLICE_WORK);
}
