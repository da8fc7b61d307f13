/* tests/unit/test_config.c - daemon/host/config: what counts, what is refused, and how it says so.
 *
 * Files are written into a directory of their own and removed with it. Texts are held only in what
 * a person needs of them: the place, the key, and what would be right. */
#include "daemon/host/config.h"
#include "daemon/host/instance.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_config[];

#define GIB (UINT64_C(1) << 30)

struct fixture {
	char folder[64];
	char file[128];
	char drop_ins[136];
	struct config config;
	struct config_errors errors;
};

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static struct fixture *fixture_new(const char *text)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture);
	strcpy(fixture->folder, "/tmp/paged-config-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fixture->folder));
	(void)snprintf(fixture->file, sizeof(fixture->file), "%s/paged.conf", fixture->folder);
	(void)snprintf(fixture->drop_ins, sizeof(fixture->drop_ins), "%s.d", fixture->file);
	if (text)
		write_file(fixture->file, text);
	config_init(&fixture->config);
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	(void)unlink(fixture->file);
	(void)rmdir(fixture->drop_ins);
	CU_ASSERT_EQUAL(rmdir(fixture->folder), 0);
	free(fixture);
}

static struct fixture *read_text(const char *text)
{
	struct fixture *fixture = fixture_new(text);

	config_read(&fixture->config, fixture->file, &fixture->errors);
	return fixture;
}

static struct fixture *read_good(const char *text)
{
	struct fixture *fixture = read_text(text);

	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	return fixture;
}

/* Reading text gives exactly one error, with "paged.conf:<line>:" and each of the words in it. */
static void expect_error(const char *text, uint32_t line, const char *what, const char *right)
{
	struct fixture *fixture = read_text(text);
	char place[32];

	(void)snprintf(place, sizeof(place), "paged.conf:%u: ", line);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], place));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], what));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], right));
	if (fixture->errors.n != 1 || !strstr(fixture->errors.text[0], what) ||
	    !strstr(fixture->errors.text[0], place))
		(void)printf("\n%u errors: %s\n", fixture->errors.n, fixture->errors.text[0]);
	fixture_free(fixture);
}

static void every_default_is_valid_and_an_empty_file_changes_nothing(void)
{
	struct fixture *fixture = read_text("");
	const struct config_value *value = fixture->config.value;

	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	CU_ASSERT_EQUAL(value[CONFIG_segment_size].kind, CONFIG_IS_AUTO);
	CU_ASSERT_EQUAL(value[CONFIG_segment_headroom].kind, CONFIG_IS_AUTO);
	CU_ASSERT_EQUAL(value[CONFIG_socket_mode].n, 0660);
	CU_ASSERT_EQUAL(value[CONFIG_reclaim_deadline].n, 1000);
	CU_ASSERT_EQUAL(value[CONFIG_limits_client_max].kind, CONFIG_IS_NONE);
	CU_ASSERT_EQUAL(config_page_size(&fixture->config), 4096);
	fixture_free(fixture);
}

static void values_are_read_with_their_units(void)
{
	struct fixture *fixture = read_text("[segment]\nsize = 512M\npage_size=16K\n"
					    "headroom = 0\nbacking : memfd\n"
					    "[pcp]\nbatch = 16 ; a comment\nbusy_poll = 1ms\n"
					    "[reclaim]\n  deadline = 2s\nmin_free = 5%\n"
					    "[socket]\nmode = 0600\npath = /tmp/x.sock\n");
	const struct config_value *value = fixture->config.value;

	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	CU_ASSERT_EQUAL(value[CONFIG_segment_size].n, GIB / 2);
	CU_ASSERT_EQUAL(value[CONFIG_segment_size].line, 2);
	CU_ASSERT_EQUAL(config_page_size(&fixture->config), 16384);
	CU_ASSERT_EQUAL(value[CONFIG_segment_headroom].n, 0);
	CU_ASSERT_EQUAL(value[CONFIG_segment_backing].n, 2);
	CU_ASSERT_EQUAL(value[CONFIG_pcp_batch].n, 16);
	CU_ASSERT_EQUAL(value[CONFIG_pcp_busy_poll].n, 1000);
	CU_ASSERT_EQUAL(value[CONFIG_reclaim_deadline].n, 2000);
	CU_ASSERT_EQUAL(config_bytes(&value[CONFIG_reclaim_min_free], 100 * GIB), 5 * GIB);
	CU_ASSERT_EQUAL(config_bytes(&value[CONFIG_reclaim_min_free], 64 << 20), 3355443);
	CU_ASSERT_EQUAL(value[CONFIG_socket_mode].n, 0600);
	CU_ASSERT_STRING_EQUAL(value[CONFIG_socket_path].text, "/tmp/x.sock");
	fixture_free(fixture);
}

