/* tests/chaos/tag.h - what a frame in use holds: who wrote it, and a pattern that follows from it.
 *
 * Each frame of a block starts with owner {keeper, thread, incarnation}, serial and its own pfn;
 * one word in each 256 bytes and the last one are a hash of these. So a frame that was given to two
 * is noticed by one of them, and the tag says who the other is. */
#ifndef TESTS_CHAOS_TAG_H
#define TESTS_CHAOS_TAG_H
#include "tests/chaos/board.h"

#include <stddef.h>

uint64_t tag_owner(uint32_t keeper, uint32_t thread, uint32_t incarnation);

/* memory is the address of the claim's first frame. */
void tag_write(char *memory, size_t page_size, const struct claim *claim);
/* True if all frames hold it; else what is wrong is complained of on the board, once. */
bool tag_check(struct board *board, const char *memory, size_t page_size, const struct claim *claim,
	       const char *when);

#endif
