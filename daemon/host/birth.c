/* daemon/host/birth.c - how a server takes over: segments, pool, and the clients that are there.
 *
 * A client of an earlier server whose process lives keeps its frames, whether it comes back by a
 * Resume or not, and is watched. If the supervisor kept its CTL, the magazines in it are served and
 * reclaimed from the first moment; else they rest until a Resume brings the CTL. */
#include "daemon/host/numa.h"
#include "daemon/host/server.h"

#include "daemon/wire/groups.h"
#include "daemon/wire/unit.h"
#include "paged/crash_point.h"
#include "shm/access.h"

#include <errno.h>
#include <pageclient/pageclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- segments and pool ---------------------------------------------------------------------- */

static int attach_pool(struct server *server, char *text, size_t text_bytes)
{
	struct segments *segments = server->options.segments;
	struct log_fields fields = {0};
	uint64_t bad = 0;
	int r;

	server->pool = calloc(1, pool_bytes());
	if (!server->pool) {
		(void)snprintf(text, text_bytes, "no memory for the pool");
		return -ENOMEM;
	}
	r = pool_attach(server->pool, segments->meta, segments->meta_bytes, segments->state,
			segments->state_bytes, &segments->options.pool, &bad);
	if (r)
		return segments_put_aside(segments, SEGMENTS_AGAIN,
					  pool_condition_text((enum pool_condition)r), text,
					  text_bytes);
	log_field(&fields, "PAGED_FRAMES=%llu", (unsigned long long)bad);
	if (bad)
		log_event(server->options.log, LOG_LEVEL_ERROR, LOG_ID_SEGMENT_DAMAGED, &fields,
			  "%llu frames of the segment are damaged and out of use",
			  (unsigned long long)bad);
	server->epoch = segments->meta->epoch;
	CRASH_POINT(POOL_RECOVERED);
	return 0;
}

/* Where the zones' memory is to come from, before any is given. */
static int place_zones(const struct segments *segments, char *text, size_t text_bytes)
{
	const struct pool_options *pool = &segments->options.pool;
	uint32_t shift = segments->options.page_shift;
	uint64_t start = 0;

	for (uint32_t i = 0; i < pool->nr_zones; i++) {
		const struct pool_zone_options *zone = &pool->zone[i];
		int r = 0;

		if (zone->has_node)
			r = numa_prefer(segments->data_fd, start << shift,
					(uint64_t)zone->nr_frames << shift, zone->node);
		if (r) {
			(void)snprintf(text, text_bytes,
				       "zone %s cannot have its memory on node %u: %s", zone->name,
				       zone->node, strerror(-r));
			return r;
		}
		start += zone->nr_frames;
	}
	return 0;
}

int server_attach(struct server *server, char *text, size_t text_bytes)
{
	int r = segments_attach(server->options.segments, text, text_bytes);

	server->born_ns = clock_ns(CLOCK_MONOTONIC); /* what comes before is another's death */
	if (r == 0)
		r = place_zones(server->options.segments, text, text_bytes);
	return r ? r : attach_pool(server, text, text_bytes);
}

/* --- clients -------------------------------------------------------------------------------- */

/* One of them lives, or is proved dead: anything else is no answer, and no reason to take its
 * frames. Returns the status for the session, or -errno that is none. */
static int watch_client(struct server *server, client_id id, int *ret_status, char *text,
			size_t text_bytes)
{
	const struct shm_record *record = pool_client_record(server->pool, id);
	int r = wire_client_watch(server->wire, id, record->pid, record->pid_start);

	if (r < 0 && r != -ESRCH) {
		(void)snprintf(text, text_bytes,
			       "the server cannot start: does client %u (pid %u) live? %s", id,
			       record->pid, strerror(-r));
		return r;
	}
	*ret_status = r;
	return 0;
}

/* The CTL that the supervisor kept for a client that lives; NULL if there is none, or it is no
 * good.
 */
static void *take_kept_ctl(struct server *server, client_id id)
{
	struct control *control = server->options.control;
	struct server_client *client = &server->client[id];
	int r;

	if (control->ctl[id] < 0)
		return NULL;
	r = server_take_ctl(server, id, control->ctl[id]);
	control->ctl[id] = -1;
	CRASH_POINT(CTL_ADOPTED);
	client->is_kept = true; /* if it was no good it is dropped with ALIVE */
	return r == 0 ? client->ctl : NULL;
}

