/* tests/unit/test_hugetlb.c - how many reserved huge pages are to be had, from a folder as the
 * kernel's. */
#include "daemon/host/hugetlb.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern CU_TestInfo test_hugetlb[];

static void put(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void drop(const char *folder, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path);
}

static void what_is_promised_to_others_is_not_free(void)
{
	char folder[] = "/tmp/paged-hugetlb-XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL(hugetlb_free_bytes(folder), 0);
	put(folder, "free_hugepages", "5\n");
	CU_ASSERT_EQUAL(hugetlb_free_bytes(folder), 5 * SEGMENT_HUGE_BYTES);
	put(folder, "resv_hugepages", "3\n");
	CU_ASSERT_EQUAL(hugetlb_free_bytes(folder), 2 * SEGMENT_HUGE_BYTES);
	put(folder, "resv_hugepages", "9\n");
	CU_ASSERT_EQUAL(hugetlb_free_bytes(folder), 0);
	put(folder, "free_hugepages", "many\n");
	CU_ASSERT_EQUAL(hugetlb_free_bytes(folder), 0);
	drop(folder, "free_hugepages");
	drop(folder, "resv_hugepages");
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

CU_TestInfo test_hugetlb[] = {
	{"what is promised to others is not free", what_is_promised_to_others_is_not_free},
	CU_TEST_INFO_NULL,
};
