/* bench/bench_core.c - see bench_core.h.
 *
 * A pool of CORE_FRAMES frames and one client after another, each of which takes n_frames through
 * its hot magazine, gives them back or dies with them. Each of the three parts is timed alone; the
 * other two run beside it. */
#include "bench/bench_core.h"

#include "daemon/core/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define CORE_FRAMES (UINT32_C(1) << 20)
#define REFILL_FRAMES 64u  /* one PcpRefill */
#define SWEEP_SLICE 4096u  /* as the session's SWEEP_BLOCKS */
#define COMMITS_MAX 65536u /* more would be one that never ends */
#define HOT 0u

enum part { PART_REFILL, PART_DRAIN, PART_SWEEP };

struct core_state {
	struct pool *pool;
	void *meta, *state;
	char *ctl;
	uint64_t meta_bytes, state_bytes;
	client_id client;
	uint32_t *held; /* pfns, in the order in which they came or a random one */
	uint32_t n_held;
	uint64_t random;
};

static uint64_t cpu_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- the pool ------------------------------------------------------------------------------- */

static void *map_zeros(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static int open_pool(struct bench *bench, struct core_state *state)
{
	struct pool_options options = {.nr_zones = 1,
				       .commit_full = true,
				       .max_high_divisor = 1,
				       .zone[0] = {.name = "normal", .nr_frames = CORE_FRAMES}};
	struct shm_meta_header header = {.page_shift = 12, .instance_id = 1};
	struct pool_commit commit;
	uint64_t bad;

	pool_format(state->meta, state->state, &header, &options);
	if (pool_attach(state->pool, state->meta, state->meta_bytes, state->state,
			state->state_bytes, &options, &bad))
		return bench_fail(bench, -EPROTO, "the core does not take the segment");
	for (uint32_t n = 0; pool_plan_commit(state->pool, 0, MIGRATE_UNMOVABLE, &commit); n++) {
		if (n == COMMITS_MAX)
			return bench_fail(bench, -EPROTO, "there is no end of commits");
		pool_commit_done(state->pool, &commit, true);
	}
	return 0;
}

int core_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct core_state *state = calloc(1, sizeof(*state));
	struct shm_state_header state_plan = {0};
	struct shm_meta_header meta_plan = {0};
	int r = -ENOMEM;

	shm_meta_plan(&meta_plan, CORE_FRAMES, 12);
	shm_state_plan(&state_plan);
	if (state) {
		state->random = 1;
		state->meta_bytes = meta_plan.meta_bytes;
		state->state_bytes = state_plan.state_bytes;
		state->pool = calloc(1, pool_bytes());
		state->held = calloc(benchmark->n_frames, sizeof(*state->held));
		state->meta = map_zeros(state->meta_bytes);
		state->state = map_zeros(state->state_bytes);
		state->ctl = map_zeros(shm_ctl_bytes(1, 0));
		if (state->pool && state->held && state->meta && state->state && state->ctl)
			r = open_pool(bench, state);
		else
			r = bench_fail(bench, -ENOMEM, "no memory for a pool");
		if (r < 0)
			core_teardown(bench, state);
	}
	if (r == 0)
		*ret_state = state;
	return r;
}

void core_teardown(struct bench *bench, void *state)
{
	struct core_state *core = state;

	(void)bench;
	if (core->meta)
		(void)munmap(core->meta, core->meta_bytes);
	if (core->state)
		(void)munmap(core->state, core->state_bytes);
	if (core->ctl)
		(void)munmap(core->ctl, shm_ctl_bytes(1, 0));
	free(core->held);
	free(core->pool);
	free(core);
}

/* --- the client ----------------------------------------------------------------------------- */

static uint64_t *bottom_of(const struct core_state *state)
{
	return (uint64_t *)(void *)(state->ctl + shm_ctl_bottom_offset(0, HOT));
}

static struct shm_head *head_of(const struct core_state *state)
{
	const struct shm_meta_header *meta = state->meta;

	return (struct shm_head *)(void *)((char *)state->meta + meta->heads_offset +
					   (uint64_t)(state->client - 1) * SHM_CLIENT_HEADS_BYTES +
					   shm_head_offset(0, HOT));
}

static uint32_t *slot_of(const struct core_state *state, uint64_t index)
{
	uint32_t *slots = (uint32_t *)(void *)(state->ctl + shm_ctl_slots_offset(0, HOT));

	return &slots[index & (head_of(state)->capacity - 1)];
}