static void unknown_keys_and_sections_are_errors_with_their_line(void)
{
	expect_error("[segment]\nsise = 1G\n", 2, "segment.sise", "size, size_max, page_size");
	expect_error("[zone a]\ncolour = red\n", 2, "zone a.colour", "fallback or reserve");
	expect_error("[zone a]\nnode = 5000\n", 2, "zone a.node", "0 to 1023");
	expect_error("[zone a]\nreserve = 0\n", 2, "zone a.reserve", "1 to 65536");
	expect_error("\n[segmant]\nsize = 1G\n", 2, "segmant", "segment, socket");
	expect_error("[nothing]\n", 1, "nothing", "segment, socket");
	expect_error("size = 1G\n", 1, "size", "[segment]");
	expect_error("[segment]\nsize\n", 2, "neither a section nor a key", "key = value");
}

static void sizes_that_make_no_sense_are_errors_with_their_line(void)
{
	expect_error("[segment]\nsize = lots\n", 2, "segment.size: \"lots\" is not a size", "512M");
	expect_error("[segment]\nsize = 1X\n", 2, "is not a size", "25%");
	expect_error("[segment]\nsize = -1\n", 2, "is not a size", "512M");
	expect_error("[segment]\nsize =\n", 2, "has no value", "auto");
	expect_error("[segment]\nsize = 0\n", 2, "must not be zero", "would be right");
	expect_error("[segment]\nsize = 0%\n", 2, "is not a share", "100%");
	expect_error("[segment]\nsize = 101%\n", 2, "is not a share", "100%");
	expect_error("[segment]\nsize = 200T\n", 2, "larger than the address space", "128T");
	expect_error("[segment]\nsize = 99999999999999999999999\n", 2,
		     "larger than the address space", "128T");
	expect_error("[segment]\nsize = 18446744073709551615T\n", 2,
		     "larger than the address space", "128T");
}

static void numbers_choices_and_modes_are_checked(void)
{
	expect_error("[pcp]\nbatch = 0\n", 2, "pcp.batch", "1 to 4096");
	expect_error("[pcp]\nbatch = -1\n", 2, "is not a number", "1 to 4096 would be right");
	expect_error("[pcp]\nbusy_poll = 3 days\n", 2, "is not a time",
		     "0us to 10ms would be right");
	expect_error("[reclaim]\ndeadline = 18446744073709551615s\n", 2, "out of range",
		     "1ms to 600s would be right");
	expect_error("[limits]\nqueue = 2G\n", 2, "out of range", "64K to 1G would be right");
	expect_error("[segment]\nbacking = disk\n", 2, "segment.backing", "auto|posix|memfd");
	expect_error("[socket]\nmode = 999\n", 2, "octal", "0660");
	expect_error("[socket]\nmode = 7777\n", 2, "out of range", "0777");
}

static void paths_are_absolute_and_fit_into_a_socket(void)
{
	char path[128] = "/", text[320];

	expect_error("[socket]\npath = x.sock\n", 2, "is not absolute", "begins with /");
	memset(path + 1, 'x', 106);
	(void)snprintf(text, sizeof(text), "[socket]\npath = %s\n", path);
	fixture_free(read_good(text));
	(void)snprintf(text, sizeof(text), "[socket]\npath = %sx\n", path);
	expect_error(text, 2, "has 108 bytes", "at most 107");
	(void)snprintf(text, sizeof(text), "[socket]\npath = %s%s\n", path, path + 70);
	expect_error(text, 2, "has 144 bytes", "at most 107");
}

