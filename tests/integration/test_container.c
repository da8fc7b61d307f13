/* tests/integration/test_container.c - a client in a container: user, mount, PID, IPC and network
 * namespaces of its own, as podman makes them for a user without privilege.
 *
 * Its root is an empty tmpfs that has one thing, the socket: no /proc, no /dev/shm of the daemon's,
 * no segment by name. All that it works with came through that socket. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern CU_TestInfo test_container[];

#define NOBODY 65534u
#define SOCKET_INSIDE "/run/paged/paged.sock"

static const char config[] = "[segment]\nsize = 64M\n[socket]\nmode = 0666\n";

/* What the container is told to do; each is answered by a number. */
enum { HOLD = 1, SHARE, CHECK };
#define N_FRAMES 2000u

/* What came of making the container, the first number that is heard from it. */
enum { INSIDE = 1, FORBIDDEN };

struct container {
	struct fixture f;
	char root[96];
	struct child child;
};

/* --- its inside ----------------------------------------------------------------------------- */

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* Nobody outside, root inside: one uid is all that there is. */
static bool enter_user(void)
{
	char uid_map[64], gid_map[64];

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return false;
	/* A change of uid leaves /proc/self to root. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	(void)snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
	(void)snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER) < 0 || !put("/proc/self/setgroups", "deny") ||
	    !put("/proc/self/uid_map", uid_map) || !put("/proc/self/gid_map", gid_map))
		return false;
	return unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET) == 0;
}

/* An empty root with the socket in it. */
static bool enter_root(const struct container *c)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", c->root, "tmpfs", 0, NULL) == 0 && chdir(c->root) == 0 &&
	       mkdir("run", 0755) == 0 && mkdir("run/paged", 0755) == 0 &&
	       mkdir("dev", 0755) == 0 && mkdir("dev/shm", 0755) == 0 &&
	       mknod("." SOCKET_INSIDE, S_IFREG | 0600, 0) == 0 &&
	       mount(c->f.socket, "." SOCKET_INSIDE, NULL, MS_BIND, NULL) == 0 &&
	       syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
	       chdir("/") == 0;
}

static void hold(pageclient *client, uint32_t *frame[N_FRAMES])
{
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		frame[i] = pageclient_alloc(client, 0, 0);
		CHILD_CHECK(frame[i]);
		frame[i][0] = i;
	}
}

static void check(uint32_t *const frame[N_FRAMES])
{
	for (uint32_t i = 0; i < N_FRAMES; i++)
		CHILD_CHECK(frame[i][0] == i);
}

static uint64_t share(pageclient *client)
{
	char *text = pageclient_alloc(client, 0, 0);
	uint64_t handle = 0;

	CHILD_CHECK(text);
	(void)strcpy(text, "from inside");
	CHILD_CHECK(pageclient_share(client, text, &handle) == 0);
	return handle;
}

_Noreturn static void live_inside(int fd)
{
	static uint32_t *frame[N_FRAMES];
	struct pageclient_options options;
	pageclient *client;
	uint64_t what;

	CHILD_CHECK(getpid() == 1); /* by our own count */
	CHILD_CHECK(access("/proc/self", F_OK) < 0);
	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = SOCKET_INSIDE;
	options.name = "inside";
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	CHILD_CHECK(pageclient_open(&options, &client) == 0);
	while (child_hear(fd, &what)) {
		uint64_t answer = what;

		if (what == HOLD)
			hold(client, frame);
		else if (what == CHECK)
			check(frame);
		else
			answer = share(client);
		CHILD_CHECK(child_say(fd, answer));
	}
	_exit(0);
}

