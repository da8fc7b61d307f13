/* pagectl/exporter.c - exporter: the metrics over HTTP, for Prometheus.
 *
 * A program of its own and not a part of the daemon: what strangers write to an HTTP server is
 * parsed by libmicrohttpd, and a mistake there must not be one in the process that owns the frames.
 * It has what an observer has, META read-only, and its unit takes the rest away
 * (systemd/paged-exporter.service.in).
 *
 * One thread: libmicrohttpd's own epoll descriptor and a signalfd in one poll(). Bounded: at most
 * CONNECTIONS_MAX connections, of one address CONNECTIONS_OF_ADDRESS, each with a buffer of
 * CONNECTION_BYTES and an end after IDLE_S idle seconds; bodies of requests are refused with their
 * method.
 *
 *   GET, HEAD /metrics     everything of metrics.h; paged_up 0 and little else without a daemon
 *   GET, HEAD /-/healthy   the exporter lives, whatever the daemon does
 *   another path 404, another method 405 */
#include "pagectl/follow.h"
#include "pagectl/listen.h"
#include "pagectl/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Two Prometheus, a person with curl, and some that hang. Lower: they lock each other out; higher:
 * more memory for strangers. */
#define CONNECTIONS_MAX 16u
#define CONNECTIONS_OF_ADDRESS 8u
#define CONNECTION_BYTES 8192u /* of headers: what Prometheus and browsers send is below 2 KiB */
#define IDLE_S 15u             /* Prometheus keeps a connection between scrapes, or comes anew */

struct exporter {
	struct pagectl *ctl;
	uint64_t nr_scrapes, nr_connects;
	struct MHD_Daemon *http;
};

/* --- answers ---------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status, void *body,
			      size_t bytes, enum MHD_ResponseMemoryMode mode, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes, body, mode);
	enum MHD_Result r;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO; /* closes the connection */
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
				   char *text)
{
	return answer(connection, status, text, strlen(text), MHD_RESPMEM_MUST_COPY,
		      "text/plain; charset=utf-8");
}

/* META of a daemon that is there now, or NULL. Of one that has gone nothing is told, and its META
 * let go: it would keep the memory of a segment that nobody else has any more. */
static const struct shm_view *look(struct exporter *exporter)
{
	struct pagectl *ctl = exporter->ctl;
	bool stood = ctl->connection.fd >= 0 && follow_daemon_stands(ctl);

	if (!follow_daemon(ctl)) {
		shm_view_detach(&ctl->view);
		return NULL;
	}
	exporter->nr_connects += !stood;
	return &ctl->view;
}

static enum MHD_Result answer_metrics(struct exporter *exporter, struct MHD_Connection *connection)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);
	bool failed;

	if (!file)
		return MHD_NO;
	exporter->nr_scrapes++;
	metrics_write(look(exporter), file);
	metrics_write_number("exporter_scrapes_total", "counter", "Scrapes that were answered.",
			     exporter->nr_scrapes, file);
	metrics_write_number("exporter_connects_total", "counter",
			     "Times that the exporter came to the daemon's counters.",
			     exporter->nr_connects, file);
	failed = ferror(file);
	failed |= fclose(file) != 0;
	if (failed) {
		free(text);
		return MHD_NO; /* no half of an answer */
	}
	return answer(connection, MHD_HTTP_OK, text, bytes, MHD_RESPMEM_MUST_FREE,
		      METRICS_CONTENT_TYPE);
}

/* libmicrohttpd calls for the headers of a request, and once more when all of it is there. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **request)
{
	static char seen, healthy[] = "ok\n", lost[] = "not here; /metrics would be right\n",
			  refused[] = "GET or HEAD would be right\n";

	(void)version;
	(void)upload;
	(void)upload_bytes;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, refused);
	if (!*request) {
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_bytes) { /* a GET with a body: of no meaning, and not kept */
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(arg, connection);
	if (strcmp(url, "/-/healthy") == 0)
		return answer_text(connection, MHD_HTTP_OK, healthy);
	return answer_text(connection, MHD_HTTP_NOT_FOUND, lost);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* SIGTERM and SIGINT as a descriptor. */
static int open_signals(void)
{
	sigset_t ours;

	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &ours, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until a signal comes. */
static int serve(struct exporter *exporter, int signal_fd)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(exporter->http, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = {{.fd = signal_fd, .events = POLLIN},
				{.fd = info ? info->epoll_fd : -1, .events = POLLIN}};

	while (!(fds[0].revents & POLLIN)) {
		MHD_UNSIGNED_LONG_LONG ms;
		int timeout = -1;

		if (MHD_get_timeout(exporter->http, &ms) == MHD_YES)
			timeout = ms < 60000 ? (int)ms : 60000;
		if (poll(fds, 2, timeout) < 0 && errno != EINTR) {
			fprintf(stderr, "pagectl: exporter: %s\n", strerror(errno));
			return PAGECTL_FAILED;
		}
		(void)MHD_run(exporter->http);
	}
	return PAGECTL_OK;
}

static int run(struct exporter *exporter, int listen_fd, const char *where)
{
	int signal_fd = open_signals();
	int r = PAGECTL_FAILED;

	if (signal_fd >= 0)
		exporter->http = MHD_start_daemon(
			MHD_USE_EPOLL, 0, NULL, NULL, on_request, exporter,
			MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
			CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_OF_ADDRESS,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
			MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
	if (!exporter->http) {
		fputs("pagectl: exporter: the HTTP server cannot start\n", stderr);
		close(listen_fd);
	} else {
		fprintf(stderr, "pagectl: exporter: listening at %s\n", where);
		r = serve(exporter, signal_fd);
		MHD_stop_daemon(exporter->http); /* closes listen_fd */
	}
	if (signal_fd >= 0)
		close(signal_fd);
	return r;
}

int run_exporter(struct pagectl *ctl)
{
	struct exporter exporter = {.ctl = ctl};
	char text[LISTEN_TEXT_BYTES];
	int fd, r;

	r = listen_open(ctl->listen, &fd, text, sizeof(text));
	if (r) {
		fprintf(stderr, "pagectl: exporter: %s\n", text);
		return r == -EINVAL ? PAGECTL_USAGE : PAGECTL_FAILED;
	}
	ctl->connection = (struct connection){.fd = -1, .meta_fd = -1};
	r = run(&exporter, fd, text);
	listen_unlink(ctl->listen);
	shm_view_detach(&ctl->view);
	connection_close(&ctl->connection);
	return r;
}