/* What sections of the configuration may name. Where /proc does not answer it is of none. */
static void read_membership(const struct server *server, client_id id, struct session_peer *peer)
{
	uint32_t pid = pool_client_record(server->pool, id)->pid;

	(void)unit_of(pid, peer->unit);
	(void)groups_of(pid, &peer->groups);
}

/* Tells the session of each client of an earlier server whether its process lives. */
static int adopt_clients(struct server *server, uint32_t *ret_n, char *text, size_t text_bytes)
{
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		struct session_event event = {.kind = EVENT_ADOPTED, .client = id};
		int r;

		server->client[id].is_kept = server->options.control->ctl[id] >= 0;
		if (!pool_client_is_attached(server->pool, id))
			continue;
		r = watch_client(server, id, &event.status, text, text_bytes);
		if (r)
			return r;
		if (event.status == 0)
			event.ctl = take_kept_ctl(server, id);
		if (event.status == 0)
			read_membership(server, id, &event.peer);
		n += event.status == 0;
		server_event(server, &event);
	}
	control_close_ctls(server->options.control);
	*ret_n = n;
	return 0;
}

/* --- what everybody may know ---------------------------------------------------------------- */

static void show(struct server *server)
{
	const struct segments *segments = server->options.segments;
	struct shm_meta_header *meta = segments->meta;

	shm_store32(&meta->daemon_version, PAGECLIENT_VERSION);
	shm_store(&meta->started_ns, clock_ns(CLOCK_REALTIME));
	shm_store32(&meta->backing, (uint32_t)segments->backing);
	shm_store32(&meta->hugepages, (uint32_t)segments->options.hugepages);
	shm_store32(&meta->hugetlb, segments->hugetlb);
	(void)snprintf(meta->cgroup, sizeof(meta->cgroup), "%s",
		       headroom_cgroup(segments->options.headroom));
	shm_store32(&meta->daemon_pid, (uint32_t)getpid());
}

static void log_birth(const struct server *server, uint32_t n_adopted)
{
	const struct segments *segments = server->options.segments;
	const struct endpoint *endpoint = server->options.endpoint;
	uint64_t took_ns = clock_ns(CLOCK_MONOTONIC) - server->born_ns;
	struct log_fields fields = {0};
	char how[96] = "new";

	if (segments->adopted) {
		(void)snprintf(how, sizeof(how),
			       "as the last daemon left it (recovered in %.1f ms, %u client(s))",
			       (double)took_ns / 1e6, n_adopted);
		log_field(&fields, "PAGED_RECOVERED_USEC=%llu", (unsigned long long)took_ns / 1000);
		log_field(&fields, "PAGED_CLIENTS=%u", n_adopted);
	}
	log_field(&fields, "PAGED_SEGMENT_BYTES=%llu",
		  (unsigned long long)segments_bytes_wanted(segments));
	log_event(server->options.log, LOG_LEVEL_INFO, LOG_ID_SERVING, &fields,
		  "serving instance %s on %s: %lluM in frames of %uK, %s, %s",
		  segments->options.instance,
		  endpoint->path[0] ? endpoint->path : "the passed socket",
		  (unsigned long long)(segments_bytes_wanted(segments) >> 20),
		  1u << (segments->meta->page_shift - 10),
		  segments->backing == SHM_BACKING_POSIX ? "posix" : "memfd", how);
}

int server_begin(struct server *server, char *text, size_t text_bytes)
{
	struct shm_meta_header *meta = server->options.segments->meta;
	struct session_event event = {.kind = EVENT_TICK};
	uint32_t n_adopted;
	int r;

	shm_store(&meta->ctl_used_bytes, 0);
	r = adopt_clients(server, &n_adopted, text, text_bytes);
	if (r)
		return r;
	server_event(server, &event); /* the first commits and the timer */
	CRASH_POINT(CLIENTS_ADOPTED);
	/* What the segment was recovered for has begun: the next start counts from zero. */
	shm_store(&server->options.segments->state->recoveries, 0);
	CRASH_POINT(RECOVERY_ENDED);
	show(server);
	CRASH_POINT(SERVER_SHOWN);
	log_birth(server, n_adopted);
	return 0;
}
