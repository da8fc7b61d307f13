/* bench/peers/peer.c - see peer.h: the side of the peer that is the same for all. */
#include "bench/peers/peer.h"

#include "bench/place.h"
#include "bench/slices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 512u
#define LINE_BYTES 64u
struct peer {
	struct peer_job job;
	struct heap_work work;
	void *heap;
	FILE *answers; /* what was standard output */
	bool filled;
};

static bool parse_kind(const char *word, enum peer_kind *ret_kind)
{
	for (unsigned i = 0; i < PEER_NR_KINDS; i++) {
		if (strcmp(word, peer_kind_name((enum peer_kind)i)) == 0) {
			*ret_kind = (enum peer_kind)i;
			return true;
		}
	}
	return false;
}

/* The arguments are the driver's: what is wrong with them is a mistake of ours. */
static bool parse_job(int argc, char **argv, struct peer_job *ret_job)
{
	struct peer_job job = {0};

	if (argc != 7 || !parse_kind(argv[1], &job.kind))
		return false;
	job.n_frames = (uint32_t)strtoul(argv[2], NULL, 10);
	job.order = strcmp(argv[3], "lifo") == 0   ? WORK_LIFO
		    : strcmp(argv[3], "fifo") == 0 ? WORK_FIFO
						   : WORK_RANDOM;
	job.touch = strcmp(argv[4], "touch") == 0  ? WORK_TOUCH
		    : strcmp(argv[4], "head") == 0 ? WORK_HEAD
						   : WORK_PLAIN;
	job.cpu = atoi(argv[5]);
	job.socket = argv[6];
	*ret_job = job;
	return job.n_frames > 0 && job.n_frames <= WORK_SEQUENCE;
}

/* What a library prints must not come between the answers. */
static FILE *take_answers(void)
{
	int fd = dup(STDOUT_FILENO);

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return NULL;
	return fdopen(fd, "w");
}

static bool run_loop(struct peer *peer, uint64_t n)
{
	const struct heap_loops *loops = peer_backend()->loops;

	switch (peer->job.kind) {
	case PEER_PAIR:
		return loops->pair(peer->heap, 0, n);
	case PEER_ORDER9:
		return loops->pair(peer->heap, WORK_ORDER_LAST, n);
	case PEER_CHURN:
		return loops->churn(peer->heap, &peer->work, n);
	case PEER_MIXED:
		return loops->mixed(peer->heap, &peer->work, n);
	case PEER_BURST:
		return loops->burst(peer->heap, &peer->work, n);
	case PEER_BULK:
		return loops->bulk && loops->bulk(peer->heap, &peer->work, n);
	case PEER_NR_KINDS:
		break;
	}
	return false;
}

/* Those that hold and replace begin with all that they hold, outside the time that counts. */
static bool fill_once(struct peer *peer)
{
	bool holds = peer->job.kind == PEER_CHURN || peer->job.kind == PEER_MIXED;

	if (holds && !peer->filled)
		peer->filled = peer_backend()->loops->fill(peer->heap, &peer->work);
	return !holds || peer->filled;
}

/* The driver sees n rounds, and finds out from their time how many make a run. */
static bool run_slices(struct peer *peer, uint64_t n, struct sample *ret_sum)
{
	bool many = peer->job.kind == PEER_BURST || peer->job.kind == PEER_BULK;
	struct slices slices = slices_of(n);
	uint64_t some;

	while ((some = slices_next(&slices)) > 0) {
		if (!run_loop(peer, some))
			return false;
	}
	*ret_sum = slices_sum(&slices);
	if (many)
		ret_sum->ops *= peer->job.n_frames;
	return true;
}

static void answer_all(struct peer *peer)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), stdin)) {
		struct sample sum;
		uint64_t n = strtoull(line, NULL, 10);

		if (n > 0 && fill_once(peer) && run_slices(peer, n, &sum))
			(void)fprintf(peer->answers, "%llu %llu\n", (unsigned long long)sum.ns,
				      (unsigned long long)sum.ops);
		else
			(void)fputs("no an allocation failed\n", peer->answers);
		(void)fflush(peer->answers);
	}
}

static int work_prepare(struct peer *peer)
{
	int r = work_init(&peer->work, peer->job.n_frames, peer->job.touch);

	if (r == 0 && (peer->job.kind == PEER_CHURN || peer->job.kind == PEER_MIXED))
		work_prepare_churn(&peer->work);
	else if (r == 0)
		work_prepare_burst(&peer->work, peer->job.order);
	return r;
}

int main(int argc, char **argv)
{
	char text[TEXT_BYTES] = "not said why";
	struct peer peer = {0};

	if (!parse_job(argc, argv, &peer.job)) {
		(void)fputs("usage: peer KIND FRAMES lifo|fifo|random plain|touch|head CPU SOCKET\n"
			    "(started by peers; see bench/peers/peer.h)\n",
			    stderr);
		return 2;
	}
	peer.answers = take_answers();
	if (!peer.answers || place_take(peer.job.cpu) < 0 || work_prepare(&peer) < 0)
		return 1;
	if (peer_backend()->open(&peer.job, &peer.heap, text, sizeof(text)) < 0) {
		(void)fprintf(peer.answers, "no %s\n", text);
		return fclose(peer.answers) ? 1 : 0;
	}
	(void)fputs("ready\n", peer.answers);
	(void)fflush(peer.answers);
	answer_all(&peer);
	peer_backend()->close(peer.heap);
	work_free(&peer.work);
	return fclose(peer.answers) ? 1 : 0;
}
