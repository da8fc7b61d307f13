/* tests/integration/fixture.c - see fixture.h. */
#include "tests/integration/fixture.h"

#include "tests/integration/clock.h"
#include "tests/support/log_file.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHM "/dev/shm/"

/* --- files ---------------------------------------------------------------------------------- */

static void segment_prefix(const struct fixture *fixture, char ret_prefix[64])
{
	(void)snprintf(ret_prefix, 64, "paged-%s-", fixture->instance);
}

void fixture_segment_path(const struct fixture *fixture, const char *part, char ret_path[96])
{
	(void)snprintf(ret_path, 96, SHM "paged-%s-%s", fixture->instance, part);
}

/* Counts what has our name in /dev/shm, and removes it if asked to. */
static unsigned walk_segments(const struct fixture *fixture, bool remove)
{
	char prefix[64];
	DIR *directory = opendir(SHM);
	unsigned n = 0;

	segment_prefix(fixture, prefix);
	for (const struct dirent *e; directory && (e = readdir(directory));) {
		char path[sizeof(SHM) + 256];

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		n++;
		(void)snprintf(path, sizeof(path), SHM "%s", e->d_name);
		if (remove)
			(void)unlink(path);
	}
	if (directory)
		(void)closedir(directory);
	return n;
}

unsigned fixture_count_segments(const struct fixture *fixture)
{
	return walk_segments(fixture, false);
}

void fixture_configure(const struct fixture *fixture, const char *config)
{
	FILE *file = fopen(fixture->config, "we");

	CU_ASSERT_PTR_NOT_NULL(file);
	if (!file)
		return;
	(void)fputs(config, file);
	(void)fclose(file);
}

void fixture_make(struct fixture *fixture, const char *config)
{
	static unsigned serial;

	*fixture = (struct fixture){.directory = "/tmp/paged-it-XXXXXX", .pidfd = -1};
	if (!mkdtemp(fixture->directory))
		abort(); /* a machine on which no test can run */
	(void)snprintf(fixture->instance, sizeof(fixture->instance), "it-%d-%u", getpid(),
		       ++serial);
	(void)snprintf(fixture->socket, sizeof(fixture->socket), "%s/paged.sock",
		       fixture->directory);
	(void)snprintf(fixture->config, sizeof(fixture->config), "%s/paged.conf",
		       fixture->directory);
	(void)snprintf(fixture->log, sizeof(fixture->log), "%s/log", fixture->directory);
	fixture_configure(fixture, config);
}

char *fixture_log(const struct fixture *fixture)
{
	return log_file_read(fixture->log);
}

bool fixture_log_has(const struct fixture *fixture, const char *text)
{
	return log_file_has(fixture->log, text);
}

bool fixture_log_gets(const struct fixture *fixture, const char *text)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);)
		if (fixture_log_has(fixture, text))
			return true;
	return false;
}

/* --- the daemon ----------------------------------------------------------------------------- */

_Noreturn static void become_daemon(struct fixture *fixture)
{
	char *argv[] = {strdup(fixture_paged()), strdup("--foreground"),  strdup("--config"),
			fixture->config,         strdup("--runtime-dir"), fixture->directory,
			strdup("--instance"),    fixture->instance,       NULL};
	int fd = open(fixture->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	if (fixture->by_default)
		argv[2] = NULL;
	if (fixture->before_exec)
		fixture->before_exec(fixture);
	/* How short the test's machine is, is not the test's matter. */
	(void)setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 0);
	execv(argv[0], argv);
	_exit(127);
}

static bool spawn(struct fixture *fixture)
{
	(void)fflush(NULL);
	fixture->pid = fork();
	if (fixture->pid == 0)
		become_daemon(fixture);
	if (fixture->pid < 0)
		fixture->pid = 0;
	fixture->pidfd = fixture->pid ? (int)syscall(SYS_pidfd_open, fixture->pid, 0) : -1;
	return fixture->pidfd >= 0;
}

