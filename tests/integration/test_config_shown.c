/* tests/integration/test_config_shown.c - `pagectl config`: what counts, where it stands, and what
 * changed since. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

extern CU_TestInfo test_config_shown[];

/* The row of that key; NULL if there is none, or none with that origin. */
static const json_t *find(const json_t *root, const char *section, const char *key,
			  const char *origin)
{
	const json_t *keys = json_object_get(root, "keys");

	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *row = json_array_get(keys, i);
		const char *from = json_string_value(json_object_get(row, "origin"));

		if (strcmp(json_string_value(json_object_get(row, "section")), section) == 0 &&
		    strcmp(json_string_value(json_object_get(row, "key")), key) == 0 && from &&
		    strlen(from) >= strlen(origin) &&
		    strcmp(from + strlen(from) - strlen(origin), origin) == 0)
			return row;
	}
	return NULL;
}

static bool is(const json_t *row, const char *field, const char *text)
{
	const char *value = row ? json_string_value(json_object_get(row, field)) : NULL;

	return value && strcmp(value, text) == 0;
}

static void each_key_has_its_value_and_its_line(void)
{
	struct fixture f;
	struct program ctl;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
					"[reclaim]\nmin_free = 25%\n"
					"[client name=web]\nhigh = 50%\n"));
	root = fixture_ctl_json(&f, "config");
	CU_ASSERT_TRUE(is(find(root, "segment", "size", ".conf:2"), "value", "64M"));
	CU_ASSERT_TRUE(is(find(root, "reclaim", "min_free", ".conf:5"), "means", "16M"));
	CU_ASSERT_TRUE(is(find(root, "client name=web", "high", ".conf:7"), "means", "32M"));
	CU_ASSERT_TRUE(is(find(root, "socket", "path", "default"), "means", f.socket));
	CU_ASSERT_TRUE(is(find(root, "limits", "handshakes", "default"), "value", "64"));
	CU_ASSERT_PTR_NULL(json_object_get(find(root, "segment", "size", ".conf:2"), "means"));
	json_decref(root);
	fixture_ctl(&f, &ctl, "config", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "ORIGIN"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "client name=web.high"));
	program_done(&ctl);
	fixture_close(&f);
}

static void put_file(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

/* A cgroup of 128 MiB, as far as its files say. */
static void a_percentage_is_of_the_limit_of_the_cgroup(void)
{
	static const char *const files[] = {"memory.max", "memory.current", "memory.stat"};
	struct fixture f;
	char text[256], path[128];
	json_t *root;

	fixture_make(&f, "");
	put_file(&f, files[0], "134217728\n");
	put_file(&f, files[1], "0\n");
	put_file(&f, files[2], "inactive_file 0\n");
	(void)snprintf(text, sizeof(text),
		       "[segment]\nsize = 50%%\nbacking = memfd\n[reclaim]\ncgroup_root = %s\n",
		       f.directory);
	fixture_configure(&f, text);
	CU_ASSERT_TRUE(fixture_start(&f));
	root = fixture_ctl_json(&f, "config");
	CU_ASSERT_TRUE(is(find(root, "segment", "size", ".conf:2"), "value", "50%"));
	CU_ASSERT_TRUE(is(find(root, "segment", "size", ".conf:2"), "means", "64M"));
	json_decref(root);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f.directory, files[i]);
		CU_ASSERT_EQUAL(unlink(path), 0);
	}
	fixture_close(&f);
}

