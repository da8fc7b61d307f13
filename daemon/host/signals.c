/* daemon/host/signals.c - SIGTERM and SIGINT stop, SIGHUP reads the configuration again.
 *
 * Without a supervisor the watchers are closed with the first signal; with the last watcher gone
 * libuv restores the default disposition, so that a second signal ends the process at once. With
 * one they stay, and do nothing more: a terminal and a service manager signal both of us, and the
 * supervisor passes its signal on. */
#include "daemon/host/server.h"

#include "daemon/core/pcp.h"
#include "paged/bits.h"
#include "paged/crash_point.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Half a handshake may take so long. Lower: a loaded machine refuses; higher: idle strangers hold
 * their places. */
#define HANDSHAKE_NS UINT64_C(5000000000)
/* The longest wait that a client may ask an allocation for. */
#define ALLOC_TIMEOUT_MAX_NS UINT64_C(600000000000)

void server_limits(const struct config *config, uint64_t segment_bytes, uint32_t page_shift,
		   struct session_limits *ret_limits)
{
	const struct config_value *value = config->value;
	uint64_t client_max = config_bytes(&value[CONFIG_limits_client_max], segment_bytes);

	*ret_limits = (struct session_limits){
		.connections = (uint32_t)value[CONFIG_limits_connections].n,
		.handshakes = (uint32_t)value[CONFIG_limits_handshakes].n,
		.handshake_ns = HANDSHAKE_NS,
		.client_max_frames = client_max ? bits_max(client_max >> page_shift, 1) : 0,
		.shrink_deadline_ns = value[CONFIG_reclaim_deadline].n * 1000000,
		.breaker_ns = value[CONFIG_reclaim_breaker].n * 1000000,
		.alloc_timeout_max_ns = ALLOC_TIMEOUT_MAX_NS,
		.give_back_ns = value[CONFIG_reclaim_give_back_after].n * 1000000,
		.admin_uid = geteuid(),
	};
	config_rules(config, segment_bytes, page_shift, ret_limits);
}

/* Does it mean the same, however it is written? */
static bool is_same(const struct config_info *info, const struct config_value *a,
		    const struct config_value *b)
{
	bool is_text = info->type == CONFIG_PATH || info->type == CONFIG_TEXT;

	return a->kind == b->kind && a->n == b->n && (!is_text || strcmp(a->text, b->text) == 0);
}

/* When a key counts that now says something else. Who changes the layout of a segment is told what
 * that costs, and not at the next upgrade by its clients. */
static const char *effect(enum config_key key, const struct config *now)
{
	bool is_size = key == CONFIG_segment_size &&
		       now->value[CONFIG_segment_size_max].kind == CONFIG_IS_NONE;

	if (config_info(key)->flags & CONFIG_LIVE)
		return "";
	if (is_size || key == CONFIG_segment_size_max || key == CONFIG_segment_page_size)
		return "; takes effect at the next start, with a new segment: clients lose theirs";
	if (key == CONFIG_segment_backing)
		return "; takes effect at the next start, with a new segment if it is not what is "
		       "in force: clients lose theirs then";
	return "; takes effect at the next start";
}

static void log_change(const struct server *server, enum config_key key,
		       const struct config *config)
{
	const struct config_info *info = config_info(key);
	const struct config_value *now = &config->value[key];
	const struct config_value *before = &server->options.config->value[key];
	struct log_fields fields = {0};

	log_field(&fields, "PAGED_KEY=%s.%s", info->section, info->key);
	log_field(&fields, "PAGED_VALUE=%s", now->text);
	log_field(&fields, "PAGED_OLD_VALUE=%s", before->text);
	log_event(server->options.log, LOG_LEVEL_NOTICE, LOG_ID_CONFIG_CHANGED, &fields,
		  "%s.%s: %s, was %s%s", info->section, info->key, now->text, before->text,
		  effect(key, config));
}

/* The sections, which have no keys in the list. True if any of it counts at once. */
static bool take_sections(struct server *server, const struct config *config)
{
	bool same = config_same_clients(server->options.config, config);

	if (!same)
		log_event(server->options.log, LOG_LEVEL_NOTICE, LOG_ID_CONFIG_CHANGED, NULL,
			  "[client] sections: %u, were %u, or others", config->nr_clients,
			  server->options.config->nr_clients);
	config_take_clients(server->options.config, config);
	if (!config_same_zones(server->options.config, config))
		log_event(server->options.log, LOG_LEVEL_NOTICE, LOG_ID_CONFIG_CHANGED, NULL,
			  "[zone] sections: %u, were %u, or others; take effect at the next start, "
			  "with a new segment: clients lose theirs",
			  config->nr_zones, server->options.config->nr_zones);
	return !same;
}

/* Takes over what counts at once, true if anything does, and logs all that differs from what is in
 * force. The rest stays as the start had it, so that taking it back is no change. */
static bool take_changes(struct server *server, const struct config *config)
{
	bool any = false;

	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++) {
		const struct config_info *info = config_info((enum config_key)i);
		struct config_value *in_force = &server->options.config->value[i];
		const struct config_value *now = &config->value[i];
		bool live = info->flags & CONFIG_LIVE;

		server->options.config->next[i] = (struct config_value){0};
		if (is_same(info, now, in_force)) {
			*in_force = *now; /* it may stand elsewhere */
			continue;
		}
		any |= live;
		log_change(server, (enum config_key)i, config);
		if (live)
			*in_force = *now;
		else
			server->options.config->next[i] = *now;
	}
	any |= take_sections(server, config);
	return any;
}

