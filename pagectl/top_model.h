/* pagectl/top_model.h - what `pagectl top` knows: one look at META, and what two of them say.
 *
 * A sample is a copy of META's small parts with the time at which it was taken. Everything that is
 * shown follows from two samples: the last one, and the one before for what is counted per second.
 * So all of this is pure but top_sample_read(), and tests write samples by hand.
 *
 * A client or a cache of the last sample is the same as one of the sample before if it also began
 * at the same time: numbers are used again. What is new, and everything if the segment is another
 * one, has no rates yet and shows 0. A number that fell (a restart that lost a count) is no rate.
 */
#ifndef PAGECTL_TOP_MODEL_H
#define PAGECTL_TOP_MODEL_H
#include "pagectl/top_table.h"
#include "shm/view.h"

/* About 1 MiB: on the heap, two of them. */
struct top_sample {
	uint64_t at_ns;    /* CLOCK_MONOTONIC; 0: nothing was read yet */
	uint64_t clock_ns; /* CLOCK_REALTIME */
	struct shm_meta_header header;
	uint64_t counter[COUNTER_COUNT];
	uint32_t n_zones, n_clients, n_caches;
	struct shm_zone zones[SHM_MAX_ZONES];
	struct shm_client clients[SHM_MAX_CLIENTS]; /* those in use, in slot order */
	struct shm_cache caches[SHM_MAX_CACHES];
};

/* Copies what META says now. Not pure: reads shared memory, and two clocks. */
void top_sample_read(struct top_sample *sample, const struct shm_view *view);

/* --- the segment ---------------------------------------------------------------------------- */

/* What the frames in use are, each frame in one part: X(name, the character of its bar, text). */
#define TOP_PARTS_LIST(X)                                                                          \
	X(USED, '#', "used")                                                                       \
	X(SHARED, '=', "shared")                                                                   \
	X(PURGEABLE, 'p', "purgeable")                                                             \
	X(MAGAZINES, 'm', "magazines")                                                             \
	X(FREE, '.', "free")                                                                       \
	X(HOLES, '_', "holes")                                                                     \
	X(BAD, '!', "bad")
enum top_part {
#define X(name, letter, text) TOP_##name,
	TOP_PARTS_LIST(X)
#undef X
		TOP_PARTS
};
char top_part_letter(enum top_part part);
const char *top_part_name(enum top_part part);

/* Frames of each part. Magazines and purgeable entries are what the daemon saw last, so they are
 * cut where they would be more than what is owned. */
void top_parts(const struct top_sample *sample, uint64_t ret_frames[TOP_PARTS]);

/* Shares `width` cells among the parts: a part that has frames has a cell, as long as there are
 * enough, and together they are width (0 if no part has frames). */
void top_bar_plan(const uint64_t frames[TOP_PARTS], uint32_t width, uint32_t ret_cells[TOP_PARTS]);

/* The watermarks of all zones, and where free lies between them. */
struct top_levels {
	uint64_t free, min, low, high;
	const char *text; /* "below min" ... "above high" */
};
struct top_levels top_levels(const struct top_sample *sample);

/* --- rates ---------------------------------------------------------------------------------- */

/* Seconds between two samples of one segment; 0 if they say nothing about each other. */
double top_seconds(const struct top_sample *before, const struct top_sample *now);
/* Per second; 0 if seconds is 0 or the number fell. */
double top_rate(uint64_t before, uint64_t now, double seconds);
/* Of a counter that only grows. */
double top_counter_rate(const struct top_sample *before, const struct top_sample *now,
			enum counter counter);

/* --- tables --------------------------------------------------------------------------------- */

enum top_tables { TOP_ZONES, TOP_CLIENTS, TOP_CACHES, TOP_TABLES };

/* The columns, and by which of them it is sorted at first. The rows are the caller's: room for
 * top_rows_max() of them. */
void top_table_init(struct top_table *table, enum top_tables which, struct top_row *rows);
uint32_t top_rows_max(enum top_tables which);

/* Fills the rows anew and sorts them. */
void top_table_fill(struct top_table *table, enum top_tables which, const struct top_sample *before,
		    const struct top_sample *now);

#endif
