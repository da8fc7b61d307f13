/* tests/integration/worker.c - see worker.h. */
#include "tests/integration/worker.h"

#include "tests/integration/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BLOCKS 48u /* that a thread holds at most */
#define BULK 24u
#define THREADS_MAX 8u

struct block {
	char *memory;
	uint64_t serial;
	unsigned order;
};

struct hand { /* a thread */
	struct worker_plan *plan;
	pageclient *client;
	uint32_t number;
	uint64_t random;
	uint64_t serial;
	uint64_t operations;
	int fd;
	const bool *stop;
	size_t page_size;
	uint32_t n;
	struct block block[BLOCKS];
};

struct mark { /* at both ends of each frame */
	uint64_t owner;
	uint64_t serial;
	uint64_t pfn;
};

struct worker_board *worker_board_new(void)
{
	void *board = mmap(NULL, sizeof(struct worker_board), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		abort();
	return board;
}

void worker_board_free(struct worker_board *board)
{
	(void)munmap(board, sizeof(*board));
}

uint64_t worker_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static void count(uint64_t *counter)
{
	(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED); /* only a sum */
}

/* --- marks ---------------------------------------------------------------------------------- */

static struct mark mark_of(const struct hand *hand, const struct block *block, uint32_t frame)
{
	return (struct mark){.owner = (uint64_t)hand->plan->number << 32 | hand->number,
			     .serial = block->serial,
			     .pfn = pageclient_pfn(hand->client, block->memory) + frame};
}

static void write_marks(const struct hand *hand, const struct block *block)
{
	for (uint32_t i = 0; i < 1u << block->order; i++) {
		struct mark mark = mark_of(hand, block, i);
		char *frame = block->memory + i * hand->page_size;

		memcpy(frame, &mark, sizeof(mark));
		memcpy(frame + hand->page_size - sizeof(mark), &mark, sizeof(mark));
	}
}

static void check_marks(const struct hand *hand, const struct block *block)
{
	for (uint32_t i = 0; i < 1u << block->order; i++) {
		struct mark mark = mark_of(hand, block, i);
		const char *frame = block->memory + i * hand->page_size;

		if (memcmp(frame, &mark, sizeof(mark)) != 0 ||
		    memcmp(frame + hand->page_size - sizeof(mark), &mark, sizeof(mark)) != 0)
			count(&hand->plan->board->mismatches);
	}
}

/* --- operations ----------------------------------------------------------------------------- */

static void keep(struct hand *hand, void *memory, unsigned order)
{
	struct block block = {.memory = memory, .serial = ++hand->serial, .order = order};

	write_marks(hand, &block);
	hand->block[hand->n++] = block;
}

static void take_one(struct hand *hand)
{
	uint64_t dice = worker_random(&hand->random) % 16;
	unsigned order = dice < 10 ? 0 : (unsigned)(worker_random(&hand->random) % 5);
	unsigned flags = dice == 0 ? PAGECLIENT_COLD : 0;
	void *memory;

	if (worker_random(&hand->random) % 256 == 0)
		order = 10; /* a request of its own, with a lane */
	memory = pageclient_alloc(hand->client, order, order ? 0 : flags);
	if (memory)
		keep(hand, memory, order);
	else
		count(&hand->plan->board->failures);
}

static void take_many(struct hand *hand)
{
	void *frames[BULK];
	size_t n = pageclient_alloc_bulk(hand->client, 0, 0, frames, BULK);

	if (n < BULK)
		count(&hand->plan->board->failures);
	for (size_t i = 0; i < n; i++)
		keep(hand, frames[i], 0);
}

static void give_one(struct hand *hand)
{
	uint32_t i = (uint32_t)(worker_random(&hand->random) % hand->n);
	struct block block = hand->block[i];

	hand->block[i] = hand->block[--hand->n];
	check_marks(hand, &block);
	pageclient_free(hand->client, block.memory, block.order);
}

static void operate(struct hand *hand)
{
	uint64_t dice = worker_random(&hand->random) % 64;

	if (hand->n == 0 || (hand->n < BLOCKS && dice < 31))
		take_one(hand);
	else if (dice == 31 && hand->n + BULK <= BLOCKS)
		take_many(hand);
	else if (hand->n)
		give_one(hand);
	hand->operations++;
	count(&hand->plan->board->operations);
}

static void *work(void *arg)
{
	struct hand *hand = arg;

	while (!__atomic_load_n(hand->stop, __ATOMIC_ACQUIRE)) { /* pairs with the release below */
		if (hand->number == 1 && hand->operations == hand->plan->report)
			(void)child_say(hand->fd, 1);
		operate(hand);
	}
	while (hand->n)
		give_one(hand);
	return NULL;
}

/* --- the process ---------------------------------------------------------------------------- */

static int work_all(int fd, struct worker_plan *plan, pageclient *client)
{
	struct hand *hands = calloc(THREADS_MAX, sizeof(*hands));
	pthread_t threads[THREADS_MAX];
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	bool stop = false;

	CHILD_CHECK(hands);
	for (uint32_t i = 0; i < plan->threads; i++) {
		hands[i] = (struct hand){.plan = plan,
					 .client = client,
					 .number = i + 1,
					 .random = (plan->seed + i) * 2 + 1,
					 .fd = fd,
					 .stop = &stop,
					 .page_size = pageclient_page_size(client)};
		CHILD_CHECK(pthread_create(&threads[i], NULL, work, &hands[i]) == 0);
	}
	(void)poll(&pollfd, 1, -1); /* until the test ends us */
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < plan->threads; i++)
		(void)pthread_join(threads[i], NULL);
	free(hands);
	return 0;
}

static int run(int fd, void *arg)
{
	struct worker_plan *plan = arg;
	struct pageclient_options options;
	char name[32];
	pageclient *client;
	int r;

	(void)snprintf(name, sizeof(name), "worker %u", plan->number);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = plan->fixture->socket;
	options.name = name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	r = pageclient_open(&options, &client);
	if (r < 0)
		(void)fprintf(stderr, "a worker cannot attach: %s\n", pageclient_error());
	CHILD_CHECK(r == 0);
	r = work_all(fd, plan, client);
	pageclient_close(client);
	return r;
}

bool worker_start(struct child *child, struct worker_plan *plan)
{
	return child_start(child, run, plan);
}
