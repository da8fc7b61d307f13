/* tests/fault/trial.h - one case: a phase in which one call fails, and what has to be true then.
 *
 * The daemon goes on and serves everybody as before, or it ends with a status above 0 and an error
 * in its log; it never dies of a signal, hangs, or is silent. A server that dies is replaced. Then
 * it stops in order, leaves nothing but its segments, and the next start finds all that was in
 * them. A client gets an error that is documented, and once nothing fails any more it works. */
#ifndef TESTS_FAULT_TRIAL_H
#define TESTS_FAULT_TRIAL_H
#include "tests/fault/guest.h"
#include "tests/fault/host.h"

/* After that nothing fails any more: what failed "for ever" is repaired. Lower: retries are not
 * seen; higher: each case takes as long. */
#define TRIAL_GRACE_MS 120u

struct trial {
	struct host_options options; /* the config is the phase's */
	const char *client;          /* the program of the client's phases */
	/* The case. */
	uint32_t role;
	uint32_t function;
	uint32_t n; /* 0: only count */
	uint32_t ever;
	int32_t error;
	/* While it runs. */
	struct host host;
	struct guest guest;
	uint64_t instance_id; /* of the segment before; 0: there was none */
	uint32_t n_fds;       /* of the server before; 0: not known */
	pid_t server;
	/* What came of it. */
	struct inject_control result;
	bool told;      /* to end: then a status of 0 is right */
	bool restarted; /* libuv ended a server */
	bool refused;   /* the daemon ended with an error */
	char why[HOST_TEXT_BYTES];
	char last_error[HOST_TEXT_BYTES]; /* of the log, if it is wrong */
};

struct phase {
	const char *name;
	const char *config;
	bool (*run)(struct trial *trial); /* false: why says what is wrong */
	const char *roles[INJECT_NR_ROLES];
};

/* All phases; ends with one without a name. */
extern const struct phase trial_phases[];

const char *trial_function_name(uint32_t function);
/* True if it went well. */
bool trial_run(struct trial *trial, const struct phase *phase);

/* --- for the phases --- */

__attribute__((format(printf, 2, 3))) bool trial_wrong(struct trial *trial, const char *format,
						       ...);
/* Lets calls fail, in servers that begin later only if `later`. */
void trial_arm(struct trial *trial, bool later);
/* Waits for what happens while calls fail: true as soon as done() is. After the grace time nothing
 * fails any more; false if it is not done long after that, or the daemon has ended. */
bool trial_await(struct trial *trial, bool (*done)(struct trial *trial));
/* A daemon that serves, with the shim in it, unarmed. */
bool trial_begin(struct trial *trial);
/* After the phase: goes on or has ended in order, stops, leaves nothing, starts again. */
bool trial_settle(struct trial *trial);

/* trial_client.c */
bool trial_client_attach(struct trial *trial);
bool trial_client_work(struct trial *trial);
bool trial_client_resume(struct trial *trial);
bool trial_client_close(struct trial *trial);

#endif
