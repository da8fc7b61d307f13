/* tests/fuzz/script.c - see script.h. */
#include "tests/fuzz/script.h"

#include "proto/codec.h"

#include <errno.h>
#include <string.h>

enum step {
	STEP_CONNECT,
	STEP_HELLO,
	STEP_HANG_UP,
	STEP_DIE,
	STEP_WAIT,
	STEP_COMMIT,
	STEP_ANSWER,
	STEP_SCRIBBLE,
	STEP_RESUME,
	STEP_RESTART,
	STEP_NEXT_SLICE,
	STEP_WEATHER, /* what the shell tries fails, or works again */
	STEP_ASK,
	STEP_SAY /* and all above */
};

void script_init(struct script *script, struct shell *shell)
{
	memset(script, 0, sizeof *script);
	memset(&script->conn, 0xff, sizeof script->conn);
	script->shell = shell;
}

static bool is_open(const struct script *script, uint32_t i)
{
	return script->conn[i] != UINT32_MAX && script->shell->open[script->conn[i]];
}

static client_id client_of(struct script *script, uint32_t i)
{
	client_id client = is_open(script, i)
				   ? script->shell->session->connection[script->conn[i]].client
				   : CLIENT_NONE;

	if (client != CLIENT_NONE)
		script->was[i] = client;
	return client;
}

static void connect_as(struct script *script, uint32_t i)
{
	/* Connection 7 is an administrator's. */
	if (!is_open(script, i))
		script->conn[i] =
			shell_connect(script->shell, i == 7 ? SHELL_ADMIN_UID : SHELL_UID, 100 + i);
}

