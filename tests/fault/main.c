/* tests/fault/main.c - the sweep: each call of each phase fails in each way, and what came of it.
 *
 *	fault [--phase NAME] [--from N] [--every K] [--jobs J]     all cases, or each K-th
 *	fault --case PHASE/ROLE/FUNCTION/N/ERRNO/once|ever         one of them
 *
 * A phase is run once, or a few times, without a fault: that gives how often each function is
 * called in it, and so the cases. They are numbered in one row that depends on nothing else; with
 * --every it is each K-th of the row, and the first of each function that no phase before had. A
 * case that fails is named by what runs it again. */
#include "tests/fault/trial.h"

#include "paged/check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "fault: %s:%d: this must be true and is not: %s\n", file, line, what);
	abort();
}

#define ERRNOS_MAX 12u
#define JOBS_MAX 16u
/* Runs that count. Lower: what happens now and then is not in the list; higher: time. */
#define COUNTING_RUNS 2u

struct row {
	bool is_alloc;
	int errors[ERRNOS_MAX]; /* ends with 0 */
};

#define ALLOC true
#define SYSCALL false
static const struct row rows[] = {
#define X(function, kind, ...) {kind, {__VA_ARGS__}},
#include "tests/fault/faults.def"
#undef X
};
#undef ALLOC
#undef SYSCALL

/* Of all jobs; in shared memory. */
struct tally {
	uint32_t next; /* case to be taken */
	uint32_t n_run;
	uint32_t n_served;    /* it went on */
	uint32_t n_restarted; /* libuv ended a server, another took over */
	uint32_t n_refused;   /* it ended with an error */
	uint32_t n_unreached; /* there was no such call this time */
	uint32_t n_wrong;
	uint32_t functions[INJECT_NR_FUNCTIONS]; /* cases of each */
};

struct sweep {
	struct trial trial;
	const char *self;
	const char *only_phase;
	const char *only_case;
	uint32_t from, every, jobs;
	bool seen[INJECT_NR_FUNCTIONS]; /* had a case */
	struct tally *tally;
};

struct a_case {
	uint32_t role, function, n, ever;
	int32_t error;
};

/* --- one case ------------------------------------------------------------------------------- */

static void case_name(const struct phase *phase, const struct a_case *item, char ret_name[128])
{
	(void)snprintf(ret_name, 128, "%s/%s/%s/%u/%s/%s", phase->name, phase->roles[item->role],
		       trial_function_name(item->function), item->n, strerrorname_np(item->error),
		       item->ever ? "ever" : "once");
}

static bool run_case(struct sweep *sweep, const struct phase *phase, const struct a_case *item)
{
	struct trial *trial = &sweep->trial;

	trial->role = item->role;
	trial->function = item->function;
	trial->n = item->n;
	trial->ever = item->ever;
	trial->error = item->error;
	return trial_run(trial, phase);
}

static void tell_wrong(const struct sweep *sweep, uint32_t number, const char *name)
{
	const struct inject_control *result = &sweep->trial.result;
	char text[2048];
	size_t at;

	at = (size_t)snprintf(text, sizeof(text),
			      "FAIL %u: %s\n     last error: %s\n     in:", number,
			      sweep->trial.why, sweep->trial.last_error);
	for (uint32_t i = 0; i < INJECT_DEPTH && at < sizeof(text) - 1; i++)
		if (result->where[i][0])
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s",
					       result->where[i]);
	if (at < sizeof(text))
		(void)snprintf(text + at, sizeof(text) - at, "\n     again: %s --case %s\n",
			       sweep->self, name);
	(void)fputs(text, stdout);
	(void)fflush(stdout);
}

