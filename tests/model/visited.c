/* tests/model/visited.c - see visited.h. */
#include "tests/model/visited.h"

#include <stdlib.h>
#include <string.h>

void visited_open(struct visited *visited, size_t state_bytes, uint32_t max)
{
	uint32_t slots = 1;

	while (slots / 2 < max)
		slots *= 2;
	*visited =
		(struct visited){.state_bytes = state_bytes, .max = max, .table_mask = slots - 1};
	visited->states = malloc(state_bytes * max);
	visited->table = calloc(slots, sizeof *visited->table);
	if (!visited->states || !visited->table)
		abort();
}

void visited_close(struct visited *visited)
{
	free(visited->states);
	free(visited->table);
}

static uint32_t hash(const uint8_t *state, size_t bytes)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ state[i]) * UINT64_C(1099511628211); /* FNV-1a */
	return (uint32_t)(h ^ h >> 32);
}

const void *visited_get(const struct visited *visited, uint32_t i)
{
	return visited->states + i * visited->state_bytes;
}

bool visited_add(struct visited *visited, const void *state)
{
	uint32_t at = hash(state, visited->state_bytes) & visited->table_mask;

	for (; visited->table[at]; at = (at + 1) & visited->table_mask)
		if (memcmp(visited_get(visited, visited->table[at] - 1), state,
			   visited->state_bytes) == 0)
			return true;
	if (visited->n == visited->max)
		return false;
	memcpy(visited->states + visited->n * visited->state_bytes, state, visited->state_bytes);
	visited->table[at] = ++visited->n;
	return true;
}
