/* paged/spin.h - how long to look again and again before sleeping: adaptive, bounded, pure.
 *
 * Waking another processor's sleeper costs tens of microseconds, a look at what it wrote 0.1. Who
 * spins for as long as sleeping and waking would have cost pays at most twice what an oracle would
 * (the ski rental). But where what is waited for comes rarely, or comes only once the processor is
 * given up (both sides are on one), every spin is lost; so the window follows what it brought, as
 * the kernel's halt polling does:
 *
 *   won            it came within the window: the window stays, or doubles if it was close
 *   lost, narrowly it came soon after the sleep began, and a longer window, up to max, would have
 *                  won: it doubles
 *   lost           else it halves, and ends at 0
 *
 * A window of 0 comes back when sleeps are short again: after one such at first, then after 2, 4
 * ... if spinning went on to lose, so that two on one processor pay for a spin once in 64 waits.
 * What comes sooner after the sleep began than the spin before it had lasted came because we slept:
 * that is no narrow loss.
 *
 * The caller has the clock, one struct for each waiter, and no lock. */
#ifndef PAGED_SPIN_H
#define PAGED_SPIN_H
#include <stdint.h>

/* Lower: a window that is no help lives on. Higher: one that would help ends early. */
#define SPIN_MIN_NS 2000u
/* The window is tried again after 1 << that many short sleeps at most. Lower: two on one processor
 * lose more; higher: those who were moved apart notice later. */
#define SPIN_LOSSES_MAX 6u

struct spin {
	uint32_t max_ns; /* 0: never */
	uint32_t window_ns;
	uint8_t losses; /* since the last spin that won, while the window was 0 */
	uint8_t short_sleeps;
};

static inline void spin_init(struct spin *spin, uint32_t max_ns)
{
	*spin = (struct spin){.max_ns = max_ns, .window_ns = max_ns};
}

/* max may have changed: the daemon was restarted. */
static inline void spin_follow(struct spin *spin, uint32_t max_ns)
{
	if (spin->max_ns != max_ns)
		spin_init(spin, max_ns);
}

/* It came while we spun, after so long. */
static inline void spin_won(struct spin *spin, uint64_t after_ns)
{
	spin->losses = 0;
	spin->short_sleeps = 0;
	if (after_ns > spin->window_ns / 2)
		spin->window_ns =
			spin->window_ns > spin->max_ns / 2 ? spin->max_ns : spin->window_ns * 2;
}

/* The spin was in vain; then we slept for so long until it came. */
static inline void spin_lost(struct spin *spin, uint64_t slept_ns)
{
	if (spin->window_ns == 0) {
		if (slept_ns > spin->max_ns || spin->max_ns == 0 ||
		    ++spin->short_sleeps < 1u << spin->losses)
			return;
		spin->short_sleeps = 0;
		spin->window_ns = spin->max_ns;
		return;
	}
	if (slept_ns > spin->window_ns && slept_ns + spin->window_ns <= spin->max_ns) {
		spin->window_ns =
			spin->window_ns > spin->max_ns / 2 ? spin->max_ns : spin->window_ns * 2;
		return;
	}
	spin->window_ns /= 2;
	if (spin->window_ns >= SPIN_MIN_NS)
		return;
	spin->window_ns = 0;
	if (spin->losses < SPIN_LOSSES_MAX)
		spin->losses++;
}

/* Somebody else wanted the processor that we spun on, and had it: what is waited for may come from
 * there, and even if not, who sleeps gets the processor back sooner than who used up its share. */
static inline void spin_crowded(struct spin *spin)
{
	spin->window_ns = 0;
	spin->short_sleeps = 0;
	if (spin->losses < SPIN_LOSSES_MAX)
		spin->losses++;
}

/* Between two looks: tells the processor, and the other thread of its core, that we wait. */
static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
