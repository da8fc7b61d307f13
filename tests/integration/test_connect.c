/* tests/integration/test_connect.c - who cannot connect is told why: pagectl and the library. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_connect[];

#define TRIES 20 /* of a race between what the daemon says and its close */
#define LIMIT 2

/* --- refused -------------------------------------------------------------------------------- */

static const char limit_says[] = "as many as [limits] connections allows";

static void expect_refusal(const struct fixture *f)
{
	struct pageclient_options options;
	struct program ctl;
	pageclient *client;

	fixture_ctl(f, &ctl, "status", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, limit_says));
	if (!strstr(ctl.err, limit_says))
		(void)fprintf(stderr, "pagectl: %s", ctl.err);
	program_done(&ctl);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -EUSERS);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), limit_says));
	if (!strstr(pageclient_error(), limit_says))
		(void)fprintf(stderr, "library: %s\n", pageclient_error());
}

static void connection_above_the_limit_is_told_why(void)
{
	struct fixture f;
	int fd[LIMIT];

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[limits]\nconnections = 2\n"));
	for (uint32_t i = 0; i < LIMIT; i++) /* the fixture's own may not have gone yet */
		for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
		     (fd[i] = raw_hello(&f, HELLO_OBSERVER, NULL)) < 0 && clock_pause(until);)
			;
	for (uint32_t i = 0; i < TRIES; i++)
		expect_refusal(&f);
	for (uint32_t i = 0; i < LIMIT; i++)
		(void)close(fd[i]);
	fixture_close(&f);
}

/* --- not reached ---------------------------------------------------------------------------- */

/* pagectl as somebody who may not use the socket: root has to become one. */
static bool run_as_stranger(const struct fixture *f, struct program *ret_program)
{
	const char *argv[] = {
		"setpriv", "--reuid=65534", "--clear-groups", fixture_pagectl(), "--version", NULL,
		NULL};
	const char *const *from = geteuid() == 0 ? argv : argv + 3;
	bool can;

	program_run(ret_program, from);
	can = ret_program->status == 0;
	if (!can)
		return false;
	program_done(ret_program);
	argv[4] = "--socket";
	{
		const char *call[] = {argv[0], argv[1],   argv[2],  argv[3],
				      argv[4], f->socket, "status", NULL};

		program_run(ret_program, geteuid() == 0 ? call : call + 3);
	}
	return true;
}

static void socket_of_others_is_told_with_mode_and_group(void)
{
	struct fixture f;
	struct program ctl;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n"));
	CU_ASSERT_EQUAL(chmod(f.directory, 0755), 0);
	CU_ASSERT_EQUAL(chmod(f.socket, 0), 0);
	if (run_as_stranger(&f, &ctl)) {
		CU_ASSERT_EQUAL(ctl.status, 3);
		CU_ASSERT_PTR_NOT_NULL(
			strstr(ctl.err, "the socket is not for this user (mode 0000, group "));
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "join the group, or see [socket] mode"));
		CU_ASSERT_PTR_NULL(strstr(ctl.err, "Start one"));
	} else {
		fixture_skip("a socket of others", "no other user can run pagectl");
	}
	program_done(&ctl);
	CU_ASSERT_EQUAL(chmod(f.socket, 0600), 0);
	fixture_close(&f);
}

static void file_that_is_no_socket_is_told(void)
{
	struct fixture f;
	struct program ctl;
	int fd;

	fixture_make(&f, "");
	fd = open(f.socket, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE(fd >= 0);
	(void)close(fd);
	fixture_ctl(&f, &ctl, "status", NULL);
	CU_ASSERT_EQUAL(ctl.status, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "paged.sock: is not a socket"));
	program_done(&ctl);
	fixture_close(&f);
}

CU_TestInfo test_connect[] = {
	{"connection above the limit is told why", connection_above_the_limit_is_told_why},
	{"socket of others is told with mode and group",
	 socket_of_others_is_told_with_mode_and_group},
	{"file that is no socket is told", file_that_is_no_socket_is_told},
	CU_TEST_INFO_NULL,
};
