/* pagectl/top_sample.c - one look at META, copied. */
#include "pagectl/top_model.h"

#include <time.h>

static uint64_t clock_read(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its texts come from the segment: they end inside their arrays. */
static void end_texts(struct top_sample *sample)
{
	struct shm_meta_header *header = &sample->header;

	header->instance[SHM_NAME_BYTES - 1] = '\0';
	header->limit[SHM_TEXT_BYTES - 1] = '\0';
	header->cgroup[SHM_TEXT_BYTES - 1] = '\0';
}

void top_sample_read(struct top_sample *sample, const struct shm_view *view)
{
	sample->at_ns = clock_read(CLOCK_MONOTONIC);
	sample->clock_ns = clock_read(CLOCK_REALTIME);
	sample->header = *view->header;
	end_texts(sample);
	for (uint32_t i = 0; i < COUNTER_COUNT; i++)
		sample->counter[i] = shm_view_counter(view, (enum counter)i);
	sample->n_zones = sample->n_clients = sample->n_caches = 0;
	for (uint32_t i = 0; i < sample->header.nr_zones && i < SHM_MAX_ZONES; i++)
		sample->zones[sample->n_zones++] = view->zones[i];
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		struct shm_client *copy = &sample->clients[sample->n_clients];

		if (shm_load32(&shm_view_client(view, id)->state) == SHM_CLIENT_FREE)
			continue;
		*copy = *shm_view_client(view, id);
		copy->id = id;
		if (copy->state != SHM_CLIENT_FREE)
			sample->n_clients++;
	}
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache *copy = &sample->caches[sample->n_caches];

		if (shm_load32(&view->caches[i].state) == SHM_CACHE_FREE)
			continue;
		*copy = view->caches[i];
		if (copy->state != SHM_CACHE_FREE)
			sample->n_caches++;
	}
}
