/* client/spin.c - waiting without sleeping, for a daemon that does not sleep.
 *
 * The daemon says in META whether it is looking for requests and rings at this moment, and on which
 * processor (`awake`). If it is, and on another one than ours, it answers within a microsecond or
 * some, and to sleep and be woken would cost tens of them. If it is not, a spin would wait for its
 * waking up, and that is what sleeping is for. With busy_poll = 0 it never is.
 *
 * A ring, in memory, is shorter than a request through a socket by two system calls on each side:
 *
 *   ours                            the daemon's
 *   word = magazine, how many
 *   bell |= thread  (exchange) ---> bell = 0 (exchange), word, grant: slots, journal, top
 *   top? top? top! <-------------------'
 *
 * It is a hint: if top does not move within the window, or the daemon refuses, a PcpRefill is sent
 * as if nothing had been. What the daemon grants at a ring it may grant at any later moment as
 * well, while we pop: see daemon/core/magazine.c. The size of the ring of slots is not changed by
 * it (C3). */
#include "client/spin.h"

#include "client/client_private.h"

#include "paged/bits.h"

#include <sched.h>

/* Looks at top, some 40 ns apart, for one at the clock. */
#define SPIN_LOOKS 16u

uint32_t spin_max_ns(const pageclient *client)
{
	return shm_load32(&client->view.header->busy_poll_us) * 1000u;
}

bool spin_is_worth(const pageclient *client)
{
	uint32_t awake = shm_load32(&client->view.header->awake);

	return awake != 0 && awake != (uint32_t)(sched_getcpu() + 1);
}

static uint64_t *word_of(const pageclient *client, const struct pcp *pcp)
{
	return (uint64_t *)(void *)(client->ctl + shm_ctl_ring_offset(pcp->index));
}

static void ring(const pageclient *client, const struct pcp *pcp, uint32_t magazine,
		 size_t n_wanted)
{
	uint64_t want = bits_min(n_wanted, UINT32_MAX);
	uint64_t *word = word_of(client, pcp);
	uint64_t *bell = (uint64_t *)(void *)(client->ctl + SHM_CTL_BELL_OFFSET);

	__atomic_store_n(word, (uint64_t)magazine << SHM_RING_WANT_BITS | want, __ATOMIC_RELAXED);
	/* seq_cst: release pairs with the acquire in the daemon's pool_take_rings(); the look at
	 * `awake` that follows is not before it, see daemon/wire/busy.c */
	(void)__atomic_fetch_or(bell, UINT64_C(1) << pcp->index, __ATOMIC_SEQ_CST);
}

static bool has_come(const struct magazine *magazine)
{
	uint64_t bottom = __atomic_load_n(magazine->bottom, __ATOMIC_RELAXED); /* ours */

	/* acquire; pairs with the grant's store of top */
	return (int64_t)(bottom - shm_load(&magazine->head->top)) > 0;
}

enum spin_end spin_ring(pageclient *client, struct pcp *pcp, uint32_t magazine, size_t n_wanted)
{
	const struct magazine *m = &pcp->magazine[magazine];
	struct spin *watch = &pcp->watch;
	uint64_t begin;

	spin_follow(watch, spin_max_ns(client));
	if (!spin_is_worth(client))
		return SPIN_ASLEEP;
	if (watch->window_ns == 0)
		return SPIN_VAIN;
	begin = clock_now_ns();
	ring(client, pcp, magazine, n_wanted);
	for (uint32_t i = 1; !has_come(m); i++) {
		if (i % SPIN_LOOKS == 0 && clock_now_ns() - begin >= watch->window_ns)
			return SPIN_VAIN;
		if (!spin_is_worth(client))
			return SPIN_ASLEEP;
		if (shm_load(word_of(client, pcp)) == SHM_RING_REFUSED)
			return SPIN_REFUSED;
		spin_pause();
	}
	spin_won(watch, clock_now_ns() - begin);
	return SPIN_CAME;
}
