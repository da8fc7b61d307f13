/* daemon/host/server.c - birth, loop and end of the server; see server.h. */
#include "daemon/host/server.h"

#include "paged/bits.h"
#include "paged/check.h"
#include "paged/crash_point.h"
#include "shm/access.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* As busy_poll = auto has it: as long as it costs to wake up, so that a spin in vain at most
 * doubles what the wait would have cost. Lower: clients that come back a little later wake us.
 * Higher: they cost more processor time. */
#define BUSY_POLL_US 50u

/* Between two looks at magazines. Lower: their owners lose a line to us more often, 0.1 us each
 * time. Higher: an owner that takes a frame in 3 ns is through a bulk before we look. */
#define LOOK_NS 4000u

/* Turns of the loop in which messages come and a tick still waits for more: one client may have so
 * many answers in one socket, of which a turn reads one. Lower: some of them count as late. Higher:
 * where there is always more to read, deadlines are later by a turn, 10 us to a millisecond, each.
 */
#define TICK_TURNS 64u
static_assert(TICK_TURNS >= SHM_MAX_LANES, "each lane may have a request");

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- events --------------------------------------------------------------------------------- */

void server_pend(struct server *server, const struct session_event *event, enum server_place place)
{
	/* The session's contract: a step asks for at most SESSION_MAX_ACTIONS answers, and the step
	 * that takes an answer asks for at most one more. */
	PAGED_CHECK(server->n_pending < SERVER_MAX_PENDING);
	if (place == SERVER_FIRST) {
		memmove(server->pending + 1, server->pending,
			server->n_pending * sizeof(server->pending[0]));
		server->pending[0] = *event;
	} else {
		server->pending[server->n_pending] = *event;
	}
	server->n_pending++;
}

/* Edges get memory before they are needed. Where there is none, Share says that the table is full.
 */
static void give_edges(struct server *server)
{
	char text[SHM_TEXT_BYTES];
	uint32_t from, to;

	if (server->edges_short || !pool_wants_edges(server->pool, &from, &to))
		return;
	if (segments_give_edges(server->options.segments, from, to, text, sizeof(text)) == 0) {
		pool_edges_given(server->pool, to);
		return;
	}
	server->edges_short = true;
	log_print(server->options.log, LOG_LEVEL_WARNING, "no memory for shared frames: %s", text);
}

/* What comes from the wire has the time already. */
static void step(struct server *server, const struct session_event *event)
{
	struct session_event timed;

	if (event->now_ns == 0) {
		timed = *event;
		timed.now_ns = clock_ns(CLOCK_MONOTONIC);
		timed.real_ns = clock_ns(CLOCK_REALTIME);
		event = &timed;
	}
	session_step(server->session, event, &server->actions);
	for (uint32_t i = 0; i < server->actions.n; i++)
		server_perform(server, &server->actions.item[i]);
	give_edges(server);
}

void server_event(struct server *server, const struct session_event *event)
{
	PAGED_CHECK(!server->stepping);
	server->stepping = true;
	server->event = event;
	step(server, event);
	while (server->n_pending) {
		struct session_event next = server->pending[0];

		server->n_pending--;
		memmove(server->pending, server->pending + 1,
			server->n_pending * sizeof(server->pending[0]));
		step(server, &next);
	}
	server->stepping = false;
	if (server->psi_socket)
		psi_socket_wake(server->psi_socket);
}

static void on_wire_event(void *arg, const struct session_event *event)
{
	struct server *server = arg;

	server->heard = true;
	server_event(server, event);
}

static bool on_look(void *arg, uint64_t now_ns)
{
	struct server *server = arg;
	struct session_event event = {.kind = EVENT_RUNG};
	bool looks_closer = now_ns - server->looked_ns >= LOOK_NS;

	if (looks_closer)
		server->looked_ns = now_ns;
	if (!session_is_rung(server->session) && !(looks_closer && session_is_low(server->session)))
		return false;
	server_event(server, &event);
	return true;
}

/* Clients on our own processor wait in vain while they look: they are told which one it is. */
static void on_awake(void *arg, bool is_awake)
{
	struct server *server = arg;
	uint32_t *word = &server->options.segments->meta->awake;
	int cpu = is_awake ? sched_getcpu() : -1;

	/* seq_cst: the last look at doorbells comes after the word that we sleep; pairs with the
	 * fetch_or of the client's ring() */
	if (*word != (uint32_t)(cpu + 1))
		(void)__atomic_exchange_n(word, (uint32_t)(cpu + 1), __ATOMIC_SEQ_CST);
}

