/* tests/integration/holder.c - see holder.h. */
#include "tests/integration/holder.h"

#include "tests/integration/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct stack {
	pageclient *client;
	pthread_mutex_t lock;
	uint64_t n, least;
	enum holder_kind kind;
	uint64_t *frame[HOLDER_MAX];
};

static uint64_t held(struct stack *stack)
{
	uint64_t n;

	(void)pthread_mutex_lock(&stack->lock);
	n = stack->n;
	(void)pthread_mutex_unlock(&stack->lock);
	return n;
}

static uint64_t count(void *arg)
{
	uint64_t n = held(arg);

	return n ? n : PAGECLIENT_SHRINK_EMPTY;
}

static void free_some(struct stack *stack, uint64_t n)
{
	(void)pthread_mutex_lock(&stack->lock);
	while (n-- && stack->n)
		pageclient_free(stack->client, stack->frame[--stack->n], 0);
	if (stack->n < stack->least)
		stack->least = stack->n;
	(void)pthread_mutex_unlock(&stack->lock);
}

static int scan(void *arg, struct pageclient_scan *scan)
{
	struct stack *stack = arg;
	uint64_t before = held(stack);

	if (stack->kind == HOLDER_ALLOCATES) {
		while (pageclient_alloc(stack->client, 0, 0))
			;
		CHILD_CHECK(errno == EDEADLK);
	}
	while (stack->kind == HOLDER_HANGS || stack->kind == HOLDER_ALLOCATES)
		(void)pause();
	if (stack->kind == HOLDER_SLOW)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, HOLDER_SLOW_NS},
				      NULL);
	scan->nr_freed = scan->nr_to_scan;
	if (stack->kind == HOLDER_LIES)
		return 0;
	free_some(stack, scan->nr_to_scan);
	scan->nr_freed = before < scan->nr_to_scan ? before : scan->nr_to_scan;
	return 0;
}

static void open_cache(struct stack *stack, const struct holder *holder)
{
	struct pageclient_cache_options options;
	pageclient_cache *cache;

	if (holder->kind == HOLDER_KEEPS)
		return;
	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = holder->name;
	options.count = count;
	options.scan = scan;
	options.arg = stack;
	CHILD_CHECK(pageclient_cache_register(stack->client, &options, &cache) == 0);
	CHILD_CHECK(pageclient_start_thread(stack->client) == 0);
}

static uint64_t least_of(const struct holder *holder)
{
	if (holder->n_least)
		return holder->n_least;
	return holder->n_frames <= HOLDER_SURE ? holder->n_frames : 0;
}

/* What it has to prune meanwhile is not made good. */
static void fill(struct stack *stack, const struct holder *holder)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS), i = held(stack);

	while (i < holder->n_frames) {
		uint64_t *frame = pageclient_alloc(stack->client, 0, 0);

		if (!frame && i < least_of(holder) && clock_pause(until))
			continue;
		if (!frame)
			break;
		i++;
		(void)pthread_mutex_lock(&stack->lock);
		frame[0] = frame[511] = (uint64_t)getpid() << 32 | stack->n;
		stack->frame[stack->n++] = frame;
		(void)pthread_mutex_unlock(&stack->lock);
	}
}

static uint64_t verify(struct stack *stack)
{
	uint64_t n;

	(void)pthread_mutex_lock(&stack->lock);
	n = stack->n;
	for (uint64_t i = 0; i < stack->n; i++) {
		uint64_t mark = (uint64_t)getpid() << 32 | i;

		if (stack->frame[i][0] != mark || stack->frame[i][511] != mark)
			n = UINT64_MAX;
	}
	(void)pthread_mutex_unlock(&stack->lock);
	return n;
}

static void obey(struct stack *stack, const struct holder *holder, int fd)
{
	for (uint64_t word; child_hear(fd, &word);) {
		if (word == HOLDER_FREE)
			free_some(stack, UINT64_MAX);
		if (word == HOLDER_REFILL)
			fill(stack, holder);
		CHILD_CHECK(child_say(fd, word == HOLDER_LEAST ? stack->least : verify(stack)));
	}
}

static int hold(int fd, void *arg)
{
	const struct holder *holder = arg;
	struct stack *stack = calloc(1, sizeof(*stack));
	struct pageclient_options options;

	CHILD_CHECK(stack && pthread_mutex_init(&stack->lock, NULL) == 0);
	stack->kind = holder->kind;
	stack->least = UINT64_MAX;
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = holder->fixture->socket;
	options.name = holder->name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = 3000;
	CHILD_CHECK(pageclient_open(&options, &stack->client) == 0);
	open_cache(stack, holder);
	fill(stack, holder);
	CHILD_CHECK(child_say(fd, held(stack)));
	obey(stack, holder, fd);
	if (holder->kind == HOLDER_HANGS || holder->kind == HOLDER_ALLOCATES)
		return 0; /* its thread would keep close() for ever */
	pageclient_close(stack->client);
	free(stack);
	return 0;
}

bool holder_start(struct child *child, struct holder *holder, uint64_t *ret_n)
{
	return child_start(child, hold, holder) && child_hear(child->fd, ret_n);
}

uint64_t holder_ask(const struct child *child, uint64_t what)
{
	uint64_t answer = UINT64_MAX;

	if (!child_say(child->fd, what) || !child_hear(child->fd, &answer))
		return UINT64_MAX;
	return answer;
}
