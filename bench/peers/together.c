/* bench/peers/together.c - see together.h. */
#include "bench/peers/together.h"

#include "bench/peers/contestant.h"

#include <errno.h>
#include <stdlib.h>

#define PAIR 2u
/* Lower: that both do not start in the same microsecond shows. */
#define LEAST_NS BENCH_RUN_NS

struct together_state {
	struct contestant contestant[PAIR];
	uint64_t n; /* rounds of the loop that take LEAST_NS */
};

/* What each took for a round of its loop, in ns. */
static int race(struct bench *bench, const struct together_state *state, uint32_t first,
		uint32_t last, double ret_ns[PAIR])
{
	int r = 0;

	for (uint32_t i = first; r == 0 && i <= last; i++)
		r = contestant_ask(bench, &state->contestant[i], state->n);
	for (uint32_t i = first; r == 0 && i <= last; i++) {
		struct sample sample;

		r = contestant_answer(bench, &state->contestant[i], &sample);
		if (r == 0)
			ret_ns[i] = (double)(sample.ns + 1) / (double)sample.ops;
	}
	return r;
}

/* Both warm up as well. */
static int find_n(struct bench *bench, struct together_state *state)
{
	double ns[PAIR];

	for (state->n = 1;; state->n *= 8) {
		int r = race(bench, state, 0, PAIR - 1, ns);

		if (r < 0)
			return r;
		if (ns[0] * (double)state->n * 8 > (double)LEAST_NS)
			break;
	}
	state->n = (uint64_t)((double)LEAST_NS / ns[0]) + 1;
	return 0;
}

int together_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	const int cpu[PAIR] = {bench->place.client_cpu, bench->place.daemon_cpu};
	const struct entry *entry = entry_of(benchmark);
	struct together_state *state;
	struct fixture *fixture = NULL;
	uint32_t started = 0;
	int r = 0;

	if (cpu[0] == cpu[1])
		return bench_fail(bench, -EOPNOTSUPP, "needs two CPUs, and --pin");
	state = calloc(1, sizeof(*state));
	if (!state)
		return bench_fail(bench, -ENOMEM, "no memory");
	if (entry->subject->needs == NEEDS_DAEMON)
		r = bench_find_daemon(bench, BENCH_DAEMON_PLAIN, &fixture);
	while (r == 0 && started < PAIR) {
		r = contestant_start(bench, entry, cpu[started], fixture ? fixture->socket : "",
				     &state->contestant[started]);
		if (r == 0)
			started++;
	}
	if (r == 0)
		r = find_n(bench, state);
	if (r < 0) {
		while (started > 0)
			contestant_stop(&state->contestant[--started]);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

int together_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample)
{
	struct together_state *together = state;
	double alone[PAIR], both[PAIR], ratio;
	int r = race(bench, together, 0, 0, alone);

	(void)benchmark;
	if (r == 0)
		r = race(bench, together, 1, 1, alone);
	if (r == 0)
		r = race(bench, together, 0, PAIR - 1, both);
	if (r < 0)
		return r;
	ratio = 2 * (1 / both[0] + 1 / both[1]) / (1 / alone[0] + 1 / alone[1]);
	/* A number and no time; as long as one run, so that the caller asks for one. */
	*ret_sample =
		(struct sample){(uint64_t)(ratio * (double)(n * BENCH_RUN_NS)), n * BENCH_RUN_NS};
	return 0;
}

void together_teardown(struct bench *bench, void *state)
{
	struct together_state *together = state;

	(void)bench;
	for (uint32_t i = 0; i < PAIR; i++)
		contestant_stop(&together->contestant[i]);
	free(together);
}
