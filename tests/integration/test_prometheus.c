/* tests/integration/test_prometheus.c - what Prometheus' own tools make of the metrics, the alert
 * rules and the dashboard: promtool is silent, each series that is asked for is told, each
 * expression is one, and a real Prometheus scrapes the exporter. */
#include "tests/integration/clock.h"
#include "tests/integration/exporter.h"
#include "tests/integration/holder.h"
#include "tests/support/log_file.h"

#include <CUnit/CUnit.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern CU_TestInfo test_prometheus[];

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n[zone fast]\nsize = 25%\n";
static const char rules[] = PAGED_SOURCE_DIR "/packaging/prometheus/paged.rules.yml";
static const char rules_test[] = PAGED_SOURCE_DIR "/packaging/prometheus/paged.rules.test.yml";
static const char dashboard[] = PAGED_SOURCE_DIR "/packaging/grafana/paged.json";

static bool have_promtool(const char *test)
{
	if (access("/usr/bin/promtool", X_OK) == 0)
		return true;
	fixture_skip(test, "no promtool (Debian: prometheus)");
	return false;
}

/* --- promtool --- */

/* promtool reads stdin, which a shell gives it. */
static void promtool_has_nothing_to_say(void)
{
	struct fixture f;
	struct holder holder = {&f, "held", HOLDER_PRUNES, 100, 0};
	struct child child;
	struct program check;
	char line[512];
	uint64_t n;
	const char *argv[] = {"sh", "-c", line, NULL};

	if (!have_promtool("promtool has nothing to say"))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	(void)snprintf(line, sizeof(line), "%s --socket %s metrics | promtool check metrics",
		       fixture_pagectl(), f.socket);
	program_run(&check, argv);
	CU_ASSERT_EQUAL(check.status, 0);
	CU_ASSERT_STRING_EQUAL(check.out, "");
	CU_ASSERT_STRING_EQUAL(check.err, "");
	if (check.err[0])
		(void)fprintf(stderr, "%s\n", check.err);
	program_done(&check);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

static void promtool_takes_the_alert_rules(void)
{
	const char *argv[] = {"promtool",     "check", "rules", "--lint=all",
			      "--lint-fatal", rules,   NULL};
	struct program check;

	if (!have_promtool("promtool takes the alert rules"))
		return;
	program_run(&check, argv);
	CU_ASSERT_EQUAL(check.status, 0);
	CU_ASSERT_STRING_EQUAL(check.err, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(check.out, "SUCCESS: "));
	program_done(&check);
}

/* Each fires when it should, and none when all is well: packaging/prometheus/paged.rules.test.yml.
 */
static void each_alert_fires_when_it_should(void)
{
	const char *argv[] = {"promtool", "test", "rules", rules_test, NULL};
	struct program check;

	if (!have_promtool("each alert fires when it should"))
		return;
	program_run(&check, argv);
	CU_ASSERT_EQUAL(check.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(check.out, "SUCCESS"));
	if (check.status)
		(void)fprintf(stderr, "%s%s\n", check.out, check.err);
	program_done(&check);
}

/* --- series --- */

/* Is there a sample of that series? */
static bool is_told(const char *metrics, const char *series, size_t n)
{
	for (const char *line = metrics; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, series, n) == 0 && (line[n] == ' ' || line[n] == '{'))
			return true;
	}
	(void)fprintf(stderr, "no series %.*s\n", (int)n, series);
	return false;
}

/* Every word paged_... of the file. */
static void expect_series(const char *file, const char *metrics, uint32_t least)
{
	char *text = log_file_read(file);
	uint32_t n_words = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (const char *at = text; (at = strstr(at, "paged_")); n_words++) {
		size_t n = 0;

		while (isalnum((unsigned char)at[n]) || at[n] == '_')
			n++;
		CU_ASSERT_TRUE(is_told(metrics, at, n));
		at += n;
	}
	CU_ASSERT(n_words >= least);
	free(text);
}

static void each_series_of_rules_and_dashboard_is_told(void)
{
	struct fixture f;
	struct holder holder = {&f, "held", HOLDER_PRUNES, 100, 0};
	struct child child;
	struct program ctl;
	uint64_t n;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&child, &holder, &n));
	fixture_ctl(&f, &ctl, "metrics", NULL);
	expect_series(rules, ctl.out, 9);
	expect_series(dashboard, ctl.out, 40);
	program_done(&ctl);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* --- a Prometheus --- */

static void write_scrape_config(const struct fixture *f, const struct exporter *exporter,
				char ret_path[128])
{
	FILE *file;

	(void)snprintf(ret_path, 128, "%s/prometheus.yml", f->directory);
	file = fopen(ret_path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fprintf(file,
		      "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n"
		      "scrape_configs:\n  - job_name: paged\n    static_configs:\n"
		      "      - targets: ['%s']\n",
		      exporter->url + strlen("http://"));
	(void)fclose(file);
}

/* Asks until the answer to the query has the text. */
static bool answers(const char *port, const char *query, const char *text)
{
	char url[64], data[512];
	const char *argv[] = {"curl", "-sS", "-m", "5", url, "-G", "--data-urlencode", data, NULL};

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%s/api/v1/query", port);
	(void)snprintf(data, sizeof(data), "query=%s", query);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);) {
		struct program curl;
		bool found;

		program_run(&curl, argv);
		found = strstr(curl.out, text) != NULL;
		program_done(&curl);
		if (found)
			return true;
	}
	(void)fprintf(stderr, "no \"%s\" to %s\n", text, query);
	return false;
}