/* Somebody listens and answers a Hello (id 1, versions 1 to 1, as an observer). */
static bool serves(const struct fixture *fixture)
{
	static const uint8_t hello[] = {8, 1, 18, 6, 8, 1, 16, 1, 24, 1};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	bool answered;
	char byte;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket);
	answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		   send(fd, hello, sizeof(hello), MSG_NOSIGNAL) > 0 &&
		   poll(&answer, 1, (int)CLOCK_PATIENCE_MS) == 1 &&
		   recv(fd, &byte, 1, 0) == 1; /* not the end of one that is being killed */
	(void)close(fd);
	return answered;
}

bool fixture_start(struct fixture *fixture)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	bool served = false;

	if (!spawn(fixture)) {
		CU_FAIL("no process for a daemon");
		return false;
	}
	while (!served && clock_left_ms(until)) {
		struct pollfd death = {.fd = fixture->pidfd, .events = POLLIN};

		if (poll(&death, 1, 1) == 1)
			break;
		served = serves(fixture);
	}
	if (!served) {
		char *log = fixture_log(fixture);

		(void)fprintf(stderr, "the daemon does not serve: %s\n", log);
		free(log);
		CU_FAIL("the daemon does not serve");
	}
	return served;
}

bool fixture_open(struct fixture *fixture, const char *config)
{
	fixture_make(fixture, config);
	return fixture_start(fixture);
}

