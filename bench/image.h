/* bench/image.h - META and STATE of a segment in the middle of a busy life, as a killed server
 * leaves them.
 *
 * 4 Mi frames (16 GiB at 4 KiB) with at least a million heads: blocks of several orders, of several
 * clients, as often as programs ask for them, some shared, some freed again in random order. What a
 * crash adds is there, too: a journal that was committed and perhaps not applied, and a claim of
 * every magazine with its top saved. It is made by the daemon's own core, with numbers that are the
 * same every time; DATA plays no part in it.
 *
 * The image lies in two memfds; image_copy() makes files out of it that nobody has mapped yet, so
 * that whoever recovers them pays for the page faults as a new server does. */
#ifndef BENCH_IMAGE_H
#define BENCH_IMAGE_H
#include "daemon/core/pool.h"

#define IMAGE_FRAMES (UINT32_C(4) << 20)
#define IMAGE_BLOCKS 1000000u /* heads that there are at least */

struct image {
	struct pool_options options;
	int meta_fd, state_fd;
	void *meta, *state;
	uint64_t meta_bytes, state_bytes;
	uint64_t instance_id;
	uint32_t nr_blocks;
};

/* The clients in it are this process. Returns 0, or -errno with a sentence in text and nothing left
 * behind. O(blocks), about a second. */
int image_make(struct image *ret_image, char *text, size_t text_bytes);
void image_free(struct image *image);

/* Writes what has memory in `from` (one of the two) to the empty file `to`, which is as large. */
int image_copy(int from, int to);

#endif
