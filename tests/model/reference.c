/* tests/model/reference.c - see reference.h. */
#include "tests/model/reference.h"

#include <stdlib.h>
#include <string.h>

void reference_open(struct reference *ref, struct fixture_pool *pool, uint32_t nr_frames)
{
	memset(ref, 0, sizeof *ref);
	ref->pool = pool;
	ref->nr_frames = nr_frames;
	ref->owner = calloc(nr_frames, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ref->owner);
}

void reference_close(struct reference *ref)
{
	free(ref->owner);
}

/* Frames of the block go from `from` to `to`. */
static void move(struct reference *ref, pfn_t pfn, order_t order, uint32_t from, uint32_t to)
{
	CU_ASSERT_FATAL(pfn < ref->nr_frames && ref->nr_frames - pfn >= 1u << order);
	CU_ASSERT_FATAL((pfn & ((1u << order) - 1)) == 0);
	for (pfn_t at = pfn; at < pfn + (1u << order); at++) {
		if (ref->owner[at] != from)
			CU_ASSERT_EQUAL_FATAL(ref->owner[at], from);
		ref->owner[at] = (uint8_t)to;
	}
}

/* --- clients ------------------------------------------------------------------------------------
 */

void reference_attached(struct reference *ref, uint32_t i, client_id client)
{
	ref->client[i] = client;
	for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
			ref->top[i][t][m] = MAGAZINE_INDEX_START;
}

static void forget(struct reference *ref, uint32_t block)
{
	ref->block[block] = ref->block[--ref->n_blocks];
}

void reference_died(struct reference *ref, uint32_t i)
{
	for (uint32_t b = ref->n_blocks; b-- > 0;) {
		if (ref->block[b].sharers >> i & 1)
			reference_unshared(ref, b, i);
		else if (!ref->block[b].sharers && ref->block[b].owner == i)
			forget(ref, b);
	}
	for (pfn_t pfn = 0; pfn < ref->nr_frames; pfn++)
		if (ref->owner[pfn] == i + 1)
			ref->owner[pfn] = 0;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

static void hold(struct reference *ref, uint32_t i, pfn_t pfn, order_t order)
{
	CU_ASSERT_FATAL(ref->n_blocks < REFERENCE_BLOCKS_MAX);
	ref->block[ref->n_blocks++] =
		(struct reference_block){.pfn = pfn, .order = order, .owner = i};
}

void reference_take(struct reference *ref, uint32_t i, pfn_t pfn, order_t order)
{
	move(ref, pfn, order, 0, i + 1);
	hold(ref, i, pfn, order);
}

void reference_give(struct reference *ref, uint32_t block)
{
	const struct reference_block *b = &ref->block[block];

	move(ref, b->pfn, b->order, b->owner + 1, 0);
	forget(ref, block);
}

void reference_popped(struct reference *ref, uint32_t i, pfn_t pfn, order_t order)
{
	move(ref, pfn, order, i + 1, i + 1);
	hold(ref, i, pfn, order);
}

void reference_pushed(struct reference *ref, uint32_t block)
{
	forget(ref, block);
}

void reference_shared(struct reference *ref, uint32_t block, uint32_t sharer, uint64_t handle)
{
	struct reference_block *b = &ref->block[block];

	if (!b->sharers)
		move(ref, b->pfn, b->order, b->owner + 1, REFERENCE_SHARED);
	b->sharers |= 1u << sharer;
	b->handle = handle;
}

void reference_unshared(struct reference *ref, uint32_t block, uint32_t i)
{
	struct reference_block *b = &ref->block[block];

	b->sharers &= ~(1u << i);
	if (b->sharers)
		return;
	move(ref, b->pfn, b->order, REFERENCE_SHARED, 0);
	forget(ref, block);
}

/* --- magazines ----------------------------------------------------------------------------------
 */

static void follow_magazine(struct reference *ref, uint32_t i, uint32_t t, uint32_t m)
{
	const struct fixture_pool *f = ref->pool;
	uint64_t *known = &ref->top[i][t][m];
	uint64_t top = pool_head(f->pool, ref->client[i], t, m)->top;

	/* Stolen. The slots are as they were: a grant comes in another step. */
	for (; (int64_t)(top - *known) > 0; ++*known)
		move(ref, *fixture_pool_slot(f, ref->client[i], t, m, *known), magazine_order(m),
		     i + 1, 0);
	for (; (int64_t)(top - *known) < 0; --*known)
		move(ref, *fixture_pool_slot(f, ref->client[i], t, m, *known - 1),
		     magazine_order(m), 0, i + 1);
}

void reference_follow(struct reference *ref)
{
	for (uint32_t i = 0; i < REFERENCE_CLIENTS; i++)
		for (uint32_t t = 0; t < FIXTURE_THREADS; t++)
			for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
				follow_magazine(ref, i, t, m);
}

/* --- the comparison -----------------------------------------------------------------------------
 */

/* What the byte of a frame of this head must be. */
static uint32_t wanted(const struct reference *ref, struct page_word word)
{
	if (word.state == PAGE_SHARED)
		return REFERENCE_SHARED;
	if (word.state == PAGE_OWNED)
		for (uint32_t i = 0; i < REFERENCE_CLIENTS; i++)
			if (ref->client[i] == word.owner)
				return i + 1;
	/* What is out of use is nobody's, either. */
	return word.state == PAGE_FREE || word.state == PAGE_RESERVED ? 0 : REFERENCE_SHARED - 1;
}

static bool same(const struct reference *ref, uint64_t free)
{
	uint64_t kept = 0;

	for (uint32_t z = 0; z < ref->pool->pool->buddy.nr_zones; z++)
		kept += ref->pool->pool->buddy.zones[z].nr_free;
	return free == kept;
}

bool reference_check(struct reference *ref)
{
	uint64_t free = 0;
	struct page_word word;

	for (pfn_t pfn = 0; pfn < ref->nr_frames; pfn += 1u << word.order) {
		uint32_t byte;

		word = fixture_pool_word(ref->pool, pfn);
		byte = wanted(ref, word);
		for (pfn_t at = pfn; at < pfn + (1u << word.order); at++)
			if (ref->owner[at] != byte) {
				CU_ASSERT_EQUAL(ref->owner[at], byte);
				return false;
			}
		free += word.state == PAGE_FREE ? 1u << word.order : 0;
	}
	CU_ASSERT(same(ref, free));
	return fixture_pool_audit(ref->pool, __LINE__, __FILE__) && same(ref, free);
}
