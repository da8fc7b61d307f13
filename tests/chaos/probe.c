/* tests/chaos/probe.c - how long a call that needs the daemon is held up by a restart; see hand.h.
 *
 * The probe imports one frame that it shares with itself, again and again: a request each time,
 * on a lane, and no frame is needed for it, so that nothing but the daemon can hold it up. The
 * longest call near each restart is one sample. */
#include "tests/chaos/hand.h"

#include <errno.h>

#define EVERY_MS 2u
/* A call that began so long after a restart was not held up by it. */
#define NEAR_NS UINT64_C(1000000000)

struct probe {
	struct hand *hand;
	uint64_t handle;
	uint32_t restart; /* the one that `longest` belongs to */
	uint32_t kind;
	uint64_t longest_ns;
};

/* One frame, tagged, shared and claimed. False: not now. */
static bool probe_begin(struct probe *probe)
{
	struct hand *hand = probe->hand;
	struct claim *claim = &hand->self->claim[0];
	void *memory;
	int r;

	if (hand->n == 0) {
		hand_doing(hand, DOING_ALLOC);
		memory = pageclient_alloc(hand->client, 0, 0);
		if (!memory) {
			hand_alloc_failed(hand, DOING_ALLOC, -errno);
			return false;
		}
		hand_keep(hand, memory, 0);
	}
	hand_doing(hand, DOING_SHARE);
	r = pageclient_share(hand->client, hand_memory(hand, claim), &probe->handle);
	if (r < 0) {
		hand_failed(hand, DOING_SHARE, r);
		return false;
	}
	claim->kind = CLAIM_SHARED;
	claim->gen = (uint32_t)probe->handle;
	return true;
}

static void measure(struct probe *probe, uint64_t before_ns, uint64_t after_ns)
{
	struct board *board = probe->hand->board;
	/* acquire; pairs with the release in main */
	uint32_t restart = __atomic_load_n(&board->restarts, __ATOMIC_ACQUIRE);

	/* relaxed; main only wants it to grow */
	__atomic_store_n(&board->answered_ns, before_ns, __ATOMIC_RELAXED);
	board_add(&board->count.calls, 1);
	if (restart != probe->restart) {
		if (probe->longest_ns)
			board_sample(board, (enum restart)probe->kind, probe->longest_ns);
		probe->restart = restart;
		probe->kind = board->restart_kind;
		probe->longest_ns = 0;
	}
	if (restart && before_ns < board->restart_ns + NEAR_NS &&
	    after_ns - before_ns > probe->longest_ns)
		probe->longest_ns = after_ns - before_ns;
}

static void ask(struct probe *probe)
{
	struct hand *hand = probe->hand;
	uint64_t before = chaos_now_ns();
	void *memory;
	int r;

	hand_doing(hand, DOING_IMPORT);
	r = pageclient_import(hand->client, probe->handle, &memory, NULL);
	if (r < 0) {
		hand_failed(hand, DOING_IMPORT, r);
		return;
	}
	if (!hand->lenient)
		measure(probe, before, chaos_now_ns());
	hand_doing(hand, DOING_PUT);
	r = pageclient_put(hand->client, memory);
	if (r < 0)
		hand_failed(hand, DOING_PUT, r);
}

void *probe_run(void *arg)
{
	struct probe probe = {.hand = arg};
	struct hand *hand = arg;
	bool ready = false;

	/* acquire; pairs with the release in main */
	probe.restart = __atomic_load_n(&hand->board->restarts, __ATOMIC_ACQUIRE);
	while (board_phase(hand->board) != CHAOS_STOP) {
		hand_rest(hand);
		if (ready)
			ask(&probe);
		else
			ready = probe_begin(&probe);
		hand_doing(hand, DOING_NOTHING);
		board_wait(hand->board, CHAOS_RUN, EVERY_MS);
	}
	if (hand->n > 0) {
		struct claim claim = hand_drop(hand, 0);

		(void)tag_check(hand->board, hand_memory(hand, &claim), hand->page_size, &claim,
				"the probe's");
		if (claim.kind == CLAIM_SHARED)
			trade_put(hand, &claim);
		else
			pageclient_free(hand->client, hand_memory(hand, &claim), 0);
	}
	return NULL;
}
