/* tests/integration/fixture.h - a real daemon of a test's own.
 *
 * It lives in a new directory below /tmp with its own instance name, so any number of tests and
 * daemons go on side by side. Nothing waits by sleeping: the daemon serves when it answers a
 * Hello, and has ended when its pidfd says so. It dies with the test. At the end nothing of it may
 * be left in /dev/shm, and a sanitizer's report in its log fails the test. Failures are CUnit's. */
#ifndef TESTS_INTEGRATION_FIXTURE_H
#define TESTS_INTEGRATION_FIXTURE_H
#include "tests/integration/program.h"

#include <jansson.h>
#include <pageclient/pageclient.h>
#include <stdbool.h>
#include <sys/types.h>

struct fixture {
	char directory[64];
	char instance[32];
	char socket[96];
	char config[96];
	char log[96];
	pid_t pid; /* of the daemon; 0: none runs */
	int pidfd;
	bool by_default; /* no --config, --runtime-dir and --instance: what the environment says */
	void (*before_exec)(struct fixture *fixture); /* in the daemon's process; may be NULL */
	void *arg;
};

/* The directory and a configuration file with that text; no daemon yet. */
void fixture_make(struct fixture *fixture, const char *config);
void fixture_configure(const struct fixture *fixture, const char *config);
/* Starts the daemon and waits until it serves. */
bool fixture_start(struct fixture *fixture);
/* Both: what most tests begin with. */
bool fixture_open(struct fixture *fixture, const char *config);

/* Waits until the daemon has ended by itself; its exit status, -signal, or -1000. */
int fixture_end(struct fixture *fixture);
/* Starts a daemon that is to fail; its exit status, its words in the log. */
int fixture_fail(struct fixture *fixture);
/* The pid of the server that serves at the moment; the fixture's own is its supervisor's. */
pid_t fixture_server(const struct fixture *fixture);

/* SIGTERM; asserts an orderly end. */
void fixture_stop(struct fixture *fixture);
void fixture_stop_by(struct fixture *fixture, int signal);
/* SIGKILL; its server has ended, too, when this returns. */
void fixture_kill(struct fixture *fixture);
/* Stops what runs, removes everything, asserts that nothing is left. */
void fixture_close(struct fixture *fixture);

/* Text of the log so far; free() it. */
char *fixture_log(const struct fixture *fixture);
bool fixture_log_has(const struct fixture *fixture, const char *text);
/* Waits for it. */
bool fixture_log_gets(const struct fixture *fixture, const char *text);

/* Paths "/dev/shm/paged-<instance>-<part>", with part "meta" and so on. */
void fixture_segment_path(const struct fixture *fixture, const char *part, char ret_path[96]);
/* Names in /dev/shm that begin with paged-<instance>-. */
unsigned fixture_count_segments(const struct fixture *fixture);

/* A client of the daemon, NULL if that failed (and then the test has). It waits for frames and
 * answers as long as anything here is waited for. */
pageclient *fixture_client(const struct fixture *fixture, const char *name);
/* What Status says of the client; the test fails if it says nothing. */
struct pageclient_status fixture_status(pageclient *client);

/* Runs pagectl with up to five words after --socket; ends with NULL. */
void fixture_ctl(const struct fixture *fixture, struct program *ret_program, ...);
/* `pagectl drain`: what lies in magazines goes back, what was freed wrongly is seen. */
void fixture_drain(const struct fixture *fixture);
/* `pagectl reclaim --frames FRAMES`; false if it fails. */
bool fixture_reclaim(const struct fixture *fixture, const char *frames);
/* `pagectl COMMAND --json`; NULL and a failure if that is not one object with a version. */
json_t *fixture_ctl_json(const struct fixture *fixture, const char *command);
/* A member by its path, as "watermarks.min"; a failure and 0 if it is not there. */
uint64_t fixture_json_number(const json_t *root, const char *path);
/* True if `pagectl check` says that every invariant holds. */
bool fixture_check(const struct fixture *fixture);

/* "/path/of/paged", "/path/of/pagectl" of this build. */
const char *fixture_paged(void);
const char *fixture_pagectl(void);

/* True under ASan: memory and times are not what they are otherwise. */
bool fixture_is_sanitized(void);
/* Says on stdout that a test is skipped and why. */
void fixture_skip(const char *test, const char *why);

#endif
