/* tests/integration/test_pagectl.c - every command, as text and as JSON, against a daemon with
 * something to show. */
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <unistd.h>

extern CU_TestInfo test_pagectl[];

static const char with_batch[] = "[segment]\nsize = 1G\n[pcp]\nbatch = 16\n";
static const char by_formula[] = "[segment]\nsize = 1G\n";

/* The magazine of thread 0 of the only client, by name. */
static const json_t *magazine(const json_t *root, const char *name)
{
	const json_t *all = json_object_get(root, "magazines");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *row = json_array_get(all, i);

		if (strcmp(json_string_value(json_object_get(row, "magazine")), name) == 0)
			return row;
	}
	CU_FAIL("no such magazine");
	return NULL;
}

static void expect_sizes(const char *config, uint64_t batch, uint64_t hot, uint64_t cold)
{
	struct fixture f;
	pageclient *client;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "one");
	pageclient_free(client, pageclient_alloc(client, 0, 0), 0);
	root = fixture_ctl_json(&f, "pcp");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "magazines")), 11);
	CU_ASSERT_EQUAL(fixture_json_number(magazine(root, "hot"), "batch"), batch);
	CU_ASSERT_EQUAL(fixture_json_number(magazine(root, "hot"), "high_base"), hot);
	CU_ASSERT_EQUAL(fixture_json_number(magazine(root, "cold"), "batch"), batch);
	CU_ASSERT_EQUAL(fixture_json_number(magazine(root, "cold"), "high_base"), cold);
	CU_ASSERT_EQUAL(fixture_json_number(magazine(root, "order-9"), "order"), 9);
	json_decref(root);
	pageclient_close(client);
	fixture_close(&f);
}

static void magazines_have_the_sizes_of_the_textbook(void)
{
	expect_sizes(with_batch, 16, 96, 32);
	expect_sizes(by_formula, 63, 378, 126);
}

/* --- every command -------------------------------------------------------------------------- */

static void expect_text(const struct fixture *f, const char *command, const char *const *words)
{
	struct program ctl;

	fixture_ctl(f, &ctl, command, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_STRING_EQUAL(ctl.err, "");
	for (; *words; words++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, *words));
		if (!strstr(ctl.out, *words))
			(void)fprintf(stderr, "no \"%s\" in %s: %s\n", *words, command, ctl.out);
	}
	program_done(&ctl);
}

static void every_command_prints_for_people(void)
{
	static const struct {
		const char *command;
		const char *words[6];
	} texts[] = {
		{"status", {"mem_map", "page tables", "64.0 MiB", "memfd", NULL}},
		{"zones", {"Zone normal", "min ", "low ", "high ", "Unmovable", NULL}},
		{"pcp", {"CLIENT", "COUNT", "HIGH", "BATCH", "hot", NULL}},
		{"clients", {"OWNED", "shown", "attached", NULL}},
		{"caches", {"FRAMES", "SCANNED", "FREED", "shown", NULL}},
		{"vmstat", {"nr_free_pages ", "pgalloc ", "pgsteal ", NULL}},
		{"check", {"ok: ", NULL}},
		{"drain", {"drained ", NULL}},
		{"help", {"usage: pagectl", "status", NULL}},
	};
	struct fixture f;
	struct holder holder = {&f, "shown", HOLDER_PRUNES, 1000, 0};
	struct child child;
	struct program ctl;
	uint64_t n;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_text(&f, texts[i].command, texts[i].words);
	fixture_ctl(&f, &ctl, "reclaim", "--frames", "10", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, ", 10 wanted"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "drain", "--client", "7", NULL); /* nobody */
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* -v adds an array and changes no field that is there without it. */
static void verbose_vmstat_adds_to_the_counters(void)
{
	struct fixture f;
	struct program ctl;
	json_t *plain, *verbose, *item;
	const char *name;
	json_t *value;
	size_t i;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n"));
	plain = fixture_ctl_json(&f, "vmstat");
	fixture_ctl(&f, &ctl, "vmstat", "-v", "--json", NULL);
	verbose = json_loads(ctl.out, 0, NULL);
	json_object_foreach(plain, name, value)
		CU_ASSERT_TRUE(json_is_integer(json_object_get(verbose, name)));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(verbose, "counters")), COUNTER_COUNT);
	json_array_foreach(json_object_get(verbose, "counters"), i, item)
	{
		name = json_string_value(json_object_get(item, "name"));
		CU_ASSERT_STRING_EQUAL(name, counter_name((enum counter)i));
		CU_ASSERT_TRUE(
			json_equal(json_object_get(item, "value"), json_object_get(verbose, name)));
		CU_ASSERT_TRUE(json_is_string(json_object_get(item, "unit")));
		CU_ASSERT_TRUE(json_is_string(json_object_get(item, "text")));
		CU_ASSERT_EQUAL(json_is_true(json_object_get(item, "gauge")),
				i <= COUNTER_nr_shared);
	}
	json_decref(plain);
	json_decref(verbose);
	program_done(&ctl);
	fixture_close(&f);
}