static void keys_without_effect_yet_are_refused_and_not_swallowed(void)
{
	expect_error("[pcp]\nhigh_fraction = 8\n", 2, "pcp.high_fraction", "not supported yet");
	expect_error("[reclaim]\nscrub = never\n", 2, "reclaim.scrub", "not supported yet");
}

static void client_sections_become_rules_in_the_order_of_the_file(void)
{
	struct fixture *fixture = read_good("[client uid=0]\nmin = 64M\nmax = 50%\n"
					    "[client name=redis* gid=0 unit=redis.service]\n"
					    "low = 10%\nhigh = none\nweight = 7\n"
					    "[client uid=0]\nmax = none\n");
	static struct session_limits limits;

	config_rules(&fixture->config, GIB, 12, &limits);
	CU_ASSERT_EQUAL(limits.nr_rules, 3);
	CU_ASSERT_EQUAL(limits.rule[0].criteria, RULE_UID);
	CU_ASSERT_EQUAL(limits.rule[0].given, SHM_SET_MIN | SHM_SET_MAX);
	CU_ASSERT_EQUAL(limits.rule[0].min, (64 << 20) >> 12);
	CU_ASSERT_EQUAL(limits.rule[0].max, GIB / 2 >> 12);
	CU_ASSERT_STRING_EQUAL(limits.rule[0].match, "uid=0");
	CU_ASSERT_EQUAL(limits.rule[1].criteria, RULE_NAME | RULE_GID | RULE_UNIT);
	CU_ASSERT_STRING_EQUAL(limits.rule[1].unit, "redis.service");
	CU_ASSERT_STRING_EQUAL(limits.rule[1].name, "redis*");
	CU_ASSERT_EQUAL(limits.rule[1].given, SHM_SET_LOW | SHM_SET_HIGH | SHM_SET_WEIGHT);
	CU_ASSERT_EQUAL(limits.rule[1].high, 0);
	CU_ASSERT_EQUAL(limits.rule[1].weight, 7);
	CU_ASSERT_EQUAL(limits.rule[2].given, SHM_SET_MAX);
	CU_ASSERT_EQUAL(limits.rule[2].max, 0);
	CU_ASSERT_TRUE(config_same_clients(&fixture->config, &fixture->config));
	fixture_free(fixture);
}

static void client_sections_that_make_no_sense_are_errors_with_their_line(void)
{
	struct fixture *fixture;

	expect_error("[client]\nmin = 1G\n", 1, "client", "name=redis*");
	expect_error("[client db*]\nmin = 1G\n", 1, "db*", "uid=, gid=, unit= or name=");
	expect_error("[client uid=nobody-has-this]\n", 1, "nobody-has-this", "/etc/passwd");
	expect_error("[client gid=nobody-has-this]\n", 1, "nobody-has-this", "/etc/group");
	expect_error("[client unit=x]\n", 1, "unit=x", "NAME.service");
	expect_error("[client name=]\n", 1, "name=", "1 to 31 bytes");
	expect_error("[client uid=1 uid=2]\n", 1, "uid=2", "once");
	expect_error("[client uid=1]\nmid = 5\n", 2, "client uid=1.mid", "min, low, high");
	expect_error("[client uid=1]\nweight = 10001\n", 2, "weight", "0 to 10000");
	expect_error("[client uid=1]\nmin = much\n", 2, "min", "512M, 4G or 25%");
	expect_error("[client uid=1]\nzone =\n", 2, "zone", "normal would be right");
	fixture = read_good("[client uid=1]\nmin = 2G\n[client uid=2]\nmin = 50%\nmax = 64M\n");
	config_check_sizes(&fixture->config, GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "paged.conf:2: client uid=1.min"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[1], "more than its max, \"64M\""));
	fixture_free(fixture);
	fixture = read_good("[client uid=1]\nlow = 50%\nmax = 64M\n"
			    "[client uid=2]\nhigh = 64M\nmin = 65M\n"
			    "[client uid=3]\nmin = 64M\nlow = 64M\nhigh = 64M\nmax = 64M\n");
	config_check_sizes(&fixture->config, GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "paged.conf:2: client uid=1.low: "
							       "\"50%\" is more than its max"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[1], "paged.conf:6: client uid=2.min: "
							       "\"65M\" is more than its high"));
	fixture_free(fixture);
}

