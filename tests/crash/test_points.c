/* tests/crash/test_points.c - kill -9 of the server or the supervisor at every named crash point.
 *
 * For each point of paged/crash_point.h a daemon of its own is driven there and dies. Then it
 * serves again, started by its supervisor or by us; every invariant holds, a client that held
 * frames before has them as they were and goes on, and once it is gone every frame is free and no
 * file is left over. A point that has no row here, or is not reached, fails. */
#include "paged/crash_point.h"

#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FRAMES 40u
#define BLOCK_ORDER 10u /* no magazine has it: a request */
/* So many that holes have to be committed, and fewer than there are. */
#define VISITOR_FRAMES 8192u

static const char config[] = "[segment]\nsize = 64M\nbacking = posix\n[pcp]\nbatch = 16\n";

struct scene {
	struct fixture fixture;
	struct child guest;   /* a client that holds frames */
	struct child visitor; /* one that comes and goes */
	char at[128];         /* PAGED_CRASH_AT */
	uint32_t n_calls;     /* of the guest, not answered yet */
	unsigned n_files;     /* that are to be there in the end */
};

enum { GUEST_CALL = 1, GUEST_VERIFY };

/* --- clients --------------------------------------------------------------------------------- */

static pageclient *open_client(const struct scene *scene, const char *name)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = scene->fixture.socket;
	options.name = name;
	options.connect_timeout_ms = options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	return pageclient_open(&options, &client) ? NULL : client;
}

static bool is_filled(const unsigned char *frame, uint32_t with)
{
	for (uint32_t at = 0; at < 4096; at++)
		if (frame[at] != with)
			return false;
	return true;
}

/* Its process is the client: it ends without a close, for the daemon may be away. */
static int be_guest(int fd, void *arg)
{
	pageclient *client = open_client(arg, "guest");
	unsigned char *frame[FRAMES];
	uint64_t word;

	CHILD_CHECK(client != NULL);
	for (uint32_t i = 0; i < FRAMES; i++) {
		frame[i] = pageclient_alloc(client, 0, 0);
		CHILD_CHECK(frame[i] != NULL);
		memset(frame[i], (int)i + 1, 4096);
	}
	CHILD_CHECK(child_say(fd, FRAMES));
	while (recv(fd, &word, sizeof(word), 0) == (ssize_t)sizeof(word)) {
		void *block = word == GUEST_CALL ? pageclient_alloc(client, BLOCK_ORDER, 0) : NULL;

		CHILD_CHECK(word != GUEST_CALL || block);
		if (block)
			pageclient_free(client, block, BLOCK_ORDER);
		for (uint32_t i = 0; i < FRAMES; i++)
			CHILD_CHECK(is_filled(frame[i], i + 1));
		CHILD_CHECK(child_say(fd, word));
	}
	return 0;
}

/* Whatever becomes of it. */
static int be_visitor(int fd, void *arg)
{
	pageclient *client = open_client(arg, "visitor");

	(void)fd;
	for (uint32_t i = 0; client && i < VISITOR_FRAMES; i++)
		if (!pageclient_alloc(client, 0, 0))
			break;
	pageclient_close(client);
	return 0;
}

/* One that wants a purge table; by hand, so that the library's own time does not matter. */
static int be_purger(int fd, void *arg)
{
	const struct scene *scene = arg;
	struct raw *raw = calloc(1, sizeof(*raw));
	int daemon = raw_hello(&scene->fixture, 0, NULL);

	(void)fd;
	CHILD_CHECK(raw && daemon >= 0);
	raw_request(raw, 1, MESSAGE_PURGE_TABLE, RAW_FIELDS(64));
	CHILD_CHECK(raw_send(daemon, raw) && raw_is_closed(daemon));
	free(raw);
	return 0;
}

static void start_guest(struct scene *scene)
{
	CU_ASSERT_TRUE(child_start(&scene->guest, be_guest, scene));
	CU_ASSERT_TRUE(child_expect(scene->guest.fd, FRAMES));
}

static void ask_guest(struct scene *scene, uint64_t word)
{
	scene->n_calls++;
	CU_ASSERT_TRUE(child_say(scene->guest.fd, word));
}

/* --- a daemon that dies ---------------------------------------------------------------------- */

static void with_crash_at(struct fixture *fixture)
{
	const struct scene *scene = fixture->arg;

	(void)setenv("PAGED_CRASH_AT", scene->at, 1);
}

