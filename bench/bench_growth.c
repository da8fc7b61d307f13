/* bench/bench_growth.c - see bench_growth.h.
 *
 *   main          ready <--- each worker, when its magazines are made and have learned
 *   the clock --> go    ---> each works
 *   the clock <-- done  <--- each
 *
 * Refills as in bench_refill.c, which says why the first ones of a magazine do not count. Several
 * threads share its numbers, so that a client holds no more memory for being many. Pairs need no
 * daemon, so odd threads have its processor. */
#include "bench/bench_growth.h"

#include "bench/bench_refill.h"
#include "bench/heap.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 8u
#define FRAMES_PER_REFILL 64u

/* A magazine of large blocks has fewer refills than bench_refill.h says, of so many frames in all.
 */
#define FRAMES_HELD_MAX 32768u

struct growth {
	struct fixture own; /* of this benchmark alone, if it runs */
	struct fixture *fixture;
	pageclient **other;
	uint32_t n_others;
	uint32_t n_threads;
	unsigned order;
};

struct worker {
	const struct growth *growth;
	pageclient *client;
	bool (*prepare)(struct worker *worker);
	bool (*work)(struct worker *worker);
	sem_t *ready, *go, *done;
	uint64_t n_before, n;
	uint64_t cpu_ns; /* of the work */
	int cpu;         /* of odd ones; even ones are on the client's */
	bool is_good;
	pthread_t thread;
};

/* --- setup ---------------------------------------------------------------------------------- */

static int growth_new(struct bench *bench, uint32_t n_threads, unsigned order,
		      struct growth **ret_growth)
{
	struct growth *growth = calloc(1, sizeof(*growth));
	int r;

	if (!growth)
		return bench_fail(bench, -ENOMEM, "no memory");
	growth->n_threads = n_threads;
	growth->order = order;
	r = bench_find_daemon(bench, BENCH_DAEMON_SMALL_BATCH, &growth->fixture);
	if (r < 0)
		free(growth);
	else
		*ret_growth = growth;
	return r;
}

int growth_setup_threads(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct growth *growth;
	int r = growth_new(bench, benchmark->n_frames, 0, &growth);

	if (r == 0)
		*ret_state = growth;
	return r;
}

int growth_setup_order(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct growth *growth;
	int r = growth_new(bench, 1, benchmark->n_frames, &growth);

	if (r == 0)
		*ret_state = growth;
	return r;
}

int growth_setup_clients(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	uint32_t n = benchmark->n_frames - 1;
	struct growth *growth;
	int r = growth_new(bench, 1, 0, &growth);

	if (r < 0)
		return r;
	growth->other = calloc(n + 1, sizeof(pageclient *));
	if (!growth->other)
		r = bench_fail(bench, -ENOMEM, "no memory");
	while (r == 0 && growth->n_others < n) {
		r = bench_open_client(bench, growth->fixture, &growth->other[growth->n_others]);
		growth->n_others += r == 0;
	}
	if (r < 0)
		growth_teardown(bench, growth);
	else
		*ret_state = growth;
	return r;
}

int growth_setup_segment(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	char configuration[96];
	struct growth *growth = calloc(1, sizeof(*growth));
	int r;

	if (!growth)
		return bench_fail(bench, -ENOMEM, "no memory");
	(void)snprintf(configuration, sizeof(configuration),
		       "[segment]\nsize = %uG\n[pcp]\nbatch = 2\n", benchmark->n_frames);
	growth->n_threads = 1;
	growth->fixture = &growth->own;
	r = bench_start_daemon(bench, configuration, &growth->own);
	if (r < 0)
		free(growth);
	else
		*ret_state = growth;
	return r;
}

void growth_teardown(struct bench *bench, void *state)
{
	struct growth *growth = state;

	(void)bench;
	for (uint32_t i = 0; i < growth->n_others; i++)
		pageclient_close(growth->other[i]);
	free(growth->other);
	fixture_stop(&growth->own);
	free(growth);
}

/* --- workers -------------------------------------------------------------------------------- */

static uint64_t thread_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	uint64_t begin;

	(void)place_take(worker->cpu);
	worker->is_good = worker->prepare(worker);
	(void)sem_post(worker->ready);
	while (sem_wait(worker->go) < 0) /* a signal */
		;
	begin = thread_now_ns();
	worker->is_good = worker->is_good && worker->work(worker);
	worker->cpu_ns = thread_now_ns() - begin;
	(void)sem_post(worker->done);
	return NULL;
}

static void wait_for(sem_t *semaphore, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		while (sem_wait(semaphore) < 0)
			;
}

/* Lets n_threads copies of `like` work at once. ret_sample->ns is from go until all are done, ops
 * the processor time of all. */
