/* tests/integration/test_metrics.c - `pagectl metrics` and `pagectl exporter`: what is told, over
 * HTTP too, and an exporter that outlives its daemon. What Prometheus makes of it is in
 * test_prometheus.c. */
#include "tests/integration/clock.h"
#include "tests/integration/exporter.h"
#include "tests/integration/holder.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern CU_TestInfo test_metrics[];

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n[zone fast]\nsize = 25%\n";

/* --- the text --- */

/* The value of the series that starts so, as text; NULL if there is none. In place. */
static const char *value_of(const char *text, const char *series)
{
	size_t n = strlen(series);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, series, n) == 0 && line[n] == ' ')
			return line + n + 1;
	}
	(void)fprintf(stderr, "no series %s\n", series);
	return NULL;
}

static bool is(const char *text, const char *series, const char *value)
{
	const char *found = value_of(text, series);

	return found && strncmp(found, value, strlen(value)) == 0 && found[strlen(value)] == '\n';
}

static void metrics_tell_what_the_other_commands_tell(void)
{
	struct fixture f;
	struct holder holder = {&f, "quo\"te\\", HOLDER_PRUNES, 1000, 0};
	struct child child;
	struct program ctl;
	uint64_t n;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	fixture_ctl(&f, &ctl, "metrics", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_TRUE(is(ctl.out, "paged_up", "1"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_segment_bytes", "67108864"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_zone_managed_bytes{zone=\"fast\"}", "16777216"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_clients", "1"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_client_attach_total", "1"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_metrics_omitted{kind=\"client\"}", "0"));
	/* What a client calls itself is escaped, and does not end the label. */
	CU_ASSERT_PTR_NOT_NULL(
		value_of(ctl.out, "paged_client_owned_bytes{client=\"1\",name=\"quo\\\"te\\\\\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "paged_cache_objects{client=\"1\",cache=\"1\","));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "metrics", "--json", NULL);
	CU_ASSERT_EQUAL(ctl.status, 2);
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	program_done(&ctl);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* Every line is a comment of a series that follows, or a sample of the series told of last. */
static void each_sample_stands_below_its_help_and_type(void)
{
	struct fixture f;
	struct program ctl;
	char name[128] = "";
	uint32_t n_samples = 0;
	char *rest;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fixture_ctl(&f, &ctl, "metrics", NULL);
	rest = ctl.out;
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 7, " "),
				       line + 7);
			CU_ASSERT(strlen(line) > strlen(name) + 9);
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			CU_ASSERT_EQUAL(strncmp(line + 7, name, strlen(name)), 0);
			CU_ASSERT(strstr(line, strstr(name, "_total") ? " counter" : " gauge") !=
				  NULL);
		} else {
			n_samples++;
			CU_ASSERT_EQUAL(strcspn(line, "{ "), strlen(name));
			CU_ASSERT_EQUAL(strncmp(line, name, strlen(name)), 0);
		}
	}
	CU_ASSERT(n_samples > 60);
	program_done(&ctl);
	fixture_close(&f);
}

/* Two more clients than are told of. */
static void what_is_not_told_is_counted(void)
{
	enum { MANY = 258, TOLD = 256 };
	struct fixture f;
	struct program ctl;
	uint32_t n = 0;
	int fd[MANY];

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (uint32_t i = 0; i < MANY; i++)
		fd[i] = raw_hello(&f, 0, NULL);
	fixture_ctl(&f, &ctl, "metrics", NULL);
	CU_ASSERT_TRUE(is(ctl.out, "paged_clients", "258"));
	CU_ASSERT_TRUE(is(ctl.out, "paged_metrics_omitted{kind=\"client\"}", "2"));
	for (const char *at = ctl.out; (at = strstr(at, "\npaged_client_owned_bytes{")); at++)
		n++;
	CU_ASSERT_EQUAL(n, TOLD);
	program_done(&ctl);
	for (uint32_t i = 0; i < MANY; i++)
		(void)close(fd[i]);
	fixture_close(&f);
}

