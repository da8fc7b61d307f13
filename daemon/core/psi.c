/* daemon/core/psi.c - the kernel's averages; see psi.h for where they come from. */
#include "daemon/core/psi.h"

#include "paged/bits.h"
#include "paged/check.h"
#include "shm/access.h"

#define FIXED_SHIFT 11u
#define FIXED_1 (UINT64_C(1) << FIXED_SHIFT)

/* e^(-2s/10s), e^(-2s/60s) and e^(-2s/300s) in fixed point: EXP_10s, EXP_60s, EXP_300s. */
static const uint64_t decay[3] = {1677, 1981, 2034};

/* x^n in fixed point (fixed_power_int()). */
static uint64_t power(uint64_t x, uint64_t n)
{
	uint64_t result = FIXED_1;

	for (; n; n >>= 1) {
		if (n & 1)
			result = (result * x + FIXED_1 / 2) >> FIXED_SHIFT;
		x = (x * x + FIXED_1 / 2) >> FIXED_SHIFT;
	}
	return result;
}

/* calc_load(): rounds up while it rises, so that 100 % is reached. */
static uint64_t average(uint64_t load, uint64_t exp, uint64_t active)
{
	uint64_t sum = load * exp + active * (FIXED_1 - exp);

	if (active >= load)
		sum += FIXED_1 - 1;
	return sum / FIXED_1;
}

void psi_init(struct psi *psi, const struct shm_psi *from, uint64_t now_ns)
{
	for (uint32_t kind = 0; kind < SHM_PSI_KINDS; kind++) {
		psi->total_ns[kind] = from->total_us[kind] * 1000;
		psi->sampled_ns[kind] = psi->total_ns[kind];
		for (uint32_t i = 0; i < 3; i++)
			psi->avg[kind][i] =
				(bits_min(from->avg[kind][i], 10000) * FIXED_1 + 99) / 100;
	}
	psi->last_ns = now_ns;
	psi->next_ns = now_ns + PSI_PERIOD_NS;
}

void psi_add(struct psi *psi, enum shm_psi_kind kind, uint64_t ns)
{
	PAGED_DEBUG_CHECK(kind < SHM_PSI_KINDS);
	psi->total_ns[kind] += ns;
}

static void sample(uint64_t avg[3], uint64_t missed, uint64_t active_ns, uint64_t period_ns)
{
	uint64_t percent = active_ns * 100 / period_ns * FIXED_1;

	for (uint32_t i = 0; i < 3; i++) {
		if (missed)
			avg[i] = average(avg[i], power(decay[i], missed), 0);
		avg[i] = average(avg[i], decay[i], percent);
	}
}

bool psi_update(struct psi *psi, uint64_t now_ns)
{
	uint64_t missed, period;

	if (now_ns < psi->next_ns)
		return false;
	missed = (now_ns - psi->next_ns) / PSI_PERIOD_NS;
	period = now_ns - (psi->last_ns + missed * PSI_PERIOD_NS);
	PAGED_CHECK(period > 0);
	psi->next_ns += (1 + missed) * PSI_PERIOD_NS;
	psi->last_ns = now_ns;
	for (uint32_t kind = 0; kind < SHM_PSI_KINDS; kind++) {
		/* What is more than a period, because it was told late, counts in the next. */
		uint64_t active = bits_min(psi->total_ns[kind] - psi->sampled_ns[kind], period);

		psi->sampled_ns[kind] += active;
		sample(psi->avg[kind], missed, active, period);
	}
	return true;
}

void psi_publish(const struct psi *psi, struct shm_psi *to)
{
	for (uint32_t kind = 0; kind < SHM_PSI_KINDS; kind++) {
		shm_store(&to->total_us[kind], psi->total_ns[kind] / 1000);
		for (uint32_t i = 0; i < 3; i++)
			__atomic_store_n(&to->avg[kind][i],
					 (uint16_t)(psi->avg[kind][i] * 100 >> FIXED_SHIFT),
					 __ATOMIC_RELAXED);
	}
}

/* --- windows ------------------------------------------------------------------------------------
 */

static void reset(struct psi_window *window, uint64_t now_ns, uint64_t value, uint64_t growth)
{
	window->start_ns = now_ns;
	window->start_value = value;
	window->last_growth = growth;
}

void psi_window_init(struct psi_window *window, uint64_t size_ns, uint64_t now_ns, uint64_t value)
{
	PAGED_CHECK(size_ns > 0);
	window->size_ns = size_ns;
	reset(window, now_ns, value, 0);
}

uint64_t psi_window_update(struct psi_window *window, uint64_t now_ns, uint64_t value)
{
	uint64_t elapsed = now_ns - window->start_ns;
	uint64_t growth = value - window->start_value;

	if (elapsed > window->size_ns) {
		reset(window, now_ns, value, growth);
		return growth;
	}
	/* The window before, as far as this one has not gone yet. In microseconds, or the product
	 * of two times would not fit. Mostly there was nothing, at every step, and it takes three
	 * divisions. */
	if (window->last_growth < 1000)
		return growth;
	return growth + window->last_growth / 1000 * ((window->size_ns - elapsed) / 1000) /
				(window->size_ns / 1000) * 1000;
}