static void add(uint32_t *counter)
{
	(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void judge(struct sweep *sweep, const struct phase *phase, const struct a_case *item,
		  uint32_t number)
{
	struct tally *tally = sweep->tally;
	const struct trial *trial = &sweep->trial;
	bool good = run_case(sweep, phase, item);
	char name[128];

	add(&tally->n_run);
	add(&tally->functions[item->function]);
	if (!good) {
		add(&tally->n_wrong);
		case_name(phase, item, name);
		tell_wrong(sweep, number, name);
	} else if (trial->result.n_failed == 0) {
		add(&tally->n_unreached);
	} else if (trial->refused) {
		add(&tally->n_refused);
	} else if (trial->restarted) {
		add(&tally->n_restarted);
	} else {
		add(&tally->n_served);
	}
	if (sweep->only_case && good)
		(void)printf("ok: %s, %u call(s) failed%s%s\n", sweep->only_case,
			     trial->result.n_failed, trial->refused ? ", it ended" : "",
			     trial->restarted ? ", a server was replaced" : "");
}

/* --- all of a phase ------------------------------------------------------------------------- */

/* How often each function is called. */
static bool count_calls(struct sweep *sweep, const struct phase *phase,
			uint32_t ret_n[INJECT_NR_ROLES][INJECT_NR_FUNCTIONS])
{
	const struct a_case nothing = {0};

	memset(ret_n, 0, sizeof(uint32_t) * INJECT_NR_ROLES * INJECT_NR_FUNCTIONS);
	for (uint32_t run = 0; run < COUNTING_RUNS; run++) {
		if (!run_case(sweep, phase, &nothing)) {
			(void)printf("FAIL %s without a fault: %s\n     last error: %s\n",
				     phase->name, sweep->trial.why, sweep->trial.last_error);
			return false;
		}
		for (uint32_t role = 0; role < INJECT_NR_ROLES; role++)
			for (uint32_t f = 0; f < INJECT_NR_FUNCTIONS; f++)
				if (sweep->trial.result.n_calls[role][f] > ret_n[role][f])
					ret_n[role][f] = sweep->trial.result.n_calls[role][f];
	}
	return true;
}

/* Ways of one call to fail. */
static uint32_t count_ways(uint32_t function)
{
	uint32_t n = 0;

	while (rows[function].errors[n])
		n++;
	return 2 * n;
}

/* Does this number of the row have its turn? */
static bool take_turn(struct sweep *sweep, uint32_t number, uint32_t function)
{
	bool is_first = !sweep->seen[function];

	sweep->seen[function] = true;
	return is_first || number % sweep->every == 0;
}

/* Walks the row of cases: *ret_list is the caller's. Returns how many there are. */
static uint32_t list_cases(struct sweep *sweep, uint32_t n[INJECT_NR_ROLES][INJECT_NR_FUNCTIONS],
			   struct a_case **ret_list)
{
	uint32_t number = 0, taken = 0, all = 1;
	struct a_case *list;

	for (uint32_t role = 0; role < INJECT_NR_ROLES; role++)
		for (uint32_t f = 0; f < INJECT_NR_FUNCTIONS; f++)
			all += n[role][f] * count_ways(f);
	list = calloc(all, sizeof(*list));
	if (!list)
		abort();
	for (uint32_t role = 0; role < INJECT_NR_ROLES; role++)
		for (uint32_t f = 0; f < INJECT_NR_FUNCTIONS; f++)
			for (uint32_t i = 0; i < n[role][f] * count_ways(f); i++) {
				uint32_t way = i % count_ways(f);

				if (!take_turn(sweep, number++, f))
					continue;
				list[taken++] = (struct a_case){role, f, i / count_ways(f) + 1,
								way % 2, rows[f].errors[way / 2]};
			}
	*ret_list = list;
	return taken;
}

/* Takes cases until there are none. */
static void work_through(struct sweep *sweep, const struct phase *phase, const struct a_case *list,
			 uint32_t n)
{
	for (;;) {
		uint32_t i = __atomic_fetch_add(&sweep->tally->next, 1, __ATOMIC_RELAXED);

		if (i >= n)
			return;
		judge(sweep, phase, &list[i], i);
	}
}

static void work_in_jobs(struct sweep *sweep, const struct phase *phase, const struct a_case *list,
			 uint32_t n)
{
	pid_t jobs[JOBS_MAX];

	(void)fflush(stdout);
	sweep->tally->next = sweep->from;
	for (uint32_t i = 0; i < sweep->jobs; i++) {
		jobs[i] = fork();
		if (jobs[i] != 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		work_through(sweep, phase, list, n);
		(void)fflush(stdout);
		_exit(0);
	}
	for (uint32_t i = 0; i < sweep->jobs; i++)
		(void)waitpid(jobs[i], NULL, 0);
}

static void tell_phase(const struct phase *phase, const struct tally *tally, uint32_t n,
		       uint32_t n_syscalls, uint32_t n_allocs, double seconds)
{
	(void)printf("%-10s %4u system calls, %3u allocations, %5u cases: %u run, %u served, %u "
		     "replaced, %u ended, %u not reached, %u wrong; %.1f s\n",
		     phase->name, n_syscalls, n_allocs, n, tally->n_run, tally->n_served,
		     tally->n_restarted, tally->n_refused, tally->n_unreached, tally->n_wrong,
		     seconds);
	(void)fflush(stdout);
}

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* True if nothing was wrong. */
static bool sweep_phase(struct sweep *sweep, const struct phase *phase)
{
	uint32_t n[INJECT_NR_ROLES][INJECT_NR_FUNCTIONS];
	uint32_t kinds[2] = {0, 0};
	double began = seconds_now();
	struct a_case *list;
	uint32_t n_cases;

	memset(sweep->tally, 0, sizeof(*sweep->tally));
	if (!count_calls(sweep, phase, n))
		return false;
	for (uint32_t role = 0; role < INJECT_NR_ROLES; role++)
		for (uint32_t f = 0; f < INJECT_NR_FUNCTIONS; f++)
			kinds[rows[f].is_alloc] += n[role][f];
	n_cases = list_cases(sweep, n, &list);
	work_in_jobs(sweep, phase, list, n_cases);
	free(list);
	tell_phase(phase, sweep->tally, n_cases, kinds[false], kinds[true], seconds_now() - began);
	return sweep->tally->n_wrong == 0;
}

/* --- command line --------------------------------------------------------------------------- */

static int usage(void)
{
	(void)fprintf(stderr, "usage: fault [--phase NAME] [--from N] [--every K] [--jobs J]\n"
			      "       fault --case PHASE/ROLE/FUNCTION/N/ERRNO/once|ever\nphases:");
	for (const struct phase *phase = trial_phases; phase->name; phase++)
		(void)fprintf(stderr, " %s", phase->name);
	(void)fprintf(stderr, "\n");
	return 2;
}

static int32_t error_number(const char *name)
{
	for (int error = 1; error < 200; error++)
		if (strerrorname_np(error) && strcmp(strerrorname_np(error), name) == 0)
			return error;
	return 0;
}

static const struct phase *find_phase(const char *name)
{
	const struct phase *phase = trial_phases;

	while (phase->name && strcmp(phase->name, name) != 0)
		phase++;
	return phase->name ? phase : NULL;
}

/* The words of a case's name. */
static bool read_case(const char *name, const struct phase **ret_phase, struct a_case *ret_case)
{
	char copy[128];
	char *rest = copy;
	char *word[6];

	(void)snprintf(copy, sizeof(copy), "%s", name);
	for (uint32_t i = 0; i < 6; i++)
		if (!(word[i] = strsep(&rest, "/")))
			return false;
	*ret_phase = find_phase(word[0]);
	if (!*ret_phase)
		return false;
	*ret_case = (struct a_case){.role = strcmp((*ret_phase)->roles[0], word[1]) != 0,
				    .n = (uint32_t)strtoul(word[3], NULL, 10),
				    .ever = strcmp(word[5], "ever") == 0,
				    .error = error_number(word[4])};
	while (ret_case->function < INJECT_NR_FUNCTIONS &&
	       strcmp(trial_function_name(ret_case->function), word[2]) != 0)
		ret_case->function++;
	return ret_case->function < INJECT_NR_FUNCTIONS && ret_case->n && ret_case->error;
}

static bool read_options(int argc, char **argv, struct sweep *sweep)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		uint32_t n = (uint32_t)strtoul(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--phase") == 0)
			sweep->only_phase = argv[i + 1];
		else if (strcmp(argv[i], "--case") == 0)
			sweep->only_case = argv[i + 1];
		else if (strcmp(argv[i], "--from") == 0)
			sweep->from = n;
		else if (strcmp(argv[i], "--every") == 0 && n)
			sweep->every = n;
		else if (strcmp(argv[i], "--jobs") == 0 && n && n <= JOBS_MAX)
			sweep->jobs = n;
		else
			return false;
	}
	return argc % 2 && (!sweep->only_phase || find_phase(sweep->only_phase));
}

static int replay(struct sweep *sweep)
{
	const struct phase *phase;
	struct a_case item;

	if (!read_case(sweep->only_case, &phase, &item))
		return usage();
	judge(sweep, phase, &item, 0);
	return sweep->tally->n_wrong != 0;
}

int main(int argc, char **argv)
{
	static struct sweep sweep = {
		.every = 1,
		.trial = {.options = {.paged = FAULT_PAGED,
				      .pagectl = FAULT_PAGECTL,
				      .shim = FAULT_SHIM},
			  .client = FAULT_CLIENT},
	};
	bool good = true;

	sweep.self = argv[0];
	sweep.jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	if (sweep.jobs > JOBS_MAX)
		sweep.jobs = JOBS_MAX;
	if (!read_options(argc, argv, &sweep))
		return usage();
	sweep.tally = mmap(NULL, sizeof(*sweep.tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sweep.tally == MAP_FAILED)
		return 1;
	if (sweep.only_case)
		return replay(&sweep);
	for (const struct phase *phase = trial_phases; phase->name; phase++)
		if (!sweep.only_phase || strcmp(phase->name, sweep.only_phase) == 0)
			good = sweep_phase(&sweep, phase) && good;
	return !good;
}
