/* tests/integration/test_usage.c - what people type: configuration files and command lines that are
 * wrong, and what they are told. */
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_usage[];

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* --- configuration -------------------------------------------------------------------------- */

struct bad_config {
	const char *text;
	unsigned line;    /* that the message has to name */
	const char *says; /* and that it has to say */
};

#define PATH_20 "/2345678901234567890"
#define PATH_100 PATH_20 PATH_20 PATH_20 PATH_20 PATH_20

static const struct bad_config bad_configs[] = {
	{"[segment]\ncolour = red\n", 2, "no such key"},
	{"\n[nonsense]\n", 2, "no such section"},
	{"[segment]\nsize = big\n", 2, "not a size"},
	{"[segment]\nsize = 12x\n", 2, "not a size"},
	{"[segment]\nsize = -1M\n", 2, "segment.size"},
	{"[segment]\nsize = 0\n", 2, "zero"},
	{"[segment]\nsize = 0M\n", 2, "zero"},
	{"[segment]\nsize = 20000000T\n", 2, "address space"},
	{"[segment]\nsize = 99999999999999999999999G\n", 2, "segment.size"},
	{"[segment]\nsize = 32T\n", 2, "2^32 frames or more; less than 16T would be right"},
	{"[segment]\nsize = 1M\n", 2, "pageblock"},
	{"[segment]\nsize = 64M\n\n[zone big]\nsize = 65M\n", 5, "larger than the segment"},
	{"[segment]\nsize = 64M\n[zone a]\nsize = 40M\n[zone b]\nsize = 40M\n", 6,
	 "larger than the segment"},
	{"[segment]\nsize = 64M\n[zone normal]\nsize = 8M\n", 3, "no name of a zone"},
	{"[segment]\nsize = 64M\n[zone a]\n", 3, "zone a"},
	{"[segment]\nhugepages = maybe\n", 2, "never|auto|always"},
	{"[pcp]\nbatch = many\n", 2, "not a number"},
	{"[pcp]\nbatch = -1\n", 2, "1 to 4096 would be right"},
	{"[socket]\npath = paged.sock\n", 2, "is not absolute"},
	{"[socket]\npath = /" PATH_100 "1234567\n", 2, "has 108 bytes; at most 107"},
	{"[socket]\npath = /" PATH_100 PATH_20 PATH_20 "\n", 2, "has 141 bytes; at most 107"},
	{"[socket]\ngroup = no such group\n", 2, "there is no group \"no such group\""},
	{"[pcp]\nbatch = 0\n", 2, "pcp.batch"},
	{"[pcp]\nbatch = 5000\n", 2, "pcp.batch"},
	{"[socket]\nmode = 0999\n", 2, "socket.mode"},
	{"[reclaim]\ndeadline = soon\n", 2, "reclaim.deadline"},
	{"[segment]\nsize = 64M\n[reclaim]\nmin_free = 60M\n", 4, "half of the segment"},
	{"[limits]\nqueue = 1\n", 2, "64K to 1G would be right"},
	{"size = 64M\n", 1, "before the first section"},
	{"[segment]\nwhat is this\n", 2, "neither a section nor a key"},
};

static void check_bad_config(const struct fixture *fixture, const struct bad_config *bad)
{
	const char *argv[] = {fixture_paged(), "--check-config", "--config", fixture->config, NULL};
	struct program paged;
	char place[128];

	fixture_configure(fixture, bad->text);
	(void)snprintf(place, sizeof(place), "paged: %s:%u: ", fixture->config, bad->line);
	program_run(&paged, argv);
	CU_ASSERT_EQUAL(paged.status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(paged.err, place));
	CU_ASSERT_PTR_NOT_NULL(strstr(paged.err, bad->says));
	if (!strstr(paged.err, place) || !strstr(paged.err, bad->says))
		(void)fprintf(stderr, "%s gave %s", bad->text, paged.err);
	program_done(&paged);
}

