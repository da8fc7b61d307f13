/* tests/unit/test_peers_verdict.c - medians, ratios, and which of the figures to reach are reached.
 */
#include "bench/peers/verdict.h"
#include "bench/slices.h"
#include "tests/support/runner.h"

#include <string.h>

#define ROUNDS 3u

static const double one[ROUNDS] = {1, 1, 1};

/* A book of what the test says was measured. */
struct library {
	struct series series[32];
	double value[32][ROUNDS];
	struct book book;
};

static void library_add(struct library *library, const char *name, enum verdict_role role, double a,
			double b, double c)
{
	size_t i = library->book.n++;

	library->value[i][0] = a;
	library->value[i][1] = b;
	library->value[i][2] = c;
	library->series[i] = (struct series){name, role, ROUNDS, library->value[i]};
	library->book.series = library->series;
}

/* The line with that beginning; there has to be one. */
static struct verdict judge(const struct library *library, const char *line, const char *goal)
{
	struct verdict verdict = {0};

	for (size_t i = 0; verdict_judge(&library->book, i, &verdict); i++) {
		if (strncmp(verdict.line, line, strlen(line)) == 0 &&
		    strncmp(verdict.goal, goal, strlen(goal)) == 0)
			return verdict;
	}
	CU_FAIL("no such line");
	return (struct verdict){0};
}

static void median_is_that_of_sorted_values(void)
{
	const double odd[] = {9, 1, 5}, even[] = {4, 10, 1, 2};
	struct summary summary = stats_summarize(odd, 3);

	CU_ASSERT_EQUAL(summary.median, 5);
	CU_ASSERT_EQUAL(summary.min, 1);
	CU_ASSERT_EQUAL(summary.max, 9);
	CU_ASSERT_EQUAL(odd[0], 9); /* the rounds stay in order */
	CU_ASSERT_EQUAL(stats_summarize(even, 4).median, 3);
	CU_ASSERT_EQUAL(stats_summarize(one, 1).median, 1);
}

static void ratios_are_those_of_the_same_round(void)
{
	/* The machine is ten times slower in the second round, for both. */
	const double a[] = {1, 10, 1}, b[] = {2, 20, 2};
	struct summary summary = stats_compare(a, b, 3);

	CU_ASSERT_EQUAL(summary.median, 0.5);
	CU_ASSERT_EQUAL(summary.min, 0.5);
	CU_ASSERT_EQUAL(summary.max, 0.5);
}

static void verdict_is_of_the_ratio_of_medians(void)
{
	struct library library = {0};
	struct verdict verdict;

	library_add(&library, "hot_pair/paged", ROLE_OURS, 3, 4, 100);
	library_add(&library, "hot_pair/dpdk", ROLE_PEER, 10, 5, 8);
	verdict = judge(&library, "hot_pair", "0.7");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_REACHED);
	CU_ASSERT_DOUBLE_EQUAL(verdict.worst, 0.5, 1e-9);
	library.value[1][0] = 5;
	library.value[1][2] = 5; /* now 4 / 5 */
	verdict = judge(&library, "hot_pair", "0.7");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_REACHED);
	CU_ASSERT_DOUBLE_EQUAL(verdict.worst, 0.8, 1e-9);
}

static void a_limit_itself_is_reached(void)
{
	struct library library = {0};

	library_add(&library, "bulk_32/paged", ROLE_OURS, 2, 2, 2);
	library_add(&library, "bulk_32/dpdk", ROLE_PEER, 2, 2, 2);
	library_add(&library, "two_clients/paged", ROLE_OURS, 1.9, 1.9, 1.9);
	CU_ASSERT_EQUAL(judge(&library, "bulk_32", "").outcome, VERDICT_REACHED);
	CU_ASSERT_EQUAL(judge(&library, "two clients", "").outcome, VERDICT_REACHED);
	library.value[2][0] = library.value[2][1] = 1.89;
	CU_ASSERT_EQUAL(judge(&library, "two clients", "").outcome, VERDICT_NOT_REACHED);
}

static void every_malloc_counts_and_the_worst_is_shown(void)
{
	struct library library = {0};
	struct verdict verdict;

	library_add(&library, "hot_pair/paged", ROLE_OURS, 5, 5, 5);
	library_add(&library, "hot_pair/jemalloc", ROLE_MALLOC, 10, 10, 10);
	library_add(&library, "hot_pair/tcmalloc", ROLE_MALLOC, 4, 4, 4);
	library_add(&library, "hot_pair/glibc", ROLE_MALLOC, 20, 20, 20);
	library_add(&library, "hot_pair/stack", ROLE_FLOOR, 1, 1, 1); /* nobody's peer */
	library_add(&library, "hot_pair/dpdk", ROLE_PEER, 2, 2, 2);   /* another line's */
	verdict = judge(&library, "hot_pair", "below every malloc");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_REACHED);
	CU_ASSERT_EQUAL(verdict.n_checks, 3);
	CU_ASSERT_EQUAL(verdict.n_good, 2);
	CU_ASSERT_DOUBLE_EQUAL(verdict.worst, 1.25, 1e-9);
	CU_ASSERT_STRING_EQUAL(verdict.worst_name, "hot_pair: tcmalloc");
}

