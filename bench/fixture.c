/* bench/fixture.c - see fixture.h. */
#include "bench/fixture.h"

#include "bench/bench.h"
#include "bench/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lower fails on a slow machine; higher only delays the news that the daemon hangs. */
#define START_NS UINT64_C(10000000000)

/* --- files ---------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	(void)fputs(content, file);
	return fclose(file) ? -errno : 0;
}

static int make_folder(struct fixture *fixture, const char *configuration)
{
	const char *temporary = getenv("TMPDIR");
	char path[PATH_MAX];

	if (snprintf(fixture->folder, sizeof(fixture->folder), "%s/paged-bench-XXXXXX",
		     temporary && *temporary ? temporary : "/tmp") >= (int)sizeof(fixture->folder))
		return -ENAMETOOLONG;
	if (!mkdtemp(fixture->folder)) {
		fixture->folder[0] = '\0';
		return -errno;
	}
	(void)snprintf(fixture->instance, sizeof(fixture->instance), "bench-%s",
		       strrchr(fixture->folder, '-') + 1);
	(void)snprintf(fixture->socket, sizeof(fixture->socket), "%s/paged.sock", fixture->folder);
	(void)snprintf(path, sizeof(path), "%s/paged.conf", fixture->folder);
	return write_file(path, configuration);
}

/* Removes the files of folder whose name begins with prefix. */
static void remove_files(const char *folder, const char *prefix)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	}
	(void)closedir(directory);
}

static void remove_all(const struct fixture *fixture)
{
	char prefix[64];

	if (!fixture->folder[0])
		return;
	(void)snprintf(prefix, sizeof(prefix), "paged-%s-", fixture->instance);
	remove_files("/dev/shm", prefix);
	remove_files(fixture->folder, "paged");
	(void)rmdir(fixture->folder);
}

/* What the daemon said last, for the sentence about its failure. */
static void last_line(const struct fixture *fixture, char *text, size_t text_bytes)
{
	char path[PATH_MAX], line[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/paged.log", fixture->folder);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(text, text_bytes, "%s", line);
	}
	(void)fclose(file);
}

/* --- the process ---------------------------------------------------------------------------- */

/* In the child. The pipe tells when paged was executed, and, if it could not be, the errno. */
static _Noreturn void become_daemon(const struct fixture *fixture,
				    const struct fixture_options *options, int report)
{
	char configuration[PATH_MAX], log[PATH_MAX];
	sigset_t none;
	uint64_t news;
	int fd;

	(void)snprintf(configuration, sizeof(configuration), "%s/paged.conf", fixture->folder);
	(void)snprintf(log, sizeof(log), "%s/paged.log", fixture->folder);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setpgid(0, 0); /* ^C is for the bench, which then stops us */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1); /* a loaded machine is no case */
	(void)place_take(options->cpu);
	news = bench_now_ns();
	if (write(report, &news, sizeof(news)) == sizeof(news))
		(void)execl(options->paged, "paged", "--foreground", "--runtime-dir",
			    fixture->folder, "--instance", fixture->instance, "--config",
			    configuration, (char *)NULL);
	news = (uint64_t)errno;
	_exit(write(report, &news, sizeof(news)) == sizeof(news) ? 126 : 127);
}

static int launch(struct fixture *fixture, const struct fixture_options *options)
{
	uint64_t failure;
	int report[2], r = 0;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	fixture->pid = fork();
	if (fixture->pid == 0)
		become_daemon(fixture, options, report[1]);
	if (fixture->pid < 0) {
		r = -errno;
		fixture->pid = 0;
	}
	(void)close(report[1]);
	if (r == 0 && read(report[0], &fixture->exec_ns, sizeof(fixture->exec_ns)) !=
			      sizeof(fixture->exec_ns))
		r = -EIO;
	if (r == 0 && read(report[0], &failure, sizeof(failure)) == sizeof(failure))
		r = -(int)failure;
	(void)close(report[0]);
	return r;
}

/* The daemon is ready when it answers Hello. */
static int wait_for_hello(struct fixture *fixture, char *text, size_t text_bytes)
{
	struct pageclient_options options;
	pageclient *client;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = fixture->socket;
	options.name = "bench";
	while ((r = pageclient_open(&options, &client)) < 0) {
		if (waitpid(fixture->pid, NULL, WNOHANG) == fixture->pid) {
			fixture->pid = 0;
			(void)snprintf(text, text_bytes, "the daemon ended");
			last_line(fixture, text, text_bytes);
			return -ECHILD;
		}
		if (bench_now_ns() - fixture->exec_ns > START_NS) {
			(void)snprintf(text, text_bytes, "the daemon does not answer: %s",
				       pageclient_error());
			return -ETIMEDOUT;
		}
		(void)sched_yield();
	}
	fixture->ready_ns = bench_now_ns();
	pageclient_close(client);
	return 0;
}

int fixture_start(struct fixture *ret_fixture, const struct fixture_options *options, char *text,
		  size_t text_bytes)
{
	struct fixture fixture = {0};
	int r = make_folder(&fixture, options->configuration);

	if (r < 0)
		(void)snprintf(text, text_bytes, "a folder for the daemon: %s", strerror(-r));
	if (r == 0 && options->prepare)
		r = options->prepare(options->arg, fixture.instance, text, text_bytes);
	if (r == 0) {
		r = launch(&fixture, options);
		if (r < 0)
			(void)snprintf(text, text_bytes, "%s cannot be run: %s", options->paged,
				       strerror(-r));
	}
	if (r == 0)
		r = wait_for_hello(&fixture, text, text_bytes);
	if (r < 0) {
		if (fixture.pid > 0)
			fixture_stop(&fixture);
		else
			remove_all(&fixture);
		return r;
	}
	*ret_fixture = fixture;
	return 0;
}

/* The daemon gets as long to stop as it got to start. */
void fixture_stop(struct fixture *fixture)
{
	uint64_t begin = bench_now_ns();
	int signal_number = SIGTERM;

	if (fixture->pid <= 0)
		return;
	(void)kill(fixture->pid, signal_number);
	while (waitpid(fixture->pid, NULL, WNOHANG) == 0) {
		if (signal_number == SIGTERM && bench_now_ns() - begin > START_NS) {
			signal_number = SIGKILL;
			(void)kill(fixture->pid, signal_number);
		}
		(void)sched_yield();
	}
	fixture->pid = 0;
	remove_all(fixture);
}
