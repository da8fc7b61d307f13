/* tests/model/visited.c - see visited.h. */
#include "tests/model/visited.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blank, of huge pages where there are some: each look meets another page. */
static void *map_blank(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	(void)madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

void visited_open(struct visited *visited, size_t state_bytes, uint32_t max)
{
	uint32_t slots = 1;

	while (slots / 2 < max)
		slots *= 2;
	*visited =
		(struct visited){.state_bytes = state_bytes, .max = max, .table_mask = slots - 1};
	visited->states = map_blank(state_bytes * max);
	visited->table = map_blank(slots * sizeof *visited->table);
}

void visited_close(struct visited *visited)
{
	(void)munmap(visited->states, visited->state_bytes * visited->max);
	(void)munmap(visited->table, ((size_t)visited->table_mask + 1) * sizeof *visited->table);
}

/* Eight bytes at a time: the search is little but this. */
static uint64_t hash(const uint8_t *state, size_t bytes)
{
	uint64_t h = UINT64_C(14695981039346656037), word;

	for (; bytes >= sizeof word; state += sizeof word, bytes -= sizeof word) {
		memcpy(&word, state, sizeof word);
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, state, bytes);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

const void *visited_get(const struct visited *visited, uint32_t i)
{
	return visited->states + i * visited->state_bytes;
}

bool visited_add(struct visited *visited, const void *state)
{
	uint64_t h = hash(state, visited->state_bytes);
	uint32_t at = (uint32_t)h & visited->table_mask, tag = (uint32_t)(h >> 32);

	for (; visited->table[at].state; at = (at + 1) & visited->table_mask)
		if (visited->table[at].tag == tag &&
		    memcmp(visited_get(visited, visited->table[at].state - 1), state,
			   visited->state_bytes) == 0)
			return true;
	if (visited->n == visited->max)
		return false;
	memcpy(visited->states + visited->n * visited->state_bytes, state, visited->state_bytes);
	visited->table[at] = (struct visited_slot){.state = ++visited->n, .tag = tag};
	return true;
}
