/* pagectl/show_vmstat.c - the counters of shm/counters.def. */
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <stdio.h>
#include <string.h>

/* What the unit of a gauge starts with. */
#define GAUGE "now "
#define GAUGE_BYTES (sizeof(GAUGE) - 1)

static bool is_gauge(enum counter c)
{
	return strncmp(counter_unit(c), GAUGE, GAUGE_BYTES) == 0;
}

/* A counter that this program knows and the daemon does not have is left out. */
static uint32_t nr_counters(const struct shm_view *view)
{
	return view->header->nr_counters < COUNTER_COUNT ? view->header->nr_counters
							 : COUNTER_COUNT;
}

/* Beside the numbers, not instead of them: -v changes no field. */
static json_t *describe(const uint64_t *value, uint32_t n)
{
	json_t *counters = json_array();

	for (uint32_t i = 0; i < n; i++) {
		enum counter c = (enum counter)i;
		json_t *counter = json_object();

		json_put_string(counter, "name", counter_name(c));
		json_put_number(counter, "value", value[i]);
		json_put_string(counter, "unit", counter_unit(c) + (is_gauge(c) ? GAUGE_BYTES : 0));
		json_put_string(counter, "text", counter_text(c));
		json_object_set_new(counter, "gauge", json_boolean(is_gauge(c)));
		json_array_append_new(counters, counter);
	}
	return counters;
}

int show_vmstat(struct pagectl *ctl)
{
	uint32_t n = nr_counters(&ctl->view);
	uint64_t value[COUNTER_COUNT]; /* each is read once: they grow meanwhile */
	json_t *root;

	for (uint32_t i = 0; i < n; i++)
		value[i] = shm_view_counter(&ctl->view, (enum counter)i);
	if (!ctl->want_json) {
		for (uint32_t i = 0; i < n; i++) {
			enum counter c = (enum counter)i;

			if (ctl->want_verbose)
				printf("%-20s %12llu  %s: %s\n", counter_name(c),
				       (unsigned long long)value[i], counter_unit(c),
				       counter_text(c));
			else
				printf("%s %llu\n", counter_name(c), (unsigned long long)value[i]);
		}
		return PAGECTL_OK;
	}
	root = json_new();
	for (uint32_t i = 0; i < n; i++)
		json_put_number(root, counter_name((enum counter)i), value[i]);
	if (ctl->want_verbose)
		json_object_set_new(root, "counters", describe(value, n));
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