static void a_reload_and_a_set_are_seen(void)
{
	struct fixture f;
	struct program ctl;
	pageclient *client;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	client = fixture_client(&f, "web");
	/* The same values elsewhere, and one that is new. */
	fixture_configure(&f, "# moved\n\n[segment]\nsize = 64M\nbacking = memfd\n"
			      "[reclaim]\ndeadline = 2s\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "reclaim.deadline: 2s, was 1000ms"));
	fixture_ctl(&f, &ctl, "set", "web", "max=8M", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	root = fixture_ctl_json(&f, "config");
	CU_ASSERT_TRUE(is(find(root, "segment", "size", ".conf:4"), "value", "64M"));
	CU_ASSERT_TRUE(is(find(root, "reclaim", "deadline", ".conf:7"), "value", "2s"));
	CU_ASSERT_TRUE(is(find(root, "client 1 (web)", "max", "pagectl set"), "value", "8M"));
	json_decref(root);
	pageclient_close(client);
	fixture_close(&f);
}

static void what_waits_for_the_next_start_is_told(void)
{
	struct fixture f;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	fixture_configure(&f, "[segment]\nsize = 128M\nbacking = memfd\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "segment.size: 128M, was 64M; takes effect"));
	root = fixture_ctl_json(&f, "config");
	CU_ASSERT_TRUE(is(find(root, "segment", "size", ".conf:2"), "value", "64M"));
	CU_ASSERT_TRUE(
		is(find(root, "segment", "size", ".conf:2"), "means", "128M at the next start"));
	json_decref(root);
	/* Taken back. */
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "nothing changed that can change while running"));
	root = fixture_ctl_json(&f, "config");
	CU_ASSERT_PTR_NULL(json_object_get(find(root, "segment", "size", ".conf:2"), "means"));
	json_decref(root);
	fixture_close(&f);
}

/* Of what has a layout the operator has to know before an upgrade restarts the daemon. */
static void zones_wait_for_the_next_start_too(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
					"[zone a]\nsize = 8M\n"));
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
			      "[zone a]\nsize = 8M\n[zone b]\nsize = 8M\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "[zone] sections: 2, were 1, or others; take effect at "
					    "the next start, with a new segment"));
	CU_ASSERT_EQUAL(truncate(f.log, 0), 0);
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
			      "[zone a]\nsize = 8M\nfallback = none\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "[zone] sections: 1, were 1, or others"));
	CU_ASSERT_EQUAL(truncate(f.log, 0), 0);
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
			      "[zone a]\nsize = 8192K\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "nothing changed that can change while running"));
	CU_ASSERT_FALSE(fixture_log_has(&f, "[zone]"));
	fixture_close(&f);
}

/* access = observe counts when a client attaches: who has frames keeps them, over a new server,
 * too. */
static void who_is_attached_stays_when_it_may_only_observe(void)
{
	struct fixture f;
	struct pageclient_options options;
	pageclient *client, *other = NULL;
	char *frame;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"));
	client = fixture_client(&f, "web");
	frame = pageclient_alloc(client, 3, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
			      "[client name=web]\naccess = observe\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "[client] sections: 1, were 0"));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.name = "web";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	CU_ASSERT_EQUAL(pageclient_open(&options, &other), -EACCES);
	pageclient_free(client, frame, 3);
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&f, "another one takes over"));
	frame = pageclient_alloc(client, 4, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	pageclient_free(client, frame, 4);
	pageclient_close(client);
	fixture_close(&f);
}

static void who_may_observe_only_is_refused_and_looks_all_the_same(void)
{
	struct fixture f;
	struct pageclient_options options;
	pageclient *client = NULL;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
					"[client name=*]\naccess = observe\n"));
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f.socket;
	options.name = "web";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -EACCES);
	CU_ASSERT_PTR_NULL(client);
	root = fixture_ctl_json(&f, "status");
	json_decref(root);
	fixture_close(&f);
}

CU_TestInfo test_config_shown[] = {
	{"each key has its value and its line", each_key_has_its_value_and_its_line},
	{"a percentage is of the limit of the cgroup", a_percentage_is_of_the_limit_of_the_cgroup},
	{"a reload and a set are seen", a_reload_and_a_set_are_seen},
	{"what waits for the next start is told", what_waits_for_the_next_start_is_told},
	{"zones wait for the next start, too", zones_wait_for_the_next_start_too},
	{"who is attached stays when it may only observe",
	 who_is_attached_stays_when_it_may_only_observe},
	{"who may observe only is refused, and looks all the same",
	 who_may_observe_only_is_refused_and_looks_all_the_same},
	CU_TEST_INFO_NULL,
};
