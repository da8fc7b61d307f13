/* tests/fault/phases.c - in what a call fails: each phase of a daemon's life, and of a client's. */
#include "tests/fault/trial.h"

#include <signal.h>
#include <stdio.h>

/* Two zones, so that there is more than one of everything; small, so that a start is quick. */
#define CONFIG_SIZE "[segment]\nsize = 64M\nheadroom = 1M\n"

static bool serves(struct trial *trial)
{
	return host_serves(&trial->host);
}

static bool guest_is_done(struct trial *trial)
{
	return guest_heard(&trial->guest, 1, trial->why) != 0;
}

/* A guest that is told, while calls fail. It has to be right; whether the daemon is comes later. */
static bool tell_and_await(struct trial *trial, enum guest_step step)
{
	guest_tell(&trial->guest, step);
	(void)trial_await(trial, guest_is_done);
	return !trial->why[0];
}

/* What a guest can still do after the phase, if there is a daemon. */
static bool guest_goes_on(struct trial *trial)
{
	if (host_has_ended(&trial->host, 0))
		return true;
	return guest_does(&trial->guest, GUEST_ATTACH, trial->why) &&
	       guest_does(&trial->guest, GUEST_SURELY, trial->why) &&
	       guest_does(&trial->guest, GUEST_CLOSE, trial->why);
}

static bool finish(struct trial *trial)
{
	bool good = guest_goes_on(trial);

	/* It may be that the daemon ended, and that is its right. */
	if (!good && host_has_ended(&trial->host, 1)) {
		trial->why[0] = '\0';
		good = true;
	}
	guest_kill(&trial->guest);
	return good && trial_settle(trial);
}

/* --- the daemon's --------------------------------------------------------------------------- */

/* From main() to serving. */
static bool run_startup(struct trial *trial)
{
	trial_arm(trial, false);
	if (!host_start(&trial->host, true))
		return trial_wrong(trial, "no process");
	(void)trial_await(trial, serves);
	return !trial->why[0] && trial_settle(trial);
}

/* The same with a segment that a client's frames are in and that nobody serves any more. */
static bool run_adopt(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host) ||
	    !guest_does(&trial->guest, GUEST_ATTACH, trial->why) ||
	    !guest_does(&trial->guest, GUEST_HOLD, trial->why))
		return false;
	host_kill(&trial->host);
	guest_kill(&trial->guest);
	trial->n_fds = 0;
	return run_startup(trial);
}

/* A client attaches. */
static bool run_handshake(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host))
		return false;
	trial_arm(trial, false);
	return tell_and_await(trial, GUEST_OPEN) && finish(trial);
}

/* A client gets its magazines, frames of all orders, shares some, has a cache. */
static bool run_refill(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host) ||
	    !guest_does(&trial->guest, GUEST_ATTACH, trial->why))
		return false;
	trial_arm(trial, false);
	return tell_and_await(trial, GUEST_TRY) && finish(trial);
}

static bool is_free(struct trial *trial)
{
	struct shm_view view;
	bool gone;

	if (!host_observe(&trial->host, &view))
		return false;
	gone = shm_view_counter(&view, COUNTER_nr_owned) == 0;
	shm_view_detach(&view);
	return gone;
}

/* A client with frames is killed. */
static bool run_death(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host) ||
	    !guest_does(&trial->guest, GUEST_ATTACH, trial->why) ||
	    !guest_does(&trial->guest, GUEST_SURELY, trial->why) ||
	    !guest_does(&trial->guest, GUEST_HOLD, trial->why))
		return false;
	trial_arm(trial, false);
	guest_kill(&trial->guest);
	(void)trial_await(trial, is_free);
	return !trial->why[0] && trial_settle(trial);
}

static bool serves_anew(struct trial *trial)
{
	pid_t server = host_server(&trial->host);

	return server != 0 && server != trial->server;
}

/* The server is killed under a client with frames: calls fail in the next one, and in the
 * supervisor. */
static bool run_recovery(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host) ||
	    !guest_does(&trial->guest, GUEST_ATTACH, trial->why) ||
	    !guest_does(&trial->guest, GUEST_HOLD, trial->why))
		return false;
	trial->n_fds = 0;
	trial_arm(trial, true);
	(void)kill(trial->server, SIGKILL);
	(void)trial_await(trial, serves_anew);
	return !trial->why[0] && finish(trial);
}

static bool never(struct trial *trial)
{
	(void)trial;
	return false;
}

/* SIGTERM, with a client attached. */
static bool run_shutdown(struct trial *trial)
{
	if (!trial_begin(trial) || !guest_start(&trial->guest, &trial->host) ||
	    !guest_does(&trial->guest, GUEST_ATTACH, trial->why) ||
	    !guest_does(&trial->guest, GUEST_HOLD, trial->why))
		return false;
	trial->told = true;
	trial_arm(trial, false);
	host_signal(&trial->host, SIGTERM);
	(void)trial_await(trial, never);
	guest_kill(&trial->guest);
	return !trial->why[0] && trial_settle(trial);
}

const struct phase trial_phases[] = {
	{"startup", CONFIG_SIZE "[socket]\ngroup = 0\n", run_startup, {"supervisor", "server"}},
	{"memfd",
	 CONFIG_SIZE "backing = memfd\nhugepages = never\n",
	 run_startup,
	 {"supervisor", "server"}},
	{"adopt", CONFIG_SIZE, run_adopt, {"supervisor", "server"}},
	{"handshake", CONFIG_SIZE, run_handshake, {"supervisor", "server"}},
	{"refill", CONFIG_SIZE, run_refill, {"supervisor", "server"}},
	{"death", CONFIG_SIZE, run_death, {"supervisor", "server"}},
	{"recovery", CONFIG_SIZE, run_recovery, {"supervisor", "server"}},
	{"shutdown", CONFIG_SIZE, run_shutdown, {"supervisor", "server"}},
	{"attach", CONFIG_SIZE, trial_client_attach, {"client", "child"}},
	{"work", CONFIG_SIZE, trial_client_work, {"client", "child"}},
	{"resume", CONFIG_SIZE, trial_client_resume, {"client", "child"}},
	{"close", CONFIG_SIZE, trial_client_close, {"client", "child"}},
	{NULL, NULL, NULL, {NULL, NULL}},
};
