/* tests/crash/world.c - see world.h. */
#include "tests/crash/world.h"

#include "daemon/core/magazine.h"
#include "paged/bits.h"
#include "shm/purge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static char *map_shared(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

static void add_client(struct world *w, uint32_t n)
{
	struct pool_client_options options = {.max_threads = 1, .pid = 1000 + n};
	uint64_t token[2] = {n, n};
	client_id id;

	w->ctl[n] = map_shared(shm_ctl_bytes(1, WORLD_FRAMES_MAX));
	if (pool_client_reserve(w->pool, &id) || id != n)
		abort();
	pool_client_attach(w->pool, id, &options, w->ctl[n], 0, 0, token);
	if (pool_pcp_create(w->pool, id, 0) ||
	    pool_purge_table(w->pool, id, WORLD_SLOTS, &(uint32_t){0}))
		abort();
}

void world_open(struct world *w, uint32_t nr_frames)
{
	struct shm_meta_header meta = {.page_shift = 12, .instance_id = 1};
	struct shm_state_header state = {.magic = 0};
	struct pool_commit commit;
	uint64_t bad;

	memset(w, 0, sizeof *w);
	w->options = (struct pool_options){
		.nr_zones = 1, .zone = {{"normal", nr_frames}}, .min_free_frames = 1, .batch = 16};
	shm_meta_plan(&meta, nr_frames, 12);
	shm_state_plan(&state);
	w->meta_bytes = meta.meta_bytes;
	w->state_bytes = state.state_bytes;
	meta.state_bytes = state.state_bytes;
	w->meta = map_shared(w->meta_bytes);
	w->state = map_shared(w->state_bytes);
	w->copy_meta = map_shared(w->meta_bytes);
	w->copy_state = map_shared(w->state_bytes);
	pool_format(w->meta, w->state, &meta, &w->options);
	pool_format(w->copy_meta, w->copy_state, &meta, &w->options);
	w->pool = calloc(1, pool_bytes());
	w->other = calloc(1, pool_bytes());
	if (!w->pool || !w->other ||
	    pool_attach(w->pool, w->meta, w->meta_bytes, w->state, w->state_bytes, &w->options,
			&bad))
		abort();
	while (pool_plan_commit(w->pool, 0, MIGRATE_UNMOVABLE, &commit))
		pool_commit_done(w->pool, &commit, true);
	for (uint32_t n = 1; n <= WORLD_CLIENTS; n++)
		add_client(w, n);
}

void world_close(struct world *w)
{
	for (uint32_t n = 1; n <= WORLD_CLIENTS; n++)
		(void)munmap(w->ctl[n], shm_ctl_bytes(1, WORLD_FRAMES_MAX));
	(void)munmap(w->meta, w->meta_bytes);
	(void)munmap(w->state, w->state_bytes);
	(void)munmap(w->copy_meta, w->meta_bytes);
	(void)munmap(w->copy_state, w->state_bytes);
	free(w->pool);
	free(w->other);
}

/* --- photographs ---------------------------------------------------------------------------------
 */

enum part { IN_META, IN_STATE, IN_CTL_1, IN_CTL_2 };

struct range {
	enum part part;
	uint64_t offset, bytes;
};

#define RANGES 12u
#define PHOTO_JOURNAL_BYTES 16384u /* 1022 items: more than any scenario writes */
#define PHOTO_EDGES 64u
#define PHOTO_TABLE_BYTES (WORLD_SLOTS * sizeof(uint64_t))

static char *part_of(const struct world *w, enum part part)
{
	switch (part) {
	case IN_META:
		return w->meta;
	case IN_STATE:
		return w->state;
	case IN_CTL_1:
	case IN_CTL_2:
		break;
	}
	return w->ctl[part - IN_CTL_1 + 1];
}