static void bad_configuration_is_told_with_file_and_line(void)
{
	struct fixture f;

	fixture_make(&f, "");
	for (size_t i = 0; i < ROWS(bad_configs); i++)
		check_bad_config(&f, &bad_configs[i]);
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void every_error_of_a_file_is_told_at_once(void)
{
	struct fixture f;

	fixture_make(&f, "[segment]\nsize = 0\ncolour = red\n[pcp]\nbatch = many\n");
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "paged.conf:2: "));
	CU_ASSERT_TRUE(fixture_log_has(&f, "paged.conf:3: "));
	CU_ASSERT_TRUE(fixture_log_has(&f, "paged.conf:5: "));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void drop_ins_win_and_are_named_when_wrong(void)
{
	char folder[160], drop_in[192];
	struct fixture f;
	FILE *file;

	fixture_make(&f, "[segment]\nsize = 64M\n");
	(void)snprintf(folder, sizeof(folder), "%s.d", f.config);
	(void)snprintf(drop_in, sizeof(drop_in), "%s/10-size.conf", folder);
	CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
	file = fopen(drop_in, "we");
	(void)fputs("[segment]\nsize = 32M\n", file);
	(void)fclose(file);
	if (fixture_start(&f)) {
		json_t *status = fixture_ctl_json(&f, "status");

		CU_ASSERT_EQUAL(fixture_json_number(status, "segment_bytes"), 32u << 20);
		json_decref(status);
	}
	fixture_stop(&f);
	file = fopen(drop_in, "we");
	(void)fputs("\n\n[segment]\nsize = nothing\n", file);
	(void)fclose(file);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "10-size.conf:4: segment.size"));
	fixture_close(&f);
}

static void unreadable_configuration_is_told(void)
{
	struct fixture f;
	char config[96];

	fixture_make(&f, "");
	memcpy(config, f.config, sizeof(config));
	(void)snprintf(f.config, sizeof(f.config), "%s/no/such.conf", f.directory);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "no/such.conf: cannot be read: No such file"));
	(void)snprintf(f.config, sizeof(f.config), "%s", f.directory);
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "cannot be read: Is a directory"));
	memcpy(f.config, config, sizeof(config));
	fixture_close(&f);
}

static void check_config_prints_what_can_be_read_again(void)
{
	struct fixture f;
	struct program first, second;
	const char *argv[] = {fixture_paged(), "--check-config", "--config", f.config, NULL};

	fixture_make(&f, "[segment]\nsize = 64M\n[zone fast]\nsize = 25%\n[pcp]\nbatch = 16\n");
	program_run(&first, argv);
	CU_ASSERT_EQUAL(first.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(first.out, "\nbatch = 16\n"));
	fixture_configure(&f, first.out);
	program_run(&second, argv);
	CU_ASSERT_EQUAL(second.status, 0);
	CU_ASSERT_STRING_EQUAL(first.out, second.out);
	program_done(&first);
	program_done(&second);
	fixture_close(&f);
}

/* --- command lines -------------------------------------------------------------------------- */

static void expect_usage(const char *const *argv)
{
	struct program program;

	program_run(&program, argv);
	CU_ASSERT_EQUAL(program.status, 2);
	CU_ASSERT_TRUE(program_said_one_line(&program));
	CU_ASSERT_STRING_EQUAL(program.out, "");
	if (program.status != 2 || !program_said_one_line(&program))
		(void)fprintf(stderr, "%s %s: %d %s", argv[0], argv[1] ? argv[1] : "",
			      program.status, program.err);
	program_done(&program);
}

static void wrong_usage_is_one_line_and_exit_2(void)
{
	static const char *const of_paged[][4] = {
		{"--frobnicate"},
		{"-x"},
		{"serve"},
		{"--config"},
		{"--runtime-dir"},
		{"--foreground=yes"},
		{"--config="},
		{"--runtime-dir="},
		{"--runtime-dir=", "--check-config"},
		{"--instance="},
		{"--system", "--runtime-dir", "/tmp"},
		{"--instance", "a/b"},
		{"--instance", "a/b", "--check-config"},
		{"--system", "--instance=system"}, /* paged.service's segment */
		{"--system", "--instance=paged", "--check-config"},
		{"--system", "--instance=user-1000", "--check-config"},
		{"--system", "--instance=dir-0", "--check-config"},
	};
	static const char *const of_pagectl[][4] = {
		{NULL},
		{"frobnicate"},
		{"status", "--frobnicate"},
		{"status", "-x"},
		{"status", "zones"},
		{"status", "--frames", "3"},
		{"zones", "--client", "3"},
		{"reclaim"},
		{"reclaim", "--frames"},
		{"reclaim", "--frames", "0"},
		{"reclaim", "--frames", "-1"},
		{"reclaim", "--frames", "many"},
		{"drain", "--client", "0"},
		{"drain", "--client", "1025"},
		{"why"},
		{"clients", "--older-than", "soon"},
		{"status", "--older-than", "1h"},
		{"help", "frobnicate"},
		{"--socket"},
		{"status", "--socket", ""},
		{"status", "--runtime-dir", ""},
	};

	for (size_t i = 0; i < ROWS(of_paged); i++)
		expect_usage((const char *[]){fixture_paged(), of_paged[i][0], of_paged[i][1],
					      of_paged[i][2], NULL});
	for (size_t i = 0; i < ROWS(of_pagectl); i++)
		expect_usage((const char *[]){fixture_pagectl(), of_pagectl[i][0], of_pagectl[i][1],
					      of_pagectl[i][2], NULL});
}