/* Whole or not at all. */
static void arm(const struct scene *scene, const char *name)
{
	char path[sizeof(scene->at) + 4];
	int fd;

	(void)snprintf(path, sizeof(path), "%s.new", scene->at);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(write(fd, name, strlen(name)), (ssize_t)strlen(name));
	(void)close(fd);
	CU_ASSERT_EQUAL(rename(path, scene->at), 0);
}

static bool is_hit(const struct scene *scene)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); access(scene->at, F_OK) == 0;)
		if (!clock_pause(until))
			return false;
	return true;
}

static void scene_open(struct scene *scene)
{
	*scene = (struct scene){
		.guest = {.pid = -1, .fd = -1}, .visitor = {.pid = -1, .fd = -1}, .n_files = 3};
	fixture_make(&scene->fixture, config);
	scene->fixture.before_exec = with_crash_at;
	scene->fixture.arg = scene;
	(void)snprintf(scene->at, sizeof(scene->at), "%s/crash_at", scene->fixture.directory);
}

/* Somebody serves: a Hello that met the end of the one that died is said again. */
static bool observe(struct scene *scene, struct observer *observer)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (!observer_open(observer, &scene->fixture))
		if (!clock_pause(until))
			return false;
	return true;
}

static void scene_close(struct scene *scene)
{
	struct observer observer;

	if (!scene->fixture.pid)
		CU_ASSERT_TRUE(fixture_start(&scene->fixture));
	CU_ASSERT_TRUE(observe(scene, &observer));
	if (scene->guest.pid < 0)
		start_guest(scene);
	ask_guest(scene, GUEST_VERIFY);
	ask_guest(scene, GUEST_CALL);
	for (uint64_t answer; scene->n_calls; scene->n_calls--)
		CU_ASSERT_TRUE(child_hear(scene->guest.fd, &answer));
	CU_ASSERT_TRUE(fixture_check(&scene->fixture));
	CU_ASSERT_EQUAL(child_end(&scene->guest), 0);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	CU_ASSERT_TRUE(fixture_check(&scene->fixture));
	observer_close(&observer);
	CU_ASSERT_EQUAL(fixture_count_segments(&scene->fixture), scene->n_files);
	fixture_close(&scene->fixture);
}

/* --- ways to get there ----------------------------------------------------------------------- */

/* Before anything serves. A server that dies is followed by another. */
static void first_start(struct scene *scene, const char *name)
{
	arm(scene, name);
	CU_ASSERT_TRUE(fixture_start(&scene->fixture));
}

static void first_start_of_all(struct scene *scene, const char *name)
{
	arm(scene, name);
	CU_ASSERT_EQUAL(fixture_fail(&scene->fixture), -SIGKILL);
}

static void serve_a_guest(struct scene *scene)
{
	CU_ASSERT_TRUE(fixture_start(&scene->fixture));
	start_guest(scene);
}

static void next_server(struct scene *scene, const char *name)
{
	pid_t server;

	serve_a_guest(scene);
	server = fixture_server(&scene->fixture);
	arm(scene, name);
	CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
}

static void visit(struct scene *scene, const char *name)
{
	serve_a_guest(scene);
	arm(scene, name);
	CU_ASSERT_TRUE(child_start(&scene->visitor, be_visitor, scene));
}

static void ask_for_a_table(struct scene *scene, const char *name)
{
	serve_a_guest(scene);
	arm(scene, name);
	CU_ASSERT_TRUE(child_start(&scene->visitor, be_purger, scene));
}

static void resume(struct scene *scene, const char *name)
{
	next_server(scene, name);
	ask_guest(scene, GUEST_CALL);
}

/* Nobody kept its CTL: the guest brings it. */
static void resume_with_ctl(struct scene *scene, const char *name)
{
	serve_a_guest(scene);
	fixture_kill(&scene->fixture);
	CU_ASSERT_TRUE(fixture_start(&scene->fixture));
	arm(scene, name);
	ask_guest(scene, GUEST_CALL);
}

static void drain(struct scene *scene, const char *name)
{
	struct program ctl;

	serve_a_guest(scene);
	arm(scene, name);
	fixture_ctl(&scene->fixture, &ctl, "drain", NULL);
	program_done(&ctl);
}

static void reload(struct scene *scene, const char *name)
{
	serve_a_guest(scene);
	fixture_configure(&scene->fixture, "[segment]\nsize = 64M\nbacking = posix\n[pcp]\n"
					   "batch = 16\n[limits]\nclient_max = 32M\n");
	arm(scene, name);
	CU_ASSERT_EQUAL(kill(scene->fixture.pid, SIGHUP), 0);
}

