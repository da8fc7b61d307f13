/* pagectl/show_vmstat.c - the counters of shm/counters.def. */
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <stdio.h>

/* A counter that this program knows and the daemon does not have is left out. */
static uint32_t nr_counters(const struct shm_view *view)
{
	return view->header->nr_counters < COUNTER_COUNT ? view->header->nr_counters
							 : COUNTER_COUNT;
}

int show_vmstat(struct pagectl *ctl)
{
	uint32_t n = nr_counters(&ctl->view);
	json_t *root;

	if (!ctl->want_json) {
		for (uint32_t i = 0; i < n; i++) {
			enum counter c = (enum counter)i;
			unsigned long long value = shm_view_counter(&ctl->view, c);

			if (ctl->want_verbose)
				printf("%-20s %12llu  %s: %s\n", counter_name(c), value,
				       counter_unit(c), counter_text(c));
			else
				printf("%s %llu\n", counter_name(c), value);
		}
		return PAGECTL_OK;
	}
	root = json_new();
	for (uint32_t i = 0; i < n; i++) {
		enum counter c = (enum counter)i;
		uint64_t value = shm_view_counter(&ctl->view, c);
		json_t *counter;

		if (!ctl->want_verbose) {
			json_put_number(root, counter_name(c), value);
			continue;
		}
		counter = json_object();
		json_put_number(counter, "value", value);
		json_put_string(counter, "unit", counter_unit(c));
		json_put_string(counter, "text", counter_text(c));
		json_object_set_new(root, counter_name(c), counter);
	}
	return json_print(root);
}

void show_vmstat_help(void)
{
	puts("\nThe counters, their units and what they count (\"now\" is a gauge, the rest only "
	     "grow):");
	for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
		enum counter c = (enum counter)i;

		printf("  %-19s %-11s %s\n", counter_name(c), counter_unit(c), counter_text(c));
	}
}
