/* tests/integration/test_numa.c - [zone NAME] node: what the kernel says afterwards of where the
 * memory of DATA comes from, as a process sees it that maps the file. */
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern CU_TestInfo test_numa[];

#define ZONE_BYTES (UINT64_C(16) << 20)
#define NODES 1024u
#define LONG_BITS (sizeof(unsigned long) * CHAR_BIT)

static bool has_node_0(const char *test)
{
	int mode;

	if (access("/sys/devices/system/node/node0", F_OK) != 0)
		fixture_skip(test, "the kernel shows no NUMA nodes");
	else if (syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) < 0)
		fixture_skip(test, "get_mempolicy is not there or not allowed");
	else
		return true;
	return false;
}

/* The policy of the file's memory at offset, and whether node 0, and no other, is in it. */
static int policy_at(const char *path, uint64_t offset, bool *ret_is_node_0)
{
	unsigned long mask[NODES / LONG_BITS + 1] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC), mode = -1;
	void *map;

	CU_ASSERT(fd >= 0);
	map = mmap(NULL, 4096, PROT_NONE, MAP_SHARED, fd, (off_t)offset);
	CU_ASSERT_PTR_NOT_EQUAL(map, MAP_FAILED);
	CU_ASSERT_EQUAL(syscall(SYS_get_mempolicy, &mode, mask, NODES + 1UL, map,
				(unsigned long)MPOL_F_ADDR),
			0);
	*ret_is_node_0 = mask[0] == 1;
	for (size_t i = 1; i < NODES / LONG_BITS; i++)
		*ret_is_node_0 &= mask[i] == 0;
	(void)munmap(map, 4096);
	(void)close(fd);
	return mode;
}

static void check_policies(const struct fixture *f)
{
	char path[96];
	bool is_node_0;

	fixture_segment_path(f, "data", path);
	CU_ASSERT_EQUAL(policy_at(path, 0, &is_node_0), MPOL_PREFERRED);
	CU_ASSERT(is_node_0);
	CU_ASSERT_EQUAL(policy_at(path, ZONE_BYTES - 4096, &is_node_0), MPOL_PREFERRED);
	CU_ASSERT(is_node_0);
	CU_ASSERT_EQUAL(policy_at(path, ZONE_BYTES, &is_node_0), MPOL_DEFAULT);
	CU_ASSERT_FALSE(is_node_0);
	CU_ASSERT_EQUAL(policy_at(path, 3 * ZONE_BYTES, &is_node_0), MPOL_DEFAULT);
}

static void a_zone_with_a_node_prefers_its_memory(void)
{
	struct fixture f;
	pageclient *client;
	void *frame;

	if (!has_node_0("a zone with a node prefers its memory"))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = posix\n"
					"[zone near]\nsize = 16M\nnode = 0\n"));
	check_policies(&f);
	client = fixture_client(&f, "near");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	if (frame) {
		CU_ASSERT(pageclient_pfn(client, frame) < ZONE_BYTES / 4096);
		memset(frame, 1, 4096);
		pageclient_free(client, frame, 0);
	}
	/* A server that takes the segment over says it again. */
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	frame = pageclient_alloc(client, 10, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	check_policies(&f);
	pageclient_close(client);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void a_node_that_is_not_there_is_an_error_of_the_configuration(void)
{
	struct fixture f;

	if (access("/sys/devices/system/node/node1023", F_OK) == 0) {
		fixture_skip("a node that is not there", "this machine has 1024 of them");
		return;
	}
	fixture_make(&f, "[segment]\nsize = 64M\n[zone far]\nsize = 16M\nnode = 1023\n");
	CU_ASSERT_EQUAL(fixture_fail(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "\"1023\": this machine has no such NUMA node"));
	CU_ASSERT_TRUE(fixture_log_has(&f, ":5:"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 0);
	fixture_close(&f);
}

CU_TestInfo test_numa[] = {
	{"a zone with a node prefers its memory", a_zone_with_a_node_prefers_its_memory},
	{"a node that is not there is an error of the configuration",
	 a_node_that_is_not_there_is_an_error_of_the_configuration},
	CU_TEST_INFO_NULL,
};
