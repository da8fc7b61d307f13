/* tests/unit/test_config_files.c - which files are the configuration, and what is told of it: one
 * main file, drop-ins of two folders as one set, masks; and the lines of `pagectl config`.
 *
 * The system's folders are made below a root of the test's own. */
#include "daemon/host/config.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_config_files[];

#define ETC "etc/paged/paged.conf"
#define LOCAL "usr/local/lib/paged/paged.conf"
#define LIB "usr/lib/paged/paged.conf"
#define MIB (UINT64_C(1) << 20)

struct fixture {
	char root[64];
	struct config config;
	struct config_errors errors;
};

static void place(const struct fixture *fixture, const char *name, char ret_path[192])
{
	(void)snprintf(ret_path, 192, "%s/%s", fixture->root, name);
}

static struct fixture *setup(void)
{
	static const char *const folders[] = {
		"etc",           "etc/paged",           ETC ".d",   "usr",
		"usr/lib",       "usr/lib/paged",       LIB ".d",   "usr/local",
		"usr/local/lib", "usr/local/lib/paged", LOCAL ".d",
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture);
	strcpy(fixture->root, "/tmp/paged-root-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fixture->root));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char path[192];

		place(fixture, folders[i], path);
		CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	}
	return fixture;
}

static void teardown(struct fixture *fixture)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -r %s", fixture->root);
	CU_ASSERT_EQUAL(system(command), 0);
	free(fixture);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	char path[192];
	FILE *file;

	place(fixture, name, path);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void read_all(struct fixture *fixture)
{
	memset(&fixture->config, 0, sizeof(fixture->config));
	memset(&fixture->errors, 0, sizeof(fixture->errors));
	config_init(&fixture->config);
	config_read_system(&fixture->config, fixture->root, &fixture->errors);
}

static uint64_t batch_of(struct fixture *fixture)
{
	read_all(fixture);
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	return fixture->config.value[CONFIG_pcp_batch].n;
}

static void the_file_of_etc_takes_the_place_of_the_shipped_one(void)
{
	struct fixture *fixture = setup();

	CU_ASSERT_EQUAL(batch_of(fixture), 0);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 0);
	write_file(fixture, LIB, "[pcp]\nbatch = 7\nbusy_poll = 3\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 7);
	write_file(fixture, ETC, "[pcp]\nbatch = 8\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 8);
	CU_ASSERT_EQUAL(fixture->config.value[CONFIG_pcp_busy_poll].line, 0);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 1);
	write_file(fixture, ETC, ""); /* a mask, too */
	CU_ASSERT_EQUAL(batch_of(fixture), 0);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 0);
	teardown(fixture);
}

/* Of an installation from source: it goes before the packages', and gives way to the
 * administrator's. */
static void what_is_shipped_may_lie_in_usr_local(void)
{
	struct fixture *fixture = setup();

	write_file(fixture, LIB, "[pcp]\nbatch = 7\n");
	write_file(fixture, LOCAL, "[pcp]\nbatch = 9\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 9);
	write_file(fixture, LIB ".d/50.conf", "[pcp]\nbatch = 50\n");
	write_file(fixture, LOCAL ".d/50.conf", "[pcp]\nbatch = 51\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 51);
	write_file(fixture, ETC ".d/50.conf", "[pcp]\nbatch = 52\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 52);
	write_file(fixture, ETC, "[pcp]\nbatch = 1\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 52);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 2);
	teardown(fixture);
}

static void drop_ins_of_both_folders_are_sorted_as_one(void)
{
	struct fixture *fixture = setup();

	write_file(fixture, ETC, "[pcp]\nbatch = 1\n");
	write_file(fixture, LIB ".d/50.conf", "[pcp]\nbatch = 50\n");
	write_file(fixture, ETC ".d/20.conf", "[pcp]\nbatch = 20\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 50); /* by name, not by folder */
	write_file(fixture, ETC ".d/50.conf", "[pcp]\nbusy_poll = 4\n");
	CU_ASSERT_EQUAL(batch_of(fixture), 20); /* that of /etc is read in the place of the other */
	CU_ASSERT_EQUAL(fixture->config.value[CONFIG_pcp_busy_poll].n, 4);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 3);
	teardown(fixture);
}

static void an_empty_drop_in_or_a_link_to_null_masks_the_shipped_one(void)
{
	struct fixture *fixture = setup();
	char path[192];

	write_file(fixture, LIB ".d/50.conf", "[pcp]\nbatch = 50\n");
	write_file(fixture, LIB ".d/60.conf", "[pcp]\nbogus = 50\n");
	write_file(fixture, ETC ".d/60.conf", "");
	CU_ASSERT_EQUAL(batch_of(fixture), 50);
	place(fixture, ETC ".d/50.conf", path);
	CU_ASSERT_EQUAL_FATAL(symlink("/dev/null", path), 0);
	CU_ASSERT_EQUAL(batch_of(fixture), 0);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 0);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("nowhere", path), 0);
	read_all(fixture); /* that is a mistake, and said */
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "cannot be read"));
	teardown(fixture);
}

/* --- lines ---------------------------------------------------------------------------------- */

