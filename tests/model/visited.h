/* tests/model/visited.h - the states that a search has found, each kept once, in the order found.
 *
 * A state is plain bytes without padding that varies; equal bytes are the same state. */
#ifndef TESTS_MODEL_VISITED_H
#define TESTS_MODEL_VISITED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visited_slot {
	uint32_t state; /* its index + 1; 0: empty */
	uint32_t tag;   /* of its hash: most that differ are not looked at */
};

struct visited {
	size_t state_bytes;
	uint32_t n, max;
	uint8_t *states;
	struct visited_slot *table; /* open addressing over states */
	uint32_t table_mask;
};

/* Room for max states, 1 << 31 at most; aborts without memory. */
void visited_open(struct visited *visited, size_t state_bytes, uint32_t max);
void visited_close(struct visited *visited);
/* false: there is no room for it. */
bool visited_add(struct visited *visited, const void *state);
/* The i-th found, i < n. Stays valid. */
const void *visited_get(const struct visited *visited, uint32_t i);

#endif
