/* tests/sim/world.c - memory of the runs, and what a seed makes of it.
 *
 * One mapping for all runs: META and STATE as the largest configuration needs them, then the CTLs.
 * A run begins with all of it zero, as new segments are, at the price of the pages that the run
 * before touched. pool and session are the server's private memory and keep what was there: a
 * server may not rely on it. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t ctl_bytes(void)
{
	return shm_ctl_bytes(SIM_THREADS_MAX, SIM_FRAMES_MAX);
}

static char *map_blank(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

struct sim *sim_new(struct sim_coverage *coverage)
{
	struct shm_meta_header meta = {.page_shift = 12};
	struct shm_state_header state = {0};
	struct sim *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->coverage = coverage;
	shm_meta_plan(&meta, SIM_FRAMES_MAX, 12);
	shm_state_plan(&state);
	s->meta_room = meta.meta_bytes;
	s->state_room = state.state_bytes;
	s->meta = map_blank(s->meta_room);
	s->state = map_blank(s->state_room);
	s->ctls = map_blank(SIM_CTLS * ctl_bytes());
	s->pool = calloc(1, pool_bytes());
	s->session = calloc(1, session_bytes());
	if (s->meta && s->state && s->ctls && s->pool && s->session)
		return s;
	sim_free(s);
	return NULL;
}

void sim_free(struct sim *s)
{
	if (s->meta)
		(void)munmap(s->meta, s->meta_room);
	if (s->state)
		(void)munmap(s->state, s->state_room);
	if (s->ctls)
		(void)munmap(s->ctls, SIM_CTLS * ctl_bytes());
	free(s->pool);
	free(s->session);
	free(s);
}

/* --- CTLs ---------------------------------------------------------------------------------------
 */

char *world_ctl(const struct sim *s, uint32_t ctl)
{
	return s->ctls + ctl * ctl_bytes();
}

uint32_t world_ctl_take(struct sim *s)
{
	uint32_t ctl = 0;

	while (s->ctl_of_server[ctl] || s->ctl_of_client[ctl])
		PAGED_CHECK(++ctl < SIM_CTLS);
	(void)madvise(world_ctl(s, ctl), ctl_bytes(), MADV_DONTNEED);
	s->ctl_of_server[ctl] = true;
	return ctl;
}

/* --- one run ------------------------------------------------------------------------------------
 */

/* All but the arena. */
static void forget(struct sim *s)
{
	struct sim_coverage *coverage = s->coverage;
	char *meta = s->meta, *state = s->state, *ctls = s->ctls;
	uint64_t meta_room = s->meta_room, state_room = s->state_room;
	struct pool *pool = s->pool;
	struct session *session = s->session;
	bool is_loud = s->is_loud;

	(void)madvise(s->meta, s->meta_room, MADV_DONTNEED);
	(void)madvise(s->state, s->state_room, MADV_DONTNEED);
	memset(s, 0, offsetof(struct sim, message));
	s->coverage = coverage;
	s->is_loud = is_loud;
	s->meta = meta;
	s->state = state;
	s->ctls = ctls;
	s->meta_room = meta_room;
	s->state_room = state_room;
	s->pool = pool;
	s->session = session;
}

static void draw_options(struct sim *s)
{
	static const char *const names[] = {"dma", "normal", "movable"};
	struct pool_options *options = &s->options;
	uint32_t left = 4096 + sim_below(s, sim_chance(s, 8) ? SIM_FRAMES_MAX - 4096 : 2048);

	s->nr_frames = left;
	options->nr_zones = 1 + (sim_chance(s, 3) ? sim_below(s, 3) : 0);
	for (uint32_t z = 0; z < options->nr_zones; z++) {
		bool last = z + 1 == options->nr_zones;
		uint32_t n = last ? left : 512 + sim_below(s, 1024);

		memcpy(options->zone[z].name, names[z], strlen(names[z]));
		options->zone[z].nr_frames = n;
		if (last && sim_chance(s, 3))
			options->zone[z].nr_offline = sim_below(s, n / 3);
		left -= n;
	}
	options->batch = sim_chance(s, 2) ? 0 : 1 + sim_below(s, 48);
	options->min_free_frames = sim_chance(s, 3) ? 0 : 8 + sim_below(s, 120);
	options->watermark_scale = sim_chance(s, 2) ? 0 : sim_below(s, 300);
	options->commit_full = sim_chance(s, 3);
	s->max_threads = 1 + (sim_chance(s, 2) ? sim_below(s, SIM_THREADS_MAX) : 0);
	s->page_shift = 12 + 2 * sim_below(s, 3);
}

static void draw_limits(struct sim *s)
{
	s->server.limits = (struct session_limits){
		/* Some more than processes: a Hello whose answer died with the server counts, too.
		 */
		.connections = sim_chance(s, 3) ? SIM_CLIENTS + 10 + sim_below(s, 30) : 0,
		.handshakes = 8 + sim_below(s, 60),
		.handshake_ns = (10 + sim_below(s, 400)) * MS,
		.client_max_frames = sim_chance(s, 2) ? 0 : 200 + sim_below(s, s->nr_frames / 8),
		.shrink_deadline_ns = (10 + sim_below(s, 100)) * MS,
		.breaker_ns = 100 * MS + sim_below(s, 1000) * MS,
		.give_back_ns = sim_chance(s, 3) ? 0 : 100 * MS + sim_below(s, 1000) * MS,
		.alloc_timeout_max_ns = (100 + sim_below(s, 1000)) * MS};
	if (sim_chance(s, 2))
		fair_draw_rules(s, &s->server.limits);
}

static void draw_clients(struct sim *s)
{
	uint32_t nr_liars = sim_chance(s, 2) ? 1 + sim_below(s, 8) : 0;

	s->had_liars = nr_liars > 0;
	for (uint32_t i = 0; i < SIM_CLIENTS; i++) {
		s->client[i].is_liar = i < nr_liars;
		s->client[i].ctl = SIM_NONE;
		(void)sim_after(s, sim_below(s, 300) * MS, SIM_BIRTH, i, 0);
		(void)sim_after(s, 200 * MS + sim_below(s, 2800) * MS, SIM_FATE, i, 0);
	}
	s->client[SIM_ADMIN].is_admin = true;
	s->client[SIM_ADMIN].ctl = SIM_NONE;
	(void)sim_after(s, 500 * MS, SIM_ADMIN_ACTS, SIM_ADMIN, 0);
}

void world_begin(struct sim *s, uint64_t seed, enum sim_control control)
{
	struct shm_meta_header meta = {.instance_id = 7};
	struct shm_state_header state = {0};

	forget(s);
	s->seed = seed;
	s->random = seed;
	s->control = control;
	s->now_ns = SECOND;
	s->next_pid = 1000;
	for (uint32_t i = 0; i < SIM_MESSAGES_MAX; i++)
		s->message_free[s->n_messages_free++] = i;
	draw_options(s);
	draw_limits(s);
	meta.page_shift = s->page_shift;
	pool_format(s->meta, s->state, &meta, &s->options);
	shm_meta_plan(&meta, s->nr_frames, s->page_shift);
	shm_state_plan(&state);
	s->meta_bytes = meta.meta_bytes;
	s->state_bytes = state.state_bytes;
	s->end_ns = s->now_ns + 1500 * MS + sim_below(s, 1000) * MS;
	draw_clients(s);
	(void)sim_after(s, sim_delay(s, 100 * MS, 2 * SECOND), SIM_CRASH, 0, 0);
	(void)sim_after(s, 50 * MS, SIM_WEATHER, 0, 0);
	(void)sim_after(s, 0, SIM_RESTART, 0, 0);
}
