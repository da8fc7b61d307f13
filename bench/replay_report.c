/* bench/replay_report.c - see replay_report.h. */
#include "bench/replay_report.h"

#define POINTS_BELOW_LRU 2.0
#define TIMES_BEST_SPLIT 1.25
#define PART_OF_LRU 0.5

static const struct {
	const char *text, *json;
} policies[REPORT_NR_POLICIES] = {
#define X(name, text, json) {text, json},
	REPORT_POLICIES(X)
#undef X
};

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static double frames_hit(const struct replay_result *result, enum report_policy policy)
{
	return percent(result->outcome[policy].n_frames_hit, result->outcome[policy].n_frames);
}

static double rebuild_seconds(const struct replay_result *result, enum report_policy policy)
{
	return (double)result->outcome[policy].rebuild_ns / 1e9;
}

/* --- judging -----------------------------------------------------------------------------------
 */

static bool costs_differ(const struct trace *trace)
{
	for (uint32_t c = 1; c < trace->n_clients; c++)
		if (trace->client[c].cost_ns != trace->client[0].cost_ns)
			return true;
	return false;
}

void report_judge(const struct replay_result *result,
		  struct criterion ret_criteria[REPORT_CRITERIA])
{
	double segment = frames_hit(result, REPORT_SEGMENT);

	if (costs_differ(result->trace)) {
		segment = rebuild_seconds(result, REPORT_SEGMENT);
		ret_criteria[0] = (struct criterion){
			.name = "best",
			.text = "s of rebuilds, at most 1.25 times the best split's",
			.value = segment,
			.limit = TIMES_BEST_SPLIT * rebuild_seconds(result, REPORT_BEST)};
		ret_criteria[1] = (struct criterion){
			.name = "half",
			.text = "s of rebuilds, less than half of the exact LRU's",
			.value = segment,
			.limit = PART_OF_LRU * rebuild_seconds(result, REPORT_LRU)};
		ret_criteria[0].met = segment <= ret_criteria[0].limit;
		ret_criteria[1].met = segment < ret_criteria[1].limit;
		return;
	}
	ret_criteria[0] = (struct criterion){.name = "split",
					     .text = "% of frames, as the equal split at least",
					     .value = segment,
					     .limit = frames_hit(result, REPORT_EQUAL)};
	ret_criteria[1] =
		(struct criterion){.name = "lru",
				   .text = "% of frames, as the exact LRU less 2 points at least",
				   .value = segment,
				   .limit = frames_hit(result, REPORT_LRU) - POINTS_BELOW_LRU};
	ret_criteria[0].met = segment >= ret_criteria[0].limit;
	ret_criteria[1].met = segment >= ret_criteria[1].limit;
}

/* --- for people --------------------------------------------------------------------------------
 */

static void print_segment(const struct replay_result *result, FILE *file)
{
	const struct segment_result *segment = &result->segment;
	struct criterion criteria[REPORT_CRITERIA];

	(void)fprintf(
		file,
		"  %.1f s; %llu frames purged, %llu requests without a frame; at the end %llu "
		"free, %llu in magazines\n",
		(double)segment->ns / 1e9, (unsigned long long)segment->n_purged,
		(unsigned long long)segment->n_refused, (unsigned long long)segment->n_free,
		(unsigned long long)segment->n_magazine);
	report_judge(result, criteria);
	for (unsigned i = 0; i < REPORT_CRITERIA; i++)
		(void)fprintf(file, "  %-6s %.2f %s (%.2f)\n", criteria[i].met ? "met" : "MISSED",
			      criteria[i].value, criteria[i].text, criteria[i].limit);
}

void replay_report_print(const struct replay_result *result, FILE *file)
{
	const struct trace *trace = result->trace;

	(void)fprintf(file,
		      "%s: %u requests of %u clients for %u objects in %llu frames; the segment "
		      "has %llu\n  %-20s %9s %9s %12s %12s\n",
		      result->name, trace->n, trace->n_clients, trace->n_objects,
		      (unsigned long long)trace_footprint(trace),
		      (unsigned long long)result->n_frames, "policy", "requests", "frames",
		      "cold misses", "rebuilds");
	for (unsigned i = 0; i < REPORT_NR_POLICIES; i++) {
		const struct outcome *outcome = &result->outcome[i];

		if (i == REPORT_SEGMENT && !result->has_segment)
			continue;
		(void)fprintf(file, "  %-20s %8.2f%% %8.2f%% %12llu %10.3f s\n", policies[i].text,
			      percent(outcome->n_hits, outcome->n_requests),
			      frames_hit(result, (enum report_policy)i),
			      (unsigned long long)outcome->n_cold,
			      rebuild_seconds(result, (enum report_policy)i));
	}
	if (result->has_segment)
		print_segment(result, file);
	(void)fflush(file);
}

/* --- for programs ------------------------------------------------------------------------------
 */

static json_t *json_of_policies(const struct replay_result *result)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < REPORT_NR_POLICIES; i++) {
		const struct outcome *outcome = &result->outcome[i];

		if (i == REPORT_SEGMENT && !result->has_segment)
			continue;
		(void)json_array_append_new(
			array,
			json_pack("{s:s, s:f, s:f, s:I, s:I}", "name", policies[i].json,
				  "hit_ratio", percent(outcome->n_hits, outcome->n_requests) / 100,
				  "frame_hit_ratio",
				  frames_hit(result, (enum report_policy)i) / 100, "cold_misses",
				  (json_int_t)outcome->n_cold, "rebuild_ns",
				  (json_int_t)outcome->rebuild_ns));
	}
	return array;
}

static json_t *json_of_criteria(const struct replay_result *result)
{
	struct criterion criteria[REPORT_CRITERIA];
	json_t *array = json_array();

	report_judge(result, criteria);
	for (unsigned i = 0; i < REPORT_CRITERIA; i++)
		(void)json_array_append_new(
			array, json_pack("{s:s, s:f, s:f, s:b}", "name", criteria[i].name, "value",
					 criteria[i].value, "limit", criteria[i].limit, "met",
					 (int)criteria[i].met));
	return array;
}

static json_t *json_of_parts(const struct replay_result *result)
{
	json_t *array = json_array();

	for (uint32_t c = 0; c < result->trace->n_clients; c++)
		(void)json_array_append_new(array, json_integer((json_int_t)result->part[c]));
	return array;
}

json_t *replay_report_json(const struct replay_result *result)
{
	const struct trace *trace = result->trace;
	const struct segment_result *segment = &result->segment;
	json_t *root = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name", result->name, "requests",
		(json_int_t)trace->n, "clients", (json_int_t)trace->n_clients, "objects",
		(json_int_t)trace->n_objects, "footprint_frames",
		(json_int_t)trace_footprint(trace), "frames", (json_int_t)result->n_frames,
		"policies", json_of_policies(result), "best_split", json_of_parts(result));

	if (!root || !result->has_segment)
		return root;
	(void)json_object_set_new(
		root, "segment",
		json_pack("{s:f, s:I, s:I, s:I, s:I}", "seconds", (double)segment->ns / 1e9,
			  "refused", (json_int_t)segment->n_refused, "purged",
			  (json_int_t)segment->n_purged, "free", (json_int_t)segment->n_free,
			  "magazines", (json_int_t)segment->n_magazine));
	(void)json_object_set_new(root, "criteria", json_of_criteria(result));
	return root;
}
