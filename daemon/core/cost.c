/* daemon/core/cost.c - see cost.h. */
#include "daemon/core/cost.h"

#include "daemon/core/pool_private.h"
#include "daemon/core/purge.h"
#include "daemon/core/victim.h"
#include "paged/bits.h"

/* An average over about so many frames, in 256ths for each: higher follows a change sooner, lower
 * is less disturbed by one slow rebuild. */
#define SAMPLE_MAX 64u
/* Of the generation clock. A pass takes a 32nd of what can be purged, so this is some two turnovers
 * of the whole cache: no policy could have kept the frame that long. */
#define DISTANCE_NEAR (2 * VICTIM_LIST_PART)
/* A window of so many turnovers of the client's own frames. Lower: a purge looks right only because
 * nobody has had the time to miss the frames; higher: a change is noticed late. */
#define WINDOW_TURNOVERS 4u
#define PRIOR_MIN 256u /* frames; lower: a new client is judged by its first few purges */

static struct cost *cost_of(struct pool *pool, client_id client)
{
	return &pool->client[client].cost;
}

static uint64_t clamp_ns(uint64_t ns)
{
	return bits_clamp(ns, COST_MIN_NS, COST_MAX_NS);
}

/* One copy of what the client says. */
static struct cost told_by(const struct pool *pool, client_id client)
{
	const struct shm_purge_header *header = purge_header(pool, client);

	return (struct cost){.declared_ns = shm_load(&header->declared_ns),
			     .rebuilt_ns = shm_load(&header->rebuilt_ns),
			     .nr_rebuilt = shm_load(&header->nr_rebuilt),
			     .nr_refault = shm_load(&header->nr_refault),
			     .refault_age = shm_load(&header->refault_age)};
}

void cost_begin(struct pool *pool, client_id client)
{
	struct cost *cost = cost_of(pool, client);

	*cost = (struct cost){.in_force_ns = COST_UNKNOWN_NS};
	if (!purge_has_table(pool, client))
		return;
	*cost = told_by(pool, client);
	cost->in_force_ns = COST_UNKNOWN_NS;
	if (cost->nr_rebuilt)
		cost->own_ns = clamp_ns(cost->rebuilt_ns / cost->nr_rebuilt);
	else if (cost->declared_ns)
		cost->own_ns = clamp_ns(cost->declared_ns);
}

static void learn_cost(struct cost *cost, const struct cost *told)
{
	uint64_t n = told->nr_rebuilt - cost->nr_rebuilt;
	uint64_t ns = told->rebuilt_ns - cost->rebuilt_ns;
	uint64_t part = bits_min(n, SAMPLE_MAX);

	if (told->declared_ns != cost->declared_ns && told->declared_ns)
		cost->own_ns = clamp_ns(told->declared_ns);
	if (told->nr_rebuilt <= cost->nr_rebuilt || told->rebuilt_ns < cost->rebuilt_ns)
		return;
	ns = clamp_ns(ns / n);
	cost->own_ns = cost->own_ns ? (cost->own_ns * (256 - part) + ns * part) / 256 : ns;
}

static void learn_wanted(struct pool *pool, client_id client, struct cost *cost,
			 const struct cost *told)
{
	struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t gone =
		shown->nr_purged > shown->nr_refault ? shown->nr_purged - shown->nr_refault : 0;
	uint64_t n, distance;

	if (told->nr_refault <= cost->nr_refault || told->refault_age < cost->refault_age)
		return;
	n = told->nr_refault - cost->nr_refault;
	distance = (told->refault_age - cost->refault_age) / n;
	n = bits_min(n, gone);
	if (n == 0)
		return;
	shm_add(&shown->nr_refault, n);
	pool_add(pool, COUNTER_workingset_refault, n);
	cost->wanted += distance > DISTANCE_NEAR ? n * DISTANCE_NEAR / distance : n;
}

void cost_note_purged(struct pool *pool, client_id client, uint64_t n_frames)
{
	cost_of(pool, client)->purged += n_frames;
}

/* base times the part of the purged frames that was wanted again, as far as that is known: it
 * begins as if all had been, for as many frames as the client has now. */
static uint64_t weigh(const struct pool *pool, client_id client, struct cost *cost, uint64_t base)
{
	const struct shm_client *shown = pool_meta_client(pool, client);
	uint64_t prior = bits_max(PRIOR_MIN, shown->nr_purgeable + shown->nr_pinned);
	uint64_t all, wanted;

	if (cost->purged > WINDOW_TURNOVERS * prior) {
		cost->purged /= 2;
		cost->wanted /= 2;
	}
	cost->wanted = bits_min(cost->wanted, cost->purged);
	all = cost->purged + prior;
	wanted = cost->wanted + prior;
	/* In 256ths: base is below 2^34. */
	return base * bits_max(wanted * 256 / all, 256 / COST_WANTED_DIVISOR) / 256;
}

/* Shell sort, as in steal.c; there are at most as many as clients. */
static uint64_t median(uint64_t *value, uint32_t n)
{
	static const uint32_t gaps[] = {301, 132, 57, 23, 10, 4, 1};

	for (uint32_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
		for (uint32_t i = gaps[g]; i < n; i++) {
			uint64_t at = value[i];
			uint32_t j = i;

			for (; j >= gaps[g] && value[j - gaps[g]] > at; j -= gaps[g])
				value[j] = value[j - gaps[g]];
			value[j] = at;
		}
	return value[n / 2];
}

void cost_update(struct pool *pool)
{
	uint64_t said[SHM_MAX_CLIENTS + 1], unknown_ns;
	uint32_t n = 0;

	said[n++] = COST_UNKNOWN_NS;

	for (client_id id = 1; id <= pool->last_table; id++) {
		struct cost *cost = cost_of(pool, id);
		struct cost told;

		if (!purge_has_table(pool, id))
			continue;
		told = told_by(pool, id);
		learn_cost(cost, &told);
		learn_wanted(pool, id, cost, &told);
		cost->declared_ns = told.declared_ns;
		cost->rebuilt_ns = told.rebuilt_ns;
		cost->nr_rebuilt = told.nr_rebuilt;
		cost->nr_refault = told.nr_refault;
		cost->refault_age = told.refault_age;
		said[n++] = cost->own_ns ? cost->own_ns : COST_UNKNOWN_NS;
	}
	unknown_ns = median(said, n);
	for (client_id id = 1; id <= pool->last_table; id++) {
		struct cost *cost = cost_of(pool, id);

		if (!purge_has_table(pool, id))
			continue;
		cost->in_force_ns = bits_max(
			weigh(pool, id, cost, cost->own_ns ? cost->own_ns : unknown_ns), 1);
		shm_store(&pool_meta_client(pool, id)->rebuild_ns, cost->in_force_ns);
	}
}
