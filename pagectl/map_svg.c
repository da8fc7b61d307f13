/* pagectl/map_svg.c - the map as an SVG picture.
 *
 * A cell is a square. One that has frames of several kinds is cut from top to bottom in the order
 * of the kinds, each as high as its part. Neighbours that are wholly of one kind are one rectangle,
 * so that a large map is a small file. Names go through map_legend(), which leaves printable ASCII,
 * and what XML reads as its own is written as an entity. */
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

static void put_rect(double x, double y, double width, double height, enum map_kind kind,
		     FILE *file)
{
	(void)fprintf(file, "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"%s\"/>\n", x,
		      y, width, height, map_kind_color(kind));
}

static bool is_whole(const struct map_cell *cell)
{
	return cell->frames[map_cell_most(cell)] == map_cell_frames(cell);
}

static void put_mixed(const struct map_cell *cell, double x, double y, FILE *file)
{
	double all = map_cell_frames(cell);

	for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
		double height = CELL * cell->frames[kind] / all;

		if (!cell->frames[kind])
			continue;
		put_rect(x, y, CELL, height, (enum map_kind)kind, file);
		y += height;
	}
}

static void put_line(const struct map *map, uint32_t from, uint32_t width, double y, FILE *file)
{
	uint32_t end = from + width < map->n_cells ? from + width : map->n_cells;

	(void)fprintf(file, "<text x=\"%u\" y=\"%g\" text-anchor=\"end\">%llu</text>\n",
		      MARGIN + PFN_WIDTH - 8, y + CELL - 1,
		      (unsigned long long)from * map->frames_per_cell);
	for (uint32_t i = from; i < end;) {
		const struct map_cell *cell = &map->cells[i];
		double x = MARGIN + PFN_WIDTH + (double)(i - from) * CELL;
		uint32_t n = 1;

		if (!is_whole(cell)) {
			put_mixed(cell, x, y, file);
			i++;
			continue;
		}
		while (i + n < end && is_whole(&map->cells[i + n]) &&
		       map_cell_most(&map->cells[i + n]) == map_cell_most(cell))
			n++;
		put_rect(x, y, n * CELL, CELL, map_cell_most(cell), file);
		i += n;
	}
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
		put_rect(MARGIN, y - CELL, CELL, CELL, (enum map_kind)kind, file);
		(void)fprintf(file, "<text x=\"%u\" y=\"%g\">", MARGIN + 2 * CELL, y);
		put_escaped(text, file);
		(void)fputs("</text>\n", file);
	}
}

void map_print_svg(const struct map *map, uint32_t width, FILE *file)
{
	uint32_t lines = (map->n_cells + width - 1) / width;
	uint32_t height = 2 * MARGIN + lines * CELL + (KIND_COUNT + 2) * LINE;
	uint32_t all = 2 * MARGIN + PFN_WIDTH + width * CELL;

	(void)fprintf(file,
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		      "viewBox=\"0 0 %u %u\" font-family=\"monospace\" font-size=\"11\">\n"
		      "<rect width=\"%u\" height=\"%u\" fill=\"#f7f7f7\"/>\n"
		      "<g shape-rendering=\"crispEdges\">\n",
		      all, height, all, height, all, height);
	for (uint32_t i = 0; i < lines; i++)
		put_line(map, i * width, width, MARGIN + (double)i * CELL, file);
	(void)fputs("</g>\n", file);
	put_legend(map, MARGIN + (double)lines * CELL + 2 * LINE, file);
	(void)fputs("</svg>\n", file);
}