static void status_shows_the_two_elephants(void)
{
	struct fixture f;
	struct holder holder = {&f, "shown", HOLDER_KEEPS, 4000, 0};
	struct child child;
	struct observer observer;
	json_t *root;
	uint64_t n, total;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n"));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	CU_ASSERT_EQUAL(n, 4000);
	CU_ASSERT_TRUE(observer_settles(&observer)); /* a commit ahead of need may be under way */
	observer_close(&observer);
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_EQUAL(fixture_json_number(root, "page_size"), 4096);
	CU_ASSERT_EQUAL(fixture_json_number(root, "frames"), 16384);
	CU_ASSERT_TRUE(fixture_json_number(root, "daemon.pid") > 0);
	CU_ASSERT_EQUAL(fixture_json_number(root, "clients"), 1);
	total = fixture_json_number(root, "free") + fixture_json_number(root, "owned") +
		fixture_json_number(root, "shared") + fixture_json_number(root, "unmanaged");
	CU_ASSERT_EQUAL(total, 16384);
	CU_ASSERT_TRUE(fixture_json_number(root, "owned") >= 4000);
	CU_ASSERT_TRUE(fixture_json_number(root, "metadata.mem_map.used_bytes") >= 16384 * 16);
	CU_ASSERT_TRUE(fixture_json_number(root, "metadata.used_bytes") > 0);
	CU_ASSERT_EQUAL(fixture_json_number(root, "page_tables.processes"), 1);
	CU_ASSERT_TRUE(fixture_json_number(root, "page_tables.bytes") >= 4000 * 8);
	CU_ASSERT_TRUE(fixture_json_number(root, "watermarks.min") <
		       fixture_json_number(root, "watermarks.low"));
	CU_ASSERT_TRUE(fixture_json_number(root, "watermarks.low") <
		       fixture_json_number(root, "watermarks.high"));
	json_decref(root);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

static void every_command_prints_for_programs(void)
{
	static const struct {
		const char *command;
		const char *member; /* that it has to have, of whatever type */
	} commands[] = {
		{"status", "watermarks"}, {"zones", "zones"},   {"pcp", "magazines"},
		{"clients", "clients"},   {"caches", "caches"}, {"vmstat", NULL},
		{"check", "ok"},          {"drain", "frames"},
	};
	struct fixture f;
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[zone fast]\nsize = 8M\n"));
	client = fixture_client(&f, "odd \"name\"");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		json_t *root = fixture_ctl_json(&f, commands[i].command);

		if (commands[i].member)
			CU_ASSERT_PTR_NOT_NULL(json_object_get(root, commands[i].member));
		json_decref(root);
	}
	pageclient_close(client);
	fixture_close(&f);
}

static void zones_add_up(void)
{
	struct fixture f;
	json_t *root;
	const json_t *zones;
	uint64_t managed = 0;

	CU_ASSERT_TRUE(fixture_open(
		&f, "[segment]\nsize = 64M\n[zone fast]\nsize = 8M\n[zone big]\nsize = 50%\n"));
	root = fixture_ctl_json(&f, "zones");
	zones = json_object_get(root, "zones");
	CU_ASSERT_EQUAL(json_array_size(zones), 3);
	for (size_t i = 0; i < json_array_size(zones); i++)
		managed += fixture_json_number(json_array_get(zones, i), "managed");
	CU_ASSERT_EQUAL(managed, 16384);
	json_decref(root);
	fixture_close(&f);
}

/* --- many ----------------------------------------------------------------------------------- */

#define CLIENTS 200

static void two_hundred_clients_come_and_go(void)
{
	static pageclient *client[CLIENTS];
	struct fixture f;
	struct observer observer;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 256M\n[pcp]\nbatch = 16\n"));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			char name[32];

			(void)snprintf(name, sizeof(name), "client %d", i);
			client[i] = fixture_client(&f, name);
			CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client[i], 0, 0));
		}
		root = fixture_ctl_json(&f, "clients");
		CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "clients")), CLIENTS);
		json_decref(root);
		root = fixture_ctl_json(&f, "status");
		CU_ASSERT_EQUAL(fixture_json_number(root, "clients"), CLIENTS);
		json_decref(root);
		CU_ASSERT_TRUE(fixture_check(&f));
		for (int i = 0; i < CLIENTS; i++)
			pageclient_close(client[i]);
		CU_ASSERT_TRUE(observer_all_free(&observer));
	}
	CU_ASSERT_EQUAL(shm_view_counter(&observer.view, COUNTER_client_attach), 2 * CLIENTS);
	CU_ASSERT_EQUAL(shm_view_counter(&observer.view, COUNTER_client_detach), 2 * CLIENTS);
	observer_close(&observer);
	fixture_close(&f);
}

static void output_that_cannot_be_written_is_exit_1(void)
{
	struct fixture f;
	struct program shell;
	char command[512];

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n"));
	(void)snprintf(command, sizeof(command), "%s --socket %s vmstat >/dev/full",
		       fixture_pagectl(), f.socket);
	program_run(&shell, (const char *[]){"/bin/sh", "-c", command, NULL});
	CU_ASSERT_EQUAL(shell.status, 1);
	CU_ASSERT_TRUE(program_said_one_line(&shell));
	program_done(&shell);
	fixture_close(&f);
}

CU_TestInfo test_pagectl[] = {
	{"magazines have the sizes of the textbook", magazines_have_the_sizes_of_the_textbook},
	{"every command prints for people", every_command_prints_for_people},
	{"every command prints for programs", every_command_prints_for_programs},
	{"verbose vmstat adds to the counters", verbose_vmstat_adds_to_the_counters},
	{"status shows the two elephants", status_shows_the_two_elephants},
	{"zones add up", zones_add_up},
	{"two hundred clients come and go", two_hundred_clients_come_and_go},
	{"output that cannot be written is exit 1", output_that_cannot_be_written_is_exit_1},
	CU_TEST_INFO_NULL,
};