static bool prometheus_start(struct background *prometheus, const struct fixture *f,
			     const char *scrapes)
{
	char path[192], storage[192], log[128];
	const char *argv[] = {"prometheus",       path, storage, "--web.listen-address=127.0.0.1:0",
			      "--log.level=info", NULL};

	(void)snprintf(path, sizeof(path), "--config.file=%s", scrapes);
	(void)snprintf(storage, sizeof(storage), "--storage.tsdb.path=%s/tsdb", f->directory);
	(void)snprintf(log, sizeof(log), "%s/prometheus.log", f->directory);
	return background_start(prometheus, log, argv) &&
	       background_says(prometheus, "Server is ready");
}

/* It chose its port itself, and its log has none: the socket is looked up. */
static bool prometheus_port(const struct background *prometheus, char ret_port[8])
{
	char line[160];
	const char *argv[] = {"sh", "-c", line, NULL};
	struct program ss;

	(void)snprintf(
		line, sizeof(line),
		"ss -Hltnp 2>/dev/null | sed -n 's/.*127.0.0.1:\\([0-9]*\\) .*pid=%d,.*/\\1/p'",
		prometheus->pid);
	program_run(&ss, argv);
	(void)snprintf(ret_port, 8, "%.*s", (int)strcspn(ss.out, "\n"), ss.out);
	program_done(&ss);
	return ret_port[0] != '\0';
}

/* Text with each `what` replaced; the caller's. */
static char *replace(const char *text, const char *what, const char *with)
{
	size_t bytes = strlen(text) * 4 + 1;
	char *result = calloc(1, bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(result);
	for (const char *at = text; *at;) {
		size_t n = strlen(result);

		if (strncmp(at, what, strlen(what)) == 0) {
			(void)snprintf(result + n, bytes - n, "%s", with);
			at += strlen(what);
		} else {
			result[n] = *at++;
		}
	}
	return result;
}

/* An expression of the dashboard, its variables filled in as Grafana does. */
static void expect_expression(const char *port, const char *expression)
{
	char *step = replace(expression, "$__rate_interval", "1m");
	char *query = replace(step, "$instance", ".*");

	CU_ASSERT_TRUE(answers(port, query, "\"status\":\"success\""));
	free(query);
	free(step);
}

static void expect_dashboard(const char *port)
{
	json_error_t error;
	json_t *root, *panel, *target;
	size_t i, k;
	uint32_t n = 0;

	root = json_load_file(dashboard, 0, &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	json_array_foreach(json_object_get(root, "panels"), i, panel)
		json_array_foreach(json_object_get(panel, "targets"), k, target)
	{
		expect_expression(port, json_string_value(json_object_get(target, "expr")));
		n++;
	}
	CU_ASSERT(n > 30);
	json_decref(root);
}

static void a_real_prometheus_scrapes_it(void)
{
	struct exporter exporter;
	struct background prometheus;
	struct fixture f;
	char path[128], command[256], port[8];

	if (access("/usr/bin/prometheus", X_OK) != 0 || access("/usr/bin/ss", X_OK) != 0) {
		fixture_skip("a real Prometheus", "no prometheus, or no ss");
		return;
	}
	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(exporter_start(&exporter, &f, "127.0.0.1:0"));
	write_scrape_config(&f, &exporter, path);
	CU_ASSERT_TRUE(prometheus_start(&prometheus, &f, path));
	CU_ASSERT_TRUE(prometheus_port(&prometheus, port));
	CU_ASSERT_TRUE(answers(port, "paged_up", ",\"1\"]"));
	CU_ASSERT_TRUE(answers(port, "paged_zone_managed_bytes{zone=\"fast\"}", ",\"16777216\"]"));
	CU_ASSERT_TRUE(answers(port, "paged_nr_free_pages", ",\"16384\"]"));
	CU_ASSERT_TRUE(
		answers(port, "sum(paged_zone_free_bytes)/sum(paged_segment_bytes)", ",\"1\"]"));
	expect_dashboard(port);
	CU_ASSERT_EQUAL(background_end(&prometheus, SIGTERM), 0);
	(void)snprintf(command, sizeof(command), "rm -rf %s/tsdb %s", f.directory, path);
	CU_ASSERT_EQUAL(system(command), 0);
	exporter_end(&exporter);
	fixture_close(&f);
}

CU_TestInfo test_prometheus[] = {
	{"promtool has nothing to say", promtool_has_nothing_to_say},
	{"promtool takes the alert rules", promtool_takes_the_alert_rules},
	{"each alert fires when it should", each_alert_fires_when_it_should},
	{"each series of rules and dashboard is told", each_series_of_rules_and_dashboard_is_told},
	{"a real Prometheus scrapes it", a_real_prometheus_scrapes_it},
	CU_TEST_INFO_NULL,
};
