/* daemon/core/zonelist.c - which zones a request may take from, in which order, and how deep.
 *
 * A request starts from its client's zone, then goes through that zone's fallback list, as the
 * kernel's zonelists. A zone keeps its min from everybody; from those who fall back to it it keeps
 * 1/reserve_ratio of its frames beside that (the kernel's lowmem_reserve_ratio), so that those
 * whose first choice it is find something when the others are short. Lists and ratios are in META,
 * where everybody can see them; they are written at each start, as the configuration says. */
#include "daemon/core/pool_private.h"

#include "paged/bits.h"

#include <string.h>

/* --- at the start --------------------------------------------------------------------------------
 */

static void write_default(struct shm_zone *zone, uint32_t z, uint32_t nr_zones)
{
	memset(zone->fallback, 0, sizeof zone->fallback);
	for (uint32_t other = z + 1, n = 0; other < nr_zones; other++)
		zone->fallback[n++] = (uint8_t)(other + 1);
}

/* Numbers of zones, each once, and not this one; the rest is 0. */
static bool list_is_sane(const struct shm_zone *zone, uint32_t z, uint32_t nr_zones)
{
	uint32_t seen = 1u << (z + 1);
	bool ended = false;

	for (uint32_t i = 0; i < SHM_MAX_ZONES; i++) {
		uint32_t entry = zone->fallback[i];

		ended |= entry == 0;
		if (ended ? entry != 0 : entry > nr_zones || seen >> entry & 1)
			return false;
		seen |= 1u << entry;
	}
	return true;
}

void zonelist_init(struct pool *pool, const struct pool_options *options)
{
	uint32_t nr_zones = pool->buddy.nr_zones;

	for (uint32_t z = 0; z < nr_zones; z++) {
		struct shm_zone *zone = &pool->buddy.zones[z];
		const struct pool_zone_options *wanted = &options->zone[z];

		if (options->nr_zones == nr_zones) {
			zone->reserve_ratio = wanted->reserve_ratio;
			zone->node = wanted->has_node ? wanted->node : SHM_NODE_NONE;
			write_default(zone, z, nr_zones);
			if (wanted->own_fallback)
				memcpy(zone->fallback, wanted->fallback, sizeof zone->fallback);
		}
		if (!list_is_sane(zone, z, nr_zones))
			write_default(zone, z, nr_zones);
	}
}

/* --- for a request -------------------------------------------------------------------------------
 */

struct zonelist zonelist_of(const struct pool *pool, client_id client)
{
	uint32_t first = client == CLIENT_NONE ? 0 : pool_meta_client(pool, client)->zone;
	struct zonelist list = {.n = 1};
	const uint8_t *fallback;

	list.zone[0] = first >= 1 && first <= pool->buddy.nr_zones ? (uint8_t)(first - 1) : 0;
	fallback = pool->buddy.zones[list.zone[0]].fallback;
	for (uint32_t i = 0; i < SHM_MAX_ZONES - 1 && fallback[i]; i++)
		list.zone[list.n++] = fallback[i] - 1;
	return list;
}

uint64_t zonelist_room(const struct pool *pool, const struct zonelist *list, uint32_t i)
{
	const struct shm_zone *zone = &pool->buddy.zones[list->zone[i]];
	uint64_t room = pool_available(pool, list->zone[i]), kept = 0;

	if (i > 0 && zone->reserve_ratio)
		kept = zone->managed / zone->reserve_ratio;
	return room > kept ? room - kept : 0;
}

/* --- of a client ---------------------------------------------------------------------------------
 */

static bool is_name(const char *name, const char *wanted)
{
	uint32_t i = 0;

	while (i < SHM_NAME_BYTES && name[i] && name[i] == wanted[i])
		i++;
	return i == SHM_NAME_BYTES || name[i] == wanted[i];
}

bool pool_find_zone(const struct pool *pool, const char *name, uint32_t *ret_zone)
{
	for (uint32_t z = 0; z < pool->buddy.nr_zones; z++)
		if (is_name(pool->buddy.zones[z].name, name)) {
			*ret_zone = z;
			return true;
		}
	return false;
}

void pool_client_set_zone(struct pool *pool, client_id client, const char *name)
{
	uint32_t zone, wanted = pool_find_zone(pool, name, &zone) ? zone + 1 : 0;

	shm_store32(&pool_meta_client(pool, client)->zone, wanted);
}
