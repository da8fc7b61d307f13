/* shm/layout.c - sizes and offsets; see the picture in shm/layout.h. */
#include "shm/layout.h"

#include "paged/bits.h"
#include "shm/counters.h"

#define HEADER_BYTES SHM_PAGE
#define COUNTERS_BYTES SHM_PAGE
static_assert(sizeof(struct shm_meta_header) <= HEADER_BYTES, "the header has one page");
static_assert(COUNTER_COUNT * sizeof(uint64_t) <= COUNTERS_BYTES, "the counters have one page");

void shm_meta_plan(struct shm_meta_header *header, uint32_t nr_frames, uint32_t page_shift)
{
	uint64_t offset = HEADER_BYTES;
	uint64_t nr_pageblocks = ((uint64_t)nr_frames + PAGEBLOCK_FRAMES - 1) >> PAGEBLOCK_ORDER;

	header->nr_frames = nr_frames;
	header->page_shift = page_shift;
	header->data_bytes = (uint64_t)nr_frames << page_shift;
	header->max_clients = SHM_MAX_CLIENTS;
	header->max_threads = SHM_MAX_THREADS;
	header->max_caches = SHM_MAX_CACHES;
	header->nr_counters = COUNTER_COUNT;
	header->zones_offset = offset;
	offset += SHM_MAX_ZONES * sizeof(struct shm_zone);
	header->counters_offset = offset;
	offset += COUNTERS_BYTES;
	header->clients_offset = offset;
	offset += (uint64_t)SHM_MAX_CLIENTS * sizeof(struct shm_client);
	header->caches_offset = offset;
	offset += (uint64_t)SHM_MAX_CACHES * sizeof(struct shm_cache);
	header->pageblocks_offset = offset;
	offset = bits_align_up(offset + nr_pageblocks, SHM_PAGE);
	header->heads_offset = offset;
	offset += (uint64_t)SHM_MAX_CLIENTS * SHM_CLIENT_HEADS_BYTES;
	header->map_offset = offset;
	header->meta_bytes =
		bits_align_up(offset + (uint64_t)nr_frames * sizeof(struct shm_page), SHM_PAGE);
}

void shm_state_plan(struct shm_state_header *header)
{
	uint64_t offset = SHM_PAGE;

	header->max_clients = SHM_MAX_CLIENTS;
	header->status_offset = offset;
	offset = bits_align_up(offset + SHM_MAX_CLIENTS * sizeof(uint64_t), SHM_PAGE);
	header->journal_offset = offset;
	offset = bits_align_up(offset + sizeof(struct shm_journal), SHM_PAGE);
	header->edges_offset = offset;
	offset += (uint64_t)SHM_MAX_EDGES * sizeof(struct shm_edge);
	header->clients_offset = offset;
	header->state_bytes = offset + (uint64_t)SHM_MAX_CLIENTS * sizeof(struct shm_state_client);
}

uint32_t magazine_slots_first(uint32_t magazine)
{
	return magazine == MAGAZINE_HOT ? SHM_HOT_SLOTS_FIRST : magazine_slots_max(magazine);
}

uint32_t magazine_slots_max(uint32_t magazine)
{
	if (magazine == MAGAZINE_HOT)
		return SHM_HOT_SLOTS_MAX;
	if (magazine == MAGAZINE_COLD)
		return SHM_COLD_SLOTS;
	return (uint32_t)bits_max(64, 4096u >> magazine_order(magazine));
}

uint64_t shm_ctl_slots_offset(uint32_t thread, uint32_t magazine)
{
	uint64_t offset = shm_ctl_bottom_offset(thread, 0) + SHM_CTL_BOTTOMS_BYTES;

	if (magazine >= MAGAZINE_ORDER_1) {
		for (uint32_t m = MAGAZINE_ORDER_1; m < magazine; m++)
			offset += magazine_slots_max(m) * sizeof(uint32_t);
		return offset;
	}
	offset += SHM_CTL_SMALL_SLOTS_BYTES;
	return magazine == MAGAZINE_COLD ? offset : offset + SHM_CTL_COLD_SLOTS_BYTES;
}

const char *page_state_name(enum page_state state)
{
	static const char *const names[] = {
#define X(name, text) text,
		PAGE_STATES(X)
#undef X
	};

	return state < PAGE_NR_STATES ? names[state] : "?";
}

const char *migratetype_name(enum migratetype type)
{
	static const char *const names[] = {
#define X(name, text) text,
		MIGRATETYPES(X)
#undef X
	};

	return type < MIGRATE_TYPES ? names[type] : "?";
}