static void every_peer_includes_the_mallocs(void)
{
	struct library library = {0};
	struct verdict verdict;

	library_add(&library, "mixed_0_9/paged", ROLE_OURS, 5, 5, 5);
	library_add(&library, "mixed_0_9/dpdk", ROLE_PEER, 10, 10, 10);
	library_add(&library, "mixed_0_9/glibc", ROLE_MALLOC, 4, 4, 4);
	verdict = judge(&library, "mixed_0_9", "");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_REACHED);
	CU_ASSERT_EQUAL(verdict.n_checks, 2);
	CU_ASSERT_STRING_EQUAL(verdict.worst_name, "mixed_0_9: glibc");
}

static void what_was_not_measured_is_not_reached(void)
{
	struct library library = {0};
	struct verdict verdict;

	library_add(&library, "hot_pair/paged", ROLE_OURS, 5, 5, 5);
	verdict = judge(&library, "hot_pair", "0.7");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_MEASURED);
	CU_ASSERT_EQUAL(verdict.n_checks, 0);
	library_add(&library, "hot_pair/dpdk", ROLE_PEER, 50, 50, 50);
	library.series[1].n = 0; /* it could not run */
	CU_ASSERT_EQUAL(judge(&library, "hot_pair", "0.7").outcome, VERDICT_NOT_MEASURED);
	library.series[1].n = ROUNDS;
	CU_ASSERT_EQUAL(judge(&library, "hot_pair", "0.7").outcome, VERDICT_REACHED);
}

static void one_case_that_fails_outweighs_those_not_measured(void)
{
	struct library library = {0};
	struct verdict verdict;

	library_add(&library, "burst_512_fifo/paged", ROLE_OURS, 3, 3, 3);
	library_add(&library, "burst_512_fifo/dpdk", ROLE_PEER, 6, 6, 6);
	verdict = judge(&library, "burst_512", "");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_MEASURED); /* five are missing */
	CU_ASSERT_EQUAL(verdict.n_missing, 5);
	CU_ASSERT_EQUAL(verdict.n_good, 1);
	library.value[1][0] = library.value[1][1] = 2;
	verdict = judge(&library, "burst_512", "");
	CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_REACHED);
	CU_ASSERT_STRING_EQUAL(verdict.worst_name, "burst_512_fifo");
}

/* burst_64 is no beginning of burst_65536, and "roundtrip" no row. */
/* A clock that stands still for most slices cannot be had; that none is lost or done twice can. */
static void slices_are_all_of_a_run(void)
{
	static const uint64_t many[] = {1, SLICES - 1, SLICES, SLICES + 1, 1000003};

	for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++) {
		struct slices slices = slices_of(many[i]);
		uint64_t sum = 0, some, n = 0;

		for (; (some = slices_next(&slices)) > 0; n++) {
			sum += some;
			CU_ASSERT(some <= many[i] / SLICES + 1);
		}
		CU_ASSERT_EQUAL(sum, many[i]);
		CU_ASSERT_EQUAL(n, many[i] < SLICES ? many[i] : SLICES);
		CU_ASSERT_EQUAL(slices_sum(&slices).ops, many[i]);
	}
}

/* One in three was disturbed. */
static void the_median_of_slices_counts(void)
{
	struct slices slices = {.n = 300, .n_done = 3, .ns = {7, 9000, 5}};

	CU_ASSERT_EQUAL(slices_sum(&slices).ns, 300 * 7);
}

static void rows_are_found_by_their_whole_name(void)
{
	struct library library = {0};

	library_add(&library, "burst_512_fifo_touch/paged", ROLE_OURS, 3, 3, 3);
	CU_ASSERT_PTR_NULL(book_find(&library.book, "burst_512_fifo", 14, "paged"));
	CU_ASSERT_PTR_NOT_NULL(book_find(&library.book, "burst_512_fifo_touch", 20, "paged"));
	CU_ASSERT_PTR_NULL(book_find(&library.book, "burst_512_fifo_touch", 20, "page"));
}

/* Each names what it compares as the registry does; a slip of the pen would never be measured. */
static void every_line_has_a_check(void)
{
	struct library library = {0};
	struct verdict verdict;
	size_t n = 0;

	library_add(&library, "none/none", ROLE_PEER, 1, 1, 1);
	while (verdict_judge(&library.book, n, &verdict)) {
		CU_ASSERT_EQUAL(verdict.outcome, VERDICT_NOT_MEASURED);
		CU_ASSERT(verdict.n_missing > 0);
		n++;
	}
	CU_ASSERT_EQUAL(n, 22);
}

CU_TestInfo test_peers_verdict[] = {
	{"median is that of sorted values", median_is_that_of_sorted_values},
	{"ratios are those of the same round", ratios_are_those_of_the_same_round},
	{"verdict is of the ratio of medians", verdict_is_of_the_ratio_of_medians},
	{"a limit itself is reached", a_limit_itself_is_reached},
	{"every malloc counts and the worst is shown", every_malloc_counts_and_the_worst_is_shown},
	{"every peer includes the mallocs", every_peer_includes_the_mallocs},
	{"what was not measured is not reached", what_was_not_measured_is_not_reached},
	{"one case that fails outweighs those not measured",
	 one_case_that_fails_outweighs_those_not_measured},
	{"rows are found by their whole name", rows_are_found_by_their_whole_name},
	{"slices are all of a run", slices_are_all_of_a_run},
	{"the median of slices counts", the_median_of_slices_counts},
	{"every line has a check", every_line_has_a_check},
	CU_TEST_INFO_NULL,
};
