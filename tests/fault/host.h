/* tests/fault/host.h - one daemon of one case: private, with the shim in it, and looked at from
 * outside.
 *
 * It has a directory and an instance name of its own, so that cases go on side by side, and dies
 * with the process that started it. */
#ifndef TESTS_FAULT_HOST_H
#define TESTS_FAULT_HOST_H
#include "shm/view.h"
#include "tests/fault/inject.h"

#include <stdbool.h>
#include <sys/types.h>

/* How long anything may take once nothing fails any more. Lower: a loaded machine fails; higher: a
 * hang costs more. */
#define HOST_PATIENCE_MS 60000u
#define HOST_TEXT_BYTES 512u

struct host_options {
	const char *paged;
	const char *pagectl;
	const char *shim;
	const char *config;
};

struct host {
	struct host_options options;
	char directory[64];
	char instance[32];
	char socket[96];
	char log[96];
	char control_path[96];
	struct inject_control *control;
	pid_t pid; /* of the supervisor; 0: none */
	int pidfd;
	int status; /* exit status, or -signal, once pid is 0 */
};

/* False: this machine has no room for a test. */
bool host_make(struct host *host, const struct host_options *options);
/* Kills what is left, removes everything. */
void host_done(struct host *host);

/* Starts the daemon, with or without the shim; does not wait. */
bool host_start(struct host *host, bool shimmed);
/* Has it ended? Takes its status. */
bool host_has_ended(struct host *host, uint32_t ms);
void host_signal(const struct host *host, int signal);
/* SIGKILL to the supervisor, and so to the server. */
void host_kill(struct host *host);

/* Calls are counted from now on, in servers that begin later only if `later`. */
void host_arm(struct host *host, bool later);
void host_disarm(struct host *host);

/* META, if somebody answers a Hello at once; detach it. */
bool host_observe(const struct host *host, struct shm_view *ret_view);
/* The same of one that serves: it may be late. */
bool host_observe_surely(struct host *host, struct shm_view *ret_view);
bool host_serves(const struct host *host);
/* Waits until it serves or has ended. */
bool host_gets_ready(struct host *host, uint32_t ms);
/* Its server; 0: nobody serves. */
pid_t host_server(const struct host *host);
/* Descriptors that the server has open, once it has closed those of who is gone. */
uint32_t host_count_fds(pid_t server);
/* `pagectl check`; false with what it said. */
bool host_check(const struct host *host, char ret_text[HOST_TEXT_BYTES]);
/* Waits until no client is there and every frame is free. */
bool host_all_free(const struct host *host, char ret_text[HOST_TEXT_BYTES]);

/* The log has a line with that. */
bool host_log_has(const struct host *host, const char *text);
/* The last line of the log with "error: " in it, "" if there is none. */
void host_log_error(const struct host *host, char ret_text[HOST_TEXT_BYTES]);
/* Names in /dev/shm that are its but none of the three segments; the first of them in ret_text. */
uint32_t host_strays(const struct host *host, char ret_text[HOST_TEXT_BYTES]);

#endif