/* Waits for its end; the exit status, -signal, or -1000. */
static int reap(struct fixture *fixture)
{
	struct pollfd death = {.fd = fixture->pidfd, .events = POLLIN};
	bool late = poll(&death, 1, (int)CLOCK_PATIENCE_MS) != 1;
	int status = 0;

	if (late)
		(void)kill(fixture->pid, SIGKILL);
	(void)waitpid(fixture->pid, &status, 0);
	(void)close(fixture->pidfd);
	fixture->pid = 0;
	fixture->pidfd = -1;
	if (late)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int fixture_end(struct fixture *fixture)
{
	return fixture->pid ? reap(fixture) : -1000;
}

int fixture_fail(struct fixture *fixture)
{
	return spawn(fixture) ? reap(fixture) : -1000;
}

void fixture_stop(struct fixture *fixture)
{
	fixture_stop_by(fixture, SIGTERM);
}

void fixture_stop_by(struct fixture *fixture, int signal)
{
	int status;

	if (!fixture->pid)
		return;
	(void)kill(fixture->pid, signal);
	status = reap(fixture);
	CU_ASSERT_EQUAL(status, 0);
	if (status) {
		char *log = fixture_log(fixture);

		(void)fprintf(stderr, "the daemon ended with %d: %s\n", status, log);
		free(log);
	}
}

/* The process that the supervisor has, or the last of its children; -1: none, or it cannot be seen.
 */
static int open_server(const struct fixture *fixture)
{
	char path[64];
	int pid = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", fixture->pid, fixture->pid);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		;
	if (file)
		(void)fclose(file);
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

void fixture_kill(struct fixture *fixture)
{
	struct pollfd server = {.fd = -1, .events = POLLIN};

	if (!fixture->pid)
		return;
	server.fd = open_server(fixture);
	(void)kill(fixture->pid, SIGKILL);
	(void)reap(fixture);
	if (server.fd < 0)
		return;
	(void)poll(&server, 1, (int)CLOCK_PATIENCE_MS);
	(void)close(server.fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fixture_close(struct fixture *fixture)
{
	fixture_stop(fixture);
	CU_ASSERT_FALSE(fixture_log_has(fixture, "AddressSanitizer"));
	CU_ASSERT_FALSE(fixture_log_has(fixture, "runtime error:"));
	CU_ASSERT_FALSE(fixture_log_has(fixture, "should be true"));
	(void)walk_segments(fixture, true);
	CU_ASSERT_EQUAL(fixture_count_segments(fixture), 0);
	CU_ASSERT_EQUAL(nftw(fixture->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- its clients ---------------------------------------------------------------------------- */

pageclient *fixture_client(const struct fixture *fixture, const char *name)
{
	struct pageclient_options options;
	pageclient *client = NULL;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = fixture->socket;
	options.name = name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	r = pageclient_open(&options, &client);
	CU_ASSERT_EQUAL(r, 0);
	if (r)
		(void)fprintf(stderr, "no client: %s\n", pageclient_error());
	return client;
}

struct pageclient_status fixture_status(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	return status;
}

void fixture_ctl(const struct fixture *fixture, struct program *ret_program, ...)
{
	const char *argv[PROGRAM_ARGUMENTS_MAX] = {fixture_pagectl(), "--socket", fixture->socket};
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	va_list words;

	va_start(words, ret_program);
	for (uint32_t i = 3; i + 1 < PROGRAM_ARGUMENTS_MAX; i++) {
		argv[i] = va_arg(words, const char *);
		if (!argv[i])
			break;
	}
	va_end(words);
	program_run(ret_program, argv);
	/* pagectl's own patience with a daemon that has no processor is a few seconds. */
	while (ret_program->status == 3 && strstr(ret_program->err, "is it stopped?") &&
	       clock_pause(until)) {
		program_done(ret_program);
		program_run(ret_program, argv);
	}
}

void fixture_drain(const struct fixture *fixture)
{
	struct program ctl;

	fixture_ctl(fixture, &ctl, "drain", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
}

bool fixture_reclaim(const struct fixture *fixture, const char *frames)
{
	struct program ctl;
	bool ok;

	fixture_ctl(fixture, &ctl, "reclaim", "--frames", frames, NULL);
	ok = ctl.status == 0;
	program_done(&ctl);
	return ok;
}

json_t *fixture_ctl_json(const struct fixture *fixture, const char *command)
{
	struct program ctl;
	json_t *root;

	fixture_ctl(fixture, &ctl, command, "--json", NULL);
	root = json_loads(ctl.out, 0, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_TRUE(json_is_integer(json_object_get(root, "version")));
	if (!root)
		(void)fprintf(stderr, "pagectl %s: %s%s\n", command, ctl.out, ctl.err);
	program_done(&ctl);
	return root;
}

uint64_t fixture_json_number(const json_t *root, const char *path)
{
	const json_t *at = root;
	char words[128];
	char *rest = words;

	(void)snprintf(words, sizeof(words), "%s", path);
	for (const char *word; at && (word = strsep(&rest, "."));)
		at = json_object_get(at, word);
	CU_ASSERT_TRUE(json_is_integer(at));
	if (!json_is_integer(at))
		(void)fprintf(stderr, "no number %s\n", path);
	return (uint64_t)json_integer_value(at);
}

pid_t fixture_server(const struct fixture *fixture)
{
	json_t *root = fixture_ctl_json(fixture, "status");
	pid_t pid = (pid_t)fixture_json_number(root, "daemon.pid");

	json_decref(root);
	return pid > 0 ? pid : INT_MAX; /* nobody's: a signal to 0 is one to all that test here */
}

bool fixture_check(const struct fixture *fixture)
{
	struct program ctl;
	bool good;

	fixture_ctl(fixture, &ctl, "check", NULL);
	good = ctl.status == 0 && strncmp(ctl.out, "ok", 2) == 0;
	if (!good)
		(void)fprintf(stderr, "pagectl check: %d %s%s\n", ctl.status, ctl.out, ctl.err);
	program_done(&ctl);
	return good;
}

/* --- the build ------------------------------------------------------------------------------ */

const char *fixture_paged(void)
{
	return INTEGRATION_PAGED;
}

const char *fixture_pagectl(void)
{
	return INTEGRATION_PAGECTL;
}

bool fixture_is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return false;
#endif
}

void fixture_skip(const char *test, const char *why)
{
	(void)printf("    skipped: %s: %s\n", test, why);
}
