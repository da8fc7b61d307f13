/* tests/integration/test_signals.c - what SIGTERM, SIGINT and SIGHUP do, once, twice and to both
 * processes, and what is said of it. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

extern CU_TestInfo test_signals[];

static const char config[] = "[segment]\nsize = 64M\nbacking = posix\n";

/* --- the end -------------------------------------------------------------------------------- */

static void expect_orderly_end(struct fixture *f)
{
	CU_ASSERT_EQUAL(fixture_end(f), 0);
	CU_ASSERT_TRUE(fixture_log_has(f, "stopped; "));
	CU_ASSERT_FALSE(fixture_log_has(f, "was killed"));
	CU_ASSERT_FALSE(fixture_log_has(f, "error"));
}

/* As a service manager does it. */
static void signal_to_both_is_one_orderly_stop(void)
{
	struct fixture f;

	for (uint32_t i = 0; i < 10; i++) {
		pid_t server;

		CU_ASSERT_TRUE(fixture_open(&f, config));
		server = fixture_server(&f);
		CU_ASSERT_EQUAL(kill(f.pid, SIGTERM), 0);
		(void)kill(server, SIGTERM); /* it may have ended by now */
		expect_orderly_end(&f);
		fixture_close(&f);
	}
}

static void in_a_group_of_its_own(struct fixture *fixture)
{
	(void)fixture;
	(void)setpgid(0, 0);
	(void)signal(SIGINT, SIG_DFL); /* a shell's background job ignores it */
}

/* As a terminal does it. */
static void interrupt_from_a_terminal_is_one_orderly_stop(void)
{
	struct fixture f;

	for (uint32_t i = 0; i < 20; i++) {
		fixture_make(&f, config);
		f.before_exec = in_a_group_of_its_own;
		CU_ASSERT_TRUE(fixture_start(&f));
		CU_ASSERT_EQUAL(kill(-f.pid, SIGINT), 0);
		expect_orderly_end(&f);
		fixture_close(&f);
	}
}

static void second_signal_does_not_wait(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGSTOP), 0);
	CU_ASSERT_EQUAL(kill(f.pid, SIGTERM), 0);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     access(f.socket, F_OK) == 0 && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(kill(f.pid, SIGTERM), 0);
	CU_ASSERT_EQUAL(fixture_end(&f), 1);
	CU_ASSERT_TRUE(fixture_log_has(&f, "notice: second SIGTERM: stopped at once"));
	CU_ASSERT_FALSE(fixture_log_has(&f, "was killed"));
	fixture_close(&f);
}

/* They may become one, or not: in no case is that an error. */
static void two_signals_at_once_are_no_error(void)
{
	struct fixture f;

	for (uint32_t i = 0; i < 10; i++) {
		CU_ASSERT_TRUE(fixture_open(&f, config));
		CU_ASSERT_EQUAL(kill(f.pid, SIGTERM), 0);
		(void)kill(f.pid, SIGTERM);
		(void)fixture_end(&f);
		CU_ASSERT_TRUE(fixture_log_has(&f, "stopped"));
		CU_ASSERT_FALSE(fixture_log_has(&f, "error"));
		fixture_close(&f);
	}
}

/* --- the configuration ---------------------------------------------------------------------- */

static uint32_t count(const struct fixture *f, const char *text)
{
	char *log = fixture_log(f);
	uint32_t n = 0;

	for (const char *at = log; (at = strstr(at, text)); at += strlen(text))
		n++;
	free(log);
	return n;
}

/* Each SIGHUP ends with a line that has the text; `before` had it before. */
static void reload(struct fixture *f, const char *text, const char *says)
{
	uint32_t before = count(f, says);

	fixture_configure(f, text);
	CU_ASSERT_EQUAL(kill(f->pid, SIGHUP), 0);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     count(f, says) == before && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(count(f, says), before + 1);
}

static void reload_says_what_differs_from_what_is_in_force(void)
{
	static const char pending[] = "segment.size: 128M, was 64M; takes effect at the next start";
	static const char live[] = "limits.connections: 50, was none";
	static const char nothing[] = "nothing changed that can change while running";
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n"));
	reload(&f, "[segment]\nsize = 128M\n", nothing);
	CU_ASSERT_EQUAL(count(&f, pending), 1);
	reload(&f, "[segment]\nsize = 64M\n", nothing); /* as it is: no change */
	CU_ASSERT_EQUAL(count(&f, "segment.size"), 1);
	reload(&f, "[segment]\nsize = 64M\n[limits]\nconnections = 50\n", live);
	reload(&f, "[segment]\nsize = 64M\n[limits]\nconnections = 50\n", nothing);
	reload(&f,
	       "[segment]\nsize = 65536K\n[reclaim]\ndeadline = 1s\n[limits]\nconnections = 50\n",
	       nothing); /* the same in other words */
	CU_ASSERT_EQUAL(count(&f, "was "), 2);
	reload(&f, "[socket]\ngroup = no such group\n", "the configuration stays as it was");
	CU_ASSERT_TRUE(fixture_log_has(&f, "paged.conf:2: socket.group: there is no group"));
	fixture_close(&f);
}

CU_TestInfo test_signals[] = {
	{"signal to both is one orderly stop", signal_to_both_is_one_orderly_stop},
	{"interrupt from a terminal is one orderly stop",
	 interrupt_from_a_terminal_is_one_orderly_stop},
	{"second signal does not wait", second_signal_does_not_wait},
	{"two signals at once are no error", two_signals_at_once_are_no_error},
	{"reload says what differs from what is in force",
	 reload_says_what_differs_from_what_is_in_force},
	CU_TEST_INFO_NULL,
};
