/* tests/chaos/tag.c - see tag.h. */
#include "tests/chaos/tag.h"

#include <inttypes.h>
#include <string.h>

#define STRIDE 256u

struct tag {
	uint64_t owner;
	uint64_t serial;
	uint64_t pfn;
	uint64_t hash;
};

uint64_t tag_owner(uint32_t keeper, uint32_t thread, uint32_t incarnation)
{
	return (uint64_t)incarnation << 16 | (uint64_t)keeper << 8 | thread;
}

static uint64_t hash(const struct tag *tag, uint64_t at)
{
	uint64_t x = tag->owner * UINT64_C(0x9E3779B97F4A7C15) ^
		     tag->serial * UINT64_C(0xD1B54A32D192ED03) ^ tag->pfn << 24 ^ at;

	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	return x ^ x >> 31;
}

static struct tag tag_of(const struct claim *claim, uint32_t frame)
{
	struct tag tag = {
		.owner = claim->owner, .serial = claim->serial, .pfn = claim->pfn + frame};

	tag.hash = hash(&tag, 0);
	return tag;
}

void tag_write(char *memory, size_t page_size, const struct claim *claim)
{
	for (uint32_t i = 0; i < 1u << claim->order; i++, memory += page_size) {
		struct tag tag = tag_of(claim, i);

		memcpy(memory, &tag, sizeof(tag));
		for (size_t at = STRIDE; at <= page_size; at += STRIDE) {
			size_t where = at < page_size ? at : page_size - sizeof(uint64_t);
			uint64_t word = hash(&tag, where);

			memcpy(memory + where, &word, sizeof(word));
		}
	}
}

/* The offset of the first word that is another, or page_size. */
static size_t find_difference(const char *memory, size_t page_size, const struct tag *tag)
{
	if (memcmp(memory, tag, sizeof(*tag)) != 0)
		return 0;
	for (size_t at = STRIDE; at <= page_size; at += STRIDE) {
		size_t where = at < page_size ? at : page_size - sizeof(uint64_t);
		uint64_t word;

		memcpy(&word, memory + where, sizeof(word));
		if (word != hash(tag, where))
			return where;
	}
	return page_size;
}

bool tag_check(struct board *board, const char *memory, size_t page_size, const struct claim *claim,
	       const char *when)
{
	for (uint32_t i = 0; i < 1u << claim->order; i++, memory += page_size) {
		struct tag tag = tag_of(claim, i), found;
		size_t at = find_difference(memory, page_size, &tag);

		if (at == page_size)
			continue;
		memcpy(&found, memory, sizeof(found));
		board_spoiled(board,
			      "pattern of frame %" PRIu64 " (%s, order %u, %s): byte %zu; "
			      "%" PRIx64 ":%" PRIu64 " was put in, %" PRIx64 ":%" PRIu64
			      " pfn %" PRIu64 " is there",
			      tag.pfn, claim->kind == CLAIM_SHARED ? "shared" : "owned",
			      claim->order, when, at, tag.owner, tag.serial, found.owner,
			      found.serial, found.pfn);
		return false;
	}
	return true;
}