/* --- the exporter --- */

static bool has(const struct exporter *exporter, const char *path, const char *option,
		const char *value, const char *text)
{
	struct program curl;
	bool found;

	exporter_fetch(exporter, path, option, value, &curl);
	found = strstr(curl.out, text) != NULL;
	if (!found)
		(void)fprintf(stderr, "no \"%s\" in: %.300s\n", text, curl.out);
	program_done(&curl);
	return found;
}

/* A scrape does not wait for a daemon that is late, and says that it is down. */
static bool gets(const struct exporter *exporter, const char *text)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		struct program curl;
		bool found;

		exporter_fetch(exporter, "/metrics", NULL, NULL, &curl);
		found = strstr(curl.out, text) != NULL;
		program_done(&curl);
		if (found)
			return true;
	}
	return false;
}

static unsigned long scrapes(const struct exporter *exporter)
{
	static const char name[] = "\npaged_exporter_scrapes_total ";
	unsigned long n = 0;
	struct program curl;
	const char *at;

	exporter_fetch(exporter, "/metrics", NULL, NULL, &curl);
	at = strstr(curl.out, name);
	if (at)
		n = strtoul(at + strlen(name), NULL, 10);
	program_done(&curl);
	return n;
}

static void an_exporter_answers_as_http_wants_it(void)
{
	struct exporter exporter;
	unsigned long before;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, "127.0.0.1:0"));
	CU_ASSERT_TRUE(has(&exporter, "/metrics", "-i", NULL, "HTTP/1.1 200 OK"));
	CU_ASSERT_TRUE(has(&exporter, "/metrics", "-i", NULL, "text/plain; version=0.0.4"));
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_segment_bytes 67108864\n"));
	before = scrapes(&exporter);
	CU_ASSERT(before >= 4);
	CU_ASSERT_EQUAL(scrapes(&exporter), before + 1);
	CU_ASSERT_TRUE(has(&exporter, "/metrics", "-I", NULL, "HTTP/1.1 200 OK"));
	CU_ASSERT_TRUE(has(&exporter, "/-/healthy", "-i", NULL, "\r\n\r\nok\n"));
	CU_ASSERT_TRUE(has(&exporter, "/", "-i", NULL, "HTTP/1.1 404"));
	CU_ASSERT_TRUE(has(&exporter, "/metrics?x=1", "-i", NULL, "HTTP/1.1 200 OK"));
	CU_ASSERT_TRUE(has(&exporter, "/metricsx", "-i", NULL, "HTTP/1.1 404"));
	CU_ASSERT_TRUE(has(&exporter, "/metrics", "-i", "-XDELETE", "HTTP/1.1 405"));
	CU_ASSERT_TRUE(has(&exporter, "/metrics", "-i", "-dbody", "Allow: GET, HEAD"));
	exporter_end(&exporter);
	fixture_close(&f);
}

/* A connection to the exporter, for bytes that curl would not send. */
static int dial(const struct exporter *exporter)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)atoi(strrchr(exporter->url, ':') + 1));
	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void garbage_and_many_connections_end_no_exporter(void)
{
	static const char *const garbage[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"\xff\xfe\x00",
		"GET /metrics HTTP/9.9\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	static char large[32768];
	struct exporter exporter;
	struct fixture f;
	int fd[40];

	memset(large, 'x', sizeof(large));
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, "127.0.0.1:0"));
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int one = dial(&exporter);

		(void)send(one, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL);
		(void)close(one);
		CU_ASSERT_TRUE(has(&exporter, "/-/healthy", NULL, NULL, "ok\n"));
	}
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		fd[i] = dial(&exporter);
		(void)send(fd[i], large, i % 2 ? sizeof(large) : 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		(void)close(fd[i]);
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_up 1\n"));
	exporter_end(&exporter);
	fixture_close(&f);
}

