/* tests/fuzz/script.h - an input as a story: what clients, time and the shell do to a session.
 *
 * A step is a byte, kind in the low half and connection in the high one, and what the kind takes:
 * connect, Hello, Resume, ask (a request of any kind
 * with small numbers), say (a packet as it would come from the wire), answer an upcall, write a
 * word of a CTL, let time pass, end a commit, hang up, die, restart the server. The shell of the
 * tests performs the actions, and asserts what a shell relies on. */
#ifndef TESTS_FUZZ_SCRIPT_H
#define TESTS_FUZZ_SCRIPT_H
#include "tests/fuzz/fuzz.h"
#include "tests/support/fixture_session.h"

#define SCRIPT_CONNS 8u
#define SCRIPT_STEPS_MAX 256u
#define SCRIPT_RESTARTS_MAX 1u /* it costs as much as some hundred steps */
#define SCRIPT_WAIT_MAX 4096u  /* ms of one step; each second is a tick */

struct script {
	struct shell *shell;
	uint32_t conn[SCRIPT_CONNS]; /* shell's number; UINT32_MAX: none */
	client_id was[SCRIPT_CONNS]; /* the client that it was last */
	uint32_t n_restarts;
	uint64_t seq; /* the last of any lane */
};

/* Nobody is connected. */
void script_init(struct script *script, struct shell *shell);
/* Runs the input to its end, and two seconds more: who lies now and was not looked at since is
 * found by the next tick. Then the audit. */
void script_run(struct script *script, struct fuzz_input *input);

#endif
