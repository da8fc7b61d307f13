/* bench/replay_split.c - the frames divided among the clients for good; see replay_policy.h. */
#include "bench/replay_policy.h"

#include <errno.h>
#include <stdlib.h>

/* Rebuild time of each client by steps of frames, the best sum for the clients up to each, and the
 * steps of the last of them in it. */
struct split {
	uint64_t curve[POLICY_SPLIT_STEPS + 1];
	uint64_t best[POLICY_SPLIT_STEPS + 1];
	uint32_t steps[TRACE_MAX_CLIENTS][POLICY_SPLIT_STEPS + 1];
};

static uint64_t frames_of(uint64_t n_frames, uint64_t steps, uint64_t all)
{
	return n_frames * steps / all;
}

static int run_split(const struct trace *trace, const uint64_t part[TRACE_MAX_CLIENTS],
		     struct outcome *ret_outcome)
{
	struct outcome sum = {0};
	int r = 0;

	for (uint32_t c = 0; r == 0 && c < trace->n_clients; c++) {
		struct outcome outcome;
		struct stream stream;

		r = stream_new(trace, c, &stream);
		if (r < 0)
			return r;
		r = policy_lru(&stream, part[c], &outcome);
		stream_free(&stream);
		if (r == 0)
			outcome_add(&sum, &outcome);
	}
	if (r == 0)
		*ret_outcome = sum;
	return r;
}

int policy_equal_split(const struct trace *trace, uint64_t n_frames, struct outcome *ret_outcome)
{
	uint64_t part[TRACE_MAX_CLIENTS], n = trace->n_clients;

	/* Rounded so that the parts add up to all. */
	for (uint32_t c = 0; c < n; c++)
		part[c] = frames_of(n_frames, c + 1, n) - frames_of(n_frames, c, n);
	return run_split(trace, part, ret_outcome);
}

static int find_curve(const struct trace *trace, uint32_t client, uint64_t n_frames,
		      struct split *split)
{
	struct stream stream = {0};
	int r = stream_new(trace, client, &stream);

	for (uint32_t s = 0; r == 0 && s <= POLICY_SPLIT_STEPS; s++) {
		struct outcome outcome;

		r = policy_lru(&stream, frames_of(n_frames, s, POLICY_SPLIT_STEPS), &outcome);
		split->curve[s] = r == 0 ? outcome.rebuild_ns : 0;
	}
	stream_free(&stream);
	return r;
}

/* One more client shares the steps. */
static void divide(struct split *split, uint32_t client)
{
	/* From the last on: best[] of less is still that without this client. */
	for (uint32_t all = POLICY_SPLIT_STEPS + 1; all-- > 0;) {
		uint64_t best = UINT64_MAX;

		for (uint32_t s = 0; s <= all; s++) {
			uint64_t others = client ? split->best[all - s] : 0;

			if (others + split->curve[s] < best) {
				best = others + split->curve[s];
				split->steps[client][all] = s;
			}
		}
		split->best[all] = best;
	}
}

int policy_best_split(const struct trace *trace, uint64_t n_frames, struct outcome *ret_outcome,
		      uint64_t ret_part[TRACE_MAX_CLIENTS])
{
	struct split *split = calloc(1, sizeof(*split));
	uint32_t left = POLICY_SPLIT_STEPS;
	int r = split ? 0 : -ENOMEM;

	for (uint32_t c = 0; r == 0 && c < trace->n_clients; c++) {
		r = find_curve(trace, c, n_frames, split);
		if (r == 0)
			divide(split, c);
	}
	for (uint32_t c = trace->n_clients; r == 0 && c-- > 0;) {
		uint32_t steps = split->steps[c][left];

		ret_part[c] = frames_of(n_frames, left, POLICY_SPLIT_STEPS) -
			      frames_of(n_frames, left - steps, POLICY_SPLIT_STEPS);
		left -= steps;
	}
	free(split);
	return r < 0 ? r : run_split(trace, ret_part, ret_outcome);
}