/* A process that makes a PID namespace is not in it: its child is. */
static int enter(int fd, void *arg)
{
	const struct container *c = arg;
	int status = 0;
	pid_t pid;

	if (!enter_user() || (!enter_root(c) && (errno == EPERM || errno == EACCES))) {
		(void)child_say(fd, FORBIDDEN);
		return 0;
	}
	CHILD_CHECK(access(SOCKET_INSIDE, F_OK) == 0);
	CHILD_CHECK(child_say(fd, INSIDE));
	pid = fork();
	CHILD_CHECK(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		live_inside(fd);
	}
	CHILD_CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* --- the tests ------------------------------------------------------------------------------ */

/* False: skipped, or failed and said so. container_close() in any case. */
static bool container_open(struct container *c, const char *test)
{
	uint64_t came = 0;

	fixture_make(&c->f, config);
	(void)snprintf(c->root, sizeof(c->root), "%s/root", c->f.directory);
	CU_ASSERT_EQUAL(mkdir(c->root, 0777), 0);
	CU_ASSERT_EQUAL(chmod(c->f.directory, 0755), 0);
	CU_ASSERT_EQUAL(chmod(c->root, 0777), 0);
	CU_ASSERT_TRUE(fixture_start(&c->f));
	CU_ASSERT_TRUE(child_start(&c->child, enter, c));
	CU_ASSERT_TRUE(child_hear(c->child.fd, &came));
	if (came == FORBIDDEN)
		fixture_skip(test, "this kernel lets no user have namespaces");
	return came == INSIDE;
}

static void container_close(struct container *c)
{
	(void)child_end(&c->child);
	fixture_close(&c->f);
}

static bool ask(const struct container *c, uint64_t what)
{
	return child_say(c->child.fd, what) && child_expect(c->child.fd, what);
}

static uint64_t owned_inside(const struct fixture *f)
{
	json_t *root = fixture_ctl_json(f, "clients");
	const json_t *client = json_array_get(json_object_get(root, "clients"), 0);
	uint64_t owned = client ? fixture_json_number(client, "owned") : 0;

	json_decref(root);
	return owned;
}

static void a_container_works_through_the_socket_alone(void)
{
	struct container c;
	pageclient *outside;
	uint64_t handle = 0;
	void *text = NULL;

	if (container_open(&c, "a container works through the socket alone")) {
		CU_ASSERT_TRUE(ask(&c, HOLD));
		CU_ASSERT_TRUE(ask(&c, CHECK));
		CU_ASSERT_TRUE(owned_inside(&c.f) >= N_FRAMES);
		outside = fixture_client(&c.f, "outside");
		CU_ASSERT_TRUE(child_say(c.child.fd, SHARE) && child_hear(c.child.fd, &handle));
		CU_ASSERT_EQUAL(pageclient_import(outside, handle, &text, NULL), 0);
		if (text)
			CU_ASSERT_STRING_EQUAL(text, "from inside");
		pageclient_close(outside);
		CU_ASSERT_TRUE(fixture_check(&c.f));
		CU_ASSERT_EQUAL(child_end(&c.child), 0);
	}
	container_close(&c);
}

static void a_container_outlives_the_server(void)
{
	struct container c;

	if (container_open(&c, "a container outlives the server")) {
		CU_ASSERT_TRUE(ask(&c, HOLD));
		(void)kill(fixture_server(&c.f), SIGKILL);
		CU_ASSERT_TRUE(ask(&c, CHECK));
		/* a request of the new server: it took the client over, which proved who it is */
		CU_ASSERT_TRUE(ask(&c, HOLD));
		CU_ASSERT_TRUE(owned_inside(&c.f) >= 2 * N_FRAMES);
		CU_ASSERT_TRUE(fixture_check(&c.f));
	}
	container_close(&c);
}

static void the_death_of_a_container_is_seen(void)
{
	struct container c;
	uint64_t owned = 1;

	if (container_open(&c, "the death of a container is seen")) {
		CU_ASSERT_TRUE(ask(&c, HOLD));
		child_kill(&c.child); /* and with it its first process, by SIGKILL */
		for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); owned && clock_pause(until);)
			owned = owned_inside(&c.f);
		CU_ASSERT_EQUAL(owned, 0);
		CU_ASSERT_TRUE(fixture_check(&c.f));
	}
	container_close(&c);
}

CU_TestInfo test_container[] = {
	{"a container works through the socket alone", a_container_works_through_the_socket_alone},
	{"a container outlives the server", a_container_outlives_the_server},
	{"the death of a container is seen", the_death_of_a_container_is_seen},
	CU_TEST_INFO_NULL,
};