static void help_and_version_are_there(void)
{
	static const char *const words[] = {"--help", "--version"};

	for (int i = 0; i < 4; i++) {
		const char *argv[] = {i < 2 ? fixture_paged() : fixture_pagectl(), words[i % 2],
				      NULL};
		struct program program;

		program_run(&program, argv);
		CU_ASSERT_EQUAL(program.status, 0);
		CU_ASSERT_STRING_EQUAL(program.err, "");
		CU_ASSERT_PTR_NOT_NULL(strstr(program.out, "page"));
		CU_ASSERT_TRUE(i % 2 || strncmp(program.out, "usage: ", 7) == 0);
		program_done(&program);
	}
}

static void no_daemon_is_exit_3(void)
{
	static const char *const commands[] = {"status", "zones",  "pcp",   "clients",
					       "caches", "vmstat", "check", "drain"};
	struct fixture f;

	fixture_make(&f, "");
	for (size_t i = 0; i < ROWS(commands); i++) {
		struct program ctl;

		fixture_ctl(&f, &ctl, commands[i], NULL);
		CU_ASSERT_EQUAL(ctl.status, 3);
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, f.socket));
		CU_ASSERT_STRING_EQUAL(ctl.out, "");
		program_done(&ctl);
	}
	fixture_close(&f);
}

static void bad_instance_and_directory_are_told(void)
{
	struct fixture f;

	fixture_make(&f, "");
	(void)snprintf(f.instance, sizeof(f.instance), "a/b");
	CU_ASSERT_EQUAL(fixture_fail(&f), 2);
	CU_ASSERT_TRUE(fixture_log_has(&f, "--instance \"a/b\" is no name"));
	(void)snprintf(f.instance, sizeof(f.instance), "it-none-%d", getpid());
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

static void as_a_user_of(struct fixture *fixture)
{
	(void)setenv("XDG_RUNTIME_DIR", fixture->arg, 1);
	if (geteuid() == 0 && setuid(65534) < 0)
		_exit(77);
}

static void runtime_directory_that_is_not_absolute_is_told(void)
{
	char relative[] = "run/user";
	struct fixture f;
	int r;

	fixture_make(&f, "");
	f.by_default = true;
	f.before_exec = as_a_user_of;
	f.arg = relative;
	r = fixture_fail(&f);
	if (r == 127 || r == 77)
		fixture_skip("a relative XDG_RUNTIME_DIR", "no other user can run the daemon");
	else {
		CU_ASSERT_EQUAL(r, 1);
		CU_ASSERT_TRUE(fixture_log_has(
			&f, "XDG_RUNTIME_DIR is \"run/user\"; an absolute path would be right"));
	}
	fixture_close(&f);
}

CU_TestInfo test_usage[] = {
	{"bad configuration is told with file and line",
	 bad_configuration_is_told_with_file_and_line},
	{"every error of a file is told at once", every_error_of_a_file_is_told_at_once},
	{"drop-ins win and are named when wrong", drop_ins_win_and_are_named_when_wrong},
	{"unreadable configuration is told", unreadable_configuration_is_told},
	{"check-config prints what can be read again", check_config_prints_what_can_be_read_again},
	{"wrong usage is one line and exit 2", wrong_usage_is_one_line_and_exit_2},
	{"help and version are there", help_and_version_are_there},
	{"no daemon is exit 3", no_daemon_is_exit_3},
	{"bad instance and directory are told", bad_instance_and_directory_are_told},
	{"runtime directory that is not absolute is told",
	 runtime_directory_that_is_not_absolute_is_told},
	CU_TEST_INFO_NULL,
};
