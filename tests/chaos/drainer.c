/* tests/chaos/drainer.c - see hostile.h. */
#include "tests/chaos/hostile.h"
#include "tests/chaos/wire.h"

#include <unistd.h>

#define EVERY_MS 4u

static bool ask(int fd, struct message *request)
{
	struct message reply;

	request->id++;
	return wire_send(fd, request) &&
	       wire_receive(fd, &reply, NULL, (int)CHAOS_PATIENCE_MS) == 1 &&
	       reply.kind == MESSAGE_REPLY && reply.reply.status == 0;
}

/* As long as one daemon lives. */
static void drain(struct board *board, uint64_t *random, int fd)
{
	struct message hello = {.kind = MESSAGE_HELLO,
				.hello = {.version_min = PROTOCOL_VERSION,
					  .version_max = PROTOCOL_VERSION,
					  .flags = 1}}; /* an observer */
	struct message request = {.kind = MESSAGE_DRAIN, .id = 1};

	if (!ask(fd, &hello))
		return;
	while (board_phase(board) != CHAOS_STOP && ask(fd, &request)) {
		board_add(&board->count.drains, 1);
		board_wait(board, board_phase(board), 1 + chaos_below(random, EVERY_MS));
	}
}

int drainer_run(struct board *board, uint32_t incarnation)
{
	uint64_t random = chaos_seed(board->seed, 3000, incarnation);

	while (board_phase(board) != CHAOS_STOP) {
		int fd = wire_connect(board->socket);

		if (fd >= 0) {
			drain(board, &random, fd);
			(void)close(fd);
		}
		board_wait(board, board_phase(board), 5);
	}
	return 0;
}
