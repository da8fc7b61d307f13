/* tests/integration/test_supervisor.c - the server dies, hangs, or is not the only one: its clients
 * keep what they have, those who come wait, and another one serves. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

extern CU_TestInfo test_supervisor[];

#define FRAMES 64u
#define RESTART_MS 250u /* what a client may be held up */
#define SERVED_NS UINT64_C(1100000000)
#define KILLS_IN_A_ROW 5u
#define DEATHS_MAX 10u

static const char posix[] = "[segment]\nsize = 64M\nbacking = posix\n[pcp]\nbatch = 16\n";
static const char memfd[] = "[segment]\nsize = 64M\nbacking = memfd\n[pcp]\nbatch = 16\n";

struct scene {
	struct fixture fixture;
	struct observer observer;
	struct child holder; /* a client that holds frames and does nothing */
};

/* --- a client that holds frames ------------------------------------------------------------- */

static int hold(int fd, void *arg)
{
	const struct scene *scene = arg;
	pageclient *client = fixture_client(&scene->fixture, "holder");
	unsigned char *frame[FRAMES];
	uint64_t order;

	CHILD_CHECK(client != NULL);
	for (uint32_t i = 0; i < FRAMES; i++) {
		frame[i] = pageclient_alloc(client, 0, 0);
		CHILD_CHECK(frame[i] != NULL);
		memset(frame[i], (int)i + 1, 4096);
	}
	CHILD_CHECK(child_say(fd, FRAMES));
	CHILD_CHECK(recv(fd, &order, sizeof(order), 0) >= 0); /* 0: the test has ended */
	for (uint32_t i = 0; i < FRAMES; i++)
		for (uint32_t at = 0; at < 4096; at++)
			CHILD_CHECK(frame[i][at] == i + 1);
	return 0; /* its process was the client: no close, the daemon may be away */
}

static bool scene_open(struct scene *scene, const char *config)
{
	bool good;

	*scene = (struct scene){.holder = {.pid = -1, .fd = -1}};
	good = fixture_open(&scene->fixture, config) &&
	       observer_open(&scene->observer, &scene->fixture) &&
	       child_start(&scene->holder, hold, scene) && child_expect(scene->holder.fd, FRAMES);
	CU_ASSERT_TRUE(good);
	return good;
}

/* The frames are as they were; with the process they come back. */
static void scene_close(struct scene *scene)
{
	CU_ASSERT_EQUAL(child_end(&scene->holder), 0);
	CU_ASSERT_TRUE(observer_all_free(&scene->observer));
	CU_ASSERT_TRUE(fixture_check(&scene->fixture));
	observer_close(&scene->observer);
	fixture_close(&scene->fixture);
}

static uint64_t owned(const struct scene *scene)
{
	const struct shm_client *client =
		observer_find(&scene->observer, scene->holder.pid, "holder");

	return client ? client->nr_owned : 0;
}

/* --- servers -------------------------------------------------------------------------------- */

static pid_t server_of(const struct scene *scene)
{
	return (pid_t)__atomic_load_n(&scene->observer.view.header->daemon_pid, __ATOMIC_ACQUIRE);
}

static bool waits_for_another(const struct scene *scene, pid_t server)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); server_of(scene) == server;)
		if (!clock_pause(until))
			return false;
	return true;
}

static bool waits_for_death(int pidfd)
{
	struct pollfd death = {.fd = pidfd, .events = POLLIN};
	bool dead = poll(&death, 1, (int)CLOCK_PATIENCE_MS) == 1;

	(void)close(pidfd);
	return dead;
}

static bool end_server(const struct scene *scene, int signal)
{
	pid_t server = server_of(scene);

	return kill(server, signal) == 0 && waits_for_another(scene, server);
}

static bool kill_server(const struct scene *scene)
{
	return end_server(scene, SIGKILL);
}

/* Until the server has lived so long that its death is not held against it. */
static bool waits_until_served(const struct scene *scene)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);;) {
		struct timespec now;
		uint64_t ns;

		(void)clock_gettime(CLOCK_REALTIME, &now);
		ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
		if (ns >
		    __atomic_load_n(&scene->observer.view.header->started_ns, __ATOMIC_RELAXED) +
			    SERVED_NS)
			return true;
		if (!clock_pause(until))
			return false;
	}
}