/* What the scenarios can write: a full copy would be 60 MiB for each instruction. */
static void list_ranges(const struct world *w, struct range ranges[RANGES])
{
	const struct shm_meta_header *meta = (const void *)w->meta;
	const struct shm_state_header *state = (const void *)w->state;
	const struct range all[RANGES] = {
		{IN_META, 0, sizeof *meta},
		{IN_META, meta->zones_offset, sizeof(struct shm_zone)},
		{IN_META, meta->counters_offset, COUNTER_COUNT * sizeof(uint64_t)},
		{IN_META, meta->clients_offset, WORLD_CLIENTS * sizeof(struct shm_client)},
		{IN_META, meta->pageblocks_offset, WORLD_FRAMES_MAX / PAGEBLOCK_FRAMES},
		{IN_META, meta->heads_offset, WORLD_CLIENTS * SHM_CLIENT_HEADS_BYTES},
		{IN_META, meta->map_offset, meta->nr_frames * sizeof(struct shm_page)},
		{IN_STATE, 0, state->journal_offset + PHOTO_JOURNAL_BYTES},
		{IN_STATE, state->edges_offset, PHOTO_EDGES * sizeof(struct shm_edge)},
		{IN_STATE, state->clients_offset, WORLD_CLIENTS * sizeof(struct shm_state_client)},
		{IN_CTL_1, shm_ctl_table_offset(1), PHOTO_TABLE_BYTES},
		{IN_CTL_2, shm_ctl_table_offset(1), PHOTO_TABLE_BYTES},
	};

	memcpy(ranges, all, sizeof all);
}

struct photo photo_new(const struct world *w)
{
	struct range ranges[RANGES];
	struct photo photo = {0, NULL};

	list_ranges(w, ranges);
	for (uint32_t i = 0; i < RANGES; i++)
		photo.bytes += ranges[i].bytes;
	photo.data = malloc(photo.bytes);
	if (!photo.data)
		abort();
	photo_take(w, &photo);
	return photo;
}

void photo_free(struct photo *photo)
{
	free(photo->data);
	photo->data = NULL;
}

void photo_take(const struct world *w, struct photo *photo)
{
	struct range ranges[RANGES];
	char *at = photo->data;

	list_ranges(w, ranges);
	for (uint32_t i = 0; i < RANGES; at += ranges[i++].bytes)
		memcpy(at, part_of(w, ranges[i].part) + ranges[i].offset, ranges[i].bytes);
}

void photo_restore(struct world *w, const struct photo *photo)
{
	struct range ranges[RANGES];
	const char *at = photo->data;

	list_ranges(w, ranges);
	for (uint32_t i = 0; i < RANGES; at += ranges[i++].bytes)
		memcpy(part_of(w, ranges[i].part) + ranges[i].offset, at, ranges[i].bytes);
}

/* Into the copies of META and STATE. */
static void write_copy(const struct world *w, const struct photo *photo)
{
	struct range ranges[RANGES];
	const char *at = photo->data;

	list_ranges(w, ranges);
	for (uint32_t i = 0; i < RANGES; at += ranges[i++].bytes)
		if (ranges[i].part <= IN_STATE)
			memcpy((ranges[i].part == IN_STATE ? w->copy_state : w->copy_meta) +
				       ranges[i].offset,
			       at, ranges[i].bytes);
}

bool photo_differs(const struct world *w, const struct photo *photo)
{
	struct range ranges[RANGES];
	const char *at = photo->data;

	list_ranges(w, ranges);
	for (uint32_t i = 0; i < RANGES; at += ranges[i++].bytes)
		if (memcmp(at, part_of(w, ranges[i].part) + ranges[i].offset, ranges[i].bytes))
			return true;
	return false;
}

/* --- what must hold ------------------------------------------------------------------------------
 */

void world_ownership(const struct world *w, const char *meta, uint64_t owned[WORLD_FRAMES_MAX])
{
	const struct shm_meta_header *header = (const void *)w->meta;
	const struct shm_page *map = (const void *)(meta + header->map_offset);

	for (pfn_t pfn = 0; pfn < header->nr_frames; pfn++) {
		struct page_word word = page_get(map, pfn);

		owned[pfn] = word.state == PAGE_OWNED || word.state == PAGE_SHARED
				     ? page_word_pack(word)
				     : 0;
	}
}

