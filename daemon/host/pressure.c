/* daemon/host/pressure.c - where pressure comes into the server, and where it leaves it for those
 * who are no clients: machine.h and psi_socket.h, joined to the session. */
#include "daemon/host/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the machine ---------------------------------------------------------------------------- */

static void on_level(void *arg, uint32_t level)
{
	static const char *const words[] = {"none", "low", "medium", "critical"};
	struct server *server = arg;
	struct session_event event = {.kind = EVENT_PRESSURE, .level = level};
	struct log_fields fields = {0};

	log_field(&fields, "PAGED_LEVEL=%s", words[level]);
	log_event(server->options.log, LOG_LEVEL_INFO, LOG_ID_MACHINE_PRESSURE, &fields,
		  "memory pressure of the machine: %s", words[level]);
	server_event(server, &event);
}

static void open_machine(struct server *server)
{
	const struct config_value *root =
		&server->options.config->value[CONFIG_reclaim_cgroup_root];
	struct machine_options options = {
		.log = server->options.log,
		/* Who shows us a cgroup wants that one to count. */
		.proc = root->kind == CONFIG_IS_NUMBER ? NULL : "/proc",
		.headroom = server->options.segments->options.headroom,
		.watch = getenv("MEMORY_PRESSURE_WATCH"),
		.write = getenv("MEMORY_PRESSURE_WRITE"),
		.on_level = on_level,
		.arg = server,
	};
	int r = machine_open(&server->loop, &options, &server->machine);

	if (r)
		log_print(server->options.log, LOG_LEVEL_WARNING,
			  "memory pressure of the machine is not watched: %s", strerror(-r));
}

/* --- the socket ----------------------------------------------------------------------------- */

static uint64_t stalled_ns(void *arg, enum shm_psi_kind kind)
{
	const struct server *server = arg;

	return session_stalled_ns(server->session, kind, uv_hrtime());
}

static bool is_stalled(void *arg)
{
	const struct server *server = arg;

	return session_is_stalled(server->session);
}

static void open_socket(struct server *server)
{
	struct endpoint *endpoint = server->options.pressure;
	struct psi_socket_options options = {
		.stalled_ns = stalled_ns, .is_stalled = is_stalled, .arg = server};
	char text[SHM_TEXT_BYTES];
	int r;

	if (!endpoint || !endpoint->path[0])
		return;
	if (endpoint_open(endpoint, server->options.config, text, sizeof(text))) {
		log_print(server->options.log, LOG_LEVEL_WARNING, "no pressure socket: %s", text);
		endpoint->path[0] = '\0'; /* not ours */
		return;
	}
	options.listen_fd = endpoint->fd;
	r = psi_socket_open(&server->loop, &options, &server->psi_socket);
	if (r) {
		log_print(server->options.log, LOG_LEVEL_WARNING, "no pressure socket: %s",
			  strerror(-r));
		endpoint_close(endpoint);
	}
	endpoint->fd = -1;
}

void server_open_pressure(struct server *server)
{
	open_machine(server);
	open_socket(server);
}

void server_close_pressure(struct server *server)
{
	if (server->psi_socket) {
		endpoint_unlink(server->options.pressure); /* before another may make its own */
		psi_socket_close(server->psi_socket);
	}
	if (server->machine)
		machine_close(server->machine);
	server->psi_socket = NULL;
	server->machine = NULL;
}