static void all_errors_are_told_and_a_flood_of_them_is_bounded(void)
{
	struct fixture *fixture = read_text("[segment]\nsize = x\nfoo = 1\n[pcp]\nbatch = y\n");
	char text[4096] = "[segment]\n";

	CU_ASSERT_EQUAL(fixture->errors.n, 3);
	fixture_free(fixture);
	for (int i = 0; i < 100; i++)
		strcat(text, "x = 1\n");
	fixture = read_text(text);
	CU_ASSERT_EQUAL(fixture->errors.n, 100);
	fixture_free(fixture);
}

static void a_line_that_is_too_long_is_one_error(void)
{
	char text[8192] = "[segment]\nsize = ";

	memset(text + strlen(text), '1', 5000);
	strcat(text, "\nheadroom = 1G\n");
	expect_error(text, 2, "too long", "at most");
}

static void an_unreadable_file_is_an_error_that_names_it(void)
{
	struct fixture *fixture = fixture_new(NULL);

	config_read(&fixture->config, fixture->file, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], fixture->file));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "cannot be read"));
	config_read(&fixture->config, fixture->folder, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[1], "directory"));
	fixture_free(fixture);
}

static void drop_ins_are_read_after_the_file_sorted_by_name(void)
{
	struct fixture *fixture = fixture_new("[pcp]\nbatch = 1\nbusy_poll = 7\n");
	char names[3][160];

	CU_ASSERT_EQUAL_FATAL(mkdir(fixture->drop_ins, 0700), 0);
	(void)snprintf(names[0], sizeof(names[0]), "%s/20.conf", fixture->drop_ins);
	(void)snprintf(names[1], sizeof(names[1]), "%s/10.conf", fixture->drop_ins);
	(void)snprintf(names[2], sizeof(names[2]), "%s/30.conf.bak", fixture->drop_ins);
	write_file(names[0], "[pcp]\nbatch = 20\n");
	write_file(names[1], "[pcp]\nbatch = 10\nbogus = 1\n");
	write_file(names[2], "[pcp]\nbatch = 30\n");
	config_read(&fixture->config, fixture->file, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->config.value[CONFIG_pcp_batch].n, 20);
	CU_ASSERT_EQUAL(fixture->config.value[CONFIG_pcp_busy_poll].n, 7);
	CU_ASSERT_EQUAL(fixture->config.nr_files, 3);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "10.conf:3: pcp.bogus"));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(unlink(names[i]), 0);
	fixture_free(fixture);
}

