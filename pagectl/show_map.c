/* pagectl/show_map.c - `pagectl map`: on a terminal, as SVG, as JSON. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/map.h"
#include "pagectl/pagectl.h"
#include "pagectl/table.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PFN_COLUMNS 11u /* a pfn and a blank, at the left of each line */
#define LINE_UNIT 16u   /* cells of a line are a multiple of it */
#define TEXT_LINES 16u
#define SVG_CELLS 128u /* in a line */
#define SVG_LINES 32u

/* Cells of a line in the terminal, or of 80 columns where there is none. */
static uint32_t text_cells(void)
{
	uint32_t columns = table_terminal_width();

	if (!columns)
		columns = 80;
	if (columns < PFN_COLUMNS + LINE_UNIT)
		return LINE_UNIT;
	return (columns - PFN_COLUMNS) / LINE_UNIT * LINE_UNIT;
}

static bool want_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && no_color[0]) && term &&
	       strcmp(term, "dumb") != 0;
}

/* Returns whether magazines and purgeable frames are told from what is owned. */
static bool read_map(struct map *map, struct pagectl *ctl, uint32_t max_cells)
{
	const struct shm_view *view = &ctl->view;
	bool is_told;
	uint32_t n;
	struct shm_client *clients = clients_copy(view, &n);

	memset(map, 0, sizeof(*map));
	map->nr_frames = view->header->nr_frames;
	map->hint = calloc(map->nr_frames, 1); /* what is not written to takes no memory */
	is_told = map->hint && map_look(map, &ctl->connection, clients, n);
	map_owners(map, clients, n);
	free(clients);
	map->frames_per_cell = map_frames_per_cell(view->header->nr_frames, max_cells);
	map->cells = xrealloc(NULL, max_cells * sizeof(*map->cells));
	map_read(map, view);
	return is_told;
}

static int print_svg(const struct map *map, const char *path)
{
	bool is_stdout = strcmp(path, "-") == 0;
	FILE *file = is_stdout ? stdout : fopen(path, "we");
	int r = PAGECTL_OK;

	if (!file) {
		fprintf(stderr, "pagectl: %s cannot be written: %s\n", path, human_errno(errno).s);
		return PAGECTL_FAILED;
	}
	map_print_svg(map, SVG_CELLS, file);
	if (is_stdout)
		return PAGECTL_OK; /* main() looks whether that went well */
	if (ferror(file))
		r = PAGECTL_FAILED;
	if (fclose(file) || r != PAGECTL_OK) {
		fprintf(stderr, "pagectl: %s cannot be written: %s\n", path, human_errno(errno).s);
		return PAGECTL_FAILED;
	}
	return PAGECTL_OK;
}

/* --- for programs --------------------------------------------------------------------------- */

static json_t *kinds_json(const struct map *map)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < KIND_COUNT; i++) {
		const struct map_owner *owner =
			i >= KIND_OWNER ? &map->owner[i - KIND_OWNER] : NULL;
		json_t *object = json_object();

		json_put_string(object, "state", map_kind_name((enum map_kind)i));
		json_put_number(object, "frames", map->total[i]);
		if (owner && owner->id) {
			json_put_number(object, "client", owner->id);
			json_put_text(object, "name", owner->name, sizeof(owner->name));
			json_put_number(object, "magazine", owner->magazine);
			json_put_number(object, "purgeable", owner->purgeable);
		}
		json_array_append_new(array, object);
	}
	return array;
}

/* Each cell as pairs [kind, frames] of the kinds that it has. */
static json_t *cells_json(const struct map *map)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < map->n_cells; i++) {
		json_t *cell = json_array();

		for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
			if (map->cells[i].frames[kind])
				json_array_append_new(
					cell, json_pack("[I, I]", (json_int_t)kind,
							(json_int_t)map->cells[i].frames[kind]));
		json_array_append_new(array, cell);
	}
	return array;
}

static int print_json(const struct map *map, bool is_told)
{
	json_t *root = json_new();

	json_put_number(root, "page_size", UINT64_C(1) << map->page_shift);
	json_put_number(root, "frames", map->nr_frames);
	json_put_number(root, "frames_per_cell", map->frames_per_cell);
	json_object_set_new(root, "told_apart", json_boolean(is_told));
	json_object_set_new(root, "kinds", kinds_json(map));
	json_object_set_new(root, "cells", cells_json(map));
	return json_print(root);
}

int show_map(struct pagectl *ctl)
{
	bool is_text = !ctl->want_json && !ctl->out;
	uint32_t width = text_cells();
	struct map map;
	int r = PAGECTL_OK;
	bool is_told;

	if (ctl->want_json && ctl->out && strcmp(ctl->out, "-") == 0) {
		fputs("pagectl: map --json and --out - both want the standard output\n", stderr);
		return PAGECTL_USAGE;
	}
	is_told = read_map(&map, ctl, is_text ? width * TEXT_LINES : SVG_CELLS * SVG_LINES);
	if (ctl->out)
		r = print_svg(&map, ctl->out);
	if (r == PAGECTL_OK && ctl->want_json)
		r = print_json(&map, is_told);
	if (is_text)
		map_print_text(&map, width, want_color(), stdout);
	if (is_text && !is_told)
		puts("Not all magazines and purgeable frames are told apart from what is owned: "
		     "only\n"
		     "root and the user of the daemon may ask for them, and for no more than a "
		     "second.");
	free(map.hint);
	free(map.cells);
	return r;
}
