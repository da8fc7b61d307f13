/* tests/unit/test_top.c - pagectl top without its terminal: what two samples say. */
#include "pagectl/top_model.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_top[];

#define SECOND UINT64_C(1000000000)

/* --- the bar -------------------------------------------------------------------------------- */

static uint32_t sum_of(const uint32_t cells[TOP_PARTS])
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < TOP_PARTS; i++)
		sum += cells[i];
	return sum;
}

static void the_bar_is_as_wide_as_asked(void)
{
	uint64_t random = 88172645463325252u;

	for (uint32_t n = 0; n < 2000; n++) {
		uint64_t frames[TOP_PARTS];
		uint32_t cells[TOP_PARTS], width = 8 + n % 250;

		for (uint32_t i = 0; i < TOP_PARTS; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			/* from nothing to the most that a segment can have */
			frames[i] = random % 3 ? (random >> 32) >> random % 32 : 0;
		}
		frames[TOP_FREE] |= 1;
		top_bar_plan(frames, width, cells);
		CU_ASSERT_EQUAL(sum_of(cells), width);
		for (uint32_t i = 0; i < TOP_PARTS; i++) {
			CU_ASSERT_TRUE(cells[i] > 0 || !frames[i]);
			CU_ASSERT_TRUE(cells[i] == 0 || frames[i]);
		}
	}
}

static void a_bar_of_halves_is_cut_in_the_middle(void)
{
	uint64_t frames[TOP_PARTS] = {[TOP_USED] = 500, [TOP_FREE] = 500};
	uint32_t cells[TOP_PARTS];

	top_bar_plan(frames, 78, cells);
	CU_ASSERT_EQUAL(cells[TOP_USED], 39);
	CU_ASSERT_EQUAL(cells[TOP_FREE], 39);
	memset(frames, 0, sizeof(frames));
	top_bar_plan(frames, 78, cells);
	CU_ASSERT_EQUAL(sum_of(cells), 0);
}

/* --- samples -------------------------------------------------------------------------------- */

struct pair {
	struct top_sample before, now;
	struct top_row rows[SHM_MAX_CACHES + SHM_MAX_CLIENTS];
	struct top_table table;
};

/* Two clients; 2 s; the first grows by 200 frames, the second is a new process in an old slot. */
static struct pair *pair_new(void)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	struct top_sample *s;

	if (!pair)
		abort();
	s = &pair->before;
	s->at_ns = 5 * SECOND;
	s->header.instance_id = 77;
	s->header.page_shift = 12;
	s->header.online_frames = 10000;
	s->n_zones = 1;
	(void)snprintf(s->zones[0].name, SHM_NAME_BYTES, "normal");
	s->zones[0].managed = 10000;
	s->zones[0].nr_free = 6000;
	s->zones[0].nr_hole = 4000;
	s->n_clients = 2;
	s->clients[0] = (struct shm_client){.id = 1,
					    .state = SHM_CLIENT_ATTACHED,
					    .attached_ns = 100,
					    .nr_owned = 3000,
					    .name = "big"};
	s->clients[1] = (struct shm_client){.id = 2,
					    .state = SHM_CLIENT_ATTACHED,
					    .attached_ns = 200,
					    .nr_owned = 50,
					    .nr_purged = 900,
					    .name = "al"};
	s->counter[COUNTER_nr_owned] = 4000;
	s->counter[COUNTER_pgalloc] = 1000;
	pair->now = pair->before;
	s = &pair->now;
	s->at_ns = 7 * SECOND;
	s->clients[0].nr_owned = 3200;
	s->clients[0].nr_magazine = 100;
	s->clients[1].attached_ns = 300;
	s->clients[1].nr_purged = 1000;
	s->counter[COUNTER_pgalloc] = 1500;
	s->counter[COUNTER_pgfree] = 1;
	return pair;
}