static void an_exporter_finds_the_next_daemon(void)
{
	struct exporter exporter;
	struct fixture f;
	struct program curl;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, "127.0.0.1:0"));
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_up 1\n"));
	/* A server dies, and its supervisor starts another: another epoch of the same segment. */
	server = fixture_server(&f);
	CU_ASSERT(server > 0);
	CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_server_starts_total 2\n"));
	fixture_stop(&f);
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_up 0\n"));
	exporter_fetch(&exporter, "/metrics", NULL, NULL, &curl); /* nothing of the past */
	CU_ASSERT_PTR_NULL(strstr(curl.out, "paged_segment_bytes"));
	program_done(&curl);
	CU_ASSERT_TRUE(has(&exporter, "/-/healthy", NULL, NULL, "ok\n"));
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(gets(&exporter, "\npaged_up 1\n"));
	CU_ASSERT_TRUE(
		has(&exporter, "/metrics", NULL, NULL, "\npaged_exporter_connects_total 3\n"));
	exporter_end(&exporter);
	fixture_close(&f);
}

static void an_exporter_listens_at_a_unix_socket(void)
{
	struct exporter exporter;
	struct fixture f;
	struct program curl;
	bool found = false;
	char where[128];
	const char *argv[] = {"curl", "-sS", "--unix-socket", where + 5, "http://x/metrics", NULL};

	CU_ASSERT_TRUE(fixture_open(&f, config));
	(void)snprintf(where, sizeof(where), "unix:%s/exporter.sock", f.directory);
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, where));
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); !found && clock_pause(until);) {
		program_run(&curl, argv);
		found = is(curl.out, "paged_up", "1");
		program_done(&curl);
	}
	CU_ASSERT_TRUE(found);
	/* Who was killed leaves a socket that the next one takes over. */
	CU_ASSERT_EQUAL(background_end(&exporter.background, SIGKILL), -SIGKILL);
	free(exporter.url);
	CU_ASSERT_EQUAL(access(where + 5, F_OK), 0);
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, where));
	CU_ASSERT_STRING_EQUAL(exporter.url, where);
	exporter_end(&exporter);
	CU_ASSERT_NOT_EQUAL(access(where + 5, F_OK), 0);
	fixture_close(&f);
}

static void wrong_places_are_said(void)
{
	static const struct {
		const char *where;
		int status;
	} places[] = {{"", 2},
		      {"9000", 2},
		      {":9000", 2},
		      {"127.0.0.1:", 2},
		      {"::1", 2},
		      {"127.0.0.1:99999", 2},
		      {"unix:relative", 2},
		      {"127.0.0.1:x", 2},
		      {"unix:/nowhere/x", 1},
		      {"unix:/etc/passwd", 1},
		      {"192.0.2.1:0", 1}};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *argv[] = {fixture_pagectl(), "exporter", "--listen", places[i].where,
				      NULL};
		struct program ctl;

		program_run(&ctl, argv);
		CU_ASSERT_EQUAL(ctl.status, places[i].status);
		CU_ASSERT_TRUE(program_said_one_line(&ctl));
		if (ctl.status != places[i].status)
			(void)fprintf(stderr, "%s: %d, %s\n", places[i].where, ctl.status, ctl.err);
		program_done(&ctl);
	}
}

CU_TestInfo test_metrics[] = {
	{"metrics tell what the other commands tell", metrics_tell_what_the_other_commands_tell},
	{"each sample stands below its help and type", each_sample_stands_below_its_help_and_type},
	{"what is not told is counted", what_is_not_told_is_counted},
	{"an exporter answers as HTTP wants it", an_exporter_answers_as_http_wants_it},
	{"garbage and many connections end no exporter",
	 garbage_and_many_connections_end_no_exporter},
	{"an exporter finds the next daemon", an_exporter_finds_the_next_daemon},
	{"an exporter listens at a Unix socket", an_exporter_listens_at_a_unix_socket},
	{"wrong places are said", wrong_places_are_said},
	CU_TEST_INFO_NULL,
};
