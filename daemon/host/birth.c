/* daemon/host/birth.c - how a server takes over: segments, pool, and the clients that are there.
 *
 * A client of an earlier server whose process lives keeps its frames, whether it comes back by a
 * Resume or not, and is watched. If the supervisor kept its CTL, the magazines in it are served and
 * reclaimed from the first moment; else they rest until a Resume brings the CTL. */
#include "daemon/host/server.h"

#include "shm/access.h"

#include <errno.h>
#include <pageclient/pageclient.h>
#include <stdio.h>
#include <stdlib.h>
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
	if (bad)
		log_print(server->options.log, LOG_LEVEL_ERROR,
			  "%llu frames of the segment are damaged and out of use",
			  (unsigned long long)bad);
	server->epoch = segments->meta->epoch;
	return 0;
}

int server_attach(struct server *server, char *text, size_t text_bytes)
{
	int r = segments_attach(server->options.segments, text, text_bytes);

	server->born_ns = clock_ns(CLOCK_MONOTONIC); /* what comes before is another's death */
	return r ? r : attach_pool(server, text, text_bytes);
}

/* --- clients -------------------------------------------------------------------------------- */

/* Tells the session of each client of an earlier server whether its process lives. */
static uint32_t adopt_clients(struct server *server)
{
	struct control *control = server->options.control;
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		struct session_event event = {.kind = EVENT_ADOPTED, .client = id};
		struct server_client *client = &server->client[id];
		const struct shm_record *record;

		client->is_kept = control->ctl[id] >= 0;
		if (!pool_client_is_attached(server->pool, id))
			continue;
		record = pool_client_record(server->pool, id);
		event.status = wire_client_watch(server->wire, id, record->pid, record->pid_start);
		if (event.status == 0 && client->is_kept) {
			if (server_take_ctl(server, id, control->ctl[id]) == 0)
				event.ctl = client->ctl;
			control->ctl[id] = -1;
			client->is_kept = true; /* if it was no good it is dropped with ALIVE */
		}
		n += event.status == 0;
		server_event(server, &event);
	}
	control_close_ctls(control);
	return n;
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
	(void)snprintf(meta->cgroup, sizeof(meta->cgroup), "%s",
		       headroom_cgroup(segments->options.headroom));
	shm_store32(&meta->daemon_pid, (uint32_t)getpid());
}

static void log_birth(const struct server *server, uint32_t n_adopted)
{
	const struct segments *segments = server->options.segments;
	const struct endpoint *endpoint = server->options.endpoint;
	char how[96] = "new";

	if (segments->adopted)
		(void)snprintf(how, sizeof(how),
			       "as the last daemon left it (recovered in %.1f ms, %u client(s))",
			       (double)(clock_ns(CLOCK_MONOTONIC) - server->born_ns) / 1e6,
			       n_adopted);
	log_print(server->options.log, LOG_LEVEL_INFO,
		  "serving instance %s on %s: %lluM in frames of %uK, %s, %s",
		  segments->options.instance,
		  endpoint->path[0] ? endpoint->path : "the passed socket",
		  (unsigned long long)(segments->data_bytes >> 20),
		  1u << (segments->meta->page_shift - 10),
		  segments->backing == SHM_BACKING_POSIX ? "posix" : "memfd", how);
}

void server_begin(struct server *server)
{
	struct shm_meta_header *meta = server->options.segments->meta;
	struct session_event event = {.kind = EVENT_TICK};
	uint32_t n_adopted;

	shm_store(&meta->ctl_used_bytes, 0);
	n_adopted = adopt_clients(server);
	server_event(server, &event); /* the first commits and the timer */
	/* What the segment was recovered for has begun: the next start counts from zero. */
	shm_store(&server->options.segments->state->recoveries, 0);
	show(server);
	log_birth(server, n_adopted);
}