/* The exit status of the whole daemon, which ends by itself. */
static int status_of_end(struct fixture *fixture)
{
	struct pollfd death = {.fd = fixture->pidfd, .events = POLLIN};
	siginfo_t info = {0};

	if (poll(&death, 1, (int)CLOCK_PATIENCE_MS) != 1 ||
	    waitid(P_PID, (id_t)fixture->pid, &info, WEXITED | WNOWAIT) < 0)
		return -1000;
	fixture_kill(fixture); /* only takes the zombie */
	return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

/* --- deaths --------------------------------------------------------------------------------- */

/* On a busy machine a restart takes as long as that has no processor for it, so one of some is
 * asked for. */
static bool is_soon_followed(const struct scene *scene)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS), before;

	do {
		before = clock_now_ms();
		if (!kill_server(scene))
			return false;
		if (clock_now_ms() - before < RESTART_MS)
			return true;
	} while (waits_until_served(scene) && clock_left_ms(until) > 0);
	return false;
}

static void server_is_killed(const char *config)
{
	struct scene scene;
	struct program ctl;

	if (!scene_open(&scene, config))
		return;
	CU_ASSERT_NOT_EQUAL(server_of(&scene), scene.fixture.pid);
	CU_ASSERT_TRUE(fixture_is_sanitized() ? kill_server(&scene) : is_soon_followed(&scene));
	CU_ASSERT_TRUE(fixture_check(&scene.fixture));
	CU_ASSERT_TRUE(owned(&scene) >= FRAMES);
	CU_ASSERT_TRUE(fixture_log_has(&scene.fixture, "was killed by SIGKILL"));
	CU_ASSERT_TRUE(fixture_log_has(&scene.fixture, "1 client(s)"));
	/* Its CTL was kept: what lies in its magazines can be had. */
	fixture_ctl(&scene.fixture, &ctl, "drain", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	CU_ASSERT_EQUAL(owned(&scene), FRAMES);
	scene_close(&scene);
}

static void killed_server_is_followed_by_another(void)
{
	server_is_killed(posix);
}

static void nameless_segment_survives_its_server(void)
{
	server_is_killed(memfd);
}

static void who_connects_while_there_is_no_server_waits(void)
{
	struct scene scene;

	if (!scene_open(&scene, posix))
		return;
	for (uint32_t i = 0; i < KILLS_IN_A_ROW; i++) {
		pid_t server = server_of(&scene);
		int pidfd = (int)syscall(SYS_pidfd_open, server, 0);
		int fd;

		CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
		CU_ASSERT_TRUE(waits_for_death(pidfd));
		fd = raw_hello(&scene.fixture, HELLO_OBSERVER, NULL);
		CU_ASSERT_TRUE(fd >= 0);
		if (fd >= 0)
			(void)close(fd);
	}
	scene_close(&scene);
}

static void twenty_kills_lose_nothing(void)
{
	struct scene scene;
	bool good = scene_open(&scene, posix);

	for (uint32_t burst = 0; good && burst < 4; burst++) {
		for (uint32_t i = 0; good && i < KILLS_IN_A_ROW; i++)
			good = kill_server(&scene);
		good = good && fixture_check(&scene.fixture) && owned(&scene) >= FRAMES &&
		       waits_until_served(&scene);
		CU_ASSERT_TRUE(good);
	}
	CU_ASSERT_FALSE(fixture_log_has(&scene.fixture, "new segment"));
	scene_close(&scene);
}

static void who_is_killed_from_outside_is_followed_as_often_as_that_happens(void)
{
	struct scene scene;
	bool good = scene_open(&scene, posix);

	for (uint32_t i = 0; good && i < 3 * DEATHS_MAX; i++) {
		int fd = raw_hello(&scene.fixture, HELLO_OBSERVER, NULL); /* so it serves */

		good = fd >= 0 && close(fd) == 0 && kill_server(&scene);
	}
	CU_ASSERT_TRUE(good && fixture_check(&scene.fixture) && owned(&scene) >= FRAMES);
	CU_ASSERT_FALSE(fixture_log_has(&scene.fixture, "giving up"));
	scene_close(&scene);
}

/* Ends each server as soon as it is there, until there comes no more; kills between crashes change
 * nothing. On a busy machine one may live for a second before it is seen, and the row begins anew.
 * Returns how many. */
static uint32_t crash_servers(const struct scene *scene)
{
	struct pollfd end = {.fd = scene->fixture.pidfd, .events = POLLIN};
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	uint32_t n = 0;
	pid_t last = 0;

	while (poll(&end, 1, 0) == 0 && clock_pause(until)) {
		pid_t server = server_of(scene);

		if (server == last || kill(server, n % 4 == 3 ? SIGKILL : SIGABRT) < 0)
			continue;
		last = server;
		n++;
	}
	return n;
}

static void supervisor_gives_up_after_ten_crashes_in_a_row(void)
{
	struct scene scene;

	CU_ASSERT_TRUE(scene_open(&scene, posix));
	CU_ASSERT_TRUE(crash_servers(&scene) >= DEATHS_MAX);
	CU_ASSERT_EQUAL(status_of_end(&scene.fixture), 1);
	CU_ASSERT_TRUE(fixture_log_has(&scene.fixture, "10 servers in a row died"));
	CU_ASSERT_EQUAL(access(scene.fixture.socket, F_OK), -1);
	CU_ASSERT_TRUE(fixture_start(&scene.fixture));
	CU_ASSERT_TRUE(owned(&scene) >= FRAMES);
	scene_close(&scene);
}

static void server_goes_with_its_supervisor(void)
{
	struct scene scene;
	int pidfd;

	if (!scene_open(&scene, posix))
		return;
	pidfd = (int)syscall(SYS_pidfd_open, server_of(&scene), 0);
	CU_ASSERT_EQUAL(kill(scene.fixture.pid, SIGKILL), 0);
	CU_ASSERT_EQUAL(fixture_end(&scene.fixture), -SIGKILL);
	CU_ASSERT_TRUE(fixture_start(&scene.fixture)); /* at once: it waits for what still dies */
	CU_ASSERT_TRUE(waits_for_death(pidfd));
	CU_ASSERT_TRUE(fixture_check(&scene.fixture));
	CU_ASSERT_TRUE(owned(&scene) >= FRAMES);
	CU_ASSERT_TRUE(fixture_log_has(&scene.fixture, "1 client(s)"));
	scene_close(&scene);
}

static void server_that_hangs_is_replaced(void)
{
	struct scene scene;
	pid_t server;

	if (!scene_open(&scene, posix))
		return;
	server = server_of(&scene);
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	CU_ASSERT_TRUE(waits_for_another(&scene, server));
	CU_ASSERT_TRUE(fixture_log_has(&scene.fixture, "hangs: it is aborted"));
	CU_ASSERT_TRUE(fixture_check(&scene.fixture));
	CU_ASSERT_TRUE(owned(&scene) >= FRAMES);
	scene_close(&scene);
}

/* --- segments of no use --------------------------------------------------------------------- */

static void put(const struct fixture *fixture, const char *part, off_t offset, uint64_t value)
{
	char path[96];
	int fd;

	fixture_segment_path(fixture, part, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, &value, sizeof(value), offset), (ssize_t)sizeof(value));
	(void)close(fd);
}