static const struct config_facts facts = {
	.segment_bytes = 64 * MIB,
	.max_bytes = 128 * MIB,
	.batch = 9,
	.busy_poll_us = 20,
	.backing = "posix",
	.socket = "/run/x/paged.sock",
	.pressure = "/run/x/pressure.sock",
};

static bool has_line(const struct session_config *lines, const char *start, const char *end)
{
	for (uint32_t i = 0; i < lines->nr_lines; i++) {
		const char *line = lines->line[i];
		size_t n = strlen(line), n_end = strlen(end);

		if (strncmp(line, start, strlen(start)) == 0 && n >= n_end &&
		    strcmp(line + n - n_end, end) == 0)
			return true;
	}
	(void)fprintf(stderr, "no line \"%s ... %s\"\n", start, end);
	return false;
}

static void every_key_is_a_line_with_its_origin(void)
{
	struct fixture *fixture = setup();
	struct session_config lines;

	write_file(fixture, ETC,
		   "[segment]\nsize = 25%\n[zone fast]\nsize = 50%\n"
		   "[client name=a* uid=0]\nmin = 10%\naccess = observe\n");
	read_all(fixture);
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	config_lines(&fixture->config, &facts, 5, &lines);
	CU_ASSERT_EQUAL(lines.serial, 5);
	CU_ASSERT_EQUAL(lines.nr_lines, CONFIG_NR_KEYS + 3);
	CU_ASSERT_TRUE(has_line(&lines, "segment\nsize\n25%\n64M\n/tmp/", ETC ":2"));
	CU_ASSERT_TRUE(has_line(&lines, "segment\nsize_max\nnone\n128M\n", "\ndefault"));
	CU_ASSERT_TRUE(has_line(&lines, "segment\nbacking\nauto\nposix\n", "\ndefault"));
	CU_ASSERT_TRUE(has_line(&lines, "socket\npath\nauto\n/run/x/paged.sock\n", "\ndefault"));
	CU_ASSERT_TRUE(has_line(&lines, "pcp\nbatch\nauto\n9\n", "\ndefault"));
	CU_ASSERT_TRUE(has_line(&lines, "socket\nmode\n0660\n\n", "\ndefault"));
	CU_ASSERT_TRUE(has_line(&lines, "zone fast\nsize\n50%\n32M\n/tmp/", ETC ":4"));
	CU_ASSERT_TRUE(has_line(&lines, "client name=a* uid=0\nmin\n10%\n", ETC ":6"));
	CU_ASSERT_TRUE(has_line(&lines, "client name=a* uid=0\naccess\nobserve\n\n", ETC ":7"));
	config_free_lines(&lines);
	CU_ASSERT_EQUAL(lines.nr_lines, 0);
	teardown(fixture);
}

/* The longest of everything still is five lines that end with the place. */
static void the_longest_line_keeps_its_origin(void)
{
	struct fixture *fixture = setup();
	struct session_config lines;
	struct config_value *value = &fixture->config.value[CONFIG_socket_path];
	uint32_t n = 0;

	config_init(&fixture->config);
	memset(value->text, 'v', CONFIG_TEXT_BYTES - 1);
	memset(value->file, 'f', CONFIG_FILE_BYTES - 1);
	value->line = UINT32_MAX;
	value->kind = CONFIG_IS_AUTO;
	memset(fixture->config.next[CONFIG_socket_path].text, 'n', CONFIG_TEXT_BYTES - 1);
	config_lines(&fixture->config, &facts, 1, &lines);
	for (const char *c = lines.line[CONFIG_socket_path]; *c; c++)
		n += *c == '\n';
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_TRUE(has_line(&lines, "socket\npath\nvvv", "fff:4294967295"));
	config_free_lines(&lines);
	teardown(fixture);
}

static void access_is_full_or_observe(void)
{
	struct fixture *fixture = setup();
	static struct session_limits limits;

	write_file(fixture, ETC,
		   "[client unit=x.service]\naccess = observe\n[client uid=0]\naccess = full\n");
	read_all(fixture);
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	config_rules(&fixture->config, 64 * MIB, 12, &limits);
	CU_ASSERT_TRUE(limits.rule[0].observe_only);
	CU_ASSERT_EQUAL(limits.rule[0].given, RULE_GIVES_ACCESS);
	CU_ASSERT_FALSE(limits.rule[1].observe_only);
	CU_ASSERT_EQUAL(limits.rule[1].given, RULE_GIVES_ACCESS);
	write_file(fixture, ETC, "[client uid=0]\naccess = none\n");
	read_all(fixture);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "full|observe would be right"));
	teardown(fixture);
}

CU_TestInfo test_config_files[] = {
	{"the file of /etc takes the place of the shipped one",
	 the_file_of_etc_takes_the_place_of_the_shipped_one},
	{"what is shipped may lie in /usr/local", what_is_shipped_may_lie_in_usr_local},
	{"drop-ins of both folders are sorted as one", drop_ins_of_both_folders_are_sorted_as_one},
	{"an empty drop-in, or a link to null, masks the shipped one",
	 an_empty_drop_in_or_a_link_to_null_masks_the_shipped_one},
	{"every key is a line with its origin", every_key_is_a_line_with_its_origin},
	{"the longest line keeps its origin", the_longest_line_keeps_its_origin},
	{"access is full or observe", access_is_full_or_observe},
	CU_TEST_INFO_NULL,
};
