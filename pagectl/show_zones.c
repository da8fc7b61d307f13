/* pagectl/show_zones.c - zones as /proc/buddyinfo and /proc/pagetypeinfo show them.
 *
 * The types are shown as the kernel orders them, with our Hole last: free frames that have no
 * memory behind them yet. Beside what is free stands how large a block can be had, now and after
 * reclaim (run.c), and at the end how often one of order 9, a huge page of 4 KiB frames, was. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/run.h"
#include "pagectl/table.h"

static const enum migratetype types[] = {MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_HOLE};
#define N_TYPES (sizeof(types) / sizeof(types[0]))
static_assert(N_TYPES == MIGRATE_TYPES, "every migratetype is shown");

static void print_blocks(const struct shm_zone *zone, uint32_t page_shift)
{
	static const struct table_column columns[] = {
		{.title = "order"},       {.title = "block"}, {.title = "Unmovable"},
		{.title = "Reclaimable"}, {.title = "Hole"},  {.title = "free"},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t order = 0; order < ORDER_COUNT; order++) {
		uint64_t blocks = 0;

		table_cell(&table, "%u", order);
		table_cell(&table, "%s", human_size_short(UINT64_C(1) << (order + page_shift)).s);
		for (uint32_t i = 0; i < N_TYPES; i++) {
			table_cell(&table, "%u", zone->nr_blocks[order][types[i]]);
			blocks += zone->nr_blocks[order][types[i]];
		}
		table_cell(&table, "%s", human_size_short(blocks << (order + page_shift)).s);
	}
	table_print(&table, table_terminal_width(), stdout);
	table_done(&table);
}

/* Where else a request goes that starts here, and what others leave here. */
static void print_reach(const struct shm_view *view, const struct shm_zone *zone)
{
	printf("        falls back to");
	for (uint32_t i = 0; i < SHM_MAX_ZONES && zone->fallback[i]; i++)
		if (zone->fallback[i] <= view->header->nr_zones)
			printf(" %s",
			       human_clean(view->zones[zone->fallback[i] - 1].name, SHM_NAME_BYTES)
				       .s);
	printf("%s", zone->fallback[0] ? "" : " none");
	if (zone->reserve_ratio)
		printf("; keeps 1/%u from others", zone->reserve_ratio);
	if (zone->node != SHM_NODE_NONE)
		printf("; node %u", zone->node);
	putchar('\n');
}

static void print_runs(const struct shm_view *view, const struct shm_zone *zone,
		       uint32_t page_shift)
{
	printf("        largest run %s now, ", human_size(run_free(zone) << page_shift).s);
	printf("%s after reclaim (an estimate)\n",
	       human_size(run_after_reclaim(view, zone) << page_shift).s);
}

static void print_zone(const struct shm_view *view, const struct shm_zone *zone,
		       uint32_t page_shift)
{
	printf("Zone %s: frames %u to %u\n", human_clean(zone->name, sizeof(zone->name)).s,
	       zone->start_pfn, zone->end_pfn ? zone->end_pfn - 1 : 0);
	printf("  pages free %llu, of them holes %llu\n", (unsigned long long)zone->nr_free,
	       (unsigned long long)zone->nr_hole);
	printf("        min %llu  low %llu  high %llu  managed %llu (%s)\n",
	       (unsigned long long)zone->watermark_min, (unsigned long long)zone->watermark_low,
	       (unsigned long long)zone->watermark_high, (unsigned long long)zone->managed,
	       human_size(zone->managed << page_shift).s);
	print_runs(view, zone, page_shift);
	print_reach(view, zone);
	print_blocks(zone, page_shift);
}

