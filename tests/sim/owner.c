/* tests/sim/owner.c - who holds which frame, as the honest processes see it.
 *
 * The reference against which the daemon is held. holder says of each frame: 0 nobody's, a
 * process's number plus 1, or HOLDER_SHARED, and then references counts at its head how many
 * processes know that they have one. A process holds a frame from the moment at which it got it
 * (popped it, had the answer) to the moment at which it let go of it (pushed it, sent the request):
 * the daemon has it for longer at both ends, so whatever overlaps here is in two hands. */
#include "tests/sim/sim.h"

#define HOLDER_SHARED UINT32_MAX

static void set_holder(struct sim *s, pfn_t pfn, order_t order, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < 1u << order; i++) {
		if (s->holder[pfn + i] != from) {
			sim_fail(s, "doubled: frame %u should be of %d and is of %d (process + 1)",
				 pfn + i, (int)from, (int)s->holder[pfn + i]);
			return;
		}
		s->holder[pfn + i] = to;
	}
}

void owner_gains(struct sim *s, uint32_t client, pfn_t pfn, order_t order)
{
	struct page_word word;

	sim_trace(s, "process %lu gains frame %lu, order %lu", client, pfn, order);
	if (pfn >= s->nr_frames || (uint64_t)pfn + (1u << order) > s->nr_frames) {
		sim_fail(s, "process %u got frame %u, which is none", client, pfn);
		return;
	}
	word = page_get(s->pool->buddy.map, pfn);
	if (word.state != PAGE_OWNED || word.owner != s->client[client].id || word.order != order)
		sim_fail(s,
			 "process %u got frame %u, order %u: the map says state %u, owner %u, "
			 "order %u",
			 client, pfn, order, word.state, word.owner, word.order);
	purgeable_settle(s, pfn, order);
	for (pfn_t at = pfn; at < pfn + (1u << order); at += PAGEBLOCK_FRAMES)
		if (!s->has_memory[at >> PAGEBLOCK_ORDER])
			sim_fail(s, "I2: frame %u has no memory behind it", at);
	set_holder(s, pfn, order, 0, client + 1);
}

void owner_gives(struct sim *s, uint32_t client, const struct sim_block *block)
{
	sim_trace(s, "process %lu gives frame %lu, order %lu", client, block->pfn, block->order);
	set_holder(s, block->pfn, block->order, client + 1, 0);
}

void owner_shares(struct sim *s, uint32_t client, const struct sim_block *block, uint32_t refs)
{
	sim_trace(s, "process %lu shares frame %lu, order %lu", client, block->pfn, block->order);
	set_holder(s, block->pfn, block->order, client + 1, HOLDER_SHARED);
	s->references[block->pfn] = (uint16_t)refs;
}

void owner_unshares(struct sim *s, uint32_t client, const struct sim_block *block)
{
	set_holder(s, block->pfn, block->order, HOLDER_SHARED, client + 1);
	s->references[block->pfn] = 0;
}

void owner_regains(struct sim *s, uint32_t client, const struct sim_block *block)
{
	if (block->refs)
		owner_imports(s, block);
	else
		set_holder(s, block->pfn, block->order, 0, client + 1);
}

/* All who knew of the frame may have let it go while the import was on its way. */
void owner_imports(struct sim *s, const struct sim_block *block)
{
	struct page_word word = page_get(s->pool->buddy.map, block->pfn);

	if (word.state != PAGE_SHARED || word.order != block->order || word.gen != block->gen)
		sim_fail(s, "frame %u was imported: the map says state %u, order %u, gen %u",
			 block->pfn, word.state, word.order, word.gen);
	if (s->holder[block->pfn] == 0)
		set_holder(s, block->pfn, block->order, 0, HOLDER_SHARED);
	else
		set_holder(s, block->pfn, block->order, HOLDER_SHARED, HOLDER_SHARED);
	s->references[block->pfn]++;
	sim_trace(s, "frame %lu is imported: %lu references", block->pfn, s->references[block->pfn],
		  0);
}

void owner_puts(struct sim *s, const struct sim_block *block)
{
	sim_trace(s, "frame %lu is put: %lu references before", block->pfn,
		  s->references[block->pfn], 0);
	if (--s->references[block->pfn] == 0)
		set_holder(s, block->pfn, block->order, HOLDER_SHARED, 0);
}

void owner_lets_go(struct sim *s, uint32_t client, const struct sim_block *block)
{
	if (block->refs)
		owner_puts(s, block);
	else
		owner_gives(s, client, block);
}

void owner_dies(struct sim *s, uint32_t client)
{
	struct sim_client *x = &s->client[client];

	for (uint32_t i = 0; i < x->n_held; i++)
		owner_lets_go(s, client, &x->held[i]);
	for (uint32_t i = 0; i < x->n_deferred; i++)
		owner_gives(s, client, &x->deferred[i]);
	purgeable_dies(s, client);
	x->n_held = 0;
	x->n_deferred = 0;
	x->nr_frames = 0;
}

/* --- what a process has in hand -----------------------------------------------------------------
 */

bool owner_hold(struct sim *s, uint32_t client, struct sim_block block)
{
	struct sim_client *x = &s->client[client];

	if (x->n_held == SIM_HELD_MAX)
		return false;
	x->held[x->n_held++] = block;
	x->nr_frames += UINT64_C(1) << block.order;
	return true;
}

struct sim_block owner_unhold(struct sim *s, uint32_t client, uint32_t i)
{
	struct sim_client *x = &s->client[client];
	struct sim_block block = x->held[i];

	x->held[i] = x->held[--x->n_held];
	x->nr_frames -= UINT64_C(1) << block.order;
	return block;
}

uint32_t owner_pick(struct sim *s, uint32_t client, bool (*wanted)(const struct sim_block *))
{
	const struct sim_client *x = &s->client[client];
	uint32_t first = x->n_held ? sim_below(s, x->n_held) : 0;

	for (uint32_t n = 0; n < x->n_held; n++) {
		uint32_t i = (first + n) % x->n_held;

		if (wanted(&x->held[i]))
			return i;
	}
	return SIM_NONE;
}

bool owner_is_own(const struct sim_block *block)
{
	return block->refs == 0 && block->cache == 0;
}

bool owner_is_shared(const struct sim_block *block)
{
	return block->refs > 0;
}
