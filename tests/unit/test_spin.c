/* tests/unit/test_spin.c - paged/spin.h: the window follows what spinning brought. */
#include "paged/spin.h"

#include <CUnit/CUnit.h>

#define MAX_NS 50000u

static void a_spin_that_wins_keeps_its_window(void)
{
	struct spin spin;

	spin_init(&spin, MAX_NS);
	for (int i = 0; i < 100; i++)
		spin_won(&spin, 1000);
	CU_ASSERT_EQUAL(spin.window_ns, MAX_NS);
}

static void what_comes_late_ends_the_spinning(void)
{
	struct spin spin;
	int n = 0;

	spin_init(&spin, MAX_NS);
	for (; spin.window_ns && n < 100; n++)
		spin_lost(&spin, 10 * (uint64_t)MAX_NS);
	CU_ASSERT(n <= 6);
	for (int i = 0; i < 1000; i++) /* and it does not come back while sleeps are long */
		spin_lost(&spin, 10 * (uint64_t)MAX_NS);
	CU_ASSERT_EQUAL(spin.window_ns, 0);
}

static void a_narrow_loss_lengthens_the_window(void)
{
	struct spin spin;

	spin_init(&spin, MAX_NS);
	spin_lost(&spin, 10 * (uint64_t)MAX_NS);
	spin_lost(&spin, 10 * (uint64_t)MAX_NS);
	CU_ASSERT_EQUAL(spin.window_ns, MAX_NS / 4);
	spin_lost(&spin, MAX_NS / 2);
	CU_ASSERT_EQUAL(spin.window_ns, MAX_NS / 2);
	spin_won(&spin, MAX_NS / 2 - 1); /* close: so a little later would have been lost */
	CU_ASSERT_EQUAL(spin.window_ns, MAX_NS);
}

/* Two on one processor: it comes as soon as we sleep, however long we spun before. */
static void what_comes_because_we_sleep_costs_a_spin_in_sixty_four(void)
{
	struct spin spin;
	uint64_t spun_ns = 0;

	spin_init(&spin, MAX_NS);
	for (int i = 0; i < 100000; i++) {
		spun_ns += spin.window_ns;
		spin_lost(&spin, 3000);
	}
	CU_ASSERT(spun_ns / 100000 < 2000);
	CU_ASSERT_EQUAL(spin.losses, SPIN_LOSSES_MAX);
}

static void a_crowded_processor_ends_the_spinning_at_once(void)
{
	struct spin spin;
	uint32_t n = 0;

	spin_init(&spin, MAX_NS);
	spin_crowded(&spin);
	CU_ASSERT_EQUAL(spin.window_ns, 0);
	for (; spin.window_ns == 0 && n < 100; n++)
		spin_lost(&spin, 3000);
	CU_ASSERT_EQUAL(n, 2);
	spin_won(&spin, 1000); /* it is alone again */
	CU_ASSERT_EQUAL(spin.losses, 0);
}

static void without_a_maximum_nothing_spins(void)
{
	struct spin spin;

	spin_init(&spin, 0);
	spin_lost(&spin, 0);
	spin_won(&spin, 0);
	spin_lost(&spin, 1);
	CU_ASSERT_EQUAL(spin.window_ns, 0);
	spin_follow(&spin, MAX_NS); /* the next daemon does */
	CU_ASSERT_EQUAL(spin.window_ns, MAX_NS);
}

CU_TestInfo test_spin[] = {
	{"a_spin_that_wins_keeps_its_window", a_spin_that_wins_keeps_its_window},
	{"what_comes_late_ends_the_spinning", what_comes_late_ends_the_spinning},
	{"a_narrow_loss_lengthens_the_window", a_narrow_loss_lengthens_the_window},
	{"what_comes_because_we_sleep_costs_a_spin_in_sixty_four",
	 what_comes_because_we_sleep_costs_a_spin_in_sixty_four},
	{"a_crowded_processor_ends_the_spinning_at_once",
	 a_crowded_processor_ends_the_spinning_at_once},
	{"without_a_maximum_nothing_spins", without_a_maximum_nothing_spins},
	CU_TEST_INFO_NULL,
};
