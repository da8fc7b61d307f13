/* daemon/host/signals.c - SIGTERM and SIGINT stop, SIGHUP reads the configuration again.
 *
 * Without a supervisor the watchers are closed with the first signal; with the last watcher gone
 * libuv restores the default disposition, so that a second signal ends the process at once. With
 * one they stay, and do nothing more: a terminal and a service manager signal both of us, and the
 * supervisor passes its signal on. */
#include "daemon/host/server.h"

#include "paged/bits.h"

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

struct session_limits server_limits(const struct config *config, uint64_t segment_bytes,
				    uint32_t page_shift)
{
	const struct config_value *value = config->value;
	uint64_t client_max = config_bytes(&value[CONFIG_limits_client_max], segment_bytes);

	return (struct session_limits){
		.connections = (uint32_t)value[CONFIG_limits_connections].n,
		.handshakes = (uint32_t)value[CONFIG_limits_handshakes].n,
		.handshake_ns = HANDSHAKE_NS,
		.client_max_frames = client_max ? bits_max(client_max >> page_shift, 1) : 0,
		.shrink_deadline_ns = value[CONFIG_reclaim_deadline].n * 1000000,
		.breaker_ns = value[CONFIG_reclaim_breaker].n * 1000000,
		.alloc_timeout_max_ns = ALLOC_TIMEOUT_MAX_NS,
		.admin_uid = geteuid(),
	};
}

/* Logs what is new; true if anything is that counts at once. */
static bool log_changes(const struct server *server, const struct config *config)
{
	bool any = false;

	for (uint32_t i = 0; i < CONFIG_NR_KEYS; i++) {
		const struct config_info *info = config_info((enum config_key)i);
		const char *before = server->options.config->value[i].text;
		const char *now = config->value[i].text;
		bool live = info->flags & CONFIG_LIVE;

		if (strcmp(before, now) == 0)
			continue;
		any |= live;
		log_print(server->options.log, LOG_LEVEL_NOTICE, "%s.%s: %s, was %s%s",
			  info->section, info->key, now, before,
			  live ? "" : "; takes effect at the next start");
	}
	return any;
}

static void apply(struct server *server, struct config *config)
{
	const struct segments *segments = server->options.segments;
	struct session_limits limits =
		server_limits(config, segments->data_bytes, segments->options.page_shift);
	struct session_event event = {.kind = EVENT_LIMITS, .limits = &limits};

	if (log_changes(server, config))
		server_event(server, &event);
	else
		log_print(
			server->options.log, LOG_LEVEL_NOTICE,
			"configuration read again: nothing changed that can change while running");
	*server->options.config = *config;
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
			config_read_system(config, errors);
		if (errors->n == 0)
			config_check_sizes(config, server->options.segments->data_bytes, errors);
		for (uint32_t i = 0; i < bits_min(errors->n, CONFIG_MAX_ERRORS); i++)
			log_print(server->options.log, LOG_LEVEL_ERROR, "%s", errors->text[i]);
		if (errors->n)
			log_print(server->options.log, LOG_LEVEL_ERROR,
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
	server_reload(server);
	control_tell(server->options.control, CONTROL_READY, "serving");
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
	close_one(&server->terminate);
	close_one(&server->interrupt);
	close_one(&server->hangup);
	if (server->options.control->fd < 0)
		return;
	/* libuv has just restored the defaults, and the supervisor's signal may yet come. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
}
