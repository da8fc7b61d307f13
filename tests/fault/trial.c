/* tests/fault/trial.c - what has to be true in each case; see trial.h. */
#include "tests/fault/trial.h"

#include "tests/integration/clock.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool trial_wrong(struct trial *trial, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(trial->why, sizeof(trial->why), format, list);
	va_end(list);
	return false;
}

const char *trial_function_name(uint32_t function)
{
	static const char *const names[] = {
#define X(name, kind, ...) #name,
#include "tests/fault/faults.def"
#undef X
	};

	return function < INJECT_NR_FUNCTIONS ? names[function] : "?";
}

/* --- while calls fail ----------------------------------------------------------------------- */

void trial_arm(struct trial *trial, bool later)
{
	struct inject_control *control = trial->host.control;

	control->role = trial->role;
	control->function = trial->function;
	control->n = trial->n;
	control->ever = trial->ever;
	control->error = trial->error;
	host_arm(&trial->host, later);
}

bool trial_await(struct trial *trial, bool (*done)(struct trial *trial))
{
	uint64_t grace = clock_until(TRIAL_GRACE_MS);
	uint64_t until = clock_until(TRIAL_GRACE_MS + 2 * HOST_PATIENCE_MS);
	bool is_done = false;

	while (!(is_done = done(trial)) && !host_has_ended(&trial->host, 1) && clock_left_ms(until))
		if (trial->host.control->armed && clock_left_ms(grace) == 0)
			host_disarm(&trial->host);
	host_disarm(&trial->host);
	if (!is_done && trial->host.pid)
		return trial_wrong(trial, "it hangs");
	return is_done;
}

/* --- before --------------------------------------------------------------------------------- */

bool trial_begin(struct trial *trial)
{
	struct shm_view view;

	if (!host_start(&trial->host, true) || !host_gets_ready(&trial->host, HOST_PATIENCE_MS))
		return trial_wrong(trial, "no daemon to begin with");
	if (!host_observe_surely(&trial->host, &view))
		return trial_wrong(trial, "no META to begin with");
	trial->instance_id = view.header->instance_id;
	trial->server = (pid_t)view.header->daemon_pid;
	shm_view_detach(&view);
	trial->n_fds = host_count_fds(trial->server);
	return true;
}

/* --- after ---------------------------------------------------------------------------------- */

static bool check_traces(struct trial *trial)
{
	const struct host *host = &trial->host;
	char text[HOST_TEXT_BYTES];

	if (host_log_has(host, "must be true"))
		return trial_wrong(trial, "it panicked");
	if (host_log_has(host, "hangs: it is aborted"))
		return trial_wrong(trial, "the server hung");
	if (host_log_has(host, "by SIGABRT")) {
		/* libuv aborts where a call of its own fails that it has no error for. */
		if (!host->control->n_libuv)
			return trial_wrong(trial, "the server aborted");
		trial->restarted = true;
	}
	if (host_log_has(host, "by SIGSEGV") || host_log_has(host, "by SIGBUS"))
		return trial_wrong(trial, "the server crashed");
	if (host_strays(host, text))
		return trial_wrong(trial, "left in /dev/shm: %.200s", text);
	return true;
}

/* Does the last word say what failed? A write that failed may have taken it. */
static bool names_error(const struct trial *trial, const char *error)
{
	return strstr(error, strerror(trial->error)) || strstr(error, "no memory") ||
	       strstr(error, trial_function_name(trial->function)) ||
	       trial->function == INJECT_write;
}

static bool check_end(struct trial *trial)
{
	char error[HOST_TEXT_BYTES];

	if (trial->host.status < 0)
		return trial_wrong(trial, "the daemon died of signal %d", -trial->host.status);
	if (trial->host.status == 0)
		return trial->told || trial_wrong(trial, "the daemon ended with status 0, untold");
	trial->refused = true;
	host_log_error(&trial->host, error);
	/* Who cannot write cannot say so. */
	if (!error[0] && trial->function != INJECT_write)
		return trial_wrong(trial, "it ended with status %d and no word why",
				   trial->host.status);
	return trial->host.control->n_libuv || names_error(trial, error) ||
	       trial_wrong(trial, "its last word does not say what failed: %.300s", error);
}

/* Descriptors of the same server: no more than before there was a client. */
static bool check_fds(struct trial *trial)
{
	uint64_t until = clock_until(HOST_PATIENCE_MS / 8);
	uint32_t n = 0;

	if (!trial->n_fds || host_server(&trial->host) != trial->server)
		return true;
	do
		n = host_count_fds(trial->server);
	while (n > trial->n_fds && clock_pause(until));
	return n <= trial->n_fds ||
	       trial_wrong(trial, "the server has %u descriptors, had %u", n, trial->n_fds);
}

/* A stranger is served, the audit finds nothing, and when the stranger is gone all is free. */
static bool check_service(struct trial *trial)
{
	struct guest stranger;
	bool good = guest_start(&stranger, &trial->host) &&
		    guest_does(&stranger, GUEST_ATTACH, trial->why) &&
		    guest_does(&stranger, GUEST_SURELY, trial->why) &&
		    host_check(&trial->host, trial->why) &&
		    guest_does(&stranger, GUEST_CLOSE, trial->why);

	guest_kill(&stranger);
	return good && host_all_free(&trial->host, trial->why) && check_fds(trial);
}

static bool stop(struct trial *trial)
{
	host_signal(&trial->host, SIGTERM);
	if (!host_has_ended(&trial->host, HOST_PATIENCE_MS))
		return trial_wrong(trial, "SIGTERM does not end it");
	return trial->host.status == 0 ||
	       trial_wrong(trial, "it was told to end, with status %d", trial->host.status);
}

/* A start without faults finds what was there. */
static bool check_next_start(struct trial *trial)
{
	struct shm_view view;
	uint64_t id;

	if (!host_start(&trial->host, false) || !host_gets_ready(&trial->host, HOST_PATIENCE_MS))
		return trial_wrong(trial, "the next start does not serve");
	if (!host_observe_surely(&trial->host, &view))
		return trial_wrong(trial, "the next start has no META");
	id = view.header->instance_id;
	shm_view_detach(&view);
	if (trial->instance_id && id != trial->instance_id)
		return trial_wrong(trial, "the segment was replaced");
	return host_check(&trial->host, trial->why) && host_all_free(&trial->host, trial->why) &&
	       stop(trial);
}

bool trial_settle(struct trial *trial)
{
	bool good = true;

	if (trial->host.pid == 0)
		good = check_end(trial);
	else if (!host_gets_ready(&trial->host, HOST_PATIENCE_MS))
		good = trial->host.pid ? trial_wrong(trial, "it does not serve any more")
				       : check_end(trial);
	else
		good = check_service(trial) && stop(trial);
	return good && check_traces(trial) && check_next_start(trial) && check_traces(trial);
}

bool trial_run(struct trial *trial, const struct phase *phase)
{
	bool good;

	trial->options.config = phase->config;
	trial->why[0] = '\0';
	trial->guest = (struct guest){.fd = -1};
	trial->instance_id = 0;
	trial->n_fds = 0;
	trial->told = trial->restarted = trial->refused = false;
	if (!host_make(&trial->host, &trial->options))
		return trial_wrong(trial, "no directory for a daemon");
	good = phase->run(trial);
	trial->result = *trial->host.control;
	if (!good && !trial->why[0])
		(void)trial_wrong(trial, "it ended with status %d", trial->host.status);
	guest_kill(&trial->guest);
	if (!good)
		host_log_error(&trial->host, trial->last_error);
	host_done(&trial->host);
	return good;
}
