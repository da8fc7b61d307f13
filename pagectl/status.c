/* pagectl/status.c - what `pagectl status` says, gathered. */
#include "pagectl/status.h"

#include "paged/files.h"

#include <stdlib.h>
#include <time.h>

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void read_header(const struct shm_view *view, struct status *s)
{
	struct timespec now;

	s->header = *view->header;
	s->header.instance[SHM_NAME_BYTES - 1] = '\0';
	s->header.limit[SHM_TEXT_BYTES - 1] = '\0';
	s->header.cgroup[SHM_TEXT_BYTES - 1] = '\0';
	clock_gettime(CLOCK_REALTIME, &now);
	s->uptime_s = minus((uint64_t)now.tv_sec, s->header.started_ns / 1000000000);
}

static void read_zones(const struct shm_view *view, struct status *s)
{
	uint64_t managed = 0;

	for (uint32_t i = 0; i < s->header.nr_zones && i < SHM_MAX_ZONES; i++) {
		const struct shm_zone *zone = &view->zones[i];

		managed += shm_load(&zone->managed);
		s->free += shm_load(&zone->nr_free);
		s->hole += shm_load(&zone->nr_hole);
		s->min += shm_load(&zone->watermark_min);
		s->low += shm_load(&zone->watermark_low);
		s->high += shm_load(&zone->watermark_high);
	}
	s->unmanaged = minus(s->header.online_frames, managed);
	s->owned = shm_view_counter(view, COUNTER_nr_owned);
	s->shared = shm_view_counter(view, COUNTER_nr_shared);
}

static void read_metadata(struct status *s)
{
	const struct shm_meta_header *h = &s->header;

	s->map.used = h->map_used_bytes;
	s->map.reserved = (uint64_t)h->nr_frames * sizeof(struct shm_page);
	s->rest.used = minus(h->meta_used_bytes, h->map_used_bytes);
	s->rest.reserved = minus(h->meta_bytes, s->map.reserved);
	s->state.used = h->state_used_bytes;
	s->state.reserved = h->state_bytes;
	s->ctl_bytes = h->ctl_used_bytes;
	s->metadata_bytes = h->meta_used_bytes + h->state_used_bytes + h->ctl_used_bytes;
}

static int by_pid(const void *left, const void *right)
{
	const struct shm_client *a = left, *b = right;

	return (a->pid > b->pid) - (a->pid < b->pid);
}

/* A process may have several clients and has one set of page tables. */
static void read_processes(const struct shm_view *view, struct status *s)
{
	struct shm_client *clients = clients_copy(view, &s->n_clients);

	qsort(clients, s->n_clients, sizeof(*clients), by_pid);
	for (uint32_t i = 0; i < s->n_clients; i++) {
		uint64_t bytes;

		if (i && clients[i].pid == clients[i - 1].pid)
			continue;
		s->n_processes++;
		if (host_page_table_bytes(clients[i].pid, &bytes))
			s->page_table_bytes += bytes;
		else
			s->n_unreadable++;
	}
	free(clients);
}

static void read_files(struct status *s)
{
	uint64_t fit;

	if (!host_file_limit(s->header.daemon_pid, &s->file_limit))
		return;
	fit = files_clients_that_fit(s->file_limit);
	s->clients_that_fit = fit < s->header.max_clients ? (uint32_t)fit : s->header.max_clients;
}

void status_read(const struct shm_view *view, struct status *ret_status)
{
	struct status s = {.n_clients = 0};

	read_header(view, &s);
	read_zones(view, &s);
	read_metadata(&s);
	read_processes(view, &s);
	read_files(&s);
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++)
		if (shm_load32(&view->caches[i].state) != SHM_CACHE_FREE)
			s.n_caches++;
	host_read_huge(&s.huge);
	s.huge_possible = host_huge_verdict(&s.huge, &s.header, &s.huge_advice);
	*ret_status = s;
}

const char *status_level(const struct status *status)
{
	if (status->free < status->min)
		return "below min";
	if (status->free < status->low)
		return "between min and low";
	if (status->free <= status->high)
		return "between low and high";
	return "above high";
}

const char *status_pressure(uint32_t level)
{
	static const char *const names[] = {"none", "low", "medium", "critical"};

	return level < sizeof(names) / sizeof(names[0]) ? names[level] : "?";
}

const char *status_backing(const struct status *status)
{
	return status->header.backing == SHM_BACKING_MEMFD ? "memfd" : "posix";
}

const char *status_unprotected(const struct status *status)
{
	if (status->header.backing == SHM_BACKING_MEMFD)
		return "clients can overwrite each other's data, not truncate it (sealed)";
	return "a hostile client can truncate DATA: SIGBUS for all clients of this instance; "
	       "backing = memfd closes this";
}

const char *status_hugepages(const struct status *status)
{
	switch (status->header.hugepages) {
	case SHM_HUGEPAGES_NEVER:
		return "never";
	case SHM_HUGEPAGES_ALWAYS:
		return "always";
	default:
		return "auto";
	}
}

/* What the kernel told of the blocks that were committed counts for more than what it may do. */
const char *status_huge_in_force(const struct status *status)
{
	const struct shm_meta_header *header = &status->header;

	if (header->hugetlb)
		return "yes, reserved ones";
	if (header->huge_bytes == 0 && header->small_bytes == 0)
		return status->huge_possible ? "possible" : "no";
	if (header->huge_bytes == 0)
		return "no";
	return header->small_bytes == 0 ? "yes" : "in part";
}

double status_bytes_per_frame(const struct status *status)
{
	uint32_t n_frames = status->header.nr_frames;

	return n_frames ? (double)status->metadata_bytes / n_frames : 0;
}
