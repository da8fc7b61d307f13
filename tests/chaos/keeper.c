/* tests/chaos/keeper.c - see keeper.h. */
#include "tests/chaos/keeper.h"

#include "tests/chaos/hand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COST_NS UINT64_C(2000) /* so a few times as much for the last as for the first */

struct work {
	struct board *board;
	struct keeper *keeper;
	uint32_t number;
	pageclient *client;
	pageclient_cache *cache;
	struct store store;
	struct purgeable purgeable;
	struct hand hand[CHAOS_THREADS];
};

static void on_state(void *arg, enum pageclient_state state)
{
	struct work *work = arg;

	if (state == PAGECLIENT_AWAY)
		board_add(&work->board->count.away, 1);
	if (state == PAGECLIENT_LOST)
		board_complain(work->board, "client %u: LOST", work->number);
}

static bool is_lenient(const struct work *work)
{
	return work->number == CHAOS_STOPPER;
}

/* While a supervisor is started again nobody listens, and a server may die in the handshake: then
 * the contract says -ENOTCONN, and to try again is the program's. */
static int open_client(struct work *work)
{
	uint64_t until = chaos_now_ns() + CHAOS_PATIENCE_MS * UINT64_C(1000000);
	struct pageclient_options options;
	char name[32];
	int r = -EAGAIN;

	(void)snprintf(name, sizeof(name), "chaos %u", work->number);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = work->board->socket;
	options.name = name;
	options.connect_timeout_ms = CHAOS_PATIENCE_MS;
	options.call_timeout_ms = CHAOS_PATIENCE_MS;
	options.alloc_timeout_ms = 100;
	options.on_state = on_state;
	options.arg = work;
	while (board_phase(work->board) != CHAOS_STOP && chaos_now_ns() < until) {
		r = pageclient_open(&options, &work->client);
		if (r == 0)
			return 0;
		if (r == -ENOTCONN)
			board_add(&work->board->count.reopens, 1);
		else if (is_lenient(work))
			board_add(&work->board->count.stopped, 1);
		else
			board_complain(work->board, "client %u: open: %s: %s", work->number,
				       strerrorname_np(-r), pageclient_error());
		board_wait(work->board, board_phase(work->board), 5);
	}
	if (board_phase(work->board) == CHAOS_STOP)
		return -ECANCELED;
	board_complain(work->board, "client %u cannot attach: %s", work->number,
		       pageclient_error());
	return r;
}

static void open_store(struct work *work)
{
	struct pageclient_cache_options options;
	int r;

	work->store = (struct store){.board = work->board,
				     .keeper = work->keeper,
				     .client = work->client,
				     .page_size = pageclient_page_size(work->client),
				     .random = chaos_seed(work->board->seed, work->number + 100,
							  work->keeper->incarnation)};
	(void)pthread_mutex_init(&work->store.lock, NULL);
	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "chaos";
	options.count = store_count;
	options.scan = store_scan;
	options.arg = &work->store;
	options.batch = 64;
	hand_doing(&work->hand[0], DOING_REGISTER);
	r = pageclient_cache_register(work->client, &options, &work->cache);
	if (r < 0)
		hand_failed(&work->hand[0], DOING_REGISTER, r);
	hand_doing(&work->hand[0], DOING_NOTHING);
}

/* Of every other one the daemon is told what rebuilding costs; of the others it sees it. */
static void open_purgeable(struct work *work)
{
	int r = 0;

	(void)pthread_mutex_init(&work->purgeable.lock, NULL);
	if (work->number % 2)
		r = pageclient_purgeable_cost(work->client, work->number * COST_NS);
	if (r < 0)
		hand_failed(&work->hand[0], DOING_PURGEABLE_NEW, r);
}

static void make_hands(struct work *work)
{
	uint32_t incarnation = work->keeper->incarnation;

	for (uint32_t i = 0; i < CHAOS_THREADS; i++)
		work->hand[i] = (struct hand){
			.board = work->board,
			.keeper = work->keeper,
			.self = &work->keeper->thread[i],
			.store = &work->store,
			.purgeable = &work->purgeable,
			.client = work->client,
			.page_size = pageclient_page_size(work->client),
			.keeper_number = work->number,
			.number = i,
			.lenient = is_lenient(work),
			.owner = tag_owner(work->number, i, incarnation),
			.random = chaos_seed(work->board->seed, work->number * 8 + i, incarnation),
		};
}

static void tell_main(struct work *work)
{
	struct pageclient_status status;
	int r;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	r = pageclient_read_status(work->client, &status);
	if (r < 0)
		hand_failed(&work->hand[0], DOING_OPEN, r);
	work->keeper->client_id = status.client_id;
	/* release; pairs with the acquires in main and trade.c */
	__atomic_store_n(&work->keeper->state, (uint32_t)KEEPER_RUNNING, __ATOMIC_RELEASE);
}

static void work_and_wait(struct work *work)
{
	pthread_t threads[CHAOS_THREADS];

	for (uint32_t i = 0; i < CHAOS_THREADS; i++)
		if (pthread_create(&threads[i], NULL, i == CHAOS_PROBE ? probe_run : hand_run,
				   &work->hand[i]) != 0)
			abort(); /* a machine on which nothing can run */
	for (uint32_t i = 0; i < CHAOS_THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

int keeper_run(struct board *board, uint32_t number)
{
	struct work work = {.board = board, .keeper = &board->keeper[number], .number = number};
	int r;

	/* acquire; pairs with the release in main */
	work.keeper->purge.restarts = __atomic_load_n(&board->restarts, __ATOMIC_ACQUIRE);
	r = open_client(&work);

	if (r < 0)
		return r == -ECANCELED ? 0 : 1;
	make_hands(&work);
	r = pageclient_start_thread(work.client);
	if (r < 0)
		hand_failed(&work.hand[0], DOING_OPEN, r);
	open_store(&work);
	open_purgeable(&work);
	tell_main(&work);
	work_and_wait(&work);
	r = pageclient_cache_unregister(work.cache);
	if (r < 0)
		hand_failed(&work.hand[0], DOING_REGISTER, r);
	store_empty(&work.hand[0]);
	purgeable_empty(&work.hand[0]);
	hand_doing(&work.hand[0], DOING_CLOSE);
	pageclient_close(work.client);
	return 0;
}