struct session_config server_make_limits(struct server *server, struct session_limits *ret_limits)
{
	const struct segments *segments = server->options.segments;
	const struct config *config = server->options.config;
	struct session_config before = server->lines;
	struct config_facts facts = {
		.segment_bytes = segments_bytes_wanted(segments),
		.max_bytes = segments->meta->data_bytes,
		.batch = pcp_batch(pool_nr_managed(server->pool), segments->options.page_shift),
		.busy_poll_us = server_busy_poll_us(config),
		.backing = segments->backing == SHM_BACKING_POSIX ? "posix" : "memfd",
		.socket = server->options.endpoint->path,
		.pressure = server->options.pressure->path,
	};

	server->limits_bytes = facts.segment_bytes;
	server_limits(config, facts.segment_bytes, segments->options.page_shift, ret_limits);
	config_lines(config, &facts, before.serial + 1, &server->lines);
	ret_limits->config = server->lines;
	return before;
}

void server_tell_limits(struct server *server)
{
	struct session_event event = {.kind = EVENT_LIMITS};
	struct session_limits limits;
	struct session_config before = server_make_limits(server, &limits);

	event.limits = &limits;
	server_event(server, &event);
	config_free_lines(&before);
}

static void apply(struct server *server, const struct config *config)
{
	if (!take_changes(server, config))
		log_print(
			server->options.log, LOG_LEVEL_NOTICE,
			"configuration read again: nothing changed that can change while running");
	server_tell_limits(server); /* also where only the lines have moved */
}

void server_reload(struct server *server)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	struct config *config = calloc(1, sizeof(*config));

	if (errors && config) {
		config_init(config);
		if (server->options.config_file)
			config_read(config, server->options.config_file, errors);
		else if (server->options.read_system)
			config_read_system(config, "", errors);
		if (server->options.read_system && server->options.instance)
			config_read_instance(config, server->options.instance, errors);
		if (errors->n == 0)
			config_check_sizes(config, segments_bytes_wanted(server->options.segments),
					   errors);
		endpoint_check(config, errors);
		for (uint32_t i = 0; i < bits_min(errors->n, CONFIG_MAX_ERRORS); i++)
			log_event(server->options.log, LOG_LEVEL_ERROR, LOG_ID_CONFIG_REFUSED, NULL,
				  "%s", errors->text[i]);
		if (errors->n)
			log_event(server->options.log, LOG_LEVEL_ERROR, LOG_ID_CONFIG_REFUSED, NULL,
				  "the configuration stays as it was");
		else
			apply(server, config);
	}
	free(config);
	free(errors);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;

	(void)number;
	if (server->stopping)
		return;
	control_tell(server->options.control, CONTROL_RELOADING, NULL);
	CRASH_POINT(RELOAD_BEGUN);
	server_reload(server);
	CRASH_POINT(RELOAD_ENDED);
	control_tell(server->options.control, CONTROL_READY, "serving");
	server->status[0] = '\0';
}

static void on_stop(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;

	if (server->stopping)
		return;
	log_print(server->options.log, LOG_LEVEL_INFO, "%s: stopping",
		  number == SIGTERM ? "SIGTERM" : "SIGINT");
	server_stop(server);
}

static int open_one(struct server *server, uv_signal_t *handle, uv_signal_cb callback, int number)
{
	int r = uv_signal_init(&server->loop, handle);

	if (r)
		return r;
	handle->data = server;
	return uv_signal_start(handle, callback, number);
}

int server_open_signals(struct server *server)
{
	int r = open_one(server, &server->terminate, on_stop, SIGTERM);

	if (r == 0)
		r = open_one(server, &server->interrupt, on_stop, SIGINT);
	if (r == 0)
		r = open_one(server, &server->hangup, on_hangup, SIGHUP);
	return r;
}

/* A handle that was never initialized has no data. */
static void close_one(uv_signal_t *handle)
{
	if (handle->data && !uv_is_closing((uv_handle_t *)handle))
		uv_close((uv_handle_t *)handle, NULL);
}

void server_rest_signals(struct server *server)
{
	uv_signal_t *const watchers[] = {&server->terminate, &server->interrupt, &server->hangup};

	if (server->options.control->fd < 0) {
		server_close_signals(server);
		return;
	}
	for (size_t i = 0; i < sizeof(watchers) / sizeof(watchers[0]); i++)
		if (watchers[i]->data)
			uv_unref((uv_handle_t *)watchers[i]); /* the loop may end without it */
}

void server_close_signals(struct server *server)
{
	bool supervised = server->options.control->fd >= 0;
	sigset_t ours;

	/* libuv restores the defaults, and the supervisor's signal may yet come: it waits until it
	 * is ignored. */
	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGINT);
	(void)sigaddset(&ours, SIGHUP);
	if (supervised)
		(void)pthread_sigmask(SIG_BLOCK, &ours, NULL);
	close_one(&server->terminate);
	close_one(&server->interrupt);
	close_one(&server->hangup);
	if (!supervised)
		return;
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
}
