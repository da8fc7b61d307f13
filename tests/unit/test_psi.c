/* tests/unit/test_psi.c - daemon/core/psi against numbers worked out by hand and a naive reference.
 *
 * The reference knows no missed periods and no powers: it steps through every period of 2 s, one by
 * one, with what was stalled in it. The kernel does not spread what it is told late over the
 * periods before, and rounds a power once and not at each factor, so both are compared where they
 * must agree exactly (a look in every period) and within the rounding after a pause. */
#include "daemon/core/psi.h"
#include "tests/support/fixture_pool.h"

#include <string.h>

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define START (1000 * SECOND)

extern CU_TestInfo test_psi[];

static struct psi begin(void)
{
	struct shm_psi none = {0};
	struct psi psi;

	psi_init(&psi, &none, START);
	return psi;
}

static struct shm_psi shown(const struct psi *psi)
{
	struct shm_psi to = {0};

	psi_publish(psi, &to);
	return to;
}

static void nothing_happens_before_a_period_is_over(void)
{
	struct psi psi = begin();

	psi_add(&psi, SHM_PSI_SOME, SECOND);
	CU_ASSERT_FALSE(psi_update(&psi, START + 2 * SECOND - 1));
	CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_SOME][0], 0);
	CU_ASSERT_EQUAL(shown(&psi).total_us[SHM_PSI_SOME], 1000000);
	CU_ASSERT_EQUAL(shown(&psi).total_us[SHM_PSI_FULL], 0);
}

/* Half of one period: 50 %. avg10 = 50 * (2048 - 1677) / 2048 = 9.057, avg60 = 50 * 67 / 2048 =
 * 1.635, avg300 = 50 * 14 / 2048 = 0.341; each rounded up in the 11th bit. */
static void half_of_a_period_counts_as_the_kernel_counts_it(void)
{
	struct psi psi = begin();

	psi_add(&psi, SHM_PSI_SOME, SECOND);
	CU_ASSERT(psi_update(&psi, START + 2 * SECOND));
	CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_SOME][0], 905);
	CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_SOME][1], 163);
	CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_SOME][2], 34);
	CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_FULL][0], 0);
}

static void a_stall_without_end_reaches_100_percent(void)
{
	struct psi psi = begin();

	for (uint64_t t = 1; t <= 2000; t++) {
		psi_add(&psi, SHM_PSI_FULL, 2 * SECOND);
		CU_ASSERT(psi_update(&psi, START + t * 2 * SECOND));
	}
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(shown(&psi).avg[SHM_PSI_FULL][i], 10000);
}

/* What a caller told late is not lost: it counts in the periods that follow. */
static void what_is_more_than_a_period_counts_in_the_next(void)
{
	struct psi psi = begin();
	uint64_t before;

	psi_add(&psi, SHM_PSI_SOME, 3 * SECOND);
	CU_ASSERT(psi_update(&psi, START + 2 * SECOND));
	before = psi.avg[SHM_PSI_SOME][0];
	CU_ASSERT(psi_update(&psi, START + 4 * SECOND));
	CU_ASSERT(psi.avg[SHM_PSI_SOME][0] > before); /* 50 % of that one */
	CU_ASSERT_EQUAL(psi.sampled_ns[SHM_PSI_SOME], 3 * SECOND);
}

/* --- against the reference --- */

static const uint64_t factors[3] = {1677, 1981, 2034};

static void naive(uint64_t avg[3], uint64_t percent)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t active = percent * 2048;
		uint64_t sum = avg[i] * factors[i] + active * (2048 - factors[i]);

		avg[i] = (active >= avg[i] ? sum + 2047 : sum) / 2048;
	}
}

