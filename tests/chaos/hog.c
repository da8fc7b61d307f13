/* tests/chaos/hog.c - see hostile.h. */
#include "tests/chaos/hostile.h"
#include "tests/chaos/wire.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Lower than what a daemon takes from all: the rest of them is the honest ones'. */
#define CONNECTIONS 900u
#define ROUND 40u   /* connections it works on between two breaths */
#define CLIENTS 48u /* that it says Hello for: a client lives as long as its process */

struct hog {
	struct board *board;
	uint64_t random;
	uint32_t n_clients;
	int fd[CONNECTIONS]; /* -1: none */
};

static void say(int fd, uint32_t flags, size_t cut)
{
	struct message hello = {.kind = MESSAGE_HELLO,
				.id = 1,
				.hello = {.version_min = PROTOCOL_VERSION,
					  .version_max = PROTOCOL_VERSION,
					  .flags = flags,
					  .max_threads = 1,
					  .max_frames = 16,
					  .name = "hog"}};
	uint8_t bytes[1024];
	size_t n = wire_encode(&hello, bytes, sizeof(bytes));

	(void)send(fd, bytes, cut < n ? cut : n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Requests whose answers nobody reads. */
static void flood(int fd)
{
	struct message status = {.kind = MESSAGE_STATUS, .id = 2};

	for (uint32_t i = 0; i < 64 && wire_send(fd, &status); i++)
		status.id++;
}

static void misuse(struct hog *hog, int *fd)
{
	uint32_t dice = chaos_below(&hog->random, 16);

	if (*fd < 0) {
		*fd = wire_connect(hog->board->socket);
		if (*fd < 0)
			return;
		board_add(&hog->board->count.hogs, 1);
		if (dice < 6)
			say(*fd, 0, 1 + chaos_below(&hog->random, 12)); /* half a Hello */
		else if (dice < 8)
			say(*fd, 1, SIZE_MAX); /* an observer's */
		else if (dice == 8 && hog->n_clients++ < CLIENTS)
			say(*fd, 0, SIZE_MAX); /* a client's */
		return;                        /* else not a word */
	}
	if (dice < 3) {
		flood(*fd);
	} else if (dice < 5) {
		(void)close(*fd);
		*fd = -1;
	}
}

int hog_run(struct board *board, uint32_t incarnation)
{
	struct hog hog = {.board = board, .random = chaos_seed(board->seed, 2000, incarnation)};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	memset(hog.fd, -1, sizeof(hog.fd));
	while (board_phase(board) != CHAOS_STOP && hog.n_clients < CLIENTS) {
		for (uint32_t i = 0; i < ROUND; i++)
			misuse(&hog, &hog.fd[chaos_below(&hog.random, CONNECTIONS)]);
		board_wait(board, board_phase(board), 20);
	}
	return 0;
}
