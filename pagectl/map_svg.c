/* pagectl/map_svg.c - the map as an SVG picture.
 *
 * A cell is a square. One that has frames of several kinds is cut from top to bottom in the order
 * of the kinds, each as high as its part. Each kind is one path, in which neighbours that are
 * wholly of that kind are one rectangle, so that a large map is a small file. Names go through
 * map_legend(), which leaves printable ASCII, and what XML reads as its own is written as an
 * entity. */
#include "pagectl/human.h"
#include "pagectl/map.h"

#define CELL 10u
#define MARGIN 20u
#define PFN_WIDTH 80u /* the numbers at the left */
#define LINE 18u      /* of the legend */

static void put_escaped(const char *text, FILE *file)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			(void)fputs("&lt;", file);
			break;
		case '>':
			(void)fputs("&gt;", file);
			break;
		case '&':
			(void)fputs("&amp;", file);
			break;
		case '"':
			(void)fputs("&quot;", file);
			break;
		default:
			(void)fputc(*text, file);
		}
}

static void put_square(uint32_t x, double y, enum map_kind kind, FILE *file)
{
	(void)fprintf(file, "<rect x=\"%u\" y=\"%g\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", x,
		      y, CELL, CELL, map_kind_color(kind));
}

static bool is_whole(const struct map_cell *cell, enum map_kind kind)
{
	return cell->frames[kind] == map_cell_frames(cell);
}

/* The part of one cell, below those of the kinds before it. */
static void put_part(const struct map_cell *cell, enum map_kind kind, uint32_t x, uint32_t y,
		     FILE *file)
{
	double all = map_cell_frames(cell), above = 0;

	for (uint32_t i = 0; i < kind; i++)
		above += cell->frames[i];
	(void)fprintf(file, "M%u %gh%uv%gh-%uz", x, y + CELL * above / all, CELL,
		      CELL * cell->frames[kind] / all, CELL);
}

static void put_line(const struct map *map, uint32_t from, uint32_t width, enum map_kind kind,
		     FILE *file)
{
	uint32_t end = from + width < map->n_cells ? from + width : map->n_cells;
	uint32_t y = MARGIN + from / width * CELL, n;

	for (uint32_t i = from; i < end; i += n) {
		const struct map_cell *cell = &map->cells[i];
		uint32_t x = MARGIN + PFN_WIDTH + (i - from) * CELL;

		n = 1;
		if (!cell->frames[kind])
			continue;
		if (!is_whole(cell, kind)) {
			put_part(cell, kind, x, y, file);
			continue;
		}
		while (i + n < end && is_whole(&map->cells[i + n], kind))
			n++;
		(void)fprintf(file, "M%u %uh%uv%uh-%uz", x, y, n * CELL, CELL, n * CELL);
	}
}

static void put_kind(const struct map *map, uint32_t width, enum map_kind kind, FILE *file)
{
	(void)fprintf(file, "<path fill=\"%s\" d=\"", map_kind_color(kind));
	for (uint32_t i = 0; i < map->n_cells; i += width) {
		put_line(map, i, width, kind, file);
		(void)fputc('\n', file);
	}
	(void)fputs("\"/>\n", file);
}

static void put_pfns(const struct map *map, uint32_t width, FILE *file)
{
	for (uint32_t i = 0; i < map->n_cells; i += width)
		(void)fprintf(file, "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">%llu</text>\n",
			      MARGIN + PFN_WIDTH - 8, MARGIN + i / width * CELL + CELL - 1,
			      (unsigned long long)i * map->frames_per_cell);
}

static void put_legend(const struct map *map, double y, FILE *file)
{
	(void)fprintf(file, "<text x=\"%u\" y=\"%g\">%u frames in a cell, %s</text>\n", MARGIN, y,
		      map->frames_per_cell,
		      human_size((uint64_t)map->frames_per_cell << map->page_shift).s);
	for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
		char text[MAP_LEGEND_BYTES];

		if (!map->total[kind])
			continue;
		y += LINE;
		map_legend(map, (enum map_kind)kind, text);
		put_square(MARGIN, y - CELL, (enum map_kind)kind, file);
		(void)fprintf(file, "<text x=\"%u\" y=\"%g\">", MARGIN + 2 * CELL, y);
		put_escaped(text, file);
		(void)fputs("</text>\n", file);
	}
}

void map_print_svg(const struct map *map, uint32_t width, FILE *file)
{
	uint32_t lines = (map->n_cells + width - 1) / width, n_kinds = 0;
	uint32_t all = 2 * MARGIN + PFN_WIDTH + width * CELL, height;

	for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
		n_kinds += map->total[kind] > 0;
	height = 2 * MARGIN + lines * CELL + (n_kinds + 2) * LINE;
	(void)fprintf(file,
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		      "viewBox=\"0 0 %u %u\" font-family=\"monospace\" font-size=\"11\">\n"
		      "<rect width=\"%u\" height=\"%u\" fill=\"#f7f7f7\"/>\n"
		      "<g shape-rendering=\"crispEdges\">\n",
		      all, height, all, height, all, height);
	for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
		if (map->total[kind])
			put_kind(map, width, (enum map_kind)kind, file);
	(void)fputs("</g>\n", file);
	put_pfns(map, width, file);
	put_legend(map, MARGIN + (double)lines * CELL + 2 * LINE, file);
	(void)fputs("</svg>\n", file);
}
