/* tests/integration/test_trace.c - the tracepoints as bpftrace sees them: both scripts of
 * packaging/bpftrace against this build's daemon and library, under load. Skipped where the kernel
 * or the user may not. */
#include "tests/integration/background.h"
#include "tests/integration/holder.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern CU_TestInfo test_trace[];

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n";

/* May we trace at all? */
static bool may_trace(const char *test)
{
	const char *argv[] = {"bpftrace", "-e", "BEGIN { printf(\"yes\\n\"); exit(); }", NULL};
	struct program probe;
	bool may;

	if (access("/usr/bin/bpftrace", X_OK) != 0) {
		fixture_skip(test, "no bpftrace");
		return false;
	}
	program_run(&probe, argv);
	may = probe.status == 0 && strstr(probe.out, "yes") != NULL;
	program_done(&probe);
	if (!may)
		fixture_skip(test, "bpftrace cannot trace here");
	return may;
}

/* The script, with this build's files in the place of the installed ones. */
static bool write_script(const struct fixture *f, const char *name, char ret_path[160])
{
	char from[512], line[2048];
	const char *argv[] = {"sh", "-c", line, NULL};
	struct program sed;
	bool ok;

	(void)snprintf(from, sizeof(from), PAGED_SOURCE_DIR "/packaging/bpftrace/%s", name);
	(void)snprintf(ret_path, 160, "%s/%s", f->directory, name);
	(void)snprintf(line, sizeof(line),
		       "sed -e 's,usdt:/usr/bin/paged:,usdt:%s:,' -e "
		       "'s,usdt:/usr/lib/[^:]*:,usdt:%s:,' %s >%s",
		       fixture_paged(), INTEGRATION_LIBRARY, from, ret_path);
	program_run(&sed, argv);
	ok = sed.status == 0;
	program_done(&sed);
	return ok;
}

static bool trace_start(struct background *trace, const struct fixture *f, const char *name,
			char ret_path[160])
{
	const char *argv[] = {"bpftrace", ret_path, NULL};
	char log[128];

	(void)snprintf(log, sizeof(log), "%s/trace.log", f->directory);
	return write_script(f, name, ret_path) && background_start(trace, log, argv) &&
	       background_says(trace, "Ctrl-C to end");
}

/* Ends it; what it printed, the caller's. */
static char *trace_end(struct background *trace, const char *path)
{
	char *text;

	CU_ASSERT_EQUAL(kill(trace->pid, SIGINT), 0);
	CU_ASSERT_TRUE(background_ends(trace));
	text = background_text(trace);
	CU_ASSERT_EQUAL(background_end(trace, SIGINT), 0);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

/* Does the text have it? */
static bool has(const char *text, const char *words)
{
	if (strstr(text, words))
		return true;
	(void)fprintf(stderr, "no \"%s\" in: %s\n", words, text);
	return false;
}

static void slow_allocations_are_measured(void)
{
	struct background trace;
	struct fixture f;
	struct holder holder = {&f, "slow", HOLDER_KEEPS, 2000, 0};
	struct child child;
	char path[160], *text;
	uint64_t n;

	if (!may_trace("slow allocations are measured"))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(trace_start(&trace, &f, "paged-latency.bt", path));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	CU_ASSERT_EQUAL(n, 2000);
	text = trace_end(&trace, path);
	CU_ASSERT_TRUE(has(text, "@latency_us[integration, 0]"));
	CU_ASSERT_PTR_NULL(strstr(text, "@failed_by_errno"));
	free(text);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* The one fills the segment with what it can prune, the other wants some of it. */
static void who_is_pruned_by_whom_is_seen(void)
{
	struct background trace;
	struct fixture f;
	struct holder pruned = {&f, "pruned", HOLDER_PRUNES, HOLDER_MAX, HOLDER_SURE};
	struct holder needs = {&f, "needs", HOLDER_KEEPS, 2000, 0};
	struct child first, second;
	char path[160], *text;
	uint64_t n;

	if (!may_trace("who is pruned by whom is seen"))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&first, &pruned, &n));
	CU_ASSERT_TRUE(trace_start(&trace, &f, "paged-prune.bt", path));
	CU_ASSERT_TRUE(holder_start(&second, &needs, &n));
	CU_ASSERT_EQUAL(n, 2000);
	/* What it has not read when it is interrupted, it does not print. */
	CU_ASSERT_TRUE(background_says(&trace, " shrinker\n"));
	text = trace_end(&trace, path);
	CU_ASSERT_TRUE(has(text, "@frames_for_from[2, 1]: ")); /* 1 is pruned for 2 */
	CU_ASSERT_TRUE(has(text, "@upcall_us[1, 1]"));
	free(text);
	CU_ASSERT_EQUAL(child_end(&second), 0);
	CU_ASSERT_EQUAL(child_end(&first), 0);
	fixture_close(&f);
}

CU_TestInfo test_trace[] = {
	{"slow allocations are measured", slow_allocations_are_measured},
	{"who is pruned by whom is seen", who_is_pruned_by_whom_is_seen},
	CU_TEST_INFO_NULL,
};
