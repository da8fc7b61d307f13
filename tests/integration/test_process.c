/* tests/integration/test_process.c - fork in its three forms, and that a pair of alloc and free
 * makes no system call. */
#include "tests/integration/child.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern CU_TestInfo test_process[];

static const char config[] = "[segment]\nsize = 128M\n[pcp]\nbatch = 16\n";

/* --- fork ----------------------------------------------------------------------------------- */

struct family {
	const struct fixture *fixture;
	pageclient *client; /* of the parent */
	void *frame;
};

static int child_of_fork(int fd, void *arg)
{
	struct family *family = arg;
	struct pageclient_status status;
	pageclient *own;
	void *frame;

	(void)fd;
	CHILD_CHECK(!pageclient_alloc(family->client, 0, 0) && errno == EOWNERDEAD);
	CHILD_CHECK(!pageclient_alloc(family->client, 3, 0) && errno == EOWNERDEAD);
	pageclient_free(family->client, family->frame, 0); /* nothing happens */
	PAGECLIENT_INIT(struct pageclient_status, &status);
	CHILD_CHECK(pageclient_read_status(family->client, &status) == -EOWNERDEAD);
	CHILD_CHECK(pageclient_dispatch(family->client) == -EOWNERDEAD);
	own = fixture_client(family->fixture, "child");
	CHILD_CHECK(own);
	frame = pageclient_alloc(own, 0, 0);
	CHILD_CHECK(frame);
	memset(frame, 'c', 4096);
	pageclient_free(own, frame, 0);
	pageclient_close(family->client);
	CHILD_CHECK(pageclient_alloc(own, 0, 0));
	pageclient_close(own);
	return 0;
}

static void fork_child_has_to_open_its_own(void)
{
	struct fixture f;
	struct family family = {.fixture = &f};
	struct child child;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	family.client = fixture_client(&f, "parent");
	family.frame = pageclient_alloc(family.client, 0, 0);
	pageclient_free(family.client, pageclient_alloc(family.client, 0, 0), 0);
	memset(family.frame, 'p', 4096);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(child_start(&child, child_of_fork, &family));
		CU_ASSERT_EQUAL(child_end(&child), 0);
	}
	CU_ASSERT_EQUAL(((char *)family.frame)[4095], 'p');
	pageclient_free(family.client, family.frame, 0);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(family.client, 0, 0));
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(family.client);
	fixture_close(&f);
}

static pid_t by_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

/* No fork handler runs: the child must fault rather than take a frame of its parent. */
static void expect_fault(pid_t (*make)(void), pageclient *client)
{
	int status = 0;
	pid_t pid = make();

	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer's would write a report */
		(void)signal(SIGBUS, SIG_DFL);
		_exit(pageclient_alloc(client, 0, 0) ? 1 : 2);
	}
	CU_ASSERT_TRUE(pid > 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void child_without_fork_handlers_faults(void)
{
	struct fixture f;
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "parent");
	pageclient_free(client, pageclient_alloc(client, 0, 0), 0);
	expect_fault(_Fork, client);
	expect_fault(by_clone, client);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

static int exec_true(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	(void)execl("/bin/true", "true", (char *)NULL);
	return 1;
}

/* A child that execs holds nothing of the client's open, and its death is not the parent's. */
static void child_that_execs_takes_nothing_along(void)
{
	struct fixture f;
	pageclient *client;
	struct child child;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "parent");
	CU_ASSERT_TRUE(child_start(&child, exec_true, NULL));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	pageclient_close(client);
	fixture_close(&f);
}

static int leave_a_grandchild(int fd, void *arg)
{
	pageclient *client = fixture_client(arg, "short lived");
	uint64_t word;

	CHILD_CHECK(pageclient_alloc(client, 5, 0));
	if (fork() == 0) { /* it keeps the parent's descriptors, and outlives it */
		(void)child_hear(fd, &word);
		_exit(0);
	}
	return 0; /* without a close */
}

/* The owner is the process that attached: a child that holds its sockets open keeps nothing. */
static void death_counts_even_if_a_child_lives_on(void)
{
	struct fixture f;
	struct observer observer;
	struct child child;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_TRUE(child_start(&child, leave_a_grandchild, &f));
	(void)waitpid(child.pid, NULL, 0);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	(void)close(child.fd); /* the grandchild waits for this */
	observer_close(&observer);
	fixture_close(&f);
}

/* --- system calls --------------------------------------------------------------------------- */

/* From here on every system call but exit_group() ends the process. */
static bool forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct pairs {
	const struct fixture *fixture;
	uint64_t n;
	size_t burst; /* frames held at a time */
};

#define BURST_MAX 4096u

static int make_pairs(int fd, void *arg)
{
	static void *frame[BURST_MAX];
	struct pairs *pairs = arg;
	pageclient *client = fixture_client(pairs->fixture, "pairs");

	(void)fd;
	CHILD_CHECK(client);
	pageclient_free(client, pageclient_alloc(client, 0, 0), 0); /* the first refill */
	if (!forbid_system_calls())
		return 77;
	for (uint64_t n = 0; n < pairs->n; n++) {
		for (size_t i = 0; i < pairs->burst; i++)
			frame[i] = pageclient_alloc(client, 0, 0);
		for (size_t i = 0; i < pairs->burst; i++)
			pageclient_free(client, frame[i], 0);
	}
	/* Not by _exit(), where a sanitizer would have its say. */
	return (int)syscall(SYS_exit_group, frame[pairs->burst - 1] ? 0 : 2);
}

static int run_pairs(const struct fixture *f, uint64_t n, size_t burst)
{
	struct pairs pairs = {f, n, burst};
	struct child child;
	uint64_t word;

	if (!child_start(&child, make_pairs, &pairs))
		return -1;
	CU_ASSERT_FALSE(child_hear(child.fd, &word)); /* it ends by itself */
	return child_end(&child);
}

static void million_pairs_make_no_system_call(void)
{
	struct fixture f;
	int status;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	status = run_pairs(&f, 1000000, 1);
	if (status == 77) {
		fixture_skip("system calls of a million pairs", "no seccomp filter here");
	} else {
		CU_ASSERT_EQUAL(status, 0);
		CU_ASSERT_EQUAL(run_pairs(&f, 125000, 8), 0);
		/* The control: so many at a time need a refill, and that is noticed. */
		CU_ASSERT_EQUAL(run_pairs(&f, 1, BURST_MAX), -SIGSYS);
	}
	fixture_close(&f);
}

CU_TestInfo test_process[] = {
	{"fork child has to open its own", fork_child_has_to_open_its_own},
	{"child without fork handlers faults", child_without_fork_handlers_faults},
	{"child that execs takes nothing along", child_that_execs_takes_nothing_along},
	{"death counts even if a child lives on", death_counts_even_if_a_child_lives_on},
	{"million pairs make no system call", million_pairs_make_no_system_call},
	CU_TEST_INFO_NULL,
};
