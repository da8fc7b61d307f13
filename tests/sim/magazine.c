/* tests/sim/magazine.c - a thread's ends of its magazines.
 *
 * The code is the library's (client/magazine.c). One pop is made by hand, in two parts with time in
 * between, as by a thread that is stopped there: what is stolen meanwhile is not the thread's, what
 * is not stolen is. The parts are those of pageclient/fast.h. */
#include "tests/sim/sim.h"

#define TAKE_MAX 16u

static uint32_t number_for(struct sim *s, order_t order)
{
	if (order == 0)
		return sim_chance(s, 4) ? MAGAZINE_COLD : MAGAZINE_HOT;
	return MAGAZINE_ORDER_1 + order - 1;
}

static pfn_t pfn_of(const struct sim *s, const struct sim_client *x, const void *frame)
{
	return (pfn_t)((uint64_t)((const char *)frame - x->view.data) >> s->page_shift);
}

void magazine_bind(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	char *ctl = world_ctl(s, x->ctl);

	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
		struct magazine *magazine = &x->thread[thread].magazines[m];

		magazine->head = pool_head(s->pool, x->id, thread, m);
		magazine->bottom = (uint64_t *)(void *)(ctl + shm_ctl_bottom_offset(thread, m));
		magazine->slot = (uint32_t *)(void *)(ctl + shm_ctl_slots_offset(thread, m));
		magazine->mask = shm_load32(&magazine->head->capacity) - 1;
	}
}

static void got(struct sim *s, uint32_t client, uint32_t number, pfn_t pfn)
{
	struct sim_block block = {.pfn = pfn, .order = magazine_order(number)};

	owner_gains(s, client, pfn, block.order);
	PAGED_CHECK(owner_hold(s, client, block));
}

uint32_t magazine_take(struct sim *s, uint32_t client, uint32_t thread, uint32_t number, uint32_t n)
{
	struct sim_client *x = &s->client[client];
	void *frames[TAKE_MAX];
	size_t taken;

	n = n < TAKE_MAX ? n : TAKE_MAX;
	if (x->n_held + n > SIM_HELD_MAX)
		return n; /* as if */
	taken = magazine_pop(&x->thread[thread].magazines[number], &x->view, frames, n);
	for (size_t i = 0; i < taken && !s->failed; i++)
		got(s, client, number, pfn_of(s, x, frames[i]));
	return (uint32_t)taken;
}

bool magazine_give(struct sim *s, uint32_t client, uint32_t thread, struct sim_block block)
{
	struct sim_client *x = &s->client[client];
	void *frame = x->view.data + ((uint64_t)block.pfn << s->page_shift);
	uint32_t number = number_for(s, block.order);
	enum magazine_stop stop;

	if (magazine_push(&x->thread[thread].magazines[number], &x->view, &frame, 1, block.order,
			  &stop) == 0) {
		sim_cover(s, FAULT_MAGAZINE_FULL);
		x->thread[thread].magazine = number;
		return false;
	}
	owner_gives(s, client, &block);
	return true;
}

/* For any magazine, empty or not: what the library does for those that are. */
void magazine_ring(struct sim *s, uint32_t client, uint32_t thread, uint32_t number)
{
	char *ctl = world_ctl(s, s->client[client].ctl);
	uint64_t *word = (uint64_t *)(void *)(ctl + shm_ctl_ring_offset(thread));
	uint64_t *bell = (uint64_t *)(void *)(ctl + SHM_CTL_BELL_OFFSET);

	*word = (uint64_t)number << SHM_RING_WANT_BITS | (sim_chance(s, 2) ? sim_below(s, 40) : 0);
	*bell |= UINT64_C(1) << thread;
}

void magazine_begin_pop(struct sim *s, uint32_t client, uint32_t thread, uint32_t number)
{
	struct sim_thread *x = &s->client[client].thread[thread];
	struct magazine *magazine = &x->magazines[number];

	x->state = THREAD_IN_POP;
	x->magazine = number;
	x->seen_top = shm_load(&magazine->head->top);
	x->seen_bottom = *magazine->bottom;
	x->has_stored = sim_chance(s, 2);
	if (x->has_stored)
		*magazine->bottom = x->seen_bottom - 1;
}

void magazine_end_pop(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_thread *x = &s->client[client].thread[thread];
	struct magazine *magazine = &x->magazines[x->magazine];
	uint64_t bottom = x->seen_bottom - 1, top = shm_load(&magazine->head->top);

	*magazine->bottom = bottom;
	if (s->control == CONTROL_NO_FENCE)
		top = x->seen_top;
	x->state = THREAD_IDLE;
	if ((int64_t)(x->seen_top - top) > 0)
		sim_cover(s, FAULT_HALF_POP_GRANTED);
	if ((int64_t)(bottom - top) >= 0) {
		sim_cover(s, FAULT_HALF_POP_KEPT);
		got(s, client, x->magazine, magazine->slot[bottom & magazine->mask]);
		return;
	}
	if ((int64_t)(bottom - x->seen_top) >= 0)
		sim_cover(s, FAULT_HALF_POP_STOLEN);
	*magazine->bottom = bottom + 1;
}