static int begin_client(struct bench *bench, struct core_state *state)
{
	const struct pool_client_options options = {.max_threads = 1, .name = "bench"};
	const uint64_t token[2] = {1, 1};

	if (pool_client_reserve(state->pool, &state->client))
		return bench_fail(bench, -ENOMEM, "no room for a client");
	pool_client_attach(state->pool, state->client, &options, state->ctl, 0, 0, token);
	if (pool_pcp_create(state->pool, state->client, 0))
		return bench_fail(bench, -ENOMEM, "no magazines");
	state->n_held = 0;
	return 0;
}

/* One refill; the owner takes all of it. */
static int refill(struct bench *bench, struct core_state *state)
{
	uint64_t *bottom = bottom_of(state);
	uint64_t count, top;

	if (pool_refill(state->pool, state->client, 0, HOT, REFILL_FRAMES, &count))
		return bench_fail(bench, -ENOMEM, "no frames for a refill");
	top = head_of(state)->top;
	for (uint64_t i = 0; i < count; i++)
		state->held[state->n_held++] = *slot_of(state, top + i);
	*bottom = top;
	return 0;
}

static int take_all(struct bench *bench, struct core_state *state, uint32_t n_frames)
{
	/* Demand does not grow it: each refill is one of REFILL_FRAMES. */
	while (state->n_held + REFILL_FRAMES <= n_frames) {
		int r;

		head_of(state)->scale = 0;
		r = refill(bench, state);
		if (r < 0)
			return r;
	}
	return 0;
}

static void shuffle(struct core_state *state)
{
	for (uint32_t i = state->n_held; i-- > 1;) {
		uint32_t other, pfn = state->held[i];

		state->random = state->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		other = (uint32_t)(state->random >> 33) % (i + 1);
		state->held[i] = state->held[other];
		state->held[other] = pfn;
	}
}

/* The owner fills its magazine as far as its ring allows, and the daemon takes all that is there.
 */
static int give_back(struct bench *bench, struct core_state *state, uint64_t *ns)
{
	uint32_t most = magazine_high_max(head_of(state)->capacity);

	while (state->n_held > 0) {
		uint64_t *bottom = bottom_of(state);
		uint32_t n = 0;
		uint64_t begin;

		for (; n < most && state->n_held > 0; n++)
			*slot_of(state, (*bottom)++) = state->held[--state->n_held];
		begin = cpu_now_ns();
		if (pool_claim(state->pool, state->client, 0, HOT, n) ||
		    pool_settle(state->pool) != n)
			return bench_fail(bench, -EPROTO, "the daemon did not take %u frames", n);
		*ns += cpu_now_ns() - begin;
	}
	return 0;
}

static uint64_t end_client(struct core_state *state)
{
	uint64_t begin = cpu_now_ns();

	pool_client_kill(state->pool, state->client);
	while (!pool_client_sweep(state->pool, state->client, SWEEP_SLICE))
		;
	return cpu_now_ns() - begin;
}

/* --- the hooks ------------------------------------------------------------------------------ */

/* A life of a client; what is asked for is added to *ns. */
static int live(struct bench *bench, struct core_state *state, enum part part, uint32_t n_frames,
		uint64_t *ns)
{
	uint64_t begin, refill_ns, drain_ns = 0, sweep_ns;
	int r = begin_client(bench, state);

	if (r < 0)
		return r;
	begin = cpu_now_ns();
	r = take_all(bench, state, n_frames);
	refill_ns = cpu_now_ns() - begin;
	if (r == 0 && part == PART_DRAIN) {
		shuffle(state);
		r = give_back(bench, state, &drain_ns);
	}
	sweep_ns = end_client(state);
	*ns += part == PART_REFILL ? refill_ns : part == PART_DRAIN ? drain_ns : sweep_ns;
	return r;
}

static int run_part(struct bench *bench, const struct benchmark *benchmark,
		    struct core_state *state, enum part part, uint64_t n, struct sample *ret_sample)
{
	struct sample sample = {0, n * benchmark->n_frames};

	for (uint64_t i = 0; i < n; i++) {
		int r = live(bench, state, part, benchmark->n_frames, &sample.ns);

		if (r < 0)
			return r;
	}
	*ret_sample = sample;
	return 0;
}

int core_run_refill(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample)
{
	return run_part(bench, benchmark, state, PART_REFILL, n, ret_sample);
}

int core_run_drain(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	return run_part(bench, benchmark, state, PART_DRAIN, n, ret_sample);
}

int core_run_sweep(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		   struct sample *ret_sample)
{
	return run_part(bench, benchmark, state, PART_SWEEP, n, ret_sample);
}
