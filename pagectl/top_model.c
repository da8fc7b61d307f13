/* pagectl/top_model.c - the segment as a whole: its parts, its bar, its rates. */
#include "pagectl/top_model.h"

#include "paged/bits.h"

#include <string.h>

static const struct {
	char letter;
	const char *name;
} parts[] = {
#define X(name, letter, text) {letter, text},
	TOP_PARTS_LIST(X)
#undef X
};

char top_part_letter(enum top_part part)
{
	return parts[part].letter;
}

const char *top_part_name(enum top_part part)
{
	return parts[part].name;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void top_parts(const struct top_sample *sample, uint64_t ret_frames[TOP_PARTS])
{
	uint64_t owned = sample->counter[COUNTER_nr_owned], magazines = 0, managed = 0;
	uint64_t free = 0, holes = 0;

	for (uint32_t i = 0; i < sample->n_clients; i++)
		magazines += sample->clients[i].nr_magazine;
	for (uint32_t i = 0; i < sample->n_zones; i++) {
		managed += sample->zones[i].managed;
		free += sample->zones[i].nr_free;
		holes += sample->zones[i].nr_hole;
	}
	magazines = bits_min(magazines, owned);
	ret_frames[TOP_MAGAZINES] = magazines;
	ret_frames[TOP_PURGEABLE] = bits_min(sample->header.nr_purgeable, owned - magazines);
	ret_frames[TOP_USED] = owned - magazines - ret_frames[TOP_PURGEABLE];
	ret_frames[TOP_SHARED] = sample->counter[COUNTER_nr_shared];
	ret_frames[TOP_FREE] = minus(free, holes);
	ret_frames[TOP_HOLES] = bits_min(holes, free);
	ret_frames[TOP_BAD] = minus(sample->header.online_frames, managed);
}

/* The part with the most of something; TOP_PARTS if none has any. */
static uint32_t most(const uint64_t n[TOP_PARTS])
{
	uint32_t best = TOP_PARTS;

	for (uint32_t i = 0; i < TOP_PARTS; i++)
		if (n[i] && (best == TOP_PARTS || n[i] > n[best]))
			best = i;
	return best;
}

void top_bar_plan(const uint64_t frames[TOP_PARTS], uint32_t width, uint32_t ret_cells[TOP_PARTS])
{
	uint64_t total = 0, sum = 0, rest[TOP_PARTS], cells[TOP_PARTS];

	for (uint32_t i = 0; i < TOP_PARTS; i++)
		total += frames[i];
	memset(ret_cells, 0, TOP_PARTS * sizeof(*ret_cells));
	if (!total || !width)
		return;
	for (uint32_t i = 0; i < TOP_PARTS; i++) {
		cells[i] = frames[i] * width / total;
		rest[i] = frames[i] * width % total;
		if (frames[i] && !cells[i]) {
			cells[i] = 1;
			rest[i] = 0;
		}
		sum += cells[i];
	}
	/* The rests make up at most a cell for each part, so each gives one at most. */
	for (uint32_t best; sum < width && (best = most(rest)) < TOP_PARTS; sum++) {
		cells[best]++;
		rest[best] = 0;
	}
	for (; sum > width; sum--)
		cells[most(cells)]--;
	for (uint32_t i = 0; i < TOP_PARTS; i++)
		ret_cells[i] = (uint32_t)cells[i];
}

struct top_levels top_levels(const struct top_sample *sample)
{
	struct top_levels levels = {.free = 0};

	for (uint32_t i = 0; i < sample->n_zones; i++) {
		levels.free += sample->zones[i].nr_free;
		levels.min += sample->zones[i].watermark_min;
		levels.low += sample->zones[i].watermark_low;
		levels.high += sample->zones[i].watermark_high;
	}
	if (levels.free < levels.min)
		levels.text = "below min";
	else if (levels.free < levels.low)
		levels.text = "between min and low";
	else if (levels.free <= levels.high)
		levels.text = "between low and high";
	else
		levels.text = "above high";
	return levels;
}

double top_seconds(const struct top_sample *before, const struct top_sample *now)
{
	if (!before->at_ns || before->at_ns >= now->at_ns ||
	    before->header.instance_id != now->header.instance_id)
		return 0;
	return (double)(now->at_ns - before->at_ns) / 1e9;
}

double top_rate(uint64_t before, uint64_t now, double seconds)
{
	return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

double top_counter_rate(const struct top_sample *before, const struct top_sample *now,
			enum counter counter)
{
	return top_rate(before->counter[counter], now->counter[counter], top_seconds(before, now));
}
