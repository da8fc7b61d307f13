/* tests/integration/test_filecache.c - the example program, as `./dev demo --kill-server` runs it:
 * the server is killed again and again, and nobody who uses the daemon sees an error. How long they
 * were held up is for the demo to tell; here nothing depends on time. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/outage.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern CU_TestInfo test_filecache[];

#define PROCESSES 2u
#define KILLS 5u
#define FILE_LINES 20000u

struct cache_world {
	struct outage outage;
	char directory[64]; /* with the next three in it */
	char text[80], archive[80], gauge[PROCESSES][80];
	struct child child[PROCESSES];
};

/* A file to serve, and the archive of it. */
static bool make_archive(const struct cache_world *world)
{
	const char *argv[] = {INTEGRATION_FILECACHE, "pack", world->archive, world->directory,
			      NULL};
	FILE *file = fopen(world->text, "we");
	struct program program;
	bool good;

	if (!file)
		return false;
	for (uint32_t i = 0; i < FILE_LINES; i++)
		(void)fprintf(file, "line %u of a file that somebody asks for, %x\n", i,
			      i * UINT32_C(2654435761));
	if (fclose(file))
		return false;
	program_run(&program, argv);
	good = program.status == 0;
	CU_ASSERT_STRING_EQUAL(program.err, "");
	program_done(&program);
	return good;
}

static bool world_open(struct cache_world *world)
{
	(void)snprintf(world->directory, sizeof(world->directory), "/tmp/paged-test-XXXXXX");
	if (!mkdtemp(world->directory) || !outage_open(&world->outage))
		return false;
	(void)snprintf(world->text, sizeof(world->text), "%s/text", world->directory);
	(void)snprintf(world->archive, sizeof(world->archive), "%s/archive", world->directory);
	for (uint32_t i = 0; i < PROCESSES; i++)
		(void)snprintf(world->gauge[i], sizeof(world->gauge[i]), "%s/gauge%u",
			       world->directory, i);
	return true;
}

static void world_close(struct cache_world *world)
{
	outage_close(&world->outage);
	(void)unlink(world->text);
	(void)unlink(world->archive);
	for (uint32_t i = 0; i < PROCESSES; i++)
		(void)unlink(world->gauge[i]);
	CU_ASSERT_EQUAL(rmdir(world->directory), 0);
}

struct part {
	const struct cache_world *world;
	uint32_t i;
};

/* In a child: becomes the program. Its words on stderr are the test's. */
static int serve(int fd, void *arg)
{
	const struct part *part = arg;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)fd;
	(void)dup2(null, STDOUT_FILENO);
	(void)setenv("PAGED_SOCKET", part->world->outage.fixture.socket, 1);
	(void)execl(INTEGRATION_FILECACHE, INTEGRATION_FILECACHE, "serve", part->world->archive,
		    "--seconds", "1000", "--gauge", part->world->gauge[part->i], (char *)NULL);
	return 127;
}

/* Kills the server, and waits until all have been with the next one. */
static bool kill_and_wait(const struct cache_world *world, uint32_t n)
{
	const struct shm_view *view = &world->outage.observer.view;
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	if (!outage_restart_server(&world->outage))
		return false;
	while (shm_view_counter(view, COUNTER_client_resume) < (uint64_t)n * PROCESSES)
		if (!clock_pause(until))
			return false;
	return true;
}

/* Its gauge asks the daemon from when it has shared its frame on. */
static bool is_asking(const struct cache_world *world, uint32_t i)
{
	const struct shm_client *client =
		observer_find(&world->outage.observer, world->child[i].pid, NULL);

	return client && __atomic_load_n(&client->nr_shared, __ATOMIC_RELAXED) > 0;
}

static bool all_are_asking(const struct cache_world *world)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	for (uint32_t i = 0; i < PROCESSES; i++)
		while (!is_asking(world, i))
			if (!clock_pause(until))
				return false;
	return true;
}

/* Did it measure at least one outage? */
static bool gauge_has_calls(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[64];
	bool has = false;

	while (file && !has && fgets(line, sizeof(line), file))
		has = strncmp(line, "call ", 5) == 0;
	if (file)
		(void)fclose(file);
	return has;
}

static void kill_9_of_the_server_is_no_error_for_the_demo(void)
{
	struct cache_world world = {.directory = ""};
	uint32_t n = 0;

	if (!world_open(&world))
		return;
	CU_ASSERT_TRUE(make_archive(&world));
	for (; n < PROCESSES; n++)
		if (!child_start(&world.child[n], serve, &(struct part){&world, n}))
			break;
	CU_ASSERT_EQUAL(n, PROCESSES);
	CU_ASSERT_TRUE(all_are_asking(&world));
	for (uint32_t i = 1; i <= KILLS; i++)
		CU_ASSERT_TRUE(kill_and_wait(&world, i));
	for (uint32_t i = 0; i < n; i++)
		(void)kill(world.child[i].pid, SIGTERM);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(child_end(&world.child[i]), 0);
		CU_ASSERT_TRUE(gauge_has_calls(world.gauge[i]));
	}
	world_close(&world);
}

CU_TestInfo test_filecache[] = {
	{"kill -9 of the server is no error for the demo",
	 kill_9_of_the_server_is_no_error_for_the_demo},
	CU_TEST_INFO_NULL,
};