static void stop(struct scene *scene, const char *name)
{
	serve_a_guest(scene);
	arm(scene, name);
	CU_ASSERT_EQUAL(kill(scene->fixture.pid, SIGTERM), 0);
}

/* Three starts failed: the old segment is put aside. */
static void put_aside(struct scene *scene)
{
	const uint64_t recoveries = 3;
	char path[96];
	int fd;

	CU_ASSERT_TRUE(fixture_start(&scene->fixture));
	fixture_stop(&scene->fixture);
	fixture_segment_path(&scene->fixture, "state", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, &recoveries, sizeof(recoveries),
			       offsetof(struct shm_state_header, recoveries)),
			(ssize_t)sizeof(recoveries));
	(void)close(fd);
	scene->n_files = 6;
}

static void fourth_start(struct scene *scene, const char *name)
{
	put_aside(scene);
	first_start(scene, name);
}

static void fourth_start_of_all(struct scene *scene, const char *name)
{
	put_aside(scene);
	first_start_of_all(scene, name);
}

/* --- the points ------------------------------------------------------------------------------ */

enum { SERVES = 1000 }; /* by itself: only a server died, and its supervisor has another */

static const struct {
	void (*drive)(struct scene *scene, const char *name);
	int ends; /* the whole daemon, by that signal (-) or status; SERVES; 0: drive() knows */
} way_to[CRASH_NR_POINTS] = {
	[CRASH_ENDPOINT_BOUND] = {first_start_of_all, 0},
	[CRASH_SEGMENT_NAMED] = {first_start_of_all, 0},
	[CRASH_SEGMENT_SIZED] = {first_start_of_all, 0},
	[CRASH_SUPERVISOR_FORKED] = {first_start_of_all, 0},
	[CRASH_SERVER_BORN] = {first_start, SERVES},
	[CRASH_SEGMENT_LOCKED] = {first_start, SERVES},
	[CRASH_SEGMENT_EMPTIED] = {first_start, SERVES},
	[CRASH_SEGMENT_GIVEN] = {first_start, SERVES},
	[CRASH_SEGMENT_FORMATTED] = {first_start, SERVES},
	[CRASH_SEGMENT_TAKEN_OVER] = {next_server, SERVES},
	[CRASH_POOL_RECOVERED] = {next_server, SERVES},
	[CRASH_CTL_ADOPTED] = {next_server, SERVES},
	[CRASH_CLIENTS_ADOPTED] = {next_server, SERVES},
	[CRASH_RECOVERY_ENDED] = {next_server, SERVES},
	[CRASH_SERVER_SHOWN] = {next_server, SERVES},
	[CRASH_SUPERVISOR_READY] = {first_start_of_all, 0},
	[CRASH_CLIENT_PREPARED] = {visit, SERVES},
	[CRASH_CTL_KEPT] = {visit, SERVES},
	[CRASH_HELLO_UNANSWERED] = {visit, SERVES},
	[CRASH_SUPERVISOR_KEPT] = {visit, -SIGKILL},
	[CRASH_HEADS_GIVEN] = {visit, SERVES},
	[CRASH_TABLE_GIVEN] = {ask_for_a_table, SERVES},
	[CRASH_RESUME_TAKEN] = {resume_with_ctl, SERVES},
	[CRASH_CLIENT_REATTACHED] = {resume, SERVES},
	[CRASH_CLIENT_RELEASED] = {visit, SERVES},
	[CRASH_COMMIT_BEGUN] = {visit, SERVES},
	[CRASH_COMMIT_ENDED] = {visit, SERVES},
	[CRASH_BARRIER_DUE] = {drain, SERVES},
	[CRASH_BARRIER_PASSED] = {drain, SERVES},
	[CRASH_RELOAD_BEGUN] = {reload, SERVES},
	[CRASH_RELOAD_ENDED] = {reload, SERVES},
	[CRASH_SEGMENT_PUT_ASIDE] = {fourth_start, SERVES},
	[CRASH_SUPERVISOR_RENEWED] = {fourth_start_of_all, 0},
	[CRASH_SUPERVISOR_BEREFT] = {next_server, -SIGKILL},
	[CRASH_STOP_BEGUN] = {stop, 1},
	[CRASH_STOP_ENDED] = {stop, 1},
	[CRASH_SUPERVISOR_STOPPING] = {stop, -SIGKILL},
};

static const struct {
	const char *name, *what;
} points[CRASH_NR_POINTS] = {
#define X(name, what) {#name, what},
	CRASH_POINTS(X)
#undef X
};