static int work_together(struct bench *bench, const struct worker *like, struct sample *ret_sample)
{
	struct worker worker[THREADS_MAX];
	uint32_t n = like->growth->n_threads, started = 0;
	uint64_t begin;
	sem_t ready, go, done;
	int r = 0;

	(void)sem_init(&ready, 0, 0);
	(void)sem_init(&go, 0, 0);
	(void)sem_init(&done, 0, 0);
	for (; r == 0 && started < n; started += r == 0) {
		worker[started] = *like;
		worker[started].ready = &ready;
		worker[started].go = &go;
		worker[started].done = &done;
		worker[started].cpu = started % 2 ? like->cpu : bench->place.client_cpu;
		r = -pthread_create(&worker[started].thread, NULL, worker_main, &worker[started]);
	}
	wait_for(&ready, started);
	begin = bench_now_ns();
	for (uint32_t i = 0; i < started; i++)
		(void)sem_post(&go);
	wait_for(&done, started);
	*ret_sample = (struct sample){bench_now_ns() - begin, 0};
	for (uint32_t i = 0; i < started; i++) {
		(void)pthread_join(worker[i].thread, NULL);
		ret_sample->ops += worker[i].cpu_ns;
		if (r == 0 && !worker[i].is_good)
			r = -ENOMEM;
	}
	(void)sem_destroy(&ready);
	(void)sem_destroy(&go);
	(void)sem_destroy(&done);
	return r < 0 ? bench_fail(bench, r, "a thread with frames: %s", strerror(-r)) : 0;
}

/* A new client of the growth, whose threads work once. */
static int work_once(struct bench *bench, struct worker *like, struct sample *ret_sample)
{
	int r = bench_open_client(bench, like->growth->fixture, &like->client);

	if (r < 0)
		return r;
	r = work_together(bench, like, ret_sample);
	pageclient_close(like->client);
	return r;
}

/* --- pairs ---------------------------------------------------------------------------------- */

static bool pairs(struct worker *worker, uint64_t n)
{
	return heap_backend_paged()->loops->pair(worker->client, worker->growth->order, n);
}

static bool pair_prepare(struct worker *worker)
{
	return pairs(worker, 1);
}

static bool pair_work(struct worker *worker)
{
	return pairs(worker, worker->n);
}

int growth_run_pair(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample)
{
	const struct growth *growth = state;
	struct worker like = {.growth = growth,
			      .prepare = pair_prepare,
			      .work = pair_work,
			      .n = n,
			      .cpu = bench->place.daemon_cpu};
	struct sample sample;
	int r = work_once(bench, &like, &sample);

	(void)benchmark;
	*ret_sample = (struct sample){sample.ops, n * growth->n_threads};
	return r;
}

/* --- refills -------------------------------------------------------------------------------- */

static uint32_t blocks_per_refill(const struct growth *growth)
{
	uint32_t n = FRAMES_PER_REFILL >> growth->order;

	return n > 0 ? n : 1;
}

static bool refills(struct worker *worker, uint64_t n)
{
	uint32_t n_blocks = blocks_per_refill(worker->growth);
	void *block[FRAMES_PER_REFILL];

	for (uint64_t i = 0; i < n; i++)
		if (pageclient_alloc_bulk(worker->client, worker->growth->order, 0, block,
					  n_blocks) != n_blocks)
			return false;
	return true;
}

/* The frame goes with the client; the magazines of the thread are made, that of the order is empty.
 */
static bool refill_prepare(struct worker *worker)
{
	return pageclient_alloc(worker->client, 0, PAGECLIENT_COLD) &&
	       refills(worker, worker->n_before);
}

static bool refill_work(struct worker *worker)
{
	return refills(worker, worker->n);
}

int growth_run_refill(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample)
{
	const struct growth *growth = state;
	uint32_t blocks = blocks_per_refill(growth),
		 held = FRAMES_HELD_MAX / (blocks << growth->order);
	uint32_t most = growth->order > 0 && held / 2 < REFILLS_TIMED ? held / 2 : REFILLS_TIMED;
	struct worker like = {.growth = growth,
			      .prepare = refill_prepare,
			      .work = refill_work,
			      .n_before = (most == REFILLS_TIMED ? REFILLS_LEARNING : most) /
					  growth->n_threads,
			      .cpu = bench->place.client_cpu};
	struct sample sum = {0, n * growth->n_threads * blocks};

	(void)benchmark;
	most /= growth->n_threads;
	while (n > 0) {
		struct sample sample;
		int r;

		like.n = n < most ? n : most;
		r = work_once(bench, &like, &sample);
		if (r < 0)
			return r;
		sum.ns += sample.ns;
		n -= like.n;
	}
	*ret_sample = sum;
	return 0;
}