static void segment_that_three_starts_failed_on_is_kept_aside(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, posix));
	fixture_stop(&f);
	put(&f, "state", (off_t)offsetof(struct shm_state_header, recoveries), 2);
	CU_ASSERT_TRUE(fixture_start(&f)); /* the third is tried, and ends well */
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 3);
	fixture_stop(&f);
	put(&f, "state", (off_t)offsetof(struct shm_state_header, recoveries), 3);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_log_has(&f, "3 starts on it in a row failed"));
	CU_ASSERT_EQUAL(fixture_count_segments(&f), 6);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

/* What ruined the segment killed the server as well: the next one does not go on with it. */
static void damage_while_running_leads_to_a_new_segment(void)
{
	struct scene scene;
	pid_t server;

	if (!scene_open(&scene, posix))
		return;
	server = server_of(&scene);
	put(&scene.fixture, "meta", 8, 99); /* version */
	CU_ASSERT_EQUAL(kill(server, SIGKILL), 0);
	CU_ASSERT_TRUE(fixture_log_gets(&scene.fixture, "started a new segment"));
	CU_ASSERT_TRUE(fixture_log_gets(&scene.fixture, "posix, new\n"));
	CU_ASSERT_TRUE(fixture_check(&scene.fixture));
	CU_ASSERT_EQUAL(fixture_count_segments(&scene.fixture), 6);
	CU_ASSERT_EQUAL(child_end(&scene.holder), 0); /* it still has its old frames */
	observer_close(&scene.observer);
	fixture_close(&scene.fixture);
}