/* True if the point was hit. */
static bool die_at(enum crash_point point)
{
	unsigned failures = CU_get_number_of_failures();
	struct scene scene;
	bool hit;

	scene_open(&scene);
	way_to[point].drive(&scene, points[point].name);
	hit = is_hit(&scene);
	child_kill(&scene.visitor);
	if (hit && way_to[point].ends != SERVES && way_to[point].ends != 0)
		CU_ASSERT_EQUAL(fixture_end(&scene.fixture), way_to[point].ends);
	if (way_to[point].ends == SERVES)
		CU_ASSERT_TRUE(fixture_log_gets(&scene.fixture, "was killed by SIGKILL"));
	(void)unlink(scene.at);
	scene_close(&scene);
	failures = CU_get_number_of_failures() - failures;
	(void)printf("  %-20s %s%s%s\n", points[point].name, points[point].what,
		     hit ? "" : ": not reached", failures ? ": failed" : "");
	return hit;
}

static void daemon_survives_a_kill_at_every_named_point(void)
{
	uint32_t n_hit = 0;

	for (uint32_t point = 0; point < CRASH_NR_POINTS; point++)
		n_hit += way_to[point].drive && die_at((enum crash_point)point);
	(void)printf("  %u of %u points hit\n", n_hit, (uint32_t)CRASH_NR_POINTS);
	CU_ASSERT_EQUAL(n_hit, CRASH_NR_POINTS);
}

/* --- a Hello whose server dies --------------------------------------------------------------- */

enum { SAYER_TRY = 3 };

/* Opens a client each time it is told to, and keeps the first that it gets: says whether it has. */
static int be_sayer(int fd, void *arg)
{
	pageclient *client = NULL;
	uint64_t word;

	while (recv(fd, &word, sizeof(word), 0) == (ssize_t)sizeof(word)) {
		if (!client)
			client = open_client(arg, "sayer");
		CHILD_CHECK(child_say(fd, client ? 1 : 0));
	}
	CHILD_CHECK(client != NULL && pageclient_alloc(client, 0, 0) != NULL);
	return 0;
}

static uint64_t tell_to_try(const struct child *sayer)
{
	uint64_t answer = UINT64_MAX;

	CU_ASSERT_TRUE(child_say(sayer->fd, SAYER_TRY));
	CU_ASSERT_TRUE(child_hear(sayer->fd, &answer));
	return answer;
}

/* The server dies at the first point over a Hello, the next one at the second point over the same
 * Hello, and then there is one client. */
static void say_hello_over(const char *first, const char *second)
{
	struct observer observer;
	struct scene scene;

	scene_open(&scene);
	serve_a_guest(&scene);
	CU_ASSERT_TRUE(child_start(&scene.visitor, be_sayer, &scene));
	arm(&scene, first);
	CU_ASSERT_EQUAL(tell_to_try(&scene.visitor), 0);
	CU_ASSERT_TRUE(is_hit(&scene));
	if (second) {
		arm(&scene, second);
		CU_ASSERT_EQUAL(tell_to_try(&scene.visitor), 0);
		CU_ASSERT_TRUE(is_hit(&scene));
	}
	CU_ASSERT_EQUAL(tell_to_try(&scene.visitor), 1);
	CU_ASSERT_TRUE(observe(&scene, &observer));
	CU_ASSERT_EQUAL(observer_count_clients(&observer), 2); /* and the guest */
	observer_close(&observer);
	CU_ASSERT_EQUAL(child_end(&scene.visitor), 0);
	scene_close(&scene);
}

static void a_hello_said_again_leaves_one_client_wherever_its_servers_die(void)
{
	static const char *const lost[] = {"CLIENT_PREPARED", "CTL_KEPT", "HELLO_UNANSWERED"};
	/* CLIENT_RELEASED: the client that nobody knows of is DYING, and there is no other. */
	static const char *const again[] = {"CLIENT_RELEASED", "CLIENT_PREPARED", "CTL_KEPT",
					    "HELLO_UNANSWERED"};

	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		say_hello_over(lost[i], NULL);
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		say_hello_over("HELLO_UNANSWERED", again[i]);
}

CU_TestInfo test_points[] = {
	{"daemon survives a kill at every named point",
	 daemon_survives_a_kill_at_every_named_point},
	{"a Hello said again leaves one client wherever its servers die",
	 a_hello_said_again_leaves_one_client_wherever_its_servers_die},
	CU_TEST_INFO_NULL,
};