static void zones_larger_than_the_segment_are_an_error_with_their_line(void)
{
	struct fixture *fixture = read_text("[zone a]\nsize = 1G\n[zone b]\nsize = 50%\n");

	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	CU_ASSERT_EQUAL(fixture->config.nr_zones, 2);
	config_check_sizes(&fixture->config, 2 * GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	config_check_sizes(&fixture->config, GIB + GIB / 2, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "paged.conf:4: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "larger than the segment"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "at most 512M"));
	fixture_free(fixture);
	expect_error("[zone a/b]\nsize = 1G\n", 1, "no name of a zone", "at most 31");
}

static void a_zone_without_a_size_is_an_error_with_its_line(void)
{
	struct fixture *fixture = read_text("\n[zone a]\n");

	config_check_sizes(&fixture->config, GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "paged.conf:2: "));
	fixture_free(fixture);
}

static void the_segment_is_whole_pageblocks_of_a_share_of_the_machine(void)
{
	struct fixture *fixture = read_text("");

	CU_ASSERT_EQUAL(config_segment_bytes(&fixture->config, 10 * GIB, &fixture->errors),
			5 * GIB / 2);
	CU_ASSERT_EQUAL(config_segment_bytes(&fixture->config, 1 << 20, &fixture->errors), 2 << 20);
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	fixture_free(fixture);

	fixture = read_text("[segment]\nsize = 1M\n");
	(void)config_segment_bytes(&fixture->config, GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "paged.conf:2: segment.size"));
	fixture_free(fixture);

	fixture = read_text("[segment]\nsize = 16T\n");
	(void)config_segment_bytes(&fixture->config, GIB, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "2^32 frames"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], "less than 16T would be right"));
	fixture_free(fixture);

	fixture = read_good("[segment]\nsize = 16777215M\n");
	CU_ASSERT_EQUAL(config_segment_bytes(&fixture->config, GIB, &fixture->errors),
			16384 * GIB - (2 << 20));
	CU_ASSERT_EQUAL(fixture->errors.n, 0);
	fixture_free(fixture);
}

static void what_is_printed_reads_as_the_same(void)
{
	struct fixture *fixture =
		read_text("[segment]\nsize = 1G\n[zone a]\nsize = 64M\n[limits]\nclient_max=50%\n"
			  "[client name=a-name-so-long-that-inih-cuts unit=x.service]\nmin = 5%\n");
	struct fixture *again = fixture_new(NULL);
	FILE *file = fopen(again->file, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	config_print(&fixture->config, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
	config_read(&again->config, again->file, &again->errors);
	CU_ASSERT_EQUAL(again->errors.n, 0);
	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++)
		CU_ASSERT_STRING_EQUAL(fixture->config.value[i].text, again->config.value[i].text);
	CU_ASSERT_EQUAL(again->config.nr_zones, 1);
	CU_ASSERT_EQUAL(again->config.nr_clients, 1);
	CU_ASSERT_TRUE(config_same_clients(&fixture->config, &again->config));
	fixture_free(fixture);
	fixture_free(again);
}

/* What the sizes of the file mean in a segment of 64 MiB: the error that says it, "" for none. */
static void expect_size_error(const char *text, const char *what)
{
	struct fixture *fixture = read_text(text);
	uint64_t bytes = config_segment_bytes(&fixture->config, 1u << 30, &fixture->errors);

	(void)config_segment_max_bytes(&fixture->config, 1u << 30, bytes, &fixture->errors);
	config_check_sizes(&fixture->config, bytes, &fixture->errors);
	CU_ASSERT_EQUAL(fixture->errors.n, *what ? 1 : 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->errors.text[0], what));
	fixture_free(fixture);
}

static void zones_and_sizes_have_to_fit_each_other(void)
{
	expect_size_error("[segment]\nsize = 64M\nsize_max = 1G\n", "");
	expect_size_error("[segment]\nsize = 64M\nsize_max = 32M\n",
			  "less than the size; 64M or more would be right");
	expect_size_error("[segment]\nsize = 64M\n[zone a]\nsize = 8M\nfallback = b normal\n"
			  "reserve = 8\n[zone b]\nsize = 8M\nfallback = none\n",
			  "");
	expect_size_error("[segment]\nsize = 64M\n[zone a]\nsize = 8M\nfallback = a\n",
			  "\"a\" is no other zone");
	expect_size_error("[segment]\nsize = 64M\n[zone a]\nsize = 8M\nfallback = c normal\n",
			  "\"c\" is no other zone");
	expect_size_error("[segment]\nsize = 64M\n[zone a]\nsize = 8M\nnode = 1023\n",
			  "no such NUMA node");
	expect_size_error("[segment]\nsize = 64M\n[client name=x]\nzone = a\n", "\"a\" is no zone");
	expect_size_error("[segment]\nsize = 64M\n[client name=x]\nzone = normal\n", "");
}

