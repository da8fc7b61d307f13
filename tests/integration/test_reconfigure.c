/* tests/integration/test_reconfigure.c - a start that cannot go on with the segment of the last one
 * says why in one line, and where the old one is. */
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

extern CU_TestInfo test_reconfigure[];

static const char small[] = "[segment]\nsize = 64M\nbacking = posix\n";

/* A segment that a daemon has left, in which frames were committed. */
static void leave_segment(struct fixture *f)
{
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(f, small));
	client = fixture_client(f, "committer");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	pageclient_close(client);
	fixture_stop(f);
	CU_ASSERT_EQUAL(fixture_count_segments(f), 3);
	CU_ASSERT_EQUAL(truncate(f->log, 0), 0);
}

static void overwrite(const struct fixture *f, const char *part, uint64_t value)
{
	char path[96];
	int fd;

	fixture_segment_path(f, part, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, &value, sizeof(value), 0), (ssize_t)sizeof(value));
	(void)close(fd);
}

/* The pattern that the log names, from /dev/shm to the comma; the caller's. */
static char *named_pattern(const struct fixture *f)
{
	char *log = fixture_log(f);
	char *start = strstr(log, "the old one is /dev/shm/");
	char *pattern = NULL;

	if (start)
		pattern = strndup(start + 15, strcspn(start + 15, ",\n"));
	free(log);
	return pattern;
}

/* Starts on what is there: one line says `says`, with that level, and names the three old files. */
static void expect_new_segment(struct fixture *f, const char *level, const char *says)
{
	char line[256];
	glob_t found;
	char *pattern;

	CU_ASSERT_TRUE(fixture_start(f));
	(void)snprintf(line, sizeof(line), "%s: %s: started a new segment; ", level, says);
	CU_ASSERT_TRUE(fixture_log_has(f, line));
	CU_ASSERT_TRUE(fixture_log_has(f, "remove it to give its memory back"));
	CU_ASSERT_FALSE(fixture_log_has(f, "error"));
	pattern = named_pattern(f);
	CU_ASSERT_PTR_NOT_NULL(pattern);
	if (!fixture_log_has(f, line) || !pattern) {
		char *log = fixture_log(f);

		(void)fprintf(stderr, "not \"%s\": %s", line, log);
		free(log);
	}
	if (pattern && glob(pattern, 0, NULL, &found) == 0) {
		CU_ASSERT_EQUAL(found.gl_pathc, 3);
		globfree(&found);
	} else {
		CU_FAIL("nothing of that name");
	}
	free(pattern);
	CU_ASSERT_EQUAL(fixture_count_segments(f), 6);
	CU_ASSERT_TRUE(fixture_check(f));
	fixture_close(f);
}

static void another_size_is_one_notice(void)
{
	struct fixture f;

	leave_segment(&f);
	fixture_configure(&f, "[segment]\nsize = 128M\nbacking = posix\n");
	expect_new_segment(&f, "notice", "[segment] size was 64M and is 128M");
	leave_segment(&f);
	fixture_configure(&f, "[segment]\nsize = 66M\npage_size = 16K\nbacking = posix\n");
	expect_new_segment(&f, "notice", "[segment] page_size was 4K and is 16K");
}

static void what_does_not_match_is_one_warning(void)
{
	struct fixture f;

	leave_segment(&f);
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = posix\n[zone a]\nsize = 8M\n");
	expect_new_segment(&f, "warning", "the old segment: its number of zones is 1, expected 2");
	leave_segment(&f);
	overwrite(&f, "meta", 0xDEAD);
	expect_new_segment(
		&f, "warning",
		"the old segment: its META is no META of paged (magic 000000000000dead)");
	leave_segment(&f);
	overwrite(&f, "state", 0xDEAD);
	expect_new_segment(
		&f, "warning",
		"the old segment: its STATE is no STATE of paged (magic 000000000000dead)");
}

static void data_without_its_memory_is_told(void)
{
	struct fixture f;
	char path[96];

	leave_segment(&f);
	fixture_segment_path(&f, "data", path);
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	CU_ASSERT_EQUAL(truncate(path, 64 << 20), 0);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "were committed, and its DATA has no memory"));
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 5); /* an empty DATA is nobody's */
	fixture_close(&f);
}

static void files_that_a_memfd_replaces_are_told(void)
{
	struct fixture f;

	leave_segment(&f);
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n");
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "warning: the segment is a memfd now: /dev/shm/paged-"));
	CU_ASSERT_TRUE(fixture_log_has(&f, "remove them to give their memory back"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 3);
	fixture_close(&f);
	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	CU_ASSERT_FALSE(fixture_log_has(&f, "warning"));
	fixture_close(&f);
}

CU_TestInfo test_reconfigure[] = {
	{"another size is one notice", another_size_is_one_notice},
	{"what does not match is one warning", what_does_not_match_is_one_warning},
	{"DATA without its memory is told", data_without_its_memory_is_told},
	{"files that a memfd replaces are told", files_that_a_memfd_replaces_are_told},
	CU_TEST_INFO_NULL,
};