static void on_tick(uv_check_t *check)
{
	struct server *server = check->data;
	struct session_event event = {.kind = EVENT_TICK};

	if (server->heard && server->tick_turns > 0) {
		server->heard = false;
		server->tick_turns--;
		return;
	}
	(void)uv_check_stop(check);
	(void)uv_idle_stop(&server->tick_idle);
	segments_account(server->options.segments);
	server->edges_short = false;
	server_account_ctl(server);
	server_event(server, &event);
	if (server->limits_bytes != segments_bytes_wanted(server->options.segments))
		server_tell_limits(server);
}

/* The status for the service manager, "" if it is as last told. In tenths of the segment, so that a
 * busy daemon does not tell every second. */
static const char *news(struct server *server)
{
	char status[sizeof(server->status)];
	uint64_t managed = pool_nr_managed(server->pool);
	uint64_t used = managed - bits_min(pool_nr_free(server->pool), managed);
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		n += pool_client_is_attached(server->pool, id);
	(void)snprintf(status, sizeof(status), "serving %u client(s), %llu%% of %lluM in use", n,
		       (unsigned long long)(managed ? used * 10 / managed * 10 : 0),
		       (unsigned long long)(segments_bytes_wanted(server->options.segments) >> 20));
	if (strcmp(status, server->status) == 0)
		return "";
	memcpy(server->status, status, sizeof(status));
	return server->status;
}

/* Nobody else may have taken the segment over, and no stray store have met its header: a server
 * that finds that falls silent and is replaced. */
static void on_alive(uv_timer_t *timer)
{
	struct server *server = timer->data;
	const struct shm_meta_header *meta = server->options.segments->meta;

	server_keep_ctls(server);
	if (meta->magic == SHM_META_MAGIC && meta->epoch == server->epoch)
		control_tell(server->options.control, CONTROL_ALIVE, news(server));
}

static void on_again(uv_check_t *check)
{
	struct server *server = check->data;
	struct session_event event = {.kind = EVENT_AGAIN};

	(void)uv_check_stop(check);
	(void)uv_idle_stop(&server->again_idle);
	server_event(server, &event);
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

/* libuv calls timers before it looks at sockets. A server that did not have its processor for a
 * while would thus find deadlines passed whose answer lies there, and frames that somebody waits
 * for: so what is there comes first, all of it, and then the tick. */
static void on_timer(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (uv_is_active((uv_handle_t *)&server->tick_check))
		return; /* it is on its way */
	server->heard = false;
	server->tick_turns = TICK_TURNS;
	(void)uv_check_start(&server->tick_check, on_tick);
	(void)uv_idle_start(&server->tick_idle, on_idle);
}

/* None of these can fail. */
static void ready_handles(struct server *server)
{
	(void)uv_timer_init(&server->loop, &server->timer);
	(void)uv_timer_init(&server->loop, &server->alive);
	server->timer.data = server;
	server->alive.data = server;
	(void)uv_check_init(&server->loop, &server->again_check);
	(void)uv_idle_init(&server->loop, &server->again_idle);
	(void)uv_check_init(&server->loop, &server->tick_check);
	(void)uv_idle_init(&server->loop, &server->tick_idle);
	server->again_check.data = server;
	server->again_idle.data = server;
	server->tick_check.data = server;
}

void server_again(struct server *server)
{
	if (server->stopping)
		return;
	(void)uv_check_start(&server->again_check, on_again);
	(void)uv_idle_start(&server->again_idle, on_idle);
	if (server->wire)
		wire_works(server->wire);
}

void server_timer(struct server *server, uint64_t at_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	uint64_t ms = at_ns > now ? (at_ns - now + 999999) / 1000000 : 0;

	if (server->stopping)
		return;
	uv_update_time(&server->loop); /* or a long step would shorten the wait */
	(void)uv_timer_start(&server->timer, on_timer, ms, 0);
}

/* --- end ------------------------------------------------------------------------------------ */

void server_stop(struct server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	server_rest_signals(server);
	if (server->serving) {
		control_tell(server->options.control, CONTROL_STOPPING, NULL);
		CRASH_POINT(STOP_BEGUN);
		/* Before the socket is closed: after that the name may be another daemon's. */
		endpoint_unlink(server->options.endpoint);
	}
	server_close_pressure(server);
	if (server->wire) {
		wire_close(server->wire);
		on_awake(server, false);
	}
	server->wire = NULL;
	uv_close((uv_handle_t *)&server->timer, NULL);
	uv_close((uv_handle_t *)&server->alive, NULL);
	uv_close((uv_handle_t *)&server->again_check, NULL);
	uv_close((uv_handle_t *)&server->again_idle, NULL);
	uv_close((uv_handle_t *)&server->tick_check, NULL);
	uv_close((uv_handle_t *)&server->tick_idle, NULL);
}

static void log_end(const struct server_options *options)
{
	char names[SHM_TEXT_BYTES];

	segments_names(options->segments, names, sizeof(names));
	if (names[0])
		log_event(options->log, LOG_LEVEL_INFO, LOG_ID_STOPPED, NULL,
			  "stopped; %s remain for the next start", names);
	else
		log_event(options->log, LOG_LEVEL_INFO, LOG_ID_STOPPED, NULL,
			  "stopped; the segment ends now, unless the service manager holds it");
}

static void server_free(struct server *server)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		server_release(server, id);
	config_free_lines(&server->lines);
	free(server->session);
	free(server->pool);
	free(server);
}

