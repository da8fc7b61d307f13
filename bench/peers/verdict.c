/* bench/peers/verdict.c - see verdict.h. */
#include "bench/peers/verdict.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum line {
#define LINE(name, what, goal, unit) LINE_##name,
#define RATIO(row, subject, over_row, over_subject, limit)
#define BEST(row, role)
#define AT_MOST(row, subject, limit)
#define AT_LEAST(row, subject, limit)
#include "bench/peers/figures.def"
#undef LINE
#undef RATIO
#undef BEST
#undef AT_MOST
#undef AT_LEAST
	NR_LINES
};

static const struct {
	const char *what, *goal, *unit;
} lines[] = {
#define LINE(name, what, goal, unit) {what, goal, unit},
#define RATIO(row, subject, over_row, over_subject, limit)
#define BEST(row, role)
#define AT_MOST(row, subject, limit)
#define AT_LEAST(row, subject, limit)
#include "bench/peers/figures.def"
#undef LINE
#undef RATIO
#undef BEST
#undef AT_MOST
#undef AT_LEAST
};

enum check_kind { CHECK_BEGIN, CHECK_RATIO, CHECK_BEST, CHECK_AT_MOST, CHECK_AT_LEAST };

struct check {
	enum check_kind kind;
	const char *row, *subject;
	const char *over_row, *over_subject; /* of CHECK_RATIO */
	enum verdict_role role;              /* of CHECK_BEST */
	double limit;
};

/* In the order of the lines; CHECK_BEGIN starts the next one. */
static const struct check checks[] = {
#define LINE(name, what, goal, unit) {.kind = CHECK_BEGIN},
#define RATIO(a, b, c, d, most) {CHECK_RATIO, a, b, c, d, ROLE_OURS, most},
#define BEST(a, whom) {CHECK_BEST, a, "paged", a, NULL, whom, 1.0},
#define AT_MOST(a, b, most) {CHECK_AT_MOST, a, b, NULL, NULL, ROLE_OURS, most},
#define AT_LEAST(a, b, least) {CHECK_AT_LEAST, a, b, NULL, NULL, ROLE_OURS, least},
#include "bench/peers/figures.def"
#undef LINE
#undef RATIO
#undef BEST
#undef AT_MOST
#undef AT_LEAST
};

const struct series *book_find(const struct book *book, const char *row, size_t row_bytes,
			       const char *subject)
{
	for (size_t i = 0; i < book->n; i++) {
		const struct series *series = &book->series[i];

		if (series->n > 0 && strncmp(series->name, row, row_bytes) == 0 &&
		    series->name[row_bytes] == '/' &&
		    strcmp(&series->name[row_bytes + 1], subject) == 0)
			return series;
	}
	return NULL;
}

double verdict_ratio(const struct series *a, const struct series *b)
{
	return stats_summarize(a->value, a->n).median / stats_summarize(b->value, b->n).median;
}

/* One value against one limit. */
static void note(struct verdict *verdict, double value, const struct check *check, const char *row,
		 const char *subject)
{
	bool least = check->kind == CHECK_AT_LEAST;
	bool good = least ? value >= check->limit : value <= check->limit;
	/* How far each is from its limit, whatever the limits are: above 1 is beyond. */
	double far = least ? check->limit / value : value / check->limit;
	double farthest = verdict->n_checks == 0 ? -1
			  : least                ? check->limit / verdict->worst
						 : verdict->worst / check->limit;

	verdict->n_checks++;
	verdict->n_good += good;
	if (far <= farthest)
		return;
	verdict->worst = value;
	(void)snprintf(verdict->worst_name, sizeof(verdict->worst_name), "%s%s%s", row,
		       subject ? ": " : "", subject ? subject : "");
}

/* Ours against all others of a role, each a check; those that were not measured do not count. */
static void judge_best(const struct book *book, const struct check *check, struct verdict *verdict)
{
	size_t row_bytes = strlen(check->row);
	const struct series *ours = book_find(book, check->row, row_bytes, check->subject);
	uint32_t before = verdict->n_checks;

	for (size_t i = 0; ours && i < book->n; i++) {
		const struct series *series = &book->series[i];
		bool counts = series->role == check->role ||
			      (check->role == ROLE_PEER && series->role == ROLE_MALLOC);

		if (counts && series->n > 0 && strncmp(series->name, check->row, row_bytes) == 0 &&
		    series->name[row_bytes] == '/')
			note(verdict, verdict_ratio(ours, series), check, check->row,
			     &series->name[row_bytes + 1]);
	}
	if (verdict->n_checks == before)
		verdict->n_missing++;
}

static void judge(const struct book *book, const struct check *check, struct verdict *verdict)
{
	const struct series *a, *b;

	if (check->kind == CHECK_BEST) {
		judge_best(book, check, verdict);
		return;
	}
	a = book_find(book, check->row, strlen(check->row), check->subject);
	b = check->kind == CHECK_RATIO
		    ? book_find(book, check->over_row, strlen(check->over_row), check->over_subject)
		    : a;
	if (!a || !b)
		verdict->n_missing++;
	else
		note(verdict,
		     check->kind == CHECK_RATIO ? verdict_ratio(a, b)
						: stats_summarize(a->value, a->n).median,
		     check, check->row, NULL);
}

bool verdict_judge(const struct book *book, size_t index, struct verdict *ret_verdict)
{
	struct verdict verdict = {0};
	size_t line = 0; /* of the check, counted from 1 */

	if (index >= NR_LINES)
		return false;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (checks[i].kind == CHECK_BEGIN)
			line++;
		else if (line == index + 1)
			judge(book, &checks[i], &verdict);
	}
	assert(verdict.n_checks + verdict.n_missing > 0);
	verdict.line = lines[index].what;
	verdict.goal = lines[index].goal;
	verdict.unit = lines[index].unit;
	verdict.outcome = verdict.n_good < verdict.n_checks ? VERDICT_NOT_REACHED
			  : verdict.n_missing > 0           ? VERDICT_NOT_MEASURED
							    : VERDICT_REACHED;
	*ret_verdict = verdict;
	return true;
}

const char *verdict_outcome_name(enum verdict_outcome outcome)
{
	static const char *const name[] = {"reached", "not reached", "not measured"};

	return name[outcome];
}
