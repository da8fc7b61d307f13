/* tests/integration/test_cgroup.c - a daemon in a memory cgroup of 64 MiB, of either version:
 * frames end with ENOMEM that names the limit, and nobody is killed. Needs the right to make a
 * cgroup; else it is skipped. */
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_cgroup[];

#define LIMIT "67108864"
#define FRAMES_MAX 32768u
static const char config[] = "[segment]\nsize = 128M\n";

struct cgroup {
	char path[96];
	const char *limit; /* name of the file */
};

static bool put(const struct cgroup *cgroup, const char *file, const char *text)
{
	char path[160];
	bool ok;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", cgroup->path, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* Does a line of file begin with text? */
static bool says(const struct cgroup *cgroup, const char *file, const char *text)
{
	char path[160], line[256];
	bool found = false;
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/%s", cgroup->path, file);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		found = found || strncmp(line, text, strlen(text)) == 0;
	if (in)
		(void)fclose(in);
	return found;
}

static bool cgroup_make(struct cgroup *cgroup)
{
	static const struct {
		const char *folder, *limit;
	} versions[] = {{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
			{"/sys/fs/cgroup", "memory.max"}};

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		(void)snprintf(cgroup->path, sizeof(cgroup->path), "%s/paged-it-%d",
			       versions[i].folder, (int)getpid());
		cgroup->limit = versions[i].limit;
		if (mkdir(cgroup->path, 0755) < 0)
			continue;
		if (put(cgroup, cgroup->limit, LIMIT))
			return true;
		(void)rmdir(cgroup->path);
	}
	fixture_skip("a cgroup of 64 MiB", "no memory cgroup can be made here");
	return false;
}

static void enter(struct fixture *f)
{
	if (!put(f->arg, "cgroup.procs", "0"))
		_exit(77);
}

static bool nobody_was_killed(const struct cgroup *cgroup)
{
	return says(cgroup, "memory.oom_control", "oom_kill 0") ||
	       says(cgroup, "memory.events", "oom_kill 0");
}

static void frames_end_with_enomem_that_names_the_limit(void)
{
	struct cgroup cgroup;
	struct fixture f;
	pageclient *client;
	size_t n = 0;
	void *frame;

	if (!cgroup_make(&cgroup))
		return;
	fixture_make(&f, config);
	f.before_exec = enter;
	f.arg = &cgroup;
	CU_ASSERT_TRUE(fixture_start(&f));
	client = fixture_client(&f, "hungry");
	while (n < FRAMES_MAX && (frame = pageclient_alloc(client, 0, 0))) {
		memset(frame, 0x5A, 4096);
		n++;
	}
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), cgroup.limit));
	CU_ASSERT_TRUE(n > 4096 && n < 16384); /* some of the 64 MiB, and no more */
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
	CU_ASSERT_TRUE(nobody_was_killed(&cgroup));
	CU_ASSERT_EQUAL(rmdir(cgroup.path), 0);
}

/* A cache that would fill twice the limit lives in what there is. */
static void purgeable_frames_live_within_the_limit(void)
{
	struct cgroup cgroup;
	struct fixture f;
	pageclient *client;
	pageclient_slot slot;
	size_t n = 0;

	if (!cgroup_make(&cgroup))
		return;
	fixture_make(&f, config);
	f.before_exec = enter;
	f.arg = &cgroup;
	CU_ASSERT_TRUE(fixture_start(&f));
	client = fixture_client(&f, "cache");
	for (; n < FRAMES_MAX; n++) {
		void *frame = pageclient_alloc(client, 0, 0);

		if (!frame || pageclient_purgeable_new(client, frame, &slot) < 0)
			break;
		memset(frame, 0x5A, 4096);
		pageclient_unpin(client, slot);
	}
	CU_ASSERT_EQUAL(n, FRAMES_MAX);
	if (n < FRAMES_MAX)
		(void)fprintf(stderr, "after %zu: %s\n", n, pageclient_error());
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
	CU_ASSERT_TRUE(nobody_was_killed(&cgroup));
	CU_ASSERT_EQUAL(rmdir(cgroup.path), 0);
}

CU_TestInfo test_cgroup[] = {
	{"frames end with ENOMEM that names the limit",
	 frames_end_with_enomem_that_names_the_limit},
	{"purgeable frames live within the limit", purgeable_frames_live_within_the_limit},
	CU_TEST_INFO_NULL,
};