/* Runs until the last handle is closed and the last commit done. */
static void finish(struct server *server)
{
	server_stop(server);
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	if (server->serving)
		log_end(&server->options);
	server_close_signals(server); /* a signal that comes in between ends us: we are through */
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	/* libuv's own leak detector: a handle that nobody closed would be left. */
	PAGED_CHECK(uv_loop_close(&server->loop) == 0);
	CRASH_POINT(STOP_ENDED);
	server_free(server);
}

/* --- birth ---------------------------------------------------------------------------------- */

uint32_t server_busy_poll_us(const struct config *config)
{
	const struct config_value *value = &config->value[CONFIG_pcp_busy_poll];

	if (value->kind == CONFIG_IS_AUTO)
		return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? BUSY_POLL_US : 0;
	return (uint32_t)value->n;
}

static int open_wire(struct server *server)
{
	const struct config *config = server->options.config;
	struct wire_options options = {
		.listen_fd = server->options.endpoint->fd,
		.queue_bytes = (uint32_t)config->value[CONFIG_limits_queue].n,
		.busy_poll_us = server_busy_poll_us(config),
		.on_event = on_wire_event,
		.on_look = on_look,
		.on_awake = on_awake,
		.arg = server,
	};
	int r = wire_open(&server->loop, &options, &server->wire);

	server->options.segments->meta->awake = 0; /* of the server before us */
	server->options.segments->meta->busy_poll_us = options.busy_poll_us;

	if (r == 0)
		server->options.endpoint->fd = -1; /* wire's now */
	return r;
}

static int open_session(struct server *server)
{
	struct session_limits limits;
	uint64_t seed;

	server->session = calloc(1, session_bytes());
	if (!server->session)
		return -ENOMEM;
	(void)server_make_limits(server, &limits); /* the first */
	if (getrandom(&seed, sizeof(seed), 0) < 0) /* so few bytes come all at once */
		return -errno;
	session_init(server->session, server->pool, &limits, seed);
	return 0;
}

static int open_all(struct server *server)
{
	int r = open_session(server);

	if (r == 0)
		r = server_open_signals(server);
	if (r == 0)
		r = open_wire(server);
	return r;
}

/* The next server gets what the supervisor or the service manager keeps: nobody dropped anything.
 */
static void forget_kept(struct server *server)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		server->client[id].is_kept = false;
}

static int serve(struct server *server, char *text, size_t text_bytes)
{
	const struct control *control = server->options.control;
	int r = server_begin(server, text, text_bytes);

	if (r) {
		forget_kept(server);
		return r;
	}
	server->serving = true;
	if (control->reload)
		server_reload(server);
	server_open_pressure(server);
	control_tell(control, CONTROL_READY, "serving");
	(void)uv_timer_start(&server->alive, on_alive, 0, control->alive_ms);
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	forget_kept(server);
	return 0;
}

static void on_nothing(uv_work_t *work)
{
	(void)work;
}

static void on_nothing_done(uv_work_t *work, int status)
{
	(void)work;
	(void)status;
}

/* libuv ends the process if it cannot start its threads. That has to be before we are at the
 * segment: a start that ends there is one of the few that it is given. */
static void start_threads(struct server *server)
{
	uv_work_t work;

	if (uv_queue_work(&server->loop, &work, on_nothing, on_nothing_done) == 0)
		(void)uv_run(&server->loop, UV_RUN_DEFAULT);
}

/* Everything from the segments on. */
static int live(struct server *server, char *text, size_t text_bytes)
{
	struct segments *segments = server->options.segments;
	int r = server_attach(server, text, text_bytes);

	if (r == 0) {
		r = open_all(server);
		if (r)
			(void)snprintf(text, text_bytes, "the server cannot start: %s",
				       strerror(-r));
		else
			r = serve(server, text, text_bytes);
	}
	/* It is not the segment that was to blame. */
	if (r < 0 && segments->adopted)
		shm_store(&segments->state->recoveries, 0);
	return r;
}

int server_run(const struct server_options *options, char *text, size_t text_bytes)
{
	struct server *server = calloc(1, sizeof(*server));
	int r = server ? uv_loop_init(&server->loop) : -ENOMEM;

	if (r) {
		(void)snprintf(text, text_bytes, "the server cannot start: %s", strerror(-r));
		free(server);
		return r;
	}
	server->options = *options;
	start_threads(server);
	ready_handles(server);
	r = live(server, text, text_bytes);
	finish(server);
	return r;
}