/* No purge is half done, and what can be pinned is its client's. */
static const char *check_tables(const struct world *w)
{
	for (client_id id = 1; id <= WORLD_CLIENTS; id++)
		for (uint32_t i = 0; pool_client_is_attached(w->other, id) && i < WORLD_SLOTS;
		     i++) {
			struct purge_entry entry = purge_unpack(*world_entry(w, id, i));
			struct page_word word;

			if (entry.pfn == PFN_NONE || entry.pins == PURGE_PURGED)
				continue;
			if (entry.pins == PURGE_PURGING)
				return "an entry is PURGING after the recovery";
			word = page_get(w->other->buddy.map, entry.pfn);
			if (word.state != PAGE_SHARED &&
			    (word.state != PAGE_OWNED || word.owner != id))
				return "an entry names a frame that is not its client's";
		}
	return NULL;
}

static const char *recover(struct world *w, char *text, uint32_t text_bytes)
{
	uint64_t bad = 0;
	int r = pool_attach(w->other, w->copy_meta, w->meta_bytes, w->copy_state, w->state_bytes,
			    &w->options, &bad);

	if (r)
		return pool_condition_text((enum pool_condition)r);
	if (bad)
		return "frames became BAD";
	for (uint32_t n = 1; n <= WORLD_CLIENTS; n++)
		if (pool_client_is_attached(w->other, n))
			pool_client_adopt(w->other, n, w->ctl[n]);
	return pool_check(w->other, text, text_bytes) ? text : check_tables(w);
}

const char *world_recover(struct world *w, char *text, uint32_t text_bytes)
{
	struct photo photo = photo_new(w);
	const char *wrong;

	write_copy(w, &photo);
	wrong = recover(w, text, text_bytes);
	/* Recovery finishes purges in the tables, which the server that is looked at goes on with.
	 */
	photo_restore(w, &photo);
	photo_free(&photo);
	return wrong;
}

uint64_t *world_bottom(const struct world *w, client_id client, uint32_t magazine)
{
	return (uint64_t *)(void *)(w->ctl[client] + shm_ctl_bottom_offset(0, magazine));
}

uint64_t *world_entry(const struct world *w, client_id client, uint32_t slot)
{
	return (uint64_t *)(void *)(w->ctl[client] + shm_ctl_table_offset(1)) + slot;
}

void world_arm(struct world *w, client_id client, uint32_t slot, order_t order)
{
	uint64_t result = 0;

	if (pool_alloc(w->pool, client, order, MIGRATE_UNMOVABLE, 0, ++w->seq[client], &result))
		abort();
	*world_entry(w, client, slot) =
		purge_pack((struct purge_entry){.pfn = (pfn_t)(result >> 32)});
}

pfn_t world_pop(struct world *w, client_id client, uint32_t magazine)
{
	struct shm_head *head = pool_head(w->pool, client, 0, magazine);
	uint64_t *bottom = world_bottom(w, client, magazine);
	const uint32_t *slot = (const uint32_t *)(const void *)(w->ctl[client] +
								shm_ctl_slots_offset(0, magazine));

	if (*bottom == head->top)
		return PFN_NONE;
	return slot[--*bottom & (head->capacity - 1)];
}

const char *world_check_magazines(const struct world *w)
{
	const struct pool *pool = w->other;
	bool seen[WORLD_FRAMES_MAX] = {false};

	for (client_id id = 1; id <= WORLD_CLIENTS; id++) {
		for (uint32_t m = 0; pool_client_is_attached(pool, id) && m < MAGAZINE_COUNT; m++) {
			struct magazine magazine = magazine_get(pool, id, 0, m);
			uint64_t bottom = *magazine.bottom;

			for (uint64_t i = magazine.head->top; (int64_t)(bottom - i) > 0; i++) {
				pfn_t pfn = magazine.slot[i & magazine.mask];
				struct page_word word = page_get(pool->buddy.map, pfn);

				if (word.state != PAGE_OWNED || word.owner != id)
					return "a magazine holds a frame that its client does not "
					       "own";
				if (seen[pfn])
					return "a frame lies in two slots";
				seen[pfn] = true;
			}
		}
	}
	return NULL;
}
