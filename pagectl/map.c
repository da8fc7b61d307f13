/* pagectl/map.c - the pass over mem_map. */
#include "pagectl/map.h"

#include "paged/bits.h"
#include "paged/check.h"

#include <stdlib.h>
#include <string.h>

uint32_t map_frames_per_cell(uint32_t nr_frames, uint32_t max_cells)
{
	uint64_t per_cell = 1;

	PAGED_CHECK(max_cells >= 2); /* one cell of all frames may be 2^32 of them */
	while ((nr_frames + per_cell - 1) / per_cell > max_cells)
		per_cell *= 2;
	return (uint32_t)per_cell;
}

static int by_owned(const void *left, const void *right)
{
	const struct shm_client *a = left, *b = right;

	if (a->nr_owned != b->nr_owned)
		return a->nr_owned < b->nr_owned ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

void map_owners(struct map *map, struct shm_client *clients, uint32_t n)
{
	memset(map->owner, 0, sizeof(map->owner));
	if (n)
		qsort(clients, n, sizeof(*clients), by_owned);
	for (uint32_t i = 0; i < n && i < MAP_OWNERS && clients[i].nr_owned; i++) {
		struct map_owner *owner = &map->owner[i];

		owner->id = clients[i].id;
		memcpy(owner->name, clients[i].name, sizeof(owner->name));
		owner->owned = clients[i].nr_owned;
		owner->magazine = clients[i].nr_magazine;
		owner->purgeable = clients[i].nr_purgeable;
	}
}

static enum map_kind kind_of_owner(const struct map *map, client_id id)
{
	for (uint32_t i = 0; i < MAP_OWNERS; i++)
		if (map->owner[i].id == id && id != CLIENT_NONE)
			return (enum map_kind)(KIND_OWNER + i);
	return KIND_OTHERS;
}

static enum map_kind kind_of(const struct map *map, const struct shm_view *view, pfn_t pfn,
			     struct page_word word)
{
	switch (word.state) {
	case PAGE_FREE:
		return view->pageblocks[pfn >> PAGEBLOCK_ORDER] == MIGRATE_HOLE ? KIND_HOLE
										: KIND_FREE;
	case PAGE_OWNED:
		if (map->hint && map->hint[pfn])
			return (enum map_kind)map->hint[pfn];
		return kind_of_owner(map, word.owner);
	case PAGE_SHARED:
		return KIND_SHARED;
	case PAGE_RESERVED:
		return KIND_RESERVED;
	case PAGE_BAD:
		return KIND_BAD;
	case PAGE_TAIL:
	case PAGE_NR_STATES:
		break;
	}
	return KIND_UNKNOWN;
}

/* Can this word be the head of a block at pfn? */
static bool is_head(struct page_word word, pfn_t pfn)
{
	return word.state > PAGE_TAIL && word.state < PAGE_NR_STATES && word.order <= ORDER_MAX &&
	       (pfn & ((1u << word.order) - 1)) == 0;
}

/* The head whose block covers pfn, looked for from above, as a word within may be a stale one.
 * False if none does. */
static bool find_head(const struct shm_view *view, pfn_t pfn, pfn_t *ret_head,
		      struct page_word *ret_word)
{
	for (order_t order = ORDER_COUNT; order-- > 0;) {
		pfn_t head = pfn & ~((1u << order) - 1);
		struct page_word word = shm_view_word(view, head);

		if (!is_head(word, head) || pfn - head >= 1u << word.order)
			continue;
		*ret_head = head;
		*ret_word = word;
		return true;
	}
	return false;
}

/* Frames [from, to) are of this kind. */
static void count(struct map *map, uint64_t from, uint64_t to, enum map_kind kind)
{
	map->total[kind] += to - from;
	while (from < to) {
		uint64_t cell = from / map->frames_per_cell;
		uint64_t end = bits_min(to, (cell + 1) * map->frames_per_cell);

		map->cells[cell].frames[kind] += (uint32_t)(end - from);
		from = end;
	}
}

bool map_note(struct map *map, enum map_kind kind, const char *text)
{
	while (*text) {
		unsigned first, n;
		int used = 0;

		if (sscanf(text, "%8x %8x\n%n", &first, &n, &used) != 2 || !used ||
		    first >= map->nr_frames || n > map->nr_frames - first)
			return false;
		memset(map->hint + first, (int)kind, n);
		text += used;
	}
	return true;
}

void map_read(struct map *map, const struct shm_view *view)
{
	uint64_t nr_frames = view->header->nr_frames, pfn = 0;

	PAGED_CHECK(!map->hint || map->nr_frames == nr_frames);
	map->nr_frames = (uint32_t)nr_frames;
	map->page_shift = view->header->page_shift;
	map->n_cells = (uint32_t)((nr_frames + map->frames_per_cell - 1) / map->frames_per_cell);
	memset(map->cells, 0, map->n_cells * sizeof(*map->cells));
	memset(map->total, 0, sizeof(map->total));
	while (pfn < nr_frames) {
		struct page_word word = shm_view_word(view, (pfn_t)pfn);
		pfn_t head = (pfn_t)pfn;
		enum map_kind kind = KIND_UNKNOWN;
		uint64_t end = pfn + 1;

		if (is_head(word, head) || find_head(view, (pfn_t)pfn, &head, &word)) {
			end = bits_min(nr_frames, (uint64_t)head + (UINT64_C(1) << word.order));
			kind = kind_of(map, view, head, word);
		}
		count(map, pfn, end, kind);
		pfn = end;
	}
}

enum map_kind map_cell_most(const struct map_cell *cell)
{
	enum map_kind best = KIND_FREE;

	for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
		if (cell->frames[kind] > cell->frames[best])
			best = (enum map_kind)kind;
	return best;
}

uint32_t map_cell_frames(const struct map_cell *cell)
{
	uint32_t sum = 0;

	for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
		sum += cell->frames[kind];
	return sum;
}

static const struct {
	const char *name, *color;
	char whole, part; /* the character of a cell that is all of this, or mostly */
	uint8_t ansi;     /* of the 256 colours of a terminal */
} kinds[KIND_COUNT] = {
	[KIND_FREE] = {"free", "#d9d9d9", '.', ',', 250},
	[KIND_HOLE] = {"hole", "#ffffff", '_', '-', 240},
	[KIND_SHARED] = {"shared", "#17becf", '%', '+', 37},
	[KIND_RESERVED] = {"reserved", "#7f7f7f", '=', '~', 243},
	[KIND_BAD] = {"bad", "#d62728", '!', '!', 196},
	[KIND_UNKNOWN] = {"changing", "#000000", '?', '?', 15},
	[KIND_MAGAZINE] = {"in magazines", "#f7b6d2", '#', ';', 218},
	[KIND_PURGEABLE] = {"purgeable", "#98df8a", '*', ':', 120},
	[KIND_OTHERS] = {"owned", "#c49c94", 'Z', 'z', 180},
	[KIND_OWNER + 0] = {"owned", "#1f77b4", 'A', 'a', 33},
	[KIND_OWNER + 1] = {"owned", "#ff7f0e", 'B', 'b', 208},
	[KIND_OWNER + 2] = {"owned", "#2ca02c", 'C', 'c', 40},
	[KIND_OWNER + 3] = {"owned", "#9467bd", 'D', 'd', 135},
	[KIND_OWNER + 4] = {"owned", "#e377c2", 'E', 'e', 212},
	[KIND_OWNER + 5] = {"owned", "#8c564b", 'F', 'f', 137},
	[KIND_OWNER + 6] = {"owned", "#bcbd22", 'G', 'g', 184},
	[KIND_OWNER + 7] = {"owned", "#aec7e8", 'H', 'h', 117},
};
static_assert(MAP_OWNERS == 8, "each owner has a letter and a colour");

const char *map_kind_name(enum map_kind kind)
{
	return kinds[kind].name;
}

const char *map_kind_color(enum map_kind kind)
{
	return kinds[kind].color;
}

uint32_t map_kind_ansi(enum map_kind kind)
{
	return kinds[kind].ansi;
}

char map_kind_letter(enum map_kind kind)
{
	return kinds[kind].whole;
}

enum map_kind map_cell_shown(const struct map_cell *cell)
{
	return cell->frames[KIND_BAD] ? KIND_BAD : map_cell_most(cell);
}

char map_cell_letter(const struct map_cell *cell)
{
	enum map_kind kind = map_cell_shown(cell);
	uint32_t n = map_cell_frames(cell);

	return cell->frames[kind] >= n - n / 4 ? kinds[kind].whole : kinds[kind].part;
}
