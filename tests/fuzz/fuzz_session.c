/* tests/fuzz/fuzz_session.c - a daemon under clients that send any message and write anything into
 * their CTL.
 *
 * The input is a script: connect, say (a packet as it would come from the wire), answer an upcall,
 * write a word of a CTL, let time pass, end a commit, hang up, die, restart the server. The shell
 * of the tests performs the actions; at the end the audit must hold and no panic may have been
 * reached. */
#include "proto/codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fixture_session.h"

#include <stdlib.h>
#include <string.h>

#define NR_FRAMES 4096u
#define CONNS 8u
#define STEPS_MAX 256u

/* CUnit's assertions, outside of CUnit: a failure is a crash. */
CU_BOOL CU_assertImplementation(CU_BOOL value, unsigned int line, const char *condition,
				const char *file, const char *function, CU_BOOL fatal)
{
	(void)function;
	(void)fatal;
	if (!value) {
		fprintf(stderr, "%s:%u: %s\n", file, line, condition);
		abort();
	}
	return value;
}

_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

struct script {
	struct shell *shell;
	uint32_t conn[CONNS]; /* shell's number; UINT32_MAX: none */
};

static client_id client_of(const struct script *script, uint32_t i)
{
	return script->conn[i] == UINT32_MAX || !script->shell->open[script->conn[i]]
		       ? CLIENT_NONE
		       : script->shell->session->connection[script->conn[i]].client;
}

static void say(struct script *script, uint32_t i, struct fuzz_input *input)
{
	size_t bytes = fuzz_byte(input);
	struct message message;
	const char *text;

	if (bytes > (size_t)(input->end - input->at))
		bytes = (size_t)(input->end - input->at);
	if (script->conn[i] != UINT32_MAX && script->shell->open[script->conn[i]]) {
		struct session_event event = {.kind = EVENT_MESSAGE, .conn = script->conn[i]};

		if (codec_decode(input->at, bytes, &message, &text)) {
			event.kind = EVENT_MALFORMED;
			event.text = text;
		}
		event.message = &message;
		shell_event(script->shell, &event);
	}
	input->at += bytes;
}

static void answer(struct script *script, uint32_t i, struct fuzz_input *input)
{
	client_id client = client_of(script, i);
	struct message message = {.kind = MESSAGE_SHRINK_DONE, .id = fuzz_number(input, 2)};
	struct session_event event = {
		.kind = EVENT_UPCALL_DONE, .client = client, .message = &message};
	const struct message *upcall;

	if (client == CLIENT_NONE)
		return;
	upcall = shell_next_upcall(script->shell, client);
	if (upcall && (message.id & 1))
		message.id = upcall->id;
	message.shrink_done.cache = fuzz_byte(input);
	message.shrink_done.nr_objects = fuzz_number(input, 3);
	message.shrink_done.nr_scanned = fuzz_number(input, 3);
	message.shrink_done.nr_freed = fuzz_number(input, 8);
	message.shrink_done.nr_frames = fuzz_number(input, 2);
	message.shrink_done.thread = fuzz_byte(input);
	shell_event(script->shell, &event);
}

/* A bottom or a slot of the first threads becomes anything. */
static void scribble(struct script *script, uint32_t i, struct fuzz_input *input)
{
	client_id client = client_of(script, i);
	uint32_t thread = fuzz_byte(input) % FIXTURE_THREADS;
	uint32_t magazine = fuzz_byte(input) % MAGAZINE_COUNT;
	struct pool *pool = script->shell->pool.pool;
	char *ctl;
	uint64_t n;

	if (!pool_client_is_attached(pool, client))
		return;
	ctl = pool_client_ctl(pool, client);
	n = fuzz_number(input, 2);
	if (!ctl)
		return;
	if (fuzz_byte(input) & 1) {
		uint64_t bottom = MAGAZINE_INDEX_START + n - 300;

		memcpy(ctl + shm_ctl_bottom_offset(thread, magazine), &bottom, sizeof bottom);
	} else {
		uint32_t pfn = (uint32_t)fuzz_number(input, 2);

		n %= magazine_slots_first(magazine);
		memcpy(ctl + shm_ctl_slots_offset(thread, magazine) + 4 * n, &pfn, sizeof pfn);
	}
}

static void end_client(struct script *script, uint32_t i)
{
	client_id client = client_of(script, i);
	struct session_event event = {.kind = EVENT_DIED, .client = client};

	if (client != CLIENT_NONE)
		shell_event(script->shell, &event);
}

static void step(struct script *script, struct fuzz_input *input)
{
	uint8_t what = fuzz_byte(input);
	uint32_t i = what >> 4 & (CONNS - 1);
	struct message hello;

	switch (what & 15u) {
	case 0:
		if (script->conn[i] == UINT32_MAX || !script->shell->open[script->conn[i]])
			script->conn[i] = shell_connect(script->shell, SHELL_UID, 100 + i);
		break;
	case 1:
		hello = shell_hello(fuzz_byte(input) & 3u);
		if (script->conn[i] != UINT32_MAX && script->shell->open[script->conn[i]])
			(void)shell_say(script->shell, script->conn[i], &hello);
		break;
	case 2:
		if (script->conn[i] != UINT32_MAX && script->shell->open[script->conn[i]])
			shell_hang_up(script->shell, script->conn[i]);
		break;
	case 3:
		end_client(script, i);
		break;
	case 4:
		shell_advance(script->shell, fuzz_number(input, 2) * MS);
		break;
	case 5:
		(void)shell_commit_ends(script->shell, fuzz_byte(input) & 1, "full");
		break;
	case 6:
		answer(script, i, input);
		break;
	case 7:
		scribble(script, i, input);
		break;
	default:
		say(script, i, input);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = {data, data + bytes};
	struct script script;

	memset(&script.conn, 0xff, sizeof script.conn);
	script.shell = shell_open_empty(NR_FRAMES, COMMITS_LATER);
	for (uint32_t i = 0; i < STEPS_MAX && input.at < input.end; i++)
		step(&script, &input);
	/* Who lies now and was not looked at since is found by the next tick. */
	shell_advance(script.shell, 2 * SECOND);
	shell_close(script.shell);
	return 0;
}