static void a_rate_is_a_difference_by_time(void)
{
	struct pair *pair = pair_new();

	CU_ASSERT_DOUBLE_EQUAL(top_seconds(&pair->before, &pair->now), 2.0, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(top_counter_rate(&pair->before, &pair->now, COUNTER_pgalloc), 250.0,
			       1e-9);
	CU_ASSERT_DOUBLE_EQUAL(top_counter_rate(&pair->before, &pair->now, COUNTER_pgfree), 0.5,
			       1e-9);
	free(pair);
}

static void nothing_has_a_rate_without_a_sample_before_it(void)
{
	struct pair *pair = pair_new();

	pair->before.at_ns = 0; /* the first look */
	CU_ASSERT_EQUAL(top_counter_rate(&pair->before, &pair->now, COUNTER_pgalloc), 0);
	pair->before.at_ns = pair->now.at_ns; /* two at once */
	CU_ASSERT_EQUAL(top_counter_rate(&pair->before, &pair->now, COUNTER_pgalloc), 0);
	pair->before.at_ns = 1;
	pair->before.header.instance_id = 78; /* another segment */
	CU_ASSERT_EQUAL(top_counter_rate(&pair->before, &pair->now, COUNTER_pgalloc), 0);
	CU_ASSERT_EQUAL(top_rate(10, 3, 1.0), 0); /* fell */
	free(pair);
}

static void every_frame_is_in_one_part(void)
{
	struct pair *pair = pair_new();
	uint64_t frames[TOP_PARTS];

	pair->now.header.nr_purgeable =
		1000000; /* entries, of which more than one may name a frame */
	pair->now.zones[0].managed = 9990;
	top_parts(&pair->now, frames);
	CU_ASSERT_EQUAL(frames[TOP_MAGAZINES], 100);
	CU_ASSERT_EQUAL(frames[TOP_PURGEABLE], 3900);
	CU_ASSERT_EQUAL(frames[TOP_USED], 0);
	CU_ASSERT_EQUAL(frames[TOP_FREE], 2000);
	CU_ASSERT_EQUAL(frames[TOP_HOLES], 4000);
	CU_ASSERT_EQUAL(frames[TOP_BAD], 10);
	free(pair);
}

static void free_lies_between_watermarks(void)
{
	struct pair *pair = pair_new();
	struct shm_zone *zone = &pair->now.zones[0];

	zone->watermark_min = 100;
	zone->watermark_low = 200;
	zone->watermark_high = 300;
	CU_ASSERT_STRING_EQUAL(top_levels(&pair->now).text, "above high");
	zone->nr_free = 300;
	CU_ASSERT_STRING_EQUAL(top_levels(&pair->now).text, "between low and high");
	zone->nr_free = 199;
	CU_ASSERT_STRING_EQUAL(top_levels(&pair->now).text, "between min and low");
	zone->nr_free = 99;
	CU_ASSERT_STRING_EQUAL(top_levels(&pair->now).text, "below min");
	free(pair);
}

/* --- tables --------------------------------------------------------------------------------- */

static uint32_t column(const struct top_table *table, const char *json)
{
	for (uint32_t i = 0; i < table->n_columns; i++)
		if (strcmp(table->columns[i].json, json) == 0)
			return i;
	CU_FAIL("no such column");
	return 0;
}

static void fill(struct pair *pair, enum top_tables which)
{
	top_table_init(&pair->table, which, pair->rows);
	top_table_fill(&pair->table, which, &pair->before, &pair->now);
}

static void clients_have_rates_of_their_own(void)
{
	struct pair *pair = pair_new();
	const struct top_row *big, *al;

	fill(pair, TOP_CLIENTS);
	CU_ASSERT_EQUAL_FATAL(pair->table.n_rows, 2);
	big = &pair->rows[0]; /* by OWNED */
	al = &pair->rows[1];
	CU_ASSERT_STRING_EQUAL(big->cell[column(&pair->table, "name")], "big");
	CU_ASSERT_DOUBLE_EQUAL(big->key[column(&pair->table, "owned_change_per_s")], 100.0, 1e-9);
	CU_ASSERT_STRING_EQUAL(big->cell[column(&pair->table, "owned_change_per_s")], "+400KiB");
	/* the same slot, another process: what the first one was purged of is not its */
	CU_ASSERT_EQUAL(al->key[column(&pair->table, "purged_per_s")], 0);
	pair->before.clients[1].attached_ns = 300;
	fill(pair, TOP_CLIENTS);
	CU_ASSERT_DOUBLE_EQUAL(al->key[column(&pair->table, "purged_per_s")], 50.0, 1e-9);
	free(pair);
}

static void a_client_with_purgeable_frames_is_a_cache(void)
{
	struct pair *pair = pair_new();

	pair->now.clients[0].purge_slots = 512;
	pair->now.clients[0].nr_purgeable = 40;
	pair->now.clients[0].nr_pinned = 2;
	pair->before.n_caches = pair->now.n_caches = 1;
	pair->before.caches[0] = (struct shm_cache){.state = SHM_CACHE_READY,
						    .client = 2,
						    .id = 9,
						    .registered_ns = 5,
						    .nr_frames = 41,
						    .nr_scanned = 10,
						    .name = "blocks"};
	pair->now.caches[0] = pair->before.caches[0];
	pair->now.caches[0].nr_scanned = 30;
	fill(pair, TOP_CACHES);
	CU_ASSERT_EQUAL_FATAL(pair->table.n_rows, 2);
	CU_ASSERT_STRING_EQUAL(pair->rows[0].cell[column(&pair->table, "kind")], "purgeable");
	CU_ASSERT_EQUAL(pair->rows[0].key[column(&pair->table, "frames")], 42);
	CU_ASSERT_STRING_EQUAL(pair->rows[1].cell[column(&pair->table, "name")], "blocks");
	CU_ASSERT_DOUBLE_EQUAL(pair->rows[1].key[column(&pair->table, "scanned_per_s")], 10.0,
			       1e-9);
	free(pair);
}

/* A name that is a terminal's command, and one without an end. */
static void names_are_harmless(void)
{
	struct pair *pair = pair_new();
	uint32_t name;

	memset(pair->now.clients[0].name, 'x', SHM_NAME_BYTES);
	(void)snprintf(pair->now.clients[1].name, SHM_NAME_BYTES, "\033[2J");
	fill(pair, TOP_CLIENTS);
	name = column(&pair->table, "name");
	CU_ASSERT_EQUAL(strlen(pair->rows[0].cell[name]), SHM_NAME_BYTES);
	CU_ASSERT_STRING_EQUAL(pair->rows[1].cell[name], "?[2J");
	free(pair);
}

static void any_column_sorts_both_ways(void)
{
	struct pair *pair = pair_new();
	struct top_table *table = &pair->table;
	uint32_t width[TOP_COLUMNS_MAX], name;

	fill(pair, TOP_CLIENTS);
	name = column(table, "name");
	table->sort = name;
	top_table_sort(table);
	CU_ASSERT_STRING_EQUAL(pair->rows[0].cell[name], "al");
	table->is_reversed = true;
	top_table_sort(table);
	CU_ASSERT_STRING_EQUAL(pair->rows[0].cell[name], "big");
	/* equals stay in the order of their slots, whichever way */
	table->sort = column(table, "threads");
	top_table_sort(table);
	CU_ASSERT_STRING_EQUAL(pair->rows[0].cell[name], "big");
	top_table_fit(table, 200, width);
	for (uint32_t i = 0; i < table->n_columns; i++)
		top_table_move(table, width, 1);
	CU_ASSERT_EQUAL(table->sort, column(table, "threads")); /* once around */
	CU_ASSERT_FALSE(table->is_reversed);
	top_table_move(table, width, -1);
	CU_ASSERT_EQUAL(table->sort, column(table, "threads") - 1);
	free(pair);
}

static void a_column_that_is_not_shown_is_passed_over(void)
{
	struct pair *pair = pair_new();
	struct top_table *table = &pair->table;
	uint32_t width[TOP_COLUMNS_MAX];

	fill(pair, TOP_CLIENTS);
	top_table_fit(table, 80, width);
	table->sort = column(table, "owned");
	for (uint32_t i = 0; i < 3 * table->n_columns; i++) {
		top_table_move(table, width, i % 2 ? -1 : 1);
		CU_ASSERT_TRUE(width[table->sort] > 0);
	}
	CU_ASSERT_EQUAL(width[column(table, "threads")], 0);
	free(pair);
}

static void columns_fit_any_terminal(void)
{
	for (uint32_t which = 0; which < TOP_TABLES; which++)
		for (uint32_t terminal = 80; terminal <= 300; terminal++) {
			uint32_t width[TOP_COLUMNS_MAX], used = 0;
			struct top_table table;

			top_table_init(&table, (enum top_tables)which, NULL);
			top_table_fit(&table, terminal, width);
			for (uint32_t i = 0; i < table.n_columns; i++) {
				used += width[i] ? width[i] + 1 : 0;
				CU_ASSERT_TRUE(width[i] > 0 || table.columns[i].level > 0);
				CU_ASSERT_TRUE(width[i] > 0 || terminal < 200);
			}
			CU_ASSERT_TRUE(used <= terminal);
		}
}

CU_TestInfo test_top[] = {
	{"the bar is as wide as asked", the_bar_is_as_wide_as_asked},
	{"a bar of halves is cut in the middle", a_bar_of_halves_is_cut_in_the_middle},
	{"a rate is a difference by time", a_rate_is_a_difference_by_time},
	{"nothing has a rate without a sample before it",
	 nothing_has_a_rate_without_a_sample_before_it},
	{"every frame is in one part", every_frame_is_in_one_part},
	{"free lies between watermarks", free_lies_between_watermarks},
	{"clients have rates of their own", clients_have_rates_of_their_own},
	{"a client with purgeable frames is a cache", a_client_with_purgeable_frames_is_a_cache},
	{"names are harmless", names_are_harmless},
	{"any column sorts both ways", any_column_sorts_both_ways},
	{"a column that is not shown is passed over", a_column_that_is_not_shown_is_passed_over},
	{"columns fit any terminal", columns_fit_any_terminal},
	CU_TEST_INFO_NULL,
};