static void averages_agree_with_a_naive_count(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t avg[3] = {0}, total = 0, random = seed;
		struct psi psi = begin();

		for (uint64_t t = 1; t <= 500; t++) {
			uint64_t percent =
				fixture_random(&random) % 3 ? fixture_random(&random) % 101 : 0;

			psi_add(&psi, SHM_PSI_SOME, percent * 20 * MS);
			total += percent * 20000;
			CU_ASSERT(psi_update(&psi, START + t * 2 * SECOND));
			naive(avg, percent);
			CU_ASSERT_EQUAL(memcmp(avg, psi.avg[SHM_PSI_SOME], sizeof avg), 0);
		}
		CU_ASSERT_EQUAL(shown(&psi).total_us[SHM_PSI_SOME], total);
	}
}

static void a_pause_is_made_up_for_at_once(void)
{
	for (uint64_t pause = 1; pause < 400; pause += 7) {
		struct psi psi = begin();
		uint64_t avg[3] = {0};

		for (uint64_t t = 1; t <= 30; t++) {
			psi_add(&psi, SHM_PSI_SOME, SECOND);
			CU_ASSERT(psi_update(&psi, START + t * 2 * SECOND));
			naive(avg, 50);
		}
		CU_ASSERT(psi_update(&psi, START + (30 + pause) * 2 * SECOND));
		for (uint64_t t = 0; t < pause; t++)
			naive(avg, 0);
		for (uint32_t i = 0; i < 3; i++) /* within 1.5 %: the power is rounded, too */
			CU_ASSERT(psi.avg[SHM_PSI_SOME][i] <= avg[i] + 3072 &&
				  avg[i] <= psi.avg[SHM_PSI_SOME][i] + 3072);
	}
}

static void numbers_go_on_after_a_restart(void)
{
	struct psi psi = begin(), next;
	struct shm_psi from;

	for (uint64_t t = 1; t <= 5; t++) {
		psi_add(&psi, SHM_PSI_SOME, SECOND);
		CU_ASSERT(psi_update(&psi, START + t * 2 * SECOND));
	}
	from = shown(&psi);
	psi_init(&next, &from, START + 11 * SECOND);
	CU_ASSERT_EQUAL(shown(&next).total_us[SHM_PSI_SOME], 5000000);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(shown(&next).avg[SHM_PSI_SOME][i], from.avg[SHM_PSI_SOME][i]);
	CU_ASSERT_FALSE(psi_update(&next, START + 12 * SECOND));
}

/* --- windows --- */

static void a_window_fades_the_one_before_out(void)
{
	struct psi_window window;

	psi_window_init(&window, 2 * SECOND, START, 77);
	CU_ASSERT_EQUAL(psi_window_update(&window, START + SECOND, 77 + 100 * MS), 100 * MS);
	CU_ASSERT_EQUAL(psi_window_update(&window, START + 2 * SECOND + 1, 77 + 300 * MS),
			300 * MS);
	/* Half of a second window without growth: half of the 300 ms are left. */
	CU_ASSERT_EQUAL(psi_window_update(&window, START + 3 * SECOND + 1, 77 + 300 * MS),
			150 * MS);
	CU_ASSERT_EQUAL(psi_window_update(&window, START + 3 * SECOND + 1, 77 + 350 * MS),
			200 * MS);
	CU_ASSERT_EQUAL(psi_window_update(&window, START + 9 * SECOND, 77 + 350 * MS), 50 * MS);
	CU_ASSERT_EQUAL(psi_window_update(&window, START + 18 * SECOND, 77 + 350 * MS), 0);
}

CU_TestInfo test_psi[] = {
	{"nothing happens before a period is over", nothing_happens_before_a_period_is_over},
	{"half of a period counts as the kernel counts it",
	 half_of_a_period_counts_as_the_kernel_counts_it},
	{"a stall without end reaches 100 percent", a_stall_without_end_reaches_100_percent},
	{"what is more than a period counts in the next",
	 what_is_more_than_a_period_counts_in_the_next},
	{"averages agree with a naive count", averages_agree_with_a_naive_count},
	{"a pause is made up for at once", a_pause_is_made_up_for_at_once},
	{"numbers go on after a restart", numbers_go_on_after_a_restart},
	{"a window fades the one before out", a_window_fades_the_one_before_out},
	CU_TEST_INFO_NULL,
};