static void the_shipped_file_is_what_the_table_says(void)
{
	char shipped[16384], printed[16384];
	struct fixture *fixture = fixture_new(NULL);
	FILE *file;
	size_t n;

	file = fopen(PAGED_SOURCE_DIR "/packaging/paged.conf", "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	n = fread(shipped, 1, sizeof(shipped) - 1, file);
	shipped[n] = '\0';
	(void)fclose(file);
	file = fmemopen(printed, sizeof(printed), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	config_print(&fixture->config, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_STRING_EQUAL(shipped, printed);
	fixture_free(fixture);
}

static void instance_names_are_checked(void)
{
	CU_ASSERT_TRUE(instance_name_is_reserved("system"));
	CU_ASSERT_TRUE(instance_name_is_reserved("user-1000"));
	CU_ASSERT_FALSE(instance_name_is_reserved("users"));
	CU_ASSERT_FALSE(instance_name_is_reserved("systems"));
	CU_ASSERT_TRUE(instance_name_is_valid("system"));
	CU_ASSERT_TRUE(instance_name_is_valid("a_B.c-9"));
	CU_ASSERT_TRUE(instance_name_is_valid("1234567890123456789012345678901"));
	CU_ASSERT_FALSE(instance_name_is_valid("12345678901234567890123456789012"));
	CU_ASSERT_FALSE(instance_name_is_valid(""));
	CU_ASSERT_FALSE(instance_name_is_valid("../x"));
	CU_ASSERT_FALSE(instance_name_is_valid(".x"));
	CU_ASSERT_FALSE(instance_name_is_valid("a b"));
}

CU_TestInfo test_config[] = {
	{"every_default_is_valid_and_an_empty_file_changes_nothing",
	 every_default_is_valid_and_an_empty_file_changes_nothing},
	{"values_are_read_with_their_units", values_are_read_with_their_units},
	{"unknown_keys_and_sections_are_errors_with_their_line",
	 unknown_keys_and_sections_are_errors_with_their_line},
	{"sizes_that_make_no_sense_are_errors_with_their_line",
	 sizes_that_make_no_sense_are_errors_with_their_line},
	{"numbers_choices_and_modes_are_checked", numbers_choices_and_modes_are_checked},
	{"paths_are_absolute_and_fit_into_a_socket", paths_are_absolute_and_fit_into_a_socket},
	{"keys_without_effect_yet_are_refused_and_not_swallowed",
	 keys_without_effect_yet_are_refused_and_not_swallowed},
	{"client_sections_become_rules_in_the_order_of_the_file",
	 client_sections_become_rules_in_the_order_of_the_file},
	{"client_sections_that_make_no_sense_are_errors_with_their_line",
	 client_sections_that_make_no_sense_are_errors_with_their_line},
	{"all_errors_are_told_and_a_flood_of_them_is_bounded",
	 all_errors_are_told_and_a_flood_of_them_is_bounded},
	{"a_line_that_is_too_long_is_one_error", a_line_that_is_too_long_is_one_error},
	{"an_unreadable_file_is_an_error_that_names_it",
	 an_unreadable_file_is_an_error_that_names_it},
	{"drop_ins_are_read_after_the_file_sorted_by_name",
	 drop_ins_are_read_after_the_file_sorted_by_name},
	{"zones_larger_than_the_segment_are_an_error_with_their_line",
	 zones_larger_than_the_segment_are_an_error_with_their_line},
	{"a_zone_without_a_size_is_an_error_with_its_line",
	 a_zone_without_a_size_is_an_error_with_its_line},
	{"the_segment_is_whole_pageblocks_of_a_share_of_the_machine",
	 the_segment_is_whole_pageblocks_of_a_share_of_the_machine},
	{"what_is_printed_reads_as_the_same", what_is_printed_reads_as_the_same},
	{"zones_and_sizes_have_to_fit_each_other", zones_and_sizes_have_to_fit_each_other},
	{"the_shipped_file_is_what_the_table_says", the_shipped_file_is_what_the_table_says},
	{"instance_names_are_checked", instance_names_are_checked},
	CU_TEST_INFO_NULL,
};