static void say(struct script *script, uint32_t i, struct fuzz_input *input)
{
	size_t bytes = fuzz_byte(input);
	struct message message;
	const char *text;

	if (bytes > (size_t)(input->end - input->at))
		bytes = (size_t)(input->end - input->at);
	if (is_open(script, i)) {
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

/* What frames are asked for, and what they name. */
static struct message frame_request(struct script *script, enum message_kind kind,
				    struct fuzz_input *input)
{
	uint32_t how = fuzz_byte(input), pfn = (uint32_t)fuzz_number(input, 2), lane = how & 3u;
	uint64_t seq = how & 0x80 ? script->seq : ++script->seq;
	struct message message = {.kind = kind};

	if (kind == MESSAGE_ALLOC)
		message.alloc = (struct message_alloc){.lane = lane,
						       .seq = seq,
						       .order = pfn % (ORDER_MAX + 2),
						       .flags = how >> 2 & 7u,
						       .timeout_ms = pfn / 4};
	else if (kind == MESSAGE_FREE)
		message.free = (struct message_free){
			.lane = lane, .seq = seq, .pfn = pfn, .order = how >> 2 & 15u};
	else if (kind == MESSAGE_SHARE)
		message.share = (struct message_share){
			.lane = lane, .seq = seq, .pfn = pfn, .to_client = how >> 2 & 7u};
	else if (kind == MESSAGE_IMPORT)
		message.import = (struct message_import){.lane = lane,
							 .seq = seq,
							 .handle = (uint64_t)pfn << 32 |
								   ((how >> 2 & 7u) + 1)};
	else
		message.put = (struct message_put){.lane = lane, .seq = seq, .pfn = pfn};
	return message;
}

/* A request with numbers that often mean something. */
static struct message request(enum message_kind kind, struct fuzz_input *input)
{
	uint32_t a = fuzz_byte(input), b = fuzz_byte(input), n = (uint32_t)fuzz_number(input, 2);
	struct message message = {.kind = kind};

	if (kind == MESSAGE_PCP_CREATE)
		message.pcp_create.thread = a;
	else if (kind == MESSAGE_PCP_REFILL)
		message.pcp_refill = (struct message_pcp_refill){.thread = a & 3u,
								 .flags = a >> 2 & 7u,
								 .magazine = b % 12,
								 .want = a & 0x80 ? n : 0,
								 .timeout_ms = n};
	else if (kind == MESSAGE_PCP_DRAIN)
		message.pcp_drain = (struct message_pcp_drain){a & 3u, b % 12};
	else if (kind == MESSAGE_CACHE_REGISTER)
		message.cache_register = (struct message_cache_register){
			.cache = a & 3u, .seeks = b, .batch = n, .rebuild_ns = n * UINT64_C(1000)};
	else if (kind == MESSAGE_CACHE_UNREGISTER)
		message.cache_unregister.cache = a & 3u;
	else if (kind == MESSAGE_RECLAIM)
		message.reclaim = (struct message_reclaim){n, a & 7u, a >> 4 & 3u, b & 1u};
	else if (kind == MESSAGE_DRAIN)
		message.drain.client = a & 7u;
	else if (kind == MESSAGE_PURGE_TABLE)
		message.purge_table.nr_slots = n;
	else if (kind == MESSAGE_SET)
		message.set = (struct message_set){a & 7u, b % (SET_NR_KEYS + 1),
						   a & 0x80 ? SET_DEFAULT : n};
	else if (kind == MESSAGE_WHY)
		message.why = (struct message_why){b & 3u, n, a & 7u};
	else if (kind == MESSAGE_CONFIG)
		message.config.number = n;
	else if (kind == MESSAGE_LOOK)
		message.look = (struct message_look){a & 7u, b & 3u, a & 0x80 ? n : UINT64_C(0)};
	return message;
}

static void ask(struct script *script, uint32_t i, struct fuzz_input *input)
{
	enum message_kind kind = (enum message_kind)(fuzz_byte(input) % MESSAGE_NR_KINDS);
	bool names_frames = kind == MESSAGE_ALLOC || kind == MESSAGE_FREE ||
			    kind == MESSAGE_SHARE || kind == MESSAGE_IMPORT || kind == MESSAGE_PUT;
	struct message message =
		names_frames ? frame_request(script, kind, input) : request(kind, input);

	if (is_open(script, i))
		(void)shell_say(script->shell, script->conn[i], &message);
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

/* A bottom or a slot of the first threads, an entry of the purge table, or a word of what stands
 * before it, becomes anything. */
static void scribble(struct script *script, uint32_t i, struct fuzz_input *input)
{
	client_id client = client_of(script, i);
	uint32_t thread = fuzz_byte(input) % FIXTURE_THREADS;
	uint32_t magazine = fuzz_byte(input) % (MAGAZINE_COUNT + 1);
	struct pool *pool = script->shell->pool.pool;
	char *ctl;
	uint64_t n;

	if (!pool_client_is_attached(pool, client))
		return;
	ctl = pool_client_ctl(pool, client);
	n = fuzz_number(input, 2);
	if (!ctl)
		return;
	if (thread >= pool_client_record(pool, client)->max_threads)
		return;
	if (magazine == MAGAZINE_COUNT && thread % 2) {
		/* What it says of its costs. */
		uint64_t told = fuzz_number(input, 8);

		memcpy(ctl + shm_ctl_purge_offset(pool_client_record(pool, client)->max_threads) +
			       8 * (n % 8),
		       &told, sizeof told);
	} else if (magazine == MAGAZINE_COUNT) {
		uint64_t entry = fuzz_number(input, 2) << 32 | fuzz_byte(input);

		/* The CTL is that of its record's threads, or there would be none. */
		memcpy(ctl + shm_ctl_table_offset(pool_client_record(pool, client)->max_threads) +
			       8 * (n % 64),
		       &entry, sizeof entry);
	} else if (fuzz_byte(input) & 1) {
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

	/* A process that never said Hello has no pidfd. */
	if (client == CLIENT_NONE)
		event.client = client = script->was[i];
	if (pool_client_is_attached(script->shell->pool.pool, client))
		shell_event(script->shell, &event);
}

static void resume(struct script *script, uint32_t i, uint8_t token)
{
	struct message message = {
		.kind = MESSAGE_RESUME,
		.resume = {.client = script->was[i], .token = {script->was[i], 77 + token / 128}}};

	if (is_open(script, i))
		(void)shell_say(script->shell, script->conn[i], &message);
}

static void restart(struct script *script, uint8_t how)
{
	/* Not by chance: most inputs would pay for one. */
	if (how >> 1 != 0x35 || script->n_restarts++ >= SCRIPT_RESTARTS_MAX)
		return;
	for (uint32_t i = 0; i < SCRIPT_CONNS; i++)
		(void)client_of(script, i);
	shell_restart(script->shell, how & 1);
}

static void change_weather(struct shell *shell, uint8_t how)
{
	shell->barrier_status = how & 1 ? -ENOMEM : 0;
	shell->prepare_status = how & 2 ? -ENOMEM : 0;
	shell->heads_status = how & 4 ? -ENOSPC : 0;
	shell->reattach_status = how & 8 ? -EBADF : 0;
	shell->hold_again = how & 16;
	shell->commits = how & 32 ? COMMITS_FAIL : how & 64 ? COMMITS_AT_ONCE : COMMITS_LATER;
	if (how & 128)
		shell_event(shell,
			    &(struct session_event){.kind = EVENT_PRESSURE, .level = how & 7u});
}

static void step(struct script *script, struct fuzz_input *input)
{
	uint8_t what = fuzz_byte(input);
	uint32_t i = what >> 4 & (SCRIPT_CONNS - 1);
	struct shell *shell = script->shell;
	struct message hello;

	switch ((enum step)(what & 15u)) {
	case STEP_CONNECT:
		connect_as(script, i);
		break;
	case STEP_HELLO:
		hello = shell_hello(fuzz_byte(input) & 3u);
		if (is_open(script, i))
			(void)shell_say(shell, script->conn[i], &hello);
		break;
	case STEP_HANG_UP:
		(void)client_of(script, i);
		if (is_open(script, i))
			shell_hang_up(shell, script->conn[i]);
		break;
	case STEP_DIE:
		end_client(script, i);
		break;
	case STEP_WAIT:
		shell_advance(shell, fuzz_number(input, 2) % SCRIPT_WAIT_MAX * MS);
		break;
	case STEP_COMMIT:
		(void)shell_commit_ends(shell, fuzz_byte(input) & 1, "full");
		break;
	case STEP_ANSWER:
		answer(script, i, input);
		break;
	case STEP_SCRIBBLE:
		scribble(script, i, input);
		break;
	case STEP_RESUME:
		resume(script, i, fuzz_byte(input));
		break;
	case STEP_RESTART:
		restart(script, fuzz_byte(input));
		break;
	case STEP_NEXT_SLICE:
		if (shell->again)
			shell_again(shell);
		break;
	case STEP_WEATHER:
		change_weather(shell, fuzz_byte(input));
		break;
	case STEP_ASK:
		ask(script, i, input);
		break;
	case STEP_SAY:
	default:
		say(script, i, input);
		break;
	}
}

void script_run(struct script *script, struct fuzz_input *input)
{
	for (uint32_t i = 0; i < SCRIPT_STEPS_MAX && input->at < input->end; i++)
		step(script, input);
	change_weather(script->shell, 0);
	if (script->shell->again)
		shell_again(script->shell);
	shell_advance(script->shell, 2 * SECOND);
	FIXTURE_AUDIT(&script->shell->pool);
	CU_ASSERT(script->shell->most_actions <= SESSION_MAX_ACTIONS);
}
