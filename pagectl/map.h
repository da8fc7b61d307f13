/* pagectl/map.h - mem_map as a picture: census of cells, then text or SVG.
 *
 *   map_look.c  asks the daemon which frames lie in magazines and which may be purged
 *   map.c       one pass over mem_map -> struct map: how many frames of each kind a cell has
 *   map_text.c  struct map -> lines of characters
 *   map_svg.c   struct map -> an SVG picture
 *   show_map.c  the command: who gets a letter, how large a cell is, where it goes
 *
 * The pass goes by heads, as every reader of mem_map does, so a segment that is mostly free costs
 * nothing and gets no memory by being looked at. The daemon goes on meanwhile: a block that is
 * split, merged or granted between two loads can leave us in the middle of another. Then the head
 * that covers us is looked for from above, and where there is none the frame counts as UNKNOWN;
 * each step goes on by at least one frame, so the pass ends whatever it reads.
 *
 * All is pure but the reading of the view. Memory: the cells are the caller's. */
#ifndef PAGECTL_MAP_H
#define PAGECTL_MAP_H
#include "shm/view.h"

#include <stdbool.h>
#include <stdio.h>

/* The clients with the most frames have a kind each; lower: more of them look alike; higher: more
 * colours and letters than anybody tells apart. */
#define MAP_OWNERS 8u

enum map_kind {
	KIND_FREE,
	KIND_HOLE, /* free, no memory behind it */
	KIND_SHARED,
	KIND_RESERVED, /* out of use: behind the size that is wanted */
	KIND_BAD,
	KIND_UNKNOWN,   /* changed while we looked */
	KIND_MAGAZINE,  /* owned, and in stock */
	KIND_PURGEABLE, /* owned, and may be taken */
	KIND_OTHERS,    /* owned by a client that has no kind of its own */
	KIND_OWNER,     /* the first of MAP_OWNERS */
	KIND_COUNT = KIND_OWNER + MAP_OWNERS
};

struct map_cell {
	uint32_t frames[KIND_COUNT];
};

struct map_owner {
	client_id id; /* CLIENT_NONE: there are not so many */
	char name[SHM_NAME_BYTES];
	uint64_t owned, magazine, purgeable; /* as META has them, not as the pass found them */
};

struct map {
	uint32_t frames_per_cell; /* a power of two */
	uint32_t nr_frames;
	uint32_t n_cells; /* of all frames, the last one perhaps in part */
	uint32_t page_shift;
	struct map_owner owner[MAP_OWNERS]; /* the one with the most first */
	uint64_t total[KIND_COUNT];
	uint8_t *hint; /* for each frame KIND_MAGAZINE, KIND_PURGEABLE or 0; NULL: not known */
	struct map_cell *cells;
};

/* The smallest power of two so that nr_frames fit into max_cells cells; at least 1. */
uint32_t map_frames_per_cell(uint32_t nr_frames, uint32_t max_cells);

/* Who owns most, from clients[n] (in any order; they are sorted). */
void map_owners(struct map *map, struct shm_client *clients, uint32_t n);

/* Asks of each client in turn; map->hint is there and 0. False: not everything was told, because
 * only an administrator may ask, the daemon is gone or too old, or there is too much. */
struct connection;
bool map_look(struct map *map, struct connection *connection, const struct shm_client *clients,
	      uint32_t n);
/* Notes the frames of text, the answer to a Look. False: it is no such answer. Pure. */
bool map_note(struct map *map, enum map_kind kind, const char *text);

/* One pass over view's mem_map. map->cells has room for the cells that frames_per_cell makes;
 * owners are there. Sets cells, n_cells and total. */
void map_read(struct map *map, const struct shm_view *view);

/* The kind with the most frames in the cell; the first of equals. */
enum map_kind map_cell_most(const struct map_cell *cell);
uint32_t map_cell_frames(const struct map_cell *cell);

const char *map_kind_name(enum map_kind kind); /* of an owner: "owned" */
char map_kind_letter(enum map_kind kind);
const char *map_kind_color(enum map_kind kind); /* "#rrggbb" */
uint32_t map_kind_ansi(enum map_kind kind);     /* of the 256 colours of a terminal */

/* What a cell is drawn as: BAD if one frame of it is, else what it has most of. */
enum map_kind map_cell_shown(const struct map_cell *cell);
/* The character of a cell, as `pagectl map --help` explains it. */
char map_cell_letter(const struct map_cell *cell);

/* `width` cells in a line, behind the pfn of its first, and a legend. */
void map_print_text(const struct map *map, uint32_t width, bool want_color, FILE *file);
void map_print_svg(const struct map *map, uint32_t width, FILE *file);

/* What the legend says of a kind: "owned by client 3 (name): 12.0 MiB, 1.0 MiB of it ...". Names
 * are cleaned. */
#define MAP_LEGEND_BYTES 512u
void map_legend(const struct map *map, enum map_kind kind, char ret_text[MAP_LEGEND_BYTES]);

#endif
