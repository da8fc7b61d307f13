/* tests/integration/test_run.c - pagectl run: a command with a daemon of its own, and nothing left
 * of it however it ends. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"
#include "tests/integration/screen.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_run[];

/* A folder in which pagectl makes its own, and a configuration file; no daemon of ours. */
static void stage_open(struct fixture *f, const char *config)
{
	fixture_make(f, config);
	(void)setenv("XDG_RUNTIME_DIR", f->directory, 1);
}

static unsigned count_left(const struct fixture *f)
{
	DIR *directory = opendir(f->directory);
	unsigned n = 0;

	for (const struct dirent *e; directory && (e = readdir(directory));)
		n += strncmp(e->d_name, "paged-run-", 10) == 0;
	if (directory)
		(void)closedir(directory);
	return n;
}

static void stage_close(struct fixture *f)
{
	CU_ASSERT_EQUAL(count_left(f), 0);
	(void)unsetenv("XDG_RUNTIME_DIR");
	fixture_close(f);
}

static void expect(const char *const *options, const char *script, int status, const char *out)
{
	const char *argv[PROGRAM_ARGUMENTS_MAX] = {fixture_pagectl(), "run", "--paged",
						   fixture_paged()};
	struct program program;
	uint32_t n = 4;

	for (; *options; options++)
		argv[n++] = *options;
	argv[n++] = "--";
	argv[n++] = "/bin/sh";
	argv[n++] = "-c";
	argv[n++] = script;
	argv[n] = "pagectl";
	argv[n + 1] = fixture_pagectl();
	program_run(&program, argv);
	CU_ASSERT_EQUAL(program.status, status);
	CU_ASSERT_STRING_EQUAL(program.out, out);
	if (program.status != status)
		(void)fprintf(stderr, "%s: %d %s%s\n", script, program.status, program.out,
			      program.err);
	program_done(&program);
}

static const char *const no_options[] = {NULL};

static void it_ends_as_its_command(void)
{
	struct fixture f;

	stage_open(&f, "");
	expect(no_options, "exit 0", 0, "");
	expect(no_options, "echo words; exit 33", 33, "words\n");
	expect(no_options, "kill -9 $$", 128 + 9, "");
	stage_close(&f);
}

static void its_daemon_serves(void)
{
	static const char frames[] = "\"$1\" status --json | grep -c '\"frames\": 32768,'";
	const char *const size[] = {"--size", "128M", NULL};
	struct fixture f;
	const char *const file[] = {"--config", f.config, NULL};
	const char *const both[] = {"--config", f.config, "--size", "128M", NULL};

	stage_open(&f, "[segment]\nsize = 64M\nbacking = posix\n[pcp]\nbatch = 16\n");
	expect(size, frames, 0, "1\n");
	expect(file, frames, 1, "0\n");
	expect(both, frames, 0, "1\n");
	/* the file counts, but for the backing */
	expect(file, "\"$1\" status | grep -c '^backing *memfd'", 0, "1\n");
	stage_close(&f);
}

static void what_cannot_be_run_is_told(void)
{
	struct fixture f;
	const char *const bad_size[] = {"--size", "much", NULL};
	const char *const no_file[] = {"--config", "/no/such/file", NULL};
	const char *const no_paged[] = {"--paged", "/no/such/paged", NULL};
	const char *const none[] = {fixture_pagectl(),  "run", "--paged", fixture_paged(), "--",
				    "/no/such/command", NULL};
	const char *const folder[] = {
		fixture_pagectl(), "run", "--paged", fixture_paged(), "--", "/tmp", NULL};
	struct program program;

	stage_open(&f, "");
	expect(bad_size, "echo not reached", 125, "");
	expect(no_file, "echo not reached", 125, "");
	expect(no_paged, "echo not reached", 125, "");
	program_run(&program, none);
	CU_ASSERT_EQUAL(program.status, 127);
	CU_ASSERT_TRUE(program_said_one_line(&program));
	program_done(&program);
	program_run(&program, folder);
	CU_ASSERT_EQUAL(program.status, 126);
	CU_ASSERT_TRUE(program_said_one_line(&program));
	program_done(&program);
	stage_close(&f);
}

/* --- signals -------------------------------------------------------------------------------- */

static bool start(struct screen *screen, const char *script)
{
	const char *const argv[] = {fixture_pagectl(),
				    "run",
				    "--paged",
				    fixture_paged(),
				    "--",
				    "/bin/sh",
				    "-c",
				    script,
				    NULL};

	return screen_open(screen, 24, 80, "vt52", true, argv) && screen_wait(screen, "ready") >= 0;
}

static void signals_go_to_the_command(void)
{
	struct fixture f;
	struct screen *screen = calloc(1, sizeof(*screen));

	if (!screen)
		abort();
	stage_open(&f, "");
	CU_ASSERT_TRUE(start(screen, "trap 'exit 44' TERM; echo ready; read word"));
	(void)kill(screen->pid, SIGTERM);
	CU_ASSERT_EQUAL(screen_end(screen), 44);
	CU_ASSERT_TRUE(start(screen, "echo ready; exec cat"));
	screen_type(screen, "\003"); /* Ctrl-C reaches both, and the daemon not */
	CU_ASSERT_EQUAL(screen_end(screen), 128 + SIGINT);
	/* who catches it gets it once, and can go on with its daemon */
	CU_ASSERT_TRUE(start(screen, "trap 'n=x$n' INT; echo ready; read word; "
				     "test -S $PAGED_SOCKET && echo \"$n\"; exit 7"));
	screen_type(screen, "\003");
	screen_type(screen, "word\n");
	CU_ASSERT_EQUAL(screen_end(screen), 7);
	/* Before or after the echo of what was typed: the signal may end the shell's read. */
	CU_ASSERT_PTR_NOT_NULL(strstr(screen->raw, "x\r"));
	CU_ASSERT_PTR_NULL(strstr(screen->raw, "xx\r"));
	stage_close(&f);
	free(screen);
}

static bool answers(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool good;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)close(fd);
	return good;
}

/* SIGKILL of pagectl itself: the daemon ends all the same. */
static void its_daemon_dies_with_it(void)
{
	struct fixture f;
	struct screen *screen = calloc(1, sizeof(*screen));
	char path[108] = "", *end;
	const char *begin;

	if (!screen)
		abort();
	stage_open(&f, "");
	CU_ASSERT_TRUE(start(screen, "echo \"<$PAGED_SOCKET>\"; echo ready; exec cat"));
	begin = strchr(screen->raw, '<');
	end = strchr(screen->raw, '>');
	CU_ASSERT_TRUE(begin && end && end - begin < (ptrdiff_t)sizeof(path));
	if (begin && end && end - begin < (ptrdiff_t)sizeof(path))
		(void)snprintf(path, sizeof(path), "%.*s", (int)(end - begin - 1), begin + 1);
	CU_ASSERT_TRUE(answers(path));
	screen_close(screen); /* SIGKILL */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); answers(path) && clock_pause(until);)
		;
	CU_ASSERT_FALSE(answers(path));
	(void)unsetenv("XDG_RUNTIME_DIR");
	fixture_close(&f); /* with the directory, which nobody was left to remove */
	free(screen);
}

CU_TestInfo test_run[] = {
	{"it ends as its command", it_ends_as_its_command},
	{"its daemon serves", its_daemon_serves},
	{"what cannot be run is told", what_cannot_be_run_is_told},
	{"signals go to the command", signals_go_to_the_command},
	{"its daemon dies with it", its_daemon_dies_with_it},
	CU_TEST_INFO_NULL,
};