static json_t *zone_json(const struct shm_view *view, const struct shm_zone *zone)
{
	json_t *object = json_object(), *blocks = json_object(), *fallback = json_array();

	json_put_text(object, "name", zone->name, sizeof(zone->name));
	json_put_number(object, "start_pfn", zone->start_pfn);
	json_put_number(object, "end_pfn", zone->end_pfn);
	json_put_number(object, "managed", zone->managed);
	json_put_number(object, "free", zone->nr_free);
	json_put_number(object, "hole", zone->nr_hole);
	json_put_number(object, "largest_free", run_free(zone));
	json_put_number(object, "largest_after_reclaim", run_after_reclaim(view, zone));
	json_put_number(object, "min", zone->watermark_min);
	json_put_number(object, "low", zone->watermark_low);
	json_put_number(object, "high", zone->watermark_high);
	if (zone->node != SHM_NODE_NONE)
		json_put_number(object, "node", zone->node);
	json_put_number(object, "reserve_ratio", zone->reserve_ratio);
	for (uint32_t i = 0; i < SHM_MAX_ZONES && zone->fallback[i]; i++)
		json_array_append_new(fallback, json_integer(zone->fallback[i] - 1));
	json_object_set_new(object, "fallback", fallback);
	for (uint32_t i = 0; i < N_TYPES; i++) {
		json_t *orders = json_array();

		for (uint32_t order = 0; order < ORDER_COUNT; order++)
			json_array_append_new(orders,
					      json_integer(zone->nr_blocks[order][types[i]]));
		json_object_set_new(blocks, migratetype_name(types[i]), orders);
	}
	json_object_set_new(object, "free_blocks", blocks);
	return object;
}

/* --- large blocks --------------------------------------------------------------------------- */

static void print_order9(const struct shm_view *view)
{
	uint64_t granted = shm_view_counter(view, COUNTER_pgalloc_order9);
	uint64_t failed = shm_view_counter(view, COUNTER_pgalloc_order9_fail);

	printf("\nBlocks of order 9: %llu granted, %llu times none was there",
	       (unsigned long long)granted, (unsigned long long)failed);
	if (granted + failed)
		printf(" (success %.1f%%)", 100.0 * (double)granted / (double)(granted + failed));
	printf("\nRuns for large blocks: looked for %llu times, %llu emptied, %llu times none\n",
	       (unsigned long long)shm_view_counter(view, COUNTER_compact_stall),
	       (unsigned long long)shm_view_counter(view, COUNTER_compact_success),
	       (unsigned long long)shm_view_counter(view, COUNTER_compact_fail));
}

static void put_order9(json_t *root, const struct shm_view *view)
{
	json_t *order9 = json_object(), *compact = json_object();

	json_put_number(order9, "granted", shm_view_counter(view, COUNTER_pgalloc_order9));
	json_put_number(order9, "failed", shm_view_counter(view, COUNTER_pgalloc_order9_fail));
	json_object_set_new(root, "order9", order9);
	json_put_number(compact, "stall", shm_view_counter(view, COUNTER_compact_stall));
	json_put_number(compact, "success", shm_view_counter(view, COUNTER_compact_success));
	json_put_number(compact, "fail", shm_view_counter(view, COUNTER_compact_fail));
	json_object_set_new(root, "compact", compact);
}

int show_zones(struct pagectl *ctl)
{
	const struct shm_meta_header *header = ctl->view.header;
	json_t *root = json_new(), *zones = json_array();

	json_put_number(root, "page_size", UINT64_C(1) << header->page_shift);
	json_object_set_new(root, "zones", zones);
	for (uint32_t i = 0; i < header->nr_zones && i < SHM_MAX_ZONES; i++) {
		struct shm_zone zone = ctl->view.zones[i];

		if (ctl->want_json) {
			json_array_append_new(zones, zone_json(&ctl->view, &zone));
			continue;
		}
		if (i)
			putchar('\n');
		print_zone(&ctl->view, &zone, header->page_shift);
	}
	if (ctl->want_json) {
		put_order9(root, &ctl->view);
		return json_print(root);
	}
	print_order9(&ctl->view);
	json_decref(root);
	return PAGECTL_OK;
}
