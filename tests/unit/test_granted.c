/* tests/unit/test_granted.c - what is read back of what a unit file asked for. */
#include "daemon/host/granted.h"
#include "tests/support/log_file.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_granted[];

static void oom_score_is_read_and_its_lack_is_none(void)
{
	char folder[] = "/tmp/granted-XXXXXX", self[64], path[96];
	struct granted granted = {.oom_score_adj = 7};
	FILE *file;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	granted_read(&granted, folder);
	CU_ASSERT_EQUAL(granted.oom_score_adj, 0);
	(void)snprintf(self, sizeof(self), "%s/self", folder);
	(void)snprintf(path, sizeof(path), "%s/oom_score_adj", self);
	CU_ASSERT_EQUAL(mkdir(self, 0700), 0);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fputs("-900\n", file);
	(void)fclose(file);
	granted_read(&granted, folder);
	CU_ASSERT_EQUAL(granted.oom_score_adj, -900);
	(void)unlink(path);
	(void)rmdir(self);
	(void)rmdir(folder);
}

/* What is logged of it; free() it. */
static char *logged(const struct granted *granted)
{
	char path[] = "/tmp/granted-log-XXXXXX";
	int fd = mkstemp(path), kept = dup(STDERR_FILENO);
	struct log log;
	char *text;

	log_init(&log, NULL, false);
	(void)dup2(fd, STDERR_FILENO);
	granted_log(granted, &log);
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	(void)close(fd);
	text = log_file_read(path);
	(void)unlink(path);
	return text;
}

static void only_what_was_not_given_is_told(void)
{
	struct granted granted = {.wants_oom_score = true,
				  .oom_score_adj = -900,
				  .segment_bytes = UINT64_C(1) << 30,
				  .machine_bytes = UINT64_C(1) << 30};
	char *text = logged(&granted);

	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	granted.oom_score_adj = 100;
	text = logged(&granted);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "oom_score_adj is 100"));
	free(text);
	granted.wants_oom_score = false;
	granted.machine_bytes = UINT64_C(1) << 29;
	text = logged(&granted);
	CU_ASSERT_PTR_NULL(strstr(text, "oom_score_adj"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "may have 1024M, the machine or its cgroup has 512M"));
	free(text);
}

CU_TestInfo test_granted[] = {
	{"only what was not given is told", only_what_was_not_given_is_told},
	{"oom score is read and its lack is none", oom_score_is_read_and_its_lack_is_none},
	CU_TEST_INFO_NULL,
};