/* --- signals and the service manager -------------------------------------------------------- */

static void server_that_is_told_to_stop_ends_all(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, posix));
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGTERM), 0);
	CU_ASSERT_EQUAL(status_of_end(&f), 0);
	CU_ASSERT_EQUAL(access(f.socket, F_OK), -1);
	fixture_close(&f);
}

static void with_a_manager(struct fixture *fixture)
{
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	(void)setenv("NOTIFY_SOCKET", fixture->arg, 1);
	(void)setenv("WATCHDOG_USEC", "200000", 1);
	(void)setenv("WATCHDOG_PID", pid, 1);
}

/* Waits for a message that begins so; the pid that sent it. */
static pid_t waits_for_state(int fd, const char *state)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);;) {
		_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(struct ucred))];
		char text[512] = "";
		struct iovec bytes = {.iov_base = text, .iov_len = sizeof(text) - 1};
		struct msghdr packet = {.msg_iov = &bytes,
					.msg_iovlen = 1,
					.msg_control = space,
					.msg_controllen = sizeof(space)};
		struct ucred peer;

		if (poll(&pollfd, 1, clock_left_ms(until)) != 1 || recvmsg(fd, &packet, 0) < 0 ||
		    !CMSG_FIRSTHDR(&packet))
			return -1;
		memcpy(&peer, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(peer));
		if (strncmp(text, state, strlen(state)) == 0)
			return peer.pid;
	}
}

static void service_manager_hears_one_voice(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int on = 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct fixture f;

	fixture_make(&f, posix);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", f.directory);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	f.before_exec = with_a_manager;
	f.arg = address.sun_path;
	CU_ASSERT_TRUE(fixture_start(&f));
	if (waits_for_state(fd, "READY=1") < 0) {
		fixture_skip("service manager", "built without libsystemd");
	} else {
		CU_ASSERT_EQUAL(waits_for_state(fd, "WATCHDOG=1"), f.pid);
		CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
		CU_ASSERT_EQUAL(waits_for_state(fd, "READY=1"), f.pid);
		CU_ASSERT_EQUAL(waits_for_state(fd, "WATCHDOG=1"), f.pid);
		CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
		CU_ASSERT_EQUAL(waits_for_state(fd, "RELOADING=1"), f.pid);
		CU_ASSERT_EQUAL(waits_for_state(fd, "READY=1"), f.pid);
		CU_ASSERT_EQUAL(kill(f.pid, SIGTERM), 0);
		CU_ASSERT_EQUAL(waits_for_state(fd, "STOPPING=1"), f.pid);
		CU_ASSERT_EQUAL(status_of_end(&f), 0);
	}
	(void)close(fd);
	fixture_close(&f);
}

CU_TestInfo test_supervisor[] = {
	{"killed server is followed by another", killed_server_is_followed_by_another},
	{"nameless segment survives its server", nameless_segment_survives_its_server},
	{"who connects while there is no server waits",
	 who_connects_while_there_is_no_server_waits},
	{"twenty kills lose nothing", twenty_kills_lose_nothing},
	{"who is killed from outside is followed as often as that happens",
	 who_is_killed_from_outside_is_followed_as_often_as_that_happens},
	{"supervisor gives up after ten crashes in a row",
	 supervisor_gives_up_after_ten_crashes_in_a_row},
	{"server goes with its supervisor", server_goes_with_its_supervisor},
	{"server that hangs is replaced", server_that_hangs_is_replaced},
	{"segment that three starts failed on is kept aside",
	 segment_that_three_starts_failed_on_is_kept_aside},
	{"damage while running leads to a new segment",
	 damage_while_running_leads_to_a_new_segment},
	{"server that is told to stop ends all", server_that_is_told_to_stop_ends_all},
	{"service manager hears one voice", service_manager_hears_one_voice},
	CU_TEST_INFO_NULL,
};
