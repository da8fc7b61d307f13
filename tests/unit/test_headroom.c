/* tests/unit/test_headroom.c - daemon/host/headroom over made-up /proc and cgroup folders: which
 * limit says no, and that it is named. */
#include "daemon/host/headroom.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_headroom[];

#define MIB (UINT64_C(1) << 20)
#define ROOM (8 * MIB)

struct fixture {
	char root[64];
	struct headroom headroom;
	char text[256];
};

/* Writes root/name, with the folders above it. */
static void put(const struct fixture *fixture, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->root, name);
	for (char *slash = strchr(path + strlen(fixture->root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static struct fixture *fixture_new(const char *cgroup, const char *type, const char *options)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char mountinfo[256];

	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture);
	strcpy(fixture->root, "/tmp/paged-headroom-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fixture->root));
	(void)snprintf(mountinfo, sizeof(mountinfo),
		       "25 24 0:23 / /x rw - tmpfs tmpfs rw\n"
		       "31 25 0:28 / %s/fs rw,relatime shared:9 - %s cgroup rw,%s\n",
		       fixture->root, type, options);
	put(fixture, "self/mountinfo", mountinfo);
	put(fixture, "self/cgroup", cgroup);
	put(fixture, "meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n");
	return fixture;
}

static int open_and_check(struct fixture *fixture, uint64_t bytes)
{
	headroom_open(&fixture->headroom, fixture->root, ROOM);
	return headroom_check(&fixture->headroom, bytes, fixture->text, sizeof(fixture->text));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void fixture_free(struct fixture *fixture)
{
	headroom_close(&fixture->headroom);
	CU_ASSERT_EQUAL(nftw(fixture->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(fixture);
}

static void without_cgroups_only_the_machine_counts(void)
{
	struct fixture *fixture = fixture_new("", "none", "");

	CU_ASSERT_EQUAL(open_and_check(fixture, 504 * MIB), 0);
	CU_ASSERT_EQUAL(headroom_check(&fixture->headroom, 505 * MIB, fixture->text, 256), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "machine: 512M available, headroom 8M"));
	CU_ASSERT_EQUAL(headroom_machine_bytes(&fixture->headroom), 1024 * MIB);
	CU_ASSERT_STRING_EQUAL(headroom_cgroup(&fixture->headroom), "");
	fixture_free(fixture);
}

static void a_full_v2_cgroup_is_named(void)
{
	struct fixture *fixture = fixture_new("0::/x\n", "cgroup2", "nsdelegate");

	put(fixture, "fs/x/memory.max", "67108864\n");
	put(fixture, "fs/x/memory.current", "58720256\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 2 * MIB), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(fixture->text, "cgroup /x: memory.max 64M, 56M used, headroom 8M"));
	CU_ASSERT_EQUAL(headroom_machine_bytes(&fixture->headroom), 64 * MIB);
	CU_ASSERT_STRING_EQUAL(headroom_cgroup(&fixture->headroom), "/x");
	put(fixture, "fs/x/memory.current", "48234496\n");
	CU_ASSERT_EQUAL(headroom_check(&fixture->headroom, 2 * MIB, fixture->text, 256), 0);
	fixture_free(fixture);
}

static void a_small_cgroup_keeps_an_eighth_by_default(void)
{
	struct fixture *fixture = fixture_new("0::/x\n", "cgroup2", "nsdelegate");

	put(fixture, "fs/x/memory.max", "67108864\n");
	put(fixture, "fs/x/memory.current", "6291456\n");
	headroom_open(&fixture->headroom, fixture->root, HEADROOM_AUTO);
	CU_ASSERT_EQUAL(headroom_check(&fixture->headroom, 50 * MIB, fixture->text, 256), 0);
	CU_ASSERT_EQUAL(headroom_check(&fixture->headroom, 51 * MIB, fixture->text, 256), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(fixture->text, "cgroup /x: memory.max 64M, 6M used, headroom 8M"));
	fixture_free(fixture);
}

static void a_limit_above_ours_counts_as_well(void)
{
	struct fixture *fixture = fixture_new("0::/a/b\n", "cgroup2", "");

	put(fixture, "fs/a/b/memory.max", "max\n");
	put(fixture, "fs/a/b/memory.current", "0\n");
	put(fixture, "fs/a/memory.max", "33554432\n");
	put(fixture, "fs/a/memory.current", "33554432\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 1), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "cgroup /a: memory.max 32M, 32M used"));
	CU_ASSERT_STRING_EQUAL(headroom_cgroup(&fixture->headroom), "/a/b");
	fixture_free(fixture);
}

static void cache_that_the_kernel_would_drop_is_not_used_memory(void)
{
	struct fixture *fixture = fixture_new("0::/x\n", "cgroup2", "");

	put(fixture, "fs/x/memory.max", "67108864\n");
	put(fixture, "fs/x/memory.current", "67108864\n");
	put(fixture, "fs/x/memory.stat", "anon 4096\ninactive_file 20971520\nactive_file 0\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 12 * MIB), 0);
	CU_ASSERT_EQUAL(headroom_check(&fixture->headroom, 13 * MIB, fixture->text, 256), -ENOMEM);
	fixture_free(fixture);
}

static void a_v1_cgroup_is_found_by_its_controller(void)
{
	struct fixture *fixture =
		fixture_new("5:cpu,cpuacct:/other\n4:memory:/y\n0::/\n", "cgroup", "memory");

	put(fixture, "fs/y/memory.limit_in_bytes", "67108864\n");
	put(fixture, "fs/y/memory.usage_in_bytes", "67108864\n");
	put(fixture, "fs/memory.limit_in_bytes", "9223372036854771712\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 1), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "cgroup /y: memory.limit_in_bytes 64M"));
	CU_ASSERT_EQUAL(fixture->headroom.nr_levels, 2);
	fixture_free(fixture);
}

static void a_path_outside_what_is_mounted_is_the_mount_itself(void)
{
	struct fixture *fixture = fixture_new("0::/../elsewhere\n", "cgroup2", "");

	put(fixture, "fs/memory.max", "16777216\n");
	put(fixture, "fs/memory.current", "16777216\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 1), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "cgroup /: memory.max 16M"));
	fixture_free(fixture);
}

/* mountinfo writes blanks and backslashes as octal numbers, /proc/self/cgroup does not. */
static void names_with_blanks_are_found(void)
{
	struct fixture *fixture = fixture_new("0::/my \\group: a/x - y\n", "cgroup2", "");
	char mountinfo[256];

	(void)snprintf(mountinfo, sizeof(mountinfo),
		       "31 25 0:28 /my\\040\\134group:\\040a %s/of\\040all rw - cgroup2 none rw\n",
		       fixture->root);
	put(fixture, "self/mountinfo", mountinfo);
	put(fixture, "of all/x - y/memory.max", "16777216\n");
	put(fixture, "of all/x - y/memory.current", "16777216\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 1), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "cgroup /x - y: memory.max 16M"));
	fixture_free(fixture);
}

/* Ours is /ab, and all that is mounted is /a: not a part of it, though it begins so. */
static void a_name_that_begins_like_the_mounts_is_not_below_it(void)
{
	struct fixture *fixture = fixture_new("0::/ab/c\n", "cgroup2", "");
	char mountinfo[256];

	(void)snprintf(mountinfo, sizeof(mountinfo), "31 25 0:28 /a %s/fs rw - cgroup2 none rw\n",
		       fixture->root);
	put(fixture, "self/mountinfo", mountinfo);
	put(fixture, "fsb/c/memory.max", "16777216\n"); /* what "b/c" behind the mount would be */
	put(fixture, "fsb/c/memory.current", "16777216\n");
	put(fixture, "fs/memory.max", "67108864\n");
	put(fixture, "fs/memory.current", "67108864\n");
	CU_ASSERT_EQUAL(open_and_check(fixture, 1), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "memory.max 64M"));
	fixture_free(fixture);
}

CU_TestInfo test_headroom[] = {
	{"without_cgroups_only_the_machine_counts", without_cgroups_only_the_machine_counts},
	{"a_full_v2_cgroup_is_named", a_full_v2_cgroup_is_named},
	{"a_small_cgroup_keeps_an_eighth_by_default", a_small_cgroup_keeps_an_eighth_by_default},
	{"a_limit_above_ours_counts_as_well", a_limit_above_ours_counts_as_well},
	{"cache_that_the_kernel_would_drop_is_not_used_memory",
	 cache_that_the_kernel_would_drop_is_not_used_memory},
	{"a_v1_cgroup_is_found_by_its_controller", a_v1_cgroup_is_found_by_its_controller},
	{"a_path_outside_what_is_mounted_is_the_mount_itself",
	 a_path_outside_what_is_mounted_is_the_mount_itself},
	{"names with blanks are found", names_with_blanks_are_found},
	{"a name that begins like the mount's is not below it",
	 a_name_that_begins_like_the_mounts_is_not_below_it},
	CU_TEST_INFO_NULL,
};
