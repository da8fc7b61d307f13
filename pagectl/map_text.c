/* pagectl/map_text.c - the map as lines of characters, in colour where that is wanted. */
#include "pagectl/human.h"
#include "pagectl/map.h"

#define COLOR_OFF "\033[0m"

void map_legend(const struct map *map, enum map_kind kind, char ret_text[MAP_LEGEND_BYTES])
{
	uint32_t shift = map->page_shift;
	struct human drawn = human_size(map->total[kind] << shift);
	const struct map_owner *owner;

	if (kind < KIND_OWNER) {
		(void)snprintf(ret_text, MAP_LEGEND_BYTES, "%s%s: %s", map_kind_name(kind),
			       kind == KIND_OTHERS ? " by other clients" : "", drawn.s);
		return;
	}
	owner = &map->owner[kind - KIND_OWNER];
	(void)snprintf(ret_text, MAP_LEGEND_BYTES,
		       "owned by client %u (%s): %s; all in all %s, of that %s in magazines and %s "
		       "purgeable",
		       owner->id, human_clean(owner->name, sizeof(owner->name)).s, drawn.s,
		       human_size(owner->owned << shift).s, human_size(owner->magazine << shift).s,
		       human_size(owner->purgeable << shift).s);
}

static void color(enum map_kind kind, bool want_color, FILE *file)
{
	if (want_color)
		(void)fprintf(file, "\033[38;5;%um", map_kind_ansi(kind));
}

static void print_line(const struct map *map, uint32_t from, uint32_t width, bool want_color,
		       FILE *file)
{
	enum map_kind last = KIND_COUNT;

	(void)fprintf(file, "%10llu ", (unsigned long long)from * map->frames_per_cell);
	for (uint32_t i = from; i < from + width && i < map->n_cells; i++) {
		enum map_kind kind = map_cell_shown(&map->cells[i]);

		if (kind != last)
			color(kind, want_color, file);
		last = kind;
		(void)fputc(map_cell_letter(&map->cells[i]), file);
	}
	(void)fputs(want_color ? COLOR_OFF "\n" : "\n", file);
}

void map_print_text(const struct map *map, uint32_t width, bool want_color, FILE *file)
{
	for (uint32_t i = 0; i < map->n_cells; i += width)
		print_line(map, i, width, want_color, file);
	(void)fprintf(file, "\n%u frame%s in a cell, %s\n", map->frames_per_cell,
		      map->frames_per_cell == 1 ? "" : "s",
		      human_size((uint64_t)map->frames_per_cell << map->page_shift).s);
	for (uint32_t i = 0; i < KIND_COUNT; i++) {
		enum map_kind kind = (enum map_kind)i;
		char text[MAP_LEGEND_BYTES];

		if (!map->total[i])
			continue;
		map_legend(map, kind, text);
		color(kind, want_color, file);
		(void)fprintf(file, "  %c%s %s\n", map_kind_letter(kind),
			      want_color ? COLOR_OFF : "", text);
	}
}
